// Where one is in a room, and what stands there: after sending, going back, a night, and changes far away.

import type { WebSocketRoute } from "@playwright/test";
import { within } from "./support/patience.ts";
import {
  type Account,
  box,
  expect,
  messageWith,
  type Page,
  type Room,
  type Server,
  say,
  test,
} from "./support/test.ts";
import { heldBack } from "./support/views.ts";

const row = (page: Page, seq: number) => page.locator(`[data-seq='${seq}']`);

async function sayMany(server: Server, author: Account, room: Room, count: number): Promise<void> {
  for (let index = 1; index <= count; index += 1) await server.say(author, room, `line ${index}.`);
}

/** How far below the top of the window a message begins. */
const topOf = (page: Page, seq: number) =>
  row(page, seq).evaluate((element) => element.getBoundingClientRect().top);

/** The seq of the first message in view as the history keeps it; null: the end. */
const keptSeq = (page: Page) =>
  page.evaluate(() => {
    const { place } = (history.state ?? {}) as { place?: { seq: number } | null };
    return place === undefined ? "nothing" : (place?.seq ?? null);
  });

test("what is written far above the end is shown at once, and nothing between is loaded", async ({
  server,
  account,
  open,
  faults,
}) => {
  faults.allow(/./);
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await server.room(ana, "far above", [bo]);
  await sayMany(server, bo, room, 300);
  await server.read(ana, room, 20);
  const { page } = await open(ana, `/room/${room.id}`);
  await expect(row(page, 21)).toBeInViewport();
  const readOn: string[] = [];
  page.on("request", (request) => {
    if (/\/messages\?.*after=/.test(request.url())) readOn.push(request.url());
  });
  await say(page, `written from afar, see ${server.url}/room/${room.id}/21`);
  await expect(messageWith(page, "written from afar")).toBeInViewport();
  await expect(row(page, 300)).toBeInViewport();
  await expect(row(page, 301)).toBeInViewport();
  expect(readOn).toEqual([]);

  // The same without a line: the end is held.
  await messageWith(page, "written from afar").getByRole("link").click();
  await expect(row(page, 21)).toBeInViewport();
  await expect(row(page, 301)).toHaveCount(0);
  await server.kill();
  await say(page, "written without a line");
  await expect(messageWith(page, "written without a line")).toBeInViewport();
  await expect(row(page, 301)).toBeInViewport();
  await server.start();
  await expect(page.locator("[data-state=pending]")).toHaveCount(0, { timeout: within(45_000) });
  await expect(row(page, 302)).toBeInViewport();
});

test("while a place far above is loaded, placeholders stand there, and the way to the end stays", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await server.room(ana, "slow", [bo]);
  await sayMany(server, bo, room, 150);
  await server.say(bo, room, `see ${server.url}/room/${room.id}/3`);
  await server.read(ana, room, 151);
  const { page } = await open(ana, `/room/${room.id}`);
  const release = await heldBack(page, /around=3\b/);
  await row(page, 151).getByRole("link").click();
  await expect(page.locator(".placeholder").first()).toBeVisible();
  await page.getByRole("button", { name: "Jump to latest" }).click();
  await expect(row(page, 151)).toBeInViewport();
  await expect(page.locator(".placeholder")).toHaveCount(0);
  await row(page, 151).getByRole("link").click();
  await expect(page.locator(".placeholder").first()).toBeVisible();
  release();
  await expect(row(page, 3)).toBeInViewport();
  await expect(row(page, 3)).toHaveAttribute("data-lit", "true");
});

test("a read marker that was lost with the line, or was refused for now, is told again", async ({
  server,
  account,
  open,
  faults,
}) => {
  faults.allow(/WebSocket/);
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await server.room(ana, "marked", [bo]);
  const { page } = await open(ana);
  /** What became of each marker that was told. The line that tells the first one is dead already. */
  const told: ("lost" | "refused" | "stored")[] = [];
  let dead: WebSocketRoute | undefined;
  await page.routeWebSocket(/\/ws$/, (socket) => {
    const real = socket.connectToServer();
    socket.onMessage((text) => {
      const { type, ref } = JSON.parse(String(text)) as { type: string; ref?: string };
      if (type !== "read") return real.send(text);
      dead ??= socket;
      const outcome = socket === dead ? "lost" : told.includes("refused") ? "stored" : "refused";
      told.push(outcome);
      if (outcome === "stored") return real.send(text);
      if (outcome === "lost") return;
      const error = { code: "rate_limited", message: "", retryable: true, retry_after_ms: 50 };
      socket.send(JSON.stringify({ type: "error", ref, ...error }));
    });
  });
  await page.goto(`${server.url}/room/${room.id}`);
  await expect(box(page)).toBeVisible();
  await server.say(bo, room, "to be read");
  await expect.poll(() => told[0]).toBe("lost");
  await dead?.close({ code: 1001 });
  await expect.poll(() => told).toEqual(["lost", "refused", "stored"]);
  const path = `/api/chat/rooms/${room.id}`;
  const marker = () => server.must<{ last_read_seq: number }>("GET", path, undefined, ana.token);
  await expect.poll(async () => (await marker()).last_read_seq).toBe(1);
  await expect(page.locator(`.room-link[data-room='${room.id}'] .count`)).toHaveCount(0);
});

