// Live delivery: which rooms are mine, and how far each has come (PROTOCOL.md section 3). What a change does to
// a room is its host's.

import type { ClientFrame, ErrorFrame, Ready, Ref, Room, RoomId, Synced, UserId } from "../protocol/types.ts";
import type { Effect } from "./effects.ts";
import type { FrameOf, OtherFrame } from "./frames.ts";
import type { Catching, Questions } from "./questions.ts";
import { type FrozenRoom, type MemberFrame, RoomState } from "./room.ts";
import type { RowFrame } from "./rows.ts";

export type DurableFrame = RowFrame | MemberFrame | FrameOf<"room"> | OtherFrame;

/** What another tab begins with: the rooms as the tab with the socket has them, without their content. */
export interface Snapshot extends Pick<Ready, "epoch" | "user" | "limits" | "online"> {
  rooms: FrozenRoom[];
  /** The catch-ups on their way. */
  catching: [Ref, RoomId[]][];
}

/** What was kept of an earlier session. */
export interface Cached {
  epoch: string;
  rooms: readonly FrozenRoom[];
}

export interface DeliveryHost {
  readonly userId: UserId;
  readonly questions: Questions;
  /** Of all tabs on one socket one alone makes good what the others' questions spoil. */
  leads(): boolean;
  send(frame: ClientFrame): void;
  emit(effect: Effect): void;
  /** A change is to be applied. */
  changed(room: RoomState, frame: RowFrame | MemberFrame): void;
  /** A room has come, or is held anew from nothing. */
  entered(room: RoomState): void;
  /** The server's log is another one than before. */
  begunAnew(): void;
  /** What is held of a room is void; `isGone`: it is no longer mine. */
  left(room: RoomState, isGone: boolean): void;
}

export class Delivery {
  readonly rooms = new Map<RoomId, RoomState>();
  epoch: string | null = null;
  /** The present socket has told which rooms are mine. */
  live = false;
  readonly #host: DeliveryHost;
  /** By room: the rev of my removal, so that an older `added` which comes late is void. */
  readonly #left = new Map<RoomId, number>();
  #syncAt = 0;

  constructor(host: DeliveryHost) {
    this.#host = host;
  }

  disconnected(): void {
    this.live = false;
    this.#syncAt = 0;
    for (const room of this.rooms.values()) {
      room.isPartial ||= this.#mayBring(room);
      Object.assign(room, { joinAt: 0, readAsked: 0, readAgainAt: 0 });
    }
    this.#host.questions.clear();
  }

  // ---- the beginning of a socket

  ready(frame: Ready): void {
    this.#begin(frame.epoch, new Set(frame.rooms.map((room) => room.id)));
    for (const info of frame.rooms) {
      const room = this.rooms.get(info.id);
      if (!room) {
        this.#enter(info);
        continue;
      }
      room.describe(info);
      room.memberRev = Math.max(room.memberRev, info.rev);
      // Nothing of it is held, so nothing that happened meanwhile need be told.
      if (!room.holdsContent) room.position = Math.max(room.position, info.rev);
    }
    this.#sync(this.rooms.values());
  }

