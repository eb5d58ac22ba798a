// How messages are written, and what becomes of them until the server has them.

import type { WebSocketRoute } from "@playwright/test";
import { PHONE, VIEWS } from "./support/phone.ts";
import { box, expect, messages, messageWith, type Page, say, test } from "./support/test.ts";

const pending = (page: Page) => page.locator("[data-state=pending]");
const list = (page: Page) => page.locator("ol.list");

/** A key of an input method: as browsers send it while composing, and as Safari does after the end. */
async function composingEnter(
  page: Page,
  options: { isComposing: boolean; keyCode: number },
): Promise<boolean> {
  return box(page).evaluate((area, init) => {
    const event = new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true, ...init });
    return area.dispatchEvent(event);
  }, options);
}

/** What the page sends on its socket from now on, with a way to hold back what the server answers. */
interface Cut {
  holds: boolean;
  /** Answers in the server's place. */
  answer: ((frame: { type: string; ref?: number; id?: string }, socket: WebSocketRoute) => boolean) | null;
}

async function onSocket(page: Page): Promise<Cut> {
  const cut: Cut = { holds: false, answer: null };
  await page.routeWebSocket(/\/ws$/, (socket) => {
    const server = socket.connectToServer();
    socket.onMessage((text) => {
      if (!cut.answer?.(JSON.parse(String(text)), socket)) server.send(text);
    });
    server.onMessage((text) => {
      if (!cut.holds) socket.send(text);
    });
  });
  return cut;
}

async function setEnter(page: Page, label: RegExp): Promise<void> {
  await page.getByRole("button", { name: /^Settings of/ }).click();
  await page.getByRole("tab", { name: "Appearance" }).click();
  await page.getByRole("radio", { name: label }).check();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toHaveCount(0);
}

test("16: Enter sends, Shift+Enter breaks, a setting swaps them; an input method's Enter never sends", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const room = await server.room(ana, "enter");
  const { page, context } = await open(ana, `/room/${room.id}`);
  await box(page).fill("one");
  await box(page).press("Shift+Enter");
  await box(page).pressSequentially("two");
  await expect(box(page)).toHaveValue("one\ntwo");
  await box(page).press("Enter");
  await expect(messageWith(page, "one")).toContainText("two");
  await expect(box(page)).toHaveValue("");

  const input = await context.newCDPSession(page);
  await input.send("Input.imeSetComposition", { text: "にほん", selectionStart: 3, selectionEnd: 3 });
  await expect(box(page)).toHaveValue("にほん");
  await composingEnter(page, { isComposing: true, keyCode: 229 });
  await input.send("Input.insertText", { text: "日本" });
  await composingEnter(page, { isComposing: false, keyCode: 229 }); // Safari's, after the end
  await expect(box(page)).toHaveValue("日本");
  await expect(messages(page)).toHaveCount(1);
  await box(page).press("Enter");
  await expect(messageWith(page, "日本")).toBeVisible();

  await setEnter(page, /Breaks the line; Shift/);
  await box(page).fill("three");
  await box(page).press("Enter");
  await expect(box(page)).toHaveValue("three\n");
  await box(page).pressSequentially("four");
  await box(page).press("Shift+Enter");
  await expect(messageWith(page, "three")).toContainText("four");
  await expect(messages(page)).toHaveCount(3);
});

test("16: on a phone Enter breaks and the button sends; a setting makes Enter send (phone)", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const room = await server.room(ana, "enter");
  const { page } = await open(ana, `/room/${room.id}`, PHONE);
  await box(page).tap();
  await box(page).pressSequentially("one");
  await box(page).press("Enter");
  await box(page).pressSequentially("two");
  await expect(box(page)).toHaveValue("one\ntwo");
  await page.getByRole("button", { name: "Send" }).tap();
  await expect(messageWith(page, "one")).toContainText("two");
  await page.getByRole("button", { name: "All rooms" }).tap();
  await setEnter(page, /^Sends; Shift/);
  await page.locator(`.room-link[data-room='${room.id}']`).tap();
  await box(page).fill("three");
  await composingEnter(page, { isComposing: true, keyCode: 229 });
  await expect(box(page)).toHaveValue("three");
  await box(page).press("Enter");
  await expect(messageWith(page, "three")).toBeVisible();
});

