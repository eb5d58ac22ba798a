// What a room holds comes by REST: the room itself, pages of its messages, its members, its pins. The reader asks, and
// fits the answers in: changes cross with them on the way, and an answer may be older than what is known.

import { RETRY_MS } from "./outbox.js";
import { describe, pinChanged, putMember, putRow } from "./room.js";

export const PAGE_SIZE = 50;
export const PAGE_SIZE_MAX = 200;
const IDS_MAX = 100; // in a request
const PRESENCE_MEMBERS_MAX = 200; // of larger rooms, nobody tells who comes online

export class Reader {
  /** `host`: userId, rooms, hints, emit(effect), unread(roomId). */
  constructor(host) {
    this.host = host;
    this.lastRequest = 0;
  }

  /** Asks for what an open room shows and that is not there yet. */
  open(room) {
    if (!room.markersKnown && !room.describing) this.room(room);
    if (!room.loaded && !room.loading) this.page(room, null);
    if (!room.pinsLoaded && !room.pinsLoading) this.pins(room, null);
    if (!room.showsMembers) return;
    if (!room.membersLoaded && !room.membersLoading) this.members(room, null);
    else if (room.membersLoaded) this.#askWhoIsOnline(room, [...room.members.values()]);
  }

  room(room) {
    room.describing = this.#ask("room", room, {});
  }

  /** Before the seq `before`, null: the newest. One page that reaches back to `downTo`, where that is possible. */
  page(room, before, { in_ms = 0, downTo = Infinity } = {}) {
    const unread = before === null ? this.host.unread(room.id) + 10 : 0;
    const wanted = Math.max(PAGE_SIZE, unread > PAGE_SIZE_MAX ? 0 : unread, (before ?? 0) - downTo + 10);
    room.loadFailed = false;
    room.loading = this.#ask("page", room, { before, limit: Math.min(wanted, PAGE_SIZE_MAX), in_ms });
  }

  members(room, cursor, in_ms = 0) {
    room.membersLoading = this.#ask("members", room, { cursor, in_ms });
  }

  pins(room, cursor, in_ms = 0) {
    if (cursor === null) room.earlyPins = [];
    room.pinsLoading = this.#ask("pins", room, { cursor, in_ms });
  }

  /** Who is named by id alone is asked for, once. */
  meet(ids = []) {
    const unknown = this.host.hints.unknown(ids);
    while (unknown.length > 0) this.host.emit({ do: "people", request: { ids: unknown.splice(0, IDS_MAX) } });
  }

  /** Presence is pushed for small rooms; of large ones the first members are asked for. */
  #askWhoIsOnline(room, members) {
    if (!(room.info.member_count > PRESENCE_MEMBERS_MAX)) return;
    const ids = members.slice(0, IDS_MAX).map((member) => member.user.id);
    if (ids.length > 0) this.host.emit({ do: "online", request: { ids } });
  }

  #ask(what, room, more) {
    const request = { number: ++this.lastRequest, roomId: room.id, ...more };
    this.host.emit({ do: what, request });
    return request;
  }

  // ---- the answers; null when there is none

  loaded(what, request, body) {
    const { hints, rooms } = this.host;
    if (what === "people") return body ? body.items.forEach((user) => hints.know(user)) : hints.askAgain(request.ids);
    if (what === "online") return body && hints.presence({ offline: request.ids, online: body.items.map(({ id }) => id) });
    const room = rooms.get(request.roomId);
    const place = { page: "loading", members: "membersLoading", pins: "pinsLoading", room: "describing" }[what];
    if (room?.[place]?.number !== request.number) return; // asked before a reset or a removal
    room[place] = null;
    if (what === "room") return body && describe(room, body);
    if (body && body.rev < room.resetRev) {
      if (what === "page") return this.page(room, request.before, { in_ms: RETRY_MS });
      return this[what](room, request.cursor, RETRY_MS);
    }
    if (what === "page") this.#pageLoaded(room, request, body);
    else if (what === "pins") this.#pinsLoaded(room, request, body);
    else this.#membersLoaded(room, request, body);
  }

  putRow(room, frame, isPage = false) {
    putRow(room.messages, frame, this.host.userId, isPage);
    this.meet(frame.mentions);
  }

  #pageLoaded(room, request, page) {
    const early = room.early;
    room.early = []; // a page that is asked for now is read later than all of these
    if (!page) return void (room.loadFailed = true);
    const first = page.items[0]?.seq;
    if (request.before === null) room.oldest = first ?? 1;
    else if (first !== undefined) room.oldest = Math.min(room.oldest, first);
    room.hasOlder = first !== undefined && first > 1;
    room.loaded = true;
    for (const row of page.items) {
      this.host.hints.know(row.sender);
      this.putRow(room, { ...row, type: "message" }, true);
      room.lastSeq = Math.max(room.lastSeq, row.seq);
    }
    for (const frame of early) if (frame.seq >= room.oldest) this.putRow(room, frame);
  }

  #membersLoaded(room, request, page) {
    if (!page) return room.members.clear();
    for (const member of page.items) {
      this.host.hints.know(member.user);
      putMember(room, member);
    }
    this.#askWhoIsOnline(room, page.items);
    if (page.next) this.members(room, page.next);
    else room.membersLoaded = true;
  }

  #pinsLoaded(room, request, page) {
    if (!page) {
      room.pinsLoaded = false;
      return;
    }
    if (request.cursor === null) room.pins.clear();
    for (const row of page.items) {
      this.host.hints.know(row.sender);
      putRow(room.pins, { ...row, type: "message" }, this.host.userId, true);
    }
    if (page.next) return this.pins(room, page.next);
    room.pinsLoaded = true;
    for (const frame of room.earlyPins) this.pinChanged(room, frame);
  }

  pinChanged(room, frame) {
    if (room.pinsLoading) room.earlyPins.push(frame);
    else if (room.pinsLoaded && pinChanged(room, frame, this.host.userId)) this.pins(room, null);
  }
}
