// For the shuffle: rooms as a server by the book holds them, and what REST tells of them.

import type { Query } from "./effects.ts";

export const ME = 1;
/** Of what is above the marker: small, so that there are older ones. */
const LISTED = 2;

const PAGE_ROWS = 5;

export const user = (id: number) => ({ id, username: `user${id}` });

/** mulberry32: the same seed, the same run. */
export function seeded(start: number): () => number {
  let seed = start;
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A frame on its way to the client. */
export type Told = { type: string; ref?: string | undefined } & Record<string, unknown>;

export interface ModelRow {
  room_id: number;
  seq: number;
  rev: number;
  id: string;
  kind: "text";
  sender: { id: number; username: string };
  created_at: string;
  content?: string | undefined;
  mentions?: number[] | undefined;
  edited_at?: string | undefined;
  deleted_at?: string | undefined;
  pinned_at?: string | undefined;
  /** By emoji: who reacted. */
  reactions?: Map<string, number[]> | undefined;
  /** What the last reaction touched, where a next one may be joined with it. */
  joins?: { emoji: string; count: number }[] | null;
}

interface ModelMember {
  user: { id: number; username: string };
  role: string | null;
  rev: number;
  joined_at: string;
}

export interface ModelRoom {
  id: number;
  name: string;
  rev: number;
  settingsRev: number;
  messages: Map<number, ModelRow>;
  members: Map<number, ModelMember>;
  lastSeq: number;
  /** My marker, and the others'. */
  read: number;
  markers: Map<number, number>;
  /** All states that rows and memberships have had. */
  log: { rev: number; row?: ModelRow; member?: ModelMember }[];
}

/** The rooms as the server holds them, and what happens in them. */
export abstract class ModelLog {
  readonly random: () => number;
  epoch = 1;
  faults = true;
  rooms = new Map<number, ModelRoom>();

  constructor(random: () => number) {
    this.random = random;
    for (const id of [1, 2, 3]) {
      const members = new Map([
        [ME, { user: user(ME), role: "member", rev: 1, joined_at: "1" }],
        [2, { user: user(2), role: "owner", rev: 2, joined_at: "2" }],
      ]);
      const empty = { messages: new Map(), lastSeq: 0, read: 0, markers: new Map(), log: [] };
      const room: ModelRoom = { id, name: `room ${id}`, rev: 2, settingsRev: 0, members, ...empty };
      this.rooms.set(id, room);
    }
  }

  /** A live frame, to whoever is subscribed. */
  protected abstract publish(room: ModelRoom, frame: Told): void;

  /** To all of my sockets, in order. */
  protected abstract tellMe(frame: Told): void;

  /** My membership has begun again, or ended. */
  protected abstract moved(room: ModelRoom, isMember: boolean): void;

  room(id: number): ModelRoom {
    const room = this.rooms.get(id);
    if (!room) throw new Error(`there is no room ${id}`);
    return room;
  }

  chance(probability: number): boolean {
    return this.faults && this.random() < probability;
  }

  isMember(room: ModelRoom, id = ME): boolean {
    return (room.members.get(id)?.role ?? null) !== null;
  }

  describe(room: ModelRoom, forMe = true) {
    const member_count = [...room.members.values()].filter((member) => member.role !== null).length;
    const { id, name, rev, lastSeq: last_seq } = room;
    const base = {
      id,
      kind: "private",
      name,
      topic: "",
      created_by: 2,
      created_at: "",
      rev,
      last_seq,
      member_count,
    };
    if (!forMe) return base;
    const last = [...room.messages.values()].slice(-100).findLast((row) => !row.deleted_at);
    const { seq, sender, content: snippet, created_at } = last ?? {};
    const last_message = last && { seq, sender, snippet, created_at };
    return { ...base, role: "member", ...this.markers(room), ...(last_message && { last_message }) };
  }

  /** The state of each row, and of each membership, as of a rev. */
  asOf(room: ModelRoom, at: number) {
    const rows = new Map<number, ModelRow>();
    const members = new Map<number, ModelMember>();
    for (const { rev, row, member } of room.log) {
      if (rev > at) break;
      if (row) rows.set(row.seq, row);
      if (member) members.set(member.user.id, member);
    }
    return { rows, members };
  }

  markers(room: ModelRoom) {
    const above = [...room.messages.values()].filter((row) => row.seq > room.read);
    const seqs = (rows: ModelRow[]): number[] => rows.map((row) => row.seq);
    const mentioned = seqs(above.filter((row) => row.mentions));
    const deleted = seqs(above.filter((row) => row.deleted_at));
    const unread = above.length - deleted.length;
    const { read: last_read_seq, lastSeq: last_seq } = room;
    const listed = { mentioned, deleted: deleted.slice(-LISTED) };
    return { last_seq, last_read_seq, unread, unread_mentions: mentioned.length, ...listed };
  }

  /** A row as others than the server see it: who reacted is a list, and only REST says `me`. */
  shown({ reactions, joins, ...row }: ModelRow, isRest = false) {
    if (!reactions?.size) return row;
    const list = [...reactions].map(([emoji, ids]) => {
      const isMine = isRest && ids.includes(ME);
      return { emoji, count: ids.length, user_ids: ids, ...(isMine && { me: true }) };
    });
    return { ...row, reactions: list };
  }

  say(room: ModelRoom, sender: number, id: string, content: string, mentions?: number[]): ModelRow {
    const seq = ++room.lastSeq;
    const rev = ++room.rev;
    const row: ModelRow = {
      ...{
        room_id: room.id,
        seq,
        rev,
        id,
        kind: "text",
        sender: user(sender),
        created_at: `${rev}`,
        content,
      },
      ...(mentions && { mentions }),
    };
    room.messages.set(row.seq, row);
    room.log.push({ rev: row.rev, row });
    if (sender === ME) room.read = row.seq;
    else room.markers.set(sender, row.seq);
    this.publish(room, { type: "message", ...this.shown(row) });
    return row;
  }

  /** Stores `more` over the row, publishes `told` of it, and gives the row. What is undefined is gone. */
  #update(
    room: ModelRoom,
    held: ModelRow,
    more: Partial<ModelRow>,
    action: string,
    told: object,
    by: number,
  ): ModelRow {
    const row: ModelRow = { ...held, ...more, rev: ++room.rev, joins: null };
    for (const key of Object.keys(row) as (keyof ModelRow)[]) if (row[key] === undefined) delete row[key];
    room.messages.set(row.seq, row);
    room.log.push({ rev: row.rev, row });
    const { seq, rev } = row;
    this.publish(room, {
      type: "message_updated",
      room_id: room.id,
      seq,
      rev,
      ...told,
      by: { user_id: by, action },
    });
    return row;
  }

  #row(room: ModelRoom, seq: number): ModelRow {
    const row = room.messages.get(seq);
    if (!row) throw new Error(`there is no message ${seq}`);
    return row;
  }

  edit(
    room: ModelRoom,
    seq: number,
    by = 2,
    content = `edited at ${room.rev + 1}`,
    mentions?: number[],
  ): ModelRow {
    const held = this.#row(room, seq);
    if (held.deleted_at || (held.content === content && held.mentions === mentions)) return held;
    const more = { content, edited_at: `${room.rev}`, mentions };
    const told = { content, edited_at: more.edited_at, ...(mentions && { mentions }) };
    return this.#update(room, held, more, "edit", told, by);
  }

  remove(room: ModelRoom, seq: number, by = 2): ModelRow {
    const held = this.#row(room, seq);
    if (held.deleted_at) return held;
    const deleted_at = `${room.rev}`;
    const gone = { content: undefined, mentions: undefined, reactions: undefined, pinned_at: undefined };
    return this.#update(room, held, { deleted_at, ...gone }, "delete", { deleted_at }, by);
  }

  pin(room: ModelRoom, seq: number): void {
    const held = this.#row(room, seq);
    if (held.deleted_at) return;
    const pinned_at = held.pinned_at ? undefined : `${room.rev}`;
    this.#update(room, held, { pinned_at }, pinned_at ? "pin" : "unpin", { pinned_at: pinned_at ?? null }, 2);
  }

  /** Two of other people's reactions may be joined in one frame, which then says neither who nor which. */
  react(room: ModelRoom, seq: number, emoji: string, on: boolean, by = 2): ModelRow {
    const held = this.#row(room, seq);
    const ids = held.reactions?.get(emoji) ?? [];
    if (held.deleted_at || ids.includes(by) === on) return held;
    const reactors = on ? [...ids, by] : ids.filter((id) => id !== by);
    const reactions = new Map(held.reactions).set(emoji, reactors);
    if (reactors.length === 0) reactions.delete(emoji);
    const isJoined = by !== ME && held.rev === room.rev && held.joins && this.faults;
    const touched = { emoji, count: reactors.length };
    const row = { ...held, rev: ++room.rev, reactions, joins: by === ME ? null : [touched] };
    room.messages.set(seq, row);
    room.log.push({ rev: row.rev, row });
    const told = { type: "message_updated", room_id: room.id, seq, rev: row.rev };
    if (isJoined) {
      const others = (held.joins ?? []).filter((one) => one.emoji !== emoji);
      this.publish(room, { ...told, prev: row.rev - 2, reactions: [...others, touched] });
    } else {
      const action = on ? "react" : "unreact";
      this.publish(room, { ...told, reactions: [touched], by: { user_id: by, action, emoji } });
    }
    return row;
  }

  rename(room: ModelRoom): void {
    room.settingsRev = ++room.rev;
    room.name = `name ${room.rev}`;
    this.publish(room, { type: "room", room_id: room.id, rev: room.rev, room: this.describe(room, false) });
  }

  setMember(room: ModelRoom, id: number, role: string | null): void {
    const rev = ++room.rev;
    const at = `${rev}`;
    const member = { user: user(id), role, rev, joined_at: at };
    room.members.set(id, member);
    room.log.push({ rev, member });
    if (id === ME) room.read = room.lastSeq;
    else room.markers.set(id, room.lastSeq);
    const { member_count } = this.describe(room);
    const frame = { type: "member", room_id: room.id, rev, user: user(id), role, member_count, at };
    if (id !== ME || role !== null) this.publish(room, frame);
    if (id === ME) this.moved(room, role !== null);
  }

  /** Done on another device: read there, and told to all. */
  readElsewhere(room: ModelRoom): void {
    room.read = Math.max(room.read, room.lastSeq - Math.floor(this.random() * 3));
    if (!this.isMember(room)) return;
    const { last_read_seq: seq, mentioned, deleted, ...told } = this.markers(room);
    this.tellMe({ type: "read", room_id: room.id, user_id: ME, seq, ...told });
  }

  /** Somebody else has read: it is ephemeral, and may be lost. */
  readBy(room: ModelRoom, user_id: number): void {
    const seq = Math.max(room.markers.get(user_id) ?? 0, room.lastSeq - Math.floor(this.random() * 3));
    room.markers.set(user_id, seq);
    this.publish(room, { type: "read", room_id: room.id, user_id, seq });
  }

  /** What REST answers now, null where it is not mine to know. */
  answer({ do: what, request }: Query): unknown {
    if (what === "people" || what === "online") return { items: request.ids.map(user) };
    const room = this.room(request.roomId);
    if (!this.isMember(room)) return null;
    if (what === "room") return this.describe(room);
    const { rev } = room;
    if (what === "members") {
      const present = [...room.members.values()].filter((member) => member.role !== null);
      const items = present.map((member) => ({
        ...member,
        last_read_seq: room.markers.get(member.user.id) ?? 0,
      }));
      return { items, next: null, rev };
    }
    const all = [...room.messages.values()];
    const shown = (rows: ModelRow[]) => rows.map((row) => this.shown(row, true));
    if (what === "pins") return { items: shown(all.filter((row) => row.pinned_at)), next: null, rev };
    const { before, after, around } = request;
    const below = (seq: number, limit: number): ModelRow[] =>
      all.filter((row) => row.seq < seq).slice(-limit);
    const above = (seq: number, limit: number): ModelRow[] =>
      all.filter((row) => row.seq > seq).slice(0, limit);
    const middle = Math.min(Math.max(around ?? 0, 1), Math.max(room.lastSeq, 1));
    const rows =
      around !== null
        ? [...below(middle, 2), ...above(middle - 1, 3)]
        : after !== null
          ? above(after, PAGE_ROWS)
          : below(before ?? Infinity, PAGE_ROWS);
    const isForward = around !== null || after !== null;
    const [first, last] = [rows[0]?.seq ?? 0, rows.at(-1)?.seq ?? 0];
    const goesOn = isForward ? last < room.lastSeq && rows.length > 0 : first > 1;
    return { items: shown(rows), next: goesOn ? `${isForward ? last : first}` : null, rev };
  }
}
