// What a room holds comes by REST: the room itself, pages of its messages, its members, its pins. The reader asks, and
// fits the answers in: changes cross with them on the way, and an answer may be older than what is known.

import type { RoomId, UserId } from "../protocol/types.ts";
import type { ListRequest, PageRequest, Query } from "./effects.ts";
import type { Ephemeral } from "./ephemeral.ts";
import { membersIn, messagesIn, roomIn, usersIn } from "./frames.ts";
import { RETRY_MS } from "./outbox.ts";
import type { RoomState } from "./room.ts";
import type { RowFrame } from "./rows.ts";
import { Span } from "./span.ts";

export const PAGE_SIZE = 50;
export const PAGE_SIZE_MAX = 200;
/** Of an unread message before the end: from further away the room opens there, and not at its end. */
const FIRST_UNREAD_MAX = 150;
/** Shown above the first unread message. */
const CONTEXT_ROWS = 10;
/** In a request. */
const IDS_MAX = 100;
/** Of larger rooms, nobody tells who comes online, and the members are read page by page as they are asked for. */
const PRESENCE_MEMBERS_MAX = 200;
/** Of a room: no more are read. */
const PINS_MAX = 1_000;
/** Of changes that wait for the list of pins. */
const EARLY_PINS_MAX = 2_000;

type Place = Partial<Pick<PageRequest, "before" | "after" | "around" | "limit" | "in_ms">>;

export interface ReaderHost {
  readonly userId: UserId;
  readonly rooms: ReadonlyMap<RoomId, RoomState>;
  readonly ephemeral: Ephemeral;
  isLive(): boolean;
  emit(query: Query): void;
}

export class Reader {
  readonly #host: ReaderHost;
  #lastRequest = 0;

  constructor(host: ReaderHost) {
    this.#host = host;
  }

  // ---- the questions

