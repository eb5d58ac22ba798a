import { expect, test } from "vitest";
import type { Room } from "../protocol/types.ts";
import { RETRY_MS } from "./outbox.ts";
import { ANA, asked, first, held, I, item, ME, message, opened, page, ready, room, sent } from "./support.ts";
import { SyncClient } from "./sync.ts";

const seqs = (client: SyncClient): number[] => client.rows(12).map((row) => row.seq);
const texts = (client: SyncClient) => client.rows(12).map((row) => row.content);
const position = (client: SyncClient): number => held(client).position;
const lagged = { type: "lagged", room_id: 12, rev: 10 };

test("ready asks for a sync of every room from its position", () => {
  const sync = first(sent(new SyncClient({ userId: ME }).receive(ready(), 0), "sync"));
  expect({ epoch: sync.epoch, rooms: sync.rooms }).toEqual({ epoch: "e1", rooms: { 12: 10 } });
});

test("rooms that didn't fit into ready follow at once, and what is held of them stays", () => {
  const client = opened();
  const rooms = [7, 8, 12].map((id) => room({ id, rev: 10 }));
  const added = (id: number) => ({ type: "added", room_id: id, room: rooms.find((one) => one.id === id) });
  client.disconnected();
  expect(client.receive(ready(rooms.slice(0, 1), "e1", { more_rooms: 2 }), 0)).toEqual([]);
  expect(client.receive(added(8), 0)).toEqual([]);
  expect(client.live).toBe(false);
  const sync = first(sent(client.receive(added(12), 0), "sync"));
  expect(sync.rooms).toEqual({ 7: 10, 8: 10, 12: 10 });
  expect(seqs(client)).toEqual([1, 2, 3, 4, 5]);
  client.receive({ type: "added", room_id: 9, room: room({ id: 9, rev: 3 }) }, 0);
  expect(client.rooms.size, "another one is added").toBe(4);
  // A connection that breaks in between leaves nothing behind.
  client.disconnected();
  client.receive(ready(rooms.slice(0, 1), "e1", { more_rooms: 1 }), 0);
  client.disconnected();
  expect(client.rooms.size).toBe(4);
  client.receive({ type: "added", room_id: 10, room: room({ id: 10 }) }, 0);
  expect(client.rooms.size, "it belongs to no `ready`").toBe(5);
  expect(sent(client.receive(ready(rooms), 0), "sync").length).toBe(1);
  expect(client.rooms.size).toBe(3);
});

test("frames in order are applied, doubles and late ones ignored", () => {
  const client = opened();
  client.receive(message(6, 11), 0);
  client.receive(message(6, 11, { content: "doubled" }), 0);
  client.receive(message(5, 9, { content: "late" }), 0);
  expect(seqs(client)).toEqual([1, 2, 3, 4, 5, 6]);
  expect(client.rows(12)[5]?.content).toBe("text 6");
  expect(client.rows(12)[4]?.content).toBe("text 5");
  expect(client.unread(12)).toBe(1);
});

