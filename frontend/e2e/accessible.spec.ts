// For people who use the keyboard, a screen reader, forced colours or a phone (FRONTEND.md, 35, 36 and 38).

import { expect, messageWith, test } from "./support/test.ts";
import { scene } from "./support/views.ts";

const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

test.beforeEach(({ faults }) => {
  faults.allow(/WebSocket|404|401/);
});

test("35: all that Tab reaches shows its focus, and no key is caught", async ({ server, account, open }) => {
  const shown = await scene(server, account);
  const { page } = await open(shown.ana, `/room/${shown.room.id}?panel=members`);
  await expect(page.locator(".user")).toHaveCount(2);
  const seen: string[] = [];
  const bare: string[] = [];
  for (let step = 0; step < 60; step += 1) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(() => {
      const focused = document.activeElement;
      if (!focused || focused === document.body) return null;
      const isMarked = (element: Element | null): boolean => {
        if (!element) return false;
        const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(element);
        return (outlineStyle !== "none" && outlineWidth !== "0px") || boxShadow !== "none";
      };
      // The box is marked by the frame around it.
      const frame = focused.closest(".composer__box");
      return {
        html: (focused.cloneNode() as Element).outerHTML,
        isMarked: isMarked(focused) || isMarked(frame),
      };
    });
    if (at === null) continue; // the ends of the page
    seen.push(at.html);
    if (!at.isMarked) bare.push(at.html);
  }
  expect(bare).toEqual([]);
  for (const part of ["sidebar__find", "room-link", 'class="list"', 'id="composer"', 'class="user"'])
    expect(seen.filter((html) => html.includes(part)).length, part).toBeGreaterThan(0);
});

test("35: the focus goes back where it was when a dialog or a menu closes", async ({
  server,
  account,
  open,
}) => {
  const shown = await scene(server, account);
  const { page } = await open(shown.ana, `/room/${shown.room.id}`);
  const more = page.locator(".room-head").getByRole("button", { name: "More" });
  await expect(messageWith(page, "the last words")).toBeVisible();
  const openers = [
    page.locator(".sidebar__find"),
    page.locator(".sidebar__me"),
    page.locator(".sidebar__head").getByRole("button", { name: "New room" }),
    page.locator(".sidebar__head").getByRole("button", { name: "Browse rooms" }),
  ];
  for (const opener of openers) {
    await opener.press("Enter");
    await expect(page.getByRole("dialog")).toBeVisible();
    await page.keyboard.press("Escape");
    await expect(page.getByRole("dialog")).toHaveCount(0);
    await expect(opener).toBeFocused();
  }
  await more.press("Enter");
  await expect(page.getByRole("menu")).toBeVisible();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Escape");
  await expect(more).toBeFocused();
  await more.press("Enter");
  await page.locator("[data-action=invite]").press("Enter");
  await expect(page.getByRole("dialog")).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(more).toBeFocused();
});

test("35: landmarks and headings say what is where", async ({ server, account, open }) => {
  const shown = await scene(server, account);
  const { page } = await open(shown.ana, `/room/${shown.room.id}?panel=members`);
  await expect(page.getByRole("navigation", { name: "Rooms" })).toBeVisible();
  await expect(page.getByRole("main", { name: "harbour" })).toBeVisible();
  await expect(page.getByRole("complementary", { name: "Members" })).toBeVisible();
  await expect(page.getByRole("heading", { level: 1, name: "harbour" })).toBeVisible();
  await expect(page.getByRole("heading", { level: 2, name: "2 members" })).toBeVisible();
  await expect(page.getByRole("list", { name: "Messages in harbour" })).toBeVisible();
});

