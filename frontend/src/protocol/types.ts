// The protocol's types, made from src/protocol/*.rs by `make types`. Don't edit: a test compares.

export interface Ack {
  created_at?: string;
  duplicate?: boolean;
  /** When the socket's present token expires. */
  expires_at?: string;
  id?: string;
  last_read_seq?: number;
  last_seq?: number;
  ref?: Ref;
  rev?: number;
  room_id?: RoomId;
  seq?: number;
  unread?: number;
  unread_mentions?: number;
}

/** What was done to a message. */
export type Action = "edit" | "delete" | "react" | "unreact" | "pin" | "unpin";

/** One of the two fields. */
export interface AddMemberBody {
  user_id?: UserId | null;
  username?: string | null;
}

/** A request over the socket. */
export type ClientFrame =
  | {
    type: "auth";
    ref?: number | string;
    token: string;
  }
  | {
    type: "ping";
    ref?: number | string;
  }
  | {
    type: "sync";
    epoch?: string | null;
    ref?: number | string;
    rooms?: Record<string, number>;
  }
  | {
    type: "join";
    epoch?: string | null;
    ref?: number | string;
    rev?: number | null;
    room_id: RoomId;
  }
  /** Ends live delivery, not membership. */
  | {
    type: "leave";
    ref?: number | string;
    room_id: RoomId;
  }
  | {
    type: "message";
    content: string;
    id: string;
    ref?: number | string;
    reply_to?: number | null;
    room_id: RoomId;
  }
  | {
    type: "edit";
    content: string;
    ref?: number | string;
    room_id: RoomId;
    seq: number;
  }
  | {
    type: "delete";
    ref?: number | string;
    room_id: RoomId;
    seq: number;
  }
  | {
    type: "react";
    emoji: string;
    on: boolean;
    ref?: number | string;
    room_id: RoomId;
    seq: number;
  }
  | {
    type: "read";
    ref?: number | string;
    room_id: RoomId;
    seq: number;
  }
  /** Ephemeral: it has no answer. */
  | {
    type: "typing";
    ref?: number | string;
    room_id: RoomId;
  };

/** The codes of PROTOCOL.md section 6.1. A client treats an unknown code by the class of its HTTP status. */
export type Code = "invalid" | "unauthorized" | "token_expired" | "token_revoked" | "forbidden" | "not_found" | "method_not_allowed" | "taken" | "too_large" | "unsupported_media_type" | "rate_limited" | "internal" | "unavailable";

export interface CreateInviteBody {
  expires_at: string;
  max_uses: number;
  room_id?: RoomId | null;
}

export interface CreateRoomBody {
  kind: "public" | "private";
  members?: UserId[] | null;
  name: string;
  topic?: string | null;
}

export interface DeleteMeBody {
  current_password: string;
}

export interface DirectBody {
  user_id: UserId;
}

export interface EditBody {
  content: string;
}

export interface ErrorFrame {
  code: Code;
  errors?: FieldError[];
  message: string;
  ref?: Ref;
  retry_after_ms?: number;
  retryable: boolean;
}

/** One broken field: its name as in the request, a code (`missing`, `unknown`, `type`, `length`, `format`, `common`, `taken`, `range`, …) and the rule in words. */
export interface FieldError {
  code: string;
  field: string;
  message: string;
}

/** A message that a search found. */
export interface Found {
  message: Message;
  /** Whether a word of the message is only near one of the query's: misspelt here or there. */
  near?: boolean;
  room: FoundRoom;
  /** The text around the first hit, in pieces. */
  snippet: Piece[];
}

/** A page of what a search found. `next` is the cursor of the next page. */
export interface FoundList {
  /** False while the index is being built, after a first start or a failure: older messages may be missing. */
  complete: boolean;
  items: Found[];
  next: string | null;
  /** The share of the log that is indexed, from 0 to 1, where `complete` is false. */
  progress?: number;
}

/** The room of a message that was found. */
export interface FoundRoom {
  id: RoomId;
  kind: RoomKind;
  name: string;
  peer?: UserSummary;
}

export interface Info {
  limits: Limits;
  name: string;
  registration: Registration;
  version: string;
}

/** An invite as its creator sees it. Its code is shown only once. */
export interface Invite {
  created_at: string;
  created_by: UserId;
  expires_at: string;
  id: number;
  max_uses: number;
  /** The room that new users join by it. */
  room_id?: RoomId;
  uses: number;
}

/** A page of a list. `next` is the cursor of the next page. */
export interface InviteList {
  items: Invite[];
  next: string | null;
  /** In pages of messages and members: the room's `rev` up to which the page is complete. */
  rev?: number;
}

