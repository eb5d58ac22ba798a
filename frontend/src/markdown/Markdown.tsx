// A message's text as React elements. The tree of parse.ts holds plain strings, and React sets them as text: there is no
// HTML on the way.

import {
  type CSSProperties,
  type FocusEvent,
  type MouseEvent,
  memo,
  type ReactNode,
  useId,
  useMemo,
  useState,
} from "react";
import { useText } from "../i18n/text.ts";
import { CodeBlock } from "./CodeBlock.tsx";
import { type Names, parse } from "./parse.ts";
import type { Block, Inline, Item, Link } from "./tree.ts";
import "./markdown.css";

export interface MarkdownProps {
  source: string;
  /** Whose mentions are marked, by folded name. */
  names: Names;
  /** A mention was pressed; null is everybody's. */
  onMention(userId: number | null): void;
  /** An address of one of this server's rooms was followed. */
  onRoom(roomId: number, seq?: number): void;
  /** Whether a long text is cut, with a button that shows all. */
  fold?: boolean;
  /** Shown large, as a few emoji alone are. */
  isLarge?: boolean;
}

type Actions = Pick<MarkdownProps, "onMention" | "onRoom">;

const FOLDED_LINES = 25;
const FOLDED_LENGTH = 2_500;
const ORIGIN = typeof location === "undefined" ? "" : location.origin;

/** The text of a message. Give it the same `names` and functions each time: it is drawn anew when they change. */
export const Markdown = memo(function Markdown(props: MarkdownProps) {
  const { source, names, onMention, onRoom, fold = false, isLarge = false } = props;
  const body = useMemo(() => {
    const blocks = parse(source, { names, origin: ORIGIN });
    return blocks.map((block, index) => blockOf(block, index, { onMention, onRoom }, true));
  }, [source, names, onMention, onRoom]);
  const className = isLarge ? "md md--large" : "md";
  return fold && isLong(source) ? (
    <Folded className={className}>{body}</Folded>
  ) : (
    <div className={className}>{body}</div>
  );
});

/** Is a text folded? */
export const isLong = (source: string): boolean =>
  source.length > FOLDED_LENGTH || source.split("\n", FOLDED_LINES + 1).length > FOLDED_LINES;

function Folded({ className, children }: { className: string; children: ReactNode }) {
  const t = useText();
  const id = useId();
  const [isOpen, setOpen] = useState(false);
  // What the keyboard reaches must be seen.
  const reveal = ({ target, currentTarget }: FocusEvent) => {
    if (target.getBoundingClientRect().bottom > currentTarget.getBoundingClientRect().bottom) setOpen(true);
  };
  return (
    <>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: it hears of focus within it */}
      <div id={id} className={isOpen ? className : `${className} md--folded`} onFocus={reveal}>
        {children}
      </div>
      <button
        type="button"
        className="md-more"
        aria-expanded={isOpen}
        aria-controls={id}
        onClick={() => setOpen(!isOpen)}
      >
        {t(isOpen ? "markdown.showLess" : "markdown.showAll")}
      </button>
    </>
  );
}

/**
 * Outermost blocks and items of lists take their direction from their own text (`dir`). What lies in a quotation or item
 * has none: `dir="auto"` passes over text in elements that have their own.
 */
