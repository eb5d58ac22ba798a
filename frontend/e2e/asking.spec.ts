// What is asked of the server, and what its answers lead to: an invite that is void, a search, a mark as unread.

import {
  type Account,
  box,
  expect,
  messageWith,
  type Page,
  type Room,
  Server,
  say,
  test,
} from "./support/test.ts";

const unlike = (name: string): string => `${name}-${Math.random().toString(36).slice(2, 8)}`;

async function register(page: Page, name: string): Promise<void> {
  await page.getByLabel("Username").fill(name);
  await page.getByLabel("E-mail").fill(`${name}@example.org`);
  await page.getByLabel("Password", { exact: true }).fill("opens the door 7");
  await page.getByLabel("Password again").fill("opens the door 7");
  await page.getByRole("button", { name: "Create account" }).click();
}

test("an invite that is void is dropped: on an open server one registers without it", async ({
  server,
  browser,
}) => {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`${server.url}/#invite=void`);
  await expect(page.getByText("You are invited.")).toBeVisible();
  const name = unlike("guest");
  await register(page, name);
  await expect(page.getByRole("alert").filter({ hasText: "can’t be used any more" })).toBeVisible();
  await expect(page.getByText("You are invited.")).toHaveCount(0);
  await page.getByRole("button", { name: "Create account" }).click();
  await expect(page.getByText(`Welcome, ${name}`)).toBeVisible();
  await context.close();
});

test("an invite that is void is dropped: where one is needed, another link is asked for", async ({
  browser,
  faults,
}) => {
  void faults;
  const server = new Server({ HEARTH_REGISTRATION: "invite" });
  await server.start();
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`${server.url}/#invite=void`);
  await register(page, unlike("guest"));
  await expect(page.getByText("This invite can’t be used any more. You need another one.")).toBeVisible();
  await expect(page.getByLabel("Username")).toHaveCount(0);
  await page.goto(`${server.url}/register#invite=another`);
  await expect(page.getByText("You are invited.")).toBeVisible();
  await context.close();
  await server.remove();
});

// ---- search

interface Sought {
  ana: Account;
  bo: Account;
  room: Room;
  page: Page;
}

const query = (page: Page) => page.getByRole("searchbox", { name: "Search messages" });
const from = (page: Page) => page.getByLabel("From @username");
const found = (page: Page) => page.getByRole("list", { name: "Results" }).getByRole("listitem");
const status = (page: Page) => page.locator(".panel__body > [role=status]");

const searching = test.extend<{ sought: Sought }>({
  sought: async ({ server, account, open }, use) => {
    const [ana, bo] = [await account("ana"), await account("bo", "Bo Lund")];
    const room = await server.room(ana, "searched", [bo]);
    await server.say(ana, room, "a lighthouse");
    await server.say(bo, room, "another lighthouse");
    await server.indexed(ana, "lighthouse", 2);
    const { page } = await open(ana, `/room/${room.id}?panel=search`);
    await query(page).fill("lighthouse");
    await expect(found(page)).toHaveCount(2);
    await expect(messageWith(page, "another lighthouse")).toBeVisible();
    await use({ ana, bo, room, page });
  },
});

searching("nothing is shown of an author who isn't there", async ({ sought: { page } }) => {
  await from(page).fill("nobody-of-that-name");
  await expect(status(page)).toHaveText("No one here has this name.");
  await expect(found(page)).toHaveCount(0);
});

searching(
  "nothing is sought before the author is known, or when they can't be looked up",
  async ({ faults, sought: { page } }) => {
    faults.allow(/./);
    let answer = (): void => {};
    const held = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const isAsked = page.waitForRequest(/\/api\/users\?/);
    await page.route(/\/api\/users\?/, async (route) => {
      await held;
      await route.abort();
    });
    let searches = 0;
    page.on("request", (request) => {
      if (request.url().includes("/api/chat/search")) searches += 1;
    });
    await from(page).fill("somebody-unseen");
    await query(page).fill("lighthouse keeper");
    await isAsked;
    await expect(found(page)).toHaveCount(0);
    answer();
    await expect(status(page)).toContainText("The author could not be looked up.");
    await expect(found(page)).toHaveCount(0);
    expect(searches).toBe(0);
  },
);

