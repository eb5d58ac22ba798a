// Where one is in a room, and what stands there: after sending, going back, a night, and changes far away.

import { type Account, expect, type Page, type Room, type Server, test } from "./support/test.ts";

const row = (page: Page, seq: number) => page.locator(`[data-seq='${seq}']`);

async function sayMany(server: Server, author: Account, room: Room, count: number): Promise<void> {
  for (let index = 1; index <= count; index += 1) await server.say(author, room, `line ${index}.`);
}
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
