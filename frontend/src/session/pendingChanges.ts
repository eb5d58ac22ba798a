// Edits and deletions that the server hasn't answered yet, kept in the local storage through a reload. All tabs share them. For
// each message the newest change counts.

import type { Change } from "../realtime/effects.ts";
import { isObject } from "../realtime/frames.ts";
import { kept } from "./marks.ts";

interface Pending {
  key: string;
  change: Change;
  /** Of the log whose message it changes. */
  epoch: string | null;
}

export class PendingChanges {
  readonly #prefix: string;

  constructor(account: string) {
    this.#prefix = `hearth.change.${account}.`;
  }

  keep({ key, change, epoch }: Pending): void {
    kept.set(this.#prefix + key, { epoch, change });
  }

  drop(key: string): void {
    kept.remove(this.#prefix + key);
  }

  /** All that can be read. */
  all(): Pending[] {
    return kept.keys(this.#prefix).flatMap((name) => {
      const value = kept.get<unknown>(name);
      const change = isObject(value) ? changeOf(value.change) : null;
      if (!isObject(value) || !change) return [];
      const epoch = typeof value.epoch === "string" ? value.epoch : null;
      return { key: name.slice(this.#prefix.length), change, epoch };
    });
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
