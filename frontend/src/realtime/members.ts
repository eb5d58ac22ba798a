// Who is, or was, a member of a room, and up to where they have read, which the server tells of small rooms alone.

import type { Member, UserId, UserSummary } from "../protocol/types.ts";
import { isNamedSo } from "./ephemeral.ts";

/** Of a room whose markers are told to all. */
export const MARKERS_MEMBERS_MAX = 100;

/** Somebody who is, or was, a member. Those who left stay (role null), so that an older page can't bring them back. */
export interface MemberState {
  user: UserSummary;
  role: Member["role"] | null;
  rev: number;
  joined_at?: string;
}

/** All of it as plain data, for another tab or for the cache. */
export interface MembersFrozen {
  all: MemberState[];
  next: string | null;
  markers: [UserId, number][];
}

const NOBODY: readonly never[] = [];

export class Members {
  loaded = false;
  /** The first page, or one page more, could not be read. */
  failed = false;
  /** The cursor of the members who are not loaded, where there are some. */
  next: string | null = null;
  readonly #me: UserId;
  readonly #all = new Map<UserId, MemberState>();
  /** Up to where the others have read. They may have read more, never less: who tells it may leave something out. */
  readonly #markers = new Map<UserId, number>();
  /** What is handed out stays the same as long as nothing changes. */
  #list: readonly MemberState[] | null = null;
  readonly #readersAt = new Map<number, readonly UserSummary[]>();
  readonly #readersOf = new Map<number, readonly UserId[]>();

  constructor(me: UserId) {
    this.#me = me;
  }

  /** Those who are members. */
  list(): readonly MemberState[] {
    this.#list ??= [...this.#all.values()].filter(({ role }) => role !== null);
    return this.#list;
  }

  get size(): number {
    return this.#all.size;
  }

  get(userId: UserId): MemberState | undefined {
    return this.#all.get(userId);
  }

  put({ user, role, rev, joined_at }: MemberState): void {
    const held = this.#all.get(user.id);
    if (held && held.rev >= rev) return;
    const since = joined_at ?? held?.joined_at;
    this.#all.set(user.id, { user, role, rev, ...(since !== undefined && { joined_at: since }) });
    if (role === null) this.#markers.delete(user.id);
    this.#changed();
  }

  rename(user: UserSummary): boolean {
    const held = this.#all.get(user.id);
    if (!held || isNamedSo(held.user, user)) return false;
    this.#all.set(user.id, { ...held, user });
    this.#changed();
    return true;
  }

  clear(): void {
    this.loaded = false;
    this.next = null;
    this.#all.clear();
    this.#changed();
  }

  /** Somebody has read up to a message. */
  raise(userId: UserId, seq: number): void {
    if (userId === this.#me || seq <= (this.#markers.get(userId) ?? 0)) return;
    this.#markers.set(userId, seq);
    this.#changed();
  }

  /** Who has read a message, without its author. */
  readersOf(seq: number, author: UserId): readonly UserId[] {
    return this.#read(
      this.#readersOf,
      seq,
      (marker) => marker >= seq,
      author,
      ({ id }) => id,
    );
  }

  /** Whose last read message it is, without its author. */
  readersAt(seq: number, author: UserId): readonly UserSummary[] {
    return this.#read(
      this.#readersAt,
      seq,
      (marker) => marker === seq,
      author,
      (user) => user,
    );
  }

  #read<T>(
    known: Map<number, readonly T[]>,
    seq: number,
    hasRead: (marker: number) => boolean,
    author: UserId,
    shown: (user: UserSummary) => T,
  ): readonly T[] {
    const before = known.get(seq);
    if (before) return before;
    const readers = this.list().filter(
      ({ user }) => user.id !== author && hasRead(this.#markers.get(user.id) ?? 0),
    );
    const now = readers.length === 0 ? NOBODY : readers.map(({ user }) => shown(user));
    known.set(seq, now);
    return now;
  }

  freeze(): MembersFrozen {
    return { all: [...this.#all.values()], next: this.next, markers: [...this.#markers] };
  }

  thaw({ all, next, markers }: MembersFrozen): void {
    this.loaded = true;
    this.next = next;
    for (const member of all) this.#all.set(member.user.id, member);
    for (const [userId, seq] of markers) this.#markers.set(userId, seq);
  }

  #changed(): void {
    this.#list = null;
    this.#readersAt.clear();
    this.#readersOf.clear();
  }
}
