// What was said last in a room: its newest message that isn't deleted, in short. A room tells it as it was at some `rev`,
// and frames keep it from there on.

import type { LastMessage, Message, UserSummary } from "../protocol/types.ts";
import { isNamedSo } from "./ephemeral.ts";
import type { Row, RowFrame } from "./rows.ts";
import type { Span } from "./span.ts";
import { oneLine } from "./text.ts";

export const inShort = ({ seq, sender, content = "", created_at }: Message | Row): LastMessage => ({
  seq,
  sender,
  snippet: oneLine(content),
  created_at,
});

/** All of it as plain data, for another tab or for the cache. */
export interface PreviewState {
  shown: LastMessage | null;
  /** As of which it is known. */
  rev: number;
  /** False: the message was deleted, and only the server knows which one came before it. */
  isKnown: boolean;
}

export class Preview implements PreviewState {
  shown: LastMessage | null;
  rev: number;
  isKnown: boolean;

  constructor({ shown, rev, isKnown }: PreviewState = { shown: null, rev: 0, isKnown: true }) {
    this.shown = shown;
    this.rev = rev;
    this.isKnown = isKnown;
  }

  get state(): PreviewState {
    return { shown: this.shown, rev: this.rev, isKnown: this.isKnown };
  }

  told(rev: number, last: LastMessage | undefined): void {
    if (rev < this.rev) return;
    this.rev = rev;
    this.shown = last ? { ...last, snippet: oneLine(last.snippet) } : null;
    this.isKnown = true;
  }

  rename(user: UserSummary): boolean {
    if (this.shown?.sender.id !== user.id || isNamedSo(this.shown.sender, user)) return false;
    this.shown = { ...this.shown, sender: user };
    return true;
  }

  /** `tail`: the newest rows, with this change applied. */
  changed(frame: RowFrame, tail: Span): void {
    const { shown } = this;
    if (frame.rev <= this.rev) return;
    if (frame.deleted_at) {
      if (frame.seq !== shown?.seq) return;
      const before = tail.rows.list().findLast((row) => row.seq < frame.seq && !row.deleted_at);
      this.shown = before ? inShort(before) : null;
      this.isKnown = before !== undefined || (tail.loaded && !tail.hasOlder);
    } else if (frame.type === "message") {
      if (shown && frame.seq < shown.seq) return;
      this.shown = inShort(frame);
      this.isKnown = true;
    } else {
      if (frame.seq !== shown?.seq || frame.content === undefined) return;
      this.shown = { ...shown, snippet: oneLine(frame.content) };
    }
    this.rev = frame.rev;
  }
}
