// Edits, deletions, reactions, pins and mentions: what frames change, and what I ask for.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ANA, ME, asked, message, opened, page, ready, room, sent } from "./support.mjs";

const BEN = { id: 3, username: "ben" };
const row = (client, seq = 5) => client.rows(12).find((one) => one.seq === seq);
const update = (client, seq, rev, more) =>
  client.receive({ type: "message_updated", room_id: 12, seq, rev, ...more }, 0);
const chips = (client, seq) => (row(client, seq).reactions ?? []).map(({ emoji, count, me }) => [emoji, count, me]);
const edit = (content, seq = 5) => ({ type: "edit", room_id: 12, seq, content });
const react = (emoji, on, seq = 5) => ({ type: "react", room_id: 12, seq, emoji, on });
const ack = (frame, rev) => ({ type: "ack", ref: frame.ref, room_id: 12, seq: frame.seq, rev });

test("an edit shows at once, and stays until its own event brings it", () => {
  const client = opened();
  const [frame] = sent(client.change(edit("better"), 0), "edit");
  assert.deepEqual([row(client).content, row(client).wished], ["better", true]);
  client.receive(ack(frame, 11), 0);
  assert.equal(row(client).wished, true, "only the event moves the position");
  update(client, 5, 11, { content: "better", edited_at: "now", by: { user_id: ME, action: "edit" } });
  assert.deepEqual([row(client).content, row(client).edited_at, row(client).wished], ["better", "now", undefined]);
});

test("what is refused is taken back and told", () => {
  const client = opened();
  const [frame] = sent(client.change({ type: "delete", room_id: 12, seq: 5 }, 0), "delete");
  assert.ok(row(client).deleted_at);
  const error = { type: "error", ref: frame.ref, code: "forbidden", message: "not yours", retryable: false };
  const [told] = client.receive(error, 0);
  assert.deepEqual([told.do, told.change.type, told.message], ["refused", "delete", "not yours"]);
  assert.equal(row(client).content, "text 5");
});

test("changes are sent again after a retryable error and after a reconnect, the newest of each thing only", () => {
  const client = opened();
  const [first] = sent(client.change(edit("one"), 0), "edit");
  client.receive({ type: "error", ref: first.ref, code: "unavailable", retryable: true, retry_after_ms: 500 }, 0);
  assert.equal(sent(client.wake(499), "edit").length, 0);
  assert.equal(sent(client.wake(500), "edit")[0].content, "one");
  client.change(edit("two"), 600);
  client.change(react("👍", true), 600);
  client.disconnected();
  const effects = client.receive(ready(), 700);
  assert.deepEqual(sent(effects, "edit").map((frame) => frame.content), ["two"]);
  assert.equal(sent(effects, "react").length, 1);
});

test("the answer to an edit that a later one replaced settles nothing", () => {
  const client = opened();
  const [first] = sent(client.change(edit("one"), 0), "edit");
  client.change(edit("two"), 0);
  client.receive({ type: "error", ref: first.ref, code: "invalid", message: "", retryable: false }, 0);
  assert.equal(row(client).content, "two");
});

test("changes of a room that is no longer mine are forgotten", () => {
  const client = opened();
  client.change(edit("one"), 0);
  client.receive({ type: "removed", room_id: 12, rev: 11 }, 0);
  client.disconnected();
  assert.equal(sent(client.receive(ready([room({ rev: 20 })]), 0), "edit").length, 0);
});

test("my reaction is toggled at once and counted once", () => {
  const client = opened();
  update(client, 5, 11, { reactions: [{ emoji: "👍", count: 1 }], by: { user_id: 3, action: "react", emoji: "👍" } });
  const [frame] = sent(client.change(react("👍", true), 0), "react");
  assert.deepEqual(chips(client, 5), [["👍", 2, true]]);
  update(client, 5, 12, { reactions: [{ emoji: "👍", count: 2 }], by: { user_id: ME, action: "react", emoji: "👍" } });
  assert.deepEqual(chips(client, 5), [["👍", 2, true]]);
  client.receive(ack(frame, 12), 0);
  assert.deepEqual(row(client).reactions[0].user_ids, [3, ME]);
  client.change(react("👍", false), 0);
  assert.deepEqual(chips(client, 5), [["👍", 1, false]]);
});

