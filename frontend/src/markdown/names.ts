// Names in texts, found and compared as the server does it: tests/fixtures/mentions.json holds both to the same texts.

import { codeRanges, type Span } from "./code.ts";

const LETTERS_MAX = 32;
const CHARS_MAX = 64; // of a name as it is typed: each letter perhaps with a mark of its own, or typed as two
const NAMES_MAX = 512; // different ones, of a text

const OF_NAME = /(?:(?![\ufe00-\ufe0f\u{e0100}-\u{e01ef}])[\p{XIDC}\p{Alphabetic}\p{N}\u200c-\u200d._-])+/uy;
const MIDDLE_DOT = /^[\u00b7\u0387]$/;
/** What may be left out at a name's end. */
const LEFT_OUT = /^[.\-\u00b7\u0387]$/;
const UNSPACED_SCRIPTS = [
  ...["Han", "Hira", "Kana", "Bopo", "Hang", "Thai", "Laoo", "Khmr"],
  ...["Mymr", "Tibt", "Bali", "Java", "Tale", "Talu", "Lana", "Tavt"],
];
/** Characters of scripts without spaces, the dots between their words, and Hangul: a name may end on both sides of each. */
const UNSPACED = new RegExp(
  `[${UNSPACED_SCRIPTS.map((script) => `\\p{sc=${script}}`).join("")}` +
    "\\u3006\\u3031-\\u3035\\u303c\\u3099\\u309a\\u30fb\\u30fc\\uff65\\uff70\\uff9e\\uff9f]",
  "u",
);
/** What is read as a part of the character before it: marks, joiners, the vowel AM, and what completes a Hangul syllable. */
const CONTINUES = /[\p{M}\u200c-\u200d\u0e33\u0eb3\u1160-\u11ff\ud7b0-\ud7ff\uff9e\uff9f]/u;
/**
 * What ends an address, within a class of a regular expression: quotation marks, punctuation of Chinese and Japanese,
 * full-width forms.
 */
export const ADDRESS_END =
  '\\p{White_Space}<>"«»\u2018-\u201f‹›\u2e42\u3001-\u3003\u3008-\u3011\u3014-\u301f\ufe41-\ufe44' +
  "\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65";
const WORD = new RegExp(`[^${ADDRESS_END}]+`, "gu");
const SCHEME = /[a-z0-9]:\/\//i;
const HEAD = /www\.|mailto:|xmpp:|sips?:|tel:|sms:|acct:|matrix:/gi;

/** Full case folding of one character: what is one in upper case is one. */
const foldOne = (c: string): string => (c === "ı" ? c : c.toLowerCase().toUpperCase().toLowerCase());
const foldEach = (text: string): string => [...text].map(foldOne).join("");
const folded = (text: string): string => foldEach(foldEach(text.normalize("NFD")).normalize("NFKD"));

/** The key by which names are compared. */
export const fold = (name: string): string =>
  folded(name)
    .replace(/[\u200c\u200d]/g, "")
    .normalize("NFKC");

/** Of Latin, Greek, Cyrillic, Hebrew and Arabic, and of signs; and what is invisible. */
const DIACRITICS = [
  ...[
    "\\u0300-\\u036f",
    "\\u0591-\\u05bd\\u05bf\\u05c1\\u05c2\\u05c4\\u05c5\\u05c7",
    "\\u0640\\u064b-\\u065f\\u0670",
  ],
  ...["\\u20d0-\\u20ff", "\\u00ad\\u200b-\\u200d\\u2060\\ufe00-\\ufe0f"],
];
const DIACRITIC = new RegExp(`[${DIACRITICS.join("")}]`, "g");
const APOSTROPHES = /[\u2018\u2019\u201b\u2032\u02b9\u02bb-\u02bf\ua78c]/g;
/** Letters with a stroke, or without a dot, which no decomposition takes apart. */
const BARE: Readonly<Record<string, string>> = { ı: "i", ł: "l", ø: "o", đ: "d", ħ: "h", ŧ: "t" };

