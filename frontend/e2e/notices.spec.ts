// What calls for the reader: unread in the list, the title and the icon, and the browser's notifications.

import { canLoseFocus, clickNotification, giveFocus, listNotifications } from "./support/stand-ins.ts";
import { box, expect, messageWith, type Page, type Room, test } from "./support/test.ts";

const linkOf = (page: Page, room: Room) => page.locator(`.room-link[data-room='${room.id}']`);

test("23: one notification per message, not one per tab", async ({ server, account, open }) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await server.room(ana, "loud", [bo]);
  const { page, context } = await open(ana);
  const told = await listNotifications(context);
  await canLoseFocus(context);
  await page.goto(server.url);
  const tabs = [page, await context.newPage(), await context.newPage()];
  for (const tab of tabs) {
    await tab.goto(server.url);
    await expect(linkOf(tab, room)).toBeVisible();
    await giveFocus(tab, false);
  }
  for (let index = 1; index <= 8; index += 1) await server.say(bo, room, `message ${index}`);
  for (const tab of tabs) await expect(linkOf(tab, room).locator(".count")).toHaveText(/^8/);
  await expect.poll(() => told.length).toBeGreaterThanOrEqual(8);
  await page.waitForTimeout(500); // a tab that tells twice would do it now
  expect(told.map(({ body }) => body).sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8].map((n) => `message ${n}`));
});

test("28: unread shows in the list, the title, the icon and on the app's badge; what is for me differs", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await server.room(ana, "unread here", [bo]);
  const other = await server.room(ana, "open here");
  const { page, context } = await open(ana);
  await context.addInitScript(() => {
    const badges: number[] = [];
    Object.assign(window, { e2eBadges: badges });
    const setAppBadge = async (count: number) => void badges.push(count);
    const clearAppBadge = async () => void badges.push(0);
    Object.defineProperties(navigator, {
      setAppBadge: { value: setAppBadge },
      clearAppBadge: { value: clearAppBadge },
    });
  });
  await page.goto(`${server.url}/room/${other.id}`);
  const badge = () => page.evaluate(() => (window as unknown as { e2eBadges: number[] }).e2eBadges.at(-1));
  const icon = () => page.locator("link[rel=icon]").getAttribute("href");
  const link = linkOf(page, room);
  await expect(page).toHaveTitle("open here · Hearth");
  await expect.poll(icon).toBe("/favicon.svg");

  await server.say(bo, room, "to nobody in particular");
  await expect(link).toHaveAttribute("data-new", "true");
  await expect(link.locator(".count")).toHaveText("11 unread message");
  await expect(link.locator(".badge")).toHaveCount(0);
  await expect(page).toHaveTitle("• open here · Hearth");
  await expect.poll(icon).toMatch(/^data:image\/png/);
  const dot = await icon();
  expect(await badge()).toBe(0);

  await server.say(bo, room, `look, @${ana.username}`);
  await expect(link.locator(".badge")).toHaveText("11 message for you");
  await expect(page).toHaveTitle("(1) open here · Hearth");
  await expect.poll(icon).not.toBe(dot);
  await expect.poll(badge).toBe(1);

  await link.click();
  await expect(page).toHaveTitle("unread here · Hearth");
  await expect.poll(icon).toBe("/favicon.svg");
  await expect.poll(badge).toBe(0);
  await expect(link).toHaveAttribute("data-new", "false");
});

test("29: notifications only of what I don't see; a click opens the place", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana"), await account("bo", "Bo Lund")];
  const here = await server.room(ana, "in view", [bo]);
  const there = await server.room(ana, "out of view", [bo]);
  const { page, context } = await open(ana);
  const told = await listNotifications(context);
  await canLoseFocus(context);
  await page.goto(`${server.url}/room/${here.id}`);
  await expect(box(page)).toBeVisible();
  await server.say(bo, here, "seen at once");
  await expect(messageWith(page, "seen at once")).toBeVisible();
  await server.say(bo, there, "**not** seen");
  await expect.poll(() => told.length).toBe(1);
  expect(told[0]).toMatchObject({ title: "Bo Lund in out of view", body: "not seen" });
  await clickNotification(page);
  await expect(page).toHaveURL(`${server.url}/room/${there.id}/1`);
  await expect(messageWith(page, "not seen")).toBeInViewport();

  await giveFocus(page, false);
  await server.say(bo, there, "open, but nobody looks");
  await expect.poll(() => told.length).toBe(2);
  await giveFocus(page, true);
  await server.say(ana, here, "by myself, from another device");
  await server.say(bo, here, "the last");
  await expect.poll(() => told.at(-1)?.body).toBe("the last");
  expect(told).toHaveLength(3);
});

test("29: a room tells of all, of mentions, or of nothing", async ({ server, account, open }) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await server.room(ana, "chosen", [bo]);
  const other = await server.room(ana, "elsewhere", [bo]);
  const { page, context } = await open(ana);
  const told = await listNotifications(context);
  await page.goto(`${server.url}/room/${room.id}`);
  const choose = async (what: string): Promise<void> => {
    await linkOf(page, room).click();
    await page.getByRole("button", { name: "More", exact: true }).click();
    await page.getByRole("menuitem", { name: "Room settings" }).click();
    await page.getByRole("radio", { name: what }).check();
    await page.keyboard.press("Escape");
    await expect(page.getByRole("dialog")).toHaveCount(0);
    await linkOf(page, other).click();
    await expect(page).toHaveURL(new RegExp(`/room/${other.id}$`));
  };
  const bodies = () => told.map(({ body }) => body);
  await choose("Only mentions");
  await server.say(bo, room, "of no concern");
  await server.say(bo, room, `@${ana.username} one`);
  await expect.poll(bodies).toEqual([`@${ana.username} one`]);

  await choose("Nothing");
  await expect(linkOf(page, room)).toHaveAttribute("data-muted", "true");
  await server.say(bo, room, `@${ana.username} two`);
  await expect(linkOf(page, room)).toContainText("two");
  await choose("Everything");
  await server.say(bo, room, "three");
  await expect.poll(bodies).toEqual([`@${ana.username} one`, "three"]);
});
