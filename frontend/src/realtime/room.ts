// What is held of one room, and how it takes up what frames and pages tell.

import type { LastMessage, Room, RoomId, ServerFrame, UserId, UserSummary } from "../protocol/types.ts";
import { Above, type AboveState } from "./above.ts";
import type { ListRequest, RoomRequest } from "./effects.ts";
import { isNamedSo } from "./ephemeral.ts";
import { MARKERS_MEMBERS_MAX, Members, type MembersFrozen } from "./members.ts";
import { Pins } from "./pins.ts";
import { Preview, type PreviewState } from "./preview.ts";
import type { Row, RowFrame } from "./rows.ts";
import { Span } from "./span.ts";

export type MemberFrame = Extract<ServerFrame, { type: "member" }>;

/** Of the messages that the tail may hold while its end is read, and of those that stay then. */
const TAIL_ROWS_MAX = 2_000;
const TAIL_ROWS_KEPT = 1_000;
/** While a room is not open, so many of its messages are held. */
const CLOSED_ROWS_MAX = 200;
/** Of a room that is frozen. */
const FROZEN_ROWS_MAX = 100;
/** Of a room that is not open: the others are read again. */
const CLOSED_MEMBERS_MAX = 200;

/** A room's settings, and what is mine in it. */
export type RoomInfo = Omit<
  Room,
  | "rev"
  | "last_seq"
  | "last_read_seq"
  | "unread"
  | "unread_mentions"
  | "mentioned"
  | "deleted"
  | "last_message"
>;

/** My marker and what is above it, as it was at `rev`. */
interface Markers {
  rev: number;
  last_seq?: number;
  last_read_seq?: number;
  unread?: number;
  unread_mentions?: number;
  mentioned?: readonly number[];
  deleted?: readonly number[];
}

/** What is known of a room as plain data: for another tab, and with what it holds for the cache. */
export interface FrozenRoom {
  info: RoomInfo;
  /** `position`, `resetRev`, `memberRev`, and how new the settings and the count of members are. */
  revs: [position: number, reset: number, member: number, settings: number, count: number];
  isPartial: boolean;
  lastSeq: number;
  lastReadSeq: number;
  markersKnown: boolean;
  mentions: AboveState;
  deleted: AboveState;
  preview: PreviewState;
  tail: { from: number; rows: Row[] } | null;
  members: MembersFrozen | null;
}

export class RoomState {
  readonly id: RoomId;
  info: RoomInfo;
  /** Rises with each change of what the room shows: its rows, what is pending, settings, counts, members, pins, who types. */
  version = 0;
  /** Every change up to this `rev` that touches what is held has been applied, once a catch-up has ended. */
  position: number;
  /** A catch-up was broken off: what changed before `position` may still be missing. */
  isPartial = false;
  /** Of the last reset: pages that are older are read again. */
  resetRev = 0;
  /** Up to here it is known that I was a member. */
  memberRev: number;
  lastSeq = 0;
  lastReadSeq = 0;
  /** The marker that I have asked for; and when to ask again. */
  readAsked = 0;
  readAgainAt = 0;
  markersKnown = true;
  /** Of the messages above my marker. */
  mentions = new Above();
  deleted = new Above();

  /** The newest messages, to the last one. */
  tail: Span;
  /** Messages far from the end, around the seq `around`, until they have grown together with the tail. */
  away: Span | null = null;
  around = 0;
  view: "tail" | "away" = "tail";

  readonly pins: Pins;

  readonly members: Members;
  membersLoading: ListRequest | null = null;
  showsMembers = false;
  /** While it is open, more of it is held. */
  isOpen = false;

  /** When to join again after a refusal. */
  joinAt = 0;
  /** The number of mentions is in doubt until a `synced` of this rev or a later one tells it. */
  recountFrom = 0;
  describing: RoomRequest | null = null;

  lastMessage = new Preview();
  /** The last message that came as a frame; unlike `lastSeq` never ahead of the position. */
  #heardSeq = 0;
  #settingsRev = 0;
  #countRev = 0;
  readonly #me: UserId;

