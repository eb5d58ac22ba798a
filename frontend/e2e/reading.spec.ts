// What people do first and most: read.

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

/** Changes when messages were written, as the page is told by REST. */
async function writtenAt(page: Page, at: (seq: number) => string): Promise<void> {
  await page.route(/\/messages(\?|$)/, async (route) => {
    const response = await route.fetch();
    const body = await response.json();
    for (const item of body.items) item.created_at = at(item.seq);
    await route.fulfill({ response, json: body });
  });
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

test("9: an author's messages group within five minutes; days have lines; times are the reader's", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana", "Ana Silva"), await account("bo", "Bo Lund")];
  const room = await server.room(ana, "times", [bo]);
  for (const text of ["one", "two", "three"]) await server.say(ana, room, text);
  await server.say(bo, room, "four");
  await server.say(bo, room, "five");
  await server.read(ana, room, 5);
  const { page } = await open(ana);
  const times = [
    "2025-11-03T13:03:00Z", // a Monday; in Berlin it is 14:03
    "2025-11-03T13:07:00Z",
    "2025-11-03T13:12:30Z",
    "2025-11-03T13:13:00Z",
    "2025-11-03T23:01:00Z", // in Berlin it is the day after
  ];
  await writtenAt(page, (seq) => times[seq - 1] ?? "");
  await page.goto(`${server.url}/room/${room.id}`);
  await expect(messages(page)).toHaveCount(5);
  const heads = await messages(page).evaluateAll((rows) => rows.map((row) => row.getAttribute("data-head")));
  expect(heads).toEqual(["true", "false", "true", "true", "true"]);
  await expect(page.getByRole("separator")).toHaveText([
    /Monday,? 3 November 2025/,
    /Tuesday,? 4 November 2025/,
  ]);
  const first = messages(page).first();
  await expect(first.locator(".message__head time")).toHaveText("14:03");
  await expect(first.locator(".message__head time")).toHaveAttribute(
    "title",
    /Monday,? 3 November 2025.* 14:03:00/,
  );
  await expect(messages(page).nth(1).locator("time")).toHaveAttribute("title", /Monday,? 3 November 2025/);
  // Another reader, another clock.
  const { page: far } = await open(bo, "/", { locale: "en-US", timezoneId: "America/New_York" });
  await writtenAt(far, (seq) => times[seq - 1] ?? "");
  await far.goto(`${server.url}/room/${room.id}`);
  await expect(messages(far).first().locator(".message__head time")).toHaveText(/^8:03\sAM$/);
  await expect(far.getByRole("separator").filter({ hasText: "Monday" })).toHaveText(
    /Monday, November 3, 2025/,
  );
});

test("10: long messages fold; long words and links wrap; code scrolls inside, has colours and is copied", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const room = await server.room(ana, "long");
  const code = `const answer = "${"x".repeat(400)}"; // wide`;
  await server.say(ana, room, Array.from({ length: 60 }, (_, index) => `row ${index}`).join("\n"));
  await server.say(ana, room, `${"w".repeat(900)} https://example.org/${"p".repeat(900)}`);
  await server.say(ana, room, `\`\`\`js\n${code}\n\`\`\``);
  const { page, context } = await open(ana, `/room/${room.id}`);
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);

  const wide = messages(page).nth(1);
  const overflow = await wide.evaluate((row) => row.scrollWidth - row.clientWidth);
  expect(overflow).toBeLessThanOrEqual(0);
  expect(await list(page).evaluate((element) => element.scrollWidth - element.clientWidth)).toBe(0);

  const block = messages(page).nth(2);
  const pre = block.locator("pre");
  await expect(pre.locator("span[class^='md-']").first()).toBeVisible();
  expect(await pre.evaluate((element) => element.scrollWidth - element.clientWidth)).toBeGreaterThan(500);
  await block.getByRole("button", { name: "Copy" }).click();
  await expect(block.getByText("Copied")).toBeVisible();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(code);

  const long = messages(page).first();
  const folded = (await long.boundingBox())?.height ?? 0;
  expect(folded).toBeLessThan(800);
  await long.getByRole("button", { name: "Show all" }).click();
  await expect(long.getByRole("button", { name: "Show less" })).toBeVisible();
  expect((await long.boundingBox())?.height).toBeGreaterThan(folded + 300);
});

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

test("12: edited says when; what was deleted leaves a line; up to three emoji alone are large", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const room = await server.room(ana, "states");
  for (const text of ["first", "second", "👍🎉❤️", "👍👍👍👍", "a 👍"]) await server.say(ana, room, text);
  const { page } = await open(ana, `/room/${room.id}`);
  await expect(messages(page)).toHaveCount(5);
  const path = `/api/chat/rooms/${room.id}/messages`;
  await server.must("PATCH", `${path}/1`, { content: "first, changed" }, ana.token);
  await server.must("DELETE", `${path}/2`, undefined, ana.token);
  await expect(page.locator("[data-seq='1']")).toContainText("first, changed");
  await expect(page.locator("[data-seq='1'] .message__edited")).toHaveAttribute(
    "title",
    /^Edited .*\d{1,2}:\d\d/,
  );
  await expect(page.locator("[data-seq='2']")).toContainText("This message was deleted.");
  await expect(page.locator("[data-seq='2']")).not.toContainText("second");
  const size = (seq: number) =>
    page
      .locator(`[data-seq='${seq}'] .md`)
      .evaluate((element) => Number.parseFloat(getComputedStyle(element).fontSize));
  expect(await size(3)).toBeGreaterThan(1.5 * (await size(1)));
  expect(await size(4)).toBe(await size(1));
  expect(await size(5)).toBe(await size(1));
});

