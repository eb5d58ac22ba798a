// What is asked for and comes late, or not at all: menus, dialogs and panels whose code isn't there, and lists that can't be read.

import { PHONE } from "./support/phone.ts";
import { box, expect, messageWith, type Page, test } from "./support/test.ts";
import { heldBack } from "./support/views.ts";

const dialog = (page: Page) => page.getByRole("dialog");
const menu = (page: Page) => page.getByRole("menu");
const waiting = (page: Page) => page.locator(".waiting");
const linkOf = (page: Page, id: number) => page.locator(`.room-link[data-room="${id}"]`);

/** The menu of a message, by its tools; it needn't be there yet. */
async function pressMore(page: Page, text: string): Promise<void> {
  await messageWith(page, text).hover();
  await page.locator(".message__tools").getByRole("button", { name: "More" }).click();
}

async function pressCommandK(page: Page): Promise<void> {
  await expect(page.locator(".sidebar__find")).toBeVisible();
  await page.keyboard.press("Control+k");
}

/** What has come has had its time to show. */
const frames = (page: Page) =>
  page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));

test("a menu that comes late is dropped by Escape, by a press elsewhere, by writing and by going elsewhere", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const other = await server.room(ana, "other");
  const room = await server.room(ana, "late");
  await server.say(ana, room, "precious");
  const { page } = await open(ana, `/room/${room.id}`);
  await page.route(/\/assets\/(Menus|Dialogs|Switcher)-.*\.js/, (route) => route.abort());
  await page.reload();
  await expect(messageWith(page, "precious")).toBeVisible();
  const dropping: (() => Promise<void>)[] = [
    () => page.keyboard.press("Escape"),
    () => page.locator(".room-head h1").click(),
    () => box(page).pressSequentially("delete"),
    () => waiting(page).getByRole("button", { name: "Don’t wait" }).click(),
    () => linkOf(page, other.id).evaluate((link: HTMLElement) => link.click()),
  ];
  for (const drop of dropping) {
    await pressMore(page, "precious");
    await expect(waiting(page)).toBeVisible();
    await drop();
    await expect(waiting(page)).toHaveCount(0);
  }
  await expect(page).toHaveURL(new RegExp(`/room/${other.id}$`));
  await linkOf(page, room.id).click();
  await expect(box(page)).toHaveValue("delete");

  // It is there when it is asked for again, and not before.
  await page.unroute(/\/assets\/(Menus|Dialogs|Switcher)-.*\.js/);
  await page.reload();
  const release = await heldBack(page, /\/assets\/Menus-.*\.js/);
  await pressMore(page, "precious");
  await expect(waiting(page)).toBeVisible();
  await page.keyboard.press("Escape");
  const isThere = page.waitForResponse(/\/assets\/Menus-.*\.js/);
  release();
  await (await isThere).finished();
  await frames(page);
  await expect(menu(page)).toHaveCount(0);
  await pressMore(page, "precious");
  await expect(menu(page)).toBeVisible();
  expect(await server.texts(ana, room)).toEqual(["precious"]);
});

test("the keys of the page work while a menu is waited for", async ({ server, account, open }) => {
  const ana = await account("ana");
  const room = await server.room(ana, "late keys");
  await server.say(ana, room, "words");
  const { page } = await open(ana, `/room/${room.id}`);
  await page.route(/\/assets\/Menus-.*\.js/, (route) => route.abort());
  await page.reload();
  await pressMore(page, "words");
  await expect(waiting(page)).toBeVisible();
  await page.keyboard.press("Control+k");
  await expect(dialog(page).getByRole("combobox")).toBeFocused();
});

test("menus open though the server is gone before any was opened", async ({ account, open, server }) => {
  const ana = await account("ana");
  const room = await server.room(ana, "gone");
  await server.say(ana, room, "words");
  const { page, context } = await open(ana);
  const isLoaded = page.waitForResponse(/\/assets\/Menus-.*\.js/);
  await page.goto(`${server.url}/room/${room.id}`);
  await (await isLoaded).finished();
  await page.waitForLoadState("networkidle"); // and what it needs
  await context.setOffline(true);
  await pressMore(page, "words");
  await expect(menu(page)).toBeVisible();
});