  constructor(info: Room, me: UserId) {
    this.id = info.id;
    this.position = info.rev;
    this.memberRev = info.rev;
    this.info = info;
    this.#me = me;
    this.tail = new Span(me);
    this.pins = new Pins(me);
    this.members = new Members(me);
    this.describe(info);
  }

  /** The room as it begins anew after a reset. Counts of another epoch mean nothing: none is shown until it is read. */
  resetAt(rev: number): RoomState {
    const fresh = new RoomState({ ...this.info, rev: 0, last_seq: 0 }, this.#me);
    fresh.position = fresh.memberRev = fresh.resetRev = rev;
    fresh.markersKnown = false;
    fresh.showsMembers = this.showsMembers;
    fresh.isOpen = this.isOpen;
    return fresh;
  }

  /** Whether something is held, or on its way, that catching up keeps right. */
  get holdsContent(): boolean {
    const { tail, away, pins, members, membersLoading } = this;
    return Boolean(
      tail.loaded || tail.loading || away || pins.loaded || pins.loading || members.loaded || membersLoading,
    );
  }

  get membersLoaded(): boolean {
    return this.members.loaded;
  }

  get membersFailed(): boolean {
    return this.members.failed;
  }

  get hasMoreMembers(): boolean {
    return this.members.next !== null;
  }

  get preview(): LastMessage | null {
    return this.lastMessage.shown;
  }

  /**
   * Takes over a room as an answer tells it, the state at its `rev`, or as a `room` frame does, whose `rev` is that of
   * the settings, while its count is the head's. What is mine in it stays unless told, and markers only rise.
   */
  describe(info: Room, isFrame = false): void {
    const {
      rev,
      last_seq,
      last_read_seq,
      unread,
      unread_mentions,
      mentioned,
      deleted,
      last_message,
      ...settings
    } = info;
    if (rev >= this.#settingsRev) {
      const { role, notify, peer, member_count } = this.info;
      const mine = { ...(role && { role }), ...(notify && { notify }), ...(peer && { peer }) };
      this.info = { ...mine, ...settings, member_count };
      this.#settingsRev = rev;
    }
    if (isFrame || rev >= this.#countRev) {
      this.info = { ...this.info, member_count: settings.member_count };
      if (!isFrame) this.#countRev = rev;
    }
    this.lastSeq = Math.max(this.lastSeq, last_seq);
    if (isFrame || last_read_seq === undefined) return;
    this.markersTold(info);
    this.lastMessage.told(rev, last_message);
  }

  // ---- markers, and what is above them (PROTOCOL.md section 5.4)

  markersTold({
    rev,
    last_seq = 0,
    last_read_seq,
    unread = 0,
    unread_mentions = 0,
    mentioned,
    deleted,
  }: Markers): void {
    if (last_read_seq === undefined) return;
    this.markersKnown = true;
    if (mentioned) this.mentions.told(rev, unread_mentions, mentioned);
    if (deleted) this.deleted.told(rev, last_seq - last_read_seq - unread, deleted);
    this.raiseMarker(last_read_seq);
  }

  raiseMarker(seq: number): void {
    this.lastReadSeq = Math.max(this.lastReadSeq, seq);
    this.mentions.raise(this.lastReadSeq);
    this.deleted.raise(this.lastReadSeq);
  }

  /** I have read up to a message, here or on another device; and what was left then. */
  readTold(seq: number, left: Pick<Markers, "last_seq" | "unread" | "unread_mentions">): void {
    this.raiseMarker(seq);
    if (seq < this.lastReadSeq) return;
    if (left.unread_mentions !== undefined) this.mentions.atMost(left.unread_mentions);
    if (left.unread !== undefined) this.deleted.atMost((left.last_seq ?? 0) - seq - left.unread);
  }

  /** Takes note of whether a message, or a change to one, mentions me, and whether it is deleted. */
  noteChange(frame: RowFrame): void {
    const { type, seq, rev, deleted_at } = frame;
    const isTold = type === "message" || frame.content !== undefined || deleted_at;
    if (!isTold || seq <= this.lastReadSeq) return;
    const on = !deleted_at && Boolean(frame.mention_all || frame.mentions?.includes(this.#me));
    if (this.mentions.isDoubtful(seq, rev)) this.recountFrom = rev;
    // A list that comes late may still name one that is gone, but never one that has never been.
    if (on || type !== "message" || frame.edited_at || deleted_at) this.mentions.note(seq, rev, on);
    if (deleted_at) this.deleted.note(seq, rev, true);
  }

  /** My marker, or the one that I have asked for. */
  get marker(): number {
    return Math.max(this.lastReadSeq, this.readAsked);
  }

  get unread(): number {
    if (!this.markersKnown) return 0;
    return Math.max(0, this.lastSeq - this.marker - this.deleted.count(this.marker));
  }

  get unreadMentions(): number {
    return this.markersKnown ? this.mentions.count(this.marker) : 0;
  }

  // ---- rows

  /** The part that is shown. */
  get shown(): Span {
    return (this.view === "away" && this.away) || this.tail;
  }

  /** The page of what is shown could not be read. */
  get loadFailed(): boolean {
    return this.shown.failed !== null;
  }

  get spans(): Span[] {
    return this.away ? [this.tail, this.away] : [this.tail];
  }

  row(seq: number): Row | undefined {
    return this.tail.rows.get(seq) ?? this.away?.rows.get(seq);
  }

  heard(seq: number): void {
    this.#heardSeq = Math.max(this.#heardSeq, seq);
  }

  /** Makes one of the two parts when they touch, or when the one that is away has no newer messages any more. */
  joinSpans(): void {
    const { tail, away } = this;
    if (!away?.loaded) return;
    if (tail.loaded && away.to >= tail.from - 1) tail.absorb(away);
    else if (!tail.loaded && away.to === Infinity) this.tail = away;
    else return;
    this.away = null;
    this.view = "tail";
  }

  /** Shows the end again. */
  leaveAway(): void {
    this.away = null;
    this.view = "tail";
  }

  /** Drops the oldest rows of many, where the end is what is read; false: there aren't so many. */
  trim(): boolean {
    if (this.view !== "tail" || this.tail.rows.size <= TAIL_ROWS_MAX) return false;
    this.tail.keepLast(TAIL_ROWS_KEPT);
    return true;
  }

  /** Holds no more than a room that nobody looks at. */
  shrink(): void {
    if (this.isOpen) return;
    this.leaveAway();
    this.tail.keepLast(CLOSED_ROWS_MAX);
    if (this.members.size > CLOSED_MEMBERS_MAX) {
      this.membersLoading = null;
      this.members.clear();
    }
  }

  // ---- members

  memberChanged({ user, role, rev, at, member_count }: MemberFrame): void {
    if (member_count !== undefined) {
      this.info = { ...this.info, member_count };
      this.#countRev = rev;
    }
    if (user.id === this.#me && role !== null) {
      this.info = { ...this.info, role };
      this.memberRev = Math.max(this.memberRev, rev);
    }
    const { members } = this;
    if (!members.loaded && !this.membersLoading) return;
    // Whoever joins has read what was there; catch-up (without `at`) doesn't tell how much that was.
    const wasMember = (members.get(user.id)?.role ?? null) !== null;
    const joins = role !== null && !wasMember && at !== undefined && members.loaded && members.next === null;
    members.put({ user, role, rev });
    if (joins) this.raiseReader(user.id, this.#heardSeq);
  }

  /** The users whom the room's data names. */
  people(): UserSummary[] {
    const { info, preview, members } = this;
    const authors = this.spans.flatMap(({ rows }) => rows.list().map(({ sender }) => sender));
    const others = [info.peer, preview?.sender].flatMap((user) => user ?? []);
    const all = [...authors, ...others, ...members.list().map(({ user }) => user)];
    return [...new Map(all.map((user) => [user.id, user])).values()];
  }

  /** Takes a user's new name. Returns whether the room shows it. */
  rename(user: UserSummary): boolean {
    const { peer } = this.info;
    const isPeer = peer?.id === user.id && !isNamedSo(peer, user);
    if (isPeer) this.info = { ...this.info, peer: user };
    const isAuthor = [...this.spans.map((span) => span.rows), this.pins.rows].map((rows) =>
      rows.rename(user),
    );
    return [isPeer, ...isAuthor, this.members.rename(user), this.lastMessage.rename(user)].includes(true);
  }

  /** Whether the server tells up to where the others have read. */
  get isSmall(): boolean {
    return this.info.member_count <= MARKERS_MEMBERS_MAX;
  }

  /** Somebody has read up to a message. */
  raiseReader(userId: UserId, seq: number): void {
    if (this.isSmall) this.members.raise(userId, seq);
  }

  // ---- as plain data

  /** `withContent`: also the newest messages, and the members. */
  freeze(withContent: boolean): FrozenRoom {
    const { info, position, resetRev, memberRev, lastSeq, lastReadSeq, markersKnown, tail } = this;
    const rows = tail.rows.list().slice(-FROZEN_ROWS_MAX);
    const from = rows.length < tail.rows.size ? (rows[0]?.seq ?? tail.from) : tail.from;
    const holdsMembers = this.members.loaded && this.members.size <= CLOSED_MEMBERS_MAX;
    return {
      info,
      revs: [position, resetRev, memberRev, this.#settingsRev, this.#countRev],
      isPartial: this.isPartial,
      ...{ lastSeq, lastReadSeq, markersKnown },
      mentions: this.mentions.state,
      deleted: this.deleted.state,
      preview: this.lastMessage.state,
      tail: withContent && tail.loaded ? { from, rows } : null,
      members: withContent && holdsMembers ? this.members.freeze() : null,
    };
  }

  /** Takes over what another tab knows, all but what is held. */
  adopt(theirs: RoomState): void {
    if (theirs.#settingsRev >= this.#settingsRev)
      this.info = { ...theirs.info, member_count: this.info.member_count };
    if (theirs.#countRev >= this.#countRev)
      this.info = { ...this.info, member_count: theirs.info.member_count };
    this.#settingsRev = Math.max(this.#settingsRev, theirs.#settingsRev);
    this.#countRev = Math.max(this.#countRev, theirs.#countRev);
    this.memberRev = Math.max(this.memberRev, theirs.memberRev);
    this.lastSeq = Math.max(this.lastSeq, theirs.lastSeq);
    if (theirs.position >= this.position && theirs.markersKnown) {
      this.markersKnown = true;
      this.mentions = theirs.mentions;
      this.deleted = theirs.deleted;
      this.lastMessage = theirs.lastMessage;
    }
    this.raiseMarker(theirs.lastReadSeq);
    if (this.holdsContent) return;
    this.position = Math.max(this.position, theirs.position);
    this.resetRev = Math.max(this.resetRev, theirs.resetRev);
    this.isPartial = false;
  }

  static thaw(frozen: FrozenRoom, me: UserId): RoomState {
    const [position, resetRev, memberRev, settingsRev, countRev] = frozen.revs;
    const room = new RoomState({ ...frozen.info, rev: 0, last_seq: frozen.lastSeq }, me);
    Object.assign(room, { position, resetRev, memberRev, isPartial: frozen.isPartial });
    room.#settingsRev = settingsRev;
    room.#countRev = countRev;
    room.lastReadSeq = frozen.lastReadSeq;
    room.markersKnown = frozen.markersKnown;
    room.mentions = new Above(frozen.mentions);
    room.deleted = new Above(frozen.deleted);
    room.lastMessage = new Preview(frozen.preview);
    if (frozen.tail) {
      room.tail.from = frozen.tail.from;
      room.tail.loaded = true;
      for (const row of frozen.tail.rows) room.tail.rows.set(row);
    }
    if (frozen.members) room.members.thaw(frozen.members);
    return room;
  }
}
