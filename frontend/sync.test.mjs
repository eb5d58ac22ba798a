// node --test frontend/
import assert from "node:assert/strict";
import { test } from "node:test";
import { RETRY_MS } from "./outbox.js";
import { ANA, ME, asked, message, opened, page, ready, room, sent } from "./support.mjs";
import { SyncClient } from "./sync.js";

const seqs = (client) => client.rows(12).map((row) => row.seq);
const positionIs = (client, rev) => assert.equal(client.room(12).position, rev);

test("ready asks for a sync of every room from its position", () => {
  const [sync] = sent(new SyncClient({ userId: ME }).receive(ready(), 0), "sync");
  assert.deepEqual({ epoch: sync.epoch, rooms: sync.rooms }, { epoch: "e1", rooms: { 12: 10 } });
});

test("rooms that didn't fit into ready follow at once, and what is held of them stays", () => {
  const client = opened();
  const rooms = [7, 8, 12].map((id) => room({ id, rev: 10 }));
  client.disconnected();
  assert.deepEqual(client.receive(ready([rooms[0]], "e1", { more_rooms: 2 }), 0), []);
  assert.deepEqual(client.receive({ type: "added", room_id: 8, room: rooms[1] }, 0), []);
  assert.equal(client.live, false);
  const [sync] = sent(client.receive({ type: "added", room_id: 12, room: rooms[2] }, 0), "sync");
  assert.deepEqual(sync.rooms, { 7: 10, 8: 10, 12: 10 });
  assert.deepEqual(seqs(client), [1, 2, 3, 4, 5]);
  client.receive({ type: "added", room_id: 9, room: room({ id: 9, rev: 3 }) }, 0);
  assert.equal(client.rooms.size, 4, "another one is added");
  // A connection that breaks in between leaves nothing behind.
  client.disconnected();
  client.receive(ready(rooms.slice(0, 1), "e1", { more_rooms: 1 }), 0);
  client.disconnected();
  assert.equal(client.rooms.size, 4);
  assert.equal(sent(client.receive(ready(rooms), 0), "sync").length, 1);
  assert.equal(client.rooms.size, 3);
});

test("frames in order are applied, doubles and late ones ignored", () => {
  const client = opened();
  client.receive(message(6, 11), 0);
  client.receive(message(6, 11, { content: "doubled" }), 0);
  client.receive(message(5, 9, { content: "late" }), 0);
  assert.deepEqual(seqs(client), [1, 2, 3, 4, 5, 6]);
  assert.equal(client.rows(12)[5].content, "text 6");
  assert.equal(client.rows(12)[4].content, "text 5");
  assert.equal(client.unread(12), 1);
});

test("a gap drops the frame and joins once from the position, until that is answered", () => {
  const client = opened();
  const [join] = sent(client.receive(message(7, 12), 0), "join");
  assert.deepEqual([join.room_id, join.rev, join.epoch], [12, 10, "e1"]);
  assert.deepEqual(client.receive(message(8, 13), 0), []);
  positionIs(client, 10);
  client.receive(message(6, 11, { prev: 10 }), 0);
  client.receive(message(7, 12, { prev: 11 }), 0);
  client.receive(message(8, 13, { prev: 12 }), 0);
  client.receive({ type: "synced", ref: join.ref, room_id: 12, prev: 13, rev: 13, last_seq: 8, last_read_seq: 5 }, 0);
  assert.deepEqual(seqs(client), [1, 2, 3, 4, 5, 6, 7, 8]);
  assert.equal(sent(client.receive(message(10, 15), 0), "join").length, 1, "the next gap asks again");
});

test("prev lets one frame stand for several changes", () => {
  const client = opened();
  client.receive(message(6, 14, { prev: 8 }), 0);
  positionIs(client, 14);
});

test("a synced whose prev is ahead shows that catch-up was lost", () => {
  const client = opened();
  const [join] = sent(client.receive({ type: "lagged", room_id: 12, rev: 10 }, 0), "join");
  const synced = { type: "synced", ref: join.ref, room_id: 12, prev: 14, rev: 14, last_seq: 9, last_read_seq: 7 };
  const [again] = sent(client.receive(synced, 0), "join");
  assert.equal(again.rev, 10);
  assert.equal(client.unread(12), 2, "its markers count all the same");
});

test("unknown frames with room_id and rev move the position; others change nothing", () => {
  const client = opened();
  client.receive({ type: "poll", room_id: 12, rev: 11, votes: 3 }, 0);
  positionIs(client, 11);
  assert.deepEqual(client.receive({ type: "weather", sky: "grey" }, 0), []);
});

