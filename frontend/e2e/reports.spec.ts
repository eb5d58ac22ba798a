// What people reported of other clients.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { within } from "./support/patience.ts";
import { PHONE } from "./support/phone.ts";
import { box, expect, messages, messageWith, type Page, say, test } from "./support/test.ts";

/** Where a piece of text is drawn, within an element. */
async function placeOf(
  page: Page,
  selector: string,
  piece: string,
): Promise<{ left: number; right: number }> {
  return page.evaluate(
    ([css, wanted]) => {
      for (const element of document.querySelectorAll(css ?? "")) {
        const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
        for (let node = walker.nextNode(); node; node = walker.nextNode()) {
          const at = node.textContent?.indexOf(wanted ?? "") ?? -1;
          if (at < 0) continue;
          const range = document.createRange();
          range.setStart(node, at);
          range.setEnd(node, at + (wanted ?? "").length);
          const { left, right } = range.getBoundingClientRect();
          return { left, right };
        }
      }
      throw new Error(`"${wanted}" is not in ${css}`);
    },
    [selector, piece],
  );
}

test("report 1: an address ends where people mean it to", async ({ server, account, open }) => {
  const ana = await account("ana");
  const room = await server.room(ana, "links");
  const cases: [string, string, string][] = [
    ["https://en.wikipedia.org/wiki/Foo_(bar)", "https://en.wikipedia.org/wiki/Foo_(bar)", ""],
    ["(https://a.example/)", "https://a.example/", ")"],
    ["https://example.com/foo。次の文", "https://example.com/foo", "。次の文"],
    ["Https://example.org", "https://example.org/", ""],
  ];
  for (const [text] of cases) await server.say(ana, room, text);
  const { page } = await open(ana, `/room/${room.id}`);
  await expect(messages(page)).toHaveCount(cases.length);
  for (const [index, [text, href, after]] of cases.entries()) {
    const row = messages(page).nth(index);
    await expect(row.locator(".md a")).toHaveCount(1);
    await expect(row.locator(".md a")).toHaveAttribute("href", href);
    await expect(row.locator(".md")).toHaveText(text);
    expect(text.endsWith(`${await row.locator(".md a").textContent()}${after}`)).toBe(true);
  }
});

test("report 2: names are completed in any script, and none turns a line", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana", "Ana Silva");
  const [ismail, hebrew] = [await account("İsmail", "İsmail Yılmaz"), await account("dov", "שלום (5)")];
  const room = await server.room(ana, "scripts", [ismail, hebrew]);
  const direct = await server.direct(ana, hebrew);
  const shalom = await server.register(`שלום${Math.floor(Math.random() * 1e6)}`);
  await server.must("POST", `/api/chat/rooms/${room.id}/members`, { user_id: shalom.id }, ana.token);
  await server.say(ana, room, `@${shalom.username} please look at this`);
  await server.say(hebrew, room, "an English line");
  await server.say(hebrew, direct, "another English line");
  const { page } = await open(ana, `/room/${room.id}`);
  await expect(messages(page)).toHaveCount(2);

  // A Hebrew name at the head of an English line: the name stands left of it, in the message and in the list.
  const mention = await page.locator(".mention").boundingBox();
  expect(mention?.x).toBeLessThan((await placeOf(page, ".message__text", "please look")).left);
  const line = `.room-link[data-room='${room.id}'] .room-link__line`;
  const name = await placeOf(page, line, "שלום");
  expect(name.right).toBeLessThanOrEqual((await placeOf(page, line, "an English line")).left + 1);

  // "(5)" stands left of a Hebrew name wherever it is shown.
  const inOrder = async (selector: string): Promise<void> => {
    const [word, number] = [await placeOf(page, selector, "שלום"), await placeOf(page, selector, "5")];
    expect(number.right, selector).toBeLessThanOrEqual(word.left + 1);
  };
  await inOrder(".message__author");
  await inOrder(`.room-link[data-room='${direct.id}'] .room-link__name`);
  await inOrder(line);
  const { page: other } = await open(hebrew, `/room/${room.id}`);
  await box(other).pressSequentially("w");
  await expect(page.locator(".typing")).toContainText("is typing");
  await inOrder(".typing");
  expect((await placeOf(page, ".typing", "שלום")).right).toBeLessThanOrEqual(
    (await placeOf(page, ".typing", "is typing")).left + 1,
  );

  const options = page.getByRole("listbox", { name: "Suggestions" }).getByRole("option");
  for (const before of ["", "hi "]) {
    await box(page).fill(`${before}@`);
    await box(page).press("End");
    await box(page).pressSequentially("İs");
    await expect(options.filter({ hasText: ismail.username })).toBeVisible();
    await options.filter({ hasText: ismail.username }).click();
    await expect(box(page)).toHaveValue(`${before}@${ismail.username} `);
  }
  await page.locator(`.room-link[data-room='${direct.id}']`).click();
  await expect(page.getByRole("heading", { level: 1, name: "שלום (5)" })).toBeVisible();
  await inOrder(".room-head h1");
});