test("a dialog that comes late says so, and is dropped by Escape", async ({ account, open }) => {
  const ana = await account("ana");
  const { page } = await open(ana);
  await page.route(/\/assets\/Settings-.*\.js/, (route) => route.abort());
  await page.locator(".sidebar__me").click();
  await expect(waiting(page)).toHaveText("Loading…");
  await page.keyboard.press("Escape");
  await expect(waiting(page)).toHaveCount(0);
  await page.unroute(/\/assets\/Settings-.*\.js/);
  await page.locator(".sidebar__me").click();
  await expect(dialog(page)).toBeVisible();
});

for (const [view, options] of [
  ["", {}],
  [" (phone)", PHONE],
] as const) {
  test(`a panel that comes late has its head and a way back${view}`, async ({ server, account, open }) => {
    const ana = await account("ana");
    const room = await server.room(ana, "panels");
    await server.say(ana, room, "words");
    const { page } = await open(ana, `/room/${room.id}`, options);
    await expect(messageWith(page, "words")).toBeVisible();
    await page.route(/\/assets\//, (route) => route.abort());
    await page.routeWebSocket(/\/ws$/, (socket) => void socket.close());
    await page.locator(".room-head").getByRole("button", { name: "Search" }).click();
    const panel = page.locator(".shell__panel");
    await expect(panel.getByRole("heading", { name: "Search" })).toBeVisible();
    await expect(panel.getByRole("status")).toHaveText("Loading…");
    await panel.getByRole("button", { name: "Close" }).click();
    await expect(panel).toHaveCount(0);
    await expect(messageWith(page, "words")).toBeVisible();
  });
}

test("public rooms: what could not be read is told, and read when asked again or when the connection is back", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  for (let index = 0; index < 60; index += 1) await server.room(bo, `open ${index}`);
  let isCut = true;
  let cut = (): void => {};
  const { page } = await open(ana);
  await page.routeWebSocket(/\/ws$/, (socket) => {
    socket.connectToServer();
    cut = () => void socket.close();
  });
  await page.route(/scope=public/, (route) => (isCut ? route.abort() : route.continue()));
  await page.goto(`${server.url}/`);
  await page.getByRole("button", { name: "Browse rooms" }).click();
  await expect(dialog(page).getByRole("alert").filter({ hasText: "can't be reached" })).toBeVisible();
  isCut = false;
  cut();
  const rows = dialog(page).locator(".row");
  await expect(rows.first()).toBeVisible();
  await expect(dialog(page).getByRole("alert").filter({ hasText: "can't be reached" })).toHaveCount(0);
  const before = await rows.count();
  isCut = true;
  const more = dialog(page).getByRole("button", { name: "Show more" });
  await more.click();
  await expect(dialog(page).getByRole("alert").filter({ hasText: "can't be reached" })).toBeInViewport();
  isCut = false;
  await more.click();
  await expect.poll(() => rows.count()).toBeGreaterThan(before);
});

test("the switcher waits for people: nobody is denied before, and Enter goes to who is found", async ({
  account,
  open,
}) => {
  const ana = await account("ana");
  await account("zedd", "Zedd Person");
  const { page } = await open(ana);
  const release = await heldBack(page, /\/api\/users\?/);
  await pressCommandK(page);
  await dialog(page).getByRole("combobox").fill("zedd person");
  const status = dialog(page).getByRole("status");
  await expect(status).toHaveText("Searching…");
  await page.keyboard.press("Enter");
  await expect(status).toHaveText("Searching…");
  release();
  await expect(page.locator(".room-head h1")).toHaveText("Zedd Person");
  await expect(dialog(page)).toHaveCount(0);
});

test("in the switcher # is for rooms, and @ for people", async ({ server, account, open }) => {
  const [ana, bo] = [await account("ana"), await account("harbert", "Harbert Bo")];
  const room = await server.room(ana, "harbour");
  await server.direct(ana, bo);
  const { page } = await open(ana);
  await pressCommandK(page);
  const options = dialog(page).getByRole("option");
  const field = dialog(page).getByRole("combobox");
  await field.fill("#harb");
  await expect(options).toHaveText(["harbour"]);
  await field.fill("@harb");
  await expect(options.first()).toContainText("Harbert Bo");
  await expect(options.filter({ hasText: "harbour" })).toHaveCount(0);
  await field.fill("#harb");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(new RegExp(`/room/${room.id}$`));
});
