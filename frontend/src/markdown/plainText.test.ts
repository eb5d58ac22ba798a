import { expect, test } from "vitest";
import { isEmojiOnly } from "./emojiOnly.ts";
import { plainText } from "./plainText.ts";

test("the text without its marks, on one line", () => {
  for (const [source, text] of [
    ["hello", "hello"],
    ["*a* **b** ~~c~~ `d`", "a b c d"],
    ["# a\nb\n\nc", "a b c"],
    ["> quoted\nanswer", "quoted answer"],
    ["- a\n- b\n\n1. c", "a b 1. c"],
    ["- [x] done", "☑ done"],
    ["```rust\nfn main() {\n}\n```", "fn main() { }"],
    ["[text](https://a.example) https://b.example", "text https://b.example"],
    ["![alt](https://a.example/p.png)", "alt"],
    ["@ada \\*x\\*", "@ada *x*"],
    ["a\u202eb\u2067c\u200f", "abc"],
    ["a\u0007\tb", "a b"],
    ["", ""],
    [">", ">"],
  ]) {
    expect(plainText(source ?? ""), source).toBe(text);
  }
});

test("it is cut between characters", () => {
  expect(plainText("👍👍👍", 2)).toBe("👍👍…");
  expect(plainText("ab cd", 3)).toBe("ab…");
  expect(plainText("a".repeat(8_000)).length).toBe(141);
  expect(plainText(`${"[".repeat(4_000)}a`, 10)).toBe(`${"[".repeat(10)}…`);
});

test("up to three emoji alone", () => {
  for (const source of [
    "👍",
    "👍👍",
    "👍 🎉\n❤️",
    "👍🏽",
    "👩‍👩‍👧‍👦",
    "👩🏽‍💻",
    "🏳️‍🌈",
    "🇩🇪",
    "🇩🇪🇫🇷",
    "1️⃣",
    "#️⃣",
    "*⃣",
    "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "❤️‍🔥",
    "🤷‍♂️",
    "🤷🏽‍♀️",
    "👁️‍🗨️",
    "☺️",
    " 😀 ",
    "🫱🏻‍🫲🏿",
  ]) {
    expect(isEmojiOnly(source), source).toBe(true);
  }
  for (const source of [
    "",
    " ",
    "a",
    "👍 a",
    "👍👍👍👍",
    "1",
    "12",
    "#",
    "*",
    "©",
    "™",
    "❤",
    ":)",
    "🇩",
    "\u200d",
    "\ufe0f",
    "👍\u200d",
    "🏽a",
    "👍".repeat(4_000),
  ]) {
    expect(isEmojiOnly(source), source).toBe(false);
  }
});
