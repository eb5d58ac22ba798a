// Where the focus goes, what is open over the page, and what is asked of the reader.

import { PHONE } from "./support/phone.ts";
import { box, expect, messageWith, type Page, type Room, say, test } from "./support/test.ts";

const dialog = (page: Page) => page.getByRole("dialog");
const menu = (page: Page) => page.getByRole("menu");
const link = (page: Page, room: Room) => page.locator(`.room-link[data-room="${room.id}"]`);
const rowOf = (page: Page, text: string) => messageWith(page, text).locator("xpath=ancestor::*[@data-key]");
const roomMenu = (page: Page) => page.locator(".room-head").getByRole("button", { name: "More" });

/** The menu of a message, by its tools. */
async function openTools(page: Page, text: string): Promise<void> {
  await messageWith(page, text).hover();
  await page.locator(".message__tools").getByRole("button", { name: "More" }).click();
  await expect(menu(page)).toBeVisible();
}

/** What could still take the focus has had its time. */
const frames = (page: Page) =>
  page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));

test("Edit in a message's menu leaves the focus in the text that is edited", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const room = await server.room(ana, "edit");
  await server.say(ana, room, "a wrod");
  const { page } = await open(ana, `/room/${room.id}`);
  await openTools(page, "a wrod");
  await page.locator("[data-action=edit]").click();
  const edit = page.getByRole("textbox", { name: "Edit message" });
  await expect(edit).toBeFocused();
  await frames(page);
  await page.keyboard.type("!");
  await expect(edit).toHaveValue("a wrod!");
  await expect(box(page)).toHaveValue("");
});

test("after an emoji is picked, one goes on writing", async ({ server, account, open }) => {
  const ana = await account("ana");
  const room = await server.room(ana, "emoji");
  const { page } = await open(ana, `/room/${room.id}`);
  await box(page).fill("so ");
  await page.locator(".composer__emoji").click();
  await page.getByRole("searchbox", { name: "Search emoji" }).fill("tada");
  await page.locator("[frimousse-emoji]").filter({ hasText: "🎉" }).click();
  await expect(box(page)).toHaveValue("so 🎉");
  await frames(page);
  await page.keyboard.type(" well");
  await expect(box(page)).toHaveValue("so 🎉 well");
  // By keyboard alone.
  await page.locator(".composer__emoji").press("Enter");
  await page.getByRole("searchbox", { name: "Search emoji" }).fill("tada");
  await expect(page.locator("[frimousse-emoji][data-active]")).toHaveText("🎉");
  await page.keyboard.press("Enter");
  await expect(box(page)).toHaveValue("so 🎉 well🎉");
  await frames(page);
  await page.keyboard.type(" done");
  await expect(box(page)).toHaveValue("so 🎉 well🎉 done");
  // Without a choice the focus goes back to the button.
  await page.locator(".composer__emoji").click();
  await expect(page.getByRole("searchbox", { name: "Search emoji" })).toBeFocused();
  await page.keyboard.press("Escape");
  await expect(page.locator(".composer__emoji")).toBeFocused();
});

test("a room that is found, made or joined from the sidebar has the focus in its box", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const here = await server.room(ana, "here");
  const there = await server.room(ana, "over there");
  const public_ = await server.room(bo, `open to all ${here.id}`);
  const { page } = await open(ana, `/room/${here.id}`);
  const isIn = async (name: string): Promise<void> => {
    await expect(page.locator(".room-head h1")).toHaveText(name);
    await expect(dialog(page)).toHaveCount(0);
    await expect(box(page)).toBeFocused();
    await frames(page);
    await expect(box(page)).toBeFocused();
  };
  await page.locator(".sidebar__find").click();
  await page.getByRole("option", { name: there.name }).click();
  await isIn("over there");
  await page.locator(".sidebar__head").getByRole("button", { name: "New room" }).click();
  await dialog(page).getByLabel("Name").fill("brand new");
  await dialog(page).getByRole("button", { name: "Create room" }).click();
  await isIn("brand new");
  await page.locator(".sidebar__head").getByRole("button", { name: "Browse rooms" }).click();
  await dialog(page).getByRole("searchbox").fill(public_.name);
  await dialog(page)
    .getByRole("button", { name: `Join ${public_.name}` })
    .click();
  await isIn(public_.name);
});

