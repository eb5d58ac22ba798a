// The page stays where the reader is: beside what happens to other rooms, what comes late, and panels that open and close.

import { PHONE } from "./support/phone.ts";
import { box, expect, messages, messageWith, type Page, type Room, test } from "./support/test.ts";

const link = (page: Page, room: Room) => page.locator(`.room-link[data-room='${room.id}']`);
const button = (page: Page, name: string) => page.getByRole("button", { name, exact: true });
const isAt = (page: Page, room: Room) => expect(page).toHaveURL(new RegExp(`/room/${room.id}$`));
const toast = (page: Page) => page.locator(".toast");

/** Keeps the requests of an address waiting, until it is called. */
async function holdBack(page: Page, address: string): Promise<() => void> {
  let release = (): void => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  await page.route(address, async (route) => {
    if (route.request().method() === "POST") await held;
    await route.continue();
  });
  return release;
}

/** The seq of the first message in view. */
const firstSeen = (page: Page): Promise<number> =>
  page.evaluate(() => {
    const edge = document.querySelector("ol.list")?.getBoundingClientRect().top ?? 0;
    const rows = [...document.querySelectorAll("ol.list [data-seq]")];
    return Number(rows.find((row) => row.getBoundingClientRect().bottom > edge)?.getAttribute("data-seq"));
  });