for (const [view, options] of VIEWS) {
  test(`17: the box grows to 40 % of the height; drafts survive, and the list shows them${view}`, async ({
    server,
    account,
    open,
  }) => {
    const ana = await account("ana");
    const [one, two] = [await server.room(ana, "one"), await server.room(ana, "two")];
    const { page } = await open(ana, `/room/${one.id}`, options);
    const isPhone = view !== "";
    const height = async (): Promise<number> => (await box(page).boundingBox())?.height ?? 0;
    const go = async (id: number): Promise<void> => {
      if (isPhone) await page.getByRole("button", { name: "All rooms" }).click();
      await page.locator(`.room-link[data-room='${id}']`).click();
      await expect(page).toHaveURL(new RegExp(`/room/${id}$`));
    };
    const low = await height();
    await box(page).fill("a\nb\nc\nd");
    const middle = await height();
    expect(middle).toBeGreaterThan(low + 40);
    await box(page).fill("line\n".repeat(80));
    const max = 0.4 * ((await page.viewportSize())?.height ?? 0);
    expect(await height()).toBeGreaterThan(max - 30);
    expect(await height()).toBeLessThanOrEqual(max + 2);
    await box(page).fill("half a thought");
    expect(await height()).toBeLessThanOrEqual(low + 1);

    await go(two.id);
    await expect(box(page)).toHaveValue("");
    await box(page).fill("another one");
    await go(one.id);
    await expect(box(page)).toHaveValue("half a thought");
    await page.reload();
    await expect(box(page)).toHaveValue("half a thought");
    if (isPhone) await page.getByRole("button", { name: "All rooms" }).click();
    for (const { id } of [one, two])
      await expect(page.locator(`.room-link[data-room='${id}']`)).toContainText("Draft");
    await page.locator(`.room-link[data-room='${two.id}']`).click();
    await expect(box(page)).toHaveValue("another one");
    await box(page).fill("");
    if (isPhone) await page.getByRole("button", { name: "All rooms" }).click();
    await expect(page.locator(`.room-link[data-room='${two.id}']`)).not.toContainText("Draft");
  });
}

test("18: ArrowUp edits my last message, Escape cancels", async ({ server, account, open }) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await server.room(ana, "edit", [bo]);
  await server.say(ana, room, "first of mine");
  await server.say(ana, room, "last of mien");
  await server.say(bo, room, "of Bo's");
  const { page } = await open(ana, `/room/${room.id}`);
  await expect(messageWith(page, "of Bo's")).toBeVisible();
  const edit = page.getByRole("textbox", { name: "Edit message" });
  await box(page).press("ArrowUp");
  await expect(edit).toBeFocused();
  await expect(edit).toHaveValue("last of mien");
  await edit.fill("something else");
  await edit.press("Escape");
  await expect(edit).toHaveCount(0);
  await expect(box(page)).toBeFocused();
  await expect(messageWith(page, "last of mien")).toBeVisible();
  await box(page).press("ArrowUp");
  await edit.fill("last of mine");
  await edit.press("Enter");
  await expect(messageWith(page, "last of mine")).toContainText("(edited)");
  // A box with text keeps its arrow.
  await box(page).fill("text");
  await box(page).press("ArrowUp");
  await expect(edit).toHaveCount(0);
});

