import { describe, expect, test } from "vitest";
import fixture from "../../../tests/fixtures/mentions.json";
import { begunName, fold, mentionsIn, plain } from "./names.ts";

declare const process: { cpuUsage(): { user: number } };

const PEOPLE = ["ada", "ada.l", "Émile-2"];

/** The text with its mentions in brackets. */
function marked(text: string, names: readonly string[] = PEOPLE, [open, close] = "[]"): string {
  let [done, from] = ["", 0];
  for (const { start, end } of mentionsIn(text, new Set(names.map(fold)))) {
    done += `${text.slice(from, start)}${open}${text.slice(start, end)}${close}`;
    from = end;
  }
  return done + text.slice(from);
}

test("the longest name wins, in any case, and not within a word", () => {
  expect(marked("@ada, @ADA.L and @ada.l. or @Ada.")).toBe("[@ada], [@ADA.L] and [@ada.l]. or [@Ada].");
  expect(marked("mail x@ada and .@ada and @adam and @émile-2--")).toBe(
    "mail x@ada and .@ada and @adam and [@émile-2]--",
  );
  expect(marked("(@ada) https://x.example/@ada")).toBe("([@ada]) https://x.example/@ada");
});

test("@all is one only where the server says so, and unknown people are text", () => {
  expect(marked("@all @ben")).toBe("@all @ben");
  expect(marked("@all @ben", [...PEOPLE, "all"])).toBe("[@all] @ben");
  expect(mentionsIn("", new Set(["ada"]))).toEqual([]);
});

describe("what is marked is what the server counts", () => {
  const { users } = fixture;
  const texts = fixture.texts as [string, string[]][];
  test("there are many texts", () => expect(texts.length).toBeGreaterThanOrEqual(100));
  test.each(texts)("%s", (expected, names) => {
    const text = expected.replace(/[«»]/g, "");
    expect(marked(text, names, "«»")).toBe(expected);
    // Whoever is named in quiet places alone isn't marked there when somebody else's mention is.
    expect(marked(text, [...users, "all"], "«»")).toBe(expected);
  });
});

test("what is being written after an @", () => {
  const cases: [string, string | null][] = [
    ["@", ""],
    ["hello @ad", "ad"],
    ["请@bo", "bo"],
    ["ขอ@น้อ", "น้อ"],
    ["x@ad", null],
    ["@ad ", null],
    ["", null],
    ["@ada @İst", "İst"],
  ];
  for (const [text, name] of cases) expect(begunName(text), text).toBe(name);
});

test("what is looked for is plain", () => {
  for (const text of ["İstanbul", "istanbul", "ISTANBUL", "ıstanbul"]) expect(plain(text)).toBe("istanbul");
  for (const text of ["O'Neil", "o’neil", "Oʼneil", "Oʻneil"]) expect(plain(text)).toBe("o'neil");
});

test.each([
  "@".repeat(8_000),
  "@ada.".repeat(1_600),
  `@${"-.".repeat(4_000)}`,
  "https://".repeat(1_000),
  `@${"漢".repeat(7_999)}`,
  "@漢".repeat(4_000),
  `@${"漢".repeat(60)} `.repeat(130),
  `@${"a漢".repeat(30)} `.repeat(130),
  "`@a".repeat(2_600),
  "`@``@".repeat(1_600),
  `${"> ".repeat(3_999)}@a`,
  `${"- + ".repeat(1_999)}@a`,
  "- @a\n".repeat(1_600),
  "www.@".repeat(1_600),
  `@${`a${"\u200d".repeat(7_000)}`}`,
])("hostile texts are quick: %.9s", (content) => {
  const before = process.cpuUsage().user; // in microseconds: not the time that others take
  mentionsIn(content, new Set(PEOPLE.map(fold)));
  expect(process.cpuUsage().user - before).toBeLessThan(1_000_000);
});
