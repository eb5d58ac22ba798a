// Edits, deletions, reactions, pins and mentions: what frames change, and what I ask for.
import { expect, test } from "vitest";
import type { Ref } from "../protocol/types.ts";
import { OTHER_LOG } from "./changes.ts";
import type { Change } from "./effects.ts";
import {
  asked,
  done,
  first,
  held,
  item,
  ME,
  message,
  opened,
  page,
  ready,
  room,
  sent,
  tombstone,
} from "./support.ts";
import type { Effect, SyncClient } from "./sync.ts";

function row(client: SyncClient, seq = 5) {
  return first(client.rows(12).filter((one) => one.seq === seq));
}
const update = (client: SyncClient, seq: number, rev: number, more: object) =>
  client.receive({ type: "message_updated", room_id: 12, seq, rev, ...more }, 0);
const chips = (client: SyncClient, seq: number) =>
  (row(client, seq).reactions ?? []).map(({ emoji, count, me }) => [emoji, count, me]);
const edit = (content: string, seq = 5) => ({ type: "edit" as const, room_id: 12, seq, content });
const react = (emoji: string, on: boolean, seq = 5) => ({
  type: "react" as const,
  room_id: 12,
  seq,
  emoji,
  on,
});
const ack = ({ ref, seq }: { ref?: Ref; seq: number }, rev: number) => ({
  type: "ack",
  ref,
  room_id: 12,
  seq,
  rev,
});

test("an edit shows at once, and stays until its own event brings it", () => {
  const client = opened();
  const frame = first(sent(client.change(edit("better"), 0), "edit"));
  expect([row(client).content, row(client).wished]).toEqual(["better", true]);
  client.receive(ack(frame, 11), 0);
  expect(row(client).wished, "only the event moves the position").toBe(true);
  update(client, 5, 11, { content: "better", edited_at: "now", by: { user_id: ME, action: "edit" } });
  expect([row(client).content, row(client).edited_at, row(client).wished]).toEqual([
    "better",
    "now",
    undefined,
  ]);
});

test("what is refused is taken back and told", () => {
  const client = opened();
  const change = { type: "delete" as const, room_id: 12, seq: 5 };
  const { ref } = first(sent(client.change(change, 0), "delete"));
  expect(row(client).deleted_at).toBeTruthy();
  const error = { type: "error", ref, code: "forbidden", message: "not yours", retryable: false };
  expect(client.receive(error, 0)).toEqual([
    { do: "drop", key: "12/5/text" },
    { do: "refused", change, code: "forbidden", message: "not yours" },
  ]);
  expect(row(client).content).toBe("text 5");
});

test("changes are sent again after a retryable error and after a reconnect, the newest of each thing only", () => {
  const client = opened();
  const { ref } = first(sent(client.change(edit("one"), 0), "edit"));
  client.receive(
    { type: "error", ref, code: "unavailable", message: "", retryable: true, retry_after_ms: 500 },
    0,
  );
  expect(sent(client.wake(499), "edit").length).toBe(0);
  expect(first(sent(client.wake(500), "edit")).content).toBe("one");
  client.change(edit("two"), 600);
  client.change(react("👍", true), 600);
  client.disconnected();
  const effects = client.receive(ready(), 700);
  expect(sent(effects, "edit").map((frame) => frame.content)).toEqual(["two"]);
  expect(sent(effects, "react").length).toBe(1);
});

test("the answer to an edit that a later one replaced settles nothing", () => {
  const client = opened();
  const { ref } = first(sent(client.change(edit("one"), 0), "edit"));
  client.change(edit("two"), 0);
  client.receive({ type: "error", ref, code: "invalid", message: "", retryable: false }, 0);
  expect(row(client).content).toBe("two");
});

test("edits and deletions are kept until they are answered, the newest of each message; reactions aren't", () => {
  const client = opened();
  const keeping = (effects: Effect[]) =>
    effects.flatMap((effect): (Change | string)[] =>
      effect.do === "keep" ? [effect.change] : effect.do === "drop" ? [effect.key] : [],
    );
  const one = client.change(edit("one"), 0);
  const two = client.change(edit("two"), 0);
  expect([keeping(one), keeping(two), client.undone]).toEqual([[edit("one")], [edit("two")], 1]);
  expect(keeping(client.receive(ack(first(sent(one, "edit")), 11), 0)), "a newer one waits").toEqual([]);
  expect(keeping(client.receive(ack(first(sent(two, "edit")), 12), 0))).toEqual(["12/5/text"]);
  expect(client.undone).toBe(0);
  expect(keeping(client.change(react("👍", true), 0))).toEqual([]);
  client.change({ type: "delete", room_id: 12, seq: 4 }, 0);
  expect(keeping(client.receive({ type: "removed", room_id: 12, rev: 13 }, 0))).toEqual(["12/4/text"]);
});

