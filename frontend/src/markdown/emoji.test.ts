import { expect, test } from "vitest";
import { loadSpelling, searchEmoji } from "./emoji.ts";

const replaceShortcodes = async (text: string) => (await loadSpelling())(text);

test("emoji are found by name and by description, the best first", async () => {
  const first = async (query: string) => (await searchEmoji(query, 1))[0];
  expect(await first("tada")).toEqual({ emoji: "🎉", name: "tada" });
  expect(await first("+1")).toEqual({ emoji: "👍️", name: "+1" });
  expect(await first("thumbsup")).toEqual({ emoji: "👍️", name: "thumbsup" });
  expect((await first("heart"))?.emoji).toBe("❤️");
  expect((await first("Rocket"))?.emoji).toBe("🚀");
  expect((await first("zebra"))?.emoji).toBe("🦓");
  const smiles = await searchEmoji("smil", 8);
  expect(smiles).toHaveLength(8);
  for (const { name } of smiles) expect(name).toMatch(/^smil/);
  expect((await searchEmoji("celebration", 20)).map(({ emoji }) => emoji)).toContain("🎉");
  expect(await searchEmoji("", 8)).toEqual([]);
  expect(await searchEmoji("qqqq", 8)).toEqual([]);
  expect(await searchEmoji("(", 8)).toEqual([]);
});

test("names between colons become emoji, but in code, addresses and numbers", async () => {
  for (const [text, expected] of [
    ["nice :tada:!", "nice 🎉!"],
    [":TADA::rocket:", "🎉🚀"],
    ["well:tada:", "well🎉"],
    [":nothing_of_that_name: :tada:", ":nothing_of_that_name: 🎉"],
    [":no :tada:", ":no 🎉"],
    ["`:tada:` :tada:", "`:tada:` 🎉"],
    ["```\n:tada:\n```\n:tada:", "```\n:tada:\n```\n🎉"],
    ["    :tada:", "    :tada:"],
    ["https://a.example/:tada: :tada:", "https://a.example/:tada: 🎉"],
    ["10:100:5", "10:100:5"],
    [":100:", "💯"],
    ["std::fire::x", "std::fire::x"],
    [":toString: :constructor: :__proto__:", ":toString: :constructor: :__proto__:"],
    ["a: b: c", "a: b: c"],
    ["", ""],
  ]) {
    expect(await replaceShortcodes(text ?? ""), text).toBe(expected);
  }
  expect(await replaceShortcodes(":thumbsup_tone3:")).toBe("👍🏽");
});

test("hostile texts are quick", async () => {
  await replaceShortcodes(":tada:");
  for (const text of [
    ":".repeat(8_000),
    ":a".repeat(4_000),
    ":tada:".repeat(1_300),
    `https://${":tada:".repeat(1_300)}`,
    `${"a".repeat(300)}:tada:`.repeat(26),
  ]) {
    const before = process.cpuUsage().user;
    await replaceShortcodes(text);
    expect(process.cpuUsage().user - before, text.slice(0, 9)).toBeLessThan(400_000);
  }
});
