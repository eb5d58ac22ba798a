// Menus: where they are, and what they do.

import { list } from "./support/list.ts";
import { box, expect, messages, messageWith, test } from "./support/test.ts";

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

test("by keyboard the messages are one stop, and the arrows and Tab lead into each", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await server.room(bo, "links", [ana]);
  for (let index = 1; index <= 12; index += 1)
    await server.say(index % 2 ? ana : bo, room, `see https://example.org/${index}`);
  await server.read(ana, room, 12);
  const { page } = await open(ana, `/room/${room.id}`);
  await expect(messageWith(page, "/12")).toBeVisible();
  const stops: string[] = [];
  const back = async () => {
    await page.keyboard.press("Shift+Tab");
    stops.push(await page.evaluate(() => document.activeElement?.className ?? ""));
  };
  await box(page).focus();
  for (let step = 0; step < 4 && stops.at(-1) !== "list"; step += 1) await back();
  expect(stops.at(-1)).toBe("list");
  await back();
  await expect(page.locator(".room-head :focus")).toHaveCount(1);
  await page.keyboard.press("Tab");
  await expect(list(page)).toBeFocused();

  await page.keyboard.press("End");
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Tab");
  await expect(messageWith(page, "/11").getByRole("button").first()).toBeFocused(); // the author
  await page.keyboard.press("Tab");
  await expect(messageWith(page, "/11").getByRole("link")).toBeFocused();
  await page.keyboard.press("Tab");
  await expect(page.getByRole("toolbar").locator(":focus")).toHaveCount(1);
  // Nothing stays out of reach of the pointer.
  await messageWith(page, "/5").getByRole("button").first().click();
  await expect(page.getByRole("dialog")).toBeVisible();
});

test("a press is for no other message than the one whose tools were beneath the pointer", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await server.room(bo, "moving", [ana]);
  for (let index = 0; index < 30; index += 1) await server.say(bo, room, `line ${index}`);
  await server.read(ana, room, 30);
  const { page } = await open(ana, `/room/${room.id}`);
  await messageWith(page, "line 25").hover();
  const tools = page.getByRole("toolbar");
  await tools.getByRole("button", { name: "👍" }).hover();
  const at = await tools.getByRole("button", { name: "👍" }).boundingBox();
  for (let index = 1; index <= 3; index += 1) {
    await server.say(bo, room, `meanwhile ${index}`);
    await expect(messageWith(page, `meanwhile ${index}`)).toBeInViewport();
    await expect(tools).toHaveCount(0);
  }
  await page.mouse.down();
  await page.mouse.up();
  await server.say(bo, room, "after the press");
  await expect(messageWith(page, "after the press")).toBeInViewport();
  await expect(page.locator(".reaction")).toHaveCount(0);
  await expect(tools).toHaveCount(0);
  // Who moves the pointer has them again.
  await page.mouse.move((at?.x ?? 0) - 100, at?.y ?? 0);
  await expect(tools).toBeVisible();
  await messageWith(page, "line 27").hover();
  await tools.getByRole("button", { name: "👍" }).click();
  await expect(messages(page).filter({ has: page.locator(".reaction") })).toContainText("line 27");
});

test("a menu follows its message: it goes when that is deleted", async ({ server, account, open }) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await server.room(ana, "regrets", [bo]);
  const { seq } = await server.say(bo, room, "regret");
  const path = `/api/chat/rooms/${room.id}/messages/${seq}`;
  const { page } = await open(ana, `/room/${room.id}`);
  await messageWith(page, "regret").hover();
  await page.getByRole("toolbar").getByRole("button", { name: "More" }).click();
  await expect(page.getByRole("menuitem", { name: "Pin" })).toBeVisible();
  await server.must("PUT", `${path}/pin`, undefined, ana.token);
  await expect(page.getByRole("menuitem", { name: "Unpin" })).toBeVisible();
  await page.locator("[data-action=react]").click();
  await expect(page.getByRole("searchbox", { name: "Search emoji" })).toBeFocused();
  await server.must("DELETE", path, undefined, bo.token);
  await expect(page.locator(".emoji-picker")).toHaveCount(0);
  const last = await server.say(bo, room, "and another");
  await messageWith(page, "and another").hover();
  await page.getByRole("toolbar").getByRole("button", { name: "More" }).click();
  await expect(page.getByRole("menu")).toBeVisible();
  await server.must("DELETE", `/api/chat/rooms/${room.id}/messages/${last.seq}`, undefined, bo.token);
  await expect(page.getByRole("menu")).toHaveCount(0);
});

test("Escape in a menu that a key has opened leads back to where it was asked for", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const room = await server.room(ana, "keys");
  const { page } = await open(ana, `/room/${room.id}?panel=members`);
  for (const place of [page.locator(".room-link"), page.locator(".user")]) {
    for (const key of ["Shift+F10", "ContextMenu"]) {
      await place.focus();
      await page.keyboard.press(key);
      await expect(page.getByRole("menu")).toBeVisible();
      await page.keyboard.press("Escape");
      await expect(page.getByRole("menu")).toHaveCount(0);
      await expect(place).toBeFocused();
    }
  }
});
