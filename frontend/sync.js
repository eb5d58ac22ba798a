// The client's half of PROTOCOL.md (sections 3 and 4) as a state machine.
//
// It owns what is known of the rooms and what is still to be sent. It has no DOM, socket, clock or storage: every
// input is a method call, and every output is a list of effects that the caller carries out:
//   {do: "send", frame}            write a frame to the socket
//   {do: "page", request}          GET messages, then call loaded("page", request, answer), without it when that failed
//   {do: "members", request}       the same with the members
//   {do: "pins", request}          the same with the pins
//   {do: "room", request}          the same with the room
//   {do: "people", request}        the same with the users of these ids
//   {do: "online", request}        the same with those of these ids who are online
//   {do: "wake", in_ms}            call wake() after that time
//   {do: "save", item}             keep an outbox item through a reload      {do: "erase", id}   forget it
//   {do: "arrived", roomId, row}   someone else's new message
//   {do: "forgot", roomId}         the room is no longer mine
//   {do: "refused", change}        an edit, deletion or reaction of mine that the server won't do; with its message
//   {do: "reconnect"}              this socket can't be brought up to date
//
// Invariant: when a room is at `position` N, every change up to N that touches what is held has been applied, and
// the messages held are all those from `oldest` to the newest.

import { Changes, wished } from "./changes.js";
import { Hints, TYPING_MS } from "./hints.js";
import { Outbox, RETRY_MS } from "./outbox.js";
import { Reader } from "./reader.js";
import {
  describe, holdsContent, markersTold, newRoom, noteChange, putMember, putRow, raiseMarker, reactionIsMine, readTold,
  unread, unreadMentions,
} from "./room.js";

export class SyncClient {
  constructor({ userId, outbox = [] }) {
    this.userId = userId;
    this.epoch = null;
    this.live = false; // `ready` has come on the present socket
    this.greeting = null; // `ready` while some of its rooms are still to come
    this.rooms = new Map();
    this.left = new Map(); // room id → rev of my removal, so that an older `added` which comes late is void
    this.openRoomId = null;
    this.openMembers = false;
    this.unanswered = new Map(); // ref → what was asked
    this.lastRef = 0;
    this.effects = [];
    const host = {
      send: (frame) => this.#send(frame),
      ask: (what) => this.#ask(what),
      emit: (effect) => this.effects.push(effect),
    };
    this.outbox = new Outbox(outbox, host);
    this.changes = new Changes(host);
    this.hints = new Hints();
    this.reader = new Reader({ ...host, userId, rooms: this.rooms, hints: this.hints, unread: (id) => this.unread(id) });
  }

  // ---- what the page reads

  room(roomId) {
    return this.rooms.get(roomId);
  }

  rows(roomId) {
    const room = this.rooms.get(roomId);
    if (!room) return [];
    const rows = new Map(room.messages);
    for (const { frame } of this.changes.of(roomId)) {
      if (rows.has(frame.seq)) rows.set(frame.seq, wished(rows.get(frame.seq), frame));
    }
    return [...rows.values()].sort((a, b) => a.seq - b.seq);
  }

  /** What is to be shown as pending. An item whose row has come is shown by that, though it waits for its ack. */
  pending(roomId) {
    const items = this.outbox.items.filter((item) => item.roomId === roomId);
    const room = this.rooms.get(roomId);
    if (!room || items.length === 0) return items;
    const mine = [...room.messages.values()].filter((row) => row.sender.id === this.userId);
    const shown = new Set(mine.map((row) => row.id));
    return items.filter((item) => !shown.has(item.id));
  }

  members(roomId) {
    const room = this.rooms.get(roomId);
    return room ? [...room.members.values()].filter((member) => member.role !== null) : [];
  }

  unread(roomId) {
    const room = this.rooms.get(roomId);
    return room?.markersKnown ? unread(room) : 0;
  }

