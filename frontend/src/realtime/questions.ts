// What was asked on this socket and isn't answered yet (PROTOCOL.md section 4.2).

import type { Ref, RoomId } from "../protocol/types.ts";
import type { Wish } from "./wish.ts";

/**
 * A `sync` or a `join`, answered once for each of its rooms; `foreign`: asked by another tab on the same socket. An answer
 * that is void (false) settles nothing: the room has been added since. But what comes before it is still on its way.
 */
export type Catching = { kind: "sync" | "join" | "foreign"; rooms: Map<RoomId, boolean> };

export type Asked =
  | Catching
  | { kind: "message"; id: string }
  | { kind: "change"; wish: Wish }
  | { kind: "read"; roomId: RoomId };

export class Questions {
  readonly #tab: string;
  readonly #open = new Map<Ref, Asked>();
  #last = 0;

  /** `tab`: what refs begin with, so that they differ from those of other tabs on the same socket. */
  constructor(tab: string) {
    this.#tab = tab;
  }

  ask(what: Asked): string {
    const ref = `${this.#tab}/${++this.#last}`;
    this.#open.set(ref, what);
    return ref;
  }

  isOwn(ref: Ref): boolean {
    return typeof ref === "string" && ref.startsWith(`${this.#tab}/`);
  }

  /** Another tab has asked for a catch-up of these rooms, whose frames and answers come here, too. */
  overhear(ref: Ref, rooms: Iterable<RoomId>): void {
    this.#open.set(ref, { kind: "foreign", rooms: new Map([...rooms].map((roomId) => [roomId, true])) });
  }

  /** The catch-ups on their way, for a tab that begins now. */
  catching(): [Ref, RoomId[]][] {
    return [...this.#open].flatMap(([ref, asked]) =>
      "rooms" in asked ? [[ref, [...asked.rooms.keys()]]] : [],
    );
  }

  clear(): void {
    this.#open.clear();
  }

  /** Takes out what was asked by this ref. */
  take(ref: Ref | undefined): Asked | undefined {
    if (ref === undefined) return undefined;
    const asked = this.#open.get(ref);
    this.#open.delete(ref);
    return asked;
  }

  /** True while an answer of this room is to come that counts. */
  awaits(roomId: RoomId): boolean {
    for (const asked of this.#open.values()) if ("rooms" in asked && asked.rooms.get(roomId)) return true;
    return false;
  }

  /** True while a catch-up of this room may still bring something. */
  mayBring(roomId: RoomId): boolean {
    for (const asked of this.#open.values()) if ("rooms" in asked && asked.rooms.has(roomId)) return true;
    return false;
  }

  /** What an answer of this room is for, if it is for something still asked. */
  answered(ref: Ref | undefined, roomId: RoomId): Catching["kind"] | null {
    const asked = ref === undefined ? undefined : this.#open.get(ref);
    if (ref === undefined || !asked || !("rooms" in asked)) return null;
    const counts = asked.rooms.get(roomId) ?? false;
    asked.rooms.delete(roomId);
    if (asked.rooms.size === 0) this.#open.delete(ref);
    return counts ? asked.kind : null;
  }

  /** What was asked about this room before counts no more. */
  withdraw(roomId: RoomId): void {
    for (const asked of this.#open.values()) {
      if ("rooms" in asked && asked.rooms.has(roomId)) asked.rooms.set(roomId, false);
    }
  }
}
