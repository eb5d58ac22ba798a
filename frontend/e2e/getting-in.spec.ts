// How people get in, stay in and leave: the forms, the links, and what the browser keeps of them.

import type { Browser, BrowserContext } from "@playwright/test";
import { within } from "./support/patience.ts";
import { keptOf } from "./support/storage.ts";
import {
  test as base,
  box,
  expect,
  fillLogIn,
  logIn,
  messages,
  messageWith,
  type Page,
  Server,
  say,
} from "./support/test.ts";

type Options = Parameters<Browser["newContext"]>[0];

const PHONE: Options = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
const VIEWS: [string, Options][] = [
  ["on a desktop", {}],
  ["on a phone", PHONE],
];

const test = base.extend<{ visit(path: string, options?: Options): Promise<Page> }>({
  visit: async ({ browser, server, faults }, use) => {
    void faults; // its watchers come first
    const contexts: BrowserContext[] = [];
    await use(async (path, options = {}) => {
      const context = await browser.newContext(options);
      contexts.push(context);
      const page = await context.newPage();
      await page.goto(server.url + path);
      return page;
    });
    for (const context of contexts) await context.close();
  },
});

const unlike = (name: string): string => `${name}-${Math.random().toString(36).slice(2, 8)}`;
const faultOf = (page: Page, label: string) =>
  page.locator(".field", { has: page.getByLabel(label, { exact: true }) }).getByRole("alert");
const keptKeys = (page: Page): Promise<string[]> => page.evaluate(() => Object.keys(localStorage).sort());

async function fillRegister(page: Page, name: string): Promise<void> {
  await page.getByLabel("Username").fill(name);
  await page.getByLabel("E-mail").fill(`${name}@example.org`);
  await page.getByLabel("Password", { exact: true }).fill("opens the door 7");
  await page.getByLabel("Password again").fill("opens the door 7");
  await page.getByRole("button", { name: "Create account" }).click();
}

