// How messages are written.

import { PHONE, VIEWS } from "./support/phone.ts";
import { box, expect, messages, messageWith, type Page, say, test } from "./support/test.ts";
import { heldBack } from "./support/views.ts";

const pending = (page: Page) => page.locator("[data-state=pending]");

/** A key of an input method: as browsers send it while composing, and as Safari does after the end. */
async function composingEnter(
  page: Page,
  options: { isComposing: boolean; keyCode: number },
): Promise<boolean> {
  return box(page).evaluate((area, init) => {
    const event = new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true, ...init });
    return area.dispatchEvent(event);
  }, options);
}

async function setEnter(page: Page, label: RegExp): Promise<void> {
  await page.getByRole("button", { name: /^Settings of/ }).click();
  await page.getByRole("tab", { name: "Appearance" }).click();
  await page.getByRole("radio", { name: label }).check();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toHaveCount(0);
}

test("16: Enter sends, Shift+Enter breaks, a setting swaps them; an input method's Enter never sends", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const room = await server.room(ana, "enter");
  const { page, context } = await open(ana, `/room/${room.id}`);
  await box(page).fill("one");
  await box(page).press("Shift+Enter");
  await box(page).pressSequentially("two");
  await expect(box(page)).toHaveValue("one\ntwo");
  await box(page).press("Enter");
  await expect(messageWith(page, "one")).toContainText("two");
  await expect(box(page)).toHaveValue("");

  const input = await context.newCDPSession(page);
  await input.send("Input.imeSetComposition", { text: "にほん", selectionStart: 3, selectionEnd: 3 });
  await expect(box(page)).toHaveValue("にほん");
  await composingEnter(page, { isComposing: true, keyCode: 229 });
  await input.send("Input.insertText", { text: "日本" });
  await composingEnter(page, { isComposing: false, keyCode: 229 }); // Safari's, after the end
  await expect(box(page)).toHaveValue("日本");
  await expect(messages(page)).toHaveCount(1);
  await box(page).press("Enter");
  await expect(messageWith(page, "日本")).toBeVisible();

  await setEnter(page, /Breaks the line; Shift/);
  await box(page).fill("three");
  await box(page).press("Enter");
  await expect(box(page)).toHaveValue("three\n");
  await box(page).pressSequentially("four");
  await box(page).press("Shift+Enter");
  await expect(messageWith(page, "three")).toContainText("four");
  await expect(messages(page)).toHaveCount(3);
});

test("16: on a phone Enter breaks and the button sends; a setting makes Enter send (phone)", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const room = await server.room(ana, "enter");
  const { page } = await open(ana, `/room/${room.id}`, PHONE);
  await box(page).tap();
  await box(page).pressSequentially("one");
  await box(page).press("Enter");
  await box(page).pressSequentially("two");
  await expect(box(page)).toHaveValue("one\ntwo");
  await page.getByRole("button", { name: "Send" }).tap();
  await expect(messageWith(page, "one")).toContainText("two");
  await page.getByRole("button", { name: "All rooms" }).tap();
  await setEnter(page, /^Sends; Shift/);
  await page.locator(`.room-link[data-room='${room.id}']`).tap();
  await box(page).fill("three");
  await composingEnter(page, { isComposing: true, keyCode: 229 });
  await expect(box(page)).toHaveValue("three");
  await box(page).press("Enter");
  await expect(messageWith(page, "three")).toBeVisible();
});

for (const [view, options] of VIEWS) {
  test(`17: the box grows to 40 % of the height; drafts survive, and the list shows them${view}`, async ({
    server,
    account,
    open,
  }) => {
    const ana = await account("ana");
    const [one, two] = [await server.room(ana, "one"), await server.room(ana, "two")];
    const { page } = await open(ana, `/room/${one.id}`, options);
    const isPhone = view !== "";
    const height = async (): Promise<number> => (await box(page).boundingBox())?.height ?? 0;
    const go = async (id: number): Promise<void> => {
      if (isPhone) await page.getByRole("button", { name: "All rooms" }).click();
      await page.locator(`.room-link[data-room='${id}']`).click();
      await expect(page).toHaveURL(new RegExp(`/room/${id}$`));
    };
    const low = await height();
    await box(page).fill("a\nb\nc\nd");
    const middle = await height();
    expect(middle).toBeGreaterThan(low + 40);
    await box(page).fill("line\n".repeat(80));
    const max = 0.4 * ((await page.viewportSize())?.height ?? 0);
    expect(await height()).toBeGreaterThan(max - 30);
    expect(await height()).toBeLessThanOrEqual(max + 2);
    await box(page).fill("half a thought");
    expect(await height()).toBeLessThanOrEqual(low + 1);

    await go(two.id);
    await expect(box(page)).toHaveValue("");
    await box(page).fill("another one");
    await go(one.id);
    await expect(box(page)).toHaveValue("half a thought");
    await page.reload();
    await expect(box(page)).toHaveValue("half a thought");
    if (isPhone) await page.getByRole("button", { name: "All rooms" }).click();
    for (const { id } of [one, two])
      await expect(page.locator(`.room-link[data-room='${id}']`)).toContainText("Draft");
    await page.locator(`.room-link[data-room='${two.id}']`).click();
    await expect(box(page)).toHaveValue("another one");
    await box(page).fill("");
    if (isPhone) await page.getByRole("button", { name: "All rooms" }).click();
    await expect(page.locator(`.room-link[data-room='${two.id}']`)).not.toContainText("Draft");
  });
}