/** An invite that was just created. */
export interface InviteMade {
  code: string;
  created_at: string;
  created_by: UserId;
  expires_at: string;
  id: number;
  /** The link for those who are invited. It is only a path if the server doesn't know its own URL. */
  link: string;
  max_uses: number;
  /** The room that new users join by it. */
  room_id?: RoomId;
  uses: number;
}

/** The newest of the last `LAST_MESSAGE_REACH` messages that isn't deleted, with the first `SNIPPET_CHARS` characters of its text. */
export interface LastMessage {
  created_at: string;
  sender: UserSummary;
  seq: number;
  snippet: string;
}

/** The limits that concern clients. */
export interface Limits {
  connections_per_user_max: number;
  content_chars_max: number;
  email_chars_max: number;
  emoji_bytes_max: number;
  /** The size of a frame from the server. */
  frame_bytes_max: number;
  full_name_chars_max: number;
  ids_per_request_max: number;
  list_items_max: number;
  mentions_max: number;
  password_bytes_max: number;
  password_bytes_min: number;
  reaction_kinds_max: number;
  ref_bytes_max: number;
  replay_max: number;
  request_bytes_max: number;
  room_name_chars_max: number;
  rooms_per_user_max: number;
  search_chars_max: number;
  sync_rooms_max: number;
  topic_chars_max: number;
  username_chars_max: number;
  username_chars_min: number;
}

/** A frame about a stored change. It has everything that changed in (`prev`, `rev`]; an absent `prev` is `rev` - 1. */
export interface LiveMemberChange {
  at?: string;
  by?: UserId;
  member_count: number;
  prev?: number;
  /** Messages played back on a room socket: they don't move the position. */
  replay?: boolean;
  rev: number;
  /** `null`: has left. */
  role: Role | null;
  room_id: RoomId;
  user: UserSummary;
}

/** A frame about a stored change. It has everything that changed in (`prev`, `rev`]; an absent `prev` is `rev` - 1. */
export interface LiveMessage {
  /** Absent if the message is deleted. */
  content?: string;
  created_at: string;
  deleted_at?: string;
  edited_at?: string;
  /** Chosen by the author's client, unique per room and author. */
  id: string;
  kind: MessageKind;
  /** `@all`. */
  mention_all?: boolean;
  /** Rising. */
  mentions?: UserId[];
  pinned_at?: string;
  prev?: number;
  /** In the order in which each emoji was first used. */
  reactions?: Reaction[];
  /** Messages played back on a room socket: they don't move the position. */
  replay?: boolean;
  reply_to?: number;
  rev: number;
  room_id: RoomId;
  sender: UserSummary;
  seq: number;
}

/** A frame about a stored change. It has everything that changed in (`prev`, `rev`]; an absent `prev` is `rev` - 1. */
export interface LiveMessageUpdate {
  /** Absent when several changes were joined. */
  by?: UpdatedBy;
  content?: string;
  deleted_at?: string;
  edited_at?: string;
  /** `@all`. */
  mention_all?: boolean;
  /** Rising. */
  mentions?: UserId[];
  /** `null`: not pinned any more. */
  pinned_at?: string | null;
  prev?: number;
  /** The reactions that changed, without the users' ids. */
  reactions?: ReactionCount[];
  /** Messages played back on a room socket: they don't move the position. */
  replay?: boolean;
  rev: number;
  room_id: RoomId;
  seq: number;
}

/** A frame about a stored change. It has everything that changed in (`prev`, `rev`]; an absent `prev` is `rev` - 1. */
export interface LiveRoomChange {
  prev?: number;
  /** Messages played back on a room socket: they don't move the position. */
  replay?: boolean;
  rev: number;
  room: Room;
  room_id: RoomId;
}

/** JSON, or the OAuth2 password form (RFC 6749 section 4.3.2), whose unknown fields are ignored. */
export interface LoginBody {
  /** Whether the refresh token is to be set as a cookie. */
  cookie?: boolean | null;
  password: string;
  username: string;
}

export interface Member {
  joined_at: string;
  /** Present in rooms of at most `MARKERS_ROOM_MAX` members. */
  last_read_seq?: number;
  rev: number;
  role: Role;
  user: UserSummary;
}

/** A page of a list. `next` is the cursor of the next page. */
export interface MemberList {
  items: Member[];
  next: string | null;
  /** In pages of messages and members: the room's `rev` up to which the page is complete. */
  rev?: number;
}

