// A message that is being changed: its text is lost by nothing but Cancel.

import { line } from "./support/line.ts";
import { PHONE } from "./support/phone.ts";
import {
  type Account,
  box,
  expect,
  messageWith,
  type Page,
  type Room,
  type Server,
  say,
  test,
} from "./support/test.ts";

const edit = (page: Page) => page.getByRole("textbox", { name: "Edit message" });

/** A room in which the last message of `author` is "of mine", with so many of somebody else's after it. */
async function roomOf(server: Server, author: Account, other: Account, after = 1): Promise<Room> {
  const room = await server.room(author, "edits", [other]);
  await server.say(author, room, "of mine");
  for (let index = 1; index <= after; index += 1) await server.say(other, room, `line ${index}.`);
  await server.read(author, room, after + 1);
  return room;
}

test("a change that was begun is there after another room, and leaves the focus where it is", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await roomOf(server, ana, bo);
  const other = await server.room(ana, "another");
  const { page } = await open(ana, `/room/${room.id}`);
  await expect(messageWith(page, "of mine")).toBeVisible();
  await box(page).press("ArrowUp");
  await edit(page).fill("half a change");
  await edit(page).press("Alt+ArrowDown");
  await expect(page).toHaveURL(new RegExp(`/room/${other.id}$`));
  await expect(box(page)).toBeFocused();
  await page.keyboard.press("Alt+ArrowUp");
  await expect(edit(page)).toHaveValue("half a change");
  await expect(box(page)).toBeFocused();
  await box(page).press("ArrowUp"); // goes on with it
  await expect(edit(page)).toBeFocused();
  await expect(edit(page)).toHaveValue("half a change");
  await edit(page).press("Enter");
  await expect(edit(page)).toHaveCount(0);
  await expect(messageWith(page, "half a change")).toContainText("(edited)");
});

test("a change that was begun is there after a panel (phone)", async ({ server, account, open }) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await roomOf(server, ana, bo);
  const { page } = await open(ana, `/room/${room.id}`, PHONE);
  await expect(messageWith(page, "of mine")).toBeVisible();
  await box(page).press("ArrowUp");
  await edit(page).fill("half a change");
  await page.locator(".room-head").getByRole("button", { name: "Members" }).tap();
  await expect(edit(page)).toHaveCount(0);
  await page.goBack();
  await expect(edit(page)).toHaveValue("half a change");
  await expect(edit(page)).not.toBeFocused();
});

test("when the message is deleted meanwhile, one is told, and can copy the text", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await roomOf(server, ana, bo);
  const { page, context } = await open(ana, `/room/${room.id}`);
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await expect(messageWith(page, "of mine")).toBeVisible();
  await box(page).press("ArrowUp");
  await edit(page).fill("a long change");
  await server.must("DELETE", `/api/chat/rooms/${room.id}/messages/1`, undefined, ana.token);
  const toast = page.locator(".toast").filter({ hasText: "The message that you were changing was deleted." });
  await expect(toast).toBeVisible();
  await expect(edit(page)).toHaveCount(0);
  await expect(box(page)).toBeFocused();
  await toast.getByRole("button", { name: "Copy text" }).click();
  await expect.poll(() => page.evaluate(() => navigator.clipboard.readText())).toBe("a long change");
});

test("a change that is refused stands in its box again", async ({ server, account, open }) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await roomOf(server, ana, bo);
  const { page } = await open(ana);
  await page.routeWebSocket(/\/ws$/, (socket) => {
    const real = socket.connectToServer();
    socket.onMessage((text) => {
      const { type, ref } = JSON.parse(String(text)) as { type: string; ref?: string };
      if (type !== "edit") return real.send(text);
      const error = { code: "forbidden", message: "Not today.", retryable: false };
      socket.send(JSON.stringify({ type: "error", ref, ...error }));
    });
  });
  await page.goto(`${server.url}/room/${room.id}`);
  await expect(messageWith(page, "of mine")).toBeVisible();
  await box(page).press("ArrowUp");
  await edit(page).fill("a long change");
  await edit(page).press("Enter");
  await expect(page.locator(".toast")).toContainText("Not today.");
  await expect(edit(page)).toHaveValue("a long change");
  await expect(box(page)).toBeFocused();
});

test("what is to be changed comes into view", async ({ server, account, open }) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await roomOf(server, ana, bo, 45);
  const { page } = await open(ana, `/room/${room.id}`);
  await expect(messageWith(page, "line 45.")).toBeInViewport();
  await expect(messageWith(page, "of mine")).not.toBeInViewport();
  await box(page).press("ArrowUp");
  await expect(edit(page)).toBeFocused();
  await edit(page).pressSequentially(", changed");
  await expect(edit(page)).toBeInViewport({ ratio: 1 });
  await expect(messageWith(page, "line 45.")).not.toBeInViewport();
  await edit(page).press("Enter");
  await expect(messageWith(page, "of mine, changed")).toContainText("(edited)");
});

