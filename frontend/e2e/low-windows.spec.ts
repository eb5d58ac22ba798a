// Low and narrow windows: a phone on its side or with its keyboard open, and 200 % zoom. All of what is open can be reached.

import { PHONE } from "./support/phone.ts";
import { box, expect, messages, messageWith, type Page, test } from "./support/test.ts";

const dialog = (page: Page) => page.getByRole("dialog");
const menu = (page: Page) => page.getByRole("menu");

const ON_ITS_SIDE = { ...PHONE, viewport: { width: 640, height: 360 } };
const KEYBOARD_OPEN = { ...PHONE, viewport: { width: 390, height: 340 } };
const ZOOMED = { viewport: { width: 640, height: 400 } };
const LOW = { viewport: { width: 1000, height: 400 } };

/** The whole of it is within the window, after no other scroll than a person can make. */
async function isReached(what: ReturnType<Page["locator"]>): Promise<void> {
  await what.evaluate((element) => {
    for (let around = element.parentElement; around; around = around.parentElement) {
      const { overflowX, overflowY } = getComputedStyle(around);
      const [inner, outer] = [element.getBoundingClientRect(), around.getBoundingClientRect()];
      const into = (from: number, to: number, low: number, high: number): number =>
        to > high ? to - high : Math.min(0, from - low);
      if (/auto|scroll/.test(overflowY))
        around.scrollTop += into(inner.top, inner.bottom, outer.top, outer.bottom);
      if (/auto|scroll/.test(overflowX))
        around.scrollLeft += into(inner.left, inner.right, outer.left, outer.right);
    }
  });
  await expect(what).toBeInViewport({ ratio: 0.99 });
  // And nothing lies over it.
  expect(
    await what.evaluate((element) => {
      const { x, y, width, height } = element.getBoundingClientRect();
      return element.contains(document.elementFromPoint(x + width / 2, y + height - 3));
    }),
  ).toBe(true);
}

for (const [view, options] of [
  ["a phone on its side", ON_ITS_SIDE],
  ["a phone with its keyboard", KEYBOARD_OPEN],
  ["a page at 200 %", ZOOMED],
  ["a low window", LOW],
] as const) {
  test(`the end of each of the settings can be reached on ${view}, and the head stays`, async ({
    account,
    open,
  }) => {
    const ana = await account("ana");
    const { page } = await open(ana, "/", options);
    await page.locator(".sidebar__me").click();
    const close = dialog(page).getByRole("button", { name: "Close" });
    await isReached(dialog(page).getByRole("button", { name: "Log out" }));
    await dialog(page).getByLabel("E-mail").focus();
    await isReached(close);
    await dialog(page).getByRole("tab", { name: "Devices" }).click();
    await isReached(dialog(page).getByRole("button", { name: "Log out everywhere" }));
    await dialog(page).getByRole("tab", { name: "Security" }).click();
    await dialog(page).getByLabel("Password again").focus();
    await isReached(dialog(page).getByLabel("Password again"));
    await isReached(close);
    await isReached(dialog(page).getByRole("tab", { name: "Notifications" }));
  });

  test(`the menu of a message and the emoji picker stay within ${view}`, async ({
    server,
    account,
    open,
  }) => {
    const ana = await account("ana");
    const room = await server.room(ana, "low");
    for (let index = 0; index < 8; index += 1) await server.say(ana, room, `line ${index}.`);
    const { page } = await open(ana, `/room/${room.id}`, options);
    const row = messages(page).last();
    await expect(messageWith(page, "line 7.")).toBeVisible();
    await row.locator("xpath=ancestor::*[@data-key]").focus();
    await page.keyboard.press("Enter");
    await expect(menu(page)).toBeInViewport({ ratio: 1 });
    await page.keyboard.press("End");
    await expect(page.locator("[data-action=delete]")).toBeFocused();
    await isReached(page.locator("[data-action=delete]"));
    expect(
      await page.evaluate(() => [document.scrollingElement?.scrollTop, document.body.scrollTop]),
    ).toEqual([0, 0]);
    await page.keyboard.press("Escape");

    await page.locator(".composer__emoji").click();
    const picker = page.locator(".emoji-picker");
    await expect(page.locator("[frimousse-emoji]").first()).toBeAttached();
    await expect(picker).toBeInViewport({ ratio: 1 });
    await expect(page.getByRole("searchbox", { name: "Search emoji" })).toBeInViewport({ ratio: 1 });
    const inside = await page
      .locator(".menu")
      .evaluate((frame) => [frame.scrollWidth - frame.clientWidth, frame.scrollHeight - frame.clientHeight]);
    expect(inside).toEqual([0, 0]);
    await page.keyboard.press("Escape");
    await expect(box(page)).toBeVisible();
  });
}

