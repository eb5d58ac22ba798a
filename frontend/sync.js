// The client's half of PROTOCOL.md (sections 3 and 4) as a state machine.
//
// It owns what is known of the rooms and what is still to be sent. It has no DOM, socket, clock or storage: every
// input is a method call, and every output is a list of effects that the caller carries out:
//   {do: "send", frame}            write a frame to the socket
//   {do: "page", request}          GET messages, then call pageLoaded or pageFailed with the same request
//   {do: "members", request}       GET members, then call membersLoaded or membersFailed
//   {do: "room", request}          GET the room, then call roomLoaded, without it when that failed
//   {do: "wake", in_ms}            call wake() after that time
//   {do: "save", item}             keep an outbox item through a reload      {do: "erase", id}   forget it
//   {do: "arrived", roomId, row}   someone else's new message
//   {do: "forgot", roomId}         the room is no longer mine
//   {do: "reconnect"}              this socket can't be brought up to date
//
// Invariant: when a room is at `position` N, every change up to N that touches what is held has been applied, and
// the messages held are all those from `oldest` to the newest.

export const RETRY_MS = 1000;
export const PAGE_SIZE = 50;
export const PAGE_SIZE_MAX = 200;

export class SyncClient {
  constructor({ userId, outbox = [] }) {
    this.userId = userId;
    this.epoch = null;
    this.live = false; // `ready` has come on the present socket
    this.rooms = new Map();
    this.left = new Map(); // room id → rev of my removal, so that an older `added` which comes late is void
    this.openRoomId = null;
    this.openMembers = false;
    this.outbox = outbox.map((item) => ({ ...item, state: item.failure ? "failed" : "queued", retryAt: 0 }));
    this.unanswered = new Map(); // ref → what was asked
    this.lastRef = 0;
    this.lastRequest = 0;
    this.effects = [];
  }

  // ---- what the page reads

  room(roomId) {
    return this.rooms.get(roomId);
  }

  rows(roomId) {
    const room = this.rooms.get(roomId);
    return room ? [...room.messages.values()].sort((a, b) => a.seq - b.seq) : [];
  }

  /** What is to be shown as pending. An item whose row has come is shown by that, though it waits for its ack. */
  pending(roomId) {
    const items = this.outbox.filter((item) => item.roomId === roomId);
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
    if (!room || !room.markersKnown) return 0;
    return Math.max(0, room.lastSeq - Math.max(room.lastReadSeq, room.readAsked));
  }

  // ---- the socket

  disconnected() {
    this.live = false;
    this.unanswered.clear();
    for (const room of this.rooms.values()) room.readAsked = 0;
    for (const item of this.outbox) if (item.state === "sent") Object.assign(item, { state: "queued", retryAt: 0 });
    return this.#take();
  }

