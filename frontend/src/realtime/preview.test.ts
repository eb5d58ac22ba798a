import { expect, test } from "vitest";
import { ANA, asked, first, held, message, opened, room } from "./support.ts";
import type { SyncClient } from "./sync.ts";
import { oneLine } from "./text.ts";

const last_message = { seq: 5, sender: ANA, snippet: "text 5", created_at: "then" };
const preview = (client: SyncClient) => {
  const shown = held(client).preview;
  return shown && [shown.seq, shown.snippet];
};
const update = (client: SyncClient, seq: number, rev: number, more: object) =>
  client.receive({ type: "message_updated", room_id: 12, seq, rev, ...more }, 0);

test("a room tells what was said last, and messages, edits and deletions keep it", () => {
  const client = opened(room({ last_message }));
  expect(held(client).preview).toEqual(last_message);
  client.receive(message(6, 11, { content: " two\n\nlines " }), 0);
  expect(preview(client)).toEqual([6, "two lines"]);
  update(client, 6, 12, { content: "edited" });
  expect(preview(client)).toEqual([6, "edited"]);
  update(client, 5, 13, { content: "not the last" });
  update(client, 6, 14, { reactions: [{ emoji: "👍", count: 1 }] });
  expect(preview(client)).toEqual([6, "edited"]);
  update(client, 4, 15, { deleted_at: "now" });
  update(client, 6, 16, { deleted_at: "now" });
  expect(preview(client), "the newest that is held").toEqual([5, "not the last"]);
  for (const [seq, rev] of [[5, 17] as const, [3, 18] as const, [2, 19] as const, [1, 20] as const]) {
    update(client, seq, rev, { deleted_at: "now" });
  }
  expect(preview(client), "there is none").toBe(null);
});

test("where no other message is held, the room is asked", () => {
  const client = opened(room({ last_message }));
  held(client).tail.keepLast(1);
  const request = first(asked(update(client, 5, 11, { deleted_at: "now" }), "room"));
  expect(preview(client)).toBe(null);
  expect(asked(update(client, 5, 12, { pinned_at: null }), "room"), "once").toEqual([]);
  const old = client.loaded("room", request, room({ rev: 10, last_message }));
  const again = first(asked(old, "room"));
  expect([preview(client), again.in_ms > 0], "an answer from before the deletion").toEqual([null, true]);
  client.loaded(
    "room",
    again,
    room({ rev: 12, last_message: { ...last_message, seq: 4, snippet: "text 4" } }),
  );
  expect(preview(client)).toEqual([4, "text 4"]);
});

test("catch-up doesn't undo what a room told later", () => {
  const client = opened(room({ last_message }));
  client.joined(room({ rev: 20, last_seq: 8, last_message: { ...last_message, seq: 8, snippet: "text 8" } }));
  client.receive(message(6, 11), 0);
  client.receive(message(8, 12, { content: "before it was edited" }), 0);
  expect(preview(client)).toEqual([8, "text 8"]);
  client.joined(room({ rev: 15, last_message }));
  expect(preview(client)).toEqual([8, "text 8"]);
});

test("a line has 140 characters, of which none is cut in two", () => {
  expect(oneLine(" a\n\n b ")).toBe("a b");
  expect(oneLine("👍👍👍", 2)).toBe("👍👍…");
  expect(oneLine(`${" \n".repeat(4_000)}x`).length).toBeLessThanOrEqual(1);
  expect([...oneLine("👍".repeat(1_000))].length).toBe(141);
});
