// The two parts of a room's messages: its tail, and one that is away from it; and how much of them is held.
import { expect, test } from "vitest";
import type { PageRequest } from "./effects.ts";
import { Span } from "./span.ts";
import { ANA, asked, first, held, I, item, message, opened, page, ready, room, sent } from "./support.ts";
import { SyncClient } from "./sync.ts";

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);
const seqs = (client: SyncClient): number[] => client.rows(12).map((row) => row.seq);
const update = (client: SyncClient, seq: number, rev: number, more: object) =>
  client.receive({ type: "message_updated", room_id: 12, seq, rev, ...more }, 0);

/** A page whose rows are all older than rev 1000, with what the server says of more. */
const rows = (from: number, to: number, next: string | null, rev = 1000) => ({
  items: range(from, to).map((seq) => message(seq, seq)),
  next,
  rev,
});

/** A room of 500 messages, all read, synced at rev 1000 and open; `tail` has come. */
function large(tail: { items: object[] } | null = rows(451, 500, "451")): SyncClient {
  const client = new SyncClient({ userId: 1 });
  const effects = client.receive(ready([room({ rev: 1000, last_seq: 500, last_read_seq: 500 })]), 0);
  const { ref } = first(sent(effects, "sync"));
  client.receive({ type: "synced", ref, room_id: 12, prev: 1000, rev: 1000 }, 0);
  if (tail) client.loaded("page", first(asked(client.open(12), "page")), tail);
  return client;
}

/** Opens it around a message, and gives the question. */
function around(client: SyncClient, seq: number): PageRequest {
  return first(asked(client.open(12, { around: seq }), "page"));
}

test("a message that isn't held is shown with what is around it; the tail stays", () => {
  const client = large();
  const request = around(client, 100);
  expect([request.before, request.after, request.around, request.limit]).toEqual([null, null, 100, 100]);
  expect([client.isShown(12), client.rows(12), held(client).view]).toEqual([false, [], "away"]);
  client.loaded("page", request, rows(80, 120, "120"));
  expect([client.isShown(12), client.hasOlder(12), client.hasNewer(12)]).toEqual([true, true, true]);
  expect(seqs(client)).toEqual(range(80, 120));
  client.jumpToLatest(12);
  expect(seqs(client)).toEqual(range(451, 500));
  expect([held(client).view, client.hasNewer(12), held(client).away]).toEqual(["tail", false, null]);
});

test("a message that is held is shown without a question", () => {
  const client = large();
  expect(asked(client.open(12, { around: 460 }), "page")).toEqual([]);
  expect(held(client).view).toBe("tail");
  client.loaded("page", around(client, 100), rows(80, 120, "120"));
  expect(asked(client.open(12, { around: 110 }), "page")).toEqual([]);
  expect(held(client).view).toBe("away");
  expect(asked(client.open(12, { around: 470 }), "page")).toEqual([]);
  expect(held(client).view, "back at the end").toBe("tail");
});

test("pages extend the part that is away, and it becomes one with the tail when they touch", () => {
  const client = large(rows(151, 500, "151"));
  client.loaded("page", around(client, 60), rows(50, 100, "100"));
  const older = first(asked(client.loadOlder(12), "page"));
  expect([older.before, older.after]).toEqual([50, null]);
  expect(client.loadNewer(12), "one page at a time").toEqual([]);
  client.loaded("page", older, rows(1, 49, null));
  expect([client.hasOlder(12), seqs(client)[0]]).toEqual([false, 1]);
  const newer = first(asked(client.loadNewer(12), "page"));
  expect([newer.before, newer.after]).toEqual([null, 100]);
  client.loaded("page", newer, rows(101, 150, "150"));
  expect(seqs(client)).toEqual(range(1, 500));
  expect([held(client).view, client.hasOlder(12), client.hasNewer(12)]).toEqual(["tail", false, false]);
});

test("older pages of the tail meet the part that is away, too", () => {
  const client = large();
  client.loaded("page", around(client, 420), rows(400, 440, "440"));
  const asking = first(asked(client.loadOlder(12), "page")); // of the part that is away
  held(client).view = "tail";
  client.loaded("page", first(asked(client.loadOlder(12), "page")), rows(441, 450, "441"));
  expect(held(client).away).toBe(null);
  client.loaded("page", asking, rows(350, 399, "350"));
  expect(seqs(client), "the page that was on its way still fits").toEqual(range(350, 500));
});

