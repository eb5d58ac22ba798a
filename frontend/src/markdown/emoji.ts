// Emoji by name: for completion, and for `:name:` in what is sent. The names are a chunk of their own, loaded on first use.

import type { CompactEmoji, ShortcodesDataset } from "emojibase";
import { codeRanges } from "./code.ts";
import { plain } from "./names.ts";

/** An emoji and the name by which it was found. */
export interface EmojiName {
  emoji: string;
  name: string;
}

interface Entry {
  emoji: string;
  names: string[];
  /** Of its description. */
  words: string[];
}

interface Index {
  entries: Entry[];
  /** With skin tones, too. */
  byName: Map<string, string>;
}

const LOAD_MS_MAX = 10_000;
const SHORTCODE = /:([a-z0-9_+-]{1,64}):/gi;

let loading: Promise<Index> | undefined;

function load(): Promise<Index> {
  loading ??= Promise.all([
    import("emojibase-data/en/compact.json"),
    import("emojibase-data/en/shortcodes/emojibase.json"),
    import("emojibase-data/en/shortcodes/github.json"),
  ]).then(([data, ...shortcodes]) =>
    indexOf(
      data.default,
      shortcodes.map((names) => names.default),
    ),
  );
  loading.catch(() => {
    loading = undefined; // so that the next use tries again
  });
  return loading;
}

function indexOf(data: readonly CompactEmoji[], shortcodes: readonly ShortcodesDataset[]): Index {
  const entries: Entry[] = [];
  const byName = new Map<string, string>();
  const namesOf = ({ hexcode, unicode }: CompactEmoji) => {
    const names = [...new Set(shortcodes.flatMap((dataset) => dataset[hexcode] ?? []))];
    for (const name of names) if (!byName.has(name)) byName.set(name, unicode);
    return names;
  };
  for (const emoji of data) {
    if (emoji.order === undefined) continue; // parts of flags
    const words = [emoji.label, ...(emoji.tags ?? [])].flatMap((text) =>
      plain(text).split(/[^\p{L}\p{N}]+/u),
    );
    entries.push({ emoji: emoji.unicode, names: namesOf(emoji), words });
    for (const toned of emoji.skins ?? []) namesOf(toned);
  }
  return { entries, byName };
}

/** Emoji whose names or descriptions fit, the best first. It fails when the names can't be loaded. */
export async function searchEmoji(query: string, limit: number): Promise<EmojiName[]> {
  const wanted = plain(query).replace(/[\s-]+/g, "_");
  if (wanted === "") return [];
  const { entries } = await withinTime(load());
  const found: (EmojiName & { rank: number })[] = [];
  for (const { emoji, names, words } of entries) {
    const ranked = names.map((name) => ({ emoji, name, rank: rankOf(name, wanted) }));
    const best = ranked.reduce((a, b) => (b.rank < a.rank ? b : a), {
      emoji,
      name: names[0] ?? "",
      rank: NOT_FOUND,
    });
    if (best.name === "") continue;
    if (best.rank < NOT_FOUND) found.push(best);
    else if (words.some((word) => word.startsWith(wanted))) found.push({ ...best, rank: BY_WORD });
  }
  return found
    .sort((a, b) => a.rank - b.rank)
    .slice(0, limit)
    .map(({ emoji, name }) => ({ emoji, name }));
}

const [WHOLE, AT_BEGIN, AT_WORD, BY_WORD, NOT_FOUND] = [0, 1, 2, 3, 4];

function rankOf(name: string, wanted: string): number {
  if (name === wanted) return WHOLE;
  if (name.startsWith(wanted)) return AT_BEGIN;
  return name.includes(`_${wanted}`) ? AT_WORD : NOT_FOUND;
}

/** What gives a text with `:name:` as emoji. It fails when the names can't be loaded. */
export async function loadSpelling(): Promise<(text: string) => string> {
  const { byName } = await withinTime(load());
  return (text) => replaceShortcodes(text, byName);
}

/** Replaces names of emoji, except in code and addresses. */
function replaceShortcodes(text: string, byName: ReadonlyMap<string, string>): string {
  const code = codeRanges(text);
  let [out, at] = ["", 0];
  SHORTCODE.lastIndex = 0;
  for (let found = SHORTCODE.exec(text); found; found = SHORTCODE.exec(text)) {
    const { index: start, 0: written } = found;
    const emoji = byName.get((found[1] ?? "").toLowerCase());
    const isIn = ([from, to]: readonly [number, number]) => from < start + written.length && start < to;
    if (!emoji || isPartOfMore(text, start, written, at) || code.some(isIn)) {
      SHORTCODE.lastIndex = start + written.length - 1; // its end may be the next one's begin
      continue;
    }
    out += text.slice(at, start) + emoji;
    at = start + written.length;
  }
  return out + text.slice(at);
}

/** In an address, as `10:100:5`, or as `std::fire::x`. */
function isPartOfMore(text: string, start: number, written: string, lastEnd: number): boolean {
  const before = text.slice(Math.max(lastEnd, start - 300), start);
  if (before.endsWith(":") || /(?:[a-z0-9]:\/\/|www\.)\S*$/i.test(before)) return true;
  return /[\p{L}\p{N}]$/u.test(before) && /^:[0-9]+:$/.test(written);
}

function withinTime<T>(work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("The names of emoji took too long.")), LOAD_MS_MAX);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
