// The client's figures against a real server: `make client-bench`. They are for reading; what must hold is in the specs.

import { loadavg } from "node:os";
import { gzipSync } from "node:zlib";
import {
  type Account,
  box,
  expect,
  messageWith,
  type Page,
  type Room,
  type Server,
  test,
} from "./support/test.ts";

test.describe.configure({ mode: "serial", timeout: 30 * 60_000 });

const KEYS = 300;
const ROUNDS = 20;
const MEMORY_MESSAGES = Number(process.env.BENCH_MESSAGES ?? 72_000);
const SENDERS = 16;

const print = (what: string, value: string): void =>
  console.log(`${what.padEnd(62)} ${value}   (load ${loadavg()[0]?.toFixed(1)})`);

const percentile = (values: readonly number[], part: number): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
};
const spread = (values: readonly number[]): string =>
  [0.5, 0.95, 1].map((part) => `${percentile(values, part).toFixed(0)} ms`).join(", ");

/** Sends messages at a rate, until it is ended; resolves with their number. */
function chatter(server: Server, author: Account, room: Room, perSecond: number): () => Promise<number> {
  let isOver = false;
  let sent = 0;
  const from = performance.now();
  const one = async (): Promise<void> => {
    while (!isOver) {
      const due = from + (sent * 1_000) / perSecond;
      sent += 1;
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - performance.now())));
      if (!isOver) await server.say(author, room, `message ${sent}, and a few words more`);
    }
  };
  const all = Promise.all(Array.from({ length: SENDERS }, one));
  return async () => {
    isOver = true;
    await all;
    return sent;
  };
}

/** KiB of the scripts and styles that were loaded, as gzip makes them. */
async function loadedBy(page: Page, act: () => Promise<void>): Promise<string> {
  const bodies: Promise<[string, number]>[] = [];
  page.on("response", (response) => {
    const kind = response.url().match(/\.(js|css)$/)?.[1];
    if (kind !== undefined)
      bodies.push(response.body().then((body) => [kind, gzipSync(body, { level: 9 }).length]));
  });
  await act();
  const sizes = await Promise.all(bodies);
  const sum = (kind: string): string =>
    (sizes.reduce((total, [name, size]) => total + (name === kind ? size : 0), 0) / 1024).toFixed(0);
  return `${sum("js")} KiB of JavaScript, ${sum("css")} of CSS`;
}

test("sizes", async ({ page, server, account, open }) => {
  const before = await loadedBy(page, async () => {
    await page.goto(server.url);
    await expect(page.getByRole("button", { name: "Log in" })).toBeVisible();
  });
  print("loaded before the log-in shows", before);
  const ana = await account("ana");
  const room = await server.room(ana, "sizes");
  await server.say(ana, room, "hello");
  const { page: chat } = await open(ana, "/nowhere");
  const shown = await loadedBy(chat, async () => {
    await chat.goto(`${server.url}/room/${room.id}`);
    await expect(messageWith(chat, "hello")).toBeVisible();
  });
  print("loaded before a room shows", shown);
});

test("a key press, until it is painted", async ({ server, account, open }) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await server.room(ana, "typing", [bo]);
  const { page } = await open(ana, `/room/${room.id}`);
  await box(page).focus();
  await page.evaluate(() => {
    const taken: number[] = [];
    Object.assign(window, { taken });
    addEventListener(
      "keydown",
      (event) =>
        requestAnimationFrame(() => {
          const { port1, port2 } = new MessageChannel();
          port1.onmessage = () => taken.push(performance.now() - event.timeStamp);
          port2.postMessage(null);
        }),
      { capture: true },
    );
  });
  for (const perSecond of [0, 50]) {
    const stop = perSecond > 0 ? chatter(server, bo, room, perSecond) : async () => 0;
    await box(page).pressSequentially("the quick brown fox ".repeat(KEYS / 20), { delay: 60, timeout: 0 });
    const sent = await stop();
    const taken = await page.evaluate(() => (window as unknown as { taken: number[] }).taken.splice(0));
    print(`key press to paint, ${sent} messages meanwhile: p50, p95, worst`, spread(taken));
  }
});

