// Every view of the client, for what must hold in each of them: accessibility, size, language.

import { type Account, box, expect, messageWith, type Page, type Room, type Server } from "./test.ts";

/** Who and what the views show. */
export interface Scene {
  ana: Account;
  bo: Account;
  newcomer: Account;
  room: Room;
  archived: Room;
  stranger: Room;
}

export interface View {
  name: string;
  /** Whose page it is. */
  who: "nobody" | "ana" | "newcomer";
  path(scene: Scene): string;
  /** From the page of the path to the view, and until it is there. */
  show(page: Page): Promise<void>;
}

const CONTENT = [
  "Hello **all**, see https://example.org/a and `code`, _soon_",
  '> a quoted line\n\n- one\n- two\n\n1. first\n2. second\n\n```rust\nfn main() {\n    println!("{}", 42); // greet\n}\n```',
  "| name | size |\n| --- | ---: |\n| one | 1 |\n| two | 2 |\n\n### A heading\n\n~~gone~~",
];

/** People and rooms with one of everything. */
export async function scene(
  server: Server,
  account: (name: string, full?: string) => Promise<Account>,
): Promise<Scene> {
  const ana = await account("ana", "Ana Silva");
  const bo = await account("bo", "Bo Lund");
  const newcomer = await account("new");
  const room = await server.room(ana, "harbour", [bo]);
  await server.must("PATCH", `/api/chat/rooms/${room.id}`, { topic: "Ships and shoes" }, ana.token);
  for (const content of CONTENT) await server.say(ana, room, content);
  const path = `/api/chat/rooms/${room.id}/messages`;
  const asked = await server.say(bo, room, `@${ana.username} is the lighthouse open today?`);
  await server.say(ana, room, "It is, until six", { reply_to: asked.seq });
  await server.must(
    "PUT",
    `${path}/${asked.seq}/reactions/${encodeURIComponent("👍")}`,
    undefined,
    ana.token,
  );
  await server.must("PUT", `${path}/${asked.seq}/pin`, undefined, ana.token);
  const edited = await server.say(ana, room, "edted");
  await server.must("PATCH", `${path}/${edited.seq}`, { content: "edited" }, ana.token);
  const gone = await server.say(ana, room, "to be deleted");
  await server.must("DELETE", `${path}/${gone.seq}`, undefined, ana.token);
  await server.say(ana, room, "🎉");
  const last = await server.say(bo, room, "the last words of Bo");
  await server.read(ana, room, last.seq - 1);
  const other = await server.room(bo, "unread news", [ana]);
  await server.say(bo, other, "something new");
  await server.say(bo, other, `@${ana.username} and something for you`);
  const muted = await server.room(bo, "muted noise", [ana]);
  await server.say(bo, muted, "noise");
  await server.must("PATCH", `/api/chat/rooms/${muted.id}/me`, { notify: "none" }, ana.token);
  await server.room(bo, "private corner", [ana], "private");
  const direct = await server.direct(bo, ana);
  await server.say(bo, direct, "between us");
  const archived = await server.room(ana, "old harbour", [bo]);
  await server.say(ana, archived, "closing this");
  await server.must("PATCH", `/api/chat/rooms/${archived.id}`, { archived: true }, ana.token);
  const stranger = await server.room(bo, "open to all");
  return { ana, bo, newcomer, room, archived, stranger };
}

const inRoom = ({ room }: Scene): string => `/room/${room.id}`;
const home = (): string => "/";
const button = (page: Page, name: string) => page.getByRole("button", { name });
const dialog = (page: Page) => page.getByRole("dialog");
const seen = (page: Page, selector: string) => expect(page.locator(selector).first()).toBeVisible();

/** The menu of a message: by a finger's long press, or from the tools that the focus shows. */
async function menuOf(page: Page, text: string): Promise<void> {
  const row = messageWith(page, text);
  await expect(row).toBeVisible();
  if (await page.evaluate(() => matchMedia("(pointer: coarse)").matches)) {
    const place = await row.boundingBox();
    const at = { clientX: place?.x ?? 0, clientY: place?.y ?? 0 };
    await row.dispatchEvent("pointerdown", { pointerType: "touch", ...at });
  } else {
    await row.locator("xpath=ancestor::*[@data-key]").focus();
    await page.locator(".message__tools").getByRole("button", { name: "More" }).click();
  }
  await expect(page.getByRole("menu")).toBeVisible();
}

async function roomMenu(page: Page): Promise<void> {
  await page.locator(".room-head").getByRole("button", { name: "More" }).click();
  await expect(page.getByRole("menu")).toBeVisible();
}

const choose = (page: Page, action: string) => page.locator(`[data-action=${action}]`).click();

const nobodys = (name: string, path: string, show: View["show"]): View => ({
  name,
  who: "nobody",
  path: () => path,
  show,
});
const anas = (name: string, path: View["path"], show: View["show"]): View => ({
  name,
  who: "ana",
  path,
  show,
});
const settings = (tab: string, more?: View["show"]): View =>
  anas(`settings, ${tab}`, home, async (page) => {
    await page.locator(".sidebar__me").click();
    await dialog(page).getByRole("tab", { name: tab }).click();
    await expect(dialog(page).getByRole("tabpanel")).toBeVisible();
    await more?.(page);
  });