test("a joined change doesn't say whose it is: mine is known by the answer", () => {
  const client = opened();
  const [frame] = sent(client.change(react("🎉", true), 0), "react");
  client.receive(ack(frame, 12), 0);
  update(client, 5, 13, { prev: 10, reactions: [{ emoji: "🎉", count: 3 }, { emoji: "👍", count: 1 }] });
  assert.deepEqual(chips(client, 5), [["🎉", 3, true], ["👍", 1, false]]);
});

test("chips keep the order in which they came, and go at zero", () => {
  const client = opened();
  const by = { user_id: 3, action: "react" };
  update(client, 5, 11, { reactions: [{ emoji: "👍", count: 1 }], by });
  update(client, 5, 12, { reactions: [{ emoji: "🎉", count: 1 }], by });
  update(client, 5, 13, { reactions: [{ emoji: "👍", count: 2 }], by });
  assert.deepEqual(chips(client, 5).map(([emoji]) => emoji), ["👍", "🎉"]);
  update(client, 5, 14, { reactions: [{ emoji: "👍", count: 0 }], by: { user_id: 3, action: "unreact" } });
  assert.deepEqual(chips(client, 5), [["🎉", 1, false]]);
});

test("a list that holds only the first fifty doesn't take mine away; a page of REST does", () => {
  const client = opened();
  const many = [{ emoji: "👍", count: 60, user_ids: [3, 4] }];
  client.receive(message(5, 11, { reactions: [{ ...many[0], me: true }] }), 0);
  client.receive(message(5, 12, { prev: 11, reactions: many }), 0);
  assert.deepEqual(chips(client, 5), [["👍", 60, true]]);
  client.receive(message(5, 13, { prev: 12, reactions: [{ emoji: "👍", count: 2, user_ids: [3, 4] }] }), 0);
  assert.deepEqual(chips(client, 5), [["👍", 2, false]]);
});

test("a deletion takes content, mentions, reactions and pin along", () => {
  const client = opened();
  client.receive(message(6, 11, { mentions: [ME], pinned_at: "then", reactions: [{ emoji: "👍", count: 1, user_ids: [3] }] }), 0);
  assert.deepEqual([client.mentions(12), client.pins(12).length], [1, 1]);
  update(client, 6, 12, { deleted_at: "now", by: { user_id: 2, action: "delete" } });
  const { content, mentions, reactions, pinned_at, deleted_at } = row(client, 6);
  assert.deepEqual([content, mentions, reactions, pinned_at, deleted_at], [undefined, undefined, undefined, undefined, "now"]);
  assert.deepEqual([client.mentions(12), client.pins(12).length], [0, 0]);
});

// ---- pins

test("pins are kept by what changes, and read anew when a pinned message is not held", () => {
  const client = opened();
  update(client, 4, 11, { pinned_at: "now", by: { user_id: 2, action: "pin" } });
  assert.deepEqual(client.pins(12).map((one) => one.seq), [4]);
  update(client, 4, 12, { content: "corrected", edited_at: "now" });
  assert.equal(client.pins(12)[0].content, "corrected");
  update(client, 4, 13, { pinned_at: null });
  assert.deepEqual([client.pins(12), "pinned_at" in row(client, 4)], [[], false]);

  client.room(12).oldest = 3; // as if the first two were not held
  for (const seq of [1, 2]) client.room(12).messages.delete(seq);
  const [request] = asked(update(client, 2, 14, { pinned_at: "now" }), "pins");
  update(client, 3, 15, { pinned_at: "later" });
  update(client, 2, 16, { pinned_at: null });
  client.loaded("pins", request, { items: [message(2, 14, { pinned_at: "now" })], next: null, rev: 14 });
  assert.deepEqual(client.pins(12).map((one) => one.seq), [3], "what changed meanwhile is applied over the page");
});

// ---- mentions (rule 8)

test("mentions are a set: a message puts in, an edit takes out, a deletion too, and the marker all below it", () => {
  const client = opened();
  client.receive(message(6, 11, { mentions: [ME] }), 0);
  client.receive(message(7, 12, { mention_all: true }), 0);
  client.receive(message(8, 13, { mentions: [3] }), 0);
  assert.equal(client.mentions(12), 2);
  client.receive(message(6, 11, { mentions: [ME] }), 0);
  assert.equal(client.mentions(12), 2, "doubled");
  update(client, 6, 14, { content: "no one", edited_at: "now" });
  update(client, 8, 15, { content: "you", edited_at: "now", mentions: [ME] });
  assert.equal(client.mentions(12), 2);
  client.receive({ type: "read", room_id: 12, user_id: ME, seq: 7, unread_mentions: 1 }, 0);
  assert.equal(client.mentions(12), 1, "read on another device");
  client.markRead(12, 8);
  assert.equal(client.mentions(12), 0, "asked for, not answered yet");
  update(client, 7, 16, { content: "you again", edited_at: "now", mentions: [ME] });
  assert.equal(client.mentions(12), 0, "an edit of what is read");
});