test("what comes meanwhile is counted below, and the text that is changed stays where it is", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await roomOf(server, ana, bo, 30);
  await server.say(ana, room, "to be changed");
  const { page } = await open(ana, `/room/${room.id}`);
  await expect(messageWith(page, "to be changed")).toBeVisible();
  await box(page).press("ArrowUp");
  await expect(edit(page)).toBeFocused();
  const top = () => edit(page).evaluate((area) => Math.round(area.getBoundingClientRect().top));
  const before = await top();
  for (let index = 1; index <= 15; index += 1) await server.say(bo, room, `meanwhile ${index}`);
  const toEnd = page.getByRole("button", { name: "15 new messages" });
  await expect(toEnd).toBeVisible();
  await expect(edit(page)).toBeInViewport({ ratio: 1 });
  expect(Math.abs((await top()) - before)).toBeLessThanOrEqual(1);
  await page.keyboard.type(" a little");
  await page.getByRole("button", { name: "Save" }).click(); // which the count doesn't cover
  await expect(messageWith(page, "to be changed a little")).toBeInViewport();
  // The message is lower than its box was: some of the others come into view below it, and are read.
  await page.getByRole("button", { name: /^\d+ new messages?$/ }).click();
  await expect(messageWith(page, "meanwhile 15")).toBeInViewport();
});

test("nobody else finds in this tab what was being changed", async ({ server, account, open }) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await roomOf(server, ana, bo);
  const { page } = await open(ana, `/room/${room.id}`);
  await expect(messageWith(page, "of mine")).toBeVisible();
  await box(page).press("ArrowUp");
  await edit(page).fill("not for others");
  await page.getByRole("button", { name: /^Settings of/ }).click();
  await page.getByRole("button", { name: "Log out", exact: true }).click();
  await page.getByLabel("Username").fill(bo.username);
  await page.getByLabel("Password", { exact: true }).fill(bo.password);
  await page.getByRole("button", { name: "Log in" }).click();
  await expect(messageWith(page, "of mine")).toBeVisible();
  await expect(page.getByRole("button", { name: `Settings of ${bo.username}` })).toBeVisible();
  await expect(edit(page)).toHaveCount(0);
});

test("a box that nobody touched follows a change from elsewhere, and doesn't undo it", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await roomOf(server, ana, bo);
  const { page } = await open(ana, `/room/${room.id}`);
  await expect(messageWith(page, "of mine")).toBeVisible();
  await box(page).press("ArrowUp");
  await expect(edit(page)).toHaveValue("of mine");
  await server.must("PATCH", `/api/chat/rooms/${room.id}/messages/1`, { content: "of the phone" }, ana.token);
  await expect(edit(page)).toHaveValue("of the phone");
  await edit(page).press("Enter");
  await expect(edit(page)).toHaveCount(0);
  await say(page, "and on");
  await expect(page.locator("[data-state=pending]")).toHaveCount(0);
  expect(await server.texts(ana, room)).toEqual(["of the phone", "line 1.", "and on"]);
});

test("a box with a change in it says that the message was changed elsewhere", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await roomOf(server, ana, bo);
  const { page } = await open(ana, `/room/${room.id}`);
  await expect(messageWith(page, "of mine")).toBeVisible();
  await box(page).press("ArrowUp");
  await edit(page).fill("of mine!");
  await server.must("PATCH", `/api/chat/rooms/${room.id}/messages/1`, { content: "of the phone" }, ana.token);
  const notice = page.locator(".edit-box__overtaken");
  await expect(notice).toContainText("has been changed elsewhere, to “of the phone”");
  await expect(edit(page)).toHaveValue("of mine!");
  await edit(page).press("Enter"); // it is known, and meant
  await expect(messageWith(page, "of mine!")).toContainText("(edited)");
});

test("a long message opens at its caret", async ({ server, account, open }) => {
  const ana = await account("ana");
  const room = await server.room(ana, "long");
  await server.say(ana, room, Array.from({ length: 100 }, (_, index) => `line ${index}`).join("\n"));
  const { page } = await open(ana, `/room/${room.id}`);
  await expect(messageWith(page, "line 0")).toBeVisible();
  await box(page).press("ArrowUp");
  await expect(edit(page)).toBeFocused();
  const isAtCaret = (area: HTMLTextAreaElement): boolean =>
    area.selectionStart === area.value.length &&
    area.scrollHeight > area.clientHeight &&
    area.scrollTop + area.clientHeight >= area.scrollHeight - 1;
  await expect.poll(() => edit(page).evaluate(isAtCaret)).toBe(true);
});

