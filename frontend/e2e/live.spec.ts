// What happens while one looks, and while one doesn't: reading, the line, ephemeral frames, badges and notifications.

import type { WebSocketRoute } from "@playwright/test";
import { within } from "./support/patience.ts";
import { canLoseFocus, giveFocus } from "./support/stand-ins.ts";
import {
  type Account,
  box,
  expect,
  messages,
  messageWith,
  type Page,
  type Room,
  type Server,
  say,
  test,
} from "./support/test.ts";

const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
const linkOf = (page: Page, room: Room) => page.locator(`.room-link[data-room='${room.id}']`);

async function markerOf(server: Server, user: Account, room: Room): Promise<number> {
  const path = `/api/chat/rooms/${room.id}`;
  const { last_read_seq } = await server.must<{ last_read_seq: number }>("GET", path, undefined, user.token);
  return last_read_seq;
}

test("23: what is read on one device is read on all within a second", async ({ server, account, open }) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await server.room(ana, "read once", [bo]);
  const other = await server.room(ana, "elsewhere");
  const { page: phone, context } = await open(ana, `/room/${other.id}`);
  const { page: desk } = await open(ana);
  const tab = await context.newPage();
  await tab.goto(`${server.url}/room/${other.id}`);
  await expect(box(tab)).toBeVisible();
  await server.say(bo, room, "for ana");
  for (const page of [phone, desk, tab]) await expect(linkOf(page, room).locator(".count")).toHaveText(/^1/);
  await linkOf(desk, room).click();
  await expect.poll(() => markerOf(server, ana, room)).toBe(1);
  for (const page of [phone, tab]) await expect(linkOf(page, room).locator(".count")).toHaveCount(0);
  await expect(linkOf(desk, room).locator(".count")).toHaveCount(0);
});

test("report 3: seen without focus, or behind a dialog, nothing is marked read; it is when they look again", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await server.room(ana, "watched", [bo]);
  const { page, context } = await open(ana);
  await canLoseFocus(context);
  await page.goto(`${server.url}/room/${room.id}`);
  await server.say(bo, room, "the first");
  await expect(messageWith(page, "the first")).toBeVisible();
  await expect.poll(() => markerOf(server, ana, room)).toBe(1);

  await giveFocus(page, false);
  await server.say(bo, room, "the second");
  await expect(messageWith(page, "the second")).toBeVisible();
  await page.waitForTimeout(1_500); // nothing must happen
  expect(await markerOf(server, ana, room)).toBe(1);
  await expect(page.getByRole("separator").filter({ hasText: "New" })).toBeVisible();
  await giveFocus(page, true);
  await expect.poll(() => markerOf(server, ana, room)).toBe(2);

  await page.getByRole("button", { name: /^Settings of/ }).click();
  await expect(page.getByRole("dialog")).toBeVisible();
  await server.say(bo, room, "the third");
  await expect(messageWith(page, "the third")).toBeAttached();
  await page.waitForTimeout(1_500); // nothing must happen
  expect(await markerOf(server, ana, room)).toBe(2);
  await page.keyboard.press("Escape");
  await expect.poll(() => markerOf(server, ana, room)).toBe(3);
});

/** Notes on the page's own clock whenever the banner stands there. */
const watchBanner = (page: Page): Promise<void> =>
  page.evaluate(() => {
    const seen: number[] = [];
    Object.assign(window, { e2eBanner: seen });
    new MutationObserver(() => {
      if (document.querySelector(".banner")) seen.push(performance.now());
    }).observe(document.body, { childList: true, subtree: true });
  });
const bannersSeen = (page: Page): Promise<number> =>
  page.evaluate(() => (window as unknown as { e2eBanner: number[] }).e2eBanner.length);

test("24: a blip of the line shows no banner", async ({ server, account, open, faults }) => {
  faults.allow(/WebSocket/);
  const ana = await account("ana");
  const room = await server.room(ana, "blip");
  const { page } = await open(ana);
  const sockets: WebSocketRoute[] = [];
  await page.routeWebSocket(/\/ws$/, (socket) => {
    socket.connectToServer();
    sockets.push(socket);
  });
  await page.goto(`${server.url}/room/${room.id}`);
  await expect(box(page)).toBeVisible();
  await watchBanner(page);
  await sockets[0]?.close({ code: 1001 });
  await expect.poll(() => sockets.length).toBe(2);
  await say(page, "after the blip");
  await expect(page.locator("[data-state=pending]")).toHaveCount(0);
  await expect(messageWith(page, "after the blip")).toBeVisible();
  expect(await bannersSeen(page)).toBe(0);
});