test("3: back and forward return within a room, and so does a reload", async ({ server, account, open }) => {
  const ana = await account("ana");
  const room = await server.room(ana, "there and back");
  await sayMany(server, ana, room, 269);
  await server.say(ana, room, "the answer", { reply_to: 40 });
  for (let index = 271; index <= 300; index += 1) await server.say(ana, room, `line ${index}.`);
  const { page } = await open(ana, `/room/${room.id}`);
  await expect(row(page, 300)).toBeInViewport();
  await page.locator("ol.list").hover();
  await page.mouse.wheel(0, -900);
  await expect(page.getByRole("button", { name: "Jump to latest" })).toBeVisible();
  await row(page, 270).scrollIntoViewIfNeeded();
  await expect.poll(() => keptSeq(page)).toBeGreaterThan(200);
  const top = await topOf(page, 270);

  const quote = row(page, 270).locator(".quote");
  await quote.click();
  await expect(row(page, 40)).toBeInViewport();
  await expect.poll(() => keptSeq(page)).toBeLessThan(41);
  await page.goBack();
  await expect(row(page, 270)).toBeInViewport();
  await expect.poll(async () => Math.abs((await topOf(page, 270)) - top)).toBeLessThanOrEqual(1);
  await expect(row(page, 40)).toHaveCount(0);
  await page.goForward();
  await expect(row(page, 40)).toBeInViewport();

  // The end, too, is a place: at the address of a message one has gone on from it.
  await page.getByRole("button", { name: "Jump to latest" }).click();
  await expect(row(page, 300)).toBeInViewport();
  await expect.poll(() => keptSeq(page)).toBeNull();
  await page.reload();
  await expect(row(page, 300)).toBeInViewport();
  await expect(page).toHaveURL(new RegExp(`/room/${room.id}/40$`));
  await page.getByRole("button", { name: "Members" }).click(); // a panel leaves the place as it is
  await expect(page).toHaveURL(/panel=members$/);
  await page.reload();
  await expect(row(page, 300)).toBeInViewport();

  // Back to the end from a message that is named.
  await say(page, `see ${server.url}/room/${room.id}/150`);
  await expect(row(page, 301)).toBeInViewport();
  await expect.poll(() => keptSeq(page)).toBeNull();
  await row(page, 301).getByRole("link").click();
  await expect(row(page, 150)).toBeInViewport();
  await page.goBack();
  await expect(row(page, 301)).toBeInViewport();
});

test("at midnight today becomes yesterday", async ({ server, account, open }) => {
  const ana = await account("ana");
  const [room, other] = [await server.room(ana, "overnight"), await server.room(ana, "other")];
  await server.say(ana, room, "good night");
  // Somewhere where it is neither late nor early.
  const timezoneId = new Date().getUTCHours() < 12 ? "Etc/GMT-6" : "Etc/GMT+6";
  const { page } = await open(ana, `/room/${other.id}`, { timezoneId });
  await page.clock.install();
  await page.goto(`${server.url}/room/${room.id}`);
  const day = page.locator(".day");
  const time = page.locator(`.room-link[data-room='${room.id}'] time`);
  await expect(day).toHaveText("Today");
  await expect(time).toHaveText(/^\d{1,2}:\d\d$/);
  await page.clock.fastForward(await page.evaluate(() => new Date().setHours(24, 0, 0, 0) - Date.now()));
  await expect(day).toHaveText("Yesterday");
  await expect(time).toHaveText(/^\p{L}{3}$/u);
});

test("a quoted message that isn't held is as its author has left it", async ({ server, account, open }) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await server.room(ana, "quoted", [bo]);
  const { seq } = await server.say(bo, room, "the tide is out");
  await sayMany(server, ana, room, 100);
  const reply = await server.say(ana, room, "so it is", { reply_to: seq });
  const { page } = await open(ana, `/room/${room.id}`);
  const quote = row(page, reply.seq).locator(".quote");
  await expect(quote).toContainText("the tide is out");
  await expect(row(page, seq)).toHaveCount(0);
  const path = `/api/chat/rooms/${room.id}/messages/${seq}`;
  await server.must("PATCH", path, { content: "the tide is in" }, bo.token);
  await expect(quote).toContainText("the tide is in");
  await server.must("DELETE", path, undefined, bo.token);
  await expect(quote).toContainText("A message that was deleted");
  await expect(quote).not.toContainText("tide");
});

test("at the end, what is far above is let go, and is there again for who scrolls up", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await server.room(ana, "long", [bo]);
  const { page } = await open(ana, `/room/${room.id}`);
  await expect(box(page)).toBeVisible();
  let sent = 0;
  const one = async (): Promise<void> => {
    while (sent < 2_100) {
      sent += 1;
      await server.say(bo, room, `line ${sent}.`);
    }
  };
  await Promise.all(Array.from({ length: 16 }, one));
  await expect(row(page, 2_100)).toBeInViewport();
  // Where more is to be read, a placeholder stands above.
  const above = page.locator(".list__more").first();
  await expect.poll(() => above.evaluate((element) => element.clientHeight)).toBeGreaterThan(0);
  await expect(row(page, 2_100)).toBeInViewport();
  await page.getByRole("list", { name: /^Messages in/ }).press("Home");
  await expect
    .poll(() => page.locator("[data-seq]").first().getAttribute("data-seq").then(Number))
    .toBeLessThan(1_000);
});