for (const [where, options] of VIEWS) {
  test(`1: register shows its rules as one types, and each error beside its field, ${where}`, async ({
    account,
    visit,
  }) => {
    const { username } = await account("taken");
    const page = await visit("/register", options);
    const name = page.getByLabel("Username");
    const password = page.getByLabel("Password", { exact: true });

    await name.pressSequentially("a b");
    const rules = page.locator(".field", { has: name }).getByRole("listitem");
    await expect(rules.filter({ hasText: "3 to 32 characters" })).toContainText("done");
    await expect(rules.filter({ hasText: "no spaces" })).toContainText("still open");
    await name.fill("ab.c");
    await expect(rules.filter({ hasText: "no spaces" })).toContainText("done");
    await name.fill("a b");

    // Sent all the same: the words stand beside the fields, and the first of them has the focus.
    await password.fill("short");
    await page.getByRole("button", { name: "Create account" }).click();
    await expect(faultOf(page, "Username")).toContainText("no spaces");
    await expect(faultOf(page, "E-mail")).toHaveText("Please fill this in.");
    await expect(faultOf(page, "Password")).toContainText("At least 8 characters");
    await expect(name).toBeFocused();
    await expect(name).toHaveAttribute("aria-invalid", "true");
    const fault = await faultOf(page, "Username").getAttribute("id");
    expect((await name.getAttribute("aria-describedby"))?.split(" ")).toContain(fault);

    // The server's words, too.
    await name.fill(username);
    await page.getByLabel("E-mail").fill(`${username}@example.net`);
    await password.fill("opens the door 7");
    await page.getByLabel("Password again").fill("opens the door 7");
    await page.getByRole("button", { name: "Create account" }).click();
    await expect(faultOf(page, "Username")).not.toBeEmpty();
    await expect(name).toBeFocused();
    await expect(page).toHaveURL(/\/register$/);
  });

  test(`1: password managers, paste and showing the password work, ${where}`, async ({ visit }) => {
    const page = await visit("/register", options);
    await expect(page.locator("form")).toHaveCount(1);
    for (const [label, kind] of [
      ["Username", "username"],
      ["E-mail", "email"],
      ["Password", "new-password"],
      ["Password again", "new-password"],
    ] as const)
      await expect(page.getByLabel(label, { exact: true })).toHaveAttribute("autocomplete", kind);

    const password = page.getByLabel("Password", { exact: true });
    await page.getByLabel("Username").fill("opens the door 7");
    await page.getByLabel("Username").press("ControlOrMeta+a");
    await page.getByLabel("Username").press("ControlOrMeta+c");
    await password.press("ControlOrMeta+v");
    await expect(password).toHaveValue("opens the door 7");

    await expect(password).toHaveAttribute("type", "password");
    const eye = page.locator(".field", { has: password }).getByRole("button", { name: "Show the password" });
    await eye.click();
    await expect(password).toHaveAttribute("type", "text");
    await expect(eye).toHaveAttribute("aria-pressed", "true");

    await page.getByRole("link", { name: "Log in" }).click();
    await expect(page.getByLabel("Username")).toHaveAttribute("autocomplete", "username");
    await expect(page.getByLabel("Password", { exact: true })).toHaveAttribute(
      "autocomplete",
      "current-password",
    );
  });

  test(`2: who has registered is logged in and sees what to do first, ${where}`, async ({ visit }) => {
    const page = await visit("/register", options);
    const name = unlike("new");
    await fillRegister(page, name);
    await expect(page.getByText(`Welcome, ${name}`)).toBeVisible();
    await expect(page.getByRole("button", { name: /^Find a room Public/ })).toBeVisible();
    await expect(page.getByRole("button", { name: /^Say hello/ })).toBeVisible();
    await page.getByRole("button", { name: /^Make a room/ }).click();
    await page.getByLabel("Name").fill("first room");
    await page.getByRole("button", { name: "Create room" }).click();
    await say(page, "the first message");
    await page.getByRole("button", { name: "Send" }).click({ trial: true });
    if (options?.hasTouch) await page.getByRole("button", { name: "Send" }).click();
    await expect(messageWith(page, "the first message")).toBeVisible();
  });

  test(`4: the log-in page says why a session has ended, and leads back to the room and the draft, ${where}`, async ({
    server,
    account,
    open,
  }) => {
    const ana = await account("ana");
    const room = await server.room(ana, "kept place");
    const { page } = await open(ana, `/room/${room.id}`, options);
    await box(page).fill("half a thought");
    await server.must("POST", "/api/logout/all", undefined, ana.token);
    await expect(page.getByText("This session was ended elsewhere")).toBeVisible();
    await fillLogIn(page, ana);
    await expect(page).toHaveURL(new RegExp(`/room/${room.id}$`));
    await expect(box(page)).toHaveValue("half a thought");
    await expect(page.getByText("This session was ended elsewhere")).toBeHidden();
  });

  test(`5: logging out clears what was kept, in every tab, ${where}`, async ({ server, account, open }) => {
    const ana = await account("ana");
    const room = await server.room(ana, "to be forgotten");
    await server.say(ana, room, "only for members");
    const { page, context } = await open(ana, `/room/${room.id}`, options);
    const other = await context.newPage();
    await other.goto(`${server.url}/room/${room.id}`);
    await expect(messageWith(other, "only for members")).toBeVisible();
    await box(page).fill("a secret draft");
    await expect
      .poll(() => keptKeys(page))
      .toContainEqual(expect.stringMatching(new RegExp(`^hearth\\.draft\\.${ana.id}\\..*\\.${room.id}$`)));
    await expect.poll(async () => (await keptOf(page, ana.id)).rooms).toEqual([room.id]);

    const cookies = await context.cookies();
    expect(cookies).not.toEqual([]);
    if (options?.isMobile) await page.getByRole("button", { name: "All rooms" }).click();
    await page.getByRole("button", { name: /^Settings of/ }).click();
    await page.getByRole("button", { name: "Log out", exact: true }).click();
    await expect(page.getByText("You are logged out.")).toBeVisible();
    await expect(other.getByText("You logged out in another tab.")).toBeVisible();
    await expect(other.getByText("only for members")).toHaveCount(0);

    for (const tab of [page, other]) {
      const held = await tab.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }));
      expect(held).not.toContain("a secret draft");
    }
    expect((await keptKeys(page)).filter((key) => key.includes(`.${ana.id}`))).toEqual([]);
    await expect.poll(() => keptOf(page, ana.id)).toEqual({ outbox: [], rooms: [], lists: 0 });
    // Nothing leads back in: the cookie is gone, and one that was copied is worth nothing.
    await expect.poll(() => context.cookies()).toEqual([]);
    await context.addCookies(cookies);
    const asked = { data: {}, headers: { Origin: server.url } };
    expect((await context.request.post(`${server.url}/api/refresh`, asked)).status()).toBe(401);
    await context.clearCookies();
    await page.reload();
    await expect(page.getByRole("button", { name: "Log in" })).toBeVisible();
  });
}