  receive(frame, now) {
    switch (frame.type) {
      case "ready": this.#ready(frame, now); break;
      case "ack": this.#ack(frame, now); break;
      case "error": this.#error(frame, now); break;
      case "added": this.#added(frame.room); break;
      case "removed": this.#removed(frame); break;
      case "synced": this.#synced(frame); break;
      case "reset": this.#reset(frame); break;
      case "lagged": if (this.rooms.has(frame.room_id)) this.#join(this.rooms.get(frame.room_id)); break;
      case "read": this.#read(frame.room_id, frame.user_id, frame.seq); break;
      case "room": this.#durable({ ...frame, room_id: frame.id }); break;
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

  #ready(frame, now) {
    this.disconnected();
    this.live = true;
    if (this.epoch !== null && this.epoch !== frame.epoch) this.rooms.clear();
    this.epoch = frame.epoch;
    this.left.clear(); // the list in `ready` is newer than any removal that an earlier socket told
    const mine = new Set(frame.rooms.map((room) => room.id));
    for (const roomId of [...this.rooms.keys()]) if (!mine.has(roomId)) this.#forget(roomId);
    for (const info of frame.rooms) {
      const room = this.rooms.get(info.id);
      if (!room) this.rooms.set(info.id, newRoom(info));
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
    if (frame.replay) return void (room.loaded && putRow(room, frame));
    const prev = frame.prev ?? frame.rev - 1;
    if (frame.rev <= room.position) return;
    if (prev > room.position) {
      if (!this.#awaitsAnswer(room.id) && !room.joinAt) this.#join(room);
      return;
    }
    room.position = frame.rev;
    if (frame.type === "message" || frame.type === "message_updated") this.#messageChanged(room, frame);
    else if (frame.type === "member") this.#memberChanged(room, frame);
    else if (frame.type === "room") describe(room, frame);
    this.#dropShown(room);
  }

  #messageChanged(room, frame) {
    if (frame.type === "message") {
      const mine = frame.sender.id === this.userId;
      if (frame.seq > room.lastSeq) {
        room.lastSeq = frame.seq;
        if (!mine) this.effects.push({ do: "arrived", roomId: room.id, row: frame });
      }
      if (mine) room.lastReadSeq = Math.max(room.lastReadSeq, frame.seq); // sending marks as read
    }
    if (room.loaded && frame.seq >= room.oldest) putRow(room, frame);
    else if (room.loading) room.early.push(frame);
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
    if (room.membersLoaded || room.membersLoading) putMember(room, frame);
  }

  #synced(frame) {
    const wasAsked = this.#answered(frame.ref, frame.room_id);
    const room = this.rooms.get(frame.room_id);
    if (!room) return;
    room.lastSeq = Math.max(room.lastSeq, frame.last_seq ?? 0);
    room.lastReadSeq = Math.max(room.lastReadSeq, frame.last_read_seq ?? 0);
    if (frame.last_read_seq !== undefined) room.markersKnown = true;
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
    this.rooms.set(room.id, fresh);
    this.#loadRoom(fresh);
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
      this.rooms.set(info.id, newRoom(info));
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
    if (this.rooms.delete(roomId)) this.effects.push({ do: "forgot", roomId });
  }

  // ---- reading

  open(roomId, { members = false } = {}) {
    this.openRoomId = roomId;
    this.openMembers = members; // the address may name a room before `ready` has told of it
    this.#loadWhatIsOpen();
    return this.#take();
  }

  loadOlder(roomId) {
    const room = this.rooms.get(roomId);
    if (room?.loaded && room.hasOlder && !room.loading) this.#loadPage(room, room.oldest);
    return this.#take();
  }

  #loadWhatIsOpen() {
    const room = this.rooms.get(this.openRoomId);
    if (!room) return;
    room.showsMembers = this.openMembers;
    if (!room.markersKnown && !room.describing) this.#loadRoom(room);
    if (!room.loaded && !room.loading) this.#loadPage(room, null);
    if (room.showsMembers && !room.membersLoaded && !room.membersLoading) this.#loadMembers(room, null);
  }

