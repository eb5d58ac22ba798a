// The client's state machine over stdio, for the model of the server's tests (tests/model/sockets): a call in each line, as
// JSON, and its answer in the next. A call is [device, name, ...arguments]; "new" makes the device.

import { createInterface } from "node:readline";
import type { Change, Effect, Query } from "../src/realtime/effects.ts";
import type { Row } from "../src/realtime/rows.ts";
import { SyncClient } from "../src/realtime/sync.ts";

/** A step of the clock: whatever waits for its time is due after it. */
const STEP_MS = 60_000;
/** A room that isn't open holds no more. */
const CLOSED_ROWS_MAX = 200;

interface Answer {
  sends: object[];
  /** Requests of the REST API, each with a number, which `loaded` repeats. */
  gets: [load: number, path: string][];
  reconnect: boolean;
  /** Ids of messages that the server has stored, and of those that it won't take. */
  stored: string[];
  refused: string[];
  epoch: string | null;
  /** What is awaited, in words; "": nothing. */
  awaits: string;
  rooms: [id: number, position: number, lastSeq: number][];
  /** Of `older`: something is still to be read. */
  more: boolean;
}

class Device extends SyncClient {
  #now = 1;
  #lastLoad = 0;
  readonly #loads = new Map<number, Query>();
  #more = false;

  readonly calls: Record<string, (...args: never[]) => Effect[]> = {
    disconnected: () => this.disconnected(),
    receive: (frame: unknown) => this.receive(frame, this.#now),
    retry: () => {
      this.#now += STEP_MS;
      return this.wake(this.#now);
    },
    say: (roomId: number, id: string, content: string) => {
      const item = { id, roomId, content, createdAt: "", order: this.outbox.nextOrder };
      return this.enqueue(item, this.#now) || [];
    },
    put: (change: Change) => this.change(change, this.#now),
    read: (roomId: number, seq: number) => this.markRead(roomId, seq),
    type: (roomId: number) => this.typed(roomId, this.#now),
    older: (roomId: number) => this.#older(roomId),
    loaded: (load: number, body: unknown) => {
      const query = this.#loads.get(load);
      this.#loads.delete(load);
      return query ? this.loaded(query.do, query.request, body) : [];
    },
  };

  call(name: string, args: readonly unknown[]): Answer {
    this.#more = false;
    const act = this.calls[name];
    if (!act) throw new Error(`there is no call ${name}`);
    const answer = { sends: [] as object[], gets: [] as [number, string][] };
    const [stored, refused]: [string[], string[]] = [[], []];
    let reconnect = false;
    for (const effect of act(...(args as never[]))) {
      if (effect.do === "send") answer.sends.push(effect.frame);
      else if (effect.do === "reconnect") reconnect = true;
      else if (effect.do === "save" && effect.item.failure) refused.push(effect.item.id);
      else if (effect.do === "erase" && effect.rev !== undefined) stored.push(effect.id);
      else if ("request" in effect) answer.gets.push([this.#keep(effect), pathOf(effect)]);
    }
    const rooms = [...this.rooms.values()].map(({ id, position, lastSeq }) => [id, position, lastSeq]);
    return {
      ...answer,
      stored,
      refused,
      reconnect,
      epoch: this.epoch,
      awaits: this.#awaits(),
      rooms: rooms as Answer["rooms"],
      more: this.#more,
    };
  }

  /** What is held of a room, as it is shown: no change of mine may still lie over a row. */
  held(roomId: number): object {
    const room = this.rooms.get(roomId);
    if (!room) throw new Error(`room ${roomId} isn't held`);
    const { kind, name, topic = null, archived_at = null, member_count } = room.info;
    const members = [...this.members(roomId)].sort((a, b) => a.user.id - b.user.id);
    return {
      messages: this.parts.mine.changes.over(roomId, room.tail.rows.list()).map(asTold),
      members: members.map(({ role, rev, user }) => [role, rev, user]),
      settings: { kind, name, topic, archived_at },
      position: room.position,
      last_seq: room.lastSeq,
      member_count,
      last_read_seq: room.lastReadSeq,
      pending: this.pending(roomId).filter(({ state }) => state !== "failed").length,
      unread: this.unread(roomId),
      unread_mentions: this.mentions(roomId),
    };
  }

  /** Reads on in a room's history; of one that isn't held yet the newest page, and its members. */
  #older(roomId: number): Effect[] {
    const room = this.rooms.get(roomId);
    if (!room) return [];
    const { tail, members } = room;
    this.#more =
      !tail.loaded ||
      !members.loaded ||
      (tail.hasOlder && tail.rows.size < CLOSED_ROWS_MAX) ||
      !room.markersKnown;
    if (!this.#more) return [];
    if (tail.loaded && members.loaded && room.view === "tail") return this.loadOlder(roomId);
    return [...this.open(roomId, { members: true }), ...this.jumpToLatest(roomId)];
  }

  #awaits(): string {
    const { mine, delivery } = this.parts;
    // What is stored waits for its row, which a lossy wire may have lost: the next one reveals it.
    const unsent = this.outbox.items.filter(({ state }) => state === "queued" || state === "sent");
    return [
      !this.live && "a socket",
      mine.changes.unstored > 0 && `${mine.changes.unstored} changes`,
      ...unsent.map(({ id, state }) => `message ${id}, ${state}`),
      ...delivery.snapshot().catching.map(([ref]) => `the answer to ${ref}`),
      this.#loads.size > 0 && `${this.#loads.size} answers of REST`,
    ]
      .filter(Boolean)
      .join(", ");
  }

  #keep(query: Query): number {
    this.#lastLoad += 1;
    this.#loads.set(this.#lastLoad, query);
    return this.#lastLoad;
  }
}

function pathOf(query: Query): string {
  if (query.do === "people") return `/api/users?ids=${query.request.ids.join(",")}`;
  if (query.do === "online") return `/api/users/online?ids=${query.request.ids.join(",")}`;
  const room = `/api/chat/rooms/${query.request.roomId}`;
  if (query.do === "room") return room;
  const { roomId, number, in_ms, limit, ...place } = query.request;
  const given = Object.entries(place).filter(([, value]) => value !== null);
  const what = query.do === "page" ? "messages" : query.do;
  return `${room}/${what}?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}`;
}

/** A row as REST tells it; who reacted is left out, for small changes don't tell it. */
function asTold({ reactions, wished, ...row }: Row): object {
  if (!reactions || reactions.length === 0) return row;
  const counted = reactions.map(({ emoji, count, me }) => ({ emoji, count, ...(me && { me }) }));
  return { ...row, reactions: counted };
}

const devices: Device[] = [];

function answerTo([index, name, ...args]: [number, string, ...unknown[]]): unknown {
  if (name === "new") {
    devices.push(new Device({ userId: Number(args[0]), tab: `web${devices.length}` }));
    return devices.length - 1;
  }
  const device = devices[index];
  if (!device) throw new Error(`there is no device ${index}`);
  return name === "held" ? device.held(Number(args[0])) : device.call(name, args);
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(answerTo(JSON.parse(line)))}\n`);
}