test("a room frame changes the settings and keeps what is mine", () => {
  const client = opened();
  const told = room({ rev: 11, name: "dock", role: undefined, last_read_seq: undefined });
  client.receive({ type: "room", room_id: 12, rev: 11, room: told }, 0);
  positionIs(client, 11);
  assert.equal(client.room(12).info.name, "dock");
  assert.equal(client.room(12).lastReadSeq, 5);
});

test("updates: partial changes keep the text, touch single emoji, and a deletion clears it", () => {
  const client = opened();
  const update = (rev, more) => client.receive({ type: "message_updated", room_id: 12, seq: 5, rev, ...more }, 0);
  update(11, { reactions: [{ emoji: "👍", count: 2 }, { emoji: "🎉", count: 1 }] });
  update(12, { reactions: [{ emoji: "👍", count: 0 }] });
  assert.deepEqual(client.rows(12)[4].reactions.map(({ emoji, count }) => [emoji, count]), [["🎉", 1]]);
  assert.equal(client.rows(12)[4].content, "text 5");
  update(13, { deleted_at: "now" });
  assert.equal(client.rows(12)[4].content, undefined);
});

test("what changes while a page is on its way is applied over it", () => {
  const client = new SyncClient({ userId: ME });
  const effects = [...client.receive(ready(), 0), ...client.open(12)];
  client.receive({ type: "synced", ref: sent(effects, "sync")[0].ref, room_id: 12, prev: 10, rev: 10 }, 0);
  client.receive(message(6, 11), 0);
  client.receive({ type: "message_updated", room_id: 12, seq: 4, rev: 12, content: "edited" }, 0);
  client.loaded("page", asked(effects, "page")[0], page([3, 4, 5], 10));
  assert.deepEqual(client.rows(12).map((row) => row.content), ["text 3", "edited", "text 5", "text 6"]);

  const [older] = asked(client.loadOlder(12), "page");
  assert.equal(older.before, 3);
  client.receive({ type: "message_updated", room_id: 12, seq: 2, rev: 13, content: "edited too" }, 0);
  client.loaded("page", older, page([1, 2], 12));
  assert.deepEqual(client.rows(12).map((row) => row.content).slice(0, 3), ["text 1", "edited too", "text 3"]);
  assert.equal(client.room(12).hasOlder, false);
});

test("a small change that is late never stands for a whole row of catch-up", () => {
  const client = opened();
  const [join] = sent(client.receive({ type: "lagged", room_id: 12, rev: 10 }, 0), "join");
  client.receive({ type: "message_updated", room_id: 12, seq: 5, rev: 11, pinned_at: "now" }, 0); // 10 to 11 was more
  client.receive(message(5, 11, { prev: 10, content: "edited, then pinned", pinned_at: "now" }), 0);
  client.receive({ type: "synced", ref: join.ref, room_id: 12, prev: 11, rev: 11, last_seq: 5, last_read_seq: 5 }, 0);
  assert.equal(client.rows(12)[4].content, "edited, then pinned");
});

test("a page that is newer than the position is not undone by frames that come after it", () => {
  const client = new SyncClient({ userId: ME });
  const effects = [...client.receive(ready(), 0), ...client.open(12)];
  const newer = { items: [message(6, 12, { content: "edited" })], next: null, rev: 12 };
  client.loaded("page", asked(effects, "page")[0], newer);
  client.receive(message(6, 11), 0);
  assert.equal(client.rows(12)[0].content, "edited");
  positionIs(client, 11);
});

test("reset forgets the room, reads it anew and goes on from its rev without a join", () => {
  const client = opened();
  const [stale] = asked(client.open(12, { members: true }), "members");
  const effects = client.receive({ type: "reset", room_id: 12, rev: 3, reason: "epoch" }, 0);
  positionIs(client, 3);
  assert.deepEqual(seqs(client), []);
  assert.equal(client.unread(12), 0);
  assert.equal(sent(effects, "join").length, 0);
  client.loaded("members", stale, { items: [{ user: ANA, role: "member", rev: 9 }], rev: 10 });
  assert.deepEqual(client.members(12), [], "a page asked before the reset is void");
  client.loaded("room", asked(effects, "room")[0], room({ rev: 4, last_seq: 2, last_read_seq: 1, name: "restored" }));
  assert.deepEqual([client.unread(12), client.room(12).info.name], [1, "restored"]);

  const [old] = asked(effects, "page");
  const [again] = asked(client.loaded("page", old, page([1, 2], 2)), "page");
  assert.equal(again.in_ms, RETRY_MS, "a page below the reset is read again");
  client.loaded("page", again, page([1, 2], 4));
  client.receive(message(3, 4), 0);
  assert.deepEqual(seqs(client), [1, 2, 3]);
});