test("leaving or deleting another room leaves the open one open", async ({ server, account, open }) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const mine = await server.room(ana, "stay here");
  const his = await server.room(bo, "leave this", [ana]);
  const old = await server.room(ana, "delete this");
  const last = await server.room(bo, "leave this last", [ana]);
  const { page } = await open(ana, `/room/${mine.id}`);
  await box(page).fill("half a thought");
  await link(page, his).click({ button: "right" });
  await page.getByRole("menuitem", { name: "Leave room…" }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Leave" }).click();
  await expect(link(page, his)).toHaveCount(0);
  await link(page, old).click({ button: "right" });
  await page.getByRole("menuitem", { name: "Room settings" }).click();
  await button(page, "Delete room…").click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Delete room" }).click();
  await expect(link(page, old)).toHaveCount(0);
  await expect(box(page)).toHaveValue("half a thought");
  await isAt(page, mine);
  await link(page, last).click();
  await isAt(page, last);
  await link(page, last).click({ button: "right" });
  await page.getByRole("menuitem", { name: "Leave room…" }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Leave" }).click();
  await expect(page).toHaveURL(/\/$/);
});

test("a room that is ready late is offered to who writes on elsewhere", async ({ server, account, open }) => {
  const [ana, bo] = [await account("ana"), await account("bo", "Bo Lund")];
  const room = await server.room(ana, "write on", [bo]);
  const { page } = await open(ana, `/room/${room.id}`);
  const release = await holdBack(page, "**/api/chat/direct");
  await button(page, "Members").click();
  await page.locator(`[data-user='${bo.id}'] button`).click();
  await button(page, "Message").click();
  await box(page).pressSequentially("half a thought");
  release();
  await expect(toast(page)).toContainText("You can open “Bo Lund” now.");
  await box(page).pressSequentially(", and the rest");
  await expect(box(page)).toHaveValue("half a thought, and the rest");
  await toast(page).getByRole("button", { name: "Open" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Bo Lund" })).toBeVisible();
  await expect(box(page)).toHaveValue("");
});

test("a new room opens, unless its dialog was closed meanwhile", async ({ server, account, open }) => {
  const ana = await account("ana");
  const room = await server.room(ana, "stay here");
  const { page } = await open(ana, `/room/${room.id}`);
  const make = async (name: string): Promise<void> => {
    await button(page, "New room").click();
    await page.getByRole("dialog").getByLabel("Name").fill(name);
    await button(page, "Create room").click();
  };
  const release = await holdBack(page, "**/api/chat/rooms");
  await make("no hurry");
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toHaveCount(0);
  release();
  await expect(toast(page)).toContainText("You can open “no hurry” now.");
  await isAt(page, room);
  await make("at once");
  await expect(page.getByRole("heading", { level: 1, name: "at once" })).toBeVisible();
  await expect(page.getByRole("dialog")).toHaveCount(0);
});

for (const [view, options] of [
  ["", { viewport: { width: 900, height: 700 } }],
  [" (phone)", PHONE],
] as const) {
  test(`a room that isn't mine is told of where its address has a panel${view}`, async ({
    server,
    account,
    open,
  }) => {
    const [ana, bo] = [await account("ana"), await account("bo")];
    const room = await server.room(ana, "closed doors", [bo], "private");
    const hall = await server.room(ana, "open doors");
    const { page } = await open(bo, `/room/${room.id}?panel=members`, options);
    await expect(page.getByRole("heading", { name: "2 members" })).toBeVisible();
    await server.must("DELETE", `/api/chat/rooms/${room.id}/members/${bo.id}`, undefined, ana.token);
    await expect(page.getByRole("heading", { name: "This room doesn’t exist" })).toBeVisible();
    if (view === "") await expect(page.getByRole("navigation", { name: "Rooms" })).toBeVisible();
    await page.goto(`${server.url}/room/${hall.id}?panel=pins`);
    await button(page, "Join this room").click();
    await expect(box(page)).toBeVisible();
  });
}

test("a panel that closes leads back to the place, and the arrow back to the list (phone)", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const room = await server.room(ana, "long talk");
  for (let index = 1; index <= 90; index += 1) await server.say(ana, room, `line ${index}.`);
  const { page } = await open(ana, "/", PHONE);
  await link(page, room).tap();
  await expect(messageWith(page, "line 90.")).toBeInViewport();
  await messages(page).last().hover();
  await page.mouse.wheel(0, -1500);
  await expect(button(page, "Jump to latest")).toBeVisible();
  await expect.poll(() => page.evaluate(() => history.state?.place?.seq ?? 99)).toBeLessThan(85);
  const seen = await firstSeen(page);
  await button(page, "Members").tap();
  // A second press doesn't go further back.
  await button(page, "Close").evaluate((close: HTMLElement) => {
    close.click();
    close.click();
  });
  await isAt(page, room);
  await expect.poll(async () => Math.abs((await firstSeen(page)) - seen)).toBeLessThanOrEqual(1);
  await expect(button(page, "Members")).toBeFocused();
  await button(page, "All rooms").tap();
  await expect(link(page, room)).toBeVisible();
  // Both went back: the room lies ahead, and behind it the panel.
  await page.goForward();
  await isAt(page, room);
  await page.goForward();
  await expect(page.getByRole("heading", { name: "1 member" })).toBeVisible();
});

test("a panel that closes gives the focus back, and keeps where the reader has gone beside it", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const room = await server.room(ana, "long talk");
  for (let index = 1; index <= 90; index += 1) await server.say(ana, room, `line ${index}.`);
  const { page } = await open(ana, `/room/${room.id}`);
  await expect(messageWith(page, "line 90.")).toBeInViewport();
  await button(page, "Members").click();
  await button(page, "Search").click();
  await messages(page).last().hover();
  await page.mouse.wheel(0, -1500);
  await expect(button(page, "Jump to latest")).toBeVisible();
  await expect.poll(() => page.evaluate(() => history.state?.place?.seq ?? 99)).toBeLessThan(85);
  const seen = await firstSeen(page);
  await button(page, "Close").last().focus();
  await page.keyboard.press("Enter");
  await isAt(page, room);
  await expect(button(page, "Search")).toBeFocused();
  await page.reload();
  await expect.poll(async () => Math.abs((await firstSeen(page)) - seen)).toBeLessThanOrEqual(1);
  // Where nothing lies below, the panel's entry becomes the room's.
  await page.goto(`${server.url}/room/${room.id}?panel=members`);
  const entries = await page.evaluate(() => history.length);
  await button(page, "Close").click();
  await isAt(page, room);
  await expect(button(page, "Members")).toBeFocused();
  expect(await page.evaluate(() => history.length)).toBe(entries);
});