test("report 4: an edit that changes nothing sends nothing, whatever the line ends", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const room = await server.room(ana, "ends");
  await server.say(ana, room, "a\r\nb\n");
  const { page } = await open(ana, "/");
  const sent: string[] = [];
  page.on("websocket", (socket) => socket.on("framesent", ({ payload }) => sent.push(String(payload))));
  await page.goto(`${server.url}/room/${room.id}`);
  await expect(messages(page)).toHaveCount(1);
  await box(page).press("ArrowUp");
  const edit = page.getByRole("textbox", { name: "Edit message" });
  await expect(edit).toBeFocused();
  await edit.press("Enter");
  await expect(edit).toHaveCount(0);
  await say(page, "after it"); // what an edit would have sent went before
  await expect(page.locator("[data-seq='2']")).toBeVisible();
  expect(sent.filter((frame) => frame.includes('"type":"edit"'))).toEqual([]);
  await expect(page.getByText("(edited)")).toHaveCount(0);
});

test("report 4: 2 MB that are pasted neither freeze the page nor come back; drafts are written at rest", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const room = await server.room(ana, "paste");
  const { page, context } = await open(ana, `/room/${room.id}`);
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.evaluate(() => navigator.clipboard.writeText("lorem ipsum ".repeat(175_000)));
  await box(page).fill("kept");
  await page.keyboard.press("Control+V");
  await expect(page.getByText(/It was not pasted/)).toBeVisible();
  await expect(box(page)).toHaveValue("kept");
  // Not by pasting: as much as the box takes is not kept through a reload.
  await box(page).evaluate((area: HTMLTextAreaElement) => {
    area.focus();
    document.execCommand("selectAll");
    document.execCommand("insertText", false, "x".repeat(300_000));
  });
  await expect(page.locator("#composer-count")).toContainText("Too long by");
  await page.reload();
  await expect(box(page)).toBeVisible();
  const kept = await page.evaluate(() =>
    Object.entries(localStorage).reduce((sum, [, value]) => sum + value.length, 0),
  );
  expect(kept).toBeLessThan(40_000);

  const writes = await page.evaluateHandle(() => {
    const state = { count: 0 };
    const set = Storage.prototype.setItem;
    Storage.prototype.setItem = function (key, value) {
      if (key.startsWith("hearth.draft.")) state.count += 1;
      set.call(this, key, value);
    };
    return state;
  });
  await box(page).fill("");
  await box(page).evaluate((area: HTMLTextAreaElement) => {
    area.focus();
    for (const letter of "thirty letters one by one, so.") document.execCommand("insertText", false, letter);
  });
  await expect
    .poll(() =>
      page.evaluate(() => Object.values(localStorage).some((value) => value.includes("by one, so."))),
    )
    .toBe(true);
  expect(await writes.evaluate(({ count }) => count), "once for all of them").toBe(1);
});

test("report 5: half a surrogate pair is sent as U+FFFD, and what follows is sent, too", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await server.room(ana, "halves", [bo]);
  const { page } = await open(ana, `/room/${room.id}`);
  const { page: other } = await open(bo, `/room/${room.id}`);
  await box(page).evaluate((area: HTMLTextAreaElement) => {
    area.value = "half \ud83d of it";
    area.dispatchEvent(new Event("input", { bubbles: true }));
  });
  await box(page).press("Enter");
  await say(page, "next one");
  await expect(messageWith(other, "half \ufffd of it")).toBeVisible();
  await expect(messageWith(other, "next one")).toBeVisible();
  await expect(page.locator("[data-state]")).toHaveCount(0);
});

