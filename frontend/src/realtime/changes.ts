// My edits, deletions and reactions on their way. Each is a wish for the state of one thing (a text, one emoji of one
// message): the newest counts, it is shown at once, and sent again until it is answered. Repeating one is harmless.

import type { ErrorFrame, RoomId } from "../protocol/types.ts";
import type { Change } from "./effects.ts";
import type { Host } from "./host.ts";
import type { RoomState } from "./room.ts";
import { indexOf, type Row } from "./rows.ts";
import { wellFormed } from "./text.ts";
import type { Wish } from "./wish.ts";

const WISHES_MAX = 1_000;

/** The code of a change that isn't sent, because the server's log is another one than it was made in. */
export const OTHER_LOG = "other_log";

interface Shown {
  rows: readonly Row[];
  wishes: readonly Wish[];
  shown: readonly Row[];
}

const NONE: readonly never[] = [];

export class Changes {
  readonly #host: Host;
  readonly #wishes = new Map<string, Wish>();
  /** By room; what is handed out stays the same as long as nothing changes. */
  readonly #byRoom = new Map<RoomId, readonly Wish[]>();
  readonly #shown = new Map<RoomId, Shown>();

  constructor(host: Host) {
    this.#host = host;
  }

  /** How many the server hasn't stored yet. */
  get unstored(): number {
    return [...this.#wishes.values()].filter(({ state }) => state !== "stored").length;
  }

  /** How many edits and deletions are not answered yet. */
  get unanswered(): number {
    return [...this.#wishes.values()].filter(({ frame, state }) => isKept(frame) && state !== "stored")
      .length;
  }

  wish(change: Change): void {
    const frame = change.type === "edit" ? { ...change, content: wellFormed(change.content) } : change;
    const key = [frame.room_id, frame.seq, frame.type === "react" ? frame.emoji : "text"].join("/");
    if (this.#wishes.size >= WISHES_MAX && !this.#wishes.has(key)) {
      this.#host.emit({
        do: "refused",
        change,
        code: "rate_limited",
        message: "Too many changes are on their way.",
      });
      return;
    }
    this.#wishes.delete(key); // to the end
    this.#wishes.set(key, { key, frame, state: "queued", retryAt: 0, rev: 0, made: null });
    this.#byRoom.delete(frame.room_id);
    if (isKept(frame)) this.#host.emit({ do: "keep", key, change: frame });
  }

  disconnected(): void {
    for (const wish of this.#wishes.values()) {
      if (wish.state === "sent") Object.assign(wish, { state: "queued", retryAt: 0 });
    }
  }

  pump(now: number): void {
    for (const wish of this.#wishes.values()) {
      if (wish.state !== "queued") continue;
      if (wish.retryAt > now) {
        this.#host.emit({ do: "wake", in_ms: wish.retryAt - now });
        continue;
      }
      wish.state = "sent";
      this.#host.send({ ...wish.frame, ref: this.#host.ask({ kind: "change", wish }) });
    }
  }

  acked(wish: Wish, rev: number): void {
    this.#dropKept(wish);
    Object.assign(wish, { state: "stored", rev });
  }

  refused(wish: Wish, error: ErrorFrame, retryAt: number): void {
    if (this.#wishes.get(wish.key) !== wish) return; // a later one has taken its place
    if (error.retryable) {
      Object.assign(wish, { state: "queued", retryAt });
      return;
    }
    this.#drop(wish);
    this.#host.emit({ do: "refused", change: wish.frame, code: error.code, message: error.message });
  }

  /** Refuses all changes: in another log, the same `seq` may belong to another message. */
  refuseAll(): void {
    for (const wish of [...this.#wishes.values()]) {
      this.#drop(wish);
      if (wish.state !== "stored" && isKept(wish.frame))
        this.#host.emit({ do: "refused", change: wish.frame, code: OTHER_LOG, message: "" });
    }
  }

  /** Takes out and returns what is stored and shown by the room itself. */
  takeShown(room: RoomState): readonly Wish[] {
    if (this.#wishes.size === 0) return NONE;
    const shown = this.#of(room.id).filter((wish) => wish.state === "stored" && wish.rev <= room.position);
    for (const wish of shown) this.#drop(wish);
    return shown;
  }

  /** `storedOnly`: what was told before a reset is in the room as it is read anew. */
  forget(roomId: RoomId, { storedOnly = false } = {}): void {
    for (const wish of this.#of(roomId)) if (!storedOnly || wish.state === "stored") this.#drop(wish);
    this.#shown.delete(roomId);
  }

  /** Rows of a room as they will be. The array and each row stay the same until something of them changes. */
  over(roomId: RoomId, rows: readonly Row[]): readonly Row[] {
    const wishes = this.#of(roomId);
    if (wishes.length === 0) return rows;
    const known = this.#shown.get(roomId);
    if (known?.rows === rows && known.wishes === wishes) return known.shown;
    const shown = rows.slice();
    for (const wish of wishes) {
      const index = indexOf(shown, wish.frame.seq);
      const row = shown[index];
      if (row?.seq === wish.frame.seq) shown[index] = made(row, wish);
    }
    this.#shown.set(roomId, { rows, wishes, shown });
    return shown;
  }

  overRow(roomId: RoomId, row: Row): Row {
    return this.#of(roomId)
      .filter((wish) => wish.frame.seq === row.seq)
      .reduce(made, row);
  }

  #of(roomId: RoomId): readonly Wish[] {
    if (this.#wishes.size === 0) return NONE;
    const known = this.#byRoom.get(roomId);
    if (known) return known;
    const wishes = [...this.#wishes.values()].filter((wish) => wish.frame.room_id === roomId);
    this.#byRoom.set(roomId, wishes);
    return wishes;
  }

  #drop(wish: Wish): void {
    this.#dropKept(wish);
    this.#wishes.delete(wish.key);
    this.#byRoom.delete(wish.frame.room_id);
  }

  /** Says that it need not be kept any more, unless that was said when it was stored, or a later change has replaced it. */
  #dropKept(wish: Wish): void {
    if (wish.state !== "stored" && isKept(wish.frame) && this.#wishes.get(wish.key) === wish)
      this.#host.emit({ do: "drop", key: wish.key });
  }
}

/** A reaction that is lost is given again at a press. */
const isKept = ({ type }: Change): boolean => type !== "react";

function made(row: Row, wish: Wish): Row {
  if (wish.made?.of !== row) wish.made = { of: row, row: wished(row, wish.frame) };
  return wish.made.row;
}

/** The row as it will be. */
function wished(row: Row, frame: Change): Row {
  if (row.deleted_at) return row;
  if (frame.type === "delete") {
    const { content, ...left } = row;
    return { ...left, deleted_at: row.created_at, wished: true };
  }
  if (frame.type === "edit") return { ...row, content: frame.content, wished: true };
  const { emoji, on } = frame;
  const reactions = row.reactions ?? [];
  const held = reactions.find((reaction) => reaction.emoji === emoji);
  if ((held?.me ?? false) === on) return row;
  const count = (held?.count ?? 0) + (on ? 1 : -1);
  const changed = { user_ids: [], meRev: 0, ...held, emoji, count, me: on };
  const next = held ? reactions.map((one) => (one === held ? changed : one)) : [...reactions, changed];
  return { ...row, reactions: next.filter((reaction) => reaction.count > 0) };
}
