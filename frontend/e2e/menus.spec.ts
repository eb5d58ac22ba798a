// Menus: where they are, and what they do.

import { expect, messageWith, test } from "./support/test.ts";

test("a menu stays where it was opened when the pointer goes to it", async ({ server, account, open }) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await server.room(bo, "menus", [ana]);
  await server.say(bo, room, "one");
  const { page } = await open(ana, `/room/${room.id}`);
  await messageWith(page, "one").hover();
  const more = page.getByRole("toolbar").getByRole("button", { name: "More" });
  await more.click();
  const menu = page.getByRole("menu");
  await expect(menu).toBeVisible();
  const before = await menu.boundingBox();
  await page.getByRole("menuitem", { name: "Copy text" }).hover();
  await expect(more).toHaveCount(0); // the tools belong to the row under the pointer
  // Whatever follows the button has had its time.
  await page.evaluate(() => new Promise((done) => setTimeout(done, 500)));
  await page.setViewportSize({ width: 1270, height: 790 });
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  expect(await menu.boundingBox()).toEqual(before);
});
