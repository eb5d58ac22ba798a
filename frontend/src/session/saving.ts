// Keeps rooms through a reload, a while after they have changed: those that were open in this tab, and in the tab that leads
// the list of all.

import type { RoomId } from "../protocol/types.ts";
import type { Cache } from "../realtime/cache.ts";
import type { SyncClient } from "../realtime/sync.ts";

const ROOMS_MS = 2_000;
const LIST_MS = 10_000;

export class Saving {
  readonly #client: SyncClient;
  readonly #cache: Cache;
  readonly #leads: () => boolean;
  /** By room: when it was open last. */
  readonly #usedAt = new Map<RoomId, number>();
  /** By room: its version as it was kept. */
  readonly #kept = new Map<RoomId, number>();
  #keptList = 0;
  #rooms: ReturnType<typeof setTimeout> | undefined;
  #list: ReturnType<typeof setTimeout> | undefined;

  constructor(client: SyncClient, cache: Cache, leads: () => boolean) {
    this.#leads = leads;
    this.#client = client;
    this.#cache = cache;
  }

  /** Something has changed. */
  changed(): void {
    this.#rooms ??= setTimeout(() => this.#saveRooms(), ROOMS_MS);
    this.#list ??= setTimeout(() => this.#saveList(), LIST_MS);
  }

  /** Keeps it now: the page may be about to go. */
  flush(): void {
    this.#saveRooms();
    this.#saveList();
  }

  stop(): void {
    clearTimeout(this.#rooms);
    clearTimeout(this.#list);
  }

  #saveRooms(): void {
    clearTimeout(this.#rooms);
    this.#rooms = undefined;
    const { epoch, rooms } = this.#client;
    if (epoch === null) return;
    for (const { id, isOpen, version, tail } of rooms.values()) {
      if (isOpen) this.#usedAt.set(id, Date.now());
      const usedAt = this.#usedAt.get(id);
      if (usedAt === undefined || !tail.loaded || this.#kept.get(id) === version) continue;
      this.#kept.set(id, version);
      const frozen = this.#client.freeze(id);
      if (frozen) void this.#cache.saveRoom(epoch, frozen, usedAt);
    }
  }

  #saveList(): void {
    clearTimeout(this.#list);
    this.#list = undefined;
    if (!this.#leads() || this.#client.version === this.#keptList) return;
    this.#keptList = this.#client.version;
    const list = this.#client.freezeList();
    if (list) void this.#cache.saveList(list);
  }
}
