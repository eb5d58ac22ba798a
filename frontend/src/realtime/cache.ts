// What a browser keeps of a session through a reload, in IndexedDB: messages that are not sent, and rooms as they were seen
// last. Storage may be forbidden, full, blocked or broken: then nothing is kept, which is told once, and the page works
// from memory.

import { type DBSchema, type IDBPDatabase, openDB } from "idb";
import type { RoomId } from "../protocol/types.ts";
import type { Cached } from "./delivery.ts";
import type { SavedItem } from "./effects.ts";
import { isFrozenRoom, isObject } from "./frames.ts";
import type { FrozenRoom } from "./room.ts";

/** Of the records' form. An upgrade may drop the rooms, which can be read again; from here on it carries the outbox over. */
const VERSION = 2;
const ANSWER_MS_MAX = 3_000;
const ROOMS_MAX = 30;

interface Schema extends DBSchema {
  outbox: { key: string; value: SavedItem };
  /** The rooms that were used last, with their content. */
  rooms: {
    key: RoomId;
    value: { epoch: string; usedAt: number; room: FrozenRoom };
    indexes: { usedAt: number };
  };
  /** All rooms without it; one record. */
  list: { key: "list"; value: Cached };
}

type Name = "outbox" | "rooms" | "list";
type Database = IDBPDatabase<Schema>;

export interface CacheOptions {
  /** The key of the account. */
  account: string;
  /** Storage doesn't work, and nothing is kept. Told once. */
  failed: (error: unknown) => void;
}

export class Cache {
  readonly #name: string;
  readonly #failed: (error: unknown) => void;
  #opening: Promise<Database> | null = null;
  #isBroken = false;
  #isTold = false;

  constructor({ account, failed }: CacheOptions) {
    this.#name = `hearth.${account}`;
    this.#failed = failed;
  }

  // ---- messages that are not sent

  /** In their order, without what is broken. */
  outbox(): Promise<SavedItem[]> {
    return this.#try([], async (db) => {
      const items = (await db.getAll("outbox")).filter(isItem);
      return items.sort((a, b) => a.order - b.order);
    });
  }

  saveItem(item: SavedItem): Promise<void> {
    return this.#try(undefined, async (db) => {
      const keeping = db.transaction("outbox", "readwrite");
      void keeping.store.put(item, item.id).catch(() => {}); // its end tells it
      keeping.commit(); // at once: the page may be about to go
      await keeping.done;
    });
  }

  eraseItem(id: string): Promise<void> {
    return this.#try(undefined, (db) => db.delete("outbox", id));
  }

  // ---- rooms

  /** All rooms that are kept, without what is broken. */
  rooms(): Promise<Cached | null> {
    return this.#try(null, readRooms);
  }

  /** Keeps a room; of many, those that were used last. `usedAt`: when it was open last, in ms since 1970. */
  saveRoom(epoch: string, room: FrozenRoom, usedAt: number): Promise<void> {
    return this.#try(undefined, async (db) => {
      const { store, done } = db.transaction("rooms", "readwrite");
      done.catch(() => {}); // whichever request fails tells it
      await store.put({ epoch, usedAt, room }, room.info.id);
      let others = (await store.count()) - ROOMS_MAX;
      for (let at = await store.index("usedAt").openCursor(); at && others > 0; at = await at.continue()) {
        await at.delete();
        others -= 1;
      }
      await done;
    });
  }

  /** The room is no longer mine. */
  eraseRoom(roomId: RoomId): Promise<void> {
    return this.#try(undefined, (db) => db.delete("rooms", roomId));
  }

  /** Keeps the list of rooms, `SyncClient.freezeList`. */
  saveList(list: Cached): Promise<void> {
    return this.#try(undefined, async (db) => void (await db.put("list", list, "list")));
  }

  // ---- the end

  /** Forgets the rooms. */
  clearRooms(): Promise<void> {
    return this.#clear(["rooms", "list"]);
  }

  /** Forgets all of it. */
  clear(): Promise<void> {
    return this.#clear(["outbox", "rooms", "list"]);
  }

  close(): void {
    this.#opening?.then((db) => db.close()).catch(() => {});
    this.#opening = null;
  }

  // ---- small tools

  #clear(names: Name[]): Promise<void> {
    this.#isBroken = false; // whatever was kept before it broke
    return this.#try(undefined, async (db) => {
      const all = db.transaction(names, "readwrite");
      await Promise.all([...names.map((name) => all.objectStore(name).clear()), all.done]);
    });
  }

  #open(): Promise<Database> {
    this.#opening ??= openDB<Schema>(this.#name, VERSION, {
      upgrade: (db) => {
        for (const name of [...db.objectStoreNames]) db.deleteObjectStore(name);
        db.createObjectStore("rooms").createIndex("usedAt", "usedAt");
        db.createObjectStore("list");
        db.createObjectStore("outbox");
      },
      blocking: () => this.close(), // a tab of a newer version waits
      terminated: () => {
        this.#opening = null;
      },
    });
    return this.#opening;
  }

  /** Does it. Gives `instead` where storage doesn't work, or where it takes too long, which says little: a page may have slept. */
  async #try<T>(instead: T, act: (db: Database) => Promise<T>): Promise<T> {
    if (this.#isBroken) return instead;
    try {
      const db = await inTime(this.#open());
      if (db === null) throw new Error("storage doesn't answer");
      const done = await inTime(act(db).then((value) => ({ value })));
      return done ? done.value : instead;
    } catch (error) {
      if (!this.#isTold) this.#failed(error);
      this.#isBroken = this.#isTold = true;
      this.close();
      return instead;
    }
  }
}

/** What is promised; null: it takes too long. */
async function inTime<T>(promised: Promise<T>): Promise<T | null> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const deadline = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), ANSWER_MS_MAX);
  });
  try {
    return await Promise.race([promised, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

async function readRooms(db: Database): Promise<Cached | null> {
  const list: unknown = await db.get("list", "list");
  const used = (await db.getAllFromIndex("rooms", "usedAt")).filter((kept) => isFrozenRoom(kept?.room));
  const listed = isObject(list) && typeof list.epoch === "string" && Array.isArray(list.rooms) ? list : null;
  const epoch = listed?.epoch ?? used.at(-1)?.epoch;
  if (typeof epoch !== "string") return null;
  const rooms = new Map<RoomId, FrozenRoom>();
  for (const room of (listed?.rooms ?? []) as unknown[])
    if (isFrozenRoom(room)) rooms.set(room.info.id, room);
  for (const kept of used) if (kept.epoch === epoch) rooms.set(kept.room.info.id, kept.room);
  return { epoch, rooms: [...rooms.values()] };
}

function isItem(value: unknown): value is SavedItem {
  if (!isObject(value)) return false;
  const { id, roomId, roomMadeAt, content, createdAt, replyTo, order } = value;
  return (
    [id, content, createdAt].every((text) => typeof text === "string") &&
    Number.isSafeInteger(roomId) &&
    Number.isSafeInteger(order) &&
    (replyTo === undefined || Number.isSafeInteger(replyTo)) &&
    (roomMadeAt === undefined || typeof roomMadeAt === "string")
  );
}