export const VIEWS: View[] = [
  nobodys("log-in", "/login", (page) => seen(page, "h1")),
  nobodys("log-in with faults", "/login", async (page) => {
    await button(page, "Log in").click();
    await expect(page.locator("[aria-invalid]")).toHaveCount(2);
  }),
  nobodys("register", "/register", async (page) => {
    await page.locator("input[autocomplete=username]").fill("a b");
    await page.locator("input[autocomplete=new-password]").first().fill("short");
    await button(page, "Create account").click();
    await seen(page, "[aria-invalid]");
  }),
  nobodys("new password", "/#reset=notacode", (page) => seen(page, "h1")),
  { name: "empty first view", who: "newcomer", path: home, show: (page) => seen(page, ".way") },
  anas("home", home, (page) => seen(page, ".room-link")),
  anas(
    "a room that isn't mine",
    ({ stranger }) => `/room/${stranger.id}`,
    (page) => expect(button(page, "Join this room")).toBeVisible(),
  ),
  anas(
    "a room that isn't there",
    () => "/room/999999",
    (page) => seen(page, ".welcome__card"),
  ),
  anas("room", inRoom, async (page) => {
    await expect(messageWith(page, "the last words")).toBeVisible();
    await expect(page.locator(".new-line")).toHaveCount(1);
  }),
  anas("room, a reply begun", inRoom, async (page) => {
    await menuOf(page, "the last words");
    await choose(page, "reply");
    await box(page).pressSequentially("an answer @b");
    await expect(page.getByRole("listbox")).toBeVisible();
  }),
  anas("room, a message edited", inRoom, async (page) => {
    await menuOf(page, "until six");
    await choose(page, "edit");
    await seen(page, ".message textarea");
  }),
  anas(
    "archived room",
    ({ archived }) => `/room/${archived.id}`,
    (page) => expect(messageWith(page, "closing this")).toBeVisible(),
  ),
  anas(
    "members",
    (scene) => `${inRoom(scene)}?panel=members`,
    (page) => expect(page.locator(".user")).toHaveCount(2),
  ),
  anas(
    "search",
    (scene) => `${inRoom(scene)}?panel=search`,
    async (page) => {
      await page.locator(".shell__panel input[type=search]").fill("lighthouse");
      await seen(page, ".found");
    },
  ),
  anas(
    "pins",
    (scene) => `${inRoom(scene)}?panel=pins`,
    (page) => expect(page.locator(".shell__panel").getByText("lighthouse")).toBeVisible(),
  ),
  anas("switcher", home, async (page) => {
    await page.locator(".sidebar__find").click();
    await expect(dialog(page).getByRole("option").first()).toBeVisible();
  }),
  anas("switcher, nothing found", home, async (page) => {
    await page.locator(".sidebar__find").click();
    await dialog(page).getByRole("combobox").fill("zzzzqqqq");
    await expect(dialog(page).getByRole("option")).toHaveCount(0);
  }),
  anas("new room", home, async (page) => {
    await page.locator(".sidebar__head").getByRole("button", { name: "New room" }).click();
    await button(page, "Create room").click();
    await seen(page, "[aria-invalid]");
  }),
  anas("public rooms", home, async (page) => {
    await page.locator(".sidebar__head").getByRole("button", { name: "Browse rooms" }).click();
    await seen(page, "[role=dialog] .row");
  }),
  settings("Profile"),
  settings("Security", async (page) => {
    await button(page, "Delete account").click();
    await expect(button(page, "Delete my account")).toBeVisible();
  }),
  settings("Devices", (page) => seen(page, "[role=tabpanel] .row")),
  settings("Invites"),
  settings("Appearance"),
  settings("Notifications"),
  anas("settings of a room", inRoom, async (page) => {
    await roomMenu(page);
    await choose(page, "settings");
    await seen(page, "[role=dialog] [type=radio]");
  }),
  anas("invite", inRoom, async (page) => {
    await roomMenu(page);
    await choose(page, "invite");
    await seen(page, "[role=dialog] .row");
    await button(page, "Make a link").click();
    await seen(page, "[role=dialog] input[readonly]");
  }),
  anas("keys", home, async (page) => {
    await seen(page, ".room-link");
    await page.keyboard.press("?");
    await expect(dialog(page)).toBeVisible();
  }),
  anas(
    "person",
    (scene) => `${inRoom(scene)}?panel=members`,
    async (page) => {
      await page.locator(".user", { hasText: "Bo Lund" }).click();
      await seen(page, "[role=dialog] .person");
    },
  ),
  anas("who reacted", inRoom, async (page) => {
    await page.locator(".reaction--more").click();
    await seen(page, "[role=dialog] .user");
  }),
  anas("question before leaving", inRoom, async (page) => {
    await roomMenu(page);
    await choose(page, "leave");
    await expect(page.getByRole("alertdialog")).toBeVisible();
  }),
  anas("menu of a room", inRoom, roomMenu),
  anas("menu of a message", inRoom, (page) => menuOf(page, "the last words")),
  anas("emoji picker", inRoom, async (page) => {
    await page.locator(".composer__emoji").click();
    await expect(page.locator("[frimousse-emoji]").first()).toBeAttached();
  }),
  anas("a toast", inRoom, async (page) => {
    await menuOf(page, "the last words");
    await choose(page, "link");
    await seen(page, ".toast");
  }),
  anas("without a connection", inRoom, async (page) => {
    await page.routeWebSocket(/\/ws$/, (socket) => void socket.close());
    await page.reload();
    await seen(page, ".banner");
  }),
];

/** Holds requests for such addresses back until what it gives is called. */
export async function heldBack(page: Page, pattern: RegExp): Promise<() => void> {
  let release = (): void => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  await page.route(pattern, async (route) => {
    await released;
    await route.continue();
  });
  return () => release();
}