test("of two parts that meet each row is the newer one, and only a page of the older end stays on its way", () => {
  const [tail, away] = [new Span(1), new Span(1, 0)];
  const put = (span: Span, from: number, to: number, rev: number): void => {
    for (const seq of range(from, to)) span.rows.put(message(seq, rev));
    Object.assign(span, { from, loaded: true });
  };
  put(tail, 4, 6, 20);
  put(away, 1, 5, 10);
  away.rows.put(message(5, 30, { sender: I, id: "mine" }));
  const request = { number: 1, roomId: 12, before: 1, after: null, around: null, limit: 50, in_ms: 0 };
  away.loading = { ...request, before: null, after: 5 };
  tail.absorb(away);
  expect([tail.from, tail.to, tail.loading]).toEqual([1, Infinity, null]);
  expect(tail.rows.list().map(({ seq, rev }) => [seq, rev])).toEqual([
    [1, 10],
    [2, 10],
    [3, 10],
    [4, 20],
    [5, 30],
    [6, 20],
  ]);
  expect(tail.rows.hasMine("mine")).toBe(true);
  tail.keepLast(1);
  expect(tail.rows.hasMine("mine"), "its row is dropped").toBe(false);
  tail.from = 1;
  const further = new Span(1, 0);
  put(further, -2, 0, 10);
  further.loading = request;
  further.early = [message(-3, 40)];
  tail.absorb(further);
  expect([tail.loading, tail.early.length]).toEqual([request, 1]);
});

test("a part that reaches the end is the tail, where there is none", () => {
  const client = large(null);
  client.open(12, { around: 480 });
  client.loaded("page", around(client, 479), rows(430, 500, null));
  expect([held(client).view, client.hasNewer(12), seqs(client).at(-1)]).toEqual(["tail", false, 500]);
  client.receive(message(501, 1001), 0);
  expect(seqs(client).at(-1)).toBe(501);
});

test("live changes reach whichever part holds the row, and pages that are on their way", () => {
  const client = large();
  client.loaded("page", around(client, 100), rows(80, 120, "120"));
  update(client, 100, 1001, { content: "away" });
  update(client, 490, 1002, { content: "in the tail" });
  client.receive(message(501, 1003), 0);
  expect(client.row(12, 100)?.content).toBe("away");
  expect(client.row(12, 490)?.content).toBe("in the tail");
  expect(seqs(client), "new messages are the tail's").toEqual(range(80, 120));
  const newer = first(asked(client.loadNewer(12), "page"));
  update(client, 130, 1004, { content: "while it was on its way" });
  client.loaded("page", newer, rows(121, 170, "170", 1003));
  expect(client.row(12, 130)?.content).toBe("while it was on its way");
  client.jumpToLatest(12);
  expect(seqs(client).at(-1)).toBe(501);
});

test("new messages that come while the last page is on its way are not lost", () => {
  const client = large(null);
  client.loaded("page", around(client, 400), rows(380, 420, "420"));
  const newer = first(asked(client.loadNewer(12), "page"));
  client.receive(message(501, 1001), 0);
  client.loaded("page", newer, rows(421, 500, null));
  expect(seqs(client)).toEqual(range(380, 501));
});

test("a room opens at its first unread message where that is far from the end, else at its end", () => {
  const read = (last_read_seq: number) => {
    const client = new SyncClient({ userId: 1 });
    client.receive(ready([room({ rev: 1000, last_seq: 500, last_read_seq })]), 0);
    const request = first(asked(client.open(12), "page"));
    return [request.around, request.limit];
  };
  expect(read(100)).toEqual([101, 100]);
  expect(read(349)).toEqual([350, 100]);
  expect(read(350)).toEqual([null, 160]);
  expect(read(500)).toEqual([null, 50]);
  const client = large();
  client.open(13);
  client.receive(message(501, 1001), 0);
  expect(asked(client.open(12), "page"), "it is held").toEqual([]);
});

test("a room that is open stays where it is", () => {
  const client = large();
  client.loaded("page", around(client, 100), rows(80, 120, "120"));
  client.open(12, { members: true });
  expect(held(client).view).toBe("away");
  client.disconnected();
  client.receive(ready([room({ rev: 1000, last_seq: 500, last_read_seq: 100 })]), 0);
  expect(seqs(client)).toEqual(range(80, 120));
});

