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

/** At most two marks on a letter: more of them would overflow the avatar. */
const LETTER = /[\p{L}\p{N}]\p{M}{0,2}/u;
/** A flag, or a pictograph with its modifiers and joined parts (UTS #51). */
const EMOJI =
  /\p{RI}{2}|\p{Extended_Pictographic}(?:[\p{M}\p{Emoji_Modifier}\u{e0020}-\u{e007f}]|\u200d\p{Extended_Pictographic})*/u;

/** Up to two letters or digits of a name, or its first emoji; else nothing. What stands in brackets is left out. */
export function initials(name: string): string {
  const words = name.replace(/\(.*?\)/g, " ").split(/[\s._-]+/);
  const letters = words.flatMap((word) => word.match(LETTER)?.[0] ?? []);
  if (letters.length === 0) return name.match(EMOJI)?.[0] ?? "";
  return [letters[0], ...letters.slice(1).slice(-1)].join("").toUpperCase();
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
