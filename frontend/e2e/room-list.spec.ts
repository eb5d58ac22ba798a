// The list of rooms as one goes through it: its order, its place, and the ways to it.

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

test("who presses the open room again goes back in one step", async ({ server, account, open }) => {
  const ana = await account("ana");
  const [one, two] = (await roomsOf(server, ana, 2)) as [Room, Room];
  const { page } = await open(ana, `/room/${one.id}`);
  for (let press = 0; press < 3; press += 1) await link(page, two).click();
  await isAt(page, two);
  await page.goBack();
  await isAt(page, one);
});