  mentions(roomId) {
    const room = this.rooms.get(roomId);
    return room?.markersKnown ? unreadMentions(room) : 0;
  }

  pins(roomId) {
    const room = this.rooms.get(roomId);
    return room?.pinsLoaded ? [...room.pins.values()].sort((a, b) => a.seq - b.seq) : [];
  }

  person(userId) {
    return this.hints.people.get(userId);
  }

  isOnline(userId) {
    return userId === this.userId ? this.live : this.hints.online.has(userId);
  }

  /** Who is typing there, without those of whom nobody knows the name yet. */
  typists(roomId, now) {
    return this.hints.typists(roomId, now).map((id) => this.person(id)).filter(Boolean);
  }

  // ---- the socket

  disconnected() {
    this.live = false;
    this.greeting = null;
    this.unanswered.clear();
    for (const room of this.rooms.values()) room.readAsked = 0;
    this.outbox.disconnected();
    this.changes.disconnected();
    this.hints.disconnected();
    return this.#take();
  }

  receive(told, now) {
    const frame = this.#greeted(told);
    switch (frame?.type) {
      case undefined: break;
      case "ready": this.#ready(frame, now); break;
      case "ack": this.#ack(frame, now); break;
      case "error": this.#error(frame, now); break;
      case "added": this.#added(frame.room); break;
      case "removed": this.#removed(frame); break;
      case "synced": this.#synced(frame); break;
      case "reset": this.#reset(frame); break;
      case "lagged": if (this.rooms.has(frame.room_id)) this.#join(this.rooms.get(frame.room_id)); break;
      case "read": if (frame.user_id === this.userId) this.#read(frame.room_id, frame); break;
      case "presence": this.hints.presence(frame); break;
      case "typing": this.#typing(frame, now); break;
      default: if (frame.room_id !== undefined && frame.rev !== undefined) this.#durable(frame);
    }
    return this.#take();
  }

  wake(now) {
    if (this.live) {
      if (this.syncAt && this.syncAt <= now) this.#sync();
      for (const room of this.rooms.values()) {
        if (room.joinAt && room.joinAt <= now) this.#join(room);
        if (room.readAgainAt && room.readAgainAt <= now) Object.assign(room, { readAsked: 0, readAgainAt: 0 });
      }
    }
    this.#pump(now);
    return this.#take();
  }

