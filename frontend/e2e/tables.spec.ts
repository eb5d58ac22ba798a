// Tables in messages.

import { PHONE } from "./support/phone.ts";
import { expect, messageWith, test } from "./support/test.ts";

test("a table has its cells in columns, and a wide one scrolls by itself (phone)", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const room = await server.room(ana, "tables");
  await server.say(ana, room, "Prices:\n| what | price |\n|---|--:|\n| tea | 2 |\n| `milk` | 1 |");
  const row = (word: string) => `|${`${word}|`.repeat(20)}\n`;
  await server.say(ana, room, row("wide") + row("-") + row("word"));
  const { page } = await open(ana, `/room/${room.id}`, PHONE);
  const small = messageWith(page, "Prices:");
  await expect(small.getByRole("columnheader")).toHaveText(["what", "price"]);
  await expect(small.getByRole("cell")).toHaveText(["tea", "2", "milk", "1"]);
  const wide = messageWith(page, "wide").locator(".md-table");
  await expect(wide.getByRole("cell")).toHaveCount(20);
  const overflow = (element: Element): number => element.scrollWidth - element.clientWidth;
  expect(await wide.evaluate(overflow)).toBeGreaterThan(0);
  expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBe(0);
  await wide.getByRole("cell").last().scrollIntoViewIfNeeded();
  await expect(wide.getByRole("cell").last()).toBeInViewport();
});
