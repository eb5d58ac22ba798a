// What I write, change and mark as read, until the server has answered and the room's own rows show it.

import type { Ack, ErrorFrame, RoomId } from "../protocol/types.ts";
import { Changes } from "./changes.ts";
import type { Host } from "./host.ts";
import { Outbox, type Settled } from "./outbox.ts";
import type { Asked } from "./questions.ts";
import type { RoomState } from "./room.ts";
import { withMyReaction } from "./rows.ts";

export interface MineHost extends Host {
  readonly rooms: ReadonlyMap<RoomId, RoomState>;
  /** Whether there is a socket to send on. */
  isLive(): boolean;
}

/** What is answered by an `ack`. */
export type Acked = Exclude<Asked, { rooms: unknown }>;

export class Mine {
  readonly outbox: Outbox;
  readonly changes: Changes;
  readonly #host: MineHost;

  constructor(host: MineHost) {
    this.#host = host;
    this.outbox = new Outbox(host);
    this.changes = new Changes(host);
  }

  disconnected(): void {
    this.outbox.disconnected();
    this.changes.disconnected();
  }

  pump(now: number): void {
    if (!this.#host.isLive()) return;
    for (const { roomId, content } of this.outbox.takeStranded(this.#host.rooms))
      this.#host.emit({ do: "stranded", roomId, text: content });
    this.outbox.pump(now);
    this.changes.pump(now);
  }

  wake(now: number): void {
    for (const room of this.#host.rooms.values()) {
      if (room.readAgainAt === 0 || room.readAgainAt > now) continue;
      Object.assign(room, { readAsked: 0, readAgainAt: 0 });
      this.#host.touch(room.id);
    }
    this.pump(now);
  }

  markRead(room: RoomState, seq: number): void {
    if (!this.#host.isLive() || !room.markersKnown || seq <= room.marker) return;
    room.readAsked = seq;
    const ref = this.#host.ask({ kind: "read", roomId: room.id });
    this.#host.send({ type: "read", ref, room_id: room.id, seq });
    this.#host.touch(room.id);
  }

  acked(asked: Acked, frame: Ack, now: number): void {
    if (asked.kind === "message") {
      const item = this.outbox.acked(asked.id, frame.rev ?? 0);
      if (item) this.#shown(item.roomId);
      if (item && !this.#host.rooms.has(item.roomId)) this.outbox.settled(item.id, "gone");
      this.pump(now);
    } else if (asked.kind === "change") {
      this.changes.acked(asked.wish, frame.rev ?? 0);
      this.#shown(asked.wish.frame.room_id);
    } else if (frame.last_read_seq !== undefined) {
      this.#host.rooms.get(asked.roomId)?.readTold(frame.last_read_seq, frame);
      this.#host.touch(asked.roomId);
    }
  }

  refused(asked: Acked, frame: ErrorFrame, retryAt: number, now: number): void {
    if (asked.kind === "message") {
      const failed = this.outbox.refused(asked.id, frame, retryAt);
      if (failed && !this.#host.rooms.has(failed.roomId)) this.#host.emit({ do: "unsent", item: failed });
      this.pump(now);
    } else if (asked.kind === "change") {
      this.changes.refused(asked.wish, frame, retryAt);
      this.#host.touch(asked.wish.frame.room_id);
    } else {
      const room = this.#host.rooms.get(asked.roomId);
      if (room && frame.retryable) room.readAgainAt = retryAt;
    }
  }

  /** Another tab has learnt what became of a message. */
  settled(id: string, settled: Settled): void {
    const item = this.outbox.items.find((other) => other.id === id);
    this.outbox.settled(id, settled);
    if (!item) return;
    this.#shown(item.roomId);
    const isRefused = typeof settled === "object" && "failure" in settled;
    if (isRefused && !this.#host.rooms.has(item.roomId)) this.#host.emit({ do: "unsent", item });
  }

  /** The server's log is another one than before. */
  begunAnew(): void {
    this.outbox.dropStored();
    this.changes.refuseAll();
  }

  /** Tells of messages that had failed in a room that is no longer mine. No view shows them any more. */
  dropOrphaned(): void {
    for (const item of this.outbox.items)
      if (item.state === "failed" && !this.#host.rooms.has(item.roomId))
        this.#host.emit({ do: "unsent", item });
  }

  /** What was pending and is now shown by the room's own rows. */
  dropShown(room: RoomState): void {
    for (const { frame, rev } of this.changes.takeShown(room)) {
      if (frame.type !== "react") continue;
      for (const rows of [...room.spans.map((span) => span.rows), room.pins.rows]) {
        const row = rows.get(frame.seq);
        const next = row && withMyReaction(row, frame.emoji, frame.on, rev);
        if (next) rows.set(next);
      }
    }
    // While its first page is on its way, nothing else shows it.
    if (room.tail.loaded || !room.tail.loading) this.outbox.dropShown(room);
  }

  #shown(roomId: RoomId): void {
    const room = this.#host.rooms.get(roomId);
    if (room) this.dropShown(room);
    this.#host.touch(roomId);
  }
}
