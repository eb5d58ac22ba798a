// Finding one's way (FRONTEND.md, 31 to 34): the switcher, the keys, the list, and what people do with a room.

import {
  type Account,
  box,
  expect,
  messageWith,
  type Page,
  type Room,
  type Server,
  test,
} from "./support/test.ts";

const link = (page: Page, room: Room) => page.locator(`.room-link[data-room="${room.id}"]`);
const names = (page: Page) => page.locator(".room-link__name").allTextContents();
const dialog = (page: Page) => page.getByRole("dialog");
const question = (page: Page) => page.getByRole("alertdialog");
const heading = (page: Page) => page.locator(".room-head h1");

async function choose(page: Page, action: string): Promise<void> {
  await page.locator(".room-head").getByRole("button", { name: "More" }).click();
  await page.locator(`[role=menuitem][data-action=${action}]`).click();
}

/** The members panel's row of somebody, pressed: their dialog. */
async function showMember(page: Page, user: Account): Promise<void> {
  await page.locator(`[data-user="${user.id}"] .user`).click();
  await expect(dialog(page)).toBeVisible();
}

const roleOf = async (
  server: Server,
  by: Account,
  room: Room,
  user: Account,
): Promise<string | undefined> => {
  const { items } = await server.must<{ items: { user: { id: number }; role: string }[] }>(
    "GET",
    `/api/chat/rooms/${room.id}/members?limit=200`,
    undefined,
    by.token,
  );
  return items.find((member) => member.user.id === user.id)?.role;
};

test("31: the switcher opens with what is there, recent rooms first", async ({ server, account, open }) => {
  const ana = await account("ana");
  const rooms: Room[] = [];
  for (const name of ["alpha", "beta", "gamma"]) rooms.push(await server.room(ana, name));
  for (const at of [1, 0, 2]) await server.say(ana, rooms[at] as Room, "said");
  const { page, context } = await open(ana);
  const loaded: string[] = [];
  context.on("request", (request) => loaded.push(request.url()));
  await page.goto(`${server.url}/room/${rooms[0]?.id}`);
  await expect(box(page)).toBeFocused();
  await expect.poll(() => loaded.some((url) => /Switcher-/.test(url))).toBe(true);
  await page.waitForLoadState("networkidle");
  const before = loaded.length;
  for (let turn = 0; turn < 5; turn += 1) {
    await page.keyboard.press("Control+K");
    await expect(dialog(page).getByRole("option").first()).toBeVisible();
    const shown = await dialog(page).getByRole("option").allTextContents();
    expect(shown.slice(0, 3)).toEqual(["gamma", "alpha", "beta"]);
    await page.keyboard.press("Escape");
    await expect(dialog(page)).toHaveCount(0);
    await expect(box(page)).toBeFocused();
  }
  // The first time, too, nothing has to be loaded.
  expect(loaded.slice(before)).toEqual([]);
});

test("31: the switcher finds rooms loosely, people and commands", async ({ server, account, open }) => {
  const ana = await account("ana");
  const zoe = await account("zoe", "Zoë Quartz");
  const harbour = await server.room(ana, "harbour crew");
  await server.room(ana, "engineering");
  const { page } = await open(ana);
  const input = dialog(page).getByRole("combobox");
  const options = dialog(page).getByRole("option");
  const search = async (text: string): Promise<void> => {
    await page.keyboard.press("Control+k");
    await input.fill(text);
  };
  await expect(link(page, harbour)).toBeVisible();
  await search("hrbcrw");
  await expect(options).toHaveText(["harbour crew"]);
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(new RegExp(`/room/${harbour.id}$`));
  await expect(box(page)).toBeFocused();
  await search("zoe");
  await expect(options.filter({ hasText: zoe.username })).toBeVisible();
  await options.filter({ hasText: zoe.username }).click();
  await expect(heading(page)).toHaveText("Zoë Quartz");
  await search("keyb");
  await expect(options).toHaveText(["Keyboard"]);
  await page.keyboard.press("Enter");
  await expect(dialog(page).getByRole("heading", { name: "Keyboard" })).toBeVisible();
  await page.keyboard.press("Escape");
  await search("nothing is called this");
  await expect(dialog(page).getByText("Nothing has this name.")).toBeVisible();
});