test("by keyboard: the menu of a message opens at its row, Reply leads to the box, Escape back to the row", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const room = await server.room(ana, "keys");
  await server.say(ana, room, "the first");
  await server.say(ana, room, `the tall one${"\n\nand more".repeat(60)}`);
  await server.say(ana, room, "the last");
  const { page } = await open(ana, `/room/${room.id}`);
  await expect(messageWith(page, "the last")).toBeVisible();
  await page.getByRole("list", { name: "Messages in keys" }).focus();
  await page.keyboard.press("End");
  await expect(rowOf(page, "the last")).toBeFocused();
  for (const key of ["Enter", "ContextMenu", "Shift+F10"]) {
    await page.keyboard.press(key);
    await expect(menu(page)).toBeVisible();
    await page.keyboard.press("ArrowDown");
    await expect(page.locator("[role=menuitem]:focus")).toHaveCount(1);
    await page.keyboard.press("Escape");
    await expect(menu(page)).toHaveCount(0);
    await expect(rowOf(page, "the last")).toBeFocused();
  }
  await page.keyboard.press("ArrowUp");
  await expect(rowOf(page, "the tall one")).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(menu(page)).toBeInViewport({ ratio: 1 });
  await page.locator("[data-action=reply]").press("Enter");
  await expect(page.locator(".composer__answering")).toContainText("the tall one");
  await frames(page);
  await expect(box(page)).toBeFocused();
});

test("who is removed while the room's settings are open can go on", async ({ server, account, open }) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await server.room(bo, "not for long", [ana]);
  const other = await server.room(bo, "still there", [ana]);
  const { page } = await open(ana, `/room/${room.id}`);
  const remove = () =>
    server.must("DELETE", `/api/chat/rooms/${room.id}/members/${ana.id}`, undefined, bo.token);
  await roomMenu(page).click();
  await page.locator("[data-action=settings]").click();
  await expect(dialog(page)).toBeVisible();
  await remove();
  await expect(link(page, room)).toHaveCount(0);
  await expect(dialog(page)).toHaveCount(0);
  await page.keyboard.press("Control+k");
  await page.getByRole("option", { name: other.name }).click();
  await server.say(bo, other, "is it read?");
  await expect(messageWith(page, "is it read?")).toBeVisible();
  await expect
    .poll(async () => {
      const path = `/api/chat/rooms/${other.id}`;
      return (await server.must<{ unread: number }>("GET", path, undefined, ana.token)).unread;
    })
    .toBe(0);
  await server.must("POST", `/api/chat/rooms/${room.id}/members`, { user_id: ana.id }, bo.token);
  await expect(link(page, room)).toBeVisible();
  await expect(dialog(page)).toHaveCount(0);

  // A menu of the room goes, too.
  await link(page, room).click();
  await roomMenu(page).click();
  await expect(menu(page)).toBeVisible();
  await remove();
  await expect(link(page, room)).toHaveCount(0);
  await expect(menu(page)).toHaveCount(0);
});

test("on a phone, Back closes what is open and leaves the page where it is", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana"), await account("bo", "Bo Lund")];
  const room = await server.room(ana, "harbour", [bo]);
  const other = await server.room(ana, "lighthouse");
  await server.say(bo, room, "the words of Bo");
  const { page } = await open(ana, "/", PHONE);
  const isInRoom = async (): Promise<void> => {
    await expect(page).toHaveURL(`${server.url}/room/${room.id}`);
    await expect(messageWith(page, "the words of Bo")).toBeVisible();
  };
  await link(page, room).tap();
  await isInRoom();

  // A dialog.
  await page.locator(".message__author", { hasText: "Bo Lund" }).tap();
  await expect(dialog(page)).toBeVisible();
  await page.goBack();
  await expect(dialog(page)).toHaveCount(0);
  await isInRoom();

  // A menu, and the question that it leads to.
  await roomMenu(page).tap();
  await expect(menu(page)).toBeVisible();
  await page.goBack();
  await expect(menu(page)).toHaveCount(0);
  await isInRoom();
  await roomMenu(page).tap();
  await page.locator("[data-action=leave]").tap();
  await expect(page.getByRole("alertdialog")).toBeVisible();
  await page.goBack();
  await expect(page.getByRole("alertdialog")).toHaveCount(0);
  await isInRoom();

  // What is closed by itself leaves nothing in the history.
  await roomMenu(page).tap();
  await page.locator("[data-action=settings]").tap();
  await dialog(page).getByRole("button", { name: "Close" }).tap();
  await expect(dialog(page)).toHaveCount(0);
  await expect.poll(() => page.evaluate(() => history.state?.isCover)).toBeUndefined();
  await page.goBack();
  await expect(page.locator(".sidebar")).toBeVisible();
  await expect(page).toHaveURL(`${server.url}/`);

  // Nor does a dialog that leads elsewhere.
  await page.locator(".sidebar__find").tap();
  await page.getByRole("option", { name: other.name }).tap();
  await expect(page).toHaveURL(`${server.url}/room/${other.id}`);
  await page.goBack();
  await expect(page.locator(".sidebar")).toBeVisible();
  await expect(dialog(page)).toHaveCount(0);
});

