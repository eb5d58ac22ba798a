// What one account leaves in a browser: nothing of it is the next one's, and the browser's own settings stay.

import { type Account, expect, messageWith, type Page, test } from "./support/test.ts";

async function logOut(page: Page): Promise<void> {
  await page.getByRole("button", { name: /^Settings of/ }).click();
  await page.getByRole("button", { name: "Log out", exact: true }).click();
  await expect(page.getByText("You are logged out.")).toBeVisible();
}

async function fillLogIn(page: Page, { username, password }: Account): Promise<void> {
  await page.getByLabel("Username").fill(username);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Log in" }).click();
}

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
  const kept = () => page.evaluate(() => Object.keys(localStorage).filter((key) => key.includes("prefs")));
  expect(await kept()).toEqual(["hearth.prefs"]);
  await fillLogIn(page, bo);
  await expect(page.locator(".room-link")).toBeVisible();
  await expect(page.getByRole("button", { name: "Favourites" })).toHaveCount(0);
  await expect(page.locator(".room-link .count")).toHaveCount(0);
});
