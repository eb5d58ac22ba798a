// What becomes of messages that are said: pending, refused, answered, reacted to.

import type { WebSocketRoute } from "@playwright/test";
import { VIEWS } from "./support/phone.ts";
import { box, expect, messages, messageWith, type Page, say, test } from "./support/test.ts";

const pending = (page: Page) => page.locator("[data-state=pending]");
const list = (page: Page) => page.locator("ol.list");

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
    for (const text of ["one", "two", "three"]) {
      await box(page).fill(text);
      const frames = await page.evaluate(async (wanted) => {
        const isThere = (): boolean =>
          [...document.querySelectorAll("[data-state=pending]")].some((row) =>
            row.textContent?.includes(wanted),
          );
        document.querySelector<HTMLButtonElement>(".composer__send")?.click();
        for (let count = 0; ; count += 1) {
          if (isThere() || count === 100) return count;
          await new Promise(requestAnimationFrame);
        }
      }, text);
      expect(frames, "frames until it shows").toBeLessThanOrEqual(3); // 50 ms at 60 a second
    }
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
