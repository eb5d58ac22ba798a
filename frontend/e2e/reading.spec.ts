// What people do first and most: read. Where a room opens, what moves and what stays, and links to a message.

import { VIEWS } from "./support/phone.ts";
import { keptOf } from "./support/storage.ts";
import {
  type Account,
  expect,
  messages,
  messageWith,
  type Page,
  type Room,
  type Server,
  test,
} from "./support/test.ts";

const list = (page: Page) => page.locator("ol.list");
const rest = (page: Page): Promise<number> =>
  list(page).evaluate((element) => element.scrollHeight - element.scrollTop - element.clientHeight);

async function sayMany(server: Server, author: Account, room: Room, from: number, to: number): Promise<void> {
  for (let index = from; index <= to; index += 1) await server.say(author, room, `line ${index}`);
}

/** Records where a row is in each frame from now on; the function that is given back tells how far it has moved. */
async function watchPlace(page: Page, text: string): Promise<() => Promise<number>> {
  const row = await messageWith(page, text).elementHandle();
  const watch = await page.evaluateHandle((element) => {
    const begin = element?.getBoundingClientRect().top ?? 0;
    const state = { worst: 0 };
    const look = (): void => {
      const top = element?.isConnected ? element.getBoundingClientRect().top : Number.POSITIVE_INFINITY;
      state.worst = Math.max(state.worst, Math.abs(top - begin));
      requestAnimationFrame(look);
    };
    look();
    return state;
  }, row);
  return () => watch.evaluate(({ worst }) => worst);
}