test("a set told late neither brings back what is gone nor hides what came since", () => {
  const client = opened();
  const told = (rev, mentioned) => client.loaded("room", ask(), room({ rev, last_seq: 7, mentioned, unread_mentions: mentioned.length }));
  const ask = () => {
    client.room(12).describing = { number: -1 };
    return { number: -1, roomId: 12 };
  };
  client.receive(message(6, 11, { mentions: [ME] }), 0);
  update(client, 6, 12, { content: "no one", edited_at: "now" });
  client.receive(message(7, 13, { mentions: [ME] }), 0);
  told(11, [6]);
  assert.equal(client.mentions(12), 1);
  update(client, 7, 14, { deleted_at: "now" });
  told(13, [7]);
  assert.equal(client.mentions(12), 0);
  told(12, [6]);
  assert.equal(client.mentions(12), 0, "older than the one before");
  told(15, [7]);
  assert.equal(client.mentions(12), 1, "newer than all that is known");
});

test("of more than a hundred the older ones are a count that the marker ends", () => {
  const client = opened();
  client.disconnected();
  const mentioned = Array.from({ length: 100 }, (_, index) => 50 + index);
  client.receive(ready([room({ rev: 300, last_seq: 149, mentioned, unread_mentions: 120 })]), 0);
  assert.equal(client.mentions(12), 120);
  client.receive({ type: "read", room_id: 12, user_id: ME, seq: 20, unread_mentions: 107 }, 0);
  assert.equal(client.mentions(12), 107);
  client.receive({ type: "read", room_id: 12, user_id: ME, seq: 50 }, 0);
  assert.equal(client.mentions(12), 99);
  client.receive({ type: "read", room_id: 12, user_id: ME, seq: 149 }, 0);
  assert.equal(client.mentions(12), 0);
});

test("what is deleted is not unread, told once or often, early or late", () => {
  const client = opened();
  for (const [seq, rev] of [[6, 11], [7, 12], [8, 13], [9, 14]]) client.receive(message(seq, rev), 0);
  assert.equal(client.unread(12), 4);
  update(client, 7, 15, { content: "edited", edited_at: "now" });
  update(client, 7, 16, { deleted_at: "now" });
  assert.equal(client.unread(12), 3, "edited, then deleted");
  update(client, 7, 16, { deleted_at: "now" });
  update(client, 5, 17, { deleted_at: "now" });
  assert.equal(client.unread(12), 3, "doubled; and one that was read");
  const synced = { type: "synced", room_id: 12, prev: 17, rev: 17, last_seq: 9, last_read_seq: 5, unread_mentions: 0, mentioned: [] };
  client.receive({ ...synced, unread: 3, deleted: [7] }, 0);
  client.receive({ ...synced, unread: 3, deleted: [7] }, 0);
  assert.equal(client.unread(12), 3, "told again");
  update(client, 9, 18, { deleted_at: "now" });
  client.receive({ ...synced, unread: 3, deleted: [7] }, 0);
  assert.equal(client.unread(12), 2, "told late");
  client.receive({ type: "read", room_id: 12, user_id: ME, seq: 6, last_seq: 9, unread: 1, unread_mentions: 0 }, 0);
  assert.equal(client.unread(12), 1, "read on another device");
  client.markRead(12, 8);
  assert.equal(client.unread(12), 0, "asked for, not answered yet");
  client.receive(message(10, 19, { deleted_at: "now", content: undefined }), 0);
  assert.equal(client.unread(12), 0, "one that comes as a tombstone");
  client.receive(message(11, 20), 0);
  assert.equal(client.unread(12), 1);
});

test("a message that is gone already doesn't arrive", () => {
  const client = opened();
  const arrived = (frame) => client.receive(frame, 0).some((effect) => effect.do === "arrived");
  assert.deepEqual([arrived(message(6, 11)), arrived(message(7, 12, { deleted_at: "now", content: undefined }))], [true, false]);
});

