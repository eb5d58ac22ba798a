// What comes from outside is looked at before it is acted on. A frame or a row with a part missing or of another type is
// not taken apart: one broken message must not end the page.

import type { Member, Message, Ready, Room, ServerFrame, UserSummary } from "../protocol/types.ts";
import type { FrozenRoom } from "./room.ts";

/** A frame of an unknown type, or a broken one, that tells a room's position all the same. */
export interface OtherFrame {
  type: "other";
  room_id: number;
  rev: number;
  prev?: number;
}

/** What is heard of the server. */
export type Heard = ServerFrame | OtherFrame;
export type FrameOf<Type extends Heard["type"]> = Extract<Heard, { type: Type }>;

type Fields = Record<string, unknown>;
type Check = (value: unknown) => boolean;

const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);
const isText: Check = (value) => typeof value === "string";
export const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const optional =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);
const nullable =
  (check: Check): Check =>
  (value) =>
    value === undefined || value === null || check(value);
const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);
const object = (checks: Record<string, Check>): Check => {
  const all = Object.entries(checks);
  return (value) => isObject(value) && all.every(([key, check]) => check(value[key]));
};

const numbers = listOf(isNumber);
const isUser = object({ id: isNumber, username: isText, full_name: optional(isText) });
const change = { room_id: isNumber, rev: isNumber, prev: optional(isNumber) };
const message = {
  seq: isNumber,
  rev: isNumber,
  id: isText,
  sender: isUser,
  created_at: isText,
  content: optional(isText),
  reply_to: optional(isNumber),
  mentions: optional(numbers),
  reactions: optional(listOf(object({ emoji: isText, count: isNumber, user_ids: optional(numbers) }))),
  edited_at: optional(isText),
  deleted_at: optional(isText),
  pinned_at: optional(isText),
};
const isMessage = object(message);
const isMember = object({ user: isUser, role: isText, rev: isNumber, last_read_seq: optional(isNumber) });
const isRoom = object({
  id: isNumber,
  kind: isText,
  name: isText,
  rev: isNumber,
  last_seq: isNumber,
  member_count: isNumber,
  last_read_seq: optional(isNumber),
  unread: optional(isNumber),
  unread_mentions: optional(isNumber),
  mentioned: optional(numbers),
  deleted: optional(numbers),
  peer: optional(isUser),
  last_message: optional(object({ seq: isNumber, sender: isUser, snippet: isText, created_at: isText })),
});

const CHECKS: { [Type in ServerFrame["type"]]: Check } = {
  ready: object({
    epoch: isText,
    user: isUser,
    rooms: Array.isArray,
    online: numbers,
    more_rooms: optional(isNumber),
  }),
  ack: object({ rev: optional(isNumber), last_read_seq: optional(isNumber) }),
  message: object({ ...change, ...message }),
  message_updated: object({
    ...change,
    seq: isNumber,
    by: optional(object({ user_id: isNumber, action: isText })),
    content: optional(isText),
    mentions: optional(numbers),
    reactions: optional(listOf(object({ emoji: isText, count: isNumber }))),
    deleted_at: optional(isText),
    pinned_at: nullable(isText),
  }),
  member: object({ ...change, user: isUser, role: nullable(isText), member_count: optional(isNumber) }),
  room: object({ ...change, room: isRoom }),
  added: object({ room: isRoom }),
  removed: object({ room_id: isNumber, rev: optional(isNumber) }),
  synced: object({
    ...change,
    prev: isNumber,
    last_seq: optional(isNumber),
    last_read_seq: optional(isNumber),
    unread: optional(isNumber),
    unread_mentions: optional(isNumber),
    mentioned: optional(numbers),
    deleted: optional(numbers),
  }),
  reset: object({ room_id: isNumber, rev: isNumber }),
  lagged: object({ room_id: isNumber }),
  presence: object({ online: numbers, offline: numbers }),
  typing: object({ room_id: isNumber, user_id: isNumber }),
  read: object({ room_id: isNumber, user_id: isNumber, seq: isNumber }),
  close: object({}),
  error: object({ code: isText, message: isText, retry_after_ms: optional(isNumber) }),
  pong: object({}),
  going_away: object({}),
};

const isKnown = (type: unknown): type is ServerFrame["type"] =>
  typeof type === "string" && Object.hasOwn(CHECKS, type);

/** Frames whose position counts even where the rest of them is broken. */
const DURABLE: ReadonlySet<unknown> = new Set(["message", "message_updated", "member", "room"]);

/** A frame that can be acted on, or null. */
export function soundFrame(frame: unknown): Heard | null {
  if (!isObject(frame)) return null;
  const { type, room_id, rev, prev } = frame;
  if (isKnown(type) && CHECKS[type](frame)) {
    if (type !== "ready") return frame as unknown as ServerFrame;
    const ready = frame as unknown as Ready & { type: "ready" };
    return { ...ready, rooms: ready.rooms.filter(isRoom) };
  }
  if (!isNumber(room_id) || !isNumber(rev) || (isKnown(type) && !DURABLE.has(type))) return null;
  return { type: "other", room_id, rev, ...(isNumber(prev) && { prev }) };
}

/** A page of a list: those items that can be acted on. */
export interface Page<Item> {
  items: Item[];
  next: string | null;
  rev: number;
}

function pageOf<Item>(body: unknown, check: Check): Page<Item> | null {
  if (!isObject(body) || !Array.isArray(body.items)) return null;
  return {
    items: body.items.filter(check) as Item[],
    next: typeof body.next === "string" ? body.next : null,
    rev: isNumber(body.rev) ? body.rev : 0,
  };
}

/** The bodies of REST answers, or null where there is none that can be acted on. */
export const messagesIn = (body: unknown): Page<Message> | null => pageOf(body, isMessage);
export const membersIn = (body: unknown): Page<Member> | null => pageOf(body, isMember);
export const usersIn = (body: unknown): Page<UserSummary> | null => pageOf(body, isUser);
export const roomIn = (body: unknown): Room | null => (isRoom(body) ? (body as Room) : null);

// ---- what was kept

const above = object({
  ...{ facts: Array.isArray, rev: isNumber, older: isNumber },
  olderBelow: (value) => typeof value === "number", // perhaps infinite
});
const isFrozen = object({
  info: object({ id: isNumber, kind: isText, name: isText, member_count: isNumber, peer: optional(isUser) }),
  revs: (value) => Array.isArray(value) && value.length === 5 && value.every(isNumber),
  lastSeq: isNumber,
  lastReadSeq: isNumber,
  mentions: above,
  deleted: above,
  preview: object({
    shown: nullable(object({ seq: isNumber, sender: isUser, snippet: isText, created_at: isText })),
    rev: isNumber,
  }),
  tail: nullable(object({ from: isNumber, rows: listOf(isMessage) })),
  members: nullable(
    object({
      all: listOf(object({ user: isUser, rev: isNumber })),
      next: nullable(isText),
      markers: Array.isArray,
    }),
  ),
});

/** A room that was kept, and that another version of this page or the browser may have spoilt. */
export const isFrozenRoom = (value: unknown): value is FrozenRoom => isFrozen(value);
