// Rooms of more than a hundred and two hundred members, of whom not all are held.

import { type Account, box, expect, type Page, type Room, type Server, test } from "./support/test.ts";
import { heldBack } from "./support/views.ts";

const dialog = (page: Page) => page.getByRole("dialog");

type MakeAccount = (name: string, fullName?: string) => Promise<Account>;

/** A room of Ana's with so many others, and after them Zoë. */
async function large(
  server: Server,
  account: MakeAccount,
  others: number,
): Promise<{ ana: Account; zoe: Account; room: Room }> {
  const ana = await account("ana", "Ana Silva");
  const people: Account[] = [];
  while (people.length < others)
    people.push(...(await Promise.all(Array.from({ length: 10 }, () => account("m")))));
  const zoe = await account("zoe", "Zoë Quartz");
  const room = await server.room(ana, "crowd", people.slice(0, 100));
  for (const { id } of [...people.slice(100), zoe])
    await server.must("POST", `/api/chat/rooms/${room.id}/members`, { user_id: id }, ana.token);
  return { ana, zoe, room };
}

test("in a room of more than 200 members anybody can be found, named, seen online and removed", async ({
  server,
  account,
  open,
}) => {
  const { ana, room, zoe } = await large(server, account, 200);
  await server.say(zoe, room, "buy my things");
  const { page } = await open(ana, `/room/${room.id}`);
  const { page: hers } = await open(zoe, "/");
  await expect(hers.locator(`.room-link[data-room="${room.id}"]`)).toBeVisible();

  // From what they have said, while the list of members was never opened.
  await page.locator(".message__author", { hasText: "Zoë Quartz" }).click();
  await expect(dialog(page).getByRole("button", { name: "Remove from the room" })).toBeVisible();
  await expect(dialog(page)).toContainText("Online");
  await page.keyboard.press("Escape");
  await expect(dialog(page)).toHaveCount(0);

  // By a search, as the first 200 are held.
  await page.locator(".room-head").getByRole("button", { name: "Members" }).click();
  await expect(page.locator(".user")).toHaveCount(200);
  // How many are online isn't known as long as not all are held.
  await expect(page.locator(".user-group h3")).toHaveText(["Online", "Offline"]);
  const panel = page.locator(".shell__panel");
  const release = await heldBack(page, /\/members\?q=/);
  await page.getByRole("searchbox", { name: "Find a member" }).fill("zoe");
  await expect(panel.getByText("Searching…")).toBeVisible();
  await expect(panel.getByText("No member has this name.")).toHaveCount(0);
  release();
  const found = page.locator(`[data-user="${zoe.id}"]`);
  await expect(found).toHaveAttribute("data-online", "true");

  await box(page).pressSequentially(`@${zoe.username.slice(0, 5)}`);
  await expect(page.getByRole("option").filter({ hasText: zoe.username })).toBeVisible();

  await found.locator(".user").click();
  await dialog(page).getByRole("button", { name: "Make room admin" }).click();
  await expect(found.locator(".user__note")).toHaveText("admin");
  await found.locator(".user").click();
  await dialog(page).getByRole("button", { name: "Remove from the room" }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Remove" }).click();
  await expect(found).toHaveCount(0);
});

test("members that can't be loaded can be asked for again", async ({ server, account, open }) => {
  const { ana, room } = await large(server, account, 100);
  const { page } = await open(ana, `/room/${room.id}`);
  await page.route(/\/members\?/, (route) => route.abort());
  await page.locator(".room-head").getByRole("button", { name: "Members" }).click();
  await expect(page.getByText("The members could not be loaded.")).toBeVisible();
  await page.unroute(/\/members\?/);
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.locator(".user")).toHaveCount(102);
  await expect(page.getByText("The members could not be loaded.")).toHaveCount(0);
});
