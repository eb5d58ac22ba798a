// For the shuffle: a socket to the model's rooms through a bad wire. Answers, added and removed keep their order; live
// frames may be lost, doubled and late.

import type { ClientFrame } from "../protocol/types.ts";
import { ME, ModelLog, type ModelRoom, type Told, user } from "./model.ts";

/** Small, so that resets happen. */
const TOO_FAR = 25;

type ChangeFrame = Extract<ClientFrame, { type: "edit" } | { type: "delete" } | { type: "react" }>;

export class ModelServer extends ModelLog {
  connected = false;
  #synced = false;
  readonly subscribed = new Set<number>();
  inOrder: Told[] = [];
  live: Told[] = [];
  /** By room: the id whose outcome is open. */
  readonly #blocked = new Map<number, string>();

  hangUp(): void {
    this.connected = this.#synced = false;
    this.subscribed.clear();
    this.inOrder = [];
    this.live = [];
    this.#blocked.clear();
  }

  connect(): void {
    this.hangUp();
    this.connected = true;
    const mine = [...this.rooms.values()]
      .filter((room) => this.isMember(room))
      .map((room) => this.describe(room));
    const fit = Math.floor(this.random() * (mine.length + 1)); // the others follow at once
    const later = mine.slice(fit).map((room) => ({ type: "added", room_id: room.id, room }));
    const ready = { type: "ready", epoch: `e${this.epoch}`, user: user(ME), online: [], limits: {} };
    this.inOrder.push({ ...ready, rooms: mine.slice(0, fit), more_rooms: later.length }, ...later);
  }

  protected override publish(room: ModelRoom, frame: Told): void {
    if (!this.connected || !this.subscribed.has(room.id)) return;
    if (this.chance(0.12)) return;
    this.live.push(frame);
    if (this.chance(0.1)) this.live.push(frame);
  }

  protected override tellMe(frame: Told): void {
    if (this.connected) this.inOrder.push(frame);
  }

  protected override moved(room: ModelRoom, isMember: boolean): void {
    if (isMember) {
      this.tellMe({ type: "added", room_id: room.id, room: this.describe(room) });
      if (this.#synced) this.subscribed.add(room.id);
    } else {
      this.subscribed.delete(room.id);
      this.tellMe({ type: "removed", room_id: room.id, rev: room.rev });
    }
  }

  /** A restore from backup: an older state under a new epoch. */
  restore(backup: Map<number, ModelRoom>): void {
    this.epoch += 1;
    this.rooms = structuredClone(backup);
    this.hangUp();
  }

  receive(frame: ClientFrame): void {
    const ref = frame.ref as string;
    switch (frame.type) {
      case "sync": {
        this.#synced = true;
        const mine = [...this.rooms.values()].filter((room) => this.isMember(room)).map((room) => room.id);
        const named = frame.rooms ?? {};
        const others = mine.filter((id) => !this.subscribed.has(id));
        const asked = new Set([...Object.keys(named).map(Number), ...others]);
        for (const id of asked) this.subscribed.delete(id);
        [...asked].every((id) => this.#catchUp(ref, id, named[id], frame.epoch));
        break;
      }
      case "join":
        this.subscribed.delete(frame.room_id);
        this.#catchUp(ref, frame.room_id, frame.rev ?? undefined, frame.epoch);
        break;
      case "read": {
        const room = this.room(frame.room_id);
        room.read = Math.max(room.read, Math.min(frame.seq, room.lastSeq));
        const { last_read_seq, last_seq, unread, unread_mentions } = this.markers(room);
        const left = { last_seq, unread, unread_mentions };
        this.inOrder.push({ type: "ack", ref, room_id: room.id, last_read_seq, ...left });
        this.inOrder.push({ type: "read", room_id: room.id, user_id: ME, seq: last_read_seq, ...left });
        break;
      }
      case "edit":
      case "delete":
      case "react":
        this.#receiveChange(frame, ref);
        break;
      case "message":
        this.#receiveMessage(frame, ref);
        break;
    }
  }

  #refuse(ref: string, code: string, retryable: boolean): void {
    this.inOrder.push({ type: "error", ref, code, retryable, message: code, retry_after_ms: 500 });
  }

  #receiveMessage(frame: Extract<ClientFrame, { type: "message" }>, ref: string): void {
    const room = this.room(frame.room_id);
    const open = this.#blocked.get(room.id);
    if (open && open !== frame.id) return void this.#refuse(ref, "unavailable", true);
    this.#blocked.delete(room.id);
    const stored = [...room.messages.values()].find((row) => row.id === frame.id && row.sender.id === ME);
    if (!stored && !this.isMember(room)) return void this.#refuse(ref, "not_found", false);
    if (this.chance(0.1)) {
      this.#blocked.set(room.id, frame.id);
      if (this.chance(0.5) && !stored) this.say(room, ME, frame.id, frame.content);
      return void this.#refuse(ref, "unavailable", true);
    }
    const row = stored ?? this.say(room, ME, frame.id, frame.content);
    this.inOrder.push({ type: "ack", ref, room_id: room.id, id: frame.id, seq: row.seq, rev: row.rev });
  }

