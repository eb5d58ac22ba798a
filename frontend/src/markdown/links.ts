// Which addresses become links, and where they end in a text. Web and mail addresses only: no other scheme is ever one.

import { ADDRESS_END } from "./names.ts";

/** Stands for each character of a mention while Markdown is parsed, so that no sign of Markdown is found in a name. */
export const MASK = "\uffff";

const ADDRESS_LENGTH_MAX = 2_048;
/** Direction marks and what has no width, within a class of a regular expression. They end an address. */
const INVISIBLE = "\\u061c\\u200b\\u200e\\u200f\\u202a-\\u202e\\u2060\\u2066-\\u2069\\ufeff";
const WEB = new RegExp(
  `(?:https?:\\/\\/|www\\.)[^${ADDRESS_END}\\p{Cc}${INVISIBLE}\`\\\\${MASK}]{1,${ADDRESS_LENGTH_MAX}}`,
  "iuy",
);
const MAIL =
  /(?:mailto:)?[\w.+-]{1,64}@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,8}[a-z]{2,63}(?![\w-])/iy;
const WHOLE_MAIL = new RegExp(`^${MAIL.source}(?:\\?[^\\s${MASK}]*)?$`, "i");
const ANGLE = new RegExp(`<([^<>\\s${MASK}]{1,${ADDRESS_LENGTH_MAX}})>`, "y");
const TARGET_TITLE = new RegExp(
  `[ \\t]+(?:"([^"\\n${MASK}]{0,300})"|'([^'\\n${MASK}]{0,300})')[ \\t]*(?=\\))`,
  "y",
);
const TARGET_BEGIN = /\([ \t]*(<?)(?=https?:|www\.|mailto:)/iy;
/** What looks like an address, with its host: behind a scheme, four numbers, or words with dots between them. */
const ADDRESS_LIKE =
  /(?::\/\/([^\s/?#]+)|(\d{1,3}(?:\.\d{1,3}){3}|[\p{L}\p{N}-]+(?:[.。｡][\p{L}\p{N}-]+)*[.。｡]\p{L}{2,}))(?:[/?#]\S*)?/gu;

const OPENERS = new Map([
  [")", "("],
  ["]", "["],
  ["}", "{"],
]);

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

/** The address to go to for one that was written, or null where it is none that a link may have. */
export function hrefOf(address: string): string | null {
  if (address.length > ADDRESS_LENGTH_MAX) return null;
  if (WHOLE_MAIL.test(address)) return /^mailto:/i.test(address) ? address : `mailto:${address}`;
  if (/^www\.[^./?#]+\.[^.]/i.test(address)) return hrefOf(`https://${address}`);
  if (!/^https?:\/\/[^/\\?#]/i.test(address)) return null;
  try {
    const url = new URL(address);
    // A user's name in front of the host makes another host seem to be meant.
    return url.username || url.password ? null : url.href;
  } catch {
    return null;
  }
}

/** Where the web or mail address ends that begins here, or -1. */
export function addressEnd(text: string, at: number): number {
  const before = at > 0 ? text.charAt(at - 1) : "";
  if (/h/i.test(text.charAt(at)) ? !/[a-z0-9+]/i.test(before) : !/[\w+.@-]/.test(before)) {
    const address = withoutEnd(matchAt(WEB, text, at)?.[0] ?? "");
    if (hrefOf(address)) return at + address.length;
  }
  if (/[\w.+/-]/.test(before)) return -1;
  const mail = matchAt(MAIL, text, at)?.[0];
  return mail === undefined ? -1 : at + mail.length;
}

/** Takes off what belongs to the sentence around an address: a bracket that it didn't open, signs of emphasis, full stops. */
function withoutEnd(word: string): string {
  const open: string[] = [];
  let end = 0;
  for (; end < word.length; end += 1) {
    const c = word.charAt(end);
    const opener = OPENERS.get(c);
    if (opener !== undefined && open.pop() !== opener) break;
    if ((c === "*" || c === "~") && word.charAt(end + 1) === c) break;
    if (c === "(" || c === "[" || c === "{") open.push(c);
  }
  while (end > 0 && ".,:;!?'*_~([{".includes(word.charAt(end - 1))) end -= 1;
  return word.slice(0, end);
}

/** Where `<https://…>` ends that begins here, or -1. */
export function angleEnd(text: string, at: number): number {
  const found = matchAt(ANGLE, text, at);
  return found?.[1] !== undefined && hrefOf(found[1]) ? at + found[0].length : -1;
}

/** What follows `[text]`: `(address)` or `(address "title")`, on one line. */
export interface Target {
  href: string;
  title: string | null;
  end: number;
}

export function targetAt(text: string, at: number): Target | null {
  const begin = matchAt(TARGET_BEGIN, text, at);
  if (!begin) return null;
  const start = at + begin[0].length;
  const end = begin[1] ? text.indexOf(">", start) : plainTargetEnd(text, start);
  if (end < 0 || end - start > ADDRESS_LENGTH_MAX) return null;
  const written = text.slice(start, end);
  if (/[\n<]/.test(written) || written.includes(MASK)) return null;
  const href = hrefOf(written.replace(/\\([!-/:-@[-`{-~])/g, "$1"));
  if (!href) return null;
  const after = begin[1] ? end + 1 : end;
  const title = matchAt(TARGET_TITLE, text, after);
  const close = title
    ? after + title[0].length
    : after + (/^[ \t]*/.exec(text.slice(after, after + 99))?.[0].length ?? 0);
  return text.charAt(close) === ")"
    ? { href, title: title?.[1] ?? title?.[2] ?? null, end: close + 1 }
    : null;
}

function plainTargetEnd(text: string, start: number): number {
  let depth = 0;
  for (let at = start; at < text.length && at - start <= ADDRESS_LENGTH_MAX; at += 1) {
    const c = text.charAt(at);
    if (c === "\\") at += 1;
    else if (c === "(") depth += 1;
    else if (/\s/.test(c) || (c === ")" && depth === 0)) return at;
    else if (c === ")") depth -= 1;
  }
  return -1;
}

/** A room of this server, perhaps with one of its messages. */
export interface Place {
  roomId: number;
  seq?: number;
}

/** The room that an address of this server leads to, or null. */
export function placeOf(href: string, origin: string): Place | null {
  if (!origin || !href.startsWith(origin)) return null;
  const found = /^\/room\/([1-9]\d{0,15})(?:\/([1-9]\d{0,15}))?\/?$/.exec(href.slice(origin.length));
  if (!found) return null;
  const [roomId, seq] = [Number(found[1]), Number(found[2] ?? 1)];
  if (!Number.isSafeInteger(roomId) || !Number.isSafeInteger(seq)) return null;
  return found[2] === undefined ? { roomId } : { roomId, seq };
}

/** The real host (of mail, the address) where a link's text looks like another one's, else null. */
export function hostBehind(text: string, href: string): string | null {
  const plain = text
    .slice(0, ADDRESS_LENGTH_MAX)
    .normalize("NFKC")
    .replace(/\p{Cf}/gu, "")
    .toLowerCase();
  const hosts = [...plain.matchAll(ADDRESS_LIKE)].map(([, behind, alone]) => behind ?? alone ?? "");
  if (text.length > ADDRESS_LENGTH_MAX) hosts.push(""); // one may stand behind that
  if (hosts.length === 0) return null;
  if (href.startsWith("http")) {
    const { host } = new URL(href);
    return hosts.every((shown) => bare(shown) === bare(host)) ? null : host;
  }
  const mail = href.slice(href.indexOf(":") + 1).replace(/\?.*$/, "");
  return plain.includes(mail.toLowerCase()) ? null : mail;
}

/** A host's name in the form that is compared; one that isn't any stays as it is. */
function bare(host: string): string {
  try {
    const url = new URL(`https://${host}`);
    return url.username ? host : url.host.replace(/^www\./, "");
  } catch {
    return host;
  }
}
