// Dialogs: they follow what they are about, take nothing back from others, and keep the focus.

import { box, expect, messageWith, type Page, type Room, test } from "./support/test.ts";
import { heldBack } from "./support/views.ts";

const dialog = (page: Page) => page.getByRole("dialog");
const question = (page: Page) => page.getByRole("alertdialog");
const link = (page: Page, room: Room) => page.locator(`.room-link[data-room="${room.id}"]`);

async function choose(page: Page, action: string): Promise<void> {
  await page.locator(".room-head").getByRole("button", { name: "More" }).click();
  await page.locator(`[data-action=${action}]`).click();
}

async function settings(page: Page, tab: string): Promise<void> {
  await page.locator(".sidebar__me").click();
  await dialog(page).getByRole("tab", { name: tab }).click();
}

test("Save in a room's settings sends what was changed there, and takes back nobody's rename", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await server.room(ana, "old name", [bo]);
  const path = `/api/chat/rooms/${room.id}`;
  await server.must("PATCH", `${path}/members/${bo.id}`, { role: "admin" }, ana.token);
  const { page } = await open(ana, `/room/${room.id}`);
  await choose(page, "settings");
  await dialog(page)
    .getByLabel(/^Topic/)
    .fill("by ana");
  await server.must("PATCH", path, { name: "by bo", topic: "his topic" }, bo.token);
  await expect(dialog(page).getByLabel("Name")).toHaveValue("by bo");
  await expect(dialog(page).getByLabel(/^Topic/)).toHaveValue("by ana");
  await dialog(page).getByRole("button", { name: "Save" }).click();
  await expect(dialog(page)).toHaveCount(0);
  expect(await server.must("GET", path, undefined, ana.token)).toMatchObject({
    name: "by bo",
    topic: "by ana",
  });
});

test("a person's card follows my role in the room", async ({ server, account, open }) => {
  const [ana, bo, cy] = [await account("ana"), await account("bo"), await account("cy", "Cy Twombly")];
  const room = await server.room(bo, "roles", [ana, cy]);
  const { page } = await open(ana, `/room/${room.id}?panel=members`);
  await page.locator(`[data-user="${cy.id}"] .user`).click();
  const remove = dialog(page).getByRole("button", { name: "Remove from the room" });
  await expect(dialog(page)).toBeVisible();
  await expect(remove).toHaveCount(0);
  const mine = `/api/chat/rooms/${room.id}/members/${ana.id}`;
  await server.must("PATCH", mine, { role: "admin" }, bo.token);
  await expect(remove).toBeVisible();
  // The question goes with the role, too.
  await remove.click();
  await expect(question(page)).toBeVisible();
  await server.must("PATCH", mine, { role: "member" }, bo.token);
  await expect(question(page)).toHaveCount(0);
});

test("a question goes when the room or the member that it is about does", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await server.room(bo, "not mine", [ana]);
  const own = await server.room(ana, "my own", [bo]);
  const { page } = await open(ana, `/room/${room.id}`);
  await choose(page, "leave");
  await expect(question(page)).toBeVisible();
  await server.must("DELETE", `/api/chat/rooms/${room.id}/members/${ana.id}`, undefined, bo.token);
  await expect(question(page)).toHaveCount(0);

  await page.goto(`${server.url}/room/${own.id}?panel=members`);
  await page.locator(`[data-user="${bo.id}"] .user`).click();
  await dialog(page).getByRole("button", { name: "Hand the room over" }).click();
  await expect(question(page)).toBeVisible();
  await server.must("POST", `/api/chat/rooms/${own.id}/leave`, undefined, bo.token);
  await expect(question(page)).toHaveCount(0);
});

test("Back on a desktop leaves no dialog of one room over another", async ({ server, account, open }) => {
  const ana = await account("ana");
  const [one, two] = [await server.room(ana, "one"), await server.room(ana, "two")];
  const { page } = await open(ana, `/room/${one.id}`);
  await link(page, two).click();
  await choose(page, "settings");
  await expect(dialog(page)).toBeVisible();
  await page.goBack();
  await expect(page.locator(".room-head h1")).toHaveText("one");
  await expect(dialog(page)).toHaveCount(0);
  await expect(box(page)).toBeFocused();
});

