// A message's text without its marks, on one line: for previews, quotes, notifications and titles.

import { parse } from "./parse.ts";
import { textOf } from "./tree.ts";

/** What would turn the direction of what follows. */
const DIRECTION_MARKS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
/** Marks and addresses are read, too: so much of the source is enough for a text, mostly. */
const SOURCE_PER_CHAR = 8;

/** The text without its marks on one line, of at most so many characters. */
export function plainText(source: string, chars_max = 140): string {
  const text = textOf(parse(source.slice(0, SOURCE_PER_CHAR * chars_max), { names: new Map(), origin: "" }));
  const line = text
    .replace(DIRECTION_MARKS, "")
    .replace(/[\s\p{Cc}]+/gu, " ")
    .trim();
  const chars = [...line.slice(0, 2 * chars_max + 2)];
  return chars.length > chars_max ? `${chars.slice(0, chars_max).join("").trimEnd()}…` : line;
}
