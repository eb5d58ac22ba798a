// Links that lead in: to a room, by an invite, to a new password; and a server that lets nobody register.

import { within } from "./support/patience.ts";
import { box, expect, fillLogIn, messageWith, type Page, Server, test } from "./support/test.ts";

const goToHash = (page: Page, hash: string) =>
  page.evaluate((hash) => {
    location.hash = hash;
  }, hash);

test("the link of a room survives the way by the other form, and a reload there", async ({
  server,
  account,
  browser,
}) => {
  const ana = await account("ana");
  const room = await server.room(ana, "harbour");
  const page = await (await browser.newContext()).newPage();
  await page.goto(`${server.url}/room/${room.id}`);
  await page.getByRole("link", { name: "Create one" }).click();
  await expect(page).toHaveURL(/\/register$/);
  await page.reload();
  await page.getByRole("link", { name: "Log in" }).click();
  await fillLogIn(page, ana);
  await expect(page.getByRole("heading", { level: 1, name: "harbour" })).toBeVisible();
  await expect(page).toHaveURL(new RegExp(`/room/${room.id}$`));
});

test("who registers by way of a room's link is led to the room", async ({ server, account, browser }) => {
  const room = await server.room(await account("ana"), "open to all");
  const page = await (await browser.newContext()).newPage();
  await page.goto(`${server.url}/room/${room.id}`);
  await page.getByRole("link", { name: "Create one" }).click();
  const name = `new-${Math.random().toString(36).slice(2, 8)}`;
  await page.getByLabel("Username").fill(name);
  await page.getByLabel("E-mail").fill(`${name}@example.org`);
  await page.getByLabel("Password", { exact: true }).fill("a long door 7");
  await page.getByLabel("Password again").fill("a long door 7");
  await page.getByRole("button", { name: "Create account" }).click();
  await expect(page.getByRole("button", { name: "Join this room" })).toBeVisible();
});

test("a new password by a link, of the account that is logged in here, says so and keeps what was written", async ({
  server,
  account,
  open,
  faults,
}) => {
  faults.allow(/401/);
  const ana = await account("ana");
  const room = await server.room(ana, "harbour");
  const { page } = await open(ana, `/room/${room.id}`);
  await box(page).fill("half a thought");
  await goToHash(page, server.resetLink(ana));
  await page.getByLabel("New password").fill("another door 8");
  await page.getByLabel("Password again").fill("another door 8");
  await page.getByRole("button", { name: "Set password" }).click();
  await expect(page.getByText("Your new password is set. Log in with it.")).toBeVisible();
  await fillLogIn(page, { ...ana, password: "another door 8" });
  await expect(box(page)).toHaveValue("half a thought");
});

test("of two invites that are opened while somebody is logged in the last one counts, and one question asks", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const { page } = await open(ana);
  const links: string[] = [];
  for (const name of ["first", "second"]) {
    const room = await server.room(ana, name);
    await server.say(ana, room, `words of the ${name}`);
    const { link } = await server.must<{ link: string }>(
      "POST",
      "/api/invites",
      { room_id: room.id, max_uses: 5, expires_at: new Date(Date.now() + 86_400_000).toISOString() },
      ana.token,
    );
    links.push(new URL(link, server.url).hash);
  }
  const question = page.getByRole("alertdialog");
  for (const button of ["Cancel", "Log out"]) {
    for (const link of links) {
      await goToHash(page, link);
      await expect(question).toHaveCount(1);
      await expect(page).not.toHaveURL(/#/);
    }
    await question.getByRole("button", { name: button }).click();
    await expect(question).toHaveCount(0);
  }
  await expect(page.getByText("You are invited.")).toBeVisible();
  const name = `new-${Math.random().toString(36).slice(2, 8)}`;
  await page.getByLabel("Username").fill(name);
  await page.getByLabel("E-mail").fill(`${name}@example.org`);
  await page.getByLabel("Password", { exact: true }).fill("a long door 7");
  await page.getByLabel("Password again").fill("a long door 7");
  await page.getByRole("button", { name: "Create account" }).click();
  await expect(messageWith(page, "words of the second")).toBeVisible();
});

test("a closed server offers no account, also when it could not be asked at first", async ({
  browser,
  faults,
}) => {
  faults.allow(/./);
  const server = new Server({ HEARTH_REGISTRATION: "closed" });
  await server.start();
  try {
    const page = await (await browser.newContext()).newPage();
    let asked = 0;
    await page.route(/\/api\/info$/, (route) => (++asked === 1 ? route.abort() : route.continue()));
    await page.goto(`${server.url}/login`);
    await expect(page.getByLabel("Username")).toBeVisible();
    await expect(page.getByRole("link", { name: "Create one" })).toHaveCount(0, { timeout: within(15_000) });
    expect(asked).toBeGreaterThan(1);
  } finally {
    await server.remove();
  }
});