for (const [view, options] of VIEWS) {
  test(`6: a room opens at the first unread under a line, else at the end${view}`, async ({
    server,
    account,
    open,
  }) => {
    const [ana, bo] = [await account("ana"), await account("bo", "Bo Lund")];
    const room = await server.room(bo, "unread", [ana]);
    await sayMany(server, bo, room, 1, 110);
    await server.read(ana, room, 30);
    const { page } = await open(ana, `/room/${room.id}`, options);
    const line = page.getByRole("separator").filter({ hasText: /^New$/ });
    await expect(line).toBeInViewport();
    await expect(page.locator("[data-seq='31']")).toBeInViewport();
    await expect(page.locator("[data-seq='110']")).not.toBeInViewport();
    const [lineBox, rowBox] = [await line.boundingBox(), await page.locator("[data-seq='31']").boundingBox()];
    expect(lineBox?.y).toBeLessThan(rowBox?.y ?? 0);
    // All is read: it opens at the end, without the line.
    await server.read(ana, room, 110);
    await expect(page).toHaveTitle(/^unread/); // the page knows it, and keeps it
    await page.goto("about:blank"); // the same address again would be a reload, which keeps the place
    await page.goto(`${server.url}/room/${room.id}`);
    await expect(page.locator("[data-seq='110']")).toBeInViewport();
    await expect(line).toHaveCount(0);
    expect(await rest(page)).toBeLessThanOrEqual(1);
  });

  test(`6: a room shows from the cache before the server answers, and is corrected in place${view}`, async ({
    server,
    account,
    open,
  }) => {
    const [ana, bo] = [await account("ana"), await account("bo", "Bo Lund")];
    const room = await server.room(bo, "cached", [ana]);
    await sayMany(server, bo, room, 1, 60);
    await server.read(ana, room, 60);
    const { page } = await open(ana, `/room/${room.id}`, options);
    await expect(messageWith(page, "line 60")).toBeInViewport();
    await expect.poll(async () => (await keptOf(page, ana.id)).rooms).toEqual([room.id]);
    await page.goto("about:blank");
    await server.must("PATCH", `/api/chat/rooms/${room.id}/messages/30`, { content: "corrected" }, bo.token);
    let answer = (): void => {};
    const answers = new Promise<void>((resolve) => {
      answer = resolve;
    });
    await page.route("**/api/**", async (route) => {
      await answers;
      await route.continue();
    });
    await page.goto(`${server.url}/room/${room.id}`);
    await expect(messageWith(page, "line 60")).toBeInViewport();
    const moved = await watchPlace(page, "line 59");
    answer();
    await expect(messageWith(page, "corrected")).toHaveCount(1);
    await expect(messageWith(page, "line 30")).toHaveCount(0);
    expect(await moved()).toBeLessThanOrEqual(1);
  });

  test(`7: at the end it stays at the end; above, nothing moves and a button counts${view}`, async ({
    server,
    account,
    open,
  }) => {
    const [ana, bo] = [await account("ana"), await account("bo")];
    const room = await server.room(bo, "flow", [ana]);
    await sayMany(server, bo, room, 1, 60);
    await server.read(ana, room, 60);
    const { page } = await open(ana, `/room/${room.id}`, options);
    await expect(messageWith(page, "line 60")).toBeInViewport();
    await sayMany(server, bo, room, 61, 65);
    await expect(messageWith(page, "line 65")).toBeInViewport();
    await expect.poll(() => rest(page)).toBeLessThanOrEqual(1);
    await expect(page.getByRole("button", { name: /new message|Jump to latest/ })).toHaveCount(0);

    await list(page).hover();
    await page.mouse.wheel(0, -700);
    await expect(page.getByRole("button", { name: "Jump to latest" })).toBeVisible();
    await expect(messageWith(page, "line 65")).not.toBeInViewport();
    const seen = await list(page).evaluate((element) => {
      const { top } = element.getBoundingClientRect();
      const rows = [...element.querySelectorAll(".message")];
      return rows.find((row) => row.getBoundingClientRect().top > top + 50)?.getAttribute("data-seq");
    });
    const moved = await watchPlace(page, `line ${seen}`);
    await sayMany(server, bo, room, 66, 68);
    const button = page.getByRole("button", { name: "3 new messages" });
    await expect(button).toBeVisible();
    expect(await moved()).toBeLessThanOrEqual(1);
    await button.click();
    await expect(messageWith(page, "line 68")).toBeInViewport();
    await expect(button).toHaveCount(0);
  });

  test(`7: a scroll that begins as the list comes to rest is the reader's${view}`, async ({
    server,
    account,
    open,
  }) => {
    const [ana, bo] = [await account("ana"), await account("bo")];
    const room = await server.room(bo, "rest", [ana]);
    await sayMany(server, bo, room, 1, 120);
    await server.read(ana, room, 120);
    const { page } = await open(ana, "/", options);
    // The list mounts more rows 150 ms after it has come to rest. Here the page moves just before that timer, and the
    // scroll event comes after it, with the next frame.
    const moved = page.evaluate(
      () =>
        new Promise<void>((resolve) => {
          const plain = window.setTimeout;
          window.setTimeout = ((act: () => void, ms: number, ...more: unknown[]) => {
            const before = (): void => {
              const element = document.querySelector("ol.list:has([data-seq='120'])");
              if (element) {
                window.setTimeout = plain;
                element.dispatchEvent(new WheelEvent("wheel", { deltaY: -700 }));
                element.scrollTop -= 700;
                resolve();
              }
              act();
            };
            return ms === 150 ? plain(before, ms) : plain(act, ms, ...more);
          }) as typeof setTimeout;
        }),
    );
    await page.getByRole("link", { name: /rest/ }).click();
    await moved;
    await expect(page.getByRole("button", { name: "Jump to latest" })).toBeVisible();
    await expect(messageWith(page, "line 120")).not.toBeInViewport();
  });

  test(`8: history loads upwards without a shift, over placeholders${view}`, async ({
    server,
    account,
    open,
  }) => {
    const ana = await account("ana");
    const room = await server.room(ana, "history");
    for (let index = 1; index <= 160; index += 1)
      await server.say(ana, room, index % 7 ? `line ${index}` : `line ${index}\n\n> quoted\n\n- one\n- two`);
    const { page } = await open(ana, "/", options);
    let release = (): void => {};
    const held = new Promise<void>((act) => {
      release = act;
    });
    await page.route(/messages\?.*before=/, async (route) => {
      await held;
      await route.continue();
    });
    await page.goto(`${server.url}/room/${room.id}`);
    await expect(messageWith(page, "line 160")).toBeInViewport();
    const oldest = await messages(page).first().getAttribute("data-seq");
    expect(Number(oldest)).toBeGreaterThan(20);
    await list(page).evaluate((element) => {
      const [first] = element.querySelectorAll(".message");
      const blank = element.querySelector(".list__more");
      element.scrollTop +=
        (first?.getBoundingClientRect().top ?? 0) - element.getBoundingClientRect().top - 100;
      if (!blank) throw new Error("no placeholder");
    });
    await expect(page.locator(`[data-seq='${oldest}']`)).toBeInViewport();
    const blank = page.locator(".list__more").first();
    await expect(blank).toBeInViewport(); // something stands where history will be
    const moved = await watchPlace(page, `line ${oldest}`);
    release();
    await expect(page.locator(`[data-seq='${Number(oldest) - 1}']`)).toBeInViewport();
    await expect(page.locator(`[data-seq='${Number(oldest) - 20}']`)).toBeAttached();
    expect(await moved()).toBeLessThanOrEqual(1);
  });
}

