// The client's half of PROTOCOL.md (sections 3 to 5) as a state machine.
//
// It owns what is known of the rooms and what is still to be sent. It has no DOM, socket, clock or storage: every input
// is a method call, and every output is a list of effects (effects.ts) that the caller carries out. What can be read of
// it stands in view.ts.
//
// Invariant: when a room is at `position` N and no catch-up is on its way, every change up to N that touches what is
// held has been applied. The messages held are all those of the tail, from a first seq to the newest, and at most one
// part more that is away from it.

import type { ClientFrame, Ready, Ref, Room, RoomId, UserId, UserSummary } from "../protocol/types.ts";
import { type Cached, Delivery, type Snapshot } from "./delivery.ts";
import type { Change, Effect, Query, SavedItem } from "./effects.ts";
import { Ephemeral, TYPING_MS } from "./ephemeral.ts";
import { type FrameOf, type Heard, soundFrame } from "./frames.ts";
import { Greeting } from "./greeting.ts";
import { Mine } from "./mine.ts";
import { Opening, type OpenOptions } from "./opening.ts";
import { RETRY_MS, type Settled } from "./outbox.ts";
import { Questions } from "./questions.ts";
import { Reader } from "./reader.ts";
import type { MemberFrame, RoomState } from "./room.ts";
import { merged, type RowFrame } from "./rows.ts";
import { ClientView, type Parts } from "./view.ts";

export type { Cached, Snapshot } from "./delivery.ts";
export type { Effect, Query } from "./effects.ts";

interface Kept {
  outbox?: readonly SavedItem[];
  cached?: Cached | null;
}

export interface SyncClientOptions extends Kept {
  userId: UserId;
  /** What this tab's refs begin with: at most 40 characters, and another one in each tab. */
  tab?: string;
}

export class SyncClient extends ClientView {
  readonly tab: string;
  readonly #ephemeral = new Ephemeral((user) => this.#renamed(user));
  readonly #questions: Questions;
  readonly #delivery: Delivery;
  readonly #reader: Reader;
  readonly #mine: Mine;
  readonly #opening: Opening;
  readonly #greeting = new Greeting();
  #effects: Effect[] = [];