test("of more than a hundred deleted ones the older are a count that the marker ends", () => {
  const client = opened();
  client.disconnected();
  const deleted = Array.from({ length: 100 }, (_, index) => 50 + index);
  client.receive(ready([room({ rev: 300, last_seq: 160, deleted, unread: 35 })]), 0);
  assert.equal(client.unread(12), 35, "20 more are deleted, below 50");
  const told = client.room(12).deleted;
  told.note(30, 250, true);
  assert.equal(client.unread(12), 35, "catch-up brings one that is counted");
  told.note(31, 301, true);
  assert.equal(client.unread(12), 34, "one that was deleted since");
  const read = (seq, unread) => client.receive({ type: "read", room_id: 12, user_id: ME, seq, last_seq: 160, unread, unread_mentions: 0 }, 0);
  read(32, 21);
  assert.equal(client.unread(12), 21);
  read(49, 11);
  assert.equal(client.unread(12), 11);
  read(160, 0);
  assert.equal(client.unread(12), 0);
});

test("a reset forgets the mentions until the room is read anew", () => {
  const client = opened();
  client.receive(message(6, 11, { mentions: [ME] }), 0);
  const effects = client.receive({ type: "reset", room_id: 12, rev: 3, reason: "epoch" }, 0);
  assert.equal(client.mentions(12), 0);
  client.loaded("room", asked(effects, "room")[0], room({ rev: 3, last_seq: 2, last_read_seq: 1, mentioned: [2], unread_mentions: 1 }));
  assert.equal(client.mentions(12), 1);
});

// ---- presence and typing

test("presence is a set that a reconnect starts anew", () => {
  const client = opened();
  client.receive({ type: "presence", online: [2, 3], offline: [] }, 0);
  client.receive({ type: "presence", online: [], offline: [3] }, 0);
  assert.deepEqual([2, 3, ME].map((id) => client.isOnline(id)), [true, false, true]);
  client.disconnected();
  assert.deepEqual([2, ME].map((id) => client.isOnline(id)), [false, false]);
  client.receive(ready([room()], "e1", { online: [3] }), 0);
  assert.deepEqual([2, 3].map((id) => client.isOnline(id)), [false, true]);
});

test("who types is shown for six seconds, or until the message comes", () => {
  const client = opened();
  const effects = client.receive({ type: "typing", room_id: 12, user_id: 3 }, 0);
  assert.deepEqual(asked(effects, "people"), [{ ids: [3] }]);
  assert.deepEqual(client.typists(12, 1), [], "nobody knows the name yet");
  client.loaded("people", { ids: [3] }, { items: [BEN] });
  assert.deepEqual(client.typists(12, 5_999), [BEN]);
  assert.deepEqual(client.typists(12, 6_000), []);
  client.receive({ type: "typing", room_id: 12, user_id: 2 }, 7_000);
  assert.deepEqual(client.typists(12, 7_001), [ANA]);
  client.receive(message(6, 11), 7_002);
  assert.deepEqual(client.typists(12, 7_003), []);
});

test("that I type is told every three seconds at most, and anew after a message", () => {
  const client = opened();
  const told = (now) => sent(client.typed(12, now), "typing").length;
  assert.deepEqual([told(0), told(2_999), told(3_000)], [1, 0, 1]);
  client.enqueue({ id: "a", roomId: 12, content: "a", createdAt: "" }, 3_100);
  assert.equal(told(3_200), 1);
});

test("a reply carries the seq that it answers, through a reload too", () => {
  const client = opened();
  const effects = client.enqueue({ id: "a", roomId: 12, content: "a", replyTo: 4, createdAt: "" }, 0);
  assert.equal(sent(effects, "message")[0].reply_to, 4);
  assert.equal(effects.find((effect) => effect.do === "save").item.replyTo, 4);
});

test("to reach an older message a page as large as needed is asked for", () => {
  const client = opened();
  client.room(12).oldest = 150;
  client.room(12).hasOlder = true;
  const [request] = asked(client.loadOlder(12, 60), "page");
  assert.deepEqual([request.before, request.limit], [150, 100]);
  client.loaded("page", request, page([50, 51], 10));
});

test("in a large room the members are asked for who is online", () => {
  const client = opened();
  client.room(12).info.member_count = 500;
  const [request] = asked(client.open(12, { members: true }), "members");
  const effects = client.loaded("members", request, { items: [{ user: ANA, role: "owner", rev: 1 }], next: null, rev: 10 });
  const [online] = asked(effects, "online");
  assert.deepEqual(online, { ids: [2] });
  client.loaded("online", online, { items: [ANA] });
  assert.equal(client.isOnline(2), true);
});