  /** The same for a tab that shares the socket of another: it asks only for what the other has heard already. */
  follow({ epoch, rooms, catching }: Snapshot): void {
    this.#begin(epoch, new Set(rooms.map(({ info }) => info.id)));
    for (const [ref, roomIds] of catching) this.#host.questions.overhear(ref, roomIds);
    const behind: RoomState[] = [];
    for (const frozen of rooms) {
      const theirs = RoomState.thaw(frozen, this.#host.userId);
      const room = this.rooms.get(theirs.id);
      if (room) room.adopt(theirs);
      else this.rooms.set(theirs.id, theirs);
      if (!room) this.#host.entered(theirs);
      const isBehind = room?.holdsContent && (room.isPartial || room.position !== theirs.position);
      if (isBehind || theirs.isPartial) behind.push(room ?? theirs);
    }
    if (behind.length > 0) this.#sync(behind);
  }

  /** Without the rooms' content. */
  snapshot(): Pick<Snapshot, "rooms" | "catching"> {
    const rooms = [...this.rooms.values()].map((room) => room.freeze(false));
    return { rooms, catching: this.#host.questions.catching() };
  }

  /** Rooms as they were kept; whatever happened since is caught up with after `ready`. */
  restore(epoch: string, rooms: readonly FrozenRoom[]): void {
    if (this.epoch !== null) return; // the server has told more
    this.epoch = epoch;
    for (const frozen of rooms) {
      const room = RoomState.thaw({ ...frozen, isPartial: true }, this.#host.userId);
      this.rooms.set(room.id, room);
      this.#host.entered(room);
    }
  }

  #begin(epoch: string, mine: ReadonlySet<RoomId>): void {
    this.live = true;
    if (this.epoch !== null && this.epoch !== epoch) {
      for (const room of this.rooms.values()) this.#host.left(room, false);
      this.rooms.clear();
      this.#host.begunAnew();
    }
    this.epoch = epoch;
    this.#left.clear(); // the list is newer than any removal that an earlier socket told
    for (const roomId of [...this.rooms.keys()]) if (!mine.has(roomId)) this.#forget(roomId);
  }

  #enter(info: Room): void {
    const room = new RoomState(info, this.#host.userId);
    this.rooms.set(info.id, room);
    this.#host.entered(room);
  }

  // ---- catching up

  #sync(all: Iterable<RoomState>): void {
    this.#syncAt = 0;
    const rooms: Record<string, number> = {};
    const asked = new Map<RoomId, boolean>();
    for (const room of all) {
      rooms[room.id] = room.position;
      room.joinAt = 0;
      asked.set(room.id, true);
    }
    const ref = this.#host.questions.ask({ kind: "sync", rooms: asked });
    this.#host.send({ type: "sync", ref, epoch: this.epoch, rooms });
  }

  #join(room: RoomState): void {
    room.joinAt = 0;
    if (!this.live) return; // the next `ready` syncs it
    const ref = this.#host.questions.ask({ kind: "join", rooms: new Map([[room.id, true]]) });
    this.#host.send({ type: "join", ref, room_id: room.id, rev: room.position, epoch: this.epoch });
  }