test("a gap drops the frame and joins once from the position, until that is answered", () => {
  const client = opened();
  const join = first(sent(client.receive(message(7, 12), 0), "join"));
  expect([join.room_id, join.rev, join.epoch]).toEqual([12, 10, "e1"]);
  expect(client.receive(message(8, 13), 0)).toEqual([]);
  expect(position(client)).toBe(10);
  client.receive(message(6, 11, { prev: 10 }), 0);
  client.receive(message(7, 12, { prev: 11 }), 0);
  client.receive(message(8, 13, { prev: 12 }), 0);
  const synced = {
    type: "synced",
    ref: join.ref,
    room_id: 12,
    prev: 13,
    rev: 13,
    last_seq: 8,
    last_read_seq: 5,
  };
  client.receive(synced, 0);
  expect(seqs(client)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  expect(sent(client.receive(message(10, 15), 0), "join").length, "the next gap asks again").toBe(1);
});

test("prev lets one frame stand for several changes", () => {
  const client = opened();
  client.receive(message(6, 14, { prev: 8 }), 0);
  expect(position(client)).toBe(14);
});

test("a synced whose prev is ahead shows that catch-up was lost", () => {
  const client = opened();
  const { ref } = first(sent(client.receive(lagged, 0), "join"));
  const synced = { type: "synced", ref, room_id: 12, prev: 14, rev: 14, last_seq: 9, last_read_seq: 7 };
  expect(first(sent(client.receive(synced, 0), "join")).rev).toBe(10);
  expect(client.unread(12), "its markers count all the same").toBe(2);
});

test("unknown frames with room_id and rev move the position; others change nothing", () => {
  const client = opened();
  client.receive({ type: "poll", room_id: 12, rev: 11, votes: 3 }, 0);
  expect(position(client)).toBe(11);
  expect(client.receive({ type: "weather", sky: "grey" }, 0)).toEqual([]);
});

test("a broken frame moves the position at most", () => {
  const client = opened();
  client.receive({ type: "message", room_id: 12, rev: 11, seq: 6, content: "of nobody" }, 0);
  expect(position(client)).toBe(11);
  expect(seqs(client)).toEqual([1, 2, 3, 4, 5]);
  for (const broken of [
    null,
    7,
    "ready",
    [],
    {},
    { type: "ready" },
    { type: "synced", room_id: 12, rev: 20 },
  ]) {
    expect(client.receive(broken, 0)).toEqual([]);
  }
  expect(position(client)).toBe(11);
  client.receive(ready([{ id: 7 } as Room, room()]), 0);
  expect([...client.rooms.keys()], "a room that is broken is left out").toEqual([12]);
});

test("of very many people those who were named first are forgotten", () => {
  const client = opened();
  const [first, last] = [100, 100 + 20_000];
  const people = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, index) => ({ id: from + index, username: `user${from + index}` }));
  client.loaded("people", { ids: [] }, { items: people(first, last) });
  expect([client.person(ANA.id), client.person(last - 1)?.id]).toEqual([undefined, last - 1]);
  expect(client.personNamed("USER150")?.id).toBe(150);
  expect(client.personNamed("nobody")).toBe(undefined);
});

test("people are found by username, else by full name, in any case", () => {
  const client = opened();
  const items = [
    { id: 50, username: "zed", full_name: "Bo" },
    { id: 51, username: "bo", full_name: "Bo Lund" },
  ];
  client.loaded("people", { ids: [] }, { items });
  expect([client.personNamed("BO")?.id, client.personNamed("bo lund")?.id]).toEqual([51, 51]);
});

test("a room frame changes the settings and keeps what is mine", () => {
  const client = opened();
  const { role, last_read_seq, ...told } = room({ rev: 11, name: "dock" });
  client.receive({ type: "room", room_id: 12, rev: 11, room: told }, 0);
  expect(position(client)).toBe(11);
  expect([held(client).info.name, held(client).info.role]).toEqual(["dock", "member"]);
  expect(held(client).lastReadSeq).toBe(5);
});

test("updates: partial changes keep the text, touch single emoji, and a deletion clears it", () => {
  const client = opened();
  const update = (rev: number, more: object) =>
    client.receive({ type: "message_updated", room_id: 12, seq: 5, rev, ...more }, 0);
  update(11, {
    reactions: [
      { emoji: "👍", count: 2 },
      { emoji: "🎉", count: 1 },
    ],
  });
  update(12, { reactions: [{ emoji: "👍", count: 0 }] });
  expect(client.rows(12)[4]?.reactions?.map(({ emoji, count }) => [emoji, count])).toEqual([["🎉", 1]]);
  expect(client.rows(12)[4]?.content).toBe("text 5");
  update(13, { deleted_at: "now" });
  expect(client.rows(12)[4]?.content).toBe(undefined);
});

test("what changes while a page is on its way is applied over it", () => {
  const client = new SyncClient({ userId: ME });
  const effects = [...client.receive(ready(), 0), ...client.open(12)];
  const { ref } = first(sent(effects, "sync"));
  client.receive({ type: "synced", ref, room_id: 12, prev: 10, rev: 10 }, 0);
  client.receive(message(6, 11), 0);
  client.receive({ type: "message_updated", room_id: 12, seq: 4, rev: 12, content: "edited" }, 0);
  client.loaded("page", first(asked(effects, "page")), page([3, 4, 5], 10));
  expect(texts(client)).toEqual(["text 3", "edited", "text 5", "text 6"]);

  const older = first(asked(client.loadOlder(12), "page"));
  expect(older.before).toBe(3);
  client.receive({ type: "message_updated", room_id: 12, seq: 2, rev: 13, content: "edited too" }, 0);
  client.loaded("page", older, page([1, 2], 12));
  expect(texts(client).slice(0, 3)).toEqual(["text 1", "edited too", "text 3"]);
  expect(client.hasOlder(12)).toBe(false);
});

