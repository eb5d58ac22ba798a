// A part of a room's history without holes: the tail, which goes on to the newest message, or a part far from it.

import type { UserId } from "../protocol/types.ts";
import type { PageRequest } from "./effects.ts";
import { type RowFrame, Rows } from "./rows.ts";

/** Of changes that wait for a page. When there are more, the page is asked for anew. */
const EARLY_MAX = 2_000;

export class Span {
  readonly rows: Rows;
  /** The first and the last seq: once it is loaded, all messages between them are held. The tail's end is open. */
  from = Infinity;
  to: number;
  loaded = false;
  loading: PageRequest | null = null;
  /** The page that could not be read. */
  failed: PageRequest | null = null;
  /** Changes to rows not held, while a page that may hold them is on its way. */
  early: RowFrame[] = [];

  constructor(me: UserId, to = Infinity) {
    this.rows = new Rows(me);
    this.to = to;
  }

  get hasOlder(): boolean {
    return this.loaded && this.from > 1;
  }

  get hasNewer(): boolean {
    return this.loaded && this.to !== Infinity;
  }

  covers(seq: number): boolean {
    return this.loaded && seq >= this.from && seq <= this.to;
  }

  /** Takes up a change; false when it had to be dropped, and with it the page that is on its way. */
  change(frame: RowFrame): boolean {
    if (this.covers(frame.seq)) this.rows.put(frame);
    else if (this.loading && this.early.length >= EARLY_MAX) return false;
    else if (this.loading) this.early.push(frame);
    return true;
  }

  /** Moves its ends by a page that was asked for by `request`, and gives what changed meanwhile. */
  extend({ before, after, around }: PageRequest, seqs: readonly number[], isLast: boolean): RowFrame[] {
    const [first, last] = [seqs[0], seqs.at(-1)];
    if (after === null) this.from = before === null ? (first ?? 1) : Math.min(this.from, first ?? 1);
    if (after !== null || around !== null) this.to = isLast ? Infinity : Math.max(last ?? 0, after ?? 0);
    this.loaded = true;
    return this.settle(null);
  }

  /** The page has come, or it will not. What is asked for from now on is read later than the changes that waited. */
  settle(failed: PageRequest | null): RowFrame[] {
    const { early } = this;
    this.early = [];
    this.loading = null;
    this.failed = failed;
    return early;
  }

  /** Keeps the newest rows. A page that was to go on from the oldest one doesn't fit any more. */
  keepLast(count: number): void {
    if (this.rows.size <= count) return;
    this.rows.keepLast(count);
    this.from = this.rows.first?.seq ?? this.from;
    this.settle(null);
  }

  /** Takes up a part that touches this one from below. */
  absorb(older: Span): void {
    this.rows.absorb(older.rows);
    this.settle(null);
    if (older.from >= this.from) return;
    this.from = older.from;
    // A page on its way to the older end is one of this part now.
    if (older.loading?.before != null) {
      this.loading = older.loading;
      this.early = older.early;
    }
  }
}