  /** A catch-up of the room is on its way, or will be asked for. */
  #isCatchingUp(room: RoomState): boolean {
    return this.#host.questions.awaits(room.id) || room.joinAt > 0 || this.#syncAt > 0;
  }

  /** The same, or one whose answer doesn't count any more. */
  #mayBring(room: RoomState): boolean {
    return this.#isCatchingUp(room) || this.#host.questions.mayBring(room.id);
  }

  wake(now: number): void {
    if (!this.live) return;
    if (this.#syncAt > 0 && this.#syncAt <= now) this.#sync(this.rooms.values());
    for (const room of this.rooms.values()) {
      if (room.joinAt > 0 && room.joinAt <= now) this.#join(room);
    }
  }

  /** A `sync` or `join` was refused, perhaps after some of what it was to bring. */
  refused({ kind, rooms }: Catching, error: ErrorFrame, retryAt: number): void {
    const asked = [...rooms.keys()].flatMap((roomId) => this.rooms.get(roomId) ?? []);
    for (const room of asked) room.isPartial = true;
    if (error.retryable) {
      if (kind === "sync") this.#syncAt = retryAt;
      // What another tab has asked the one that leads makes good: whoever asked may be gone.
      else if (kind === "join" || this.#host.leads()) for (const room of asked) room.joinAt = retryAt;
    } else if (kind !== "foreign") {
      if (error.code !== "not_found" && error.code !== "forbidden") this.#host.emit({ do: "reconnect" });
      else for (const [roomId, counts] of rooms) if (counts) this.#forget(roomId);
    }
  }

  lagged(roomId: RoomId): void {
    const room = this.rooms.get(roomId);
    if (room && this.#host.leads()) this.#join(room);
  }

  // ---- position (PROTOCOL.md section 3.1)

  durable(frame: DurableFrame): void {
    const room = this.rooms.get(frame.room_id);
    if (!room || !this.live) return;
    if ("replay" in frame && frame.replay) return; // of a socket for one room, which this isn't
    const prev = frame.prev ?? frame.rev - 1;
    if (frame.rev <= room.position) return;
    if (prev > room.position) {
      if (!this.#isCatchingUp(room)) this.#join(room);
      return;
    }
    // It may be late and jump into a catch-up, whose whole rows hold more: of the same row, what was changed before it.
    if (frame.type === "message_updated" && (room.isPartial || this.#mayBring(room))) return;
    room.position = frame.rev;
    if (frame.type === "room") room.describe(frame.room, true);
    else if (frame.type !== "other") this.#host.changed(room, frame);
    this.#recount(room);
  }

  /** Asks for the number of mentions anew (PROTOCOL.md section 5.4). */
  #recount(room: RoomState): void {
    if (room.recountFrom > 0 && this.#host.leads() && !this.#isCatchingUp(room)) this.#join(room);
  }

  synced(frame: Synced): void {
    const asked = this.#host.questions.answered(frame.ref, frame.room_id);
    const room = this.rooms.get(frame.room_id);
    if (!room || !this.live) return;
    room.lastSeq = Math.max(room.lastSeq, frame.last_seq ?? 0);
    room.markersTold(frame);
    if (frame.rev >= room.recountFrom) room.recountFrom = 0;
    if (frame.prev <= room.position) {
      room.position = Math.max(room.position, frame.rev);
      if (!this.#mayBring(room)) room.isPartial = false;
    } else if (asked !== null && !this.#isCatchingUp(room)) {
      this.#join(room); // a part of the catch-up was dropped, or it began after this position
    }
  }

  reset(frame: FrameOf<"reset">): void {
    const { questions } = this.#host;
    questions.answered(frame.ref, frame.room_id);
    const room = this.rooms.get(frame.room_id);
    if (!room || !this.live) return;
    if (frame.ref !== undefined && !questions.isOwn(frame.ref)) {
      // Another tab's position was void. From here on the room is live for all of them.
      if (frame.rev > room.position && !this.#isCatchingUp(room)) this.#join(room);
      return;
    }
    this.#host.left(room, false);
    const fresh = room.resetAt(frame.rev);
    this.rooms.set(room.id, fresh);
    this.#host.entered(fresh);
  }

  // ---- coming and going (PROTOCOL.md section 3.4)

  added(info: Room): void {
    if (info.rev <= (this.#left.get(info.id) ?? -1)) return;
    this.#left.delete(info.id);
    this.#host.questions.withdraw(info.id); // a `removed` that answers an earlier question is older than this
    const room = this.rooms.get(info.id);
    if (room) {
      room.describe(info);
      room.memberRev = Math.max(room.memberRev, info.rev);
    } else {
      this.#enter(info);
    }
  }

  removed({ room_id: roomId, ref, rev }: FrameOf<"removed">): void {
    const asked = this.#host.questions.answered(ref, roomId);
    const room = this.rooms.get(roomId);
    if (rev === undefined) {
      if (ref === undefined || (asked !== null && asked !== "foreign")) this.#forget(roomId);
      return;
    }
    this.#left.set(roomId, Math.max(rev, this.#left.get(roomId) ?? 0));
    if (room && rev > room.memberRev) this.#forget(roomId);
  }

  #forget(roomId: RoomId): void {
    const room = this.rooms.get(roomId);
    this.rooms.delete(roomId);
    if (room) this.#host.left(room, true);
  }
}