test("changes of a room that is no longer mine are forgotten", () => {
  const client = opened();
  client.change(edit("one"), 0);
  client.receive({ type: "removed", room_id: 12, rev: 11 }, 0);
  client.disconnected();
  expect(sent(client.receive(ready([room({ rev: 20 })]), 0), "edit").length).toBe(0);
});

test("my reaction is toggled at once and counted once", () => {
  const client = opened();
  const by = { user_id: 3, action: "react", emoji: "👍" };
  update(client, 5, 11, { reactions: [{ emoji: "👍", count: 1 }], by });
  const frame = first(sent(client.change(react("👍", true), 0), "react"));
  expect(chips(client, 5)).toEqual([["👍", 2, true]]);
  update(client, 5, 12, { reactions: [{ emoji: "👍", count: 2 }], by: { ...by, user_id: ME } });
  expect(chips(client, 5)).toEqual([["👍", 2, true]]);
  client.receive(ack(frame, 12), 0);
  expect(row(client).reactions?.[0]?.user_ids).toEqual([3, ME]);
  client.change(react("👍", false), 0);
  expect(chips(client, 5)).toEqual([["👍", 1, false]]);
});

test("a joined change doesn't say whose it is: mine is known by the answer", () => {
  const client = opened();
  const frame = first(sent(client.change(react("🎉", true), 0), "react"));
  client.receive(ack(frame, 12), 0);
  const reactions = [
    { emoji: "🎉", count: 3 },
    { emoji: "👍", count: 1 },
  ];
  update(client, 5, 13, { prev: 10, reactions });
  expect(chips(client, 5)).toEqual([
    ["🎉", 3, true],
    ["👍", 1, false],
  ]);
});

test("chips keep the order in which they came, and go at zero", () => {
  const client = opened();
  const by = { user_id: 3, action: "react" };
  update(client, 5, 11, { reactions: [{ emoji: "👍", count: 1 }], by });
  update(client, 5, 12, { reactions: [{ emoji: "🎉", count: 1 }], by });
  update(client, 5, 13, { reactions: [{ emoji: "👍", count: 2 }], by });
  expect(chips(client, 5).map(([emoji]) => emoji)).toEqual(["👍", "🎉"]);
  update(client, 5, 14, { reactions: [{ emoji: "👍", count: 0 }], by: { user_id: 3, action: "unreact" } });
  expect(chips(client, 5)).toEqual([["🎉", 1, false]]);
});

test("a list that holds only the first fifty doesn't take mine away; a page of REST does", () => {
  const client = opened();
  const many = { emoji: "👍", count: 60, user_ids: [3, 4] };
  client.receive(message(5, 11, { reactions: [{ ...many, me: true }] }), 0);
  client.receive(message(5, 12, { prev: 11, reactions: [many] }), 0);
  expect(chips(client, 5)).toEqual([["👍", 60, true]]);
  client.receive(message(5, 13, { prev: 12, reactions: [{ ...many, count: 2 }] }), 0);
  expect(chips(client, 5)).toEqual([["👍", 2, false]]);
});

test("a deletion takes content, mentions, reactions and pin along", () => {
  const client = opened();
  const reactions = [{ emoji: "👍", count: 1, user_ids: [3] }];
  client.receive(message(6, 11, { mentions: [ME], pinned_at: "then", reactions }), 0);
  expect([client.mentions(12), client.pins(12).length]).toEqual([1, 1]);
  update(client, 6, 12, { deleted_at: "now", by: { user_id: 2, action: "delete" } });
  const left = row(client, 6);
  expect([left.content, left.mentions, left.reactions, left.pinned_at, left.deleted_at]).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
    "now",
  ]);
  expect([client.mentions(12), client.pins(12).length]).toEqual([0, 0]);
});