  #request(room, more) {
    return { number: ++this.lastRequest, roomId: room.id, ...more };
  }

  #loadPage(room, before, in_ms = 0) {
    // One page that reaches back to the first unread message, where that is possible.
    const wanted = before === null ? Math.max(PAGE_SIZE, this.unread(room.id) + 10) : PAGE_SIZE;
    const limit = wanted > PAGE_SIZE_MAX ? PAGE_SIZE : wanted;
    room.loading = this.#request(room, { before, limit, in_ms });
    room.loadFailed = false;
    this.effects.push({ do: "page", request: room.loading });
  }

  pageLoaded(request, page) {
    const room = this.rooms.get(request.roomId);
    if (room?.loading?.number !== request.number) return this.#take(); // asked before a reset or a removal
    if (page.rev < room.resetRev) {
      this.#loadPage(room, request.before, RETRY_MS);
      return this.#take();
    }
    const first = page.items[0]?.seq;
    if (request.before === null) room.oldest = first ?? 1;
    else if (first !== undefined) room.oldest = Math.min(room.oldest, first);
    room.hasOlder = first !== undefined && first > 1;
    room.loaded = true;
    room.loading = null;
    const early = room.early;
    room.early = [];
    for (const row of page.items) {
      putRow(room, { ...row, type: "message" });
      room.lastSeq = Math.max(room.lastSeq, row.seq);
    }
    for (const frame of early) if (frame.seq >= room.oldest) putRow(room, frame);
    this.#dropShown(room);
    return this.#take();
  }

  pageFailed(request) {
    const room = this.rooms.get(request.roomId);
    if (room?.loading?.number === request.number) {
      room.loading = null;
      room.loadFailed = true;
      room.early = []; // the next page is read later than all of these
    }
    return this.#take();
  }

  #loadMembers(room, cursor, in_ms = 0) {
    room.membersLoading = this.#request(room, { cursor, in_ms });
    this.effects.push({ do: "members", request: room.membersLoading });
  }

  membersLoaded(request, page) {
    const room = this.rooms.get(request.roomId);
    if (room?.membersLoading?.number !== request.number) return this.#take();
    if (page.rev < room.resetRev) {
      this.#loadMembers(room, request.cursor, RETRY_MS);
      return this.#take();
    }
    for (const member of page.items) putMember(room, member);
    room.membersLoading = null;
    if (page.next !== null && page.next !== undefined) this.#loadMembers(room, page.next);
    else room.membersLoaded = true;
    return this.#take();
  }

  membersFailed(request) {
    const room = this.rooms.get(request.roomId);
    if (room?.membersLoading?.number === request.number) {
      room.membersLoading = null;
      room.members.clear();
    }
    return this.#take();
  }

  #loadRoom(room) {
    room.describing = this.#request(room, {});
    this.effects.push({ do: "room", request: room.describing });
  }

  /** Without `info` when it could not be read. */
  roomLoaded(request, info) {
    const room = this.rooms.get(request.roomId);
    if (room?.describing?.number === request.number) {
      room.describing = null;
      if (info) describe(room, info);
    }
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

  #read(roomId, userId, seq) {
    const room = this.rooms.get(roomId);
    if (room && userId === this.userId) room.lastReadSeq = Math.max(room.lastReadSeq, seq);
  }

  // ---- the outbox: one message per room is under way, so that order holds

  enqueue({ id, roomId, content, createdAt }, now) {
    const item = { id, roomId, content, createdAt, state: "queued", retryAt: 0 };
    this.outbox.push(item);
    this.#save(item);
    this.#pump(now);
    return this.#take();
  }

  retry(id, now) {
    const item = this.outbox.find((other) => other.id === id && other.state === "failed");
    if (item) {
      // To the end: what was written after it may have been sent meanwhile.
      this.outbox = [...this.outbox.filter((other) => other !== item), item];
      // The time is the order after a reload.
      Object.assign(item, { state: "queued", retryAt: 0, failure: undefined, createdAt: new Date(now).toISOString() });
      this.#save(item);
      this.#pump(now);
    }
    return this.#take();
  }

  /** Also for an item that another tab has dealt with. What is under way stays until its answer. */
  discard(id, now) {
    const item = this.outbox.find((other) => other.id === id);
    if (item && (item.state === "failed" || item.state === "queued")) this.#dropItem(item);
    this.#pump(now);
    return this.#take();
  }

  #pump(now) {
    if (!this.live) return;
    const busy = new Set();
    for (const item of this.outbox) {
      if (busy.has(item.roomId) || item.state === "failed" || item.state === "stored") continue;
      busy.add(item.roomId);
      if (item.state === "sent") continue;
      if (item.retryAt > now) {
        this.effects.push({ do: "wake", in_ms: item.retryAt - now });
        continue;
      }
      item.state = "sent";
      const ref = this.#ask({ kind: "message", id: item.id });
      this.#send({ type: "message", ref, room_id: item.roomId, id: item.id, content: item.content });
    }
  }

  #ack(frame, now) {
    const asked = this.unanswered.get(frame.ref);
    this.unanswered.delete(frame.ref);
    if (asked?.kind === "message") {
      const item = this.outbox.find((other) => other.id === asked.id);
      const room = item && this.rooms.get(item.roomId);
      if (item) {
        // It stays in view until its own event brings the row: only that moves the position.
        Object.assign(item, { state: "stored", rev: frame.rev });
        this.effects.push({ do: "erase", id: item.id });
        if (room) this.#dropShown(room);
        else this.#dropItem(item);
      }
      this.#pump(now);
    } else if (asked?.kind === "read" && frame.last_read_seq !== undefined) {
      this.#read(asked.roomId, this.userId, frame.last_read_seq);
    }
  }

  #error(frame, now) {
    const asked = this.unanswered.get(frame.ref);
    if (!asked) return;
    this.unanswered.delete(frame.ref);
    const wait_ms = frame.retry_after_ms ?? RETRY_MS;
    if (frame.retryable) this.effects.push({ do: "wake", in_ms: wait_ms });
    if (asked.kind === "message") {
      const item = this.outbox.find((other) => other.id === asked.id);
      if (item?.state === "sent") {
        if (frame.retryable) Object.assign(item, { state: "queued", retryAt: now + wait_ms });
        else {
          Object.assign(item, { state: "failed", failure: { code: frame.code, message: frame.message } });
          this.#save(item);
        }
      }
      this.#pump(now);
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

  #dropShown(room) {
    if (!room.loaded) return;
    this.outbox = this.outbox.filter(
      (item) => !(item.state === "stored" && item.roomId === room.id && item.rev <= room.position),
    );
  }

  #dropItem(item) {
    this.outbox = this.outbox.filter((other) => other !== item);
    this.effects.push({ do: "erase", id: item.id });
  }

  #save({ id, roomId, content, createdAt, failure }) {
    this.effects.push({ do: "save", item: { id, roomId, content, createdAt, failure } });
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