test("what I send, until it shows", async ({ server, account, open }) => {
  const ana = await account("ana");
  const room = await server.room(ana, "sending");
  const { page } = await open(ana, `/room/${room.id}`);
  const taken: number[] = [];
  for (let round = 1; round <= ROUNDS; round += 1) {
    await box(page).fill(`message ${round}.`);
    const ms = await page.evaluate(async (text) => {
      const from = performance.now();
      document.querySelector<HTMLButtonElement>(".composer__send")?.click();
      const isThere = () =>
        [...document.querySelectorAll("article.message")].some((row) => row.textContent?.includes(text));
      do await new Promise((resolve) => requestAnimationFrame(resolve));
      while (!isThere());
      return performance.now() - from;
    }, `message ${round}.`);
    taken.push(ms);
  }
  print("what I send, until it shows: p50, p95, worst", spread(taken));
});

test("the switcher, until its rooms show", async ({ server, account, open }) => {
  const ana = await account("ana");
  for (const name of ["alpha", "beta", "gamma"]) await server.room(ana, name);
  const { page } = await open(ana, "/");
  const taken: number[] = [];
  await expect(async () => {
    await page.keyboard.press("Control+K"); // when its part has been loaded
    await expect(page.getByRole("dialog").getByRole("option").first()).toBeVisible({ timeout: 1_000 });
  }).toPass();
  for (let round = 0; round < ROUNDS; round += 1) {
    await page.keyboard.press("Escape");
    await expect(page.getByRole("dialog")).toHaveCount(0);
    const ms = await page.evaluate(async () => {
      const from = performance.now();
      const init = { key: "k", code: "KeyK", ctrlKey: true, bubbles: true, cancelable: true };
      document.activeElement?.dispatchEvent(new KeyboardEvent("keydown", init));
      do await new Promise((resolve) => requestAnimationFrame(resolve));
      while (!document.querySelector("[role=dialog] [role=option]"));
      return performance.now() - from;
    });
    taken.push(ms);
  }
  print("the switcher, until its rooms show: p50, p95, worst", spread(taken));
});

test("another room, from the cache", async ({ server, account, open }) => {
  const ana = await account("ana");
  const rooms: Room[] = [];
  for (const name of ["left", "right"]) {
    const room = await server.room(ana, name);
    for (let index = 1; index <= 100; index += 1) await server.say(ana, room, `${name} ${index}`);
    rooms.push(room);
  }
  const { page } = await open(ana, `/room/${rooms[0]?.id}`);
  await expect(messageWith(page, "left 100")).toBeVisible();
  await expect(page.locator(".room-link")).toHaveCount(rooms.length);
  const taken: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const name of ["right", "left"]) {
      const ms = await page.evaluate(async (name) => {
        const link = [...document.querySelectorAll<HTMLElement>(".room-link")].find((one) =>
          one.textContent?.includes(name),
        );
        const from = performance.now();
        link?.click();
        const isThere = () =>
          [...document.querySelectorAll("article.message")].some((row) =>
            row.textContent?.includes(`${name} 100`),
          );
        do await new Promise((resolve) => requestAnimationFrame(resolve));
        while (!isThere());
        return performance.now() - from;
      }, name);
      if (round > 0) taken.push(ms); // the first one reads it from the server
    }
  }
  print("another room: p50, p95, worst", spread(taken));
});

test("memory", async ({ server, account, open }) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await server.room(ana, "memory", [bo]);
  const { page } = await open(ana, `/room/${room.id}`);
  await expect(box(page)).toBeVisible();
  const debug = await page.context().newCDPSession(page);
  await debug.send("Performance.enable");
  const heap = async (): Promise<string> => {
    await debug.send("HeapProfiler.collectGarbage");
    const { metrics } = await debug.send("Performance.getMetrics");
    const of = (name: string): number => metrics.find((metric) => metric.name === name)?.value ?? Number.NaN;
    return `${(of("JSHeapUsedSize") / 2 ** 20).toFixed(1)} MiB of heap, ${of("Nodes")} nodes`;
  };
  print("memory at the beginning", await heap());
  let sent = 0;
  for (let part = 1; part <= 4; part += 1) {
    const goal = Math.round((MEMORY_MESSAGES * part) / 4);
    const one = async (): Promise<void> => {
      while (sent < goal) {
        sent += 1;
        await server.say(bo, room, `message ${sent}, and a few words more`);
      }
    };
    await Promise.all(Array.from({ length: SENDERS }, one));
    await server.say(bo, room, `the end of part ${part}`);
    await expect(messageWith(page, `the end of part ${part}`)).toBeVisible({ timeout: 60_000 });
    print(`memory after ${sent} messages`, await heap());
  }
});