test("so many changes are on their way at most", () => {
  const client = opened();
  client.disconnected();
  for (let seq = 1; seq <= 1_000; seq++) client.change(edit("x", seq), 0);
  const refused = client.change(edit("y", 2_000), 0);
  expect(refused.map((effect) => effect.do)).toEqual(["refused"]);
  expect(client.change(edit("another text", 5), 0).map((effect) => effect.do)).toEqual(["keep"]);
  expect(row(client).content).toBe("another text");
});

// ---- pins

test("pins are kept by what changes, and read anew when a pinned message is not held", () => {
  const client = opened();
  update(client, 4, 11, { pinned_at: "now", by: { user_id: 2, action: "pin" } });
  expect(client.pins(12).map((one) => one.seq)).toEqual([4]);
  update(client, 4, 12, { content: "corrected", edited_at: "now" });
  expect(client.pins(12)[0]?.content).toBe("corrected");
  update(client, 4, 13, { pinned_at: null });
  expect([client.pins(12), "pinned_at" in row(client, 4)]).toEqual([[], false]);

  held(client).tail.keepLast(3);
  const request = first(asked(update(client, 2, 14, { pinned_at: "now" }), "pins"));
  update(client, 3, 15, { pinned_at: "later" });
  update(client, 2, 16, { pinned_at: null });
  client.loaded("pins", request, { items: [message(2, 14, { pinned_at: "now" })], next: null, rev: 14 });
  expect(
    client.pins(12).map((one) => one.seq),
    "what changed meanwhile is applied over the page",
  ).toEqual([3]);
});

test("a list of pins that is newer than the position is not undone by what comes after it", () => {
  const client = opened();
  const [request] = asked(
    client.receive({ type: "reset", room_id: 12, rev: 10, reason: "epoch" }, 0),
    "pins",
  );
  if (!request) throw new Error();
  client.loaded("pins", request, { items: [message(2, 14, { pinned_at: "again" })], next: null, rev: 14 });
  update(client, 2, 11, { pinned_at: null });
  expect(client.pins(12).map((one) => one.seq)).toEqual([2]);
});

// ---- mentions (PROTOCOL.md section 5.4)

test("mentions are a set: a message puts in, an edit takes out, a deletion too, and the marker all below it", () => {
  const client = opened();
  client.receive(message(6, 11, { mentions: [ME] }), 0);
  client.receive(message(7, 12, { mention_all: true }), 0);
  client.receive(message(8, 13, { mentions: [3] }), 0);
  expect(client.mentions(12)).toBe(2);
  client.receive(message(6, 11, { mentions: [ME] }), 0);
  expect(client.mentions(12), "doubled").toBe(2);
  update(client, 6, 14, { content: "no one", edited_at: "now" });
  update(client, 8, 15, { content: "you", edited_at: "now", mentions: [ME] });
  expect(client.mentions(12)).toBe(2);
  client.receive({ type: "read", room_id: 12, user_id: ME, seq: 7, unread_mentions: 1 }, 0);
  expect(client.mentions(12), "read on another device").toBe(1);
  client.markRead(12, 8);
  expect(client.mentions(12), "asked for, not answered yet").toBe(0);
  update(client, 7, 16, { content: "you again", edited_at: "now", mentions: [ME] });
  expect(client.mentions(12), "an edit of what is read").toBe(0);
});

test("a set told late neither brings back what is gone nor hides what came since", () => {
  const client = opened();
  const request = { number: -1, roomId: 12, in_ms: 0 };
  const told = (rev: number, mentioned: number[]) => {
    held(client).describing = request;
    client.loaded("room", request, room({ rev, last_seq: 7, mentioned, unread_mentions: mentioned.length }));
  };
  client.receive(message(6, 11, { mentions: [ME] }), 0);
  update(client, 6, 12, { content: "no one", edited_at: "now" });
  client.receive(message(7, 13, { mentions: [ME] }), 0);
  told(11, [6]);
  expect(client.mentions(12)).toBe(1);
  update(client, 7, 14, { deleted_at: "now" });
  told(13, [7]);
  expect(client.mentions(12)).toBe(0);
  told(12, [6]);
  expect(client.mentions(12), "older than the one before").toBe(0);
  told(15, [7]);
  expect(client.mentions(12), "newer than all that is known").toBe(1);
});

