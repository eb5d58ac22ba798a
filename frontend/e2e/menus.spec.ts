// Menus: where they are, and what they do.

import { list } from "./support/list.ts";
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

test("a row that stays beneath the pointer has its tools again after a scroll", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await server.room(bo, "scrolled", [ana]);
  for (let index = 0; index < 30; index += 1) await server.say(bo, room, `line ${index}`);
  await server.read(ana, room, 30);
  const { page } = await open(ana, `/room/${room.id}`);
  const target = messageWith(page, "line 25");
  await target.hover();
  const tools = page.getByRole("toolbar").getByRole("button", { name: "More" });
  await expect(tools).toBeVisible();
  await list(page).evaluate((element) => {
    element.addEventListener("scrollend", () => element.setAttribute("data-scrolled", ""), { once: true });
    element.scrollTop -= 3;
  });
  await expect(list(page)).toHaveAttribute("data-scrolled", "");
  await expect(tools).toBeVisible();
});
