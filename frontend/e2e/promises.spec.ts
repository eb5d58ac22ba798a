// What the client promises first: people talk, nothing is lost or doubled, and every end is told.

import { within } from "./support/patience.ts";
import { box, expect, messages, messageWith, type Page, say, test } from "./support/test.ts";

test("two people talk", async ({ server, account, open }) => {
  const ana = await account("ana", "Ana Silva");
  const bo = await account("bo", "Bo Lund");
  const room = await server.room(ana, "harbour", [bo]);
  const [one, two] = [await open(ana, `/room/${room.id}`), await open(bo, `/room/${room.id}`)];
  await say(one.page, "hello Bo");
  await expect(messageWith(two.page, "hello Bo")).toBeVisible();
  await say(two.page, "hello Ana");
  await expect(messageWith(one.page, "hello Ana")).toBeVisible();
  await expect(messages(one.page)).toHaveCount(2);
  await expect(messages(two.page)).toHaveCount(2);
});

test("register to first message", async ({ page, server }) => {
  await page.goto(`${server.url}/register`);
  const name = `new-${Math.random().toString(36).slice(2, 8)}`;
  await page.getByLabel("Username").fill(name);
  await page.getByLabel("E-mail").fill(`${name}@example.org`);
  await page.getByLabel("Password", { exact: true }).fill("opens the door 7");
  await page.getByLabel("Password again").fill("opens the door 7");
  await page.getByRole("button", { name: "Create account" }).click();
  await expect(page.getByText(`Welcome, ${name}`)).toBeVisible();
  await page.getByRole("button", { name: /Make a room/ }).click();
  await page.getByLabel("Name").fill("first room");
  await page.getByRole("button", { name: "Create room" }).click();
  await say(page, "the first message");
  await expect(messageWith(page, "the first message")).toBeVisible();
  await expect(page.locator("[data-state=pending]")).toHaveCount(0);
});

test("offline, what is sent waits, and comes once and in order", async ({
  server,
  account,
  open,
  faults,
}) => {
  faults.allow(/./);
  const ana = await account("ana");
  const room = await server.room(ana, "island");
  const { page } = await open(ana, `/room/${room.id}`);
  await say(page, "before");
  await expect(page.locator("[data-state=pending]")).toHaveCount(0);
  await server.kill();
  for (const text of ["one", "two", "three"]) await say(page, text);
  await expect(page.locator("[data-state=pending]")).toHaveCount(3);
  await expect(page.locator(".banner")).toBeVisible();
  await server.start();
  await expect(page.locator("[data-state=pending]")).toHaveCount(0, { timeout: within(45_000) });
  expect(await server.texts(ana, room)).toEqual(["before", "one", "two", "three"]);
  await expect(messages(page)).toHaveCount(4);
  await expect(page.locator(".banner")).toBeHidden();
});

test("a message that waits survives a reload, and is not doubled", async ({
  server,
  account,
  open,
  faults,
}) => {
  faults.allow(/./);
  const ana = await account("ana");
  const room = await server.room(ana, "reload");
  const { page } = await open(ana);
  let isCut = false;
  await page.routeWebSocket(/\/ws$/, (socket) => {
    const real = isCut ? null : socket.connectToServer();
    if (real === null) void socket.close();
  });
  await page.goto(`${server.url}/room/${room.id}`);
  await expect(box(page)).toBeVisible();
  isCut = true;
  await server.kill();
  await server.start();
  await expect(page.locator(".banner")).toBeVisible();
  await say(page, "kept through a reload");
  await expect(page.locator("[data-state=pending]")).toHaveCount(1);
  isCut = false;
  await page.reload();
  await expect(messageWith(page, "kept through a reload")).toHaveCount(1);
  await expect(page.locator("[data-state=pending]")).toHaveCount(0, { timeout: within(45_000) });
  expect(await server.texts(ana, room)).toHaveLength(1);
});

test("26: the server restarts while one types: text, place and focus stay", async ({
  server,
  account,
  open,
  faults,
}) => {
  faults.allow(/./);
  const ana = await account("ana");
  const room = await server.room(ana, "typing");
  for (let index = 0; index < 40; index += 1) await server.say(ana, room, `line ${index}`);
  const { page } = await open(ana, `/room/${room.id}`);
  await expect(messageWith(page, "line 39")).toBeVisible();
  await box(page).pressSequentially("half a sent");
  await server.kill();
  await server.start();
  await box(page).pressSequentially("ence");
  await expect(box(page)).toHaveValue("half a sentence");
  await expect(box(page)).toBeFocused();
  await expect(messageWith(page, "line 39")).toBeVisible();
  await box(page).press("Enter");
  await expect(messageWith(page, "half a sentence")).toBeVisible();
  await expect(page.locator("[data-state=pending]")).toHaveCount(0, { timeout: within(45_000) });
});

test("30: a revoked session ends within a second and says why", async ({ server, account, open }) => {
  const ana = await account("ana");
  const room = await server.room(ana, "revoked");
  const { page } = await open(ana, `/room/${room.id}`);
  await expect(box(page)).toBeVisible();
  await server.must("POST", "/api/logout/all", undefined, ana.token);
  await expect(page.getByText("This session was ended elsewhere")).toBeVisible();
  await expect(page.getByRole("button", { name: "Log in" })).toBeVisible();
});

test("removed from an open room, one is told, and its content is gone", async ({ server, account, open }) => {
  const ana = await account("ana");
  const bo = await account("bo");
  const room = await server.room(ana, "private talk", [bo], "private");
  await server.say(ana, room, "for members only");
  const { page } = await open(bo, `/room/${room.id}`);
  await expect(messageWith(page, "for members only")).toBeVisible();
  await server.must("DELETE", `/api/chat/rooms/${room.id}/members/${bo.id}`, undefined, ana.token);
  await expect(page.getByText("You are no longer in this room.").first()).toBeVisible();
  await expect(page.getByText("for members only")).toHaveCount(0);
});

/** The kind of the page's own beginning: "navigate" or "reload". */
const began = (page: Page) =>
  page.evaluate(() => (performance.getEntriesByType("navigation")[0] as PerformanceNavigationTiming).type);

test("a part that can't be loaded is tried again; when the server has a newer client, the page begins anew", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const room = await server.room(ana, "parts");
  const { page } = await open(ana, `/room/${room.id}`);
  const settings = page.getByRole("button", { name: /^Settings of/ });
  const dialog = page.getByRole("dialog", { name: "Settings" });
  let tried = 0;
  let isMissing = true;
  await page.route("**/assets/Settings-*.js", (route) => {
    tried += 1;
    return isMissing ? route.fulfill({ status: 404 }) : route.continue();
  });
  await settings.click();
  await expect.poll(() => tried).toBeGreaterThan(1);
  isMissing = false;
  await expect(dialog).toBeVisible();
  expect(await began(page)).toBe("navigate");

  // The same after an update of the server: its page names other scripts.
  await page.goto("about:blank");
  await page.goto(`${server.url}/room/${room.id}`);
  await box(page).fill("half a thought");
  isMissing = true;
  await page.route(`${server.url}/`, (route) =>
    route.fulfill({ contentType: "text/html", body: '<script type="module" src="/assets/new.js"></script>' }),
  );
  const begunAnew = page.waitForEvent("load");
  await settings.click();
  await begunAnew;
  expect(await began(page)).toBe("reload");
  await expect(box(page)).toHaveValue("half a thought");
});
