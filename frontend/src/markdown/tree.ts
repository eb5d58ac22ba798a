// What the text of a message means: blocks, which hold inlines. Every text in it is a piece of the message.

import type { Place } from "./links.ts";

/** What stands in a line. */
export type Inline = Text | Code | Mention | Styled | Link;

export interface Text {
  type: "text";
  text: string;
}
export interface Code {
  type: "code";
  text: string;
}
export interface Mention {
  type: "mention";
  text: string;
  userId: number | null;
  me: boolean;
}
export interface Styled {
  type: "emphasis" | "strong" | "strike";
  children: Inline[];
}
export interface Link {
  type: "link";
  href: string;
  title: string | null;
  /** The real host, where the text looks like another one. */
  host: string | null;
  place: Place | null;
  children: Inline[];
}
/** An item of a list. */
export interface Item {
  /** As it was written, in an ordered list. */
  number: number | null;
  /** Whether its text begins with a sign that says if it is done. */
  isTask: boolean;
  blocks: Block[];
}
/** How a column is aligned. */
export type Align = "center" | "end" | null;

/** A block of a text. The first row of a table is its head; a row may have more cells or fewer. */
export type Block =
  | { type: "paragraph"; children: Inline[] }
  | { type: "heading"; children: Inline[] }
  | { type: "codeBlock"; lang: string; text: string }
  | { type: "quote"; blocks: Block[] }
  | { type: "list"; ordered: boolean; items: Item[] }
  | { type: "table"; aligns: Align[]; rows: Inline[][][] }
  | { type: "rule" };

/** The text of a tree: blocks are lines. */
export function textOf(nodes: readonly (Block | Inline)[]): string {
  let text = "";
  for (const node of nodes) {
    if ("text" in node) text += node.text;
    else if ("children" in node) text += textOf(node.children);
    else if (node.type === "quote") text += textOf(node.blocks);
    else if (node.type === "list") text += node.items.map(itemText).join("\n");
    else if (node.type === "table")
      text += node.rows.map((cells) => cells.map(textOf).join(" ").trim()).join("\n");
    if (isBlock(node)) text += "\n";
  }
  return text;
}

const BLOCKS: ReadonlySet<string> = new Set([
  "paragraph",
  "heading",
  "codeBlock",
  "quote",
  "list",
  "table",
  "rule",
]);
const isBlock = (node: Block | Inline): boolean => BLOCKS.has(node.type);

function itemText({ number, blocks }: Item): string {
  return (number === null ? "" : `${number}. `) + textOf(blocks).trimEnd();
}