/** The message at the upper edge of the list. */
const place = (page: Page): Promise<string> =>
  page.evaluate(() => {
    const all = [...document.querySelectorAll("article.message")];
    const edge = document.querySelector(".timeline")?.getBoundingClientRect().top ?? 0;
    const first = all.find((row) => row.getBoundingClientRect().bottom > edge + 1);
    return first?.getAttribute("data-seq") ?? "";
  });

test("3: reload, back and forward keep room, place, draft and sidebar", async ({ server, account, open }) => {
  const ana = await account("ana");
  const bo = await account("bo");
  const one = await server.room(ana, "first of two");
  const two = await server.room(ana, "second of two");
  await server.direct(ana, bo);
  for (let index = 1; index <= 90; index += 1) await server.say(ana, one, `in the first ${index}.`);
  await server.say(ana, two, "in the second");
  const { page } = await open(ana, `/room/${one.id}`);
  await expect(messageWith(page, "in the first 90.")).toBeVisible();
  await page.getByRole("button", { name: "Direct messages" }).click();
  await box(page).fill("kept words");
  await messages(page).last().hover();
  await page.mouse.wheel(0, -1500);
  await expect(page.getByRole("button", { name: "Jump to latest" })).toBeVisible();
  await expect.poll(async () => Number(await place(page))).toBeLessThan(75);
  const seen = Number(await place(page));
  await expect.poll(() => page.evaluate(() => history.state?.place?.seq)).toBe(seen); // the reader rests

  const isAsBefore = async (): Promise<void> => {
    await expect(box(page)).toHaveValue("kept words");
    await expect.poll(async () => Math.abs(Number(await place(page)) - seen)).toBeLessThanOrEqual(1);
    await expect(page).toHaveURL(new RegExp(`/room/${one.id}$`));
    await expect(page.getByRole("button", { name: "Direct messages" })).toHaveAttribute(
      "aria-expanded",
      "false",
    );
  };
  await page.locator(".room-link", { hasText: "second of two" }).click();
  await expect(messageWith(page, "in the second")).toBeVisible();
  await expect(box(page)).toHaveValue("");
  await page.goBack();
  await isAsBefore();
  await page.goForward();
  await expect(messageWith(page, "in the second")).toBeVisible();
  await page.goBack();
  await isAsBefore();
  await page.reload();
  await isAsBefore();
});

test("3: a message has an address of its own", async ({ server, account, open }) => {
  const ana = await account("ana");
  const room = await server.room(ana, "addresses");
  for (let index = 1; index <= 60; index += 1) await server.say(ana, room, `line ${index}.`);
  const { page } = await open(ana, `/room/${room.id}/7`);
  await expect(page.locator("[data-seq='7']")).toBeInViewport();
  await page.reload();
  await expect(page.locator("[data-seq='7']")).toBeInViewport();
});

test("a wrong password is told in words, and announced", async ({ account, visit }) => {
  const ana = await account("ana");
  const page = await visit("/login");
  await fillLogIn(page, { ...ana, password: "not this one" });
  await expect(page.getByRole("alert").filter({ hasText: /\S/ })).toBeVisible();
  await fillLogIn(page, ana);
  await expect(page.getByText(`Welcome, ${ana.username}`)).toBeVisible();
});

