// The pictures of the documentation: `npm run screenshots` starts a server, fills it with people and their talk, and
// writes screenshots/*.png. A picture that comes out over 250 KiB fails the run.

import { mkdirSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { type Browser, type BrowserContextOptions, chromium, type Page, test } from "@playwright/test";
import { executablePath } from "./support/chromium.mjs";
import { type Account, type Room, Server } from "./support/server.ts";

const OUT = resolve(import.meta.dirname, "../screenshots");
const BYTES_MAX = 250 * 1024;
const DESKTOP = { viewport: { width: 1280, height: 800 }, deviceScaleFactor: 1 };
const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };

const PEOPLE = {
  maya: "Maya Okafor",
  jonas: "Jonas Lindqvist",
  samir: "Samir Haddad",
  tomas: "Tomás Herrera",
  nora: "Nora Byrne",
  aiko: "Aiko Tanaka",
  luca: "Luca Moretti",
} as const;
type Name = keyof typeof PEOPLE;

const TALK: [Name, string][] = [
  ["luca", "The new photos of the lighthouse are in the shared folder. The third one made me laugh out loud"],
  ["tomas", "Those are lovely! Could we use it for the invitation?"],
  ["luca", "Of course, take it"],
  [
    "tomas",
    "One more thing: can the search box keep what I typed when I switch rooms? It cost me a paragraph yesterday",
  ],
  [
    "maya",
    "Yes, it follows the same rule as drafts now:\n\n- the query stays\n- the filters stay\n- `Esc` closes the panel",
  ],
  [
    "samir",
    "The certificate of the status page would have expired on Friday. I renewed it, no action needed",
  ],
  [
    "jonas",
    'Thank you! Then I tag **1.4.0** at half past twelve, with this in the notes:\n\n```rust\nfn greet(name: &str) -> String {\n    format!("Hello, {name}") // in every language\n}\n```',
  ],
  ["nora", "Lunch: the noodle place has a table for eight at one 🎉"],
  ["aiko", "I am in. Saving you the seat by the window, @maya"],
];

const SITE = "http://chat.example.org";

/** Where it is about noon now, so that nobody in the pictures talks at night. */
const zone = 12 - new Date().getUTCHours();
const timezoneId = zone === 0 ? "Etc/GMT" : `Etc/GMT${zone > 0 ? "-" : "+"}${Math.abs(zone)}`;

const server = new Server();

test("the pictures of the documentation", async () => {
  test.setTimeout(300_000);
  await server.start();
  const browser = await chromium.launch({
    executablePath,
    args: ["--no-sandbox", "--disable-gpu", `--host-resolver-rules=MAP * ${new URL(server.url).host}`],
  });
  try {
    mkdirSync(OUT, { recursive: true });
    await takeAll(browser);
  } finally {
    await browser.close();
    await server.remove();
  }
});

async function takeAll(browser: Browser): Promise<void> {
  const people = new Map<Name, Account>();
  for (const [name, full] of Object.entries(PEOPLE))
    people.set(name as Name, await server.register(name, full));
  const person = (name: Name): Account => {
    const found = people.get(name);
    if (!found) throw new Error(`nobody is called ${name}`);
    return found;
  };
  const harbour = await fill(person, [...people.values()]);
  const path = `/room/${harbour.id}`;
  for (const name of ["jonas", "nora", "aiko"] as const)
    await enter(await (await browser.newContext()).newPage(), person(name)); // who is online
  await shoot(browser, "login", null, "/login", DESKTOP, (page) => page.getByRole("heading").waitFor());
  const inRoom = (page: Page) => page.locator("article.message", { hasText: "seat by the window" }).waitFor();
  await shoot(browser, "room-light", person("maya"), `${path}?panel=members`, DESKTOP, inRoom);
  await shoot(
    browser,
    "room-dark",
    person("maya"),
    `${path}?panel=members`,
    { ...DESKTOP, colorScheme: "dark" },
    inRoom,
  );
  await shoot(browser, "phone-list", person("maya"), "/", PHONE, (page) =>
    page.locator(".room-link").first().waitFor(),
  );
  await shoot(browser, "phone-room", person("maya"), path, PHONE, inRoom);
}

/** Rooms, what was said in them, and what Maya has not read yet. */
async function fill(person: (name: Name) => Account, everybody: Account[]): Promise<Room> {
  const [maya, jonas] = [person("maya"), person("jonas")];
  const make = async (name: string, topic: string, kind?: string): Promise<Room> => {
    const room = await server.room(maya, name, everybody, kind);
    await server.must("PATCH", `/api/chat/rooms/${room.id}`, { topic }, maya.token);
    return room;
  };
  const random = await make("random", "Everything else");
  const incidents = await make("incidents", "What broke, and how it was mended", "private");
  const design = await make("design", "How it looks");
  const engineering = await make("engineering", "How it works");
  const harbour = await make("harbour-crew", "Everything about running the place");
  await server.say(person("luca"), random, "Who left the good coffee in the kitchen? Thank you!");
  await server.say(jonas, incidents, "The staging database is back. The report is pinned");
  await server.say(person("samir"), design, "Two new icons are in the shared folder");
  await server.say(person("tomas"), engineering, "The build takes four minutes now, down from eleven");
  const seqs: number[] = [];
  for (const [name, content] of TALK) seqs.push((await server.say(person(name), harbour, content)).seq);
  const react = (name: Name, at: number, emoji: string): Promise<unknown> =>
    server.must(
      "PUT",
      `/api/chat/rooms/${harbour.id}/messages/${seqs[at]}/reactions/${encodeURIComponent(emoji)}`,
      undefined,
      person(name).token,
    );
  for (const name of ["jonas", "luca", "maya", "samir"] as const) await react(name, 7, "🍜");
  for (const name of ["nora", "aiko"] as const) await react(name, 5, "👍");
  await react("maya", 0, "😂");
  const direct = await server.direct(jonas, maya);
  await server.say(jonas, direct, "Have you seen the new plan of the harbour?");
  const other = await server.direct(person("nora"), maya);
  const last = await server.say(maya, other, "See you at lunch");
  await server.read(maya, other, last.seq);
  for (const room of [random, design, incidents]) await server.read(maya, room, 1);
  await server.read(maya, harbour, seqs.at(-1) ?? 0);
  return harbour;
}

async function shoot(
  browser: Browser,
  name: string,
  account: Account | null,
  path: string,
  options: BrowserContextOptions,
  isThere: (page: Page) => Promise<unknown>,
): Promise<void> {
  const context = await browser.newContext({
    locale: "en-GB",
    timezoneId,
    reducedMotion: "reduce",
    ...options,
  });
  const page = await context.newPage();
  await enter(page, account);
  await page.goto(SITE + path);
  await isThere(page);
  await page.evaluate(() => document.fonts.ready);
  await page.waitForLoadState("networkidle");
  await page.mouse.move(0, 0);
  const file = `${OUT}/${name}.png`;
  await page.screenshot({ path: file, caret: "hide", animations: "disabled" });
  const { size } = statSync(file);
  console.log(`${name}.png ${Math.round(size / 1024)} KiB`);
  if (size > BYTES_MAX) throw new Error(`${name}.png has ${size} bytes, and at most ${BYTES_MAX} are wanted`);
  await context.close();
}

async function enter(page: Page, account: Account | null): Promise<void> {
  await page.goto(`${SITE}/login`);
  if (!account) return;
  await page.getByLabel("Username").fill(account.username);
  await page.getByLabel("Password", { exact: true }).fill(account.password);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.locator(".room-link").first().waitFor();
}
