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
  #last = new Map<string, Entry>();
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
    this.#of = inputs;
    const made: Entry[] = [];
    let author = -1;
    let at = 0;
    let day = -1;
    let isLineShown = newAfter === null;
    const add = (
      key: string,
      row: Row | null,
      item: OutboxItem | null,
      sender: number,
      moment: string,
    ): void => {
      const time = Date.parse(moment);
      const isNewDay = dayOf(time) !== day;
      const isFirstNew =
        !isLineShown &&
        row !== null &&
        newAfter !== null &&
        row.seq > newAfter &&
        sender !== me &&
        !row.deleted_at;
      const isHead =
        this.#last.get(key)?.isHead ||
        isNewDay ||
        isFirstNew ||
        sender !== author ||
        time - at > GROUP_MS ||
        Boolean(row?.reply_to ?? item?.replyTo);
      isLineShown ||= isFirstNew;
      [author, at, day] = [row?.deleted_at ? -1 : sender, time, dayOf(time)];
      const isDayShown = isNewDay && !(hasOlder && made.length === 0);
      made.push(this.#same({ key, row, pending: item, day: isDayShown ? moment : null, isFirstNew, isHead }));
    };
    for (const row of rows) add(keyOfRow(row), row, null, row.sender.id, row.created_at);
    for (const item of pending) add(`${me}/${item.id}`, null, item, me, item.createdAt);
    this.#last = new Map(made.map((entry) => [entry.key, entry]));
    this.#made = made;
    return made;
  }

  #same(entry: Entry): Entry {
    const old = this.#last.get(entry.key);
    const isSame =
      old !== undefined &&
      old.row === entry.row &&
      old.pending === entry.pending &&
      old.day === entry.day &&
      old.isFirstNew === entry.isFirstNew &&
      old.isHead === entry.isHead;
    return isSame ? old : entry;
  }
}

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