/** The form that is searched for: without diacritics, and with one apostrophe. */
export const plain = (text: string): string =>
  folded(text)
    .normalize("NFKD")
    .replace(DIACRITIC, "")
    .replace(/[ıłøđħŧ]/g, (c) => BARE[c] ?? c)
    .replace(APOSTROPHES, "'")
    .normalize("NFC");

/** What is being written after an "@" at the end of a text, or null. */
export function begunName(text: string): string | null {
  const at = text.lastIndexOf("@");
  if (at < 0 || endsWithWord(text, at)) return null;
  const name = text.slice(at + 1);
  return name === "" || (runAt(name, 0) === name && [...name].length <= LETTERS_MAX) ? name : null;
}

/** A name in a text, from its "@" on; `key` is the folded name. */
export interface Mention {
  start: number;
  end: number;
  key: string;
}

/** The mentions of these folded names, in order: where one could end in several places, the longest name wins. */
export function mentionsIn(
  text: string,
  names: { has(key: string): boolean; readonly size: number },
): Mention[] {
  const found: Mention[] = [];
  if (names.size === 0 || !text.includes("@")) return found;
  const quiet = [codeRanges(text), addressRanges(text)];
  const known = new Set<string>();
  for (let at = text.indexOf("@"); at >= 0; at = text.indexOf("@", at + 1)) {
    if (quiet.some((ranges) => liesIn(at, ranges)) || endsWithWord(text, at)) continue;
    const meant = endsOf(text, at + 1)
      .map((end) => ({ start: at, end, key: fold(text.slice(at + 1, end)) }))
      .filter(({ key }) => known.has(key) || (known.size < NAMES_MAX && known.add(key)));
    const mention = meant.findLast(({ key }) => names.has(key));
    if (mention) found.push(mention);
  }
  return found;
}

/** The characters of names that stand here. */
function runAt(text: string, start: number): string {
  OF_NAME.lastIndex = start;
  return OF_NAME.exec(text)?.[0] ?? "";
}

function endsWithWord(text: string, end: number): boolean {
  const begin = end - (/[\udc00-\udfff]/.test(text[end - 1] ?? "") ? 2 : 1);
  const last = text.slice(begin, end);
  return begin >= 0 && runAt(text, begin) !== "" && !UNSPACED.test(last) && !MIDDLE_DOT.test(last);
}

const isLetter = (c: string): boolean => UNSPACED.test(c) && !CONTINUES.test(c);

/** Where the name that begins here may end, the nearest first. */
function endsOf(text: string, start: number): number[] {
  const run = runAt(text, start);
  if (run === "") return [];
  const after = start + run.length;
  const chars = [...run];
  let isEnd = !(text[after] === "/" && runAt(text, after + 1) !== ""); // `@scope/name` is a package
  const ends: number[] = [];
  let letters = chars.filter(isLetter).length;
  let end = after;
  let next: string | undefined;
  for (let index = chars.length - 1; index >= 0; index -= 1) {
    const c = chars[index] ?? "";
    isEnd ||= next !== undefined && !CONTINUES.test(next) && (UNSPACED.test(next) || UNSPACED.test(c));
    if (isEnd && index < CHARS_MAX && letters <= LETTERS_MAX) ends.push(end);
    isEnd &&= LEFT_OUT.test(c);
    end -= c.length;
    letters -= isLetter(c) ? 1 : 0;
    next = c;
  }
  return ends.reverse();
}

function addressRanges(text: string): Span[] {
  const ranges: Span[] = [];
  for (const { 0: word, index } of text.matchAll(WORD)) {
    const heads = [...word.matchAll(HEAD)].filter((head) => !endsWithWord(word, head.index));
    const begins = heads.map((head) => head.index);
    const scheme = word.search(SCHEME);
    if (scheme >= 0) begins.push(scheme);
    if (begins.length > 0) ranges.push([index + Math.min(...begins), index + word.length]);
  }
  return ranges;
}

function liesIn(at: number, ranges: readonly Span[]): boolean {
  let [low, high] = [0, ranges.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ranges[middle]?.[1] ?? 0) <= at) low = middle + 1;
    else high = middle;
  }
  return (ranges[low]?.[0] ?? at + 1) <= at;
}