test("of more than a hundred the older ones are a count that the marker ends", () => {
  const client = opened();
  client.disconnected();
  const mentioned = Array.from({ length: 100 }, (_, index) => 50 + index);
  client.receive(ready([room({ rev: 300, last_seq: 149, mentioned, unread_mentions: 120 })]), 0);
  const read = (seq: number, more: object = {}) =>
    client.receive({ type: "read", room_id: 12, user_id: ME, seq, ...more }, 0);
  expect(client.mentions(12)).toBe(120);
  read(20, { unread_mentions: 107 });
  expect(client.mentions(12)).toBe(107);
  read(50);
  expect(client.mentions(12)).toBe(99);
  read(149);
  expect(client.mentions(12)).toBe(0);
});

test("a change of a mention that is older than the list has the number told anew", () => {
  const client = opened();
  client.disconnected();
  const mentioned = Array.from({ length: 100 }, (_, index) => 50 + index);
  const markers = { last_seq: 149, last_read_seq: 5, unread: 144, mentioned, deleted: [] };
  const synced = (rev: number, unread_mentions: number, question: { ref?: Ref } | undefined) => ({
    ...{ type: "synced", ref: question?.ref, room_id: 12, prev: 10, rev, ...markers, unread_mentions },
  });
  const effects = client.receive(ready([room({ rev: 300, unread_mentions: 120, ...markers })]), 0);
  client.receive(synced(300, 120, first(sent(effects, "sync"))), 0);
  const deleted = (seq: number, rev: number) => sent(update(client, seq, rev, { deleted_at: "now" }), "join");
  const join = first(deleted(10, 301));
  expect(join.rev).toBe(301);
  expect(deleted(11, 302), "the answer brings it").toEqual([]);
  expect(sent(client.receive({ ...tombstone(11, 302), prev: 301 }, 0), "join")).toEqual([]);
  client.receive(synced(302, 118, join), 0);
  expect(client.mentions(12)).toBe(118);
  expect(deleted(60, 303), "one that is listed").toEqual([]);
  expect(client.mentions(12)).toBe(117);
});

test("what is deleted is not unread, told once or often, early or late", () => {
  const client = opened();
  for (const [seq, rev] of [[6, 11] as const, [7, 12] as const, [8, 13] as const, [9, 14] as const]) {
    client.receive(message(seq, rev), 0);
  }
  expect(client.unread(12)).toBe(4);
  update(client, 7, 15, { content: "edited", edited_at: "now" });
  update(client, 7, 16, { deleted_at: "now" });
  expect(client.unread(12), "edited, then deleted").toBe(3);
  update(client, 7, 16, { deleted_at: "now" });
  update(client, 5, 17, { deleted_at: "now" });
  expect(client.unread(12), "doubled; and one that was read").toBe(3);
  const markers = {
    last_seq: 9,
    last_read_seq: 5,
    unread: 3,
    unread_mentions: 0,
    mentioned: [],
    deleted: [7],
  };
  const synced = { type: "synced", room_id: 12, prev: 17, rev: 17, ...markers };
  client.receive(synced, 0);
  client.receive(synced, 0);
  expect(client.unread(12), "told again").toBe(3);
  update(client, 9, 18, { deleted_at: "now" });
  client.receive(synced, 0);
  expect(client.unread(12), "told late").toBe(2);
  const left = { last_seq: 9, unread: 1, unread_mentions: 0 };
  client.receive({ type: "read", room_id: 12, user_id: ME, seq: 6, ...left }, 0);
  expect(client.unread(12), "read on another device").toBe(1);
  client.markRead(12, 8);
  expect(client.unread(12), "asked for, not answered yet").toBe(0);
  client.receive(tombstone(10, 19), 0);
  expect(client.unread(12), "one that comes as a tombstone").toBe(0);
  client.receive(message(11, 20), 0);
  expect(client.unread(12)).toBe(1);
});

test("a message that is gone already doesn't arrive", () => {
  const client = opened();
  const arrives = (frame: object) => client.receive(frame, 0).some((effect) => effect.do === "arrived");
  expect([arrives(message(6, 11)), arrives(tombstone(7, 12))]).toEqual([true, false]);
});

