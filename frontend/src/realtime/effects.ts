// What the state machine asks of its caller.

import type { ClientFrame, RoomId, UserId } from "../protocol/types.ts";
import type { Row } from "./rows.ts";

/** A page of messages: the newest, or those on one side of a seq, or around it. At most one of the three is set. */
export interface PageRequest {
  number: number;
  roomId: RoomId;
  before: number | null;
  after: number | null;
  around: number | null;
  limit: number;
  /** To be asked so much later. */
  in_ms: number;
}

/** A page of members or pins; `cursor` null: the first. */
export interface ListRequest {
  number: number;
  roomId: RoomId;
  cursor: string | null;
  limit: number;
  in_ms: number;
}

export interface RoomRequest {
  number: number;
  roomId: RoomId;
  in_ms: number;
}

export interface PeopleRequest {
  ids: UserId[];
}

/** A GET whose answer goes to `SyncClient.loaded(query.do, query.request, body)`, null when there is none. */
export type Query =
  | { do: "page"; request: PageRequest }
  | { do: "members"; request: ListRequest }
  | { do: "pins"; request: ListRequest }
  | { do: "room"; request: RoomRequest }
  /** The users of these ids. */
  | { do: "people"; request: PeopleRequest }
  /** Those of these ids who are online. */
  | { do: "online"; request: PeopleRequest };

/** An edit, deletion or reaction of mine, as PROTOCOL.md has it. */
export type Change = Extract<ClientFrame, { type: "edit" } | { type: "delete" } | { type: "react" }>;

/** Why the server won't take a message. */
export interface Failure {
  code: string;
  message: string;
}

/** A message of mine as it is kept through a reload. */
export interface SavedItem {
  id: string;
  roomId: RoomId;
  /** Its `created_at`: another log may have another room of the same id. */
  roomMadeAt?: string;
  content: string;
  replyTo?: number;
  createdAt: string;
  /** Rising: the order in which messages are sent. */
  order: number;
  failure?: Failure;
  /** The content has names of emoji. The tab that sends it replaces them first. */
  hasNames?: true;
}

export type Effect =
  | { do: "send"; frame: ClientFrame }
  | Query
  /** Call `wake` after that time. */
  | { do: "wake"; in_ms: number }
  /** Replace the names of emoji in a message, and call `spelled` with its text. */
  | { do: "spell"; id: string; content: string }
  /** Keep a message that is not sent yet through a reload; or forget it, with the row's `rev` where it was stored. */
  | { do: "save"; item: SavedItem }
  | { do: "erase"; id: string; rev?: number }
  /** Keep an edit or a deletion, which isn't answered yet, through a reload; or forget it. */
  | { do: "keep"; key: string; change: Change }
  | { do: "drop"; key: string }
  /** Someone else's new message. */
  | { do: "arrived"; roomId: RoomId; row: Row }
  /** What a message says has changed, or it is deleted; null: any message of the room may have changed. */
  | { do: "changed"; roomId: RoomId; seq: number | null }
  /** The room is no longer mine. */
  | { do: "forgot"; roomId: RoomId }
  /** A change of mine that the server won't do, with its message. */
  | { do: "refused"; change: Change; code: string; message: string }
  /** A message of mine that the server won't take, in a room that is no longer mine, where nothing shows it. */
  | { do: "unsent"; item: SavedItem }
  /** A message of mine that isn't sent any more: its room is not in the server's log, and another one has its id. */
  | { do: "stranded"; roomId: RoomId; text: string }
  /** This socket can't be brought up to date. */
  | { do: "reconnect" };
