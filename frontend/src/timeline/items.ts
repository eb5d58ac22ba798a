// From the rows of a room to what the list shows: separators, groups, and what is pending.

import type { OutboxItem } from "../realtime/outbox.ts";
import type { Row } from "../realtime/rows.ts";
import { dayOf } from "../shell/time.ts";

const GROUP_MS = 5 * 60_000;

/** One entry of the list: a message, with what stands above it. */
export interface Entry {
  key: string;
  row: Row | null;
  /** A message of mine that the server has not told back yet. */
  pending: OutboxItem | null;
  /** The moment of a day that begins here. */
  day: string | null;
  /** The first unread one. */
  isFirstNew: boolean;
  /** It shows its author; those that follow soon by the same one don't. */
  isHead: boolean;
}

const keyOfRow = (row: Row): string => `${row.sender.id}/${row.id}`;

/** Makes the entries, and keeps those of the last time that are the same, so that their rows aren't drawn again. */
export class Entries {
  #made: readonly Entry[] = [];
  #of: readonly unknown[] = [];

  /**
   * `newAfter`: the seq below the line "New"; null: there is none. What comes above a message must not move it: who
   * showed their author goes on to, and where there is more above, the first one's day is not known to begin there.
   */
  of(
    rows: readonly Row[],
    pending: readonly OutboxItem[],
    me: number,
    newAfter: number | null,
    hasOlder: boolean,
  ): readonly Entry[] {
    const inputs = [rows, newAfter, hasOlder, ...pending];
    if (inputs.length === this.#of.length && inputs.every((input, index) => input === this.#of[index]))
      return this.#made;
    // What depends on nothing that has changed is kept without a look: mostly all but the last.
    const [, lastNewAfter, lastHasOlder] = this.#of;
    const isAlike = newAfter === lastNewAfter && hasOlder === lastHasOlder;
    const kept = isAlike ? this.#alike(rows) : 0;
    const last = new Map(this.#made.slice(kept).map((entry) => [entry.key, entry]));
    const made = this.#made.slice(0, kept);
    let isLineShown = newAfter === null || made.some(({ isFirstNew }) => isFirstNew);
    let above = placeAbove(rows[kept - 1]);
    const add = (key: string, row: Row | null, item: OutboxItem | null, below: Place): void => {
      const { author, at, day } = below;
      const isNewDay = day !== above.day;
      const isFirstNew =
        !isLineShown &&
        row !== null &&
        newAfter !== null &&
        row.seq > newAfter &&
        row.sender.id !== me &&
        !row.deleted_at;
      const old = last.get(key);
      const isHead =
        old?.isHead ||
        isNewDay ||
        isFirstNew ||
        author !== above.author ||
        at - above.at > GROUP_MS ||
        Boolean(row?.reply_to ?? item?.replyTo);
      isLineShown ||= isFirstNew;
      above = row?.deleted_at ? { ...below, author: NOBODY } : below;
      const moment = row?.created_at ?? item?.createdAt ?? "";
      const isDayShown = isNewDay && !(hasOlder && made.length === 0);
      const entry = { key, row, pending: item, day: isDayShown ? moment : null, isFirstNew, isHead };
      made.push(old && isSame(old, entry) ? old : entry);
    };
    for (const row of rows.slice(kept)) {
      add(keyOfRow(row), row, null, placeOf(row.sender.id, row.created_at));
    }
    for (const item of pending) add(`${me}/${item.id}`, null, item, placeOf(me, item.createdAt));
    this.#of = inputs;
    this.#made = made;
    return made;
  }

  /** How many rows at the beginning are those of the last time. */
  #alike(rows: readonly Row[]): number {
    let count = 0;
    while (count < rows.length && this.#made[count]?.row === rows[count]) count += 1;
    return count;
  }
}

/** Who said something, and when: whether the next entry shows its author and a day depends on it. */
interface Place {
  author: number;
  at: number;
  day: number;
}

const NOBODY = -1;

function placeOf(author: number, moment: string): Place {
  const at = Date.parse(moment);
  return { author, at, day: dayOf(at) };
}

const placeAbove = (row: Row | undefined): Place =>
  row ? placeOf(row.deleted_at ? NOBODY : row.sender.id, row.created_at) : { author: NOBODY, at: 0, day: -1 };

const isSame = (old: Entry, entry: Entry): boolean =>
  old.row === entry.row &&
  old.pending === entry.pending &&
  old.day === entry.day &&
  old.isFirstNew === entry.isFirstNew &&
  old.isHead === entry.isHead;

/** The height in px that an entry will about have, before it is ever drawn. */
export function estimate({ row, pending, isHead, day, isFirstNew }: Entry): number {
  const text = row?.content ?? pending?.content ?? "";
  let lines = 0;
  let start = 0;
  while (lines < 25 && start <= text.length) {
    const end = text.indexOf("\n", start);
    const length = (end < 0 ? text.length : end) - start;
    lines += Math.max(1, Math.ceil(length / 90));
    if (end < 0) break;
    start = end + 1;
  }
  return (
    lines * 23 +
    6 +
    (isHead ? 34 : 0) +
    (day ? 44 : 0) +
    (isFirstNew ? 28 : 0) +
    (row?.reactions?.length ? 36 : 0) +
    (row?.reply_to ? 26 : 0)
  );
}