  /** Asks for what an open room shows and that is not there yet. */
  open(room: RoomState): void {
    const { shown, members } = room;
    if (!room.markersKnown && !room.describing) this.room(room);
    if (shown.failed) this.again(room, shown);
    else if (!shown.loaded && !shown.loading) this.#first(room, shown);
    if (!room.pins.loaded && !room.pins.loading) this.pins(room, null);
    if (this.#host.isLive()) this.meet(room.people().map(({ id }) => id));
    if (!room.showsMembers && !room.isSmall) return;
    if (!members.loaded && !room.membersLoading) this.members(room, null);
    else if (members.loaded && room.showsMembers)
      this.askWhoIsOnline(
        room,
        members.list().map(({ user }) => user.id),
      );
  }

  /** Shows a room from its first unread message, which may be far from its end. */
  showUnread(room: RoomState): void {
    const first = room.lastReadSeq + 1;
    const isFar = room.lastSeq - first >= FIRST_UNREAD_MAX && room.unread > 0;
    if (room.markersKnown && isFar) this.show(room, first);
    else room.leaveAway();
  }

  /** Shows a message, with what is around it. */
  show(room: RoomState, seq: number): void {
    room.around = Math.max(1, seq);
    if (room.tail.covers(seq)) {
      room.leaveAway();
    } else {
      room.view = "away";
      if (!room.away?.covers(seq)) room.away = new Span(this.#host.userId, 0);
    }
  }

  room(room: RoomState, in_ms = 0): void {
    room.describing = { number: ++this.#lastRequest, roomId: room.id, in_ms };
    this.#host.emit({ do: "room", request: room.describing });
  }

  /** The first page of a part: the newest messages, to the first unread one, or those around the one that is looked for. */
  #first(room: RoomState, span: Span): void {
    const unread = room.markersKnown ? room.lastSeq - room.lastReadSeq : 0;
    const limit = unread > FIRST_UNREAD_MAX ? PAGE_SIZE : Math.max(PAGE_SIZE, unread + CONTEXT_ROWS);
    this.#page(room, span, span === room.away ? { around: room.around, limit: 2 * PAGE_SIZE } : { limit });
  }

  /** One page more. It reaches back to the message `downTo`, where that is possible. */
  older(room: RoomState, downTo: number): void {
    const { shown } = room;
    if (!shown.hasOlder || shown.loading) return;
    const limit = Math.max(PAGE_SIZE, shown.from - downTo + CONTEXT_ROWS);
    this.#page(room, shown, { before: shown.from, limit });
  }

  newer(room: RoomState): void {
    const { shown } = room;
    if (shown.hasNewer && !shown.loading) this.#page(room, shown, { after: shown.to, limit: 2 * PAGE_SIZE });
  }

  /** Asks once more for the page that is on its way, or that could not be read. */
  again(room: RoomState, span: Span, in_ms = 0): void {
    const request = span.loading ?? span.failed;
    if (request) this.#page(room, span, { ...request, in_ms });
  }

  #page(
    room: RoomState,
    span: Span,
    { before = null, after = null, around = null, limit = PAGE_SIZE, in_ms = 0 }: Place,
  ): void {
    const number = ++this.#lastRequest;
    span.settle(null);
    span.loading = {
      number,
      roomId: room.id,
      before,
      after,
      around,
      limit: Math.min(limit, PAGE_SIZE_MAX),
      in_ms,
    };
    this.#host.emit({ do: "page", request: span.loading });
  }

  members(room: RoomState, cursor: string | null, in_ms = 0): void {
    room.members.failed = false;
    room.membersLoading = this.#list(room, cursor, in_ms);
    this.#host.emit({ do: "members", request: room.membersLoading });
  }

  /** One page more, the first one where none could be read. */
  moreMembers(room: RoomState): void {
    const { loaded, next } = room.members;
    if (!room.membersLoading && (!loaded || next !== null)) this.members(room, next);
  }

  pins(room: RoomState, cursor: string | null, in_ms = 0): void {
    if (cursor === null) room.pins.early = [];
    room.pins.loading = this.#list(room, cursor, in_ms);
    this.#host.emit({ do: "pins", request: room.pins.loading });
  }

  #list(room: RoomState, cursor: string | null, in_ms: number): ListRequest {
    return { number: ++this.#lastRequest, roomId: room.id, cursor, limit: PAGE_SIZE_MAX, in_ms };
  }

  /** Asks once for the names of those whom the server has not named on this socket. */
  meet(ids: readonly UserId[] = []): void {
    const unknown = this.#host.ephemeral.unknown(ids);
    while (unknown.length > 0)
      this.#host.emit({ do: "people", request: { ids: unknown.splice(0, IDS_MAX) } });
  }

  /** Presence is pushed for small rooms, and asked for of those who are shown of a large one. */
  askWhoIsOnline(room: RoomState, members: readonly UserId[]): void {
    if (room.info.member_count <= PRESENCE_MEMBERS_MAX) return;
    for (let at = 0; at < members.length; at += IDS_MAX)
      this.#host.emit({ do: "online", request: { ids: members.slice(at, at + IDS_MAX) } });
  }

  // ---- the answers; null when there is none

  loaded(query: Query, body: unknown): void {
    const { ephemeral, rooms } = this.#host;
    if (query.do === "people") {
      const people = usersIn(body);
      if (!people) ephemeral.askAgain(query.request.ids);
      for (const user of people?.items ?? []) ephemeral.know(user);
      return;
    }
    if (query.do === "online") {
      const people = usersIn(body);
      if (people)
        ephemeral.presence({ offline: query.request.ids, online: people.items.map(({ id }) => id) });
      return;
    }
    const room = rooms.get(query.request.roomId);
    if (!room) return;
    // An answer whose number is another was asked for before a reset or a removal.
    const { number } = query.request;
    if (query.do === "room") {
      if (room.describing?.number === number) this.#roomLoaded(room, body);
    } else if (query.do === "page") {
      const span = room.spans.find(({ loading }) => loading?.number === number);
      if (span) this.#pageLoaded(room, span, query.request, body);
    } else if (query.do === "members") {
      if (room.membersLoading?.number === number) this.#membersLoaded(room, query.request, body);
    } else if (room.pins.loading?.number === number) {
      this.#pinsLoaded(room, query.request, body);
    }
    room.shrink();
  }

  #roomLoaded(room: RoomState, body: unknown): void {
    room.describing = null;
    const info = roomIn(body);
    if (!info) return;
    room.describe(info);
    // It was asked for before the last message was deleted.
    if (!room.lastMessage.isKnown) this.room(room, RETRY_MS);
  }