test("a change completes names and emoji, and Ctrl+Enter saves it where Enter breaks the line", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana"), await account("bo", "Bo Lund")];
  const room = await roomOf(server, ana, bo);
  const { page } = await open(ana, `/room/${room.id}`);
  await expect(messageWith(page, "of mine")).toBeVisible();
  await box(page).press("ArrowUp");
  await edit(page).pressSequentially(" :tada: @lun");
  const options = page.getByRole("option");
  await expect(options).toHaveText([/Bo Lund/]);
  await expect(options).toBeInViewport({ ratio: 1 });
  await options.click();
  await expect(edit(page)).toHaveValue(`of mine :tada: @${bo.username} `);
  await edit(page).pressSequentially("@l");
  await expect(options).toHaveCount(1);
  await edit(page).press("Escape"); // puts the list away, and not the box
  await expect(options).toHaveCount(0);
  await edit(page).press("Enter");
  await expect(messageWith(page, "of mine 🎉").locator(".mention")).toHaveText(`@${bo.username}`);

  await page.evaluate(() => localStorage.setItem("hearth.prefs", JSON.stringify({ enter: "breaks" })));
  await page.reload();
  await expect(messageWith(page, "of mine")).toBeVisible();
  await box(page).press("ArrowUp");
  await edit(page).fill("one");
  await edit(page).press("Enter");
  await edit(page).pressSequentially("two");
  await expect(edit(page)).toHaveValue("one\ntwo");
  await edit(page).press("Control+Enter");
  await expect(edit(page)).toHaveCount(0);
  await expect(messageWith(page, "two")).toBeVisible();
});

test("a change that is too long is not saved, and says so until it fits", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await roomOf(server, ana, bo);
  const { limits } = await server.must<{ limits: { content_chars_max: number } }>("GET", "/api/info");
  const { page } = await open(ana, `/room/${room.id}`);
  await expect(messageWith(page, "of mine")).toBeVisible();
  await box(page).press("ArrowUp");
  const count = page.locator(".edit-box .composer__count");
  await edit(page).fill("x".repeat(limits.content_chars_max + 2));
  await expect(count).toContainText("Too long by 2 characters");
  await edit(page).press("Enter");
  await expect(edit(page)).toBeFocused();
  await edit(page).fill("x".repeat(limits.content_chars_max - 3));
  await expect(count).toHaveText("3 characters left");
  await edit(page).fill("short");
  await expect(count).toHaveText("");
  await edit(page).press("Enter");
  await expect(messageWith(page, "short")).toContainText("(edited)");
});

test("ArrowUp changes my newest message, also where old ones are shown", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await roomOf(server, ana, bo, 150);
  await server.say(ana, room, "the newest");
  const old = `${server.url}/room/${room.id}/1`;
  await server.say(bo, room, old);
  await server.read(ana, room, 153);
  const { page } = await open(ana, `/room/${room.id}`);
  await expect(messageWith(page, "the newest")).toBeVisible();
  await page.getByRole("link", { name: old, exact: true }).click();
  await expect(messageWith(page, "of mine")).toBeVisible();
  await expect(messageWith(page, "the newest")).toHaveCount(0);
  await box(page).press("ArrowUp");
  await expect(edit(page)).toBeFocused();
  await expect(edit(page)).toHaveValue("the newest");
  await expect(edit(page)).toBeInViewport({ ratio: 1 });
});

test("ArrowUp takes a message back into the box that waits for the connection", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await roomOf(server, ana, bo);
  const { page } = await open(ana);
  const way = await line(page);
  await page.goto(`${server.url}/room/${room.id}`);
  await expect(messageWith(page, "of mine")).toBeVisible();
  await way.cut();
  await say(page, "with a typo");
  await expect(messageWith(page, "with a typo")).toBeVisible();
  await box(page).press("ArrowUp");
  await expect(box(page)).toHaveValue("with a typo");
  await expect(messageWith(page, "with a typo")).toHaveCount(0);
  await expect(edit(page)).toHaveCount(0);
  await say(page, "without one");
  way.mend();
  await expect(page.locator(".banner")).toHaveCount(0);
  await expect(page.locator("[data-state=pending]")).toHaveCount(0);
  expect(await server.texts(ana, room)).toEqual(["of mine", "line 1.", "without one"]);
});

test("the list shows the message before one that is being deleted", async ({
  server,
  account,
  open,
  faults,
}) => {
  faults.allow(/./);
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await server.room(ana, "regrets", [bo]);
  await server.say(bo, room, "said before");
  await server.say(ana, room, "said too soon");
  const { page } = await open(ana);
  const { cut } = await line(page);
  await page.goto(`${server.url}/room/${room.id}`);
  const preview = page.locator(".room-link__line");
  await expect(preview).toContainText("said too soon");
  await expect(messageWith(page, "said too soon")).toBeVisible();
  await cut();
  await messageWith(page, "said too soon").hover();
  await page.getByRole("toolbar").getByRole("button", { name: "More" }).click();
  await page.getByRole("menuitem", { name: "Delete" }).click();
  await expect(preview).toContainText("said before");
});
