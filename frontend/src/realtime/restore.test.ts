// What begins from another tab's knowledge, or from what was kept.
import { expect, test } from "vitest";
import { ANA, asked, BEN, first, held, ME, message, opened, page, ready, room, sent } from "./support.ts";
import { type Cached, SyncClient } from "./sync.ts";

const seqs = (client: SyncClient): number[] => client.rows(12).map((row) => row.seq);
const update = (client: SyncClient, seq: number, rev: number, more: object) =>
  client.receive({ type: "message_updated", room_id: 12, seq, rev, ...more }, 0);
const shown = (client: SyncClient) => {
  const { position, lastSeq, lastReadSeq, info, preview } = held(client);
  return { position, lastSeq, lastReadSeq, info, preview, counts: [client.unread(12), client.mentions(12)] };
};

/** What the cache keeps of room 12. */
function kept(client: SyncClient): Cached {
  const frozen = client.freeze(12);
  if (!frozen) throw new Error("there is nothing to keep");
  return structuredClone({ epoch: "e1", rooms: [frozen] });
}

/** A tab beside another one, which has the socket. */
function beside(leader: SyncClient, cached: Cached | null = null): SyncClient {
  const client = new SyncClient({ userId: ME, cached });
  client.setActive(false, 0);
  const snapshot = leader.snapshot();
  if (!snapshot) throw new Error("there is nothing to follow");
  client.follow(structuredClone(snapshot), 0);
  return client;
}

// ---- the cache

test("a room that was kept shows at once, and is caught up with from where it was", () => {
  const before = opened(
    room({ last_message: { seq: 5, sender: ANA, snippet: "text 5", created_at: "then" } }),
  );
  before.receive(message(6, 11, { mentions: [ME] }), 0);
  const client = new SyncClient({ userId: ME, cached: kept(before) });
  expect(shown(client)).toEqual(shown(before));
  expect([client.live, client.epoch, client.isShown(12)]).toEqual([false, "e1", true]);
  expect(seqs(client)).toEqual([1, 2, 3, 4, 5, 6]);
  expect(asked(client.open(12), "page")).toEqual([]);
  const { rooms, epoch, ref } = first(
    sent(client.receive(ready([room({ rev: 20, last_seq: 9 })]), 0), "sync"),
  );
  expect([rooms, epoch]).toEqual([{ 12: 11 }, "e1"]);
  client.receive(message(7, 12, { prev: 11 }), 0);
  update(client, 6, 13, { pinned_at: "in the middle of it" });
  client.receive(message(6, 13, { prev: 12, content: "whole" }), 0);
  client.receive({ type: "synced", ref, room_id: 12, prev: 13, rev: 13 }, 0);
  expect(client.row(12, 6)?.content).toBe("whole");
  expect(seqs(client)).toEqual([1, 2, 3, 4, 5, 6, 7]);
});

test("of a log with another epoch nothing that was kept counts", () => {
  const client = new SyncClient({ userId: ME, cached: kept(opened()) });
  client.open(12);
  const effects = client.receive(ready([room({ rev: 4, last_seq: 1, last_read_seq: 0 })], "e2"), 0);
  expect([seqs(client), held(client).position, client.unread(12)]).toEqual([[], 4, 1]);
  expect(asked(effects, "page").length).toBe(1);
});

test("a room that is no longer mine is forgotten, and that is told", () => {
  const client = new SyncClient({ userId: ME, cached: kept(opened()) });
  expect(client.receive(ready([room({ id: 13 })]), 0)).toContainEqual({ do: "forgot", roomId: 12 });
  expect(client.room(12)).toBe(undefined);
});

test("what storage answers late counts only where the server has said nothing", () => {
  const cached = kept(opened());
  const early = new SyncClient({ userId: ME });
  early.open(12);
  early.restore({ cached });
  expect(seqs(early)).toEqual([1, 2, 3, 4, 5]);
  const late = new SyncClient({ userId: ME });
  late.receive(ready([room({ rev: 30 })]), 0);
  late.restore({ cached });
  expect([seqs(late), held(late).position]).toEqual([[], 30]);
});