  #pageLoaded(room: RoomState, span: Span, request: PageRequest, body: unknown): void {
    const page = messagesIn(body);
    if (!page) {
      span.settle(request);
    } else if (page.rev < room.resetRev) {
      this.again(room, span, RETRY_MS);
    } else {
      const seqs = page.items.map(({ seq }) => seq);
      const early = span.extend(request, seqs, page.next === null);
      for (const row of page.items) {
        this.#host.ephemeral.know(row.sender);
        span.rows.put({ ...row, type: "message" }, true);
        this.meet(row.mentions);
        room.lastSeq = Math.max(room.lastSeq, row.seq);
      }
      for (const frame of early) span.change(frame);
      room.joinSpans();
    }
  }

  /** A change of a row, for what is held and for what is on its way. */
  rowChanged(room: RoomState, frame: RowFrame): void {
    for (const span of room.spans) if (!span.change(frame)) this.again(room, span);
    if (room.row(frame.seq)) this.meet(frame.mentions);
    this.#pinChanged(room, frame);
    room.shrink();
  }

  #membersLoaded(room: RoomState, request: ListRequest, body: unknown): void {
    room.membersLoading = null;
    const { members } = room;
    const page = membersIn(body);
    if (!page) {
      if (!members.loaded) members.clear();
      members.failed = !members.loaded || request.cursor !== null; // what is held stays where it was read anew
    } else if (page.rev < room.resetRev) {
      this.members(room, request.cursor, RETRY_MS);
    } else {
      const before = members.size;
      for (const member of page.items) {
        this.#host.ephemeral.know(member.user);
        members.put(member);
        room.raiseReader(member.user.id, member.last_read_seq ?? 0);
      }
      const ids = page.items.map(({ user }) => user.id);
      this.askWhoIsOnline(room, ids);
      const goesOn = page.next !== null && members.size > before && members.size < PRESENCE_MEMBERS_MAX;
      if (goesOn) this.members(room, page.next);
      else Object.assign(members, { loaded: true, next: page.next });
    }
  }

  #pinsLoaded(room: RoomState, request: ListRequest, body: unknown): void {
    const { pins } = room;
    pins.loading = null;
    const page = messagesIn(body);
    if (!page) {
      pins.loaded = false;
    } else if (page.rev < room.resetRev) {
      this.pins(room, request.cursor, RETRY_MS);
    } else {
      if (request.cursor === null) pins.rows.clear();
      const before = pins.rows.size;
      for (const row of page.items) {
        this.#host.ephemeral.know(row.sender);
        pins.rows.put({ ...row, type: "message" }, true);
      }
      const goesOn = page.next !== null && pins.rows.size > before && pins.rows.size < PINS_MAX;
      if (goesOn) this.pins(room, page.next);
      else {
        pins.loaded = true;
        for (const frame of pins.early) this.#pinChanged(room, frame);
      }
    }
  }

  #pinChanged(room: RoomState, frame: RowFrame): void {
    const { pins } = room;
    if (pins.loading && pins.early.length < EARLY_PINS_MAX) pins.early.push(frame);
    else if (pins.loading || (pins.loaded && !pins.change(frame, room.row(frame.seq)))) this.pins(room, null);
  }
}