test("17: an empty box has one line, however long the name of its room is (phone)", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const room = await server.room(ana, "Planning of the summer party in the big garden behind the house");
  const { page } = await open(ana, `/room/${room.id}`, PHONE);
  const height = async (): Promise<number> => (await box(page).boundingBox())?.height ?? 0;
  await expect(box(page)).toBeVisible();
  const empty = await height();
  await box(page).fill("x");
  expect(await height()).toBe(empty);
});

test("18: ArrowUp edits my last message, Escape cancels", async ({ server, account, open }) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await server.room(ana, "edit", [bo]);
  await server.say(ana, room, "first of mine");
  await server.say(ana, room, "last of mien");
  await server.say(bo, room, "of Bo's");
  const { page } = await open(ana, `/room/${room.id}`);
  await expect(messageWith(page, "of Bo's")).toBeVisible();
  const edit = page.getByRole("textbox", { name: "Edit message" });
  await box(page).press("ArrowUp");
  await expect(edit).toBeFocused();
  await expect(edit).toHaveValue("last of mien");
  await edit.fill("something else");
  await edit.press("Escape");
  await expect(edit).toHaveCount(0);
  await expect(box(page)).toBeFocused();
  await expect(messageWith(page, "last of mien")).toBeVisible();
  await box(page).press("ArrowUp");
  await edit.fill("last of mine");
  await edit.press("Enter");
  await expect(messageWith(page, "last of mine")).toContainText("(edited)");
  // A box with text keeps its arrow.
  await box(page).fill("text");
  await box(page).press("ArrowUp");
  await expect(edit).toHaveCount(0);
});

test("18: @, # and : complete by keyboard and by mouse", async ({ server, account, open }) => {
  const [ana, bo, bea] = [
    await account("ana", "Ana Silva"),
    await account("bo", "Bo Lund"),
    await account("bea", "Bea Lund"),
  ];
  const room = await server.room(ana, "complete", [bo, bea]);
  const other = await server.room(ana, `quay-${room.id}`);
  const { page } = await open(ana, `/room/${room.id}`);
  const options = page.getByRole("listbox", { name: "Suggestions" }).getByRole("option");
  await box(page).pressSequentially("hi @lun");
  await expect(options).toHaveCount(2);
  await box(page).press("ArrowDown");
  await expect(options.nth(1)).toHaveAttribute("aria-selected", "true");
  const second = (await options.nth(1).textContent()) ?? "";
  await box(page).press("Tab");
  const [first, last] = second.includes("Bo Lund") ? [bo, bea] : [bea, bo];
  await expect(box(page)).toHaveValue(`hi @${first.username} `);
  await expect(options).toHaveCount(0);
  await box(page).pressSequentially("@lun");
  await options.filter({ hasText: last.username }).click();
  await expect(box(page)).toHaveValue(`hi @${first.username} @${last.username} `);
  await expect(box(page)).toBeFocused();
  await box(page).pressSequentially(":tada");
  await expect(options.filter({ hasText: "🎉" })).toBeVisible();
  await options.filter({ hasText: "🎉" }).click();
  await box(page).pressSequentially("#quay-");
  await expect(options.filter({ hasText: other.name })).toBeVisible();
  await box(page).press("Enter"); // takes it, and doesn't send
  await expect(messages(page)).toHaveCount(0);
  await box(page).press("Enter");
  const sent = messageWith(page, "🎉");
  await expect(sent.locator(".mention")).toHaveText([`@${first.username}`, `@${last.username}`]);
  await sent.getByRole("link", { name: `#${other.name}` }).click();
  await expect(page).toHaveURL(new RegExp(`/room/${other.id}$`));
  // Escape puts the list away, and the text stays.
  await box(page).fill("@an");
  await box(page).pressSequentially("a");
  await box(page).press("Escape");
  await expect(options).toHaveCount(0);
  await expect(box(page)).toHaveValue("@ana");
});