test("on a phone, a room that is tapped beside an open menu opens", async ({ server, account, open }) => {
  const ana = await account("ana");
  for (let at = 0; at < 9; at += 1) await server.room(ana, `room ${at}`);
  const { page } = await open(ana, "/", PHONE);
  const links = page.locator(".room-link");
  await expect(links).toHaveCount(9);
  await links.first().dispatchEvent("contextmenu");
  await expect(menu(page)).toBeVisible();
  const path = await links.last().getAttribute("href");
  await links.last().tap();
  await expect(menu(page)).toHaveCount(0);
  await expect(page).toHaveURL(server.url + path);
  await frames(page);
  await expect(page).toHaveURL(server.url + path);
  await page.goBack();
  await expect(page.locator(".sidebar")).toBeVisible();
});

test("a name of another direction does not turn the line of a question", async ({
  server,
  account,
  open,
}) => {
  const [ana, dana] = [await account("ana"), await account("dana", "דנה לוי")];
  const room = await server.room(ana, "directions", [dana]);
  const { page } = await open(ana, `/room/${room.id}?panel=members`);
  await page.locator(`[data-user="${dana.id}"] .user`).click();
  await dialog(page).getByRole("button", { name: "Remove from the room" }).click();
  const words = page.getByRole("alertdialog").getByText("will no longer see this room.");
  await expect(words).toHaveText("\u2068דנה לוי\u2069 will no longer see this room.");
  expect(await words.evaluate((line) => getComputedStyle(line).direction)).toBe("ltr");
});

for (const [device, width] of [
  ["desktop", 1280],
  ["phone", 390],
] as const)
  test(`what is told for a moment hides neither the newest messages nor the box, ${device}`, async ({
    server,
    account,
    open,
  }) => {
    const ana = await account("ana");
    const room = await server.room(ana, "told");
    for (let index = 1; index <= 30; index += 1) await server.say(ana, room, `line ${index}.`);
    const { page } = await open(ana, `/room/${room.id}`, { viewport: { width, height: 800 } });
    await openTools(page, "line 30.");
    await page.locator("[data-action=link]").click();
    const toast = await page.locator(".toast").boundingBox();
    const newest = await messageWith(page, "line 27.").boundingBox();
    expect((toast?.y ?? 800) + (toast?.height ?? 0)).toBeLessThan(newest?.y ?? 0);
    const frame = await page.locator(".chat-room").boundingBox();
    const middle = (at: typeof frame) => (at ? at.x + at.width / 2 : 0);
    expect(Math.abs(middle(toast) - middle(frame))).toBeLessThanOrEqual(1);
  });

test("who sends a first message is asked once about notifications", async ({ server, account, open }) => {
  const ana = await account("ana");
  const room = await server.room(ana, "first words");
  const { page, context } = await open(ana);
  // Stands in for the browser's question, which a headless one doesn't ask.
  await context.addInitScript(() => {
    const permits = {
      permission: "default",
      requestPermission: async () => {
        permits.permission = "granted";
        return "granted";
      },
    };
    Object.assign(window, { Notification: permits });
  });
  await page.goto(`${server.url}/room/${room.id}`);
  const offer = page.getByRole("button", { name: "Allow notifications" });
  await expect(box(page)).toBeVisible();
  await expect(offer).toHaveCount(0);
  await say(page, "the first");
  await expect(offer).toBeVisible();
  const bar = await page.locator(".offer").boundingBox();
  const first = await messageWith(page, "the first").boundingBox();
  expect((bar?.y ?? 0) + (bar?.height ?? 0)).toBeLessThanOrEqual(first?.y ?? 0);
  await offer.click();
  await expect(offer).toHaveCount(0);
  expect(await page.evaluate(() => Notification.permission)).toBe("granted");

  await page.reload(); // where nobody has allowed anything
  await say(page, "the second");
  await expect(messageWith(page, "the second")).toBeVisible();
  await frames(page);
  await expect(offer).toHaveCount(0);
});