test("18: @, # and : complete by keyboard and by mouse", async ({ server, account, open }) => {
  const [ana, bo, bea] = [
    await account("ana", "Ana Silva"),
    await account("bo", "Bo Lund"),
    await account("bea", "Bea Lund"),
  ];
  const room = await server.room(ana, "complete", [bo, bea]);
  const other = await server.room(ana, `quay-${room.id}`);
  const { page } = await open(ana, `/room/${room.id}`);
  const options = page.getByRole("listbox", { name: "Suggestions" }).getByRole("option");
  await box(page).pressSequentially("hi @lun");
  await expect(options).toHaveCount(2);
  await box(page).press("ArrowDown");
  await expect(options.nth(1)).toHaveAttribute("aria-selected", "true");
  const second = (await options.nth(1).textContent()) ?? "";
  await box(page).press("Tab");
  const [first, last] = second.includes("Bo Lund") ? [bo, bea] : [bea, bo];
  await expect(box(page)).toHaveValue(`hi @${first.username} `);
  await expect(options).toHaveCount(0);
  await box(page).pressSequentially("@lun");
  await options.filter({ hasText: last.username }).click();
  await expect(box(page)).toHaveValue(`hi @${first.username} @${last.username} `);
  await expect(box(page)).toBeFocused();
  await box(page).pressSequentially(":tada");
  await expect(options.filter({ hasText: "🎉" })).toBeVisible();
  await options.filter({ hasText: "🎉" }).click();
  await box(page).pressSequentially("#quay-");
  await expect(options.filter({ hasText: other.name })).toBeVisible();
  await box(page).press("Enter"); // takes it, and doesn't send
  await expect(messages(page)).toHaveCount(0);
  await box(page).press("Enter");
  const sent = messageWith(page, "🎉");
  await expect(sent.locator(".mention")).toHaveText([`@${first.username}`, `@${last.username}`]);
  await sent.getByRole("link", { name: `#${other.name}` }).click();
  await expect(page).toHaveURL(new RegExp(`/room/${other.id}$`));
  // Escape puts the list away, and the text stays.
  await box(page).fill("@an");
  await box(page).pressSequentially("a");
  await box(page).press("Escape");
  await expect(options).toHaveCount(0);
  await expect(box(page)).toHaveValue("@ana");
});

test("19: near the limit a counter; beyond it nothing is sent, and it says what to cut; pasting keeps plain text", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const room = await server.room(ana, "limit");
  const { limits } = await server.must<{ limits: { content_chars_max: number } }>("GET", "/api/info");
  const max = limits.content_chars_max;
  const { page, context } = await open(ana, `/room/${room.id}`);
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const count = page.locator("#composer-count");
  await box(page).fill("x".repeat(max - 1_000));
  await expect(count).toHaveText("");
  await box(page).fill("😀".repeat(max - 7)); // characters, not halves of them
  await expect(count).toHaveText("7 characters left");
  await box(page).fill("x".repeat(max + 12));
  await expect(count).toContainText("Too long by 12 characters");
  await box(page).press("Enter");
  await expect(box(page)).toHaveValue("x".repeat(max + 12));
  await expect(messages(page)).toHaveCount(0);
  await box(page).fill("x".repeat(max));
  await box(page).press("Enter");
  await expect(messages(page)).toHaveCount(1);
  await expect(pending(page)).toHaveCount(0);

  await page.evaluate(() =>
    navigator.clipboard.write([
      new ClipboardItem({
        "text/html": new Blob(["<b>bold</b> <i>words</i>"], { type: "text/html" }),
        "text/plain": new Blob(["bold words"], { type: "text/plain" }),
      }),
    ]),
  );
  await box(page).focus();
  await page.keyboard.press("Control+V");
  await expect(box(page)).toHaveValue("bold words");
});