for (const [where, options] of VIEWS) {
  test(`an invite's link makes an account and lands in its room, ${where}`, async ({
    server,
    account,
    visit,
  }) => {
    const ana = await account("ana");
    const room = await server.room(ana, "the invited");
    await server.say(ana, room, "welcome in here");
    const expires_at = new Date(Date.now() + 86_400_000).toISOString();
    const wanted = { room_id: room.id, max_uses: 2, expires_at };
    const { link } = await server.must<{ link: string }>("POST", "/api/invites", wanted, ana.token);
    const page = await visit(new URL(link, server.url).href.slice(server.url.length), options);
    await expect(page.getByText("You are invited.")).toBeVisible();
    expect(page.url()).not.toContain("#");
    await fillRegister(page, unlike("guest"));
    await expect(messageWith(page, "welcome in here")).toBeVisible();
    await expect(page).toHaveURL(new RegExp(`/room/${room.id}$`));
  });
}

test("a link for a new password sets it, ends the sessions, and leads to the form", async ({
  server,
  account,
  open,
  visit,
}) => {
  const ana = await account("ana");
  const { page: elsewhere } = await open(ana);
  await expect(elsewhere.getByText(/^Welcome, /)).toBeVisible();
  const page = await visit(`/${server.resetLink(ana)}`);
  expect(page.url()).not.toContain("#");
  await page.getByLabel("New password").fill("another door 8");
  await page.getByLabel("Password again").fill("another door");
  await page.getByRole("button", { name: "Set password" }).click();
  await expect(faultOf(page, "Password again")).toHaveText("Both passwords are the same");
  await page.getByLabel("Password again").fill("another door 8");
  await page.getByRole("button", { name: "Set password" }).click();
  await expect(page.getByText("Your new password is set.")).toBeVisible();
  await expect(elsewhere.getByText("This session was ended elsewhere")).toBeVisible();
  await fillLogIn(page, { username: ana.username, password: "another door 8" });
  await expect(page.getByText(`Welcome, ${ana.username}`)).toBeVisible();
});

test("report 11: the database was reset, the cookie wasn't: the form, after one refresh and without a loop", async ({
  browser,
  faults,
}) => {
  faults.allow(/./);
  const server = new Server();
  await server.start();
  try {
    const ana = await server.register("ana");
    const context = await browser.newContext();
    await logIn(context, server, ana);
    const page = await context.newPage();
    let refreshes = 0;
    page.on("request", (request) => {
      if (request.url().endsWith("/api/refresh")) refreshes += 1;
    });
    await page.goto(server.url);
    await expect(page.getByText("Welcome, ana")).toBeVisible();
    await server.kill();
    server.command("reset", "--yes");
    refreshes = 0;
    await server.start();
    await expect(page.getByRole("button", { name: "Log in" })).toBeVisible({ timeout: within(30_000) });
    expect(refreshes).toBeLessThanOrEqual(1);

    // The cookie is left, and so is the mark of another tab that slept through it.
    refreshes = 0;
    await page.evaluate((id) => {
      localStorage.setItem(
        "hearth.session",
        JSON.stringify({ user: { id, username: "ana", created_at: "then" } }),
      );
    }, ana.id);
    await page.reload();
    await expect(page.getByRole("button", { name: "Log in" })).toBeVisible({ timeout: within(30_000) });
    expect(refreshes).toBe(1);
    await page.reload();
    await expect(page.getByRole("button", { name: "Log in" })).toBeVisible();
    expect(refreshes).toBe(1);
    await context.close();
  } finally {
    await server.remove();
  }
});

test("an address that nothing has leads to the rooms", async ({ server, account, open }) => {
  const ana = await account("ana");
  const room = await server.room(ana, "harbour");
  const { page } = await open(ana, "/rooom/12");
  await expect(page.getByRole("heading", { name: "Choose a room" })).toBeVisible();
  await page.goto(`${server.url}/room/0`);
  await expect(page.getByRole("heading", { name: "This room doesn’t exist" })).toBeVisible();
  await page.locator(".room-link", { hasText: room.name }).click();
  await expect(box(page)).toBeVisible();
});