/** A message as it is now. */
export interface Message {
  /** Absent if the message is deleted. */
  content?: string;
  created_at: string;
  deleted_at?: string;
  edited_at?: string;
  /** Chosen by the author's client, unique per room and author. */
  id: string;
  kind: MessageKind;
  /** `@all`. */
  mention_all?: boolean;
  /** Rising. */
  mentions?: UserId[];
  pinned_at?: string;
  /** In the order in which each emoji was first used. */
  reactions?: Reaction[];
  reply_to?: number;
  rev: number;
  room_id: RoomId;
  sender: UserSummary;
  seq: number;
}

export type MessageKind = "text";

/** A page of a list. `next` is the cursor of the next page. */
export interface MessageList {
  items: Message[];
  next: string | null;
  /** In pages of messages and members: the room's `rev` up to which the page is complete. */
  rev?: number;
}

/** What a member wants to be notified of. */
export type Notify = "all" | "mentions" | "none";

export interface PasswordBody {
  current_password: string;
  new_password: string;
}

/** Changes of one's own account. */
export interface PatchMeBody {
  email?: string | null;
  full_name?: string | null;
}

export interface PatchMemberBody {
  role: Role;
}

/** Changes of one's own membership. */
export interface PatchMineBody {
  notify?: Notify | null;
}

/** Changes of a room's settings. */
export interface PatchRoomBody {
  archived?: boolean | null;
  name?: string | null;
  topic?: string | null;
}

/** Changes of a user's account by a site admin. */
export interface PatchUserBody {
  is_active?: boolean | null;
  role?: SiteRole | null;
}

/** A piece of a snippet. `hit`: whether it was searched for. */
export interface Piece {
  hit?: boolean;
  text: string;
}

/** RFC 9457 `application/problem+json`. */
export interface Problem {
  code: Code;
  detail: string;
  errors?: FieldError[];
  request_id: string;
  status: number;
  title: string;
  type: string;
}

/** One emoji of a message's reactions. */
export interface Reaction {
  count: number;
  emoji: string;
  /** Whether the reader reacted, listed or not. Only in pages by REST. */
  me?: boolean;
  /** The first `REACTION_USERS_MAX` users who reacted. */
  user_ids: UserId[];
}

/** How many users have reacted with an emoji; 0: none any more. */
export interface ReactionCount {
  count: number;
  emoji: string;
}

/** The reaction of one user. */
export interface ReactionOf {
  emoji: string;
  user: UserSummary;
}

/** A page of a list. `next` is the cursor of the next page. */
export interface ReactionOfList {
  items: ReactionOf[];
  next: string | null;
  /** In pages of messages and members: the room's `rev` up to which the page is complete. */
  rev?: number;
}

export interface ReadAnswer {
  last_read_seq: number;
  last_seq: number;
  /** Counts the messages up to `last_seq`. */
  unread: number;
  unread_mentions: number;
}

export interface ReadBody {
  seq: number;
}

export interface Ready {
  epoch: string;
  expires_at: string;
  heartbeat_s: number;
  limits: Limits;
  /** How many rooms follow at once, each in an `added`. */
  more_rooms: number;
  online: UserId[];
  online_truncated: boolean;
  protocol: number;
  /** As many as fit into the frame. */
  rooms: Room[];
  session_id: SessionId;
  user: User;
}

/** What a client may attach to a frame; its answer repeats it, a number without fraction and exponent. */
export type Ref = number | string;

/** Empty if the token is in the cookie. */
export interface RefreshBody {
  refresh_token?: string | null;
}

export interface RegisterBody {
  /** Whether the refresh token is to be set as a cookie. */
  cookie?: boolean | null;
  email: string;
  full_name?: string | null;
  invite?: string | null;
  password: string;
  username: string;
}

/** Who may register. */
export type Registration =
  | "open" | "closed"
  /** Only with an invite. */
  | "invite";

export interface ResetBody {
  code: string;
  new_password: string;
}

export type ResetReason = "too_far" | "epoch";

/** A member's role in a room. */
export type Role = "owner" | "admin" | "member";

/** A room. The fields that differ by member are present for members. */
export interface Room {
  archived_at?: string;
  created_at: string;
  created_by: UserId;
  /** The seqs of deleted messages above my read marker, rising; only the newest `MENTIONED_MAX`. */
  deleted?: number[];
  id: RoomId;
  kind: RoomKind;
  last_message?: LastMessage;
  last_read_seq?: number;
  last_seq: number;
  member_count: number;
  /** Their seqs, rising; only the newest `MENTIONED_MAX`. */
  mentioned?: number[];
  name: string;
  notify?: Notify;
  /** The other user of a direct room; in a direct room of one user, that user. */
  peer?: UserSummary;
  rev: number;
  role?: Role;
  topic: string;
  /** Messages above my read marker that aren't deleted. */
  unread?: number;
  unread_mentions?: number;
}