test("of more than a hundred deleted ones the older are a count that the marker ends", () => {
  const client = opened();
  client.disconnected();
  const deleted = Array.from({ length: 100 }, (_, index) => 50 + index);
  client.receive(ready([room({ rev: 300, last_seq: 160, deleted, unread: 35 })]), 0);
  expect(client.unread(12), "20 more are deleted, below 50").toBe(35);
  const told = held(client).deleted;
  told.note(30, 250, true);
  expect(client.unread(12), "catch-up brings one that is counted").toBe(35);
  told.note(31, 301, true);
  expect(client.unread(12), "one that was deleted since").toBe(34);
  const read = (seq: number, unread: number) =>
    client.receive(
      { type: "read", room_id: 12, user_id: ME, seq, last_seq: 160, unread, unread_mentions: 0 },
      0,
    );
  read(32, 21);
  expect(client.unread(12)).toBe(21);
  read(49, 11);
  expect(client.unread(12)).toBe(11);
  read(160, 0);
  expect(client.unread(12)).toBe(0);
});

test("a reset forgets the mentions until the room is read anew", () => {
  const client = opened();
  client.receive(message(6, 11, { mentions: [ME] }), 0);
  const effects = client.receive({ type: "reset", room_id: 12, rev: 3, reason: "epoch" }, 0);
  expect(client.mentions(12)).toBe(0);
  const told = room({ rev: 3, last_seq: 2, last_read_seq: 1, mentioned: [2], unread_mentions: 1 });
  client.loaded("room", first(asked(effects, "room")), told);
  expect(client.mentions(12)).toBe(1);
});

// ---- what is asked for

test("a reply carries the seq that it answers, through a reload too", () => {
  const client = opened();
  const effects = done(client.enqueue(item("a", { replyTo: 4 }), 0));
  expect(first(sent(effects, "message")).reply_to).toBe(4);
  expect(effects.flatMap((effect) => (effect.do === "save" ? [effect.item.replyTo] : []))).toEqual([4]);
});

test("to reach an older message a page as large as needed is asked for", () => {
  const client = opened();
  held(client).tail.from = 150;
  const request = first(asked(client.loadOlder(12, 60), "page"));
  expect([request.before, request.limit]).toEqual([150, 100]);
  client.loaded("page", request, page([50, 51], 10));
});

test("what a message says has changed is told, also of one that isn't held", () => {
  const client = opened(room({ last_seq: 105, last_read_seq: 105 }));
  const told = (effects: Effect[]) =>
    effects.flatMap((effect) => (effect.do === "changed" ? [effect.seq] : []));
  expect(told(client.receive(message(106, 11), 0)), "it is new").toEqual([]);
  expect(told(update(client, 70, 12, { reactions: [{ emoji: "👍", count: 1 }] }))).toEqual([]);
  expect(told(update(client, 70, 13, { content: "changed", edited_at: "now" }))).toEqual([70]);
  expect(told(update(client, 70, 14, { deleted_at: "now" }))).toEqual([70]);
  expect(told(client.receive(message(3, 15, { content: "changed meanwhile" }), 0))).toEqual([3]);
  const reset = { type: "reset", room_id: 12, rev: 3, reason: "epoch" };
  expect(told(client.receive(reset, 0)), "it may be any of them").toEqual([null]);
});

test("changes that wait are not sent into another log, and that is told", () => {
  const client = opened();
  client.disconnected();
  const edit = { type: "edit", room_id: 12, seq: 5, content: "changed" } as const;
  client.change(edit, 0);
  client.change({ type: "react", room_id: 12, seq: 4, emoji: "👍", on: true }, 0);
  const effects = client.receive(ready([room()], "e2"), 0);
  expect([sent(effects, "edit"), sent(effects, "react")]).toEqual([[], []]);
  expect(effects).toContainEqual({ do: "drop", key: "12/5/text" });
  expect(effects.filter((effect) => effect.do === "refused")).toEqual([
    { do: "refused", change: edit, code: OTHER_LOG, message: "" },
  ]);
});

test("what was said last is shown as it will be, without what is about to be deleted", () => {
  const client = opened();
  client.receive(message(6, 11), 0);
  client.receive(message(7, 12), 0);
  const last = (...going: number[]) => client.lastSaid(12, (seq) => going.includes(seq))?.snippet;
  expect([last(), last(7), last(7, 6), last(5)]).toEqual(["text 7", "text 6", "text 5", "text 7"]);
  expect(last(1, 2, 3, 4, 5, 6, 7)).toBe(undefined);
  expect(client.lastSaid(12, () => false)).toBe(client.lastSaid(12, () => false));
  client.change({ type: "edit", room_id: 12, seq: 7, content: "changed" }, 0);
  expect(last()).toBe("changed");
  client.change({ type: "delete", room_id: 12, seq: 7 }, 0);
  expect([last(), last(6)]).toEqual(["text 6", "text 5"]);
});
