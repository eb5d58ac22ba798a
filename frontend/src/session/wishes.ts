// Edits and deletions that the server hasn't answered yet, kept through a reload. All tabs share them: of what is kept for one
// message the newest counts.

import type { Change } from "../realtime/effects.ts";
import { isObject } from "../realtime/frames.ts";
import { kept } from "./marks.ts";

export class Wishes {
  readonly #prefix: string;

  constructor(userId: number) {
    this.#prefix = `hearth.wish.${userId}.`;
  }

  keep(key: string, change: Change): void {
    kept.set(this.#prefix + key, change);
  }

  drop(key: string): void {
    kept.remove(this.#prefix + key);
  }

  /** All of them, without what is broken. */
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
