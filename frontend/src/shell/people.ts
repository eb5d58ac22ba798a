// Words and colours for people and rooms.

import { fold } from "../markdown/names.ts";
import type { Room, UserSummary } from "../protocol/types.ts";

export const nameOf = (user: Pick<UserSummary, "username" | "full_name">): string =>
  user.full_name || user.username;

/**
 * Beside a full name that could be somebody's username, their own one; else "". Usernames have no white space, so only a
 * full name of one word can be taken for one.
 */
export function handleOf({ username, full_name }: Pick<UserSummary, "username" | "full_name">): string {
  const isOdd = full_name && !/\s/.test(full_name) && fold(full_name) !== fold(username);
  return isOdd ? `@${username}` : "";
}

/** A name within a line, whose direction it doesn't change. */
export const isolated = (name: string): string => `\u2068${name}\u2069`;

/** Up to two letters of a name, as they are perceived. */
export function initials(name: string): string {
  const words = name.split(/[\s._-]+/).filter(Boolean);
  const first = (word: string | undefined): string => word?.match(/^\P{M}\p{M}*/u)?.[0] ?? "";
  return (words.length > 1 ? first(words[0]) + first(words.at(-1)) : first(words[0])).toUpperCase();
}

/** Neighbouring ids differ most. */
export const hueOf = (id: number): number => Math.round((id * 137.508) % 360);

type Named = Pick<Room, "kind" | "name" | "peer">;

/** Who a direct room is with, else the room's own name. */
export const roomName = (room: Named): string =>
  room.kind === "direct" && room.peer
    ? [nameOf(room.peer), handleOf(room.peer)].filter(Boolean).join(" ")
    : room.name;

/** Names are found in any case and without their marks. */
export const searchKey = (text: string): string =>
  text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