function newRoom(info) {
  const room = {
    id: info.id, info: {}, position: info.rev, resetRev: 0,
    memberRev: info.rev, // up to here it is known that I was a member
    settingsRev: 0, countRev: 0, // how new the name and so on, and the count of members, are
    lastSeq: 0, lastReadSeq: 0, readAsked: 0, readAgainAt: 0, markersKnown: true,
    messages: new Map(), loaded: false, loading: null, loadFailed: false, oldest: Infinity, hasOlder: false,
    early: [], // changes to rows not held, while a page that may hold them is on its way
    members: new Map(), membersLoaded: false, membersLoading: null, showsMembers: false,
    joinAt: 0, describing: null,
  };
  describe(room, info);
  return room;
}

const holdsContent = (room) => room.loaded || room.loading || room.membersLoaded || room.membersLoading;

/**
 * Takes over a room as a frame or an answer tells it. What is mine in it stays unless told, and markers only rise.
 * A whole room is the state at its `rev`; a `room` frame's `rev` is that of the settings, but its count is the head's.
 */
function describe(room, { type, room_id, prev, rev, ref, by, at, last_seq, last_read_seq, member_count, ...settings }) {
  if (rev >= room.settingsRev) {
    const mine = ["role", "notify", "peer", "unread_mentions", "last_message"];
    const kept = Object.fromEntries(mine.filter((key) => key in room.info).map((key) => [key, room.info[key]]));
    room.info = { ...kept, member_count: room.info.member_count, ...settings };
    room.settingsRev = rev;
  }
  if (member_count !== undefined && (type === "room" || rev >= room.countRev)) {
    room.info.member_count = member_count;
    if (type !== "room") room.countRev = rev;
  }
  room.lastSeq = Math.max(room.lastSeq, last_seq ?? 0);
  room.lastReadSeq = Math.max(room.lastReadSeq, last_read_seq ?? 0);
  if (last_read_seq !== undefined) room.markersKnown = true;
}

function putRow(room, { type, prev, replay, by, ...row }) {
  const held = room.messages.get(row.seq);
  if (held && held.rev >= row.rev) return;
  if (type === "message") room.messages.set(row.seq, row);
  else if (held) room.messages.set(row.seq, patched(held, row));
}

/** A live change brings only what changed; its `reactions` only the emoji that were touched (rule 6). */
function patched(row, change) {
  const next = { ...row, ...change };
  if (change.reactions) {
    const touched = new Map(change.reactions.map((reaction) => [reaction.emoji, reaction]));
    const others = (row.reactions ?? []).filter((reaction) => !touched.has(reaction.emoji));
    next.reactions = [...others, ...change.reactions.filter((reaction) => reaction.count > 0)];
  }
  if (next.deleted_at) delete next.content;
  return next;
}

/** Those who left stay as tombstones (role null), so that an older page can't bring them back. */
function putMember(room, { user, role, rev, joined_at }) {
  const held = room.members.get(user.id);
  if (!held || held.rev < rev) room.members.set(user.id, { user, role, rev, joined_at: joined_at ?? held?.joined_at });
}
