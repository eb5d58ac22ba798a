// The messages that are not sent yet, through a reload. Each tab sends what it holds: an `id` that is sent twice is stored once.

import type { SavedItem } from "../realtime/effects.ts";
import { kept } from "./marks.ts";

function isItem(value: unknown): value is SavedItem {
  if (typeof value !== "object" || value === null) return false;
  const { id, roomId, content, createdAt, order } = value as Partial<Record<keyof SavedItem, unknown>>;
  return (
    typeof id === "string" &&
    Number.isSafeInteger(roomId) &&
    typeof content === "string" &&
    typeof createdAt === "string" &&
    Number.isSafeInteger(order)
  );
}

export class OutboxStore {
  readonly #prefix: string;
  #last = 0;
  #unwatch: () => void = () => {};

  constructor(userId: number) {
    this.#prefix = `hearth.outbox.${userId}.`;
  }

  /** Those that are kept, in their order. A record that is broken is forgotten. */
  items(): SavedItem[] {
    const items: SavedItem[] = [];
    for (const key of kept.keys(this.#prefix)) {
      const item = kept.get(key);
      if (isItem(item)) items.push(item);
      else kept.remove(key);
    }
    this.#last = Math.max(0, ...items.map(({ order }) => order));
    return items.sort((a, b) => a.order - b.order);
  }

  /** The next place in the order of saying, which no clock decides. */
  next(): number {
    this.#last += 1;
    return this.#last;
  }

  save(item: SavedItem): void {
    kept.set(this.#prefix + item.id, item);
  }

  erase(id: string): void {
    kept.remove(this.#prefix + id);
  }

  /** Tells of items that another tab has sent or discarded. */
  watch(gone: (id: string) => void): void {
    const listen = ({ key, newValue }: StorageEvent): void => {
      if (newValue === null && key?.startsWith(this.#prefix)) gone(key.slice(this.#prefix.length));
    };
    addEventListener("storage", listen);
    this.#unwatch = () => removeEventListener("storage", listen);
  }

  stop({ forget }: { forget: boolean }): void {
    this.#unwatch();
    if (forget) for (const key of kept.keys(this.#prefix)) kept.remove(key);
  }
}