test("32: Alt and the arrows change rooms, with Shift the unread ones; Escape marks read; ? lists the keys", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const bo = await account("bo");
  const rooms: Room[] = [];
  for (const name of ["one", "two", "three", "four"]) rooms.push(await server.room(ana, name, [bo]));
  const [one, two, three, four] = rooms as [Room, Room, Room, Room];
  for (const room of rooms) await server.say(ana, room, `in ${room.name}`);
  const { page } = await open(ana, `/room/${four.id}`);
  await expect(link(page, one)).toBeVisible();
  expect(await names(page)).toEqual(["four", "three", "two", "one"]);
  const isAt = (room: Room) => expect(page).toHaveURL(new RegExp(`/room/${room.id}$`));
  await page.keyboard.press("Alt+ArrowDown");
  await isAt(three);
  await page.keyboard.press("Alt+ArrowDown");
  await isAt(two);
  await page.keyboard.press("Alt+ArrowUp");
  await isAt(three);
  await server.say(bo, one, "news");
  await expect(link(page, one)).toHaveAttribute("data-new", "true");
  await page.keyboard.press("Alt+Shift+ArrowDown");
  await isAt(one);
  await expect(messageWith(page, "news")).toBeVisible();

  // More than fits on the screen, so that it isn't all read by being seen.
  for (let line = 0; line < 60; line += 1) await server.say(bo, two, `line ${line}`);
  await expect(link(page, two).locator(".count")).toHaveText(/^60/);
  await page.keyboard.press("Alt+Shift+ArrowDown");
  await isAt(two);
  await expect(page.getByRole("separator").filter({ hasText: "New" })).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(link(page, two)).toHaveAttribute("data-new", "false");
  const read = async () =>
    (await server.must<{ last_read_seq: number }>("GET", `/api/chat/rooms/${two.id}`, undefined, ana.token))
      .last_read_seq;
  await expect.poll(read).toBe(61);

  await box(page).press("?");
  await expect(dialog(page)).toHaveCount(0);
  await box(page).fill("");
  await link(page, one).focus();
  await page.keyboard.press("?");
  await expect(dialog(page).locator("dt")).toHaveCount(12);
  await page.keyboard.press("Escape");
  await expect(dialog(page)).toHaveCount(0);
  await expect(link(page, one)).toBeFocused();
});

test("33: unread first, muted dim; sections fold, stay so, and still show what is new", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const bo = await account("bo", "Bo Lund");
  const quiet = await server.room(bo, "quiet", [ana]);
  const news = await server.room(bo, "news", [ana]);
  const loud = await server.room(bo, "loud", [ana]);
  const mine = await server.room(ana, "mine", [bo]);
  await server.say(bo, quiet, "nothing new");
  await server.say(bo, news, "something");
  await server.say(bo, loud, "noise");
  await server.say(ana, mine, "the newest");
  await server.read(ana, quiet, 1);
  await server.must("PATCH", `/api/chat/rooms/${loud.id}/me`, { notify: "none" }, ana.token);
  const { page } = await open(ana);
  await expect(link(page, loud)).toHaveAttribute("data-muted", "true");
  expect(await names(page)).toEqual(["news", "mine", "loud", "quiet"]);
  await expect(link(page, loud)).toHaveAttribute("data-new", "false");
  const colour = (room: Room) =>
    link(page, room)
      .locator(".room-link__name")
      .evaluate((name) => getComputedStyle(name).color);
  expect(await colour(loud)).not.toBe(await colour(quiet));
  await server.say(bo, quiet, `@${ana.username} look`);
  await expect(link(page, quiet).locator(".badge")).toContainText("1");
  await expect.poll(() => names(page)).toEqual(["quiet", "news", "mine", "loud"]);

  const section = page.getByRole("button", { name: "Rooms", exact: true });
  await section.click();
  await expect(section).toHaveAttribute("aria-expanded", "false");
  expect(await names(page)).toEqual(["quiet", "news"]);
  await page.reload();
  await expect(section).toHaveAttribute("aria-expanded", "false");
  await expect.poll(() => names(page)).toEqual(["quiet", "news"]);
  await section.press("Enter");
  await expect.poll(() => names(page)).toEqual(["quiet", "news", "mine", "loud"]);
});