/** How far the middle of a message is from the middle of the list. */
const offCentre = (page: Page, seq: number): Promise<number> =>
  list(page).evaluate((element, wanted) => {
    const row = element.querySelector(`[data-seq="${wanted}"]`);
    if (!row) return Number.POSITIVE_INFINITY;
    const [outer, inner] = [element.getBoundingClientRect(), row.getBoundingClientRect()];
    return Math.abs(outer.top + outer.height / 2 - (inner.top + inner.height / 2));
  }, seq);

test("11: a link to a message opens with it centred and lit once, without all that lies between", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const room = await server.room(ana, "deep");
  await sayMany(server, ana, room, 1, 420);
  const { page } = await open(ana);
  let loaded = 0;
  page.on("response", async (response) => {
    if (!/\/messages(\?|$)/.test(response.url())) return;
    const body = await response.json().catch(() => null);
    loaded += body?.items?.length ?? 0;
  });
  await page.goto(`${server.url}/room/${room.id}/120`);
  const row = page.locator("[data-seq='120']");
  await expect(row).toBeInViewport();
  await expect(row).toHaveAttribute("data-lit", "true");
  await expect.poll(() => offCentre(page, 120)).toBeLessThan(30);
  await expect(page.locator("[data-seq='420']")).toHaveCount(0);
  expect(loaded).toBeLessThan(260);
  await expect(page.locator("[data-lit=true]")).toHaveCount(0); // it goes out by itself
  // The way on to the newest.
  await page.getByRole("button", { name: "Jump to latest" }).click();
  await expect(page.locator("[data-seq='420']")).toBeInViewport();
  // Within the room, to what isn't loaded.
  await server.say(ana, room, `see ${server.url}/room/${room.id}/40`);
  await expect(page.locator("[data-seq='421']")).toBeInViewport();
  await expect.poll(() => page.evaluate(() => history.state?.place)).toBeNull(); // that it is at the end is kept
  await page.locator(`a[href$='/room/${room.id}/40']`).click();
  await expect(page.locator("[data-seq='40']")).toBeInViewport();
  await expect(page.locator("[data-seq='40']")).toHaveAttribute("data-lit", "true");
  await expect.poll(() => offCentre(page, 40)).toBeLessThan(30);
  // Back and forward lead to both places: where the link was followed, and where it led.
  await page.goBack();
  await expect(page.locator("[data-seq='421']")).toBeInViewport();
  await page.goForward();
  await expect(page.locator("[data-seq='40']")).toBeInViewport();
});
