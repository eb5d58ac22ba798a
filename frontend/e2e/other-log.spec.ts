// The server's database is another one than before: nothing that was written for one is sent to the other.

import { join } from "node:path";
import { line } from "./support/line.ts";
import { within } from "./support/patience.ts";
import { box, expect, fillLogIn, logIn, messages, messageWith, Server, say, test } from "./support/test.ts";

test.beforeEach(({ faults }) => faults.allow(/./));

for (const [who, name] of [
  ["somebody else", "eve"],
  ["the same person", "ana"],
] as const) {
  test(`what waits isn't sent into a new database, where ${who} has its author's id`, async ({ browser }) => {
    const server = new Server();
    await server.start();
    try {
      const ana = await server.register("ana");
      const room = await server.room(ana, "private", [], "private");
      await server.say(ana, room, "to be changed");
      const page = await (await browser.newContext()).newPage();
      await page.goto(`${server.url}/room/${room.id}`);
      await fillLogIn(page, ana);
      await expect(messageWith(page, "to be changed")).toBeVisible();
      await server.kill();
      await box(page).press("ArrowUp");
      await page.getByRole("textbox", { name: "Edit message" }).fill("another secret");
      await page.keyboard.press("Enter");
      await say(page, "a secret");
      await expect(page.locator("[data-state=pending]")).toHaveCount(1);
      await box(page).fill("a draft");
      server.command("reset", "--yes");
      await server.start();
      const other = await server.register(name);
      const theirs = await server.room(other, "another room");
      expect([other.id, theirs.id]).toEqual([ana.id, room.id]);
      await server.say(other, theirs, "first words");
      await expect(page.getByLabel("Username")).toBeVisible({ timeout: within(30_000) });
      await fillLogIn(page, other);
      await expect(messageWith(page, "first words")).toBeVisible();
      await expect(box(page)).toHaveValue("");
      // It would have been sent before this.
      await say(page, "a reply");
      await expect.poll(() => server.texts(other, theirs)).toEqual(["first words", "a reply"]);
      await expect(messages(page)).toHaveCount(2);
    } finally {
      await server.remove();
    }
  });
}

test("what was written in a room that a backup doesn't have isn't sent to another room, and can be copied", async ({
  browser,
}) => {
  test.skip(process.env.HEARTH_TEST_MYSQL !== undefined, "MariaDB is restored by its own means");
  const server = new Server();
  await server.start();
  try {
    const [ana, bob] = [await server.register("ana"), await server.register("bob")];
    const kept = await server.room(ana, "in the backup");
    const context = await browser.newContext();
    await logIn(context, server, ana);
    const backup = join(server.dir, "backup.db");
    server.command("backup", backup);
    const room = await server.room(ana, "made later", [], "private");
    const page = await context.newPage();
    const { cut, mend } = await line(page);
    await page.goto(`${server.url}/room/${room.id}`);
    await expect(box(page)).toBeVisible();
    await cut();
    await say(page, "a secret");
    await box(page).fill("a draft");
    await page.locator(`.room-link[data-room='${kept.id}']`).click();
    await say(page, "for a room that is still there");
    await expect(page.locator("[data-state=pending]")).toHaveCount(1);
    await server.kill();
    server.command("restore", backup);
    await server.start();
    const theirs = await server.room(bob, "another room", [ana]);
    expect(theirs.id).toBe(room.id);
    mend();
    const stranded = page.locator(".toast", { hasText: "is no longer on the server" });
    await expect(stranded).toContainText("a secret a draft", { timeout: within(45_000) });
    await expect.poll(() => server.texts(ana, kept)).toEqual(["for a room that is still there"]);
    await page.locator(`.room-link[data-room='${theirs.id}']`).click();
    await expect(page.getByRole("heading", { level: 1, name: "another room" })).toBeVisible();
    await expect(box(page)).toHaveValue("");
    await say(page, "a reply");
    await expect.poll(() => server.texts(bob, theirs)).toEqual(["a reply"]);
  } finally {
    await server.remove();
  }
});
