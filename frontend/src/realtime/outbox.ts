// Messages on their way: shown as pending, sent one at a time per room so that order holds, and sent again with the
// same id until the server has settled them. Nothing here knows sockets; the host sends, asks and keeps.

import type { ErrorFrame, RoomId } from "../protocol/types.ts";
import type { Effect, Failure, SavedItem } from "./effects.ts";
import type { Host } from "./host.ts";
import type { RoomState } from "./room.ts";
import type { Rows } from "./rows.ts";
import { wellFormed } from "./text.ts";

export const RETRY_MS = 1_000;
/** Of what is not sent yet. */
const ITEMS_MAX = 1_000;
const TEXT_BYTES_MAX = 8 * 1024 * 1024;

/** A message of mine that the room's own rows don't show yet. Items are never changed: a change makes another one. */
export interface OutboxItem extends SavedItem {
  readonly state: "queued" | "sent" | "stored" | "failed";
  readonly retryAt: number;
  /** Of the row, once it is stored. */
  readonly rev: number;
}

/** What became of a message, as the tab that sends tells the others. */
export type Settled = { rev: number } | { failure: Failure } | "gone";

/** What an effect of the sending tab says of a message, for the others' `settled`. */
export function settledBy(effect: Effect): { id: string; settled: Settled } | null {
  if (effect.do === "erase")
    return { id: effect.id, settled: effect.rev === undefined ? "gone" : { rev: effect.rev } };
  if (effect.do !== "save" || !effect.item.failure) return null;
  return { id: effect.item.id, settled: { failure: effect.item.failure } };
}

const begun = (item: SavedItem): OutboxItem => ({
  ...item,
  content: wellFormed(item.content),
  state: item.failure ? "failed" : "queued",
  retryAt: 0,
  rev: 0,
});

const saved = ({ state, retryAt, rev, ...item }: OutboxItem): SavedItem => item;

const NONE: readonly never[] = [];

export class Outbox {
  /** In the order in which they are sent. */
  items: readonly OutboxItem[] = NONE;
  readonly #host: Host;
  readonly #shown = new Map<RoomId, readonly OutboxItem[]>();
  /** Those whose names of emoji are being replaced. */
  readonly #spelling = new Set<string>();
  /** Those that no tab can have sent. */
  readonly #untried = new Set<string>();
  #isActive = true;
  #lastOrder = 0;

  constructor(host: Host) {
    this.#host = host;
  }

  /** Only the tab that leads sends; the others show what it will send. */
  get active(): boolean {
    return this.#isActive;
  }

  /** The place of what is written next, behind all that this browser has written: no clock decides it. */
  get nextOrder(): number {
    return this.#lastOrder + 1;
  }

  setActive(active: boolean): void {
    this.#isActive = active;
    this.#untried.clear();
    if (!active) this.disconnected();
  }

  /** What is pending in a room, without those whose rows are held. The same array as long as nothing of it changes. */
  pending(roomId: RoomId, held: Rows | undefined): readonly OutboxItem[] {
    const items = this.items.filter((item) => item.roomId === roomId && !held?.hasMine(item.id));
    const before = this.#shown.get(roomId) ?? NONE;
    if (items.length === before.length && items.every((item, index) => item === before[index])) return before;
    this.#shown.set(roomId, items);
    return items;
  }

  disconnected(): void {
    for (const item of this.items)
      if (item.state === "sent") this.#change(item, { state: "queued", retryAt: 0 });
  }