/** A room's id: given by the database, never reused. */
export type RoomId = number;

export type RoomKind =
  | "public" | "private"
  /** Between two users, or of one user alone. */
  | "direct";

/** A page of a list. `next` is the cursor of the next page. */
export interface RoomList {
  items: Room[];
  next: string | null;
  /** In pages of messages and members: the room's `rev` up to which the page is complete. */
  rev?: number;
}

export interface SendBody {
  content: string;
  /** If it is absent, the server chooses one, and the request can't be repeated safely. */
  id?: string | null;
  reply_to?: number | null;
}

export type ServerFrame =
  | Ready & {
    type: "ready";
  }
  | Ack & {
    type: "ack";
  }
  | LiveMessage & {
    type: "message";
  }
  | LiveMessageUpdate & {
    type: "message_updated";
  }
  | LiveMemberChange & {
    type: "member";
  }
  | LiveRoomChange & {
    type: "room";
  }
  | {
    type: "added";
    room: Room;
    room_id: RoomId;
  }
  | {
    type: "removed";
    ref?: Ref;
    rev?: number;
    room_id: RoomId;
  }
  | Synced & {
    type: "synced";
  }
  | {
    type: "reset";
    reason: ResetReason;
    ref?: Ref;
    rev: number;
    room_id: RoomId;
  }
  | {
    type: "lagged";
    rev: number;
    room_id: RoomId;
  }
  | {
    type: "presence";
    offline: UserId[];
    online: UserId[];
  }
  | {
    type: "typing";
    room_id: RoomId;
    user_id: UserId;
  }
  | {
    type: "read";
    /** Only to the reader's own sockets, like the next two fields. */
    last_seq?: number;
    room_id: RoomId;
    seq: number;
    unread?: number;
    unread_mentions?: number;
    user_id: UserId;
  }
  /** The last line over TCP, where there are no close codes. */
  | {
    type: "close";
    code: number;
    reason: string;
  }
  | ErrorFrame & {
    type: "error";
  }
  | {
    type: "pong";
    ref?: Ref;
  }
  | {
    type: "going_away";
    reconnect_after_ms: number;
  };

/** A session of the asker. */
export interface Session {
  created_at: string;
  /** Whether it is the session that asks. */
  current: boolean;
  id: SessionId;
  last_used_at: string;
  user_agent: string;
}

/** A session's id (`sid` in its tokens): random, below 2^53. */
export type SessionId = number;

/** A page of a list. `next` is the cursor of the next page. */
export interface SessionList {
  items: Session[];
  next: string | null;
  /** In pages of messages and members: the room's `rev` up to which the page is complete. */
  rev?: number;
}

/** A user's role on the whole site, not in a room. */
export type SiteRole = "admin" | "user";

/** The answer to health checks. */
export interface Status {
  status: string;
}

export interface Synced {
  /** The seqs of deleted messages above the marker: the newest `MENTIONED_MAX`. */
  deleted: number[];
  last_read_seq: number;
  last_seq: number;
  /** Their seqs: the newest `MENTIONED_MAX`. */
  mentioned: number[];
  prev: number;
  ref?: Ref;
  rev: number;
  room_id: RoomId;
  /** Of the messages up to `last_seq`. */
  unread: number;
  unread_mentions: number;
}

export interface Tokens {
  access_token: string;
  /** Seconds until the access token expires. */
  expires_in: number;
  /** Absent if it was set as a cookie. */
  refresh_token?: string;
  token_type: string;
  user: User;
}

/** Who changed a message, and how. */
export interface UpdatedBy {
  action: Action;
  emoji?: string;
  user_id: UserId;
}

/** A user. Only they themselves and site admins get `email`. */
export interface User {
  created_at: string;
  email?: string;
  full_name?: string;
  id: UserId;
  is_active: boolean;
  kind: UserKind;
  role: SiteRole;
  username: string;
}

/** A user's id: given by the database, never reused. */
export type UserId = number;

export type UserKind = "person" | "bot";

export interface UserSummary {
  full_name?: string;
  id: UserId;
  username: string;
}

/** A page of a list. `next` is the cursor of the next page. */
export interface UserSummaryList {
  items: UserSummary[];
  next: string | null;
  /** In pages of messages and members: the room's `rev` up to which the page is complete. */
  rev?: number;
}