test("13: text selected across messages is copied as lines of name and text", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana", "Ana Silva"), await account("bo", "Bo Lund")];
  const room = await server.room(ana, "copy", [bo]);
  await server.say(ana, room, "shall we **sail** today");
  await server.say(bo, room, "yes, at noon");
  await server.say(bo, room, "I bring the boat");
  const { page, context } = await open(ana, `/room/${room.id}`);
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await expect(messages(page)).toHaveCount(3);
  await page.evaluate(() => {
    const [first, , third] = document.querySelectorAll(".message__text p");
    const [from, to] = [first?.firstChild, third?.firstChild];
    if (from && to) getSelection()?.setBaseAndExtent(from, "shall ".length, to, "I bring".length);
  });
  await page.keyboard.press("Control+C");
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  expect(copied.split("\n")).toEqual([
    "Ana Silva: we sail today",
    "Bo Lund: yes, at noon",
    "Bo Lund: I bring",
  ]);
});

test("13: where all is selected, the messages are copied as lines of name and text", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana", "Ana Silva"), await account("bo", "Bo Lund")];
  const room = await server.room(ana, "copy", [bo]);
  await server.say(ana, room, "1. one\n2. two");
  const { seq } = await server.say(bo, room, "edted");
  const path = `/api/chat/rooms/${room.id}/messages`;
  await server.must("PATCH", `${path}/${seq}`, { content: "edited" }, bo.token);
  const gone = await server.say(ana, room, "gone");
  await server.must("DELETE", `${path}/${gone.seq}`, undefined, ana.token);
  await server.say(ana, room, "```js\na\n\nb\n```");
  const { page, context } = await open(ana, `/room/${room.id}`);
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await expect(messages(page)).toHaveCount(4);
  await page.getByRole("list", { name: /^Messages in/ }).focus();
  await page.keyboard.press("Control+A");
  await page.keyboard.press("Control+C");
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  expect(copied).toBe("Ana Silva: 1. one\n2. two\nBo Lund: edited\nAna Silva: a\n\nb");
});

test("14: names, quoted messages and reactions say who and when at one hover or tap", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana", "Ana Silva"), await account("bo", "Bo Lund")];
  const room = await server.room(ana, "who", [bo]);
  const { seq } = await server.say(bo, room, "the tide is out");
  await server.say(ana, room, "so it is", { reply_to: seq });
  const path = `/api/chat/rooms/${room.id}/messages/${seq}/reactions/${encodeURIComponent("🎉")}`;
  await server.must("PUT", path, undefined, bo.token);
  const { page } = await open(ana, `/room/${room.id}`);
  const author = page.getByRole("button", { name: "Bo Lund" }).first();
  await expect(author).toHaveAttribute("title", `@${bo.username}`);
  await author.click();
  const person = page.getByRole("dialog");
  await expect(person).toContainText(`@${bo.username}`);
  await page.keyboard.press("Escape");
  await expect(person).toHaveCount(0);
  const quote = page.locator(".quote");
  await expect(quote).toContainText("Bo Lund");
  await expect(quote).toHaveAttribute("title", /\d{4}.*\d{1,2}:\d\d/);
  await page.getByRole("button", { name: "Who reacted" }).click();
  await expect(page.getByRole("dialog")).toContainText("Bo Lund");
  await expect(page.getByRole("dialog")).toContainText("🎉");
});

test("15: search shows the words, leads to the place, and keeps query and filters", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana", "Ana Silva"), await account("bo", "Bo Lund")];
  const [here, there] = [await server.room(ana, "here", [bo]), await server.room(ana, "there", [bo])];
  await server.say(bo, here, "the lighthouse keeper");
  await server.say(ana, here, "the lighthouse lamp");
  await sayMany(server, ana, here, 3, 150);
  await server.say(bo, there, "another lighthouse");
  const { page } = await open(ana, `/room/${here.id}`);
  await page.getByRole("button", { name: "Search", exact: true }).click();
  const query = page.getByRole("searchbox", { name: "Search messages" });
  const found = page.getByRole("list", { name: "Results" }).getByRole("listitem");
  await query.fill("lighthouse");
  await expect(found).toHaveCount(2);
  await expect(found.first().locator("mark")).toHaveText("lighthouse");
  await page.getByLabel("From @username").fill(bo.username);
  await expect(found).toHaveCount(1);
  await page.getByLabel("Where").selectOption("all");
  await expect(found).toHaveCount(2);
  await found.filter({ hasText: "keeper" }).getByRole("button").click();
  await expect(messageWith(page, "lighthouse keeper")).toBeInViewport();
  await found.filter({ hasText: "another" }).getByRole("button").click();
  await expect(messageWith(page, "another lighthouse")).toBeInViewport();
  await expect(page).toHaveURL(new RegExp(`/room/${there.id}/`));
  // Elsewhere and back again.
  await page.getByRole("button", { name: "Close" }).last().click();
  await expect(query).toHaveCount(0);
  await page.locator(`.room-link[data-room='${here.id}']`).click();
  await page.getByRole("button", { name: "Search", exact: true }).click();
  await expect(query).toHaveValue("lighthouse");
  await expect(page.getByLabel("From @username")).toHaveValue(bo.username);
  await expect(page.getByLabel("Where")).toHaveValue("all");
  await expect(found).toHaveCount(2);
});
