// Edits and deletions that the server hasn't answered yet, kept in the local storage through a reload. All tabs share them. For
// each message the newest change counts.

import type { Change } from "../realtime/effects.ts";
import { isObject } from "../realtime/frames.ts";
import { kept } from "./marks.ts";

export class PendingChanges {
  readonly #prefix: string;

  constructor(userId: number) {
    this.#prefix = `hearth.change.${userId}.`;
  }

  keep(key: string, change: Change): void {
    kept.set(this.#prefix + key, change);
  }

  drop(key: string): void {
    kept.remove(this.#prefix + key);
  }

  /** All that can be read. */
  all(): Change[] {
    return kept.keys(this.#prefix).flatMap((key) => changeOf(kept.get<unknown>(key)) ?? []);
  }

  forget(): void {
    for (const key of kept.keys(this.#prefix)) kept.remove(key);
  }
}

function changeOf(value: unknown): Change | null {
  if (!isObject(value)) return null;
  const { type, room_id, seq, content } = value;
  if (typeof room_id !== "number" || typeof seq !== "number") return null;
  if (type === "delete") return { type, room_id, seq };
  return type === "edit" && typeof content === "string" ? { type, room_id, seq, content } : null;
}
