// node --test frontend/
// A conversation that was recorded from the server: tests/documents/conversation.rs records it, and compares it at every run.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { asked } from "./support.mjs";
import { SyncClient } from "./sync.js";

const recorded = JSON.parse(readFileSync(new URL("../tests/fixtures/conversation.json", import.meta.url)));
const heard = recorded.frames.filter(({ from }) => from === "server").map(({ frame }) => frame);

/** What can be compared of a message: live frames don't say who reacted, pages do. */
const plain = ({ seq, id, content, sender, reply_to, edited_at, deleted_at, pinned_at, reactions = [] }) => ({
  seq, id, content, sender, reply_to, edited_at, deleted_at, pinned_at: pinned_at ?? undefined,
  reactions: reactions.map(({ emoji, count }) => [emoji, count]),
});

test("a recorded conversation brings the client to what the server holds", () => {
  const client = new SyncClient({ userId: heard[0].user.id });
  const roomId = recorded.room_id;
  const effects = client.open(roomId);
  for (const frame of heard) {
    effects.push(...client.receive(frame, 0));
    for (const request of asked(effects.splice(0), "page")) client.loaded("page", request, recorded.before);
  }
  assert.deepEqual(client.rows(roomId).map(plain), recorded.after.items.map(plain));
  assert.equal(client.room(roomId).position, recorded.after.rev);
  assert.equal(client.room(roomId).info.name, "great hall");
  assert.equal(client.unread(roomId), 0);
  assert.deepEqual([...client.rooms.keys()], [roomId], "the other room has come and gone");
});