test("34: the panel finds members of a large room", async ({ server, account, open }) => {
  const ana = await account("ana");
  const many: Account[] = [];
  for (let at = 0; at < 230; at += 10)
    many.push(
      ...(await Promise.all(
        [...Array(10).keys()].map((more) => account("m", `Member ${1_000 + at + more}`)),
      )),
    );
  const zoe = await account("zoe", "Zoë Quartz"); // the last one: she isn't among those who are loaded
  const room = await server.room(ana, "crowd", many.slice(0, 50));
  for (const { id } of [...many.slice(50), zoe])
    await server.must("POST", `/api/chat/rooms/${room.id}/members`, { user_id: id }, ana.token);
  const { page } = await open(ana, `/room/${room.id}?panel=members`);
  await expect(page.getByRole("heading", { name: "232 members" })).toBeVisible();
  await page.getByRole("searchbox", { name: "Find a member" }).fill("Zoë");
  await expect(page.locator(".user")).toHaveCount(1);
  await expect(page.locator(".user")).toContainText("Zoë Quartz");
  await page.getByRole("searchbox", { name: "Find a member" }).fill("nobody at all");
  await expect(page.getByText("No member has this name.")).toBeVisible();
});

test("34: roles are given and taken, the room is handed over, a member removed", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const bo = await account("bo", "Bo Lund");
  const cy = await account("cy", "Cy Young");
  const room = await server.room(ana, "harbour", [bo, cy], "private");
  const { page } = await open(ana, `/room/${room.id}?panel=members`);
  await showMember(page, bo);
  await dialog(page).getByRole("button", { name: "Make room admin" }).click();
  await expect(page.locator(`[data-user="${bo.id}"] .user__note`)).toHaveText("admin");
  expect(await roleOf(server, ana, room, bo)).toBe("admin");
  await showMember(page, bo);
  await dialog(page).getByRole("button", { name: "Remove admin role" }).click();
  await expect(page.locator(`[data-user="${bo.id}"] .user__note`)).toHaveCount(0);

  await showMember(page, cy);
  await dialog(page).getByRole("button", { name: "Remove from the room" }).click();
  await expect(question(page)).toContainText("\u2068Cy Young\u2069 will no longer see this room.");
  await question(page).getByRole("button", { name: "Cancel" }).click();
  await expect(page.locator(`[data-user="${cy.id}"]`)).toBeVisible();
  await showMember(page, cy);
  await dialog(page).getByRole("button", { name: "Remove from the room" }).click();
  await question(page).getByRole("button", { name: "Remove" }).click();
  await expect(page.locator(`[data-user="${cy.id}"]`)).toHaveCount(0);

  await showMember(page, bo);
  await dialog(page).getByRole("button", { name: "Hand the room over" }).click();
  await expect(question(page)).toContainText("\u2068Bo Lund\u2069 will own the room. You stay, as an admin.");
  await question(page).getByRole("button", { name: "Hand over" }).click();
  await expect(page.locator(`[data-user="${bo.id}"] .user__note`)).toHaveText("owner");
  await showMember(page, bo);
  await expect(dialog(page).getByRole("button", { name: /Remove|admin|Hand/ })).toHaveCount(0);
});

test("34: people are invited, by name and by a link", async ({ server, account, open, browser }) => {
  const ana = await account("ana");
  const bo = await account("bo", "Bo Lund");
  const room = await server.room(ana, "harbour", [], "private");
  const { page } = await open(ana, `/room/${room.id}`);
  const { page: his } = await open(bo);
  await expect(his.locator(".sidebar__empty")).toBeVisible();
  await choose(page, "invite");
  await dialog(page).getByRole("searchbox").fill(bo.username);
  const row = dialog(page)
    .locator(".row")
    .filter({ hasText: `@${bo.username}` }); // there are others of this name
  await row.getByRole("button", { name: "Add Bo Lund" }).click();
  await expect(row.getByText("Member", { exact: true })).toBeVisible();
  await expect(link(his, room)).toBeVisible();
  await dialog(page).getByRole("button", { name: "Make a link" }).click();
  const invite = await dialog(page).getByRole("textbox", { name: "Invite by link" }).inputValue();
  const stranger = await browser.newContext();
  const theirs = await stranger.newPage();
  await theirs.goto(invite);
  await expect(theirs.getByText("You are invited.")).toBeVisible();
  const name = `guest-${Math.random().toString(36).slice(2, 8)}`;
  await theirs.getByLabel("Username").fill(name);
  await theirs.getByLabel("E-mail").fill(`${name}@example.org`);
  await theirs.getByLabel("Password", { exact: true }).fill("opens the door 7");
  await theirs.getByLabel("Password again").fill("opens the door 7");
  await theirs.getByRole("button", { name: "Create account" }).click();
  await expect(link(theirs, room)).toBeVisible();
  await stranger.close();
});

