import type { Change } from "./effects.ts";
import type { Row } from "./rows.ts";

/** An edit, deletion or reaction of mine on its way. */
export interface Wish {
  /** What it is about. */
  readonly key: string;
  readonly frame: Change;
  state: "queued" | "sent" | "stored";
  retryAt: number;
  /** Of the row, once it is stored. */
  rev: number;
  /** What it made of a row, so that this stays the same as long as the row does. */
  made: { of: Row; row: Row } | null;
}
