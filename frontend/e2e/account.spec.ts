// What people change about themselves: name, password, devices, the account, and the invites they make.

import { expect, type Page, test } from "./support/test.ts";
import { heldBack } from "./support/views.ts";

async function settings(page: Page, tab: string): Promise<void> {
  await page.getByRole("button", { name: /^Settings of/ }).click();
  await page.getByRole("tab", { name: tab }).click();
}

const logInStatus = async (
  server: { ask(method: string, path: string, body?: unknown): Promise<{ status: number }> },
  username: string,
  password: string,
): Promise<number> => (await server.ask("POST", "/api/login", { username, password })).status;

test("the profile: another name shows at once, here and to others", async ({ server, account, open }) => {
  const ana = await account("ana", "Ana Silva");
  const bo = await account("bo");
  const room = await server.direct(bo, ana);
  const { page } = await open(ana);
  await settings(page, "Profile");
  await expect(page.getByLabel("E-mail")).toHaveValue(/@example\.org$/);
  await page.getByLabel("E-mail").fill("not an address");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByRole("alert").filter({ hasText: "An address such as" })).toBeVisible();
  await page.getByLabel("E-mail").fill(`${ana.username}@example.net`);
  await page.getByLabel(/^Full name/).fill("Ana Costa");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("Saved")).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("button", { name: "Settings of Ana Costa" })).toBeVisible();
  const { page: others } = await open(bo, `/room/${room.id}`);
  await expect(others.getByRole("heading", { name: "Ana Costa" })).toBeVisible();
});

test("what is typed in the profile stays when the server's answer comes late", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana", "Ana Silva");
  const { page } = await open(ana);
  await expect(page.getByText(/^Welcome, /)).toBeVisible();
  const answer = await heldBack(page, /\/api\/me$/);
  await settings(page, "Profile");
  await page.getByLabel(/^Full name/).fill("Ana the Great");
  await server.must("PATCH", "/api/me", { email: `${ana.username}@elsewhere.example.net` }, ana.token);
  answer();
  await expect(page.getByLabel("E-mail")).toHaveValue(`${ana.username}@elsewhere.example.net`);
  await expect(page.getByLabel(/^Full name/)).toHaveValue("Ana the Great");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("Saved")).toBeVisible();
  expect(await server.must("GET", "/api/me", undefined, ana.token)).toMatchObject({
    full_name: "Ana the Great",
    email: `${ana.username}@elsewhere.example.net`,
  });
});

test("a new password: wanted twice, the old one asked for, other sessions end, this one goes on", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const [here, there] = [await open(ana), await open(ana)];
  await expect(there.page.getByText(/^Welcome, /)).toBeVisible();
  const { page } = here;
  await settings(page, "Security");
  await page.getByLabel("Current password").fill("a wrong one");
  await page.getByLabel("New password").fill("another door 8");
  await page.getByLabel("Password again").fill("another door 8");
  await page.getByRole("button", { name: "Change password" }).click();
  await expect(
    page.locator(".field", { has: page.getByLabel("Current password") }).getByRole("alert"),
  ).not.toBeEmpty();
  await page.getByLabel("Current password").fill(ana.password);
  await page.getByRole("button", { name: "Change password" }).click();
  await expect(page.getByText("Your password is changed.")).toBeVisible();
  await expect(there.page.getByText("This session was ended elsewhere")).toBeVisible();
  await page.reload();
  await expect(page.getByText(/^Welcome, /)).toBeVisible();
  expect(await logInStatus(server, ana.username, ana.password)).toBe(401);
  expect(await logInStatus(server, ana.username, "another door 8")).toBe(200);
});

test("devices: each session is listed, and one of them is ended", async ({ account, open }) => {
  const ana = await account("ana");
  const [here, there] = [await open(ana), await open(ana)];
  await expect(there.page.getByText(/^Welcome, /)).toBeVisible();
  const { page } = here;
  await settings(page, "Devices");
  const rows = page.getByRole("dialog").getByRole("listitem");
  await expect(rows).toHaveCount(3); // the fixture's registration is a session, too
  await expect(rows.first()).toContainText("This one, since");
  await expect(rows.first().getByRole("button")).toHaveCount(0);
  await rows.filter({ hasText: "Chrom" }).getByRole("button").click();
  await expect(rows).toHaveCount(2);
  await expect(there.page.getByText("This session was ended elsewhere")).toBeVisible();
  await expect(rows.first()).toContainText("This one, since");
});

test("logging out everywhere asks first, and ends all sessions", async ({ account, open }) => {
  const ana = await account("ana");
  const [here, there] = [await open(ana), await open(ana)];
  await expect(there.page.getByText(/^Welcome, /)).toBeVisible();
  const { page } = here;
  await settings(page, "Devices");
  await page.getByRole("button", { name: "Log out everywhere" }).click();
  const question = page.getByRole("alertdialog", { name: "Log out everywhere?" });
  await question.getByRole("button", { name: "Cancel" }).click();
  await expect(question).toBeHidden();
  await page.getByRole("button", { name: "Log out everywhere" }).click();
  await question.getByRole("button", { name: "Log out everywhere" }).click();
  await expect(page.getByText("You are logged out everywhere.")).toBeVisible();
  await expect(there.page.getByText("This session was ended elsewhere")).toBeVisible();
});

test("deleting the account says what it does, and asks for the password", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const { page } = await open(ana);
  await settings(page, "Security");
  await expect(page.getByText("This can’t be undone.")).toBeVisible();
  await page.getByRole("button", { name: "Delete account…" }).click();
  const form = page.locator("form", { has: page.getByRole("button", { name: "Delete my account" }) });
  await form.getByLabel("Current password").fill("a wrong one");
  await form.getByRole("button", { name: "Delete my account" }).click();
  await expect(form.locator(".field").getByRole("alert")).not.toBeEmpty();
  await form.getByLabel("Current password").fill(ana.password);
  await form.getByRole("button", { name: "Delete my account" }).click();
  await expect(page.getByText("Your account is deleted.")).toBeVisible();
  expect(await logInStatus(server, ana.username, ana.password)).toBe(401);
});

test("an invite is made, copied, listed and revoked", async ({ server, account, open }) => {
  const ana = await account("ana");
  const room = await server.room(ana, "with guests");
  const { page } = await open(ana, `/room/${room.id}`, {
    permissions: ["clipboard-read", "clipboard-write"],
  });
  await page.getByRole("button", { name: "More", exact: true }).click();
  await page.getByRole("menuitem", { name: "Invite people" }).click();
  await page.getByLabel("For how many people").selectOption("5");
  await page.getByRole("button", { name: "Make a link" }).click();
  const link = await page.getByLabel("Invite by link").inputValue();
  expect(link).toMatch(new RegExp(`^${server.url}/.*#invite=`));
  await page.getByRole("button", { name: "Copy" }).click();
  await expect(page.getByRole("button", { name: "Copied" })).toBeVisible();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(link);
  await page.keyboard.press("Escape");

  await settings(page, "Invites");
  const row = page.getByRole("dialog").getByRole("listitem").filter({ hasText: "Into with guests" });
  await expect(row).toContainText("0 of 5 used");
  await row.getByRole("button", { name: "Revoke" }).click();
  await expect(row).toHaveCount(0);
  await expect(page.getByText("You have no invites that can be used.")).toBeVisible();
  const invite = link.split("#invite=")[1];
  const late = { username: "too-late", email: "late@example.org", password: "opens the door 7", invite };
  expect((await server.ask("POST", "/api/register", late)).status).toBeGreaterThanOrEqual(400);
});