  constructor({
    userId,
    tab = Math.random().toString(36).slice(2),
    outbox = [],
    cached = null,
  }: SyncClientOptions) {
    super(userId);
    this.tab = tab;
    this.#questions = new Questions(tab);
    const host = {
      userId,
      questions: this.#questions,
      ephemeral: this.#ephemeral,
      send: (frame: ClientFrame) => this.#emit({ do: "send", frame }),
      emit: (effect: Effect) => this.#emit(effect),
      ask: this.#questions.ask.bind(this.#questions),
      touch: (roomId: RoomId) => this.#touch(roomId),
      leads: () => this.outbox.active,
      isLive: () => this.live,
    };
    this.#delivery = new Delivery({
      ...host,
      changed: (room, frame) => this.#changed(room, frame),
      entered: (room) => this.#entered(room),
      begunAnew: () => this.#mine.begunAnew(),
      left: (room, isGone) => this.#left(room, isGone),
    });
    const { rooms } = this.#delivery;
    this.#mine = new Mine({ ...host, rooms });
    this.#reader = new Reader({ ...host, rooms });
    this.#opening = new Opening(rooms, this.#reader);
    this.restore({ outbox, cached });
  }

  protected get parts(): Parts {
    return { delivery: this.#delivery, mine: this.#mine, ephemeral: this.#ephemeral };
  }

  // ---- the socket

  disconnected(): Effect[] {
    this.#greeting.reset();
    this.#delivery.disconnected();
    this.#mine.disconnected();
    this.#ephemeral.disconnected();
    return this.#done("all");
  }

  receive(told: unknown, now: number): Effect[] {
    const sound = soundFrame(told);
    const frame = sound && this.#greeting.take(sound);
    if (!frame) return this.#done();
    (this.#handlers[frame.type] as ((frame: Heard, now: number) => void) | undefined)?.(frame, now);
    return this.#done(frame.type === "ready" ? "all" : "room_id" in frame ? frame.room_id : undefined);
  }

  /** What each type of frame does. */
  readonly #handlers: { [Type in Heard["type"]]?: (frame: FrameOf<Type>, now: number) => void } = {
    ready: (frame, now) => this.#begin(frame, () => this.#delivery.ready(frame), now),
    ack: (frame, now) => {
      const asked = this.#questions.take(frame.ref);
      if (asked && !("rooms" in asked)) this.#mine.acked(asked, frame, now);
    },
    error: (frame, now) => {
      const asked = this.#questions.take(frame.ref);
      const wait_ms = frame.retry_after_ms ?? RETRY_MS;
      if (asked && frame.retryable) this.#emit({ do: "wake", in_ms: wait_ms });
      if (asked && "rooms" in asked) this.#delivery.refused(asked, frame, now + wait_ms);
      else if (asked) this.#mine.refused(asked, frame, now + wait_ms, now);
    },
    added: ({ room }) => this.#delivery.added(room),
    removed: (frame) => this.#delivery.removed(frame),
    synced: (frame) => this.#delivery.synced(frame),
    reset: (frame) => this.#delivery.reset(frame),
    lagged: ({ room_id }) => this.#delivery.lagged(room_id),
    read: (frame) => {
      const room = this.rooms.get(frame.room_id);
      if (frame.user_id === this.userId) room?.readTold(frame.seq, frame);
      else room?.raiseReader(frame.user_id, frame.seq);
    },
    presence: (frame) => {
      this.#ephemeral.presence(frame);
      this.version += 1;
    },
    typing: ({ room_id, user_id }, now) => {
      if (user_id === this.userId || !this.rooms.has(room_id)) return;
      this.#ephemeral.types(room_id, user_id, now);
      this.#reader.meet([user_id]);
      this.#emit({ do: "wake", in_ms: TYPING_MS });
    },
    message: (frame) => this.#delivery.durable(frame),
    message_updated: (frame) => this.#delivery.durable(frame),
    member: (frame) => this.#delivery.durable(frame),
    room: (frame) => this.#delivery.durable(frame),
    other: (frame) => this.#delivery.durable(frame),
  };

  /** On a new socket, or at the side of a tab that has one; `enter` takes the rooms in. */
  #begin(
    { user, limits, online }: Pick<Ready, "user" | "limits" | "online">,
    enter: () => void,
    now: number,
  ): void {
    this.disconnected();
    this.me = user;
    this.limits = limits;
    this.#ephemeral.know(user);
    this.#ephemeral.presence({ online });
    enter();
    for (const { info, preview } of this.rooms.values()) {
      this.#ephemeral.know(info.peer);
      this.#ephemeral.know(preview?.sender);
    }
    this.#mine.dropOrphaned();
    this.#opening.loadAnew();
    this.#mine.pump(now);
  }

  wake(now: number): Effect[] {
    this.#delivery.wake(now);
    this.#mine.wake(now);
    for (const roomId of this.#ephemeral.expire(now)) this.#touch(roomId);
    return this.#done();
  }

  // ---- tabs that share a socket, and what was kept

  /** Begins with what the tab that has the socket knows. From here on all its frames are heard here, too. */
  follow(snapshot: Snapshot, now: number): Effect[] {
    this.#begin(snapshot, () => this.#delivery.follow(snapshot), now);
    return this.#done("all");
  }

  /** Another tab has asked on this socket for a catch-up of these rooms. */
  asked(ref: Ref, roomIds: Iterable<RoomId>): Effect[] {
    this.#questions.overhear(ref, roomIds);
    return this.#done();
  }

  /** Only the tab that leads sends what is in the outbox. */
  setActive(active: boolean, now: number): Effect[] {
    this.outbox.setActive(active);
    this.#mine.pump(now);
    return this.#done("all");
  }

  /** A message that another tab has written, and keeps; also one that it tries again. */
  written(item: SavedItem, now: number): Effect[] {
    this.outbox.hear(item);
    this.#mine.pump(now);
    return this.#done();
  }

  /** What became of a message, as the tab that leads tells it. */
  settled(id: string, settled: Settled): Effect[] {
    this.#mine.settled(id, settled);
    return this.#done();
  }

  /** Takes over what was kept. Rooms count only as long as no server has told of them. */
  restore({ outbox = [], cached = null }: Kept): Effect[] {
    this.outbox.restore(outbox);
    if (cached) this.#delivery.restore(cached.epoch, cached.rooms);
    return this.#done("all");
  }

  // ---- what changes in rooms

  #entered(room: RoomState): void {
    for (const user of this.#ephemeral.recall(room.people())) room.rename(user);
    if (!room.markersKnown) this.#reader.room(room);
    if (room === this.#opening.room) this.#opening.load();
    this.#touch(room.id);
  }

  #renamed(user: UserSummary): void {
    for (const room of this.rooms.values()) if (room.rename(user)) this.#touch(room.id);
  }

  #left(room: RoomState, isGone: boolean): void {
    this.#mine.changes.forget(room.id, { storedOnly: !isGone });
    this.#opening.voided(room);
    if (!isGone) return this.#emit({ do: "changed", roomId: room.id, seq: null });
    this.outbox.dropStored(room.id);
    this.#mine.dropOrphaned();
    this.#emit({ do: "forgot", roomId: room.id });
  }

  #changed(room: RoomState, frame: RowFrame | MemberFrame): void {
    if (frame.type === "member") {
      this.#ephemeral.know(frame.user);
      room.memberChanged(frame);
      return;
    }
    const isNew = frame.seq > room.lastSeq;
    if (frame.type === "message") {
      const { sender, seq } = frame;
      this.#ephemeral.know(sender);
      this.#ephemeral.stopped(room.id, sender.id);
      room.heard(seq);
      room.raiseReader(sender.id, seq); // sending marks as read
      if (sender.id === this.userId) room.raiseMarker(seq);
      const row = isNew ? merged(undefined, frame, this.userId) : undefined;
      room.lastSeq = Math.max(room.lastSeq, seq);
      if (row && sender.id !== this.userId && !row.deleted_at)
        this.#emit({ do: "arrived", roomId: room.id, row });
    }
    const isOfContent = frame.type === "message" || frame.content !== undefined || frame.deleted_at;
    if (isOfContent && !isNew) this.#emit({ do: "changed", roomId: room.id, seq: frame.seq });
    room.noteChange(frame);
    this.#reader.rowChanged(room, frame);
    room.lastMessage.changed(frame, room.tail);
    if (!room.lastMessage.isKnown && !room.describing) this.#reader.room(room);
  }

  // ---- reading

  /**
   * Opens a room: at the message `around`, else at its first unread one where that is far from the end, else at its end.
   * A room that is open already stays where it is, unless `around` says otherwise.
   */
  open(roomId: RoomId, options: OpenOptions = {}): Effect[] {
    const left = this.#opening.open(roomId, options);
    if (left) this.#touch(left.id);
    return this.#done(roomId);
  }

  /** No room is open any more. */
  close(): Effect[] {
    return this.#done(this.#opening.close()?.id);
  }

  /** One page more of what is shown, a large one when it is to reach back to the message `downTo`. */
  loadOlder(roomId: RoomId, downTo = Infinity): Effect[] {
    return this.#with(roomId, (room) => this.#reader.older(room, downTo));
  }

  loadNewer(roomId: RoomId): Effect[] {
    return this.#with(roomId, (room) => this.#reader.newer(room));
  }

  /** Shows the end, whatever is shown now. */
  jumpToLatest(roomId: RoomId): Effect[] {
    return this.#with(roomId, (room) => {
      room.leaveAway();
      this.#reader.open(room);
    });
  }

  /** Drops the oldest rows of many, while the end is read. */
  trim(roomId: RoomId): Effect[] {
    const room = this.rooms.get(roomId);
    return this.#done(room?.trim() ? roomId : undefined);
  }

  /** Reads on in the members of a large room, or tries again. */
  moreMembers(roomId: RoomId): Effect[] {
    return this.#with(roomId, (room) => this.#reader.moreMembers(room));
  }

  /** Some of its members are shown that are not held. */
  showsMembers(roomId: RoomId, ids: readonly UserId[]): Effect[] {
    const room = this.rooms.get(roomId);
    if (room) this.#reader.askWhoIsOnline(room, ids);
    return this.#done();
  }

  markRead(roomId: RoomId, seq: number): Effect[] {
    const room = this.rooms.get(roomId);
    if (room) this.#mine.markRead(room, seq);
    return this.#done();
  }

  /** The answer to a query, null when there is none. */
  loaded(what: Query["do"], request: Query["request"], body: unknown): Effect[] {
    const query = { do: what, request } as Query;
    this.#reader.loaded(query, body);
    if ("roomId" in request) return this.#done(request.roomId);
    this.version += 1;
    for (const roomId of this.#ephemeral.typingRooms) this.#touch(roomId); // they may have names now
    return this.#done();
  }

  /** As the server has just told it. */
  named(user: UserSummary): Effect[] {
    this.#ephemeral.know(user);
    return this.#done();
  }

  /** For who wants to show the names of these. */
  meet(ids: readonly UserId[]): Effect[] {
    this.#reader.meet(ids);
    return this.#done();
  }

  /** A room that a REST answer carries, which may come before its `added`. */
  joined(info: Room): Effect[] {
    this.#delivery.added(info);
    return this.#done(info.id);
  }

  typed(roomId: RoomId, now: number): Effect[] {
    const tells = this.live && this.rooms.has(roomId) && this.#ephemeral.tells(roomId, now);
    if (tells) this.#emit({ do: "send", frame: { type: "typing", room_id: roomId } });
    return this.#done();
  }

  // ---- what I write, and change

  /** False: too much is waiting to be sent. */
  enqueue(item: SavedItem, now: number): Effect[] | false {
    if (!this.outbox.add(item)) return false;
    this.#ephemeral.said(item.roomId);
    this.#mine.pump(now);
    return this.#done();
  }

  /** Sends one that was refused once more, in the place that `order` says. */
  retry(id: string, order: number, now: number): Effect[] {
    this.outbox.retry(id, order);
    this.#mine.pump(now);
    return this.#done();
  }

  discard(id: string, now: number): Effect[] {
    this.outbox.discard(id);
    this.#mine.pump(now);
    return this.#done();
  }

  /** A message's text with emoji for their names. */
  spelled(id: string, content: string, now: number): Effect[] {
    this.outbox.spelled(id, content);
    this.#mine.pump(now);
    return this.#done();
  }

  change(frame: Change, now: number): Effect[] {
    this.#mine.changes.wish(frame);
    this.#mine.pump(now);
    return this.#done(frame.room_id);
  }

  // ---- small tools

  /** Does something with a room that shows only where something is asked for, or where another part is shown. */
  #with(roomId: RoomId, act: (room: RoomState) => void): Effect[] {
    const room = this.rooms.get(roomId);
    if (!room) return this.#done();
    const { shown } = room;
    act(room);
    return this.#done(this.#effects.length > 0 || room.shown !== shown ? roomId : undefined);
  }

  #emit(effect: Effect): void {
    this.#effects.push(effect);
  }

  #touch(roomId: RoomId): void {
    this.version += 1;
    const room = this.rooms.get(roomId);
    if (room) room.version = this.version;
  }

  /** Ends a step: what has changed shows, and what follows is for the caller. */
  #done(changed?: RoomId | "all"): Effect[] {
    if (changed === "all") this.version += 1;
    for (const roomId of changed === "all" ? this.rooms.keys() : changed === undefined ? [] : [changed]) {
      const room = this.rooms.get(roomId);
      if (room) this.#mine.dropShown(room);
      this.#touch(roomId);
    }
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }
}