for (const [view, options] of VIEWS) {
  test(`20: what I send shows at once, in order; refused, it can be tried again or discarded${view}`, async ({
    server,
    account,
    open,
  }) => {
    const ana = await account("ana");
    const room = await server.room(ana, "pending");
    const { page } = await open(ana, "/", options);
    const cut = await onSocket(page);
    await page.goto(`${server.url}/room/${room.id}`);
    await say(page, "zero"); // all is there, and warm
    if (view !== "") await page.getByRole("button", { name: "Send" }).tap();
    await expect(page.locator("[data-seq='1']")).toBeVisible();
    await expect(box(page)).toHaveValue("");

    cut.holds = true;
    const send = async (text: string): Promise<number> => {
      await box(page).fill(text);
      return page.evaluate(
        (wanted) =>
          new Promise<number>((act) => {
            const begun = performance.now();
            const look = (): void => {
              const rows = [...document.querySelectorAll("[data-state=pending]")];
              if (rows.some((row) => row.textContent?.includes(wanted))) act(performance.now() - begun);
            };
            new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
            document.querySelector<HTMLButtonElement>(".composer__send")?.click();
          }),
        text,
      );
    };
    const took: number[] = [];
    for (const text of ["one", "two", "three"]) took.push(await send(text));
    expect(Math.min(...took)).toBeLessThan(50);
    await expect(pending(page).locator(".message__text")).toHaveText(["one", "two", "three"]);
    cut.holds = false;
    await page.reload(); // in the middle: the server has what was sent, and the page doesn't know
    await expect(page.locator("[data-seq='4']")).toBeVisible();
    await expect(pending(page)).toHaveCount(0);
    await expect(messages(page).locator(".message__text")).toHaveText(["zero", "one", "two", "three"]);

    cut.answer = ({ type, ref }, socket) => {
      if (type !== "message") return false;
      const error = { type: "error", ref, code: "invalid", message: "Not that.", retryable: false };
      socket.send(JSON.stringify(error));
      return true;
    };
    const button = page.getByRole("button", { name: "Send" });
    await box(page).fill("refused");
    await button.click();
    const failed = page.locator("[data-state=failed]");
    await expect(failed).toContainText("Not sent. Not that.");
    await page.reload();
    await expect(failed).toHaveCount(1); // it waits for a word
    await box(page).fill("given up");
    await button.click();
    await failed.filter({ hasText: "given up" }).getByRole("button", { name: "Discard" }).click();
    await expect(messageWith(page, "given up")).toHaveCount(0);
    cut.answer = null;
    await failed.getByRole("button", { name: "Try again" }).click();
    await expect(failed).toHaveCount(0);
    await expect(page.locator("[data-seq='5']")).toContainText("refused");
    await page.reload();
    await expect(page.locator("[data-seq='5']")).toBeVisible();
    await expect(messages(page)).toHaveCount(5);
  });

  test(`21: a reply shows the quoted line, which leads to its message${view}`, async ({
    server,
    account,
    open,
  }) => {
    const [ana, bo] = [await account("ana"), await account("bo", "Bo Lund")];
    const room = await server.room(ana, "replies", [bo]);
    await server.say(bo, room, "the **first** word");
    for (let index = 0; index < 120; index += 1) await server.say(bo, room, `filler ${index}`);
    await server.read(ana, room, 121);
    const { page } = await open(ana, `/room/${room.id}`, options);
    const target = messageWith(page, "filler 119");
    await expect(target).toBeVisible();
    if (view === "") {
      await target.hover();
      await page.getByRole("button", { name: "Reply" }).click();
    } else {
      await longPress(page, "filler 119");
      await page.getByRole("menuitem", { name: "Reply" }).tap();
    }
    await expect(page.getByText("Replying to Bo Lund")).toBeVisible();
    await expect(box(page)).toBeFocused();
    await box(page).fill("an answer");
    await page.getByRole("button", { name: "Send" }).click();
    await expect(messageWith(page, "an answer").locator(".quote")).toContainText("filler 119");
    await expect(page.getByText("Replying to")).toHaveCount(0);
    // Of a message far up, that isn't loaded.
    await server.say(bo, room, "far back", { reply_to: 1 });
    const quote = messageWith(page, "far back").locator(".quote");
    await expect(quote).toContainText("the first word");
    await quote.click();
    await expect(page.locator("[data-seq='1']")).toBeInViewport();
    await expect(page.locator("[data-seq='1']")).toHaveAttribute("data-lit", "true");
    // Once more, to the same one.
    await page.getByRole("button", { name: /Jump to latest|new message/ }).click();
    await expect(quote).toBeInViewport();
    await quote.click();
    await expect(page.locator("[data-seq='1']")).toBeInViewport();
    await expect.poll(() => list(page).evaluate((element) => element.scrollTop)).toBeLessThan(400);
  });

  test(`22: reactions: the last used at hand, and a picker with search${view}`, async ({
    server,
    account,
    open,
  }) => {
    const ana = await account("ana");
    const room = await server.room(ana, "reactions");
    await server.say(ana, room, "react to me");
    const { page } = await open(ana, `/room/${room.id}`, options);
    const target = messageWith(page, "react to me");
    await expect(target).toBeVisible();
    if (view === "") {
      await target.hover();
      await page.getByRole("toolbar").getByRole("button", { name: "React with 👍" }).click();
    } else {
      await longPress(page, "react to me");
      await page.getByRole("menuitem", { name: "React with 👍" }).tap();
    }
    const reaction = (emoji: string) => target.getByRole("button", { name: new RegExp(`^${emoji}, `) });
    await expect(reaction("👍")).toHaveAttribute("aria-pressed", "true");
    await expect(reaction("👍")).toContainText("1");
    if (view === "") {
      await target.hover();
      await page.getByRole("toolbar").getByRole("button", { name: "Add a reaction" }).click();
    } else {
      await longPress(page, "react to me");
      await page.getByRole("menuitem", { name: "Add a reaction" }).tap();
    }
    const picker = page.getByRole("searchbox", { name: "Search emoji" });
    await picker.fill("octopus");
    await page.locator(".emoji-picker").getByRole("gridcell", { name: "Octopus" }).click();
    await expect(reaction("🐙")).toBeVisible();
    // What was used last comes first.
    if (view === "") {
      await target.hover();
      await expect(page.getByRole("toolbar").getByRole("button").first()).toHaveAccessibleName(
        "React with 🐙",
      );
    } else {
      await longPress(page, "react to me");
      await expect(page.getByRole("menuitem").first()).toHaveAccessibleName("React with 🐙");
      await page.keyboard.press("Escape");
    }
    await reaction("👍").click();
    await expect(reaction("👍")).toHaveCount(0);
  });
}