test("a small change that is late never stands for a whole row of catch-up", () => {
  const client = opened();
  const { ref } = first(sent(client.receive(lagged, 0), "join"));
  // 10 to 11 was more:
  client.receive({ type: "message_updated", room_id: 12, seq: 5, rev: 11, pinned_at: "now" }, 0);
  client.receive(message(5, 11, { prev: 10, content: "edited, then pinned", pinned_at: "now" }), 0);
  client.receive({ type: "synced", ref, room_id: 12, prev: 11, rev: 11, last_seq: 5, last_read_seq: 5 }, 0);
  expect(client.rows(12)[4]?.content).toBe("edited, then pinned");
});

test("a page that is newer than the position is not undone by frames that come after it", () => {
  const client = new SyncClient({ userId: ME });
  const effects = [...client.receive(ready(), 0), ...client.open(12)];
  const newer = { items: [message(6, 12, { content: "edited" })], next: null, rev: 12 };
  client.loaded("page", first(asked(effects, "page")), newer);
  client.receive(message(6, 11), 0);
  expect(client.rows(12)[0]?.content).toBe("edited");
  expect(position(client)).toBe(11);
});

test("reset forgets the room, reads it anew and goes on from its rev without a join", () => {
  const client = opened();
  const stale = first(asked(client.open(12, { members: true }), "members"));
  const effects = client.receive({ type: "reset", room_id: 12, rev: 3, reason: "epoch" }, 0);
  expect(position(client)).toBe(3);
  expect(seqs(client)).toEqual([]);
  expect(client.unread(12)).toBe(0);
  expect(sent(effects, "join").length).toBe(0);
  client.loaded("members", stale, { items: [{ user: ANA, role: "member", rev: 9 }], rev: 10 });
  expect(client.members(12), "a page asked before the reset is void").toEqual([]);
  const told = room({ rev: 4, last_seq: 2, last_read_seq: 1, name: "restored" });
  client.loaded("room", first(asked(effects, "room")), told);
  expect([client.unread(12), held(client).info.name]).toEqual([1, "restored"]);

  const old = first(asked(effects, "page"));
  const again = first(asked(client.loaded("page", old, page([1, 2], 2)), "page"));
  expect(again.in_ms, "a page below the reset is read again").toBe(RETRY_MS);
  client.loaded("page", again, page([1, 2], 4));
  client.receive(message(3, 4), 0);
  expect(seqs(client)).toEqual([1, 2, 3]);
});

test("a new epoch forgets all rooms and keeps the outbox", () => {
  const client = opened();
  client.disconnected();
  client.enqueue(item("x", { content: "still here" }), 0);
  const effects = client.receive(ready([room({ rev: 4, last_seq: 1, last_read_seq: 0 })], "e2"), 0);
  expect(first(sent(effects, "sync")).rooms).toEqual({ 12: 4 });
  expect(asked(effects, "page").length).toBe(1);
  expect(seqs(client)).toEqual([]);
  expect(client.unread(12)).toBe(1);
  expect(first(sent(effects, "message")).id).toBe("x");
});

test("a room that is held is synced from its position, one that is not from ready's", () => {
  const client = opened();
  client.disconnected();
  const effects = client.receive(ready([room({ rev: 20, last_seq: 9 }), room({ id: 13, rev: 30 })]), 0);
  expect(first(sent(effects, "sync")).rooms).toEqual({ 12: 10, 13: 30 });
  client.disconnected();
  const again = client.receive(ready([room({ id: 13, rev: 40 })]), 0);
  expect(first(sent(again, "sync")).rooms).toEqual({ 13: 40 });
  expect(client.room(12), "left while away").toBe(undefined);
});

test("of added and removed the higher rev wins, in whatever order they come", () => {
  const client = opened();
  client.receive({ type: "removed", room_id: 12, rev: 9 }, 0);
  expect(client.room(12), "older than what ready told").toBeDefined();
  expect(first(client.receive({ type: "removed", room_id: 12, rev: 14 }, 0)).do).toBe("forgot");
  client.receive({ type: "added", room_id: 12, room: room({ rev: 12 }) }, 0);
  expect(client.room(12), "late").toBe(undefined);
  client.receive(message(6, 15), 0);
  client.receive({ type: "added", room_id: 12, room: room({ rev: 16 }) }, 0);
  client.receive({ type: "removed", room_id: 12, rev: 14 }, 0);
  expect(position(client)).toBe(16);
  client.joined(room({ rev: 15 }));
  expect(position(client)).toBe(16);
});

