// A room's pinned messages: read once, and kept by what changes.

import type { UserId } from "../protocol/types.ts";
import type { ListRequest } from "./effects.ts";
import { type Row, type RowFrame, Rows } from "./rows.ts";

export class Pins {
  readonly rows: Rows;
  loaded = false;
  loading: ListRequest | null = null;
  /** Changes that came while the list was on its way. */
  early: RowFrame[] = [];

  constructor(me: UserId) {
    this.rows = new Rows(me);
  }

  /** Keeps the list by a change; `held` is the row as the room holds it. False: only a new reading can tell. */
  change(frame: RowFrame, held: Row | undefined): boolean {
    const pinned = this.rows.get(frame.seq);
    if (pinned && pinned.rev >= frame.rev) return true;
    const isUnpinned =
      frame.deleted_at || (frame.type === "message" ? !frame.pinned_at : frame.pinned_at === null);
    if (isUnpinned) this.rows.delete(frame.seq);
    else if (pinned || frame.type === "message") this.rows.put(frame);
    else if (frame.pinned_at) {
      if (held?.pinned_at) this.rows.set(held); // it may know of a later unpinning
      return held !== undefined;
    }
    return true;
  }
}
