// Several tabs of one browser, which share one socket, one token and what is not sent.

import type { BrowserContext } from "@playwright/test";
import { within } from "./support/patience.ts";
import { box, expect, messages, messageWith, type Page, say, test } from "./support/test.ts";

/** Another tab, and how many sockets it has opened so far. */
async function anotherTab(context: BrowserContext, address: string) {
  const page = await context.newPage();
  const sockets: string[] = [];
  page.on("websocket", (socket) => sockets.push(socket.url()));
  await page.goto(address);
  await expect(box(page)).toBeVisible();
  return { page, sockets };
}

const pending = (page: Page) => page.locator("[data-state=pending]");

test("two tabs have one socket: the leading one closes, the other goes on", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await server.room(ana, "tabs", [bo]);
  const address = `${server.url}/room/${room.id}`;
  const { page: first, context } = await open(ana, `/room/${room.id}`);
  await expect(box(first)).toBeVisible();
  let refreshes = 0;
  context.on("request", (request) => {
    if (request.url().endsWith("/api/refresh")) refreshes += 1;
  });
  const { page: second, sockets } = await anotherTab(context, address);
  await server.say(bo, room, "for both");
  await expect(messageWith(first, "for both")).toBeVisible();
  await expect(messageWith(second, "for both")).toBeVisible();
  await say(second, "from the second tab");
  await expect(pending(second)).toHaveCount(0);
  for (const page of [first, second]) await expect(messageWith(page, "from the second tab")).toHaveCount(1);
  expect([sockets, refreshes], "it shares the socket and the token").toEqual([[], 0]);

  await first.close();
  await server.say(bo, room, "for who is left");
  await expect(messageWith(second, "for who is left")).toBeVisible();
  expect(sockets.length).toBe(1);
  await say(second, "on a socket of its own");
  await expect(pending(second)).toHaveCount(0);
  await expect(messageWith(second, "on a socket of its own")).toHaveCount(1);
});

test("what waits in one tab waits in all, and is sent by the one that is left", async ({
  server,
  account,
  open,
  faults,
}) => {
  faults.allow(/./);
  const ana = await account("ana");
  const room = await server.room(ana, "waiting");
  const { page: first, context } = await open(ana, `/room/${room.id}`);
  await expect(box(first)).toBeVisible();
  const { page: second } = await anotherTab(context, `${server.url}/room/${room.id}`);
  await server.kill();
  await say(second, "one");
  await expect(pending(first)).toHaveCount(1);
  await say(first, "two");
  await expect(pending(second)).toHaveCount(2); // the order is that in which people see it
  await say(second, "three");
  for (const page of [first, second]) await expect(pending(page)).toHaveCount(3);
  await first.close();
  await server.start();
  await expect(pending(second)).toHaveCount(0, { timeout: within(45_000) });
  await expect(messages(second)).toContainText(["one", "two", "three"]);
  expect(await server.texts(ana, room)).toEqual(["one", "two", "three"]);
});

test("report 8: a tab that sleeps with the lock keeps no other one from its token or its socket", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await server.room(ana, "asleep", [bo]);
  const address = `${server.url}/room/${room.id}`;
  const { page: first, context } = await open(ana, `/room/${room.id}`);
  await expect(box(first)).toBeVisible();
  const { page: second, sockets } = await anotherTab(context, address);
  const debug = await context.newCDPSession(first);
  await debug.send("Debugger.enable");
  await debug.send("Debugger.pause"); // none of its script runs any more, and it holds the lock
  await expect.poll(() => sockets.length, { timeout: within(30_000) }).toBe(1);
  await server.say(bo, room, "while it sleeps");
  await expect(messageWith(second, "while it sleeps")).toBeVisible();
  const { page: third, sockets: more } = await anotherTab(context, address);
  await expect(messageWith(third, "while it sleeps")).toBeVisible();
  expect(more, "it follows the second").toEqual([]);
  await debug.send("Debugger.resume");
  await debug.send("Debugger.disable");
  await server.say(bo, room, "it has woken");
  for (const page of [first, second, third]) await expect(messageWith(page, "it has woken")).toHaveCount(1);
  await expect(messageWith(first, "while it sleeps")).toHaveCount(1);
});