test.each([false, true])("removed without rev holds unless added came since (%s)", (addedSince) => {
  const client = opened();
  const { ref } = first(sent(client.receive(lagged, 0), "join"));
  if (addedSince) client.receive({ type: "added", room_id: 12, room: room({ rev: 16 }) }, 0);
  client.receive({ type: "removed", ref, room_id: 12 }, 0);
  expect(client.room(12) !== undefined).toBe(addedSince);
});

test("an answer that a removal made moot leaves no room waiting for ever", () => {
  const client = opened();
  client.receive(lagged, 0);
  client.receive({ type: "removed", room_id: 12, rev: 12 }, 0);
  client.receive({ type: "added", room_id: 12, room: room({ rev: 14 }) }, 0);
  expect(sent(client.receive(message(9, 17), 0), "join").length).toBe(1);
});

test("what was asked before an `added` may still bring something, and may be refused", () => {
  const client = opened();
  const { ref } = first(sent(client.receive(lagged, 0), "join"));
  client.receive({ type: "removed", room_id: 12, rev: 12 }, 0);
  client.receive({ type: "added", room_id: 12, room: room({ rev: 14 }) }, 0);
  const update = { type: "message_updated", room_id: 12, seq: 5, rev: 15, pinned_at: "late" };
  client.receive(update, 0);
  expect(position(client), "it may stand for more").toBe(14);
  client.receive(
    { type: "error", ref, code: "unavailable", message: "", retryable: true, retry_after_ms: 9 },
    0,
  );
  expect(first(sent(client.wake(9), "join")).rev, "the room isn't live").toBe(14);
});

test("a join or sync that is refused for now is asked again later", () => {
  const client = opened();
  const join = first(sent(client.receive(message(7, 12), 0), "join"));
  const error = { type: "error", code: "unavailable", message: "", retryable: true, retry_after_ms: 300 };
  client.receive({ ...error, ref: join.ref }, 0);
  expect(sent(client.receive(message(8, 13), 0), "join").length).toBe(0);
  expect(sent(client.wake(299), "join").length).toBe(0);
  expect(first(sent(client.wake(300), "join")).rev).toBe(10);
  client.disconnected();
  const sync = first(sent(client.receive(ready(), 400), "sync"));
  client.receive({ ...error, ref: sync.ref }, 400);
  expect(sent(client.wake(700), "sync").length).toBe(1);
});

test("members: changes that come before the page win, and who left stays away", () => {
  const client = opened();
  const request = first(asked(client.open(12, { members: true }), "members"));
  client.receive({ type: "member", room_id: 12, rev: 11, user: ANA, role: null, member_count: 1 }, 0);
  const items = [
    { user: ANA, role: "member", rev: 2 },
    { user: I, role: "owner", rev: 1 },
  ];
  const more = first(asked(client.loaded("members", request, { items, next: "c", rev: 10 }), "members"));
  const carl = { user: { id: 3, username: "carl" }, role: "member", rev: 3 };
  client.loaded("members", more, { items: [carl], next: null, rev: 11 });
  expect(client.members(12).map((member) => member.user.id)).toEqual([1, 3]);
  expect(held(client).info.member_count).toBe(1);
});

test("read marks go out once, and only rise", () => {
  const client = opened();
  client.receive(message(6, 11), 0);
  const read = first(sent(client.markRead(12, 6), "read"));
  expect(client.unread(12)).toBe(0);
  expect(client.markRead(12, 6)).toEqual([]);
  client.receive({ type: "ack", ref: read.ref, room_id: 12, last_read_seq: 6 }, 0);
  client.receive({ type: "read", room_id: 12, user_id: ME, seq: 4 }, 0);
  client.receive({ type: "read", room_id: 12, user_id: 2, seq: 9 }, 0);
  expect(held(client).lastReadSeq).toBe(6);
  client.receive(message(7, 12), 0);
  const refused = first(sent(client.markRead(12, 7), "read"));
  client.receive({ type: "error", ref: refused.ref, code: "unavailable", message: "", retryable: true }, 0);
  client.wake(RETRY_MS);
  expect(sent(client.markRead(12, 7), "read").length).toBe(1);
});