test("report 5: the order of sending is that of saying, whatever the clock does", async ({
  server,
  account,
  open,
  faults,
}) => {
  faults.allow(/./);
  const ana = await account("ana");
  const room = await server.room(ana, "clocks");
  const { page } = await open(ana, `/room/${room.id}`);
  await say(page, "zero");
  await expect(page.locator("[data-seq='1']")).toBeVisible();
  await server.kill();
  const texts = ["one", "two", "three"];
  for (const [index, text] of texts.entries()) {
    await page.evaluate((back) => {
      const real = Date;
      const shift = back * 3_600_000;
      globalThis.Date = new Proxy(real, {
        construct: (target, given) =>
          given.length > 0 ? Reflect.construct(target, given) : new target(target.now() - shift),
        get: (target, name) =>
          name === "now" ? () => target.now() - shift : Reflect.get(target, name, target),
      });
    }, index);
    await say(page, text);
  }
  await expect(page.locator("[data-state=pending]")).toHaveCount(3);
  await server.start();
  await page.reload();
  await expect(page.locator("[data-seq='4']")).toBeVisible({ timeout: within(45_000) });
  await expect(messages(page).locator(".message__text")).toHaveText(["zero", ...texts]);
});

test("report 6: a file that is dropped anywhere doesn't replace the page", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const room = await server.room(ana, "drops");
  const { page, context } = await open(ana, `/room/${room.id}`);
  await expect(box(page)).toBeVisible();
  const file = join(server.dir, "dropped.html");
  writeFileSync(file, "<title>another page</title>");
  const input = await context.newCDPSession(page);
  const places = [
    page.locator(".sidebar__foot"),
    page.locator(".timeline"),
    box(page),
    page.locator(".room-head"),
  ];
  for (const place of places) {
    const { x = 0, y = 0 } = (await place.boundingBox()) ?? {};
    const data = { items: [], files: [file], dragOperationsMask: 1 };
    for (const type of ["dragEnter", "dragOver", "drop"] as const)
      await input.send("Input.dispatchDragEvent", { type, x: x + 9, y: y + 9, data });
  }
  await say(page, "still here");
  await expect(messageWith(page, "still here")).toBeVisible();
  await expect(page).toHaveURL(`${server.url}/room/${room.id}`);
  expect(context.pages()).toHaveLength(1);
});

test("report 7: on touch Enter makes a new line and the button sends; a setting turns it (phone)", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const room = await server.room(ana, "touch");
  const { page } = await open(ana, `/room/${room.id}`, PHONE);
  await box(page).tap();
  await expect(box(page)).toHaveAttribute("enterkeyhint", "enter");
  await box(page).fill("one");
  await box(page).press("Enter");
  await expect(box(page)).toHaveValue("one\n");
  await page.getByRole("button", { name: "Send" }).tap();
  await expect(messageWith(page, "one")).toBeVisible();
  await page.evaluate(() => {
    const held = JSON.parse(localStorage.getItem("hearth.prefs") ?? "{}");
    localStorage.setItem("hearth.prefs", JSON.stringify({ ...held, enter: "sends" }));
  });
  await page.reload();
  await expect(box(page)).toHaveAttribute("enterkeyhint", "send");
  await say(page, "two");
  await expect(messageWith(page, "two")).toBeVisible();
});

test("report 7: on a Mac Ctrl+K in the box is the system's, and Cmd+K opens the switcher", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const room = await server.room(ana, "mac");
  const { page, context } = await open(ana, "/");
  await context.addInitScript(() => Object.defineProperty(navigator, "platform", { get: () => "MacIntel" }));
  await page.goto(`${server.url}/room/${room.id}`);
  await box(page).focus();
  const isLeft = await box(page).evaluate((area) =>
    area.dispatchEvent(
      new KeyboardEvent("keydown", {
        key: "k",
        code: "KeyK",
        ctrlKey: true,
        bubbles: true,
        cancelable: true,
      }),
    ),
  );
  expect(isLeft).toBe(true);
  await expect(page.getByRole("dialog")).toHaveCount(0);
  await box(page).press("Meta+k");
  await expect(page.getByRole("dialog")).toBeVisible();
});

test("report 10: a browser that can't read the script is told so in words", async ({
  page,
  server,
  faults,
}) => {
  faults.allow(/SyntaxError|Unexpected/);
  await page.route("**/assets/index-*.js", (route) =>
    route.fulfill({ contentType: "text/javascript", body: "let newer = a thing of next year;" }),
  );
  await page.goto(server.url);
  await expect(page.getByText("Hearth needs a newer browser")).toBeVisible();
  await expect(page.getByText("Firefox 115")).toBeVisible();
});
