// What may be lost without harm (PROTOCOL.md section 5.3): who is online and who is typing; and who is who.

import { fold } from "../markdown/names.ts";
import type { RoomId, UserId, UserSummary } from "../protocol/types.ts";

export const TYPING_MS = 6_000;
export const TYPING_EVERY_MS = 3_000;
/** Of people whose names are kept; those who were named first are forgotten first. */
const PEOPLE_MAX = 20_000;

/** Whether it names somebody as before. */
export const isNamedSo = (a: UserSummary, b: UserSummary): boolean =>
  a.username === b.username && a.full_name === b.full_name;

export class Ephemeral {
  /** The latest name of everyone who was named so far. */
  readonly #people = new Map<UserId, UserSummary>();
  /** Those whom the server has named on this socket. No event tells of a changed name. */
  readonly #fresh = new Set<UserId>();
  readonly #renamed: (user: UserSummary) => void;
  readonly #online = new Set<UserId>();
  /** When I told the room last that I'm typing. */
  readonly #typedAt = new Map<RoomId, number>();
  /** Those who were asked for on this socket. */
  readonly #asked = new Set<UserId>();
  /** By room: who is typing, and until when. */
  readonly #typing = new Map<RoomId, Map<UserId, number>>();

  /** `renamed`: somebody is called otherwise than before. */
  constructor(renamed: (user: UserSummary) => void) {
    this.#renamed = renamed;
  }

  disconnected(): void {
    this.#fresh.clear();
    this.#asked.clear();
    this.#online.clear();
    this.#typing.clear();
    this.#typedAt.clear();
  }

  // ---- who is who

  know(told: UserSummary | undefined): void {
    if (!told) return;
    const { id, username, full_name } = told;
    const user = { id, username, ...(full_name && { full_name }) };
    const held = this.#people.get(id);
    this.#fresh.add(id);
    if (held && isNamedSo(held, user)) return;
    this.#put(user);
    if (held) this.#renamed(user);
  }

  /** Takes names from the cache. Returns the newer names of those whom the server has named otherwise since. */
  recall(users: readonly UserSummary[]): UserSummary[] {
    return users.flatMap((user) => {
      const held = this.#people.get(user.id);
      if (!held) this.#put(user);
      return held && !isNamedSo(held, user) ? [held] : [];
    });
  }

  #put(user: UserSummary): void {
    this.#people.set(user.id, user);
    if (this.#people.size <= PEOPLE_MAX) return;
    const [oldest] = this.#people.keys();
    if (oldest === undefined) return;
    this.#people.delete(oldest);
    this.#asked.delete(oldest);
    this.#fresh.delete(oldest);
  }

  person(userId: UserId): UserSummary | undefined {
    return this.#people.get(userId);
  }

  /** By username, else by full name. */
  named(name: string): UserSummary | undefined {
    const key = fold(name);
    const people = [...this.#people.values()];
    return (
      people.find(({ username }) => fold(username) === key) ??
      people.find(({ full_name = "" }) => fold(full_name) === key)
    );
  }

  /** Those of these ids whom the server has not named on this socket, and who were not asked for yet. */
  unknown(ids: readonly UserId[]): UserId[] {
    const unknown = [...new Set(ids)].filter((id) => !this.#fresh.has(id) && !this.#asked.has(id));
    for (const id of unknown) this.#asked.add(id);
    return unknown;
  }

  askAgain(ids: readonly UserId[]): void {
    for (const id of ids) this.#asked.delete(id);
  }

  // ---- who is online

  isOnline(userId: UserId): boolean {
    return this.#online.has(userId);
  }

  get online(): UserId[] {
    return [...this.#online];
  }

  presence({ online = [], offline = [] }: { online?: readonly UserId[]; offline?: readonly UserId[] }): void {
    for (const id of offline) this.#online.delete(id);
    for (const id of online) this.#online.add(id);
  }

  // ---- who is typing

  types(roomId: RoomId, userId: UserId, now: number): void {
    const typing = this.#typing.get(roomId) ?? new Map<UserId, number>();
    this.#typing.set(roomId, typing.set(userId, now + TYPING_MS));
  }

  /** Forgets who has stopped typing without a word, and gives the rooms. */
  expire(now: number): RoomId[] {
    return [...this.#typing].flatMap(([roomId, typing]) => {
      const over = [...typing].filter(([, until]) => until <= now);
      for (const [userId] of over) typing.delete(userId);
      if (typing.size === 0) this.#typing.delete(roomId);
      return over.length > 0 ? [roomId] : [];
    });
  }

  /** The rooms in which somebody is typing. */
  get typingRooms(): RoomId[] {
    return [...this.#typing.keys()];
  }

  stopped(roomId: RoomId, userId: UserId): void {
    this.#typing.get(roomId)?.delete(userId);
  }

  typists(roomId: RoomId, now: number): UserId[] {
    return [...(this.#typing.get(roomId) ?? [])].filter(([, until]) => until > now).map(([id]) => id);
  }

  /** Whether it is time to tell the room that I am typing. */
  tells(roomId: RoomId, now: number): boolean {
    if (now - (this.#typedAt.get(roomId) ?? -Infinity) < TYPING_EVERY_MS) return false;
    this.#typedAt.set(roomId, now);
    return true;
  }

  /** What I was typing has been said. */
  said(roomId: RoomId): void {
    this.#typedAt.delete(roomId);
  }
}