  /** What is to be acted on: of `ready` the whole, once the rooms that didn't fit into it have followed in `added`. */
  #greeted(frame) {
    if (frame.type === "ready") this.greeting = { ...frame, rooms: [...frame.rooms] };
    else if (this.greeting) {
      this.greeting.rooms.push(frame.room);
      this.greeting.more_rooms -= 1;
    } else return frame;
    if (this.greeting.more_rooms > 0) return null;
    const ready = this.greeting;
    this.greeting = null;
    return ready;
  }

  #ready(frame, now) {
    this.disconnected();
    this.live = true;
    this.hints.presence(frame);
    this.hints.know(frame.user);
    if (this.epoch !== null && this.epoch !== frame.epoch) {
      for (const roomId of this.rooms.keys()) this.changes.forget(roomId, { storedOnly: true });
      this.rooms.clear();
    }
    this.epoch = frame.epoch;
    this.left.clear(); // the list in `ready` is newer than any removal that an earlier socket told
    const mine = new Set(frame.rooms.map((room) => room.id));
    for (const roomId of [...this.rooms.keys()]) if (!mine.has(roomId)) this.#forget(roomId);
    for (const info of frame.rooms) {
      const room = this.rooms.get(info.id);
      if (!room) this.#enter(info);
      else {
        describe(room, info);
        room.memberRev = Math.max(room.memberRev, info.rev);
        // Nothing of it is held, so nothing that happened meanwhile need be told.
        if (!holdsContent(room)) room.position = Math.max(room.position, info.rev);
      }
    }
    this.#sync();
    if (this.openRoomId !== null) this.#loadWhatIsOpen();
    this.#pump(now);
  }

  #sync() {
    this.syncAt = 0;
    const rooms = {};
    for (const room of this.rooms.values()) {
      rooms[room.id] = room.position;
      room.joinAt = 0;
    }
    const ref = this.#ask({ kind: "sync", rooms: new Set(this.rooms.keys()) });
    this.#send({ type: "sync", ref, epoch: this.epoch, rooms });
  }

  #join(room) {
    room.joinAt = 0;
    if (!this.live) return; // the next `ready` syncs it
    const ref = this.#ask({ kind: "join", rooms: new Set([room.id]) });
    this.#send({ type: "join", ref, room_id: room.id, rev: room.position, epoch: this.epoch });
  }

  #awaitsAnswer(roomId) {
    for (const asked of this.unanswered.values()) if (asked.rooms?.has(roomId)) return true;
    return false;
  }

  /** True when the answer is for something still asked; a sync's ref is answered once by each room. */
  #answered(ref, roomId) {
    const asked = this.unanswered.get(ref);
    if (!asked?.rooms?.delete(roomId)) return false;
    if (asked.rooms.size === 0) this.unanswered.delete(ref);
    return true;
  }

  /** What was asked about this room before counts no more. */
  #withdraw(roomId) {
    for (const asked of this.unanswered.values()) asked.rooms?.delete(roomId);
  }

  // ---- rule 1: position

  #durable(frame) {
    const room = this.rooms.get(frame.room_id);
    if (!room) return;
    if (frame.replay) return void (room.loaded && putRow(room.messages, frame, this.userId));
    const prev = frame.prev ?? frame.rev - 1;
    if (frame.rev <= room.position) return;
    if (prev > room.position) {
      if (!this.#awaitsAnswer(room.id) && !room.joinAt) this.#join(room);
      return;
    }
    // It may be late and jump into a catch-up, whose whole rows hold more: of the same row, what was changed before it.
    if (frame.type === "message_updated" && this.#awaitsAnswer(room.id)) return;
    room.position = frame.rev;
    if (frame.type === "message" || frame.type === "message_updated") this.#messageChanged(room, frame);
    else if (frame.type === "member") this.#memberChanged(room, frame);
    else if (frame.type === "room") describe(room, { ...frame.room, type: frame.type });
    this.#dropShown(room);
  }

  #enter(info) {
    this.hints.know(info.peer);
    this.rooms.set(info.id, newRoom(info));
  }

  #messageChanged(room, frame) {
    if (frame.type === "message") {
      const mine = frame.sender.id === this.userId;
      this.hints.know(frame.sender);
      this.hints.stopped(room.id, frame.sender.id);
      if (frame.seq > room.lastSeq) {
        room.lastSeq = frame.seq;
        if (!mine && !frame.deleted_at) this.effects.push({ do: "arrived", roomId: room.id, row: frame });
      }
      if (mine) raiseMarker(room, frame.seq); // sending marks as read
    }
    noteChange(room, frame, this.userId);
    if (room.loaded && frame.seq >= room.oldest) this.reader.putRow(room, frame);
    else if (room.loading) room.early.push(frame);
    this.reader.pinChanged(room, frame);
  }

  #memberChanged(room, frame) {
    if (frame.member_count !== undefined) {
      room.info.member_count = frame.member_count;
      room.countRev = frame.rev;
    }
    if (frame.user.id === this.userId && frame.role !== null) {
      room.info.role = frame.role;
      room.memberRev = Math.max(room.memberRev, frame.rev);
    }
    this.hints.know(frame.user);
    if (room.membersLoaded || room.membersLoading) putMember(room, frame);
  }

  #synced(frame) {
    const wasAsked = this.#answered(frame.ref, frame.room_id);
    const room = this.rooms.get(frame.room_id);
    if (!room) return;
    room.lastSeq = Math.max(room.lastSeq, frame.last_seq ?? 0);
    markersTold(room, frame);
    if (frame.prev <= room.position) room.position = Math.max(room.position, frame.rev);
    else if (wasAsked && !this.#awaitsAnswer(room.id)) this.#join(room); // part of the catch-up was dropped
    this.#dropShown(room);
  }

  #reset(frame) {
    this.#answered(frame.ref, frame.room_id);
    const room = this.rooms.get(frame.room_id);
    if (!room) return;
    const fresh = newRoom({ ...room.info, rev: frame.rev, last_seq: 0, last_read_seq: 0 });
    // Counts of another epoch mean nothing: none is shown until the room has been read anew.
    Object.assign(fresh, { resetRev: frame.rev, markersKnown: false, settingsRev: 0, countRev: 0 });
    fresh.showsMembers = room.showsMembers;
    this.changes.forget(room.id, { storedOnly: true });
    this.rooms.set(room.id, fresh);
    this.reader.room(fresh);
    if (this.openRoomId === room.id) this.#loadWhatIsOpen();
  }

  // ---- rule 5: coming and going

  /** Also for the room that a REST answer carries: either may come first. */
  joined(info) {
    this.#added(info);
    return this.#take();
  }

  #added(info) {
    if (info.rev <= (this.left.get(info.id) ?? -1)) return;
    this.left.delete(info.id);
    this.#withdraw(info.id); // a `removed` that answers an earlier question is older than this
    const room = this.rooms.get(info.id);
    if (!room) {
      this.#enter(info);
      if (this.openRoomId === info.id) this.#loadWhatIsOpen();
      return;
    }
    describe(room, info);
    room.memberRev = Math.max(room.memberRev, info.rev);
  }

  #removed(frame) {
    const roomId = frame.room_id;
    const wasAsked = this.#answered(frame.ref, roomId);
    const room = this.rooms.get(roomId);
    if (frame.rev === undefined) {
      if (frame.ref === undefined || wasAsked) this.#forget(roomId);
      return;
    }
    this.left.set(roomId, Math.max(frame.rev, this.left.get(roomId) ?? 0));
    if (room && frame.rev > room.memberRev) this.#forget(roomId);
  }

  #forget(roomId) {
    if (!this.rooms.delete(roomId)) return;
    this.changes.forget(roomId);
    this.effects.push({ do: "forgot", roomId });
  }

  // ---- reading

  open(roomId, { members = false } = {}) {
    this.openRoomId = roomId;
    this.openMembers = members; // the address may name a room before `ready` has told of it
    this.#loadWhatIsOpen();
    return this.#take();
  }

  /** One page more, a large one when it is to reach back to the message `downTo`. */
  loadOlder(roomId, downTo = Infinity) {
    const room = this.rooms.get(roomId);
    if (room?.loaded && room.hasOlder && !room.loading) this.reader.page(room, room.oldest, { downTo });
    return this.#take();
  }

  #loadWhatIsOpen() {
    const room = this.rooms.get(this.openRoomId);
    if (!room) return;
    room.showsMembers = this.openMembers;
    this.reader.open(room);
  }

  /** The answer to a request, without a body when there is none. */
  loaded(what, request, body) {
    this.reader.loaded(what, request, body);
    const room = this.rooms.get(request.roomId);
    if (room) this.#dropShown(room);
    return this.#take();
  }

  /** For who wants to show the names of these. */
  meet(ids) {
    this.reader.meet(ids);
    return this.#take();
  }

  markRead(roomId, seq) {
    const room = this.rooms.get(roomId);
    if (this.live && room?.markersKnown && seq > Math.max(room.lastReadSeq, room.readAsked)) {
      room.readAsked = seq;
      const ref = this.#ask({ kind: "read", roomId });
      this.#send({ type: "read", ref, room_id: roomId, seq });
    }
    return this.#take();
  }

  #read(roomId, told) {
    const room = this.rooms.get(roomId);
    if (room) readTold(room, told);
  }

  // ---- typing

  #typing({ room_id, user_id }, now) {
    if (user_id === this.userId || !this.rooms.has(room_id)) return;
    this.hints.types(room_id, user_id, now);
    this.reader.meet([user_id]);
    this.effects.push({ do: "wake", in_ms: TYPING_MS });
  }

  typed(roomId, now) {
    if (this.live && this.rooms.has(roomId) && this.hints.tells(roomId, now)) {
      this.#send({ type: "typing", room_id: roomId });
    }
    return this.#take();
  }

  // ---- what I write, and change

  enqueue(item, now) {
    this.outbox.add(item);
    this.hints.typedAt.delete(item.roomId);
    this.#pump(now);
    return this.#take();
  }

  retry(id, now) {
    this.outbox.retry(id, now);
    this.#pump(now);
    return this.#take();
  }

  discard(id, now) {
    this.outbox.discard(id);
    this.#pump(now);
    return this.#take();
  }

  /** `frame`: an `edit`, `delete` or `react` of PROTOCOL.md, without a ref. */
  change(frame, now) {
    this.changes.wish(frame);
    this.#pump(now);
    return this.#take();
  }

  #pump(now) {
    if (!this.live) return;
    this.outbox.pump(now);
    this.changes.pump(now);
  }

  #ack(frame, now) {
    const asked = this.unanswered.get(frame.ref);
    this.unanswered.delete(frame.ref);
    if (asked?.kind === "message") {
      const item = this.outbox.acked(asked.id, frame.rev);
      const room = item && this.rooms.get(item.roomId);
      if (room) this.#dropShown(room);
      else if (item) this.outbox.drop(item);
      this.#pump(now);
    } else if (asked?.kind === "change") {
      this.changes.acked(asked.wish, frame.rev);
      const room = this.rooms.get(asked.wish.frame.room_id);
      if (room) this.#dropShown(room);
    } else if (asked?.kind === "read" && frame.last_read_seq !== undefined) {
      this.#read(asked.roomId, { ...frame, seq: frame.last_read_seq });
    }
  }

  #error(frame, now) {
    const asked = this.unanswered.get(frame.ref);
    if (!asked) return;
    this.unanswered.delete(frame.ref);
    const wait_ms = frame.retry_after_ms ?? RETRY_MS;
    if (frame.retryable) this.effects.push({ do: "wake", in_ms: wait_ms });
    if (asked.kind === "message") {
      this.outbox.refused(asked.id, frame, now + wait_ms);
      this.#pump(now);
    } else if (asked.kind === "change") {
      this.changes.refused(asked.wish, frame, now + wait_ms);
    } else if (asked.kind === "read") {
      const room = this.rooms.get(asked.roomId);
      if (room && frame.retryable) room.readAgainAt = now + wait_ms;
    } else if (frame.retryable && asked.kind === "sync") {
      this.syncAt = now + wait_ms;
    } else if (frame.retryable) {
      for (const roomId of asked.rooms) if (this.rooms.has(roomId)) this.rooms.get(roomId).joinAt = now + wait_ms;
    } else if (frame.code === "not_found" || frame.code === "forbidden") {
      for (const roomId of asked.rooms) this.#forget(roomId);
    } else {
      this.effects.push({ do: "reconnect" });
    }
  }

  /** What was pending and is now shown by the room's own rows. */
  #dropShown(room) {
    for (const { frame, rev } of this.changes.takeShown(room)) {
      if (frame.type !== "react") continue;
      reactionIsMine(room.messages, frame, rev);
      reactionIsMine(room.pins, frame, rev);
    }
    if (room.loaded) this.outbox.dropShown(room);
  }

  // ---- small tools

  #ask(what) {
    const ref = `${what.kind}-${++this.lastRef}`;
    this.unanswered.set(ref, what);
    return ref;
  }

  #send(frame) {
    this.effects.push({ do: "send", frame });
  }

  #take() {
    const effects = this.effects;
    this.effects = [];
    return effects;
  }
}
