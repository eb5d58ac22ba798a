import { expect, test } from "vitest";
import type { OutboxItem } from "../realtime/outbox.ts";
import type { Row } from "../realtime/rows.ts";
import { Entries, type Entry, estimate } from "./items.ts";

const ME = 1;
const ANA = { id: 2, username: "ana" };
const BO = { id: 3, username: "bo" };

/** Message `seq`, so many minutes after noon. */
const row = (seq: number, sender: Row["sender"], minute: number, more: Partial<Row> = {}): Row => ({
  ...{ kind: "text", room_id: 9, seq, rev: seq, id: `id${seq}`, sender, content: `text ${seq}` },
  created_at: new Date(Date.UTC(2026, 5, 1, 12, minute)).toISOString(),
  ...more,
});
const item = (id: string, minute: number): OutboxItem => ({
  ...{ id, roomId: 9, content: id, order: 1, state: "queued", retryAt: 0, rev: 0 },
  createdAt: new Date(Date.UTC(2026, 5, 1, 12, minute)).toISOString(),
});

const of = (
  rows: Row[],
  { pending = [] as OutboxItem[], newAfter = null as number | null, hasOlder = false } = {},
) => new Entries().of(rows, pending, ME, newAfter, hasOlder);
const heads = (entries: readonly Entry[]): (number | string | undefined)[] =>
  entries.filter(({ isHead }) => isHead).map(({ row, pending }) => row?.seq ?? pending?.id);
const firstNew = (entries: readonly Entry[]): (number | undefined)[] =>
  entries.filter(({ isFirstNew }) => isFirstNew).map(({ row }) => row?.seq);

test("an author shows once for what they say within five minutes of each other", () => {
  const entries = of([row(1, ANA, 0), row(2, ANA, 4), row(3, ANA, 9), row(4, ANA, 15), row(5, BO, 15)]);
  expect(heads(entries)).toEqual([1, 4, 5]);
});

test("an answer shows its author, and so does what follows a deleted message", () => {
  const entries = of([
    row(1, ANA, 0),
    row(2, ANA, 0, { reply_to: 1 }),
    row(3, ANA, 0, { deleted_at: "then" }),
    row(4, ANA, 0),
  ]);
  expect(heads(entries)).toEqual([1, 2, 4]);
});

test("a day begins with a line, unless there is more above", () => {
  const rows = [row(1, ANA, 0), row(2, ANA, 1), row(3, ANA, 24 * 60)];
  expect(of(rows).map(({ day }) => day !== null)).toEqual([true, false, true]);
  expect(of(rows, { hasOlder: true }).map(({ day }) => day !== null)).toEqual([false, false, true]);
});

test("the line stands above the first unread message of somebody else that isn't deleted", () => {
  const mine = { id: ME, username: "me" };
  const rows = [
    row(1, ANA, 0),
    row(2, mine, 0),
    row(3, ANA, 0, { deleted_at: "then" }),
    row(4, ANA, 0),
    row(5, ANA, 0),
  ];
  const entries = of(rows, { newAfter: 1 });
  expect([firstNew(entries), heads(entries)]).toEqual([[4], [1, 2, 3, 4]]);
  expect(firstNew(of(rows)), "nothing is unread").toEqual([]);
  expect(firstNew(of(rows, { newAfter: 5 }))).toEqual([]);
});

test("what is pending follows, and is the same entry once its row has come", () => {
  const mine = { id: ME, username: "me" };
  const entries = new Entries();
  const before = entries.of([row(1, mine, 0)], [item("id2", 1)], ME, null, false);
  expect(before.map(({ key }) => key)).toEqual(["1/id1", "1/id2"]);
  expect(heads(before)).toEqual([1]);
  const after = entries.of([row(1, mine, 0), row(2, mine, 1)], [], ME, null, false);
  expect(after.map(({ key, pending }) => [key, pending])).toEqual([
    ["1/id1", null],
    ["1/id2", null],
  ]);
});

test("what comes above moves nothing: who showed their author goes on to", () => {
  const entries = new Entries();
  const rows = [row(11, ANA, 1), row(12, ANA, 2)];
  const before = entries.of(rows, [], ME, null, true);
  const after = entries.of([row(10, ANA, 0), ...rows], [], ME, null, false);
  expect(heads(after)).toEqual([10, 11]);
  expect(after[2], "an entry that is the same is kept").toBe(before[1]);
  expect(after[1]).toBe(before[0]);
});

test("what is kept from the last time is what would be made anew", () => {
  const senders = [ANA, BO, { id: ME, username: "me" }];
  for (let seed = 1; seed <= 300; seed += 1) {
    let state = seed * 2654435761;
    const pick = (below: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    const entries = new Entries();
    let rows: Row[] = [];
    let newAfter: number | null = pick(2) ? pick(8) : null;
    for (let step = 0; step < 12; step += 1) {
      const at = pick(rows.length);
      const seq = (rows.at(-1)?.seq ?? 0) + 1;
      if (rows.length > 0 && pick(3) === 0)
        rows = rows.with(at, row(at + 1, senders[pick(3)] ?? ANA, at, pick(2) ? { deleted_at: "then" } : {}));
      else if (pick(12) === 0) newAfter = pick(8);
      else rows = [...rows, row(seq, senders[pick(3)] ?? ANA, seq * (1 + pick(200)))];
      const made = entries.of(rows, [], ME, newAfter, false);
      const shown = made.map(({ row, day, isFirstNew }) => [row?.seq, day, isFirstNew]);
      expect(shown, `seed ${seed}`).toEqual(
        of(rows, { newAfter }).map(({ row, day, isFirstNew }) => [row?.seq, day, isFirstNew]),
      );
      expect(made.map(({ row }) => row)).toEqual(rows);
    }
  }
});

test("nothing is made anew for the same input", () => {
  const entries = new Entries();
  const [rows, pending] = [[row(1, ANA, 0)], [item("a", 1)]];
  const made = entries.of(rows, pending, ME, null, false);
  expect(entries.of(rows, [...pending], ME, null, false)).toBe(made);
  expect(entries.of([...rows], pending, ME, null, false)).not.toBe(made);
});

test("longer texts are estimated higher, up to where they fold", () => {
  const height = (content: string) => estimate(first(of([row(1, ANA, 0, { content })])));
  expect(height("x".repeat(400))).toBeGreaterThan(height("x"));
  expect(height("a\nb\nc")).toBeGreaterThan(height("a b c"));
  expect(height("x\n".repeat(10_000))).toBe(height("x\n".repeat(30)));
});

function first([entry]: readonly Entry[]): Entry {
  if (!entry) throw new Error();
  return entry;
}
