import assert from "node:assert/strict";
import { test } from "node:test";
import { oneLine, pieces, typingWords } from "./text.js";

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

test("hostile texts are quick", () => {
  for (const content of ["@".repeat(8_000), "@ada.".repeat(1_600), `@${"-.".repeat(4_000)}`, "https://".repeat(1_000)]) {
    const before = performance.now();
    shown(content);
    assert.ok(performance.now() - before < 100, content.slice(0, 9));
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