for (const [where, options] of [
  ["on a desktop", {}],
  ["on a phone", PHONE],
] as const) {
  test(`24: the banner comes after 2 s, writing goes on, and all returns in place, ${where}`, async ({
    server,
    account,
    open,
    faults,
  }) => {
    faults.allow(/./);
    const [ana, bo] = [await account("ana"), await account("bo")];
    const room = await server.room(ana, "cut off", [bo]);
    for (let index = 1; index <= 30; index += 1) await server.say(bo, room, `line ${index}.`);
    const { page } = await open(ana, "/", options);
    await page.addInitScript(() => {
      const closed: number[] = [];
      Object.assign(window, {
        e2eClosed: closed,
        WebSocket: class extends WebSocket {
          constructor(url: string) {
            super(url);
            this.addEventListener("close", () => closed.push(performance.now()));
          }
        },
      });
    });
    await page.goto(`${server.url}/room/${room.id}`);
    await expect(box(page)).toBeVisible();
    await expect.poll(() => markerOf(server, ana, room)).toBeGreaterThan(0);
    await page.evaluate(() => Object.assign(window, { e2eStays: true }));
    const send = async (text: string): Promise<void> => {
      await box(page).fill(text);
      await page.getByRole("button", { name: "Send" }).click();
    };

    await watchBanner(page);
    await server.kill();
    await send("said without a line");
    await expect(messageWith(page, "said without a line")).toBeVisible();
    await expect(page.locator(".banner")).toBeVisible();
    const [closed, shown] = await page.evaluate(() => {
      const { e2eClosed, e2eBanner } = window as unknown as { e2eClosed: number[]; e2eBanner: number[] };
      return [e2eClosed[0] ?? 0, e2eBanner[0] ?? 0];
    });
    expect(shown - closed).toBeGreaterThanOrEqual(2_000);
    await expect(page.locator(".banner")).toContainText("What you write is kept");
    await send("and once more");
    await box(page).fill("still being written");

    await server.start();
    await server.say(bo, room, "from bo, meanwhile");
    const tryNow = page.getByRole("button", { name: "Try now" });
    await tryNow.click({ timeout: 2_000 }).catch(() => {}); // it may be back by itself
    await expect(page.locator("[data-state=pending]")).toHaveCount(0, { timeout: within(45_000) });
    await expect(page.locator(".banner")).toBeHidden();
    for (const text of ["said without a line", "and once more", "from bo, meanwhile"])
      await expect(messageWith(page, text)).toHaveCount(1);
    await expect(box(page)).toHaveValue("still being written");
    expect(await page.evaluate(() => "e2eStays" in window)).toBe(true);
  });
}

test("25: after sleep all is there within 2 s of having a network, nothing missing, nothing doubled", async ({
  server,
  account,
  open,
  faults,
}) => {
  faults.allow(/WebSocket/);
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await server.room(ana, "asleep", [bo]);
  const { page, context } = await open(ana);
  let sockets = 0;
  let isAsleep = false;
  await page.routeWebSocket(/\/ws$/, (socket) => {
    sockets += 1;
    const isFirst = sockets === 1;
    const real = socket.connectToServer();
    // The line is dead and nobody says so: what goes into it is lost, both ways.
    real.onMessage((frame) => !(isFirst && isAsleep) && socket.send(frame));
    socket.onMessage((frame) => !(isFirst && isAsleep) && real.send(frame));
  });
  await page.goto(`${server.url}/room/${room.id}`);
  await server.say(bo, room, "awake");
  await expect(messageWith(page, "awake")).toBeVisible();
  isAsleep = true;
  await context.setOffline(true);
  for (let index = 1; index <= 5; index += 1) await server.say(bo, room, `slept through ${index}`);
  await say(page, "said in the sleep");
  await expect(page.locator("[data-state=pending]")).toHaveCount(1);
  await context.setOffline(false);
  await expect(messageWith(page, "slept through 5")).toBeVisible();
  await expect(page.locator("[data-state=pending]")).toHaveCount(0);
  await expect(messages(page)).toHaveCount(7);
});

