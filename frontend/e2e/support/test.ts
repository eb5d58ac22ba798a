// What the tests of the browser suite share: a server per worker, people, and watchers that fail a test by themselves.

import { type Browser, type BrowserContext, test as base, expect, type Page } from "@playwright/test";
import { within } from "./patience.ts";
import { type Account, type Room, Server } from "./server.ts";

export { type Account, expect, type Page, type Room, Server };

/** What must never happen while any page is open. */
export interface Faults {
  /** Console errors that a test expects, as those of a connection that it cuts. */
  allow(pattern: RegExp): void;
}

interface Person {
  account: Account;
  page: Page;
  context: BrowserContext;
}

interface Fixtures {
  faults: Faults;
  /** A new account, unlike all others: `name` is only its beginning. */
  account(name?: string, fullName?: string): Promise<Account>;
  /** A browser of its own in which this account is logged in, at that address. */
  open(account: Account, path?: string, options?: Parameters<Browser["newContext"]>[0]): Promise<Person>;
}

/** Refused connections are logged by the browser itself, whoever handles them. */
const OF_THE_NETWORK = /net::ERR_|WebSocket connection to .* failed|Failed to load resource/;

export const test = base.extend<Fixtures, { server: Server }>({
  server: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright wants a pattern
    async ({}, use) => {
      const server = new Server();
      await server.start();
      await use(server);
      await server.remove();
    },
    { scope: "worker", timeout: within(90_000) },
  ],

  faults: [
    async ({ browser }, use) => {
      const found: string[] = [];
      const allowed: RegExp[] = [];
      const watch = (context: BrowserContext): void => {
        context.on("console", (message) => {
          if (message.type() === "error" || /Content Security Policy|Trusted Type/i.test(message.text()))
            found.push(message.text());
        });
        context.on("weberror", (error) => found.push(String(error.error())));
        context.on("request", (request) => {
          const { protocol, hostname } = new URL(request.url());
          if (
            /^(https?|wss?):$/.test(protocol) &&
            !/^(localhost|127\.0\.0\.1|\d+\.\d+\.\d+\.\d+)$/.test(hostname)
          )
            found.push(`a request to ${request.url()}`);
        });
      };
      const made = browser.newContext.bind(browser);
      browser.newContext = async (options) => {
        const context = await made(options);
        watch(context);
        return context;
      };
      await use({ allow: (pattern) => allowed.push(pattern) });
      browser.newContext = made;
      expect(
        found.filter((text) => !OF_THE_NETWORK.test(text) && !allowed.some((pattern) => pattern.test(text))),
      ).toEqual([]);
    },
    { auto: true },
  ],

  account: async ({ server }, use) => {
    await use((name = "user", fullName) =>
      server.register(`${name}-${Math.random().toString(36).slice(2, 8)}`, fullName),
    );
  },

  open: async ({ browser, server, faults }, use) => {
    void faults; // its watchers come first
    const contexts: BrowserContext[] = [];
    await use(async (account, path = "/", options = {}) => {
      const context = await browser.newContext(options);
      contexts.push(context);
      await logIn(context, server, account);
      const page = await context.newPage();
      await page.goto(server.url + path);
      return { account, page, context };
    });
    for (const context of contexts) await context.close();
  },
});

/** As the form does it: the cookie, and the mark that says who is logged in. */
export async function logIn(context: BrowserContext, server: Server, account: Account): Promise<void> {
  const answer = await context.request.post(`${server.url}/api/login`, {
    data: { username: account.username, password: account.password, cookie: true },
  });
  expect(answer.ok()).toBe(true);
  const { user } = (await answer.json()) as { user: { id: number; username: string; created_at: string } };
  const { id, username, created_at } = user;
  const mark = JSON.stringify({ user: { id, username, created_at } });
  await context.addInitScript(
    ([origin, value]) => {
      if (location.origin === origin && sessionStorage.getItem("e2e") === null) {
        sessionStorage.setItem("e2e", "1");
        localStorage.setItem("hearth.session", value ?? "");
      }
    },
    [server.url, mark],
  );
}

// ---- the page, as people know it

export async function fillLogIn(
  page: Page,
  { username, password }: Pick<Account, "username" | "password">,
): Promise<void> {
  await page.getByLabel("Username").fill(username);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Log in" }).click();
}

export const box = (page: Page) => page.locator("#composer");
export const messages = (page: Page) => page.locator("article.message");
export const messageWith = (page: Page, text: string) => messages(page).filter({ hasText: text });

export async function say(page: Page, text: string): Promise<void> {
  await box(page).fill(text);
  await box(page).press("Enter");
}
