// The list of rooms as one goes through it: its order, its place, and the ways to it; and the head of a room.

import { PHONE } from "./support/phone.ts";
import { type Account, box, expect, type Page, type Room, type Server, test } from "./support/test.ts";

const link = (page: Page, room: Room) => page.locator(`.room-link[data-room="${room.id}"]`);
const names = (page: Page) => page.locator(".room-link__name").allTextContents();
const isAt = (page: Page, room: Room) => expect(page).toHaveURL(new RegExp(`/room/${room.id}$`));

/** Rooms of one's own; the last one is the first of the list. */
async function roomsOf(
  server: Server,
  owner: Account,
  count: number,
  members: Account[] = [],
): Promise<Room[]> {
  const rooms: Room[] = [];
  for (let index = 0; index < count; index += 1)
    rooms.push(await server.room(owner, `room ${index}`, members));
  return rooms;
}

test("a room that isn't mine has a way to the list, also without a connection (phone)", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await server.room(bo, "open to all");
  const { page } = await open(ana, `/room/${room.id}`, PHONE);
  await expect(page.getByRole("button", { name: "Join this room" })).toBeVisible();
  await page.getByRole("button", { name: "All rooms" }).tap();
  await expect(page.locator(".sidebar")).toBeVisible();
  await page.routeWebSocket(/\/ws$/, (socket) => void socket.close());
  await page.goto(`${server.url}/room/${room.id}`);
  await page.getByRole("button", { name: "All rooms" }).tap();
  await expect(page.locator(".sidebar")).toBeVisible();
});

test("the list is where it was left (phone)", async ({ server, account, open }) => {
  const ana = await account("ana");
  const rooms = await roomsOf(server, ana, 25);
  const { page } = await open(ana, "/", PHONE);
  const list = page.locator(".sidebar__list");
  await expect(page.locator(".room-link")).toHaveCount(25);
  await link(page, rooms[2] as Room).scrollIntoViewIfNeeded();
  const left = await list.evaluate((element) => element.scrollTop);
  expect(left).toBeGreaterThan(100);
  await link(page, rooms[2] as Room).tap();
  await expect(box(page)).toBeVisible();
  await page.getByRole("button", { name: "All rooms" }).tap();
  await expect(link(page, rooms[2] as Room)).toBeInViewport();
  // Rows out of view have about their height.
  expect(Math.abs((await list.evaluate((element) => element.scrollTop)) - left)).toBeLessThan(23);
});

test("the open room is in view in a long list, and what is folded away is not walked through", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const old = await server.room(ana, "old");
  const rooms = await roomsOf(server, ana, 30);
  await server.must("PATCH", `/api/chat/rooms/${old.id}`, { archived: true }, ana.token);
  const [last, first] = [rooms[0] as Room, rooms[29] as Room];
  const { page } = await open(ana, `/room/${last.id}`);
  await expect(link(page, last)).toBeInViewport();
  await expect(link(page, first)).not.toBeInViewport();
  await box(page).press("Alt+ArrowDown"); // past the folded section
  await isAt(page, first);
  await expect(link(page, first)).toBeInViewport();
  await box(page).press("Alt+ArrowUp");
  await isAt(page, last);
  await expect(link(page, last)).toBeInViewport();
  await page.getByRole("button", { name: "Archived" }).press("Enter");
  await box(page).press("Alt+ArrowDown");
  await isAt(page, old);
});

test("who presses the open room again goes back in one step", async ({ server, account, open }) => {
  const ana = await account("ana");
  const [one, two] = (await roomsOf(server, ana, 2)) as [Room, Room];
  const { page } = await open(ana, `/room/${one.id}`);
  for (let press = 0; press < 3; press += 1) await link(page, two).click();
  await isAt(page, two);
  await page.goBack();
  await isAt(page, one);
});

test("the rooms keep their order while the pointer is among them", async ({ server, account, open }) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const [one, two, three] = (await roomsOf(server, bo, 3, [ana])) as [Room, Room, Room];
  const { page } = await open(ana, `/room/${three.id}`);
  await expect.poll(() => names(page)).toEqual(["room 2", "room 1", "room 0"]);
  await link(page, two).hover();
  await server.say(bo, one, "something new");
  await expect(link(page, one).locator(".count")).toContainText("1");
  expect(await names(page)).toEqual(["room 2", "room 1", "room 0"]);
  await page.mouse.down();
  await page.mouse.up();
  await isAt(page, two);
  await page.locator(".room-head").hover();
  await expect.poll(() => names(page)).toEqual(["room 0", "room 2", "room 1"]);

  // So while a key walks among them; and who writes aims at none.
  await link(page, one).focus();
  await page.keyboard.press("Tab");
  await expect(link(page, three)).toBeFocused();
  await server.say(bo, three, "something newer");
  await expect(link(page, three).locator(".count")).toContainText("1");
  expect(await names(page)).toEqual(["room 0", "room 2", "room 1"]);
  await page.keyboard.press("Shift+Tab");
  await expect(link(page, one)).toBeFocused();
  expect(await names(page)).toEqual(["room 0", "room 2", "room 1"]);
  await box(page).focus();
  await expect.poll(() => names(page)).toEqual(["room 2", "room 0", "room 1"]);
  await link(page, one).hover();
  await server.say(bo, one, "the newest");
  await expect(link(page, one).locator(".count")).toContainText("2");
  expect(await names(page)).toEqual(["room 2", "room 0", "room 1"]);
  await box(page).pressSequentially("x");
  await expect.poll(() => names(page)).toEqual(["room 0", "room 2", "room 1"]);
});

test("a topic of many words can be read in full (phone)", async ({ server, account, open }) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await server.room(bo, "harbour", [ana]);
  const topic = `Ships, shoes and sealing-wax, ${"and what else there is to be said, ".repeat(4)}at last`;
  await server.must("PATCH", `/api/chat/rooms/${room.id}`, { topic }, bo.token);
  const { page } = await open(ana, `/room/${room.id}`, PHONE);
  const button = page.getByRole("button", { name: topic });
  const isCut = () => button.evaluate((element) => element.scrollWidth > element.clientWidth);
  await expect(button).toHaveAttribute("aria-expanded", "false");
  expect(await isCut()).toBe(true);
  await button.tap();
  await expect(button).toHaveAttribute("aria-expanded", "true");
  expect(await isCut()).toBe(false);
  await expect(button).toBeInViewport({ ratio: 1 });
  await button.tap();
  await expect(button).toHaveAttribute("aria-expanded", "false");
});
