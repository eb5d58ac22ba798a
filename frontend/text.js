// A message's text as pieces: plain text, web addresses and mentions. The page makes an element of each; there is no
// HTML on the way.

import { ADDRESS_END, fold, mentionsIn } from "./names.js";

const ADDRESS = new RegExp(`https?:\\/\\/[^${ADDRESS_END}]*[^${ADDRESS_END}'.,;:!?)\\]}]`, "gu");

/**
 * `people`: those of `mentions` whose names are known; `me`: my id. Pieces are {text}, {text, address} and
 * {text, mention: true, me}.
 */
export function pieces(content, { people = [], all = false, me = null } = {}) {
  const names = new Map(people.map((user) => [fold(user.username), user.id === me]));
  if (all) names.set("all", true);
  const marks = mentionsIn(content, names)
    .map(({ start, end, key }) => ({ start, end, piece: { mention: true, me: names.get(key) } }));
  for (const { 0: address, index } of content.matchAll(ADDRESS)) {
    marks.push({ start: index, end: index + address.length, piece: { address } });
  }
  const found = [];
  let from = 0;
  for (const { start, end, piece } of marks.sort((a, b) => a.start - b.start)) {
    if (start > from) found.push({ text: content.slice(from, start) });
    found.push({ text: content.slice(start, end), ...piece });
    from = end;
  }
  if (from < content.length) found.push({ text: content.slice(from) });
  return found;
}

/** The beginning of a text on one line. */
export function oneLine(content, chars_max = 140) {
  const line = content.replace(/\s+/g, " ").trim();
  const chars = [...line.slice(0, 2 * chars_max + 2)];
  return chars.length > chars_max ? `${chars.slice(0, chars_max).join("")}…` : line;
}

/** "Ana is typing", with at most two names. */
export function typingWords(names) {
  if (names.length === 0) return "";
  if (names.length === 1) return `${names[0]} is typing…`;
  if (names.length === 2) return `${names[0]} and ${names[1]} are typing…`;
  return `${names[0]} and ${names.length - 1} others are typing…`;
}

/** How long to wait, as far as it was told. */
export function tooManyWords(seconds) {
  const [count, unit] = seconds < 120 ? [seconds, "second"] : [Math.ceil(seconds / 60), "minute"];
  const span = seconds > 0 ? `${count} ${unit}${count === 1 ? "" : "s"}` : "a moment";
  return `Too many requests. Try again in ${span}.`;
}

const BROWSERS = [
  ["Edge", /\bEdg(e|A|iOS)?\//], ["Opera", /\bOPR\//], ["Samsung Internet", /\bSamsungBrowser\//],
  ["Firefox", /\b(Firefox|FxiOS)\//], ["Chrome", /\b(Headless)?(Chrome|CriOS)\//], ["Safari", /\bVersion\/.*\bSafari\//],
];
const SYSTEMS = [
  ["iPhone", /\biPhone\b/], ["iPad", /\biPad\b/], ["Android", /\bAndroid\b/], ["ChromeOS", /\bCrOS\b/],
  ["Windows", /\bWindows\b/], ["macOS", /\bMac OS X\b/], ["Linux", /\bLinux\b/],
];

/** "Firefox on Linux", from what a device says of itself; programs that are no browser keep their own words. */
export function deviceName(userAgent) {
  const find = (list) => list.find(([, sign]) => sign.test(userAgent))?.[0];
  const [browser, system] = [find(BROWSERS), find(SYSTEMS)];
  if (!browser) return oneLine(userAgent, 60) || "Unknown device";
  return system ? `${browser} on ${system}` : browser;
}
