// What the page reads of the state machine. What is handed out is the same object as long as nothing of it changes.

import type { LastMessage, Limits, RoomId, User, UserId, UserSummary } from "../protocol/types.ts";
import type { Cached, Delivery, Snapshot } from "./delivery.ts";
import type { Ephemeral } from "./ephemeral.ts";
import type { MemberState } from "./members.ts";
import type { Mine } from "./mine.ts";
import type { Outbox, OutboxItem } from "./outbox.ts";
import { inShort } from "./preview.ts";
import type { FrozenRoom, RoomState } from "./room.ts";
import type { Row } from "./rows.ts";

const NONE: readonly never[] = [];

/** The parts that are read. */
export interface Parts {
  readonly delivery: Delivery;
  readonly mine: Mine;
  readonly ephemeral: Ephemeral;
}

export abstract class ClientView {
  readonly userId: UserId;
  /** Rises with any change; `room.version` with those of a room alone. */
  version = 0;
  /** As the server told them last. */
  me: User | null = null;
  limits: Limits | null = null;

  constructor(userId: UserId) {
    this.userId = userId;
  }

  protected abstract get parts(): Parts;

  get rooms(): ReadonlyMap<RoomId, RoomState> {
    return this.parts.delivery.rooms;
  }

  get epoch(): string | null {
    return this.parts.delivery.epoch;
  }

  get outbox(): Outbox {
    return this.parts.mine.outbox;
  }

  /** How many of my edits and deletions are not answered yet. */
  get undone(): number {
    return this.parts.mine.changes.unanswered;
  }

  /** The present socket has told which rooms are mine. */
  get live(): boolean {
    return this.parts.delivery.live;
  }

  room(roomId: RoomId): RoomState | undefined {
    return this.rooms.get(roomId);
  }

  /** The messages of the part that is shown, with my changes that are on their way. */
  rows(roomId: RoomId): readonly Row[] {
    const room = this.rooms.get(roomId);
    return room ? this.parts.mine.changes.over(roomId, room.shown.rows.list()) : NONE;
  }

  /** A message that is held, shown or not. */
  row(roomId: RoomId, seq: number): Row | undefined {
    const row = this.rooms.get(roomId)?.row(seq);
    return row && this.parts.mine.changes.overRow(roomId, row);
  }

  /** What was said last in a room, with my changes that are on their way. `isGoing`: what is about to be deleted. */
  lastSaid(roomId: RoomId, isGoing: (seq: number) => boolean): LastMessage | null {
    const room = this.rooms.get(roomId);
    const last = room?.preview ?? null;
    const row = last && this.row(roomId, last.seq);
    if (!room || !row || (!row.wished && !isGoing(row.seq))) return last;
    const left = this.parts.mine.changes
      .over(roomId, room.tail.rows.list())
      .findLast(({ seq, deleted_at }) => seq <= row.seq && deleted_at === undefined && !isGoing(seq));
    return left ? inShort(left) : null;
  }

  /** What is pending below the tail. What is there as a row isn't pending, though it waits for its ack. */
  pending(roomId: RoomId): readonly OutboxItem[] {
    return this.outbox.pending(roomId, this.rooms.get(roomId)?.tail.rows);
  }

  /** Whether the part that is shown has been read. */
  isShown(roomId: RoomId): boolean {
    return this.rooms.get(roomId)?.shown.loaded ?? false;
  }

  hasOlder(roomId: RoomId): boolean {
    return this.rooms.get(roomId)?.shown.hasOlder ?? false;
  }

  hasNewer(roomId: RoomId): boolean {
    return this.rooms.get(roomId)?.shown.hasNewer ?? false;
  }

  members(roomId: RoomId): readonly MemberState[] {
    return this.rooms.get(roomId)?.members.list() ?? NONE;
  }

  unread(roomId: RoomId): number {
    return this.rooms.get(roomId)?.unread ?? 0;
  }

  mentions(roomId: RoomId): number {
    return this.rooms.get(roomId)?.unreadMentions ?? 0;
  }

  pins(roomId: RoomId): readonly Row[] {
    const pins = this.rooms.get(roomId)?.pins;
    return pins?.loaded ? pins.rows.list() : NONE;
  }

  /** Who has read a message that is held, in rooms of at most 100, without its author and me. */
  readersOf(roomId: RoomId, seq: number): readonly UserId[] {
    const room = this.rooms.get(roomId);
    const row = room?.row(seq);
    return room?.isSmall && row ? room.members.readersOf(seq, row.sender.id) : NONE;
  }

  /** The same, but only those who have read no further. */
  readersAt(roomId: RoomId, seq: number): readonly UserSummary[] {
    const room = this.rooms.get(roomId);
    const row = room?.row(seq);
    return room?.isSmall && row ? room.members.readersAt(seq, row.sender.id) : NONE;
  }

  person(userId: UserId): UserSummary | undefined {
    return this.parts.ephemeral.person(userId);
  }

  /** Somebody of those who were named so far, by username, else by full name. */
  personNamed(name: string): UserSummary | undefined {
    return this.parts.ephemeral.named(name);
  }

  isOnline(userId: UserId): boolean {
    return userId === this.userId ? this.live : this.parts.ephemeral.isOnline(userId);
  }

  /** Who is typing there, without those of whom nobody knows the name yet. */
  typists(roomId: RoomId, now: number): UserSummary[] {
    return this.parts.ephemeral.typists(roomId, now).flatMap((id) => this.person(id) ?? []);
  }

  // ---- for other tabs, and to be kept

  /** What another tab begins with; null while there is nothing to begin with. */
  snapshot(): Snapshot | null {
    const { epoch, me, limits, parts } = this;
    if (!this.live || epoch === null || !me || !limits) return null;
    return { epoch, user: me, limits, online: parts.ephemeral.online, ...parts.delivery.snapshot() };
  }

  /** A room as it can be kept, with its newest messages. */
  freeze(roomId: RoomId): FrozenRoom | null {
    return this.rooms.get(roomId)?.freeze(true) ?? null;
  }

  /** All rooms as they can be kept, without their content. */
  freezeList(): Cached | null {
    const { epoch } = this;
    return epoch === null ? null : { epoch, rooms: this.parts.delivery.snapshot().rooms };
  }
}