  #receiveChange(frame: ChangeFrame, ref: string): void {
    const { room_id, seq } = frame;
    const room = this.room(room_id);
    if (!this.isMember(room) || !room.messages.has(seq)) return void this.#refuse(ref, "not_found", false);
    if (this.chance(0.05)) return void this.#refuse(ref, "unavailable", true);
    const row =
      frame.type === "edit"
        ? this.edit(room, seq, ME, frame.content)
        : frame.type === "delete"
          ? this.remove(room, seq, ME)
          : this.react(room, seq, frame.emoji, frame.on, ME);
    if (this.chance(0.1)) return void this.#refuse(ref, "unavailable", true); // done, but nobody knows
    this.inOrder.push({ type: "ack", ref, room_id, seq, rev: row.rev });
  }

  /** False: it was refused for now, perhaps after some of it. */
  #catchUp(ref: string, id: number, from: number | undefined, epoch: string | null | undefined): boolean {
    const room = this.room(id);
    if (!this.isMember(room)) {
      this.inOrder.push({ type: "removed", ref, room_id: id });
      return true;
    }
    const isWrong = epoch !== `e${this.epoch}` || (from ?? 0) > room.rev;
    if (isWrong || room.rev - (from ?? room.rev) > TOO_FAR) {
      const reason = isWrong ? "epoch" : "too_far";
      this.subscribed.add(id);
      this.inOrder.push({ type: "reset", ref, room_id: id, rev: room.rev, reason });
      return true;
    }
    const begin = from ?? room.rev;
    const { member_count } = this.describe(room);
    const { settingsRev } = room;
    const changes: (Told & { rev: number })[] = [
      ...[...room.messages.values()].map((row) => ({ type: "message", ...this.shown(row) })),
      ...[...room.members.values()].map(({ user, role, rev }) => ({
        ...{ type: "member", room_id: id, user, role, rev, member_count },
      })),
      {
        type: "room",
        room_id: id,
        rev: settingsRev,
        room: { ...this.describe(room, false), rev: settingsRev },
      },
    ];
    let prev = begin;
    for (const change of changes.filter(({ rev }) => rev > begin).sort((a, b) => a.rev - b.rev)) {
      if (this.chance(0.02)) {
        this.#refuse(ref, "unavailable", true);
        return false;
      }
      this.inOrder.push({ ...change, prev });
      prev = change.rev;
    }
    this.subscribed.add(id);
    this.inOrder.push({ type: "synced", ref, room_id: id, prev, rev: room.rev, ...this.markers(room) });
    return true;
  }

  /** The next frame that reaches the client: the first answer, or any of the live ones. */
  deliver(): Told | undefined {
    const choices = (this.inOrder.length ? 1 : 0) + Math.min(this.live.length, this.faults ? 6 : 1);
    if (choices === 0) return undefined;
    if (this.inOrder[0]?.type === "ready") return this.inOrder.shift();
    const pick = Math.floor(this.random() * choices) - (this.inOrder.length ? 1 : 0);
    return pick < 0 ? this.inOrder.shift() : this.live.splice(pick, 1)[0];
  }
}