/** A finger that stays. */
async function longPress(page: Page, text: string): Promise<void> {
  const place = await messageWith(page, text).locator(".message__text").boundingBox();
  if (!place) throw new Error(`"${text}" is not in view`);
  const [x, y] = [place.x + 20, place.y + place.height / 2];
  const input = await page.context().newCDPSession(page);
  await input.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: [{ x, y }] });
  await expect(page.getByRole("menu")).toBeVisible();
  await input.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
  await input.detach();
}

test("what is written while emoji are being loaded stays in the box", async ({ server, account, open }) => {
  const ana = await account("ana");
  const room = await server.room(ana, "slow names");
  const { page } = await open(ana, `/room/${room.id}`);
  let load = (): void => {};
  const loading = new Promise<void>((resolve) => {
    load = resolve;
  });
  await page.route(/assets\/emoji/, async (route) => {
    await loading;
    await route.continue();
  });
  await box(page).fill("one :tada: ");
  await box(page).press("Enter");
  await box(page).press("Enter");
  await box(page).pressSequentially("two");
  load();
  await expect(messageWith(page, "one 🎉")).toHaveCount(1);
  await expect(box(page)).toHaveValue("two");
  await box(page).press("Enter");
  await expect(page.locator("[data-state=pending]")).toHaveCount(0);
  expect(await server.texts(ana, room)).toEqual(["one 🎉", "two"]);
});
