import assert from "node:assert/strict";
import { test } from "node:test";
import { readFileSync } from "node:fs";
import { begunName, plain } from "./names.js";
import { deviceName, oneLine, pieces, tooManyWords, typingWords } from "./text.js";

const people = [{ id: 1, username: "ada" }, { id: 2, username: "ada.l" }, { id: 3, username: "Émile-2" }];
const shown = (content, more = {}) => pieces(content, { people, me: 1, ...more })
  .map(({ text, address, mention, me }) => (address ? `<${text}>` : mention ? `[${text}${me ? "!" : ""}]` : text)).join("");

test("addresses are pieces of their own, without the stop that ends the sentence", () => {
  assert.equal(shown("see https://example.org/a?b=c. (http://x.example/)"), "see <https://example.org/a?b=c>. (<http://x.example/>)");
  assert.equal(shown("javascript:alert(1) <b>"), "javascript:alert(1) <b>");
});

test("mentions: the longest name wins, in any case, and not within a word", () => {
  assert.equal(shown("@ada, @ADA.L and @ada.l. or @Ada."), "[@ada!], [@ADA.L] and [@ada.l]. or [@Ada!].");
  assert.equal(shown("mail x@ada and .@ada and @adam and @émile-2--"), "mail x@ada and .@ada and @adam and [@émile-2]--");
  assert.equal(shown("(@ada) https://x.example/@ada"), "([@ada!]) <https://x.example/@ada>");
});

test("@all is one only where the server says so, and unknown people are text", () => {
  assert.equal(shown("@all @ben"), "@all @ben");
  assert.equal(shown("@all @ben", { all: true }), "[@all!] @ben");
  assert.deepEqual(pieces(""), []);
});

test("what is marked is what the server counts", () => {
  const { users, texts } = JSON.parse(readFileSync(new URL("../tests/fixtures/mentions.json", import.meta.url)));
  assert.ok(texts.length >= 100);
  for (const [marked, names] of texts) {
    const people = users.map((username, id) => ({ id, username })).filter(({ username }) => names.includes(username));
    const found = pieces(marked.replace(/[«»]/g, ""), { people, all: names.includes("all") });
    assert.equal(found.map(({ text, mention }) => (mention ? `«${text}»` : text)).join(""), marked);
    // Whoever is named in quiet places alone isn't marked there when somebody else's mention is.
    const everybody = pieces(marked.replace(/[«»]/g, ""), { people: users.map((username, id) => ({ id, username })), all: true });
    assert.equal(everybody.map(({ text, mention }) => (mention ? `«${text}»` : text)).join(""), marked);
  }
});

test("what is being written after an @", () => {
  for (const [text, name] of [
    ["@", ""], ["hello @ad", "ad"], ["请@bo", "bo"], ["ขอ@น้อ", "น้อ"], ["x@ad", null], ["@ad ", null], ["", null], ["@ada @İst", "İst"],
  ]) {
    assert.equal(begunName(text), name, text);
  }
});

test("what is looked for is plain", () => {
  for (const text of ["İstanbul", "istanbul", "ISTANBUL", "ıstanbul"]) assert.equal(plain(text), "istanbul");
  for (const text of ["O'Neil", "o’neil", "Oʼneil", "Oʻneil"]) assert.equal(plain(text), "o'neil");
});

test("hostile texts are quick", () => {
  for (const content of [
    "@".repeat(8_000), "@ada.".repeat(1_600), `@${"-.".repeat(4_000)}`, "https://".repeat(1_000), `@${"漢".repeat(7_999)}`, "@漢".repeat(4_000),
    `@${"漢".repeat(60)} `.repeat(130), `@${"a漢".repeat(30)} `.repeat(130),
    "`@a".repeat(2_600), "`@``@".repeat(1_600), `${"> ".repeat(3_999)}@a`, `${"- + ".repeat(1_999)}@a`, "- @a\n".repeat(1_600), "www.@".repeat(1_600),
    `@${`a${"\u200d".repeat(7_000)}`}`,
  ]) {
    const before = process.cpuUsage().user; // in microseconds: not the time that others take
    shown(content);
    assert.ok(process.cpuUsage().user - before < 1_000_000, content.slice(0, 9));
  }
});

test("one line, cut between characters", () => {
  assert.equal(oneLine(" a\n\n b "), "a b");
  assert.equal(oneLine("👍👍👍", 2), "👍👍…");
});

test("who types, in words", () => {
  assert.deepEqual([[], ["A"], ["A", "B"], ["A", "B", "C"]].map(typingWords),
    ["", "A is typing…", "A and B are typing…", "A and 2 others are typing…"]);
});

test("devices, by what they say of themselves", () => {
  const webkit = "AppleWebKit/605.1.15 (KHTML, like Gecko)";
  for (const [userAgent, name] of [
    ["Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"],
    [`Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${webkit} Chrome/142.0.0.0 Safari/537.36`, "Chrome on Windows"],
    [`Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${webkit} Chrome/142.0.0.0 Safari/537.36 Edg/142.0`, "Edge on Windows"],
    [`Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) ${webkit} Version/26.0 Safari/605.1.15`, "Safari on macOS"],
    [`Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) ${webkit} Version/26.0 Mobile/15E148 Safari/604.1`, "Safari on iPhone"],
    [`Mozilla/5.0 (Linux; Android 15; Pixel 9) ${webkit} Chrome/142.0.0.0 Mobile Safari/537.36`, "Chrome on Android"],
    ["curl/8.14.1", "curl/8.14.1"],
    ["", "Unknown device"],
  ]) {
    assert.equal(deviceName(userAgent), name);
  }
  assert.ok(deviceName("x".repeat(10_000)).length < 70);
});

test("how long to wait", () => {
  for (const [seconds, span] of [[1, "1 second"], [119, "119 seconds"], [121, "3 minutes"], [0, "a moment"], [NaN, "a moment"]]) {
    assert.equal(tooManyWords(seconds), `Too many requests. Try again in ${span}.`);
  }
});
