// The box, reached from elsewhere: to answer a message, or to go on writing.

import { session } from "../session/session.ts";

const BOX_ID = "composer";

export const focusComposer = (): void => document.getElementById(BOX_ID)?.focus();
export const composerId = BOX_ID;

/** The next message answers this one; undefined: none. */
export function replyTo(roomId: number, seq: number | undefined): void {
  const drafts = session.getState().engine?.drafts;
  if (!drafts) return;
  const { text } = drafts.of(roomId);
  drafts.set(roomId, { text, ...(seq !== undefined && { replyTo: seq }) });
  focusComposer();
}
