// What was written, changed and deleted is not lost: at the end of a session, through a reload, in another tab, and when the
// room is gone.

import { line } from "./support/line.ts";
import { within } from "./support/patience.ts";
import {
  type Account,
  box,
  expect,
  messages,
  messageWith,
  type Page,
  type Room,
  type Server,
  say,
  test,
} from "./support/test.ts";
import { heldBack } from "./support/views.ts";

interface Item {
  content?: string;
  deleted_at?: string;
}

/** What is said in a room, by the server's own word; null: it was deleted. */
async function said(server: Server, reader: Account, room: Room): Promise<(string | null)[]> {
  const path = `/api/chat/rooms/${room.id}/messages`;
  const { items } = await server.must<{ items: Item[] }>("GET", path, undefined, reader.token);
  return items.map(({ content }) => content ?? null);
}

async function chooseOf(page: Page, text: string, name: string): Promise<void> {
  await messageWith(page, text).hover();
  await page.getByRole("toolbar").getByRole("button", { name: "More" }).click();
  await page.getByRole("menuitem", { name }).click();
}

async function askLogOut(page: Page): Promise<void> {
  await page.getByRole("button", { name: /^Settings of/ }).click();
  await page.getByRole("button", { name: "Log out", exact: true }).click();
}

test("a deletion is done though its author logs out at once", async ({ server, account, open }) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await server.room(ana, "regrets", [bo]);
  await server.say(ana, room, "said too soon");
  const { page } = await open(ana, `/room/${room.id}`);
  await chooseOf(page, "said too soon", "Delete");
  await expect(page.getByRole("button", { name: "Undo" })).toBeVisible();
  await askLogOut(page);
  await expect(page.getByText("You are logged out.")).toBeVisible();
  await expect.poll(() => said(server, bo, room)).toEqual([null]);
});

test("an edit and a deletion that wait survive a reload; who logs out is asked before they are lost", async ({
  server,
  account,
  open,
  faults,
}) => {
  faults.allow(/./);
  const ana = await account("ana");
  const room = await server.room(ana, "second thoughts");
  await server.say(ana, room, "to be deleted");
  await server.say(ana, room, "to be edited");
  const { page } = await open(ana);
  const { cut, mend } = await line(page);
  await page.goto(`${server.url}/room/${room.id}`);
  await expect(messages(page)).toHaveCount(2);
  await cut();
  await box(page).press("ArrowUp");
  await page.getByRole("textbox", { name: "Edit message" }).fill("edited");
  await page.keyboard.press("Enter");
  await expect(messageWith(page, "edited")).toBeVisible();
  await chooseOf(page, "to be deleted", "Delete");
  await askLogOut(page);
  const question = page.getByRole("alertdialog");
  await expect(question).toContainText("2 edits and deletions have not reached the server");
  await question.getByRole("button", { name: "Cancel" }).click();
  await page.keyboard.press("Escape");
  expect(await said(server, ana, room)).toEqual(["to be deleted", "to be edited"]);
  mend();
  await page.reload();
  await expect.poll(() => said(server, ana, room), { timeout: within(45_000) }).toEqual([null, "edited"]);
  await expect(messageWith(page, "edited")).toBeVisible();
  // Nothing of it is left to be done.
  await expect
    .poll(() =>
      page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith("hearth.change."))),
    )
    .toEqual([]);
});

test("the box of another tab follows the draft, and is empty once it is sent", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const room = await server.room(ana, "two boxes");
  const { page, context } = await open(ana, `/room/${room.id}`);
  const other = await context.newPage();
  await other.goto(`${server.url}/room/${room.id}`);
  await expect(box(other)).toBeVisible();
  await box(page).pressSequentially("Hel");
  await expect(box(other)).toHaveValue("Hel");
  await box(page).pressSequentially("lo");
  await expect(box(other)).toHaveValue("Hello");
  await box(page).press("Enter");
  await expect(messageWith(other, "Hello")).toBeVisible();
  await expect(box(other)).toHaveValue("");
});

