// Where one is in a room, and what stands there: after sending, going back, a night, and changes far away.

import { type Account, expect, type Page, type Room, type Server, test } from "./support/test.ts";

const row = (page: Page, seq: number) => page.locator(`[data-seq='${seq}']`);

async function sayMany(server: Server, author: Account, room: Room, count: number): Promise<void> {
  for (let index = 1; index <= count; index += 1) await server.say(author, room, `line ${index}.`);
}
test("at midnight today becomes yesterday", async ({ server, account, open }) => {
  const ana = await account("ana");
  const [room, other] = [await server.room(ana, "overnight"), await server.room(ana, "other")];
  await server.say(ana, room, "good night");
  // Somewhere where it is neither late nor early.
  const timezoneId = new Date().getUTCHours() < 12 ? "Etc/GMT-6" : "Etc/GMT+6";
  const { page } = await open(ana, `/room/${other.id}`, { timezoneId });
  await page.clock.install();
  await page.goto(`${server.url}/room/${room.id}`);
  const day = page.locator(".day");
  const time = page.locator(`.room-link[data-room='${room.id}'] time`);
  await expect(day).toHaveText("Today");
  await expect(time).toHaveText(/^\d{1,2}:\d\d$/);
  await page.clock.fastForward(await page.evaluate(() => new Date().setHours(24, 0, 0, 0) - Date.now()));
  await expect(day).toHaveText("Yesterday");
  await expect(time).toHaveText(/^\p{L}{3}$/u);
});

test("a quoted message that isn't held is as its author has left it", async ({ server, account, open }) => {
  const [ana, bo] = [await account("ana"), await account("bo")];
  const room = await server.room(ana, "quoted", [bo]);
  const { seq } = await server.say(bo, room, "the tide is out");
  await sayMany(server, ana, room, 100);
  const reply = await server.say(ana, room, "so it is", { reply_to: seq });
  const { page } = await open(ana, `/room/${room.id}`);
  const quote = row(page, reply.seq).locator(".quote");
  await expect(quote).toContainText("the tide is out");
  await expect(row(page, seq)).toHaveCount(0);
  const path = `/api/chat/rooms/${room.id}/messages/${seq}`;
  await server.must("PATCH", path, { content: "the tide is in" }, bo.token);
  await expect(quote).toContainText("the tide is in");
  await server.must("DELETE", path, undefined, bo.token);
  await expect(quote).toContainText("A message that was deleted");
  await expect(quote).not.toContainText("tide");
});