  /** Messages that were kept through a reload. */
  restore(items: readonly SavedItem[]): void {
    for (const item of items) if (!this.#find(item.id)) this.#put(begun(item));
  }

  /** A message of this tab's; false: too much is waiting. */
  add(item: SavedItem): boolean {
    const unsent = this.items.filter(({ state }) => state !== "stored");
    const bytes = unsent.reduce((sum, { content }) => sum + 2 * content.length, 2 * item.content.length);
    if (unsent.length >= ITEMS_MAX || bytes > TEXT_BYTES_MAX) return false;
    if (this.#isActive) this.#untried.add(item.id);
    this.#host.emit({ do: "save", item: saved(this.#put(begun(item))) });
    return true;
  }

  /** A message that another tab has written, and keeps. One that had failed begins anew in its new place. */
  hear(item: SavedItem): void {
    const held = this.#find(item.id);
    if (!held || held.state === "failed") this.#put(begun(item));
  }

  /** To the end, which `order` is: what was written after it may have been sent meanwhile. */
  retry(id: string, order: number): void {
    const item = this.#find(id);
    if (item?.state !== "failed") return;
    const { failure, ...again } = saved(item);
    this.#host.emit({ do: "save", item: saved(this.#put(begun({ ...again, order }))) });
  }

  /** The last message of a room, where it can be taken back: the server doesn't have it. */
  retractable(roomId: RoomId): OutboxItem | undefined {
    const last = this.items.findLast((item) => item.roomId === roomId);
    const isOurs = last?.state === "failed" || (last && this.#untried.has(last.id));
    return this.#isActive && isOurs ? last : undefined;
  }

  /** The text of a message whose names of emoji have been replaced. */
  spelled(id: string, content: string): void {
    this.#spelling.delete(id);
    const item = this.#find(id);
    if (!item?.hasNames || !this.#isActive) return;
    const { hasNames, ...others } = item;
    const next = { ...others, content: wellFormed(content) };
    this.items = this.items.map((other) => (other === item ? next : other));
    this.#host.emit({ do: "save", item: saved(next) });
    this.#host.touch(item.roomId);
  }

  /** What is under way stays until its answer. */
  discard(id: string): void {
    const item = this.#find(id);
    if (item?.state !== "failed" && item?.state !== "queued") return;
    this.#remove([item]);
    this.#host.emit({ do: "erase", id });
  }

  /** What the tab that sends has learnt; or the one that did so before this one, which gets its own answer for what it has sent. */
  settled(id: string, settled: Settled): void {
    const item = this.#find(id);
    const isTried = item?.state === "sent" || (item?.state === "queued" && item.retryAt > 0);
    if (!item || (this.#isActive && isTried)) return;
    if (settled === "gone") this.#remove([item]);
    else if ("rev" in settled) this.#change(item, { state: "stored", rev: settled.rev });
    else this.#change(item, { state: "failed", failure: settled.failure });
  }

  pump(now: number): void {
    if (!this.#isActive) return;
    const busy = new Set<RoomId>();
    for (const item of this.items) {
      if (busy.has(item.roomId) || item.state === "failed" || item.state === "stored") continue;
      busy.add(item.roomId);
      if (item.state === "sent") continue;
      if (item.retryAt > now) {
        this.#host.emit({ do: "wake", in_ms: item.retryAt - now });
        continue;
      }
      if (item.hasNames) {
        if (!this.#spelling.has(item.id))
          this.#host.emit({ do: "spell", id: item.id, content: item.content });
        this.#spelling.add(item.id);
        continue;
      }
      this.#untried.delete(item.id);
      this.#change(item, { state: "sent" });
      const { id, roomId: room_id, content, replyTo: reply_to } = item;
      const ref = this.#host.ask({ kind: "message", id });
      this.#host.send({
        type: "message",
        ref,
        room_id,
        id,
        content,
        ...(reply_to !== undefined && { reply_to }),
      });
    }
  }

  /** It stays in view until its own event brings the row: only that moves the position. */
  acked(id: string, rev: number): OutboxItem | undefined {
    const item = this.#find(id);
    if (!item) return undefined;
    this.#host.emit({ do: "erase", id, rev });
    return this.#change(item, { state: "stored", rev });
  }

  /** The item that failed for good, if it did. */
  refused(id: string, error: ErrorFrame, retryAt: number): OutboxItem | undefined {
    const item = this.#find(id);
    if (item?.state !== "sent") return undefined;
    if (error.retryable) {
      this.#change(item, { state: "queued", retryAt });
      return undefined;
    }
    const failed = this.#change(item, {
      state: "failed",
      failure: { code: error.code, message: error.message },
    });
    this.#host.emit({ do: "save", item: saved(failed) });
    return failed;
  }

  /** No row of this room, or of any, will come for what is stored: the room is gone, or the log is another one. */
  dropStored(roomId?: RoomId): void {
    const isOfIt = (item: OutboxItem): boolean => roomId === undefined || item.roomId === roomId;
    this.#remove(this.items.filter((item) => item.state === "stored" && isOfIt(item)));
  }

  /** Takes out and returns what was written in a room of another log, whose id is another room's here. */
  takeStranded(rooms: ReadonlyMap<RoomId, RoomState>): OutboxItem[] {
    const stranded = this.items.filter(({ state, roomId, roomMadeAt }) => {
      const room = state === "stored" ? undefined : rooms.get(roomId);
      return room && roomMadeAt !== undefined && roomMadeAt !== room.info.created_at;
    });
    this.#remove(stranded);
    for (const { id } of stranded) this.#host.emit({ do: "erase", id });
    return stranded;
  }

  dropShown(room: RoomState): void {
    if (this.items.length === 0) return;
    const isShown = ({ state, roomId, rev }: OutboxItem): boolean =>
      state === "stored" && roomId === room.id && rev <= room.position;
    this.#remove(this.items.filter(isShown));
  }

  #find(id: string): OutboxItem | undefined {
    return this.items.find((item) => item.id === id);
  }

  /** In its place, but behind what was tried already: the server waits for that first. */
  #put(item: OutboxItem): OutboxItem {
    this.#lastOrder = Math.max(this.#lastOrder, item.order);
    const others = this.items.filter((other) => other.id !== item.id);
    const before = ({ order, state, retryAt }: OutboxItem): boolean =>
      order <= item.order || state !== "queued" || retryAt > 0;
    this.items = others.toSpliced(others.findLastIndex(before) + 1, 0, item);
    this.#host.touch(item.roomId);
    return item;
  }

  #remove(items: readonly OutboxItem[]): void {
    if (items.length > 0) this.items = this.items.filter((item) => !items.includes(item));
    for (const item of items) {
      this.#untried.delete(item.id);
      this.#host.touch(item.roomId);
    }
  }

  #change(item: OutboxItem, more: Partial<OutboxItem>): OutboxItem {
    const changed = { ...item, ...more };
    this.items = this.items.map((other) => (other.id === item.id ? changed : other));
    this.#host.touch(item.roomId);
    return changed;
  }
}