test("a new epoch forgets all rooms and keeps the outbox", () => {
  const client = opened();
  client.disconnected();
  client.enqueue({ id: "x", roomId: 12, content: "still here", createdAt: "" }, 0);
  const effects = client.receive(ready([room({ rev: 4, last_seq: 1, last_read_seq: 0 })], "e2"), 0);
  assert.deepEqual(sent(effects, "sync")[0].rooms, { 12: 4 });
  assert.equal(asked(effects, "page").length, 1);
  assert.deepEqual(seqs(client), []);
  assert.equal(client.unread(12), 1);
  assert.equal(sent(effects, "message")[0].id, "x");
});

test("a room that is held is synced from its position, one that is not from ready's", () => {
  const client = opened();
  client.disconnected();
  const effects = client.receive(ready([room({ rev: 20, last_seq: 9 }), room({ id: 13, rev: 30 })]), 0);
  assert.deepEqual(sent(effects, "sync")[0].rooms, { 12: 10, 13: 30 });
  client.disconnected();
  assert.deepEqual(sent(client.receive(ready([room({ id: 13, rev: 40 })]), 0), "sync")[0].rooms, { 13: 40 });
  assert.equal(client.room(12), undefined, "left while away");
});

test("of added and removed the higher rev wins, in whatever order they come", () => {
  const client = opened();
  client.receive({ type: "removed", room_id: 12, rev: 9 }, 0);
  assert.ok(client.room(12), "older than what ready told");
  assert.equal(client.receive({ type: "removed", room_id: 12, rev: 14 }, 0)[0].do, "forgot");
  client.receive({ type: "added", room_id: 12, room: room({ rev: 12 }) }, 0);
  assert.equal(client.room(12), undefined, "late");
  client.receive(message(6, 15), 0);
  client.receive({ type: "added", room_id: 12, room: room({ rev: 16 }) }, 0);
  client.receive({ type: "removed", room_id: 12, rev: 14 }, 0);
  positionIs(client, 16);
  client.joined(room({ rev: 15 }));
  positionIs(client, 16);
});

test("removed without rev holds unless added came since", () => {
  for (const addedSince of [false, true]) {
    const client = opened();
    const [join] = sent(client.receive({ type: "lagged", room_id: 12, rev: 10 }, 0), "join");
    if (addedSince) client.receive({ type: "added", room_id: 12, room: room({ rev: 16 }) }, 0);
    client.receive({ type: "removed", ref: join.ref, room_id: 12 }, 0);
    assert.equal(client.room(12) !== undefined, addedSince);
  }
});

test("an answer that a removal made moot leaves no room waiting for ever", () => {
  const client = opened();
  client.receive({ type: "lagged", room_id: 12, rev: 10 }, 0);
  client.receive({ type: "removed", room_id: 12, rev: 12 }, 0);
  client.receive({ type: "added", room_id: 12, room: room({ rev: 14 }) }, 0);
  assert.equal(sent(client.receive(message(9, 17), 0), "join").length, 1);
});

test("a join or sync that is refused for now is asked again later", () => {
  const client = opened();
  const [join] = sent(client.receive(message(7, 12), 0), "join");
  const error = { type: "error", code: "unavailable", retryable: true, retry_after_ms: 300 };
  client.receive({ ...error, ref: join.ref }, 0);
  assert.equal(sent(client.receive(message(8, 13), 0), "join").length, 0);
  assert.equal(sent(client.wake(299), "join").length, 0);
  assert.equal(sent(client.wake(300), "join")[0].rev, 10);
  client.disconnected();
  const [sync] = sent(client.receive(ready(), 400), "sync");
  client.receive({ ...error, ref: sync.ref }, 400);
  assert.equal(sent(client.wake(700), "sync").length, 1);
});

test("members: changes that come before the page win, and who left stays away", () => {
  const client = opened();
  const [request] = asked(client.open(12, { members: true }), "members");
  client.receive({ type: "member", room_id: 12, rev: 11, user: ANA, role: null, member_count: 1 }, 0);
  const [more] = asked(client.loaded("members", request, {
    items: [{ user: ANA, role: "member", rev: 2 }, { user: { id: ME }, role: "owner", rev: 1 }], next: "c", rev: 10,
  }), "members");
  client.loaded("members", more, { items: [{ user: { id: 3 }, role: "member", rev: 3 }], next: null, rev: 11 });
  assert.deepEqual(client.members(12).map((member) => member.user.id), [1, 3]);
  assert.equal(client.room(12).info.member_count, 1);
});