test("34: a room is renamed, and what it tells is chosen", async ({ server, account, open }) => {
  const ana = await account("ana");
  const bo = await account("bo");
  const room = await server.room(ana, "harbour", [bo]);
  const { page } = await open(ana, `/room/${room.id}`);
  const { page: his } = await open(bo, `/room/${room.id}`);
  await choose(page, "settings");
  await dialog(page).getByLabel("Name").fill("");
  await dialog(page).getByRole("button", { name: "Save" }).click();
  await expect(dialog(page).getByText("Please fill this in.")).toBeVisible();
  await dialog(page).getByLabel("Name").fill("shipyard");
  await dialog(page).getByLabel("Topic").fill("Ships and shoes");
  await dialog(page).getByRole("button", { name: "Save" }).click();
  await expect(dialog(page)).toHaveCount(0);
  for (const one of [page, his]) {
    await expect(heading(one)).toHaveText("shipyard");
    await expect(one.locator(".room-head__topic")).toHaveText("Ships and shoes");
    await expect(link(one, room)).toContainText("shipyard");
  }
  await choose(his, "settings");
  await expect(dialog(his).getByLabel("Name")).toHaveCount(0);
  await dialog(his).getByRole("radio", { name: "Only mentions" }).check();
  await expect(link(his, room)).toHaveAttribute("data-muted", "true");
  await his.reload();
  await choose(his, "settings");
  await expect(dialog(his).getByRole("radio", { name: "Only mentions" })).toBeChecked();
});

test("34: leaving, archiving and deleting a room say what they do", async ({ server, account, open }) => {
  const ana = await account("ana");
  const bo = await account("bo");
  const room = await server.room(ana, "harbour", [bo], "private");
  await server.say(ana, room, "the first words");
  const { page } = await open(ana, `/room/${room.id}`);
  const { page: his } = await open(bo, `/room/${room.id}`);
  await choose(page, "archive");
  await expect(page.locator(".room-head__topic")).toHaveText("Archived");
  await expect(page.getByText("This room is archived: you can read it, but not write in it.")).toBeVisible();
  await expect(box(his)).toHaveCount(0);
  await choose(page, "archive");
  await expect(box(page)).toBeVisible();
  await expect(box(his)).toBeVisible();

  await choose(his, "leave");
  await expect(question(his)).toContainText("You can come back only when a member adds you again.");
  await his.keyboard.press("Escape");
  await expect(question(his)).toHaveCount(0);
  await expect(box(his)).toBeVisible();
  await choose(his, "leave");
  await question(his).getByRole("button", { name: "Leave" }).click();
  await expect(link(his, room)).toHaveCount(0);
  await expect(his).toHaveURL(/\/$/);

  await choose(page, "settings");
  await dialog(page).getByRole("button", { name: "Delete room…" }).click();
  await expect(question(page)).toContainText("All its messages are deleted, for everyone, for ever.");
  await question(page).getByRole("button", { name: "Cancel" }).click();
  await expect(messageWith(page, "the first words")).toBeVisible();
  await choose(page, "settings");
  await dialog(page).getByRole("button", { name: "Delete room…" }).click();
  await question(page).getByRole("button", { name: "Delete room" }).click();
  await expect(link(page, room)).toHaveCount(0);
  expect((await server.ask("GET", `/api/chat/rooms/${room.id}`, undefined, ana.token)).status).toBe(404);
});
