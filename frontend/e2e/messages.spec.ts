// How messages look, and what is done with them.

import { expect, messages, type Page, test } from "./support/test.ts";

/** Changes when messages were written, as the page is told by REST. */
async function writtenAt(page: Page, at: (seq: number) => string): Promise<void> {
  await page.route(/\/messages(\?|$)/, async (route) => {
    const response = await route.fetch();
    const body = await response.json();
    for (const item of body.items) item.created_at = at(item.seq);
    await route.fulfill({ response, json: body });
  });
}

test("9: an author's messages group within five minutes; days have lines; times are the reader's", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana", "Ana Silva"), await account("bo", "Bo Lund")];
  const room = await server.room(ana, "times", [bo]);
  for (const text of ["one", "two", "three"]) await server.say(ana, room, text);
  await server.say(bo, room, "four");
  await server.say(bo, room, "five");
  await server.read(ana, room, 5);
  const { page } = await open(ana);
  const times = [
    "2025-11-03T13:03:00Z", // a Monday; in Berlin it is 14:03
    "2025-11-03T13:07:00Z",
    "2025-11-03T13:12:30Z",
    "2025-11-03T13:13:00Z",
    "2025-11-03T23:01:00Z", // in Berlin it is the day after
  ];
  await writtenAt(page, (seq) => times[seq - 1] ?? "");
  await page.goto(`${server.url}/room/${room.id}`);
  await expect(messages(page)).toHaveCount(5);
  const heads = await messages(page).evaluateAll((rows) => rows.map((row) => row.getAttribute("data-head")));
  expect(heads).toEqual(["true", "false", "true", "true", "true"]);
  await expect(page.getByRole("separator")).toHaveText([
    /Monday,? 3 November 2025/,
    /Tuesday,? 4 November 2025/,
  ]);
  const first = messages(page).first();
  await expect(first.locator(".message__head time")).toHaveText("14:03");
  await expect(first.locator(".message__head time")).toHaveAttribute(
    "title",
    /Monday,? 3 November 2025.* 14:03:00/,
  );
  await expect(messages(page).nth(1).locator("time")).toHaveAttribute("title", /Monday,? 3 November 2025/);
  // Another reader, another clock.
  const { page: far } = await open(bo, "/", { locale: "en-US", timezoneId: "America/New_York" });
  await writtenAt(far, (seq) => times[seq - 1] ?? "");
  await far.goto(`${server.url}/room/${room.id}`);
  await expect(messages(far).first().locator(".message__head time")).toHaveText(/^8:03\sAM$/);
  await expect(far.getByRole("separator").filter({ hasText: "Monday" })).toHaveText(
    /Monday, November 3, 2025/,
  );
});

test("10: long messages fold; long words and links wrap; code scrolls inside, has colours and is copied", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const room = await server.room(ana, "long");
  const code = `const answer = "${"x".repeat(400)}"; // wide`;
  await server.say(ana, room, Array.from({ length: 60 }, (_, index) => `row ${index}`).join("\n"));
  await server.say(ana, room, `${"w".repeat(900)} https://example.org/${"p".repeat(900)}`);
  await server.say(ana, room, `\`\`\`js\n${code}\n\`\`\``);
  const { page, context } = await open(ana, `/room/${room.id}`);
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);

  const wide = messages(page).nth(1);
  const overflow = await wide.evaluate((row) => row.scrollWidth - row.clientWidth);
  expect(overflow).toBeLessThanOrEqual(0);
  expect(await page.locator("ol.list").evaluate((element) => element.scrollWidth - element.clientWidth)).toBe(
    0,
  );

  const block = messages(page).nth(2);
  const pre = block.locator("pre");
  await expect(pre.locator("span[class^='md-']").first()).toBeVisible();
  expect(await pre.evaluate((element) => element.scrollWidth - element.clientWidth)).toBeGreaterThan(500);
  await block.getByRole("button", { name: "Copy" }).click();
  await expect(block.getByText("Copied")).toBeVisible();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(code);

  const long = messages(page).first();
  const folded = (await long.boundingBox())?.height ?? 0;
  expect(folded).toBeLessThan(800);
  await long.getByRole("button", { name: "Show all" }).click();
  await expect(long.getByRole("button", { name: "Show less" })).toBeVisible();
  expect((await long.boundingBox())?.height).toBeGreaterThan(folded + 300);
});