searching(
  "an exact name is taken in any case, else who begins so, and it says whose messages are shown",
  async ({ server, sought: { page, ana, bo } }) => {
    await from(page).fill("BO LUND");
    await expect(status(page)).toHaveText(`By Bo Lund (@${bo.username}).`);
    await expect(found(page)).toHaveCount(1);
    await expect(found(page)).toContainText("another");
    // Of two strangers the first begins with the second one's name.
    const name = unlike("zoe");
    for (const username of [`${name}-elder`, name]) await server.register(username);
    await from(page).fill(name);
    await expect(status(page)).toContainText(`(@${name}).`);
    await from(page).fill(`${name}-e`);
    await expect(status(page)).toContainText(`(@${name}-elder).`);
    await from(page).fill(ana.username);
    await expect(found(page)).toHaveCount(1);
    await expect(found(page)).toContainText("a lighthouse");
  },
);

searching(
  "a page that comes late isn't put under another query",
  async ({ server, sought: { page, ana, room } }) => {
    for (let index = 0; index < 40; index += 1) await server.say(ana, room, `harbour ${index}`);
    await server.indexed(ana, "harbour", 40);
    await query(page).fill("harbour");
    await expect(found(page)).toHaveCount(30);
    let answer = (): void => {};
    const held = new Promise<void>((resolve) => {
      answer = resolve;
    });
    await page.route(/\/api\/chat\/search\?.*cursor=/, async (route) => {
      await held;
      await route.continue();
    });
    const isLate = page.waitForResponse(/\/api\/chat\/search\?.*cursor=/);
    await page.getByRole("button", { name: "Show more" }).click();
    await query(page).fill("lighthouse");
    await expect(found(page)).toHaveCount(2);
    answer();
    await (await isLate).finished();
    await query(page).press("End"); // the page has had its turn
    await expect(found(page)).toHaveCount(2);
  },
);

searching(
  "where more is left to be searched, it doesn't say that nothing was found",
  async ({ sought: { page } }) => {
    await page.route(/\/api\/chat\/search\?/, async (route) => {
      const cursorless = new URL(route.request().url());
      cursorless.searchParams.delete("cursor");
      const answer = await route.fetch({ url: cursorless.href });
      await route.fulfill({ json: { ...(await answer.json()), next: "more" } });
    });
    await page.getByLabel("Until").fill("2020-01-01");
    await expect(status(page)).toHaveText("Nothing has been found yet. There are older messages to search.");
    await expect(page.getByRole("button", { name: "Show more" })).toBeVisible();
  },
);

// ---- marked as unread

test("a mark as unread goes by Escape, by the menu, and when I write", async ({ server, account, open }) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await server.room(ana, "marked", [bo]);
  await server.say(bo, room, "read me later");
  const { page } = await open(ana, `/room/${room.id}`);
  const link = page.locator(`.room-link[data-room='${room.id}']`);
  const count = link.locator(".count");
  const mark = async (): Promise<void> => {
    await messageWith(page, "read me later").hover();
    await page.getByRole("toolbar").getByRole("button", { name: "More" }).click();
    await page.getByRole("menuitem", { name: "Mark as unread from here" }).click();
    await expect(count).toBeVisible();
  };
  await mark();
  await box(page).press("Escape");
  await expect(count).toHaveCount(0);
  await mark();
  await link.click({ button: "right" });
  await page.getByRole("menuitem", { name: "Mark as read" }).click();
  await expect(count).toHaveCount(0);
  await mark();
  await say(page, "an answer");
  await expect(messageWith(page, "an answer")).toBeVisible();
  await expect(count).toHaveCount(0);
});