test("after a reset a part that was away is read anew where it was", () => {
  const client = large();
  client.loaded("page", around(client, 100), rows(80, 120, "120"));
  const reset = client.receive({ type: "reset", room_id: 12, rev: 2000, reason: "too_far" }, 0);
  expect(asked(reset, "page").map((request) => request.around)).toEqual([100]);
  client.disconnected();
  const anew = client.receive(ready([room({ rev: 9, last_seq: 5 })], "e2"), 0);
  expect(asked(anew, "page").map((request) => request.around)).toEqual([100]);
});

test("a page that can't be read is said, and read when it is asked for again", () => {
  const client = large(null);
  client.loaded("page", first(asked(client.open(12), "page")), null);
  expect([held(client).loadFailed, client.isShown(12)]).toEqual([true, false]);
  client.loaded("page", first(asked(client.open(12), "page")), rows(451, 500, "451"));
  expect([held(client).loadFailed, client.isShown(12)]).toEqual([false, true]);
  client.loaded("page", first(asked(client.loadOlder(12), "page")), null);
  expect(held(client).loadFailed).toBe(true);
  expect(asked(client.open(12), "page").map((request) => request.before)).toEqual([451]);
});

test("a page of broken rows holds the others", () => {
  const client = large(null);
  const request = first(asked(client.open(12), "page"));
  const items = [null, {}, { seq: 499 }, { ...message(499, 9), sender: null }, message(500, 9)];
  client.loaded("page", request, { items, next: null, rev: 1000 });
  expect(seqs(client)).toEqual([500]);
  for (const body of [7, "x", {}, { items: 3 }]) {
    const client = large(null);
    client.loaded("page", first(asked(client.open(12), "page")), body);
    expect(held(client).loadFailed).toBe(true);
  }
});

// ---- how much is held

test("while its end is read, the tail drops its oldest rows, and can read them again", () => {
  const client = opened();
  for (let seq = 6; seq <= 2_000; seq++) client.receive(message(seq, seq + 5), 0);
  client.trim(12);
  expect(client.rows(12).length).toBe(2_000);
  const older = asked(client.loadOlder(12), "page");
  expect(older).toEqual([]);
  client.receive(message(2_001, 2_006), 0);
  client.trim(12);
  expect([client.rows(12).length, seqs(client)[0], client.hasOlder(12)]).toEqual([1_000, 1_002, true]);
  const request = first(asked(client.loadOlder(12), "page"));
  expect(request.before).toBe(1_002);
  client.receive(message(2_002, 2_007), 0);
  for (let seq = 2_003; seq <= 3_100; seq++) client.receive(message(seq, seq + 5), 0);
  client.trim(12);
  client.loaded("page", request, page([1_000, 1_001], 2_000));
  expect(seqs(client)[0], "a page that doesn't fit any more").toBe(2_101);
});

test("a room that isn't open holds two hundred messages at most, and nothing away from them", () => {
  const client = large(rows(201, 500, "201"));
  client.loaded("page", around(client, 100), rows(80, 120, "120"));
  client.open(13);
  expect([client.rows(12).length, held(client).view, held(client).away]).toEqual([200, "tail", null]);
  client.receive(message(501, 1001), 0);
  expect([client.rows(12).length, seqs(client)[0], client.hasOlder(12)]).toEqual([200, 302, true]);
  client.close();
  client.receive(message(502, 1002), 0);
  expect(client.rows(12).length).toBe(200);
});

test("so many changes wait for a page at most: then it is asked for anew", () => {
  const client = large(null);
  const request = first(asked(client.open(12), "page"));
  let effects = client.receive(message(501, 1001), 0);
  for (let seq = 502; asked(effects, "page").length === 0; seq++) {
    expect(seq).toBeLessThan(3_000);
    effects = client.receive(message(seq, seq + 500), 0);
  }
  const again = first(asked(effects, "page"));
  client.loaded("page", request, rows(451, 500, "451"));
  expect(client.isShown(12), "the first answer is void").toBe(false);
  client.loaded("page", again, rows(2_470, 2_501, "2470", 4_000));
  expect(seqs(client).at(-1)).toBe(2_501);
});

