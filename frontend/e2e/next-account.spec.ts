// What one account leaves in a browser: nothing of it is the next one's, and the browser's own settings stay.

import { expect, fillLogIn, messageWith, type Page, test } from "./support/test.ts";

async function logOut(page: Page): Promise<void> {
  await page.getByRole("button", { name: /^Settings of/ }).click();
  await page.getByRole("button", { name: "Log out", exact: true }).click();
  await expect(page.getByText("You are logged out.")).toBeVisible();
}

const icon = (page: Page) => page.locator('link[rel="icon"]');

test("favourites and unread marks are of one account, and go with its log-out; the theme stays", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await server.room(bo, "shared", [ana]);
  for (let number = 0; number < 4; number += 1) await server.say(bo, room, `message ${number}`);
  const { page } = await open(ana, `/room/${room.id}`);
  await messageWith(page, "message 1").locator("xpath=ancestor::*[@data-key]").focus();
  await page.locator(".message__tools").getByRole("button", { name: "More" }).click();
  await page.locator("[data-action=unread]").click();
  await page.locator(".room-head").getByRole("button", { name: "More" }).click();
  await page.locator("[data-action=favourite]").click();
  await expect(page.getByRole("button", { name: "Favourites" })).toBeVisible();
  await expect(page.locator(".room-link .count")).toBeVisible();
  await page.getByRole("button", { name: /^Settings of/ }).click();
  await page.getByRole("tab", { name: "Appearance" }).click();
  await page.getByRole("radio", { name: "Dark" }).check();
  await page.keyboard.press("Escape");
  // They are kept through a reload.
  await page.goto(server.url);
  await expect(page.getByRole("button", { name: "Favourites" })).toBeVisible();
  await expect(page.locator(".room-link .count")).toBeVisible();
  await logOut(page);
  await expect(page.locator("html")).toHaveAttribute("data-scheme", "dark");
  const kept = () => page.evaluate(() => Object.keys(localStorage).filter((key) => key.includes("prefs")));
  expect(await kept()).toEqual(["hearth.prefs"]);
  await fillLogIn(page, bo);
  await expect(page.locator(".room-link")).toBeVisible();
  await expect(page.getByRole("button", { name: "Favourites" })).toHaveCount(0);
  await expect(page.locator(".room-link .count")).toHaveCount(0);
});

test("the forms have the colours that are set, from the first moment and after a log-out", async ({
  server,
  browser,
  account,
  open,
}) => {
  const context = await browser.newContext({ colorScheme: "dark" });
  const page = await context.newPage();
  for (const path of ["/login", "/register", "/#reset=notacode"]) {
    await page.goto("about:blank");
    await page.goto(server.url + path);
    await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
    await expect(page.locator("html")).toHaveAttribute("data-scheme", "dark");
  }
  await context.close();
  const { page: mine } = await open(await account("ana"), "/", { colorScheme: "dark" });
  await logOut(mine);
  await mine.reload();
  await expect(mine.getByLabel("Username")).toBeVisible();
  await expect(mine.locator("html")).toHaveAttribute("data-scheme", "dark");
});

test("the icon has no dot after the log-out", async ({ server, account, open }) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await server.room(bo, "calling", [ana]);
  await server.say(bo, room, `@${ana.username} hey`);
  const { page } = await open(ana);
  await expect(icon(page)).toHaveAttribute("href", /^data:/);
  await logOut(page);
  await expect(icon(page)).toHaveAttribute("href", "/favicon.svg");
});