test("a toast is seen over a dialog, announced, and leaves the dialog open", async ({ account, open }) => {
  const ana = await account("ana");
  const { page } = await open(ana);
  await settings(page, "Profile");
  const save = dialog(page).getByRole("button", { name: "Save" });
  await save.focus();
  await page.keyboard.press("Enter");
  // By its role: it isn't hidden from screen readers.
  const toast = page.getByRole("status").locator(".toast");
  await expect(page.getByRole("status").filter({ hasText: "Saved" })).toBeVisible();
  expect(
    await toast.evaluate((element) => {
      const { x, y, width, height } = element.getBoundingClientRect();
      return element.contains(document.elementFromPoint(x + width / 2, y + height / 2));
    }),
  ).toBe(true);
  await page.getByRole("button", { name: "Dismiss" }).click();
  await expect(toast).toHaveCount(0);
  await expect(dialog(page)).toBeVisible();
  await expect(save).toBeFocused();
});

test("a form that is sent by its button keeps the focus there, and is sent once", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const { page } = await open(ana);
  const release = await heldBack(page, /\/api\/me$/);
  await settings(page, "Profile");
  let sent = 0;
  page.on("request", (request) => {
    if (request.method() === "PATCH") sent += 1;
  });
  const save = dialog(page).getByRole("button", { name: "Save" });
  await save.focus();
  await page.keyboard.press("Enter");
  await expect(save).toHaveAttribute("aria-disabled", "true");
  await page.keyboard.press("Enter");
  await expect(save).toBeFocused();
  release();
  await expect(page.locator(".toast")).toBeVisible();
  await expect(save).toBeFocused();
  await expect(save).toHaveAttribute("aria-disabled", "false");
  expect(sent).toBe(1);
  expect(server.log).not.toContain("panic");
});

test("the focus goes to the next session when one is ended, and to the panel after the last", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const { page } = await open(ana);
  await server.must("POST", "/api/login", { username: ana.username, password: ana.password });
  await settings(page, "Devices");
  const ends = dialog(page).getByRole("button", { name: /^End / });
  await expect(ends).toHaveCount(2);
  await ends.first().focus();
  await page.keyboard.press("Enter");
  await expect(ends).toHaveCount(1);
  await expect(ends).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(ends).toHaveCount(0);
  await expect(dialog(page).getByRole("tabpanel")).toBeFocused();
});

test("a fault goes once it has been made good", async ({ server, account, open }) => {
  const ana = await account("ana");
  const { page } = await open(ana);
  await server.must("POST", "/api/login", { username: ana.username, password: ana.password });
  await settings(page, "Devices");
  const ends = dialog(page).getByRole("button", { name: /^End / });
  await expect(ends).toHaveCount(2);
  await page.route(/\/api\/me\/sessions\/\d+$/, (route) => route.abort());
  await ends.first().click();
  const fault = dialog(page).getByRole("alert").filter({ hasText: "can't be reached" });
  await expect(fault).toBeVisible();
  await page.unroute(/\/api\/me\/sessions\/\d+$/);
  await ends.first().click();
  await expect(ends).toHaveCount(1);
  await expect(fault).toHaveCount(0);
});

test("a private room is told by its name, too", async ({ server, account, open }) => {
  const ana = await account("ana");
  const room = await server.room(ana, "corner", [], "private");
  await server.say(ana, room, "quiet");
  const { page } = await open(ana, `/room/${room.id}`);
  await expect(messageWith(page, "quiet")).toBeVisible();
  await expect(page.getByRole("link", { name: /^Private room corner/ })).toBeVisible();
  await expect(page.locator(".room-head").getByRole("img", { name: "Private room" })).toBeVisible();
});
