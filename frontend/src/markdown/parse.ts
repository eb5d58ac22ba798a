// A message's text to a small tree of blocks and inlines. Pure: no elements, no HTML; every text in the tree is a piece
// of the source, and every address went through links.ts.

import type { Tree, TreeCursor } from "@lezer/common";
import { grammar } from "./grammar.ts";
import { hostBehind, hrefOf, MASK, type Place, placeOf, targetAt } from "./links.ts";
import { type Mention as Found, mentionsIn } from "./names.ts";
import { type Align, type Block, type Inline, type Item, type Link, type Styled, textOf } from "./tree.ts";

/** Whom a folded name means: a user, or with null everybody. */
export interface Named {
  userId: number | null;
  me: boolean;
}
export type Names = ReadonlyMap<string, Named>;

export interface ParseOptions {
  names: Names;
  /** Of this server, as `https://chat.example.org`: addresses of its rooms are told apart. */
  origin: string;
}

const SOURCE_LENGTH_MAX = 20_000; // more than a message may have
const NODES_MAX = 2_000; // about as many elements; then the rest is plain text
const CODE_BLOCK_NODES = 10; // with its bar and button
const CELL_NODES = 2; // with its part of a row
const INLINE_DEPTH_MAX = 12;
const TASK = /^\s*\S+\s+\[[ xX]\][ \t]/;
const LANG = /^[\w+#.,-]{1,32}$/;
const STYLES: Readonly<Record<string, { type: Styled["type"]; mark: number }>> = {
  Emphasis: { type: "emphasis", mark: 1 },
  StrongEmphasis: { type: "strong", mark: 2 },
  Strikethrough: { type: "strike", mark: 2 },
};

/** The tree of a text. It never throws, and its depth and its number of nodes are bounded. */
export function parse(source: string, options: ParseOptions): Block[] {
  if (source.length > SOURCE_LENGTH_MAX) return [paragraph([{ type: "text", text: source }])];
  const blocks = new Builder(source, options).document();
  // What has signs alone, as ">" or "***", is shown as it was written.
  return blocks.some(saysSomething) || !source.trim()
    ? blocks
    : [paragraph([{ type: "text", text: source.trim() }])];
}

const paragraph = (children: Inline[]): Block => ({ type: "paragraph", children });

function saysSomething(block: Block): boolean {
  if (block.type === "quote") return block.blocks.some(saysSomething);
  if (block.type === "list") return block.items.some(({ blocks }) => blocks.some(saysSomething));
  return textOf([block]).trim() !== "";
}

class Builder {
  private readonly source: string;
  private readonly options: ParseOptions;
  private readonly mentions: Found[];
  private readonly masked: string;
  private readonly tree: Tree;
  /** Where the signs `>` of quotations stand, which may be in the middle of a paragraph. */
  private readonly quoteMarks: number[] = [];
  private nodes = 0;
  private isInTable = false;

  constructor(source: string, options: ParseOptions) {
    this.source = source;
    this.options = options;
    this.mentions = mentionsIn(source, options.names);
    this.masked = masked(source, this.mentions);
    this.tree = grammar.parse(this.masked);
    if (source.includes(">")) {
      this.tree.iterate({
        enter: ({ name, from }) => {
          if (name === "QuoteMark") this.quoteMarks.push(from);
        },
      });
    }
  }

  document(): Block[] {
    return this.blocks(this.tree.cursor());
  }

  private get isFull(): boolean {
    return this.nodes >= NODES_MAX;
  }

  /** The blocks within the cursor's node. The cursor is there again afterwards. */
  private blocks(cursor: TreeCursor): Block[] {
    const { to } = cursor;
    const found: Block[] = [];
    if (!cursor.firstChild()) return found;
    do {
      if (this.isFull) {
        found.push(paragraph(this.plain(cursor.from, to)));
        break;
      }
      const block = this.block(cursor);
      if (block) {
        this.nodes += block.type === "codeBlock" ? CODE_BLOCK_NODES : 1;
        found.push(block);
      }
    } while (cursor.nextSibling());
    cursor.parent();
    return found;
  }

  private block(cursor: TreeCursor): Block | null {
    const { name } = cursor;
    if (name === "Paragraph" || name === "Task") return this.leaf("paragraph", cursor);
    if (name.startsWith("ATXHeading")) return this.leaf("heading", cursor);
    if (name === "FencedCode" || name === "CodeBlock") return this.codeBlock(cursor);
    if (name === "Blockquote") return { type: "quote", blocks: this.blocks(cursor) };
    if (name === "BulletList" || name === "OrderedList") return this.list(cursor);
    if (name === "Table") return this.table(cursor);
    return name === "HorizontalRule" ? { type: "rule" } : null;
  }

  private leaf(type: "paragraph" | "heading", cursor: TreeCursor): Block | null {
    const children = this.inlines(cursor, cursor.from, cursor.to, 0, false);
    trim(children);
    return children.length > 0 ? { type, children } : null;
  }

  private codeBlock(cursor: TreeCursor): Block {
    const { from, to } = cursor;
    // Where the server sees no code, its mentions count.
    if (this.firstMention(from, to)) return paragraph(this.plain(from, to));
    let [info, text] = ["", ""];
    if (cursor.firstChild()) {
      do {
        if (cursor.name === "CodeInfo") info = this.source.slice(cursor.from, cursor.to);
        if (cursor.name === "CodeText") text += this.source.slice(cursor.from, cursor.to);
      } while (cursor.nextSibling());
      cursor.parent();
    }
    text = text.replace(/\r/g, "");
    // More than the name of a language is the first line of the code.
    return LANG.test(info) || !info
      ? { type: "codeBlock", lang: info, text }
      : { type: "codeBlock", lang: "", text: `${info}\n${text}` };
  }

  private list(cursor: TreeCursor): Block {
    const ordered = cursor.name === "OrderedList";
    const items: Item[] = [];
    const { to } = cursor;
    if (cursor.firstChild()) {
      do {
        if (cursor.name !== "ListItem") continue;
        if (this.isFull) {
          items.push({ number: null, isTask: false, blocks: [paragraph(this.plain(cursor.from, to))] });
          break;
        }
        items.push(this.item(cursor, ordered));
      } while (cursor.nextSibling());
      cursor.parent();
    }
    return { type: "list", ordered, items };
  }

  private item(cursor: TreeCursor, ordered: boolean): Item {
    const start = this.source.slice(cursor.from, cursor.from + 32);
    const number = ordered ? Number.parseInt(start.trimStart(), 10) : null;
    this.nodes += ordered ? 3 : 1; // as far as the browser's work goes
    return { number, isTask: TASK.test(start), blocks: this.blocks(cursor) };
  }

  private table(cursor: TreeCursor): Block {
    const { from, to } = cursor;
    const signs = this.source.slice(from, to).match(/[|\n]/g)?.length ?? 0;
    if (this.nodes + CELL_NODES * signs > NODES_MAX) return paragraph(this.plain(from, to));
    let aligns: Align[] = [];
    const rows: Inline[][][] = [];
    this.isInTable = true;
    if (cursor.firstChild()) {
      do {
        if (cursor.name === "TableDelimiter") aligns = alignsOf(this.source.slice(cursor.from, cursor.to));
        if (cursor.name === "TableHeader" || cursor.name === "TableRow") rows.push(this.row(cursor));
      } while (cursor.nextSibling());
      cursor.parent();
    }
    this.isInTable = false;
    return { type: "table", aligns, rows };
  }

  /** The cells of a row. An empty cell has no node: it is the text between two delimiters. */
  private row(cursor: TreeCursor): Inline[][] {
    const cells: Inline[][] = [];
    let cell: Inline[] | null = null;
    let isFirst = true;
    if (!cursor.firstChild()) return cells;
    do {
      if (cursor.name === "TableCell") {
        cell = this.inlines(cursor, cursor.from, cursor.to, 0, false);
        trim(cell);
      } else if (cursor.name === "TableDelimiter") {
        if (!isFirst) cells.push(cell ?? []);
        cell = null;
      }
      isFirst = false;
    } while (cursor.nextSibling());
    cursor.parent();
    if (cell) cells.push(cell);
    this.nodes += CELL_NODES * cells.length;
    return cells;
  }

  /** What stands in a range within the cursor's node. */
  private inlines(cursor: TreeCursor, from: number, to: number, depth: number, isInLink: boolean): Inline[] {
    const out: Inline[] = [];
    let at = from;
    if (cursor.firstChild()) {
      do {
        if (cursor.to <= at || cursor.from >= to || this.isFull) continue;
        const end = cursor.to;
        const said = this.inline(cursor, depth + 1, isInLink);
        if (!said) continue;
        this.say(out, at, cursor.from);
        for (const inline of said) this.push(out, inline);
        at = end;
      } while (cursor.nextSibling());
      cursor.parent();
    }
    this.say(out, at, to);
    return out;
  }

  /** What the cursor's node means, or null where it is text as any other. */
  private inline(cursor: TreeCursor, depth: number, isInLink: boolean): Inline[] | null {
    const { name, from, to } = cursor;
    if (name === "HardBreak") return [{ type: "text", text: "\n" }];
    if (name === "Escape") return this.plain(from + 1, to);
    if (name === "HeaderMark") return [];
    if (name === "TaskMarker")
      return [{ type: "text", text: this.source.charAt(from + 1) === " " ? "☐" : "☑" }];
    if (depth > INLINE_DEPTH_MAX) return null;
    const style = STYLES[name];
    if (style) {
      const { type, mark } = style;
      return [{ type, children: this.inlines(cursor, from + mark, to - mark, depth, isInLink) }];
    }
    if (name === "InlineCode") return this.code(cursor);
    if (name === "Link") return this.link(cursor, depth);
    if (isInLink) return null;
    if (name === "Autolink") return this.address(from + 1, to - 1);
    return name === "URL" ? this.address(from, to) : null;
  }

  private code({ from, to, node }: TreeCursor): Inline[] | null {
    // Where the server sees no code, its mentions count.
    if (this.firstMention(from, to)) return null;
    const mark = node.firstChild;
    const length = mark ? mark.to - mark.from : 0;
    let text = this.slice(from + length, to - length).replace(/\n/g, " ");
    if (this.isInTable) text = text.replaceAll("\\|", "|"); // else it would end the cell
    return [{ type: "code", text: /^ .*[^ ].* $/.test(text) ? text.slice(1, -1) : text }];
  }

  private address(from: number, to: number): Inline[] | null {
    const text = this.source.slice(from, to);
    const href = hrefOf(text);
    if (!href) return null;
    return [
      {
        type: "link",
        href,
        title: null,
        host: null,
        place: this.place(href),
        children: [{ type: "text", text }],
      },
    ];
  }

  private link(cursor: TreeCursor, depth: number): Inline[] | null {
    const { from, to, node } = cursor;
    const [open, close] = [node.firstChild, node.lastChild];
    const target = close && targetAt(this.masked, close.from + 1);
    if (!open || !target) return null;
    const { href, title } = target;
    const children = this.inlines(cursor, open.to, close.from, depth, true);
    if (!textOf(children).trim()) children.push({ type: "text", text: href });
    const link = { href, title, host: hostBehind(textOf(children), href), place: this.place(href) };
    return this.firstMention(from, to)
      ? aroundMentions(children, link)
      : [{ type: "link", ...link, children }];
  }

  private place(href: string): Place | null {
    return placeOf(href, this.options.origin);
  }

  private firstMention(from: number, to: number): Found | undefined {
    const found = this.mentions[this.mentionIndex(from)];
    return found && found.start < to ? found : undefined;
  }

  /** The index of the first mention that ends behind a position. */
  private mentionIndex(at: number): number {
    let [low, high] = [0, this.mentions.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.mentions[middle]?.end ?? 0) <= at) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** A range as text and mentions, with all the signs in it. */
  private plain(from: number, to: number): Inline[] {
    const out: Inline[] = [];
    this.say(out, from, to);
    return out;
  }

  private say(out: Inline[], from: number, to: number): void {
    let at = from;
    for (let index = this.mentionIndex(from); !this.isFull; index += 1) {
      const mention = this.mentions[index];
      if (!mention || mention.start >= to) break;
      const named = this.options.names.get(mention.key);
      if (!named) continue;
      this.push(out, { type: "text", text: this.slice(at, mention.start) });
      const { userId, me } = named;
      this.push(out, { type: "mention", text: this.source.slice(mention.start, mention.end), userId, me });
      at = mention.end;
    }
    this.push(out, { type: "text", text: this.slice(at, to) });
  }

  /** Neighbouring texts become one; a line's indentation is left out. */
  private push(out: Inline[], inline: Inline): void {
    const last = out.at(-1);
    if (inline.type !== "text") {
      this.nodes += 2;
      out.push(inline);
    } else if (last?.type === "text") {
      last.text += last.text.endsWith("\n") ? inline.text.trimStart() : inline.text;
    } else if (inline.text) {
      this.nodes += 1;
      out.push({ ...inline });
    }
  }

  /** A piece of the source, without the signs of the quotations that it lies in. */
  private slice(from: number, to: number): string {
    if (from >= to) return "";
    let [text, at] = ["", from];
    for (let index = firstFrom(this.quoteMarks, from); index < this.quoteMarks.length; index += 1) {
      const mark = this.quoteMarks[index] ?? to;
      if (mark >= to) break;
      text += this.source.slice(at, mark);
      at = mark + 1;
    }
    return (text + this.source.slice(at, to)).replace(/[ \t\r]*\n[ \t]*/g, "\n");
  }
}

/** Reads the delimiter row, the line below a table's head. */
const alignsOf = (line: string): Align[] =>
  line
    .replace(/^[>\s]*\|?|\|?\s*$/g, "")
    .split("|")
    .map((part) => (/:\s*$/.test(part) ? (/^\s*:/.test(part) ? "center" : "end") : null));

function masked(source: string, mentions: Found[]): string {
  let [text, at] = ["", 0];
  for (const { start, end } of mentions) {
    text += source.slice(at, start) + MASK.repeat(end - start);
    at = end;
  }
  return text + source.slice(at);
}

/** The index of the first of these rising numbers that isn't below `at`. */
function firstFrom(numbers: readonly number[], at: number): number {
  let [low, high] = [0, numbers.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((numbers[middle] ?? 0) < at) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Takes off the white space around a paragraph. */
function trim(children: Inline[]): void {
  const [first, last] = [children[0], children.at(-1)];
  if (first?.type === "text") first.text = first.text.trimStart();
  if (last?.type === "text") last.text = last.text.trimEnd();
  if (first?.type === "text" && !first.text) children.shift();
  if (children.length > 0 && last?.type === "text" && !last.text) children.pop();
}

/** Links over what is between mentions: a button can't stand within a link. */
function aroundMentions(children: Inline[], link: Omit<Link, "type" | "children">): Inline[] {
  const out: Inline[] = [];
  let run: Inline[] = [];
  const finish = () => {
    if (run.length > 0) out.push({ type: "link", ...link, children: run });
    run = [];
  };
  for (const child of children) {
    if (!hasMention(child)) {
      run.push(child);
      continue;
    }
    finish();
    out.push("children" in child ? { ...child, children: aroundMentions(child.children, link) } : child);
  }
  finish();
  return out;
}

const hasMention = (inline: Inline): boolean =>
  inline.type === "mention" || ("children" in inline && inline.children.some(hasMention));