// ---- what is handed out

test("lists and rows are the same objects until they change", () => {
  const client = opened();
  const before = client.rows(12);
  expect(client.rows(12)).toBe(before);
  client.receive({ type: "typing", room_id: 12, user_id: 2 }, 0);
  expect(client.rows(12)).toBe(before);
  client.receive(message(6, 11), 0);
  const after = client.rows(12);
  expect(after).not.toBe(before);
  expect(after.slice(0, 5).every((row, index) => row === before[index])).toBe(true);
  expect(client.members(12)).toBe(client.members(12));
  expect(client.pins(12)).toBe(client.pins(12));
  expect(client.pending(12)).toBe(client.pending(12));
  expect([client.rows(99), client.pending(99), client.pins(99), client.members(99)]).toEqual([
    [],
    [],
    [],
    [],
  ]);
  expect(client.rows(99)).toBe(client.rows(98));
});

test("a change of mine makes one row anew, once", () => {
  const client = opened();
  const before = client.rows(12);
  client.change({ type: "edit", room_id: 12, seq: 5, content: "better" }, 0);
  client.change({ type: "react", room_id: 12, seq: 5, emoji: "👍", on: true }, 0);
  const shown = client.rows(12);
  expect(shown[4]).toMatchObject({ content: "better", reactions: [{ emoji: "👍", count: 1, me: true }] });
  expect(client.rows(12)).toBe(shown);
  client.receive(message(6, 11), 0);
  expect(client.rows(12)[4]).toBe(shown[4]);
  expect(client.row(12, 5)).toBe(shown[4]);
  expect(client.rows(12)[3]).toBe(before[3]);
});

test("versions rise with what a room shows, and with nothing else of other rooms", () => {
  const client = opened();
  client.receive({ type: "added", room_id: 13, room: room({ id: 13 }) }, 0);
  const versions = () => [client.version, held(client).version, client.room(13)?.version ?? 0] as const;
  const rises = (act: () => unknown): [boolean, boolean, boolean] => {
    const before = versions();
    act();
    const after = versions();
    return [after[0] > before[0], after[1] > before[1], after[2] > before[2]];
  };
  const only12 = [true, true, false];
  expect(rises(() => client.receive(message(6, 11), 0))).toEqual(only12);
  expect(rises(() => client.enqueue(item("a"), 0))).toEqual(only12);
  expect(rises(() => client.receive({ type: "typing", room_id: 12, user_id: 2 }, 0))).toEqual(only12);
  expect(rises(() => client.wake(7_000))).toEqual(only12);
  expect(rises(() => client.markRead(12, 6))).toEqual(only12);
  expect(rises(() => client.change({ type: "delete", room_id: 12, seq: 5 }, 0))).toEqual(only12);
  const left = { type: "member", room_id: 12, rev: 12, user: ANA, role: null, member_count: 1 };
  expect(rises(() => client.receive(left, 0))).toEqual(only12);
  const noRoom = [true, false, false];
  expect(rises(() => client.receive({ type: "presence", online: [2], offline: [] }, 0))).toEqual(noRoom);
  expect(rises(() => client.loaded("online", { ids: [2] }, { items: [] }))).toEqual(noRoom);
  client.receive({ type: "typing", room_id: 12, user_id: 7 }, 9_000);
  const eve = { items: [{ id: 7, username: "eve" }] };
  expect(
    rises(() => client.loaded("people", { ids: [7] }, eve)),
    "who types has a name now",
  ).toEqual(only12);
  const none = [false, false, false];
  expect(rises(() => client.receive({ type: "pong" }, 0))).toEqual(none);
  expect(
    rises(() => client.receive(message(6, 11), 0)),
    "doubled, it may",
  ).toEqual(only12);
  expect(rises(() => client.markRead(12, 6))).toEqual(none);
  expect(rises(() => client.loadOlder(12))).toEqual(none);
  expect(rises(() => client.wake(8_000))).toEqual(none);
  expect(rises(() => client.meet([2]))).toEqual(none);
  expect(rises(() => client.trim(12))).toEqual(none);
  const before = held(client).version;
  client.receive({ type: "reset", room_id: 12, rev: 3, reason: "epoch" }, 0);
  expect(held(client).version).toBeGreaterThan(before);
});