test("27: typing and presence never shift the layout", async ({ server, account, open }) => {
  const names = ["Ana Silva", "Bo Lund", "Cy Okafor", "Di Chen"];
  const others: Account[] = [];
  for (const name of names) others.push(await account("typist", name));
  const [ana, bo] = [others[0], others[1]];
  if (!ana || !bo) throw new Error("nobody is there");
  const me = await account("me");
  const room = await server.room(me, "typing here", others);
  await server.direct(me, bo);
  for (const one of others) await server.say(one, room, `from ${one.username}`);
  const { page } = await open(me);
  const sockets: WebSocketRoute[] = [];
  await page.routeWebSocket(/\/ws$/, (socket) => {
    socket.connectToServer();
    sockets.push(socket);
  });
  await page.goto(`${server.url}/room/${room.id}?panel=members`);
  await expect(messages(page)).toHaveCount(4);
  await expect(page.locator(".user-list, aside").getByText("Bo Lund")).toBeVisible();
  // What is read, and the font, have come to rest.
  await expect(page.locator(".room-link .count, .room-link .badge")).toHaveCount(0);
  await page.evaluate(() => document.fonts.ready);
  const places = async () =>
    JSON.stringify(
      await page.evaluate(() =>
        [
          ...document.querySelectorAll(
            "article.message, #composer, .room-head, .room-link, .room-link__name, aside",
          ),
        ].map((part) => {
          const { x, y, width, height } = part.getBoundingClientRect();
          return [part.className, x, y, width, height];
        }),
      ),
    );
  const before = await places();
  const hear = (frame: object): void => sockets[0]?.send(JSON.stringify(frame));
  hear({ type: "typing", room_id: room.id, user_id: ana.id });
  await expect(page.getByText(/^.?Ana Silva.? is typing$/)).toBeVisible();
  expect(await places()).toBe(before);
  for (const { id } of others) hear({ type: "typing", room_id: room.id, user_id: id });
  await expect(page.getByText(/^.?Ana Silva.? and 3 others are typing$/)).toBeVisible();
  expect(await places()).toBe(before);
  hear({ type: "presence", online: [bo.id], offline: [] });
  await expect(page.locator(".room-link").getByText("Online")).toBeAttached();
  expect(await places()).toBe(before);
});

test("27: who types is told to the others while they type, and not after", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana", "Ana Silva"), await account("bo")];
  const room = await server.room(ana, "ephemeral", [bo]);
  const [one, two] = [await open(ana, `/room/${room.id}`), await open(bo, `/room/${room.id}`)];
  await expect(box(two.page)).toBeVisible();
  await box(one.page).pressSequentially("hm, ");
  await expect(two.page.getByText(/Ana Silva.? is typing$/)).toBeVisible();
  await box(one.page).press("Enter");
  await expect(messageWith(two.page, "hm,")).toBeVisible();
  await expect(two.page.getByText(/is typing$/)).toHaveCount(0);
});

test("30: signed out elsewhere, every tab ends within a second and says why", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const room = await server.room(ana, "ended");
  const { page, context } = await open(ana, `/room/${room.id}`);
  const tab = await context.newPage();
  await tab.goto(`${server.url}/room/${room.id}`);
  for (const one of [page, tab]) await expect(box(one)).toBeVisible();
  const path = "/api/me/sessions";
  const { items } = await server.must<{ items: { id: number; user_agent: string; current: boolean }[] }>(
    "GET",
    path,
    undefined,
    ana.token,
  );
  const theirs = items.find(({ current }) => !current);
  await server.must("DELETE", `${path}/${theirs?.id}`, undefined, ana.token);
  for (const one of [page, tab])
    await expect(one.getByText("This session was ended elsewhere")).toBeVisible();
  await expect(page.getByRole("button", { name: "Log in" })).toBeVisible();
});

test("25: a page that the browser had put away whole begins anew, with what was being written", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const room = await server.room(ana, "away");
  const { page } = await open(ana, `/room/${room.id}`);
  await box(page).fill("half a thought");
  const again = page.waitForEvent("load");
  await page.evaluate(() => dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true })));
  await again;
  await expect(box(page)).toHaveValue("half a thought");
});