test("12: edited says when; what was deleted leaves a line; up to three emoji alone are large", async ({
  server,
  account,
  open,
}) => {
  const ana = await account("ana");
  const room = await server.room(ana, "states");
  for (const text of ["first", "second", "👍🎉❤️", "👍👍👍👍", "a 👍"]) await server.say(ana, room, text);
  const { page } = await open(ana, `/room/${room.id}`);
  await expect(messages(page)).toHaveCount(5);
  const path = `/api/chat/rooms/${room.id}/messages`;
  await server.must("PATCH", `${path}/1`, { content: "first, changed" }, ana.token);
  await server.must("DELETE", `${path}/2`, undefined, ana.token);
  await expect(page.locator("[data-seq='1']")).toContainText("first, changed");
  await expect(page.locator("[data-seq='1'] .message__edited")).toHaveAttribute(
    "title",
    /^Edited .*\d{1,2}:\d\d/,
  );
  await expect(page.locator("[data-seq='2']")).toContainText("This message was deleted.");
  await expect(page.locator("[data-seq='2']")).not.toContainText("second");
  const size = (seq: number) =>
    page
      .locator(`[data-seq='${seq}'] .md`)
      .evaluate((element) => Number.parseFloat(getComputedStyle(element).fontSize));
  expect(await size(3)).toBeGreaterThan(1.5 * (await size(1)));
  expect(await size(4)).toBe(await size(1));
  expect(await size(5)).toBe(await size(1));
});

test("13: text selected across messages is copied as lines of name and text", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana", "Ana Silva"), await account("bo", "Bo Lund")];
  const room = await server.room(ana, "copy", [bo]);
  await server.say(ana, room, "shall we **sail** today");
  await server.say(bo, room, "yes, at noon");
  await server.say(bo, room, "I bring the boat");
  const { page, context } = await open(ana, `/room/${room.id}`);
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await expect(messages(page)).toHaveCount(3);
  await page.evaluate(() => {
    const [first, , third] = document.querySelectorAll(".message__text p");
    const [from, to] = [first?.firstChild, third?.firstChild];
    if (from && to) getSelection()?.setBaseAndExtent(from, "shall ".length, to, "I bring".length);
  });
  await page.keyboard.press("Control+C");
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  expect(copied.split("\n")).toEqual([
    "Ana Silva: we sail today",
    "Bo Lund: yes, at noon",
    "Bo Lund: I bring",
  ]);
});

test("13: where all is selected, the messages are copied as lines of name and text", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana", "Ana Silva"), await account("bo", "Bo Lund")];
  const room = await server.room(ana, "copy", [bo]);
  await server.say(ana, room, "1. one\n2. two");
  const { seq } = await server.say(bo, room, "edted");
  const path = `/api/chat/rooms/${room.id}/messages`;
  await server.must("PATCH", `${path}/${seq}`, { content: "edited" }, bo.token);
  const gone = await server.say(ana, room, "gone");
  await server.must("DELETE", `${path}/${gone.seq}`, undefined, ana.token);
  await server.say(ana, room, "```js\na\n\nb\n```");
  const { page, context } = await open(ana, `/room/${room.id}`);
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await expect(messages(page)).toHaveCount(4);
  await page.getByRole("list", { name: /^Messages in/ }).focus();
  await page.keyboard.press("Control+A");
  await page.keyboard.press("Control+C");
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  expect(copied).toBe("Ana Silva: 1. one\n2. two\nBo Lund: edited\nAna Silva: a\n\nb");
});

test("14: names, quoted messages and reactions say who and when at one hover or tap", async ({
  server,
  account,
  open,
}) => {
  const [ana, bo] = [await account("ana", "Ana Silva"), await account("bo", "Bo Lund")];
  const room = await server.room(ana, "who", [bo]);
  const { seq } = await server.say(bo, room, "the tide is out");
  await server.say(ana, room, "so it is", { reply_to: seq });
  const path = `/api/chat/rooms/${room.id}/messages/${seq}/reactions/${encodeURIComponent("🎉")}`;
  await server.must("PUT", path, undefined, bo.token);
  const { page } = await open(ana, `/room/${room.id}`);
  const author = page.getByRole("button", { name: "Bo Lund" }).first();
  await expect(author).toHaveAttribute("title", `@${bo.username}`);
  await author.click();
  const person = page.getByRole("dialog");
  await expect(person).toContainText(`@${bo.username}`);
  await page.keyboard.press("Escape");
  await expect(person).toHaveCount(0);
  const quote = page.locator(".quote");
  await expect(quote).toContainText("Bo Lund");
  await expect(quote).toHaveAttribute("title", /\d{4}.*\d{1,2}:\d\d/);
  await page.getByRole("button", { name: "Who reacted" }).click();
  await expect(page.getByRole("dialog")).toContainText("Bo Lund");
  await expect(page.getByRole("dialog")).toContainText("🎉");
});
