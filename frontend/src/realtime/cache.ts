// What a browser keeps of a log-in through a reload, in IndexedDB: messages that are not sent, drafts, and rooms as they
// were seen last. Storage may be forbidden, full, blocked or broken: then nothing is kept, which is told once, and the
// page works from memory.

import { type DBSchema, type IDBPDatabase, openDB } from "idb";
import type { RoomId, UserId } from "../protocol/types.ts";
import type { Cached } from "./delivery.ts";
import type { SavedItem } from "./effects.ts";
import { isFrozenRoom, isObject } from "./frames.ts";
import type { FrozenRoom } from "./room.ts";

/** A version with other records drops all rooms, which can be read again, and keeps the rest. */
const VERSION = 1;
const ANSWER_MS_MAX = 3_000;
const ROOMS_MAX = 30;
const DRAFT_CHARS_MAX = 16 * 1024;

/** What is written in a room, and not sent. */
export interface Draft {
  text: string;
  replyTo?: number;
}

type KeptItem = Omit<SavedItem, "order">;

interface Schema extends DBSchema {
  /** By order. */
  outbox: { key: number; value: KeptItem; indexes: { id: string } };
  drafts: { key: RoomId; value: Draft };
  /** The rooms that were used last, with their content. */
  rooms: {
    key: RoomId;
    value: { epoch: string; usedAt: number; room: FrozenRoom };
    indexes: { usedAt: number };
  };
  /** All rooms without it; one record. */
  list: { key: "list"; value: Cached };
}

type Database = IDBPDatabase<Schema>;

/** All that was kept. */
export interface Kept {
  outbox: SavedItem[];
  drafts: [RoomId, Draft][];
  cached: Cached | null;
}

export interface CacheOptions {
  userId: UserId;
  /** Storage doesn't work, and nothing is kept. Told once. */
  failed: (error: unknown) => void;
  now?: () => number;
}

export class Cache {
  readonly #name: string;
  readonly #failed: (error: unknown) => void;
  readonly #now: () => number;
  #opening: Promise<Database> | null = null;
  #isBroken = false;
  #lastOrder = 0;

  constructor({ userId, failed, now = Date.now }: CacheOptions) {
    this.#name = `hearth.${userId}`;
    this.#failed = failed;
    this.#now = now;
  }

  // ---- reading

  /** All that was kept, without what is broken. */
  load(): Promise<Kept> {
    const nothing: Kept = { outbox: [], drafts: [], cached: null };
    return this.#try(nothing, async (db) => {
      const outbox: SavedItem[] = [];
      for (let at = await begin(db, "outbox").store.openCursor(); at; at = await at.continue()) {
        if (isItem(at.value)) outbox.push({ ...at.value, order: at.key });
      }
      const drafts: [RoomId, Draft][] = [];
      for (let at = await begin(db, "drafts").store.openCursor(); at; at = await at.continue()) {
        if (isDraft(at.value)) drafts.push([at.key, at.value]);
      }
      return { outbox, drafts, cached: await readRooms(db) };
    });
  }

  // ---- messages that are not sent

  /** Keeps a message, and gives its place in the order of all. */
  addItem(item: KeptItem): Promise<number> {
    this.#lastOrder = Math.max(this.#lastOrder + 1, this.#now());
    return this.#try(this.#lastOrder, (db) => db.add("outbox", item));
  }

  /** Keeps a message in its place, which may be another one than before. */
  saveItem({ order, ...item }: SavedItem): Promise<void> {
    return this.#try(undefined, async (db) => {
      const { store, done } = begin(db, "outbox");
      for (const key of await store.index("id").getAllKeys(item.id))
        if (key !== order) await store.delete(key);
      await store.put(item, order);
      await done;
    });
  }

  eraseItem(id: string): Promise<void> {
    return this.#try(undefined, async (db) => {
      const { store, done } = begin(db, "outbox");
      for (const key of await store.index("id").getAllKeys(id)) await store.delete(key);
      await done;
    });
  }

  // ---- drafts

  /** One that is too long is not kept. */
  saveDraft(roomId: RoomId, draft: Draft): Promise<void> {
    if (draft.text.length > DRAFT_CHARS_MAX) return this.eraseDraft(roomId);
    return this.#try(undefined, async (db) => void (await db.put("drafts", draft, roomId)));
  }

  eraseDraft(roomId: RoomId): Promise<void> {
    return this.#try(undefined, (db) => db.delete("drafts", roomId));
  }

  // ---- rooms

  /** Keeps a room that has just been used; of many, those that were used last. */
  saveRoom(epoch: string, room: FrozenRoom): Promise<void> {
    return this.#try(undefined, async (db) => {
      const { store, done } = begin(db, "rooms");
      await store.put({ epoch, usedAt: this.#now(), room }, room.info.id);
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

  /** Forgets all of it, in a tab that may be about to go. */
  clear(): Promise<void> {
    return this.#try(undefined, async (db) => {
      const names = ["outbox", "drafts", "rooms", "list"] as const;
      const all = db.transaction(names, "readwrite");
      await Promise.all([...names.map((name) => all.objectStore(name).clear()), all.done]);
    });
  }

  close(): void {
    this.#opening?.then((db) => db.close()).catch(() => {});
    this.#opening = null;
  }

  // ---- small tools

  #open(): Promise<Database> {
    this.#opening ??= openDB<Schema>(this.#name, VERSION, {
      upgrade: (db) => {
        for (const name of ["rooms", "list"] as const) {
          if (db.objectStoreNames.contains(name)) db.deleteObjectStore(name);
        }
        db.createObjectStore("rooms").createIndex("usedAt", "usedAt");
        db.createObjectStore("list");
        if (db.objectStoreNames.contains("outbox")) return;
        db.createObjectStore("outbox", { autoIncrement: true }).createIndex("id", "id");
        db.createObjectStore("drafts");
      },
      blocking: () => this.close(), // a tab of a newer version waits
      terminated: () => {
        this.#opening = null;
      },
    });
    return this.#opening;
  }

  /** Does it, or gives `instead` where storage doesn't work. */
  async #try<T>(instead: T, act: (db: Database) => Promise<T>): Promise<T> {
    if (this.#isBroken) return instead;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const deadline = new Promise<never>((_, refuse) => {
      timer = setTimeout(() => refuse(new Error("storage doesn't answer")), ANSWER_MS_MAX);
    });
    try {
      return await Promise.race([this.#open().then(act), deadline]);
    } catch (error) {
      if (!this.#isBroken) this.#failed(error);
      this.#isBroken = true;
      this.close();
      return instead;
    } finally {
      clearTimeout(timer);
    }
  }
}

/** A transaction of one store. Whichever of its requests fails is told; its own end then tells nothing new. */
function begin<Name extends "outbox" | "drafts" | "rooms">(db: Database, name: Name) {
  const transaction = db.transaction(name, "readwrite");
  transaction.done.catch(() => {});
  return transaction;
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

function isItem(value: unknown): value is KeptItem {
  if (!isObject(value)) return false;
  const { id, roomId, content, createdAt, replyTo } = value;
  const isReply = replyTo === undefined || typeof replyTo === "number";
  return (
    [id, content, createdAt].every((text) => typeof text === "string") &&
    typeof roomId === "number" &&
    isReply
  );
}

const isDraft = (value: unknown): value is Draft => isObject(value) && typeof value.text === "string";