function blockOf(block: Block, key: number, actions: Actions, isOutermost: boolean): ReactNode {
  const dir = isOutermost ? "auto" : undefined;
  const within = (blocks: Block[]) => blocks.map((inner, index) => blockOf(inner, index, actions, false));
  switch (block.type) {
    case "paragraph":
    case "heading":
      return (
        <p key={key} dir={dir} className={block.type === "heading" ? "md-heading" : undefined}>
          {inlinesOf(block.children, actions)}
        </p>
      );
    case "codeBlock":
      return <CodeBlock key={key} lang={block.lang} text={block.text} />;
    case "quote":
      return (
        <blockquote key={key} dir={dir}>
          {within(block.blocks)}
        </blockquote>
      );
    case "list": {
      const items = block.items.map((item, index) => {
        const before = block.items[index - 1]?.number ?? Number.NaN;
        return itemOf(item, index, item.number !== before + 1, within(item.blocks));
      });
      if (!block.ordered) return <ul key={key}>{items}</ul>;
      const digits = Math.max(...block.items.map(({ number }) => String(number).length));
      const style: CSSProperties & Record<"--marker", string> = { "--marker": `${digits + 1.5}ch` };
      return (
        <ol key={key} style={style}>
          {items}
        </ol>
      );
    }
    case "table":
      return <Table key={key} {...block} actions={actions} />;
    case "rule":
      return <hr key={key} />;
  }
}

/** It scrolls sideways by itself, so the keyboard must reach it. */
function Table({ aligns, rows, actions }: Extract<Block, { type: "table" }> & { actions: Actions }) {
  const [head = [], ...body] = rows;
  const cellsOf = (cells: Inline[][], Cell: "th" | "td") =>
    cells.map((cell, column) => {
      const align = aligns[column];
      return (
        // biome-ignore lint/suspicious/noArrayIndexKey: they change all at once
        <Cell key={column} dir="auto" className={align ? `md-${align}` : undefined}>
          {inlinesOf(cell, actions)}
        </Cell>
      );
    });
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls
    <div className="md-table" tabIndex={0}>
      <table>
        <thead>
          <tr>{cellsOf(head, "th")}</tr>
        </thead>
        {body.length > 0 && (
          <tbody>
            {body.map((cells, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: they change all at once
              <tr key={index}>{cellsOf(cells, "td")}</tr>
            ))}
          </tbody>
        )}
      </table>
    </div>
  );
}

/** A number that follows the one before is left to the browser's count: to style one that is given takes it long. */
function itemOf({ number, isTask }: Item, key: number, isGiven: boolean, blocks: ReactNode): ReactNode {
  const value = isGiven && number !== null ? number : undefined;
  return (
    <li key={key} dir="auto" value={value} className={isTask ? "md-task" : undefined}>
      {blocks}
    </li>
  );
}

function inlinesOf(inlines: Inline[], actions: Actions): ReactNode {
  return inlines.map((inline, index) => inlineOf(inline, index, actions));
}

function inlineOf(inline: Inline, key: number, actions: Actions): ReactNode {
  switch (inline.type) {
    case "text":
      return inline.text;
    case "code":
      return (
        <bdi key={key}>
          <code>{inline.text}</code>
        </bdi>
      );
    case "mention":
      return (
        <bdi key={key}>
          <button
            type="button"
            className={inline.me ? "mention mention--me" : "mention"}
            onClick={() => actions.onMention(inline.userId)}
          >
            {inline.text}
          </button>
        </bdi>
      );
    case "link":
      return linkOf(inline, key, actions);
    case "emphasis":
      return <em key={key}>{inlinesOf(inline.children, actions)}</em>;
    case "strong":
      return <strong key={key}>{inlinesOf(inline.children, actions)}</strong>;
    case "strike":
      return <s key={key}>{inlinesOf(inline.children, actions)}</s>;
  }
}

function linkOf({ href, title, host, place, children }: Link, key: number, actions: Actions): ReactNode {
  const follow = (event: MouseEvent) => {
    if (!place || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
      return;
    event.preventDefault();
    actions.onRoom(place.roomId, place.seq);
  };
  const link = (
    <a
      key={key}
      href={href}
      rel="noopener noreferrer nofollow ugc"
      target={place ? undefined : "_blank"}
      title={title ?? undefined}
      dir="auto"
      onClick={place ? follow : undefined}
    >
      {inlinesOf(children, actions)}
    </a>
  );
  if (host === null) return link;
  return (
    <span key={key}>
      {link} <bdi className="md-host">({host})</bdi>
    </span>
  );
}
