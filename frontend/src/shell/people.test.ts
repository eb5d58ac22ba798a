import { expect, test } from "vitest";
import { initials } from "./people.ts";

test("initials are letters or digits, or an emoji, each of them whole", () => {
  for (const [name, expected] of [
    ["ana", "A"],
    ["Ana Silva", "AS"],
    ["ana.maria-lund", "AL"],
    ["🦊 Fox (she/her)", "F"],
    ["🇩🇪 Anna", "A"],
    ["🇩🇪", "🇩🇪"],
    ["👩🏽‍🚒 🦊", "👩🏽‍🚒"],
    ["❤️", "❤️"],
    ["«Zoë» O’Brien", "ZO"],
    ["(Bo) Lund", "L"],
    ["(bo)", ""],
    ["...", ""],
    ["7 of 9", "79"],
    ["e\u0301va", "E\u0301"],
    [`Z${"\u0301".repeat(50)}algo`, "Z\u0301\u0301"],
    ["王 小明", "王小"],
    ["עברית שם", "עש"],
  ] as const)
    expect(initials(name), name).toBe(expected);
});
