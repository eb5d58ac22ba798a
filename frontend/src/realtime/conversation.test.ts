// A conversation that was recorded from the server: tests/contract/documents/conversation.rs records it, and compares it at every run.
import { expect, test } from "vitest";
import recorded from "../../../tests/fixtures/conversation.json";
import type { Message } from "../protocol/types.ts";
import { soundFrame } from "./frames.ts";
import { asked } from "./support.ts";
import { SyncClient } from "./sync.ts";

const heard = recorded.frames.filter(({ from }) => from === "server").map(({ frame }) => frame);

/** What can be compared of a message: live frames don't say who reacted, pages do. */
const plain = ({
  seq,
  id,
  content,
  sender,
  reply_to,
  edited_at,
  deleted_at,
  pinned_at,
  reactions = [],
}: Message) => ({
  ...{ seq, id, content, sender, reply_to, edited_at, deleted_at, pinned_at },
  reactions: reactions.map(({ emoji, count }) => [emoji, count]),
});

test("a recorded conversation brings the client to what the server holds", () => {
  const { user } = heard[0] as unknown as { user: { id: number } };
  const client = new SyncClient({ userId: user.id });
  const roomId = recorded.room_id;
  const effects = client.open(roomId);
  for (const frame of heard) {
    effects.push(...client.receive(frame, 0));
    for (const request of asked(effects.splice(0), "page")) client.loaded("page", request, recorded.before);
  }
  const after = recorded.after as { items: unknown[]; rev: number };
  expect(client.rows(roomId).map(plain)).toEqual((after.items as Message[]).map(plain));
  expect(client.room(roomId)?.position).toBe(after.rev);
  expect(client.room(roomId)?.info.name).toBe("great hall");
  expect(client.unread(roomId)).toBe(0);
  expect([...client.rooms.keys()], "the other room has come and gone").toEqual([roomId]);
});

test("no frame of the server is taken for a broken one", () => {
  for (const frame of heard) expect(soundFrame(frame)).toEqual(frame);
});