test("of a room the newest hundred messages are kept, and its members", () => {
  const before = opened(room({ member_count: 3 }));
  const items = [{ user: BEN, role: "member", rev: 3, last_read_seq: 4 }];
  const request = held(before).membersLoading;
  if (request) before.loaded("members", request, { items, next: null, rev: 10 });
  for (let seq = 6; seq <= 250; seq++) before.receive(message(seq, seq + 5), 0);
  const client = new SyncClient({ userId: ME, cached: kept(before) });
  expect([client.rows(12).length, seqs(client)[0], client.hasOlder(12)]).toEqual([100, 151, true]);
  expect(client.members(12).map(({ user }) => user)).toEqual([BEN]);
  expect(before.readersOf(12, 251)).toEqual([]);
  expect(client.row(12, 200), "rows stay whole").toEqual(before.row(12, 200));
  expect(
    new SyncClient({ userId: ME, cached: kept(new SyncClient({ userId: ME, cached: kept(before) })) }).rows(
      12,
    ),
  ).toEqual(client.rows(12));
});

test("there is nothing to keep of a room that isn't held", () => {
  expect(opened().freeze(13)).toBe(null);
});

// ---- tabs on one socket

test("a tab beside another begins where that one is, and asks for nothing", () => {
  const leader = opened();
  leader.receive(message(6, 11, { mentions: [ME] }), 0);
  leader.receive({ type: "presence", online: [2], offline: [] }, 0);
  const client = beside(leader);
  expect([client.live, client.epoch, client.me?.id, client.isOnline(2)]).toEqual([true, "e1", ME, true]);
  expect(shown(client)).toEqual(shown(leader));
  client.receive(message(7, 12), 0);
  leader.receive(message(7, 12), 0);
  expect(shown(client)).toEqual(shown(leader));
  const effects = client.open(12);
  client.loaded("page", first(asked(effects, "page")), page([1, 2, 3, 4, 5, 6, 7], 12));
  client.receive(message(8, 13), 0);
  expect(seqs(client)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
});

test("a snapshot is of a live client alone", () => {
  expect(new SyncClient({ userId: ME }).snapshot()).toBe(null);
  const leader = opened();
  leader.disconnected();
  expect(leader.snapshot()).toBe(null);
});

test("counts above the marker are the same in both, also of more than a hundred", () => {
  const leader = opened();
  leader.disconnected();
  const deleted = Array.from({ length: 100 }, (_, index) => 50 + index);
  const told = room({
    rev: 300,
    last_seq: 160,
    deleted,
    unread: 35,
    mentioned: [151, 152],
    unread_mentions: 2,
  });
  const { ref } = first(sent(leader.receive(ready([told]), 0), "sync"));
  leader.receive({ type: "synced", ref, room_id: 12, prev: 10, rev: 300 }, 0);
  update(leader, 31, 301, { deleted_at: "now" });
  update(leader, 151, 302, { content: "no one", edited_at: "now" });
  const client = beside(leader);
  const both = () => [leader, client].map((one) => [one.unread(12), one.mentions(12)]);
  expect(both()).toEqual([
    [34, 1],
    [34, 1],
  ]);
  for (const one of [leader, client]) {
    one.receive({ type: "read", room_id: 12, user_id: ME, seq: 49, last_seq: 160, unread: 11 }, 0);
  }
  expect(both()).toEqual([
    [11, 1],
    [11, 1],
  ]);
});

test("a tab that holds an older state asks for what it has missed, and for that alone", () => {
  const before = opened();
  const cached = kept(before);
  before.receive(message(6, 11, { mentions: [ME] }), 0);
  const client = new SyncClient({ userId: ME, cached });
  client.setActive(false, 0);
  const snapshot = before.snapshot();
  if (!snapshot) throw new Error();
  const { rooms, ref } = first(sent(client.follow(structuredClone(snapshot), 0), "sync"));
  expect(rooms).toEqual({ 12: 10 });
  expect([seqs(client), client.unread(12), client.mentions(12)]).toEqual([[1, 2, 3, 4, 5], 1, 1]);
  update(client, 5, 11, { pinned_at: "late" });
  client.receive(message(6, 11, { prev: 10 }), 0);
  client.receive({ type: "synced", ref, room_id: 12, prev: 11, rev: 11, last_seq: 6, last_read_seq: 5 }, 0);
  expect(seqs(client)).toEqual([1, 2, 3, 4, 5, 6]);
});

test("catch-up that another tab has asked for is heard, and small changes in the middle of it are not", () => {
  const client = opened();
  client.asked("other/1", [12]);
  expect(update(client, 5, 11, { pinned_at: "late" }), "10 to 11 was more").toEqual([]);
  expect(client.receive(message(9, 14), 0), "no gap while it is on its way").toEqual([]);
  client.receive(message(5, 11, { prev: 10, content: "edited, then pinned", pinned_at: "now" }), 0);
  client.receive(
    { type: "synced", ref: "other/1", room_id: 12, prev: 11, rev: 12, last_seq: 5, last_read_seq: 5 },
    0,
  );
  expect([client.row(12, 5)?.content, held(client).position]).toEqual(["edited, then pinned", 12]);
  expect(sent(client.receive(message(9, 14), 0), "join").length, "now it is one").toBe(1);
});

test("others' answers change nothing else", () => {
  const client = opened();
  const heard = (frame: object) => client.receive({ room_id: 12, ...frame }, 0);
  client.asked("other/1", [12]);
  expect(heard({ type: "removed", ref: "other/1" })).toEqual([]);
  expect(client.room(12)).toBeDefined();
  client.asked("other/2", [12]);
  expect(heard({ type: "reset", ref: "other/2", rev: 10, reason: "epoch" })).toEqual([]);
  expect(seqs(client)).toEqual([1, 2, 3, 4, 5]);
  client.asked("other/3", [12]);
  const ahead = heard({ type: "reset", ref: "other/3", rev: 12, reason: "too_far" });
  expect(first(sent(ahead, "join")).rev, "the room is live from there").toBe(10);
  const synced = { type: "synced", room_id: 12, prev: 10, rev: 10, last_seq: 5, last_read_seq: 5 };
  client.receive({ ...synced, ref: first(sent(ahead, "join")).ref }, 0);
  client.asked("other/4", [12]);
  const later = heard({ ...synced, ref: "other/4", prev: 15, rev: 15 });
  expect(first(sent(later, "join")).rev, "it began after this position").toBe(10);
  expect(heard({ type: "ack", ref: "other/5", rev: 20 })).toEqual([]);
});

test("the tab that leads makes good what another tab's question has spoilt", () => {
  const error = {
    type: "error",
    ref: "other/1",
    code: "unavailable",
    message: "",
    retryable: true,
    retry_after_ms: 9,
  };
  const leader = opened();
  leader.asked("other/1", [12]);
  leader.receive(error, 0);
  expect(first(sent(leader.wake(9), "join")).rev, "the room may not be live any more").toBe(10);
  const follower = beside(opened());
  follower.loaded("page", first(asked(follower.open(12), "page")), page([1, 2, 3, 4, 5], 10));
  follower.asked("other/1", [12]);
  follower.receive(message(4, 11, { prev: 10 }), 0);
  follower.receive(error, 0);
  update(follower, 5, 12, { pinned_at: "late" });
  expect(held(follower).position, "row 5 may have missed more").toBe(11);
  expect(sent(follower.wake(9), "join")).toEqual([]);
  expect(follower.receive({ type: "lagged", room_id: 12, rev: 10 }, 0), "that is the leader's, too").toEqual(
    [],
  );
});

test("a tab that begins in the middle of a catch-up knows of it", () => {
  const leader = opened();
  const { ref } = first(sent(leader.receive({ type: "lagged", room_id: 12, rev: 10 }, 0), "join"));
  const client = beside(leader);
  client.loaded("page", first(asked(client.open(12), "page")), page([1, 2, 3, 4, 5], 10));
  update(client, 5, 11, { pinned_at: "late" });
  client.receive(message(5, 11, { prev: 10, content: "whole" }), 0);
  client.receive({ type: "synced", ref, room_id: 12, prev: 11, rev: 11, last_seq: 5, last_read_seq: 5 }, 0);
  expect(client.row(12, 5)?.content).toBe("whole");
});

test("a catch-up that was broken off is asked for again, though the positions are equal", () => {
  const leader = opened();
  const client = beside(leader);
  client.loaded("page", first(asked(client.open(12), "page")), page([1, 2, 3, 4, 5], 10));
  client.asked("other/1", [12]);
  client.receive(message(4, 12, { prev: 10 }), 0); // row 5 has changed at 11, and again later
  client.disconnected();
  held(leader).position = 12;
  const snapshot = leader.snapshot();
  if (!snapshot) throw new Error();
  expect(first(sent(client.follow(structuredClone(snapshot), 0), "sync")).rooms).toEqual({ 12: 12 });
});

test("of what was kept nobody knows whether a catch-up was on its way, so that it is caught up with in any case", () => {
  const client = new SyncClient({ userId: ME, cached: kept(opened()) });
  const snapshot = opened().snapshot();
  if (!snapshot) throw new Error();
  expect(first(sent(client.follow(structuredClone(snapshot), 0), "sync")).rooms).toEqual({ 12: 10 });
});

test("frames that come before the beginning are not heard", () => {
  const client = new SyncClient({ userId: ME, cached: kept(opened()) });
  client.receive(message(6, 11), 0);
  expect(held(client).position).toBe(10);
});