test("35: a new message is announced, a flood is not", async ({ server, account, open }) => {
  const shown = await scene(server, account);
  const { page } = await open(shown.ana, `/room/${shown.room.id}`);
  await expect(messageWith(page, "the last words")).toBeVisible();
  await page.evaluate(() => {
    const said: string[] = [];
    const region = document.querySelector("[role=status][aria-live=polite]");
    if (!region) throw new Error("there is no live region");
    new MutationObserver(() => region.textContent && said.push(region.textContent)).observe(region, {
      childList: true,
      characterData: true,
      subtree: true,
    });
    Object.assign(window, { said });
  });
  const said = () => page.evaluate(() => (window as unknown as { said: string[] }).said);
  await server.say(shown.bo, shown.room, "a **single** word");
  await expect.poll(said).toEqual(["Bo Lund: a single word"]);
  for (let line = 0; line < 30; line += 1) await server.say(shown.bo, shown.room, `flood ${line}`);
  await expect(messageWith(page, "flood 29")).toBeVisible();
  await expect.poll(async () => (await said()).at(-1)).toMatch(/new messages?$|^Bo Lund: flood 29$/);
  expect((await said()).length).toBeLessThanOrEqual(6);
});

test("36: in forced colours the open room, the chosen entry and what is unread still show", async ({
  server,
  account,
  open,
}) => {
  const shown = await scene(server, account);
  const { page } = await open(shown.ana, `/room/${shown.room.id}`, { forcedColors: "active" });
  await expect(messageWith(page, "the last words")).toBeVisible();
  const look = (selector: string) =>
    page
      .locator(selector)
      .first()
      .evaluate((element) => {
        const { outlineStyle, outlineWidth, borderInlineStartStyle, backgroundColor, color } =
          getComputedStyle(element);
        return [
          outlineStyle === "none" ? "" : outlineWidth,
          borderInlineStartStyle,
          backgroundColor,
          color,
        ].join();
      });
  expect(await look(".room-link[aria-current]")).not.toBe(await look(".room-link:not([aria-current])"));
  await page.keyboard.press("Control+k");
  await expect(page.getByRole("option").first()).toBeVisible();
  expect(await look("[role=option][aria-selected=true]")).not.toBe(
    await look("[role=option][aria-selected=false]"),
  );
  await page.keyboard.press("Escape");
  await page.locator(".room-head").getByRole("button", { name: "More" }).press("Enter");
  await expect(page.getByRole("menuitem").first()).toBeVisible();
  // The menu has the focus a moment after it shows.
  await expect(async () => {
    await page.keyboard.press("ArrowDown");
    await expect(page.locator("[role=menuitem][data-highlighted]")).toHaveCount(1, { timeout: 1_000 });
  }).toPass();
  expect(await look("[role=menuitem][data-highlighted]")).not.toBe(
    await look("[role=menuitem]:not([data-highlighted])"),
  );
});

test("38: on a phone, list and room are two screens, and back leads from one to the other", async ({
  server,
  account,
  open,
}) => {
  const shown = await scene(server, account);
  const { page } = await open(shown.ana, "/", PHONE);
  const list = page.locator(".sidebar");
  await list.locator(`.room-link[data-room="${shown.room.id}"]`).tap();
  await expect(messageWith(page, "the last words")).toBeVisible();
  await expect(list).toHaveCount(0);
  await page.locator(".room-head").getByRole("button", { name: "Members" }).tap();
  await expect(page.locator(".user")).toHaveCount(2);
  await expect(page.locator(".chat-room")).toHaveCount(0);
  await page.goBack();
  await expect(messageWith(page, "the last words")).toBeVisible();
  await page.goBack();
  await expect(list).toBeVisible();
  await expect(page.locator(".chat-room")).toHaveCount(0);
  await page.goForward();
  await expect(messageWith(page, "the last words")).toBeVisible();
  await page.setViewportSize({ width: 390, height: 480 }); // as a keyboard does
  await expect(page.locator("#composer")).toBeInViewport({ ratio: 1 });
  await expect(messageWith(page, "the last words")).toBeInViewport();
  await page.getByRole("button", { name: "All rooms" }).tap();
  await expect(list).toBeVisible();
});
