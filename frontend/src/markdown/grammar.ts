// The Markdown of messages, as a configuration of @lezer/markdown. Left out are HTML, references, entities and underlined
// headings; links and addresses are found by links.ts. What could cost more than linear time is bounded.

import {
  type BlockContext,
  type BlockParser,
  InlineContext,
  type Line,
  type MarkdownConfig,
  parser,
  Strikethrough,
  Table,
  TaskList,
} from "@lezer/markdown";
import { addressEnd, angleEnd, targetAt } from "./links.ts";

/** Quotations and list items within each other; what is deeper is plain text. */
const BLOCK_DEPTH_MAX = 12;
/** Signs of emphasis in one paragraph; further ones are plain text. */
const EMPHASIS_SIGNS_MAX = 400;

const CONTAINER = /^(?:>|[-+*](?:\s|$)|\d{1,9}[.)](?:\s|$))/;

function depthOf(cx: BlockContext, isMeant: (name: string) => boolean): number {
  let depth = 0;
  for (let level = 0; level < cx.depth; level += 1) depth += isMeant(cx.parentType(level).name) ? 1 : 0;
  return depth;
}

const blocks: MarkdownConfig = {
  parseBlock: [
    {
      name: "DepthBound",
      before: "IndentedCode",
      parse(cx: BlockContext, line: Line) {
        const rest = line.text.slice(line.pos);
        if (!CONTAINER.test(rest)) return false;
        if (depthOf(cx, (name) => name === "Blockquote" || name === "ListItem") < BLOCK_DEPTH_MAX)
          return false;
        const from = cx.lineStart + line.pos;
        const paragraph = cx.elt("Paragraph", from, from + rest.length, cx.parser.parseInline(rest, from));
        cx.nextLine();
        cx.addElement(paragraph);
        return true;
      },
    },
    {
      // A line without `>` ends a quotation, unlike in CommonMark: people answer right below what they quote.
      name: "QuotationEnd",
      endLeaf: (cx: BlockContext, line: Line) =>
        line.markers.length < depthOf(cx, (name) => name === "Blockquote"),
    },
  ],
};

/** What is known of a paragraph while its text is parsed. */
interface State {
  /** Where each bracket stands that is still open, the innermost last; -1 for one that can't begin a link. */
  brackets: number[];
  emphasisSigns: number;
}

const states = new WeakMap<InlineContext, State>();

function stateOf(cx: InlineContext): State {
  const state = states.get(cx) ?? { brackets: [], emphasisSigns: 0 };
  states.set(cx, state);
  return state;
}

function openBracket(cx: InlineContext, at: number, length: number): number {
  stateOf(cx).brackets.push(at);
  return cx.addDelimiter(InlineContext.linkStart, at, at + length, true, false);
}

function closeBracket(cx: InlineContext, at: number): number {
  const { brackets } = stateOf(cx);
  const start = brackets.pop() ?? -1;
  if (start < 0) return -1;
  const target = targetAt(cx.text, at + 1 - cx.offset);
  if (!target) return -1;
  let index = cx.findOpeningDelimiter(InlineContext.linkStart) ?? -1;
  while (index >= 0 && cx.getDelimiterAt(index)?.from !== start) index -= 1;
  const opener = index < 0 ? null : cx.getDelimiterAt(index);
  if (!opener) return -1;
  brackets.fill(-1); // no link within a link
  const content = cx.takeContent(index);
  const end = cx.offset + target.end;
  const link = cx.elt("Link", start, end, [
    cx.elt("LinkMark", start, opener.to),
    ...content,
    cx.elt("LinkMark", at, end),
  ]);
  return cx.addElement(link);
}

/** A line that may be the delimiter row of a table. The library's own test takes quadratic time after many spaces. */
const BELOW_HEAD = /^[>\s]{0,99}[|:-][\s|:-]*$/;

const tables: MarkdownConfig = {
  ...Table,
  parseBlock: (Table.parseBlock ?? []).map(
    (block): BlockParser => ({
      ...block,
      endLeaf: (cx, line, leaf) =>
        line.text.includes("|") &&
        BELOW_HEAD.test(cx.peekLine()) &&
        (block.endLeaf?.(cx, line, leaf) ?? false),
    }),
  ),
};

const inlines: MarkdownConfig = {
  remove: ["LinkReference", "HTMLBlock", "SetextHeading", "Entity", "HTMLTag", "Link", "Image", "LinkEnd"],
  parseInline: [
    {
      name: "EmphasisBound",
      before: "Emphasis",
      parse(cx, next, at) {
        if (next !== 42 /* * */ && next !== 95 /* _ */ && next !== 126 /* ~ */) return -1;
        let end = at + 1;
        while (cx.char(end) === next) end += 1;
        const isSign = next === 126 ? end - at === 2 : end - at <= 3;
        const state = stateOf(cx);
        state.emphasisSigns += 1;
        return isSign && state.emphasisSigns <= EMPHASIS_SIGNS_MAX ? -1 : end;
      },
    },
    {
      name: "Brackets",
      after: "HardBreak",
      parse(cx, next, at) {
        if (next === 33 /* ! */ && cx.char(at + 1) === 91) return openBracket(cx, at, 2);
        if (next === 91 /* [ */) return openBracket(cx, at, 1);
        return next === 93 /* ] */ ? closeBracket(cx, at) : -1;
      },
    },
    {
      name: "Addresses",
      before: "EmphasisBound",
      parse(cx, next, at) {
        const isAngle = next === 60; /* < */
        const end = (isAngle ? angleEnd : addressEnd)(cx.text, at - cx.offset);
        return end < 0 ? -1 : cx.addElement(cx.elt(isAngle ? "Autolink" : "URL", at, cx.offset + end));
      },
    },
  ],
};

/** The parser of messages. Its tree has the positions of the source. */
export const grammar = parser.configure([Strikethrough, TaskList, tables, blocks, inlines]);