test("a room that is brought back has its draft", async ({ server, account, open }) => {
  const ana = await account("ana");
  const room = await server.room(ana, "put away");
  const { page } = await open(ana, `/room/${room.id}`);
  await box(page).fill("half a thought");
  const archive = (archived: boolean) =>
    server.must("PATCH", `/api/chat/rooms/${room.id}`, { archived }, ana.token);
  await archive(true);
  await expect(box(page)).toHaveCount(0);
  await archive(false);
  await expect(box(page)).toHaveValue("half a thought");
});

test("a message whose emoji are being loaded is sent, also when its room is left meanwhile", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const room = await server.room(ana, "left soon");
  const other = await server.room(ana, "gone to");
  const { page } = await open(ana, `/room/${room.id}`);
  const load = await heldBack(page, /assets\/emoji/);
  await box(page).fill("one :tada:");
  await box(page).press("Enter"); // takes what is offered, if it is there already
  await box(page).press("Enter");
  await page.locator(`.room-link[data-room='${other.id}']`).click();
  await expect(page.getByRole("heading", { level: 1, name: "gone to" })).toBeVisible();
  load();
  await expect.poll(() => said(server, ana, room)).toEqual([expect.stringMatching(/^one (🎉|:tada:)$/u)]);
  await page.locator(`.room-link[data-room='${room.id}']`).click();
  await expect(messageWith(page, "one")).toBeVisible();
  await expect(box(page)).toHaveValue("");
});

test("what waits for a room that is no longer mine can be copied, and is a draft for who comes back", async ({
  server,
  account,
  open,
  faults,
}) => {
  faults.allow(/./);
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await server.room(ana, "closed doors", [bo], "private");
  const { page, context } = await open(bo);
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const { cut, mend } = await line(page);
  await page.goto(`${server.url}/room/${room.id}`);
  await expect(box(page)).toBeVisible();
  await cut();
  await say(page, "one");
  await say(page, "two");
  await expect(page.locator("[data-state=pending]")).toHaveCount(2);
  await server.must("DELETE", `/api/chat/rooms/${room.id}/members/${bo.id}`, undefined, ana.token);
  mend();
  const toast = page.locator(".toast", { hasText: "Not sent" });
  await expect(toast).toContainText("one two", { timeout: within(45_000) });
  await toast.getByRole("button", { name: "Copy" }).click();
  await expect(page.getByText("Copied")).toBeVisible();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe("one\ntwo");
  await server.must("POST", `/api/chat/rooms/${room.id}/members`, { user_id: bo.id }, ana.token);
  await expect(box(page)).toHaveValue("one\ntwo");
  // Nothing of it is asked about any more.
  await askLogOut(page);
  await expect(page.getByText("You are logged out.")).toBeVisible();
});

test("an edit that waits, of a message that is deleted meanwhile, is told once and can be copied", async ({
  server,
  account,
  open,
  faults,
}) => {
  faults.allow(/./);
  const ana = await account("ana");
  const room = await server.room(ana, "rewritten");
  const other = await server.room(ana, "elsewhere");
  const { seq } = await server.say(ana, room, "first version");
  const { page, context } = await open(ana);
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const { cut, mend } = await line(page);
  await page.goto(`${server.url}/room/${room.id}`);
  await expect(messages(page)).toHaveCount(1);
  await cut();
  await box(page).press("ArrowUp");
  await page.getByRole("textbox", { name: "Edit message" }).fill("a long rewrite");
  await page.keyboard.press("Enter");
  await expect(messageWith(page, "a long rewrite")).toBeVisible();
  await page.locator(`.room-link[data-room='${other.id}']`).click();
  await expect(page.getByRole("heading", { level: 1, name: "elsewhere" })).toBeVisible();
  await server.must("DELETE", `/api/chat/rooms/${room.id}/messages/${seq}`, undefined, ana.token);
  mend();
  const toast = page.locator(".toast");
  await expect(toast).toContainText("was deleted", { timeout: within(45_000) });
  await page.locator(`.room-link[data-room='${room.id}']`).click();
  await expect(messages(page).filter({ hasText: /deleted/ })).toBeVisible();
  await expect(toast).toHaveCount(1);
  await toast.getByRole("button", { name: "Copy" }).click();
  await expect(page.getByText("Copied")).toBeVisible();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe("a long rewrite");
});