test("read marks go out once, and only rise", () => {
  const client = opened();
  client.receive(message(6, 11), 0);
  const [read] = sent(client.markRead(12, 6), "read");
  assert.equal(client.unread(12), 0);
  assert.deepEqual(client.markRead(12, 6), []);
  client.receive({ type: "ack", ref: read.ref, room_id: 12, last_read_seq: 6 }, 0);
  client.receive({ type: "read", room_id: 12, user_id: ME, seq: 4 }, 0);
  client.receive({ type: "read", room_id: 12, user_id: 2, seq: 9 }, 0);
  assert.equal(client.room(12).lastReadSeq, 6);
  client.receive(message(7, 12), 0);
  const [refused] = sent(client.markRead(12, 7), "read");
  client.receive({ type: "error", ref: refused.ref, code: "unavailable", retryable: true }, 0);
  client.wake(RETRY_MS);
  assert.equal(sent(client.markRead(12, 7), "read").length, 1);
});

// ---- the outbox

const write = (client, id, now = 0) => client.enqueue({ id, roomId: 12, content: id, createdAt: "" }, now);
const ack = (frame, seq, rev) => ({ type: "ack", ref: frame.ref, room_id: 12, id: frame.id, seq, rev });

test("one message per room is under way; the next follows the ack", () => {
  const client = opened();
  const first = write(client, "a");
  assert.equal(sent(first, "message").length, 1);
  assert.equal(first.filter((e) => e.do === "save").length, 1);
  assert.equal(sent(write(client, "b"), "message").length, 0);
  const effects = client.receive(ack(sent(first, "message")[0], 6, 11), 0);
  assert.deepEqual(effects.filter((e) => e.do === "erase").map((e) => e.id), ["a"]);
  assert.equal(sent(effects, "message")[0].id, "b");
  assert.deepEqual(client.pending(12).map((item) => item.state), ["stored", "sent"], "shown until its row comes");
  client.receive(message(6, 11, { id: "a", sender: { id: ME } }), 0);
  assert.deepEqual(client.pending(12).map((item) => item.id), ["b"]);
  assert.equal(client.unread(12), 0, "one's own message is read");
});

test("one's own event may come before the ack", () => {
  const client = opened();
  const [frame] = sent(write(client, "a"), "message");
  client.receive(message(6, 11, { id: "a", sender: { id: ME } }), 0);
  assert.deepEqual(client.pending(12), []);
  client.receive(ack(frame, 6, 11), 0);
  assert.deepEqual(seqs(client), [1, 2, 3, 4, 5, 6]);
});

test("another author's message with the same id settles nothing", () => {
  const client = opened();
  write(client, "a");
  client.receive(message(6, 11, { id: "a" }), 0);
  assert.equal(client.pending(12)[0].state, "sent");
});

test("a retryable error sends the same id again, and holds the later ones back", () => {
  const client = opened();
  const [frame] = sent(write(client, "a"), "message");
  write(client, "b");
  const error = { type: "error", ref: frame.ref, code: "rate_limited", retryable: true, retry_after_ms: 2000 };
  assert.ok(client.receive(error, 0).some((e) => e.do === "wake" && e.in_ms === 2000));
  assert.equal(sent(client.wake(1999), "message").length, 0);
  assert.deepEqual(sent(client.wake(2000), "message").map((f) => f.id), ["a"]);
});

test("a refusal is kept with its reason, lets the next pass, and can be tried again or discarded", () => {
  const client = opened();
  const [frame] = sent(write(client, "a"), "message");
  write(client, "b");
  const refused = { type: "error", ref: frame.ref, code: "invalid", message: "too long", retryable: false };
  const effects = client.receive(refused, 0);
  assert.deepEqual(sent(effects, "message").map((f) => f.id), ["b"]);
  assert.equal(effects.find((e) => e.do === "save").item.failure.message, "too long");
  client.retry("a", 5);
  assert.deepEqual(client.pending(12).map((item) => [item.id, item.state]), [["b", "sent"], ["a", "queued"]]);
  assert.deepEqual(client.discard("a", 6), [{ do: "erase", id: "a" }]);
  assert.deepEqual(client.discard("b", 6), [], "what is under way waits for its answer");
});

test("after a reconnect or a reload the same id is sent again, until its ack", () => {
  const client = opened();
  write(client, "a");
  client.disconnected();
  const [again] = sent(client.receive(ready(), 0), "message");
  assert.equal(again.id, "a");
  const reloaded = new SyncClient({ userId: ME, outbox: [
    { id: "a", roomId: 12, content: "a", createdAt: "" },
    { id: "z", roomId: 12, content: "z", createdAt: "", failure: { code: "invalid" } },
  ] });
  const [frame] = sent(reloaded.receive(ready(), 0), "message");
  assert.equal(frame.id, "a");
  reloaded.receive(ack(frame, 3, 5), 0);
  const effects = reloaded.open(12);
  reloaded.loaded("page", asked(effects, "page")[0], page([4, 5], 10));
  assert.deepEqual(reloaded.pending(12).map((item) => item.id), ["z"], "stored long ago, above the page");
});
