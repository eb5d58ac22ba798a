// What the tests of the state machine share: a room, its frames, and what is asked of the caller.

import type { ClientFrame, Room } from "../protocol/types.ts";
import type { Effect, Query, SavedItem } from "./effects.ts";
import type { MessageFrame } from "./rows.ts";
import { SyncClient } from "./sync.ts";

export const ME = 1;
export const I = { id: ME, username: "me" };
export const ANA = { id: 2, username: "ana" };
export const BEN = { id: 3, username: "ben" };

/** Room 12, so large that its members are asked for only where they are shown. */
export const room = (more: Partial<Room> = {}): Room => {
  const info = {
    id: 12,
    kind: "public" as const,
    name: "harbour",
    topic: "",
    created_by: 2,
    created_at: "",
    rev: 10,
    last_seq: 5,
    member_count: 150,
    role: "member" as const,
    notify: "all" as const,
    last_read_seq: 5,
    unread_mentions: 0,
    mentioned: [],
    deleted: [] as number[],
    ...more,
  };
  return { unread: info.last_seq - info.last_read_seq - info.deleted.length, ...info };
};

export const message = (seq: number, rev: number, more: Partial<MessageFrame> = {}): MessageFrame => ({
  type: "message",
  room_id: 12,
  seq,
  rev,
  id: `id-${seq}`,
  kind: "text",
  sender: ANA,
  content: `text ${seq}`,
  created_at: "then",
  ...more,
});

/** A message that has been deleted. */
export function tombstone(seq: number, rev: number): MessageFrame {
  const { content, ...left } = message(seq, rev);
  return { ...left, deleted_at: "now" };
}

export const ready = (rooms: Room[] = [room()], epoch = "e1", more: object = {}) => ({
  type: "ready",
  epoch,
  rooms,
  user: I,
  online: [] as number[],
  limits: {},
  ...more,
});

type SentFrame<Type extends ClientFrame["type"]> = Extract<ClientFrame, { type: Type }>;

/** The frames of one type that are to be sent. */
export const sent = <Type extends ClientFrame["type"]>(effects: Effect[], type: Type): SentFrame<Type>[] =>
  effects.flatMap((effect) =>
    effect.do === "send" && effect.frame.type === type ? [effect.frame] : [],
  ) as SentFrame<Type>[];

type RequestOf<What extends Query["do"]> = Extract<Query, { do: What }>["request"];

/** What is asked for by REST. */
export const asked = <What extends Query["do"]>(effects: Effect[], what: What): RequestOf<What>[] =>
  effects.flatMap((effect) => (effect.do === what ? [(effect as Query).request] : [])) as RequestOf<What>[];

/** The first of what must be there. */
export function first<T>(list: readonly T[]): T {
  const [item] = list;
  if (item === undefined) throw new Error("there is none");
  return item;
}

export const page = (seqs: number[], rev: number) => ({
  items: seqs.map((seq) => message(seq, seq + 2)),
  next: null,
  rev,
});

let orders = 0;
export const item = (id: string, more: Partial<SavedItem> = {}): SavedItem => ({
  id,
  roomId: 12,
  content: id,
  createdAt: "",
  order: ++orders,
  ...more,
});

/** The effects of something that was not refused. */
export function done(effects: Effect[] | false): Effect[] {
  if (effects === false) throw new Error("it was refused");
  return effects;
}

/** A client with room 12 synced at rev 10 and its messages 1 to 5 read; all answers have come. */
export function opened(info: Room = room()): SyncClient {
  const client = new SyncClient({ userId: ME });
  const effects = [...client.open(12), ...client.receive(ready([info]), 0)];
  const { ref } = first(sent(effects, "sync"));
  client.receive({ type: "synced", ref, room_id: 12, prev: 10, rev: 10, last_seq: 5, last_read_seq: 5 }, 0);
  client.loaded("page", first(asked(effects, "page")), page([1, 2, 3, 4, 5], 10));
  client.loaded("pins", first(asked(effects, "pins")), { items: [], next: null, rev: 10 });
  return client;
}

/** Room 12 of the client, which must be there. */
export function held(client: SyncClient) {
  const found = client.room(12);
  if (!found) throw new Error("room 12 isn't held");
  return found;
}