test("names are suggested that came after the first letters, and that were refused at first", async ({
  server,
  account,
  open,
  faults,
}) => {
  faults.allow(/503/);
  const [ana, bo] = [await account("ana"), await account("bo", "Bo Lund")];
  const room = await server.room(ana, "late names", [bo]);
  const { page } = await open(ana);
  const release = await heldBack(page, /\/members(\?(?!.*\bq=).*)?$/);
  let asked = 0;
  await page.route(/\/members\?.*\bq=/, async (route) => {
    asked += 1;
    if (asked > 1) return route.continue();
    const error = { code: "unavailable", message: "Try again.", retryable: true };
    await route.fulfill({ status: 503, json: { error } });
  });
  await page.goto(`${server.url}/room/${room.id}`);
  const options = page.getByRole("listbox", { name: "Suggestions" }).getByRole("option");
  await box(page).pressSequentially("@lun");
  await expect(options).toHaveText([/Bo Lund/]);
  expect(asked).toBe(2);
  await box(page).press("Escape");
  await box(page).fill("");
  await box(page).pressSequentially("@bo");
  release(); // the list, in place of what is asked for next
  await expect(options).toHaveText([/Bo Lund/]);
});

test("19: near the limit a counter; beyond it nothing is sent, and it says what to cut; pasting keeps plain text", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const room = await server.room(ana, "limit");
  const { limits } = await server.must<{ limits: { content_chars_max: number } }>("GET", "/api/info");
  const max = limits.content_chars_max;
  const { page, context } = await open(ana, `/room/${room.id}`);
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const count = page.locator("#composer-count");
  await box(page).fill("x".repeat(max - 1_000));
  await expect(count).toHaveText("");
  await box(page).fill("😀".repeat(max - 7)); // characters, not halves of them
  await expect(count).toHaveText("7 characters left");
  await box(page).fill("x".repeat(max + 12));
  await expect(count).toContainText("Too long by 12 characters");
  await box(page).press("Enter");
  await expect(box(page)).toHaveValue("x".repeat(max + 12));
  await expect(messages(page)).toHaveCount(0);
  await box(page).fill("x".repeat(max));
  await box(page).press("Enter");
  await expect(messages(page)).toHaveCount(1);
  await expect(pending(page)).toHaveCount(0);

  await page.evaluate(() =>
    navigator.clipboard.write([
      new ClipboardItem({
        "text/html": new Blob(["<b>bold</b> <i>words</i>"], { type: "text/html" }),
        "text/plain": new Blob(["bold words"], { type: "text/plain" }),
      }),
    ]),
  );
  await box(page).focus();
  await page.keyboard.press("Control+V");
  await expect(box(page)).toHaveValue("bold words");
});

test("messages go out in order, and with emoji, while the names of these are still being loaded", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const room = await server.room(ana, "slow names");
  const { page } = await open(ana, `/room/${room.id}`);
  await expect(box(page)).toBeVisible();
  const load = await heldBack(page, /assets\/(emoji|compact)/);
  await say(page, "one :tada: ");
  await box(page).press("Enter");
  await say(page, "two");
  await expect(pending(page)).toHaveCount(2);
  await expect(box(page)).toHaveValue("");
  load();
  await expect(messageWith(page, "one 🎉")).toHaveCount(1);
  await expect(pending(page)).toHaveCount(0);
  expect(await server.texts(ana, room)).toEqual(["one 🎉", "two"]);
});

test("an answer says it when its message is deleted meanwhile", async ({ server, account, open }) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await server.room(ana, "answers", [bo]);
  const { seq } = await server.say(bo, room, "to be answered");
  const { page } = await open(ana, `/room/${room.id}`);
  await messageWith(page, "to be answered").hover();
  await page.locator(".message__tools").getByRole("button", { name: "Reply" }).click();
  const answering = page.locator(".composer__answering");
  await expect(answering).toHaveText(`Replying to ${bo.username} to be answered`);
  await server.must("DELETE", `/api/chat/rooms/${room.id}/messages/${seq}`, undefined, bo.token);
  await expect(answering).toHaveText("Replying to a message that was deleted");
});