test("the emoji picker is as wide as its frame", async ({ server, account, open }) => {
  const ana = await account("ana");
  const room = await server.room(ana, "wide");
  const { page } = await open(ana, `/room/${room.id}`);
  await page.locator(".composer__emoji").click();
  const [picker, frame] = [
    await page.locator(".emoji-picker").boundingBox(),
    await page.locator(".menu").boundingBox(),
  ];
  expect((picker?.x ?? 0) + (picker?.width ?? 0)).toBeLessThanOrEqual((frame?.x ?? 0) + (frame?.width ?? 0));
});

test("the card of a person can be read to its end on a phone on its side", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana"), await account("bo", "Bo Lund")];
  const room = await server.room(ana, "people", [bo]);
  const { page } = await open(ana, `/room/${room.id}?panel=members`, ON_ITS_SIDE);
  await page.locator(`[data-user="${bo.id}"] .user`).click();
  await isReached(dialog(page).getByRole("button", { name: "Remove from the room" }));
});

test("on a narrow phone nothing of devices, invites and the search is cut off", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const room = await server.room(ana, "narrow");
  await server.must("POST", "/api/login", { username: ana.username, password: ana.password });
  const { page } = await open(ana, `/room/${room.id}?panel=search`, {
    ...PHONE,
    viewport: { width: 360, height: 640 },
  });
  for (const name of ["Since", "Until"]) {
    await expect(page.locator(".filters").getByText(name)).toBeInViewport({ ratio: 1 });
    await expect(page.getByLabel(name)).toBeInViewport({ ratio: 1 });
  }
  const tops = [await page.getByLabel("Since").boundingBox(), await page.getByLabel("Until").boundingBox()];
  expect(tops[0]?.y).toBe(tops[1]?.y);
  const isWhole = (what: ReturnType<Page["locator"]>) =>
    what.evaluate((e) => e.scrollWidth <= e.clientWidth && e.scrollHeight <= e.clientHeight);
  for (const field of await page.locator(".filters .input").all()) expect(await isWhole(field)).toBe(true);

  await page.goto(`${server.url}/`);
  await page.locator(".sidebar__me").tap();
  await dialog(page).getByRole("tab", { name: "Devices" }).tap();
  const used = dialog(page).locator("small", { hasText: "Last used" }).first();
  await expect(used).toBeVisible();
  expect(await isWhole(used)).toBe(true);
});

test("a button beside a field has one line", async ({ server, account, open }) => {
  const ana = await account("ana");
  const room = await server.room(ana, "links");
  const { page } = await open(ana, `/room/${room.id}`);
  await page.locator(".room-head").getByRole("button", { name: "More" }).click();
  await page.locator("[data-action=invite]").click();
  const make = dialog(page).getByRole("button", { name: "Make a link" });
  await expect(make).toBeVisible();
  const lines = await make.evaluate((button) => {
    const range = document.createRange();
    range.selectNodeContents(button);
    return new Set([...range.getClientRects()].map(({ top }) => Math.round(top))).size;
  });
  expect(lines).toBe(1);
});
