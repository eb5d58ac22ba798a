// The list of rooms as people read it: sections, and in each what is new first.

import type { RoomState } from "../realtime/room.ts";
import type { SyncClient } from "../realtime/sync.ts";
import type { Drafts } from "../session/drafts.ts";
import type { Engine } from "../session/engine.ts";
import { ownPrefs, type Prefs, setUnreadFrom } from "../session/prefs.ts";

export type SectionKey = "favourites" | "rooms" | "direct" | "archived";

export interface RoomEntry {
  room: RoomState;
  unread: number;
  mentions: number;
  isMuted: boolean;
  hasDraft: boolean;
}

export interface Section {
  key: SectionKey;
  entries: RoomEntry[];
}

/** When something was said there last; rooms in which nothing was said yet stand by when they were made. */
const newest = (room: RoomState): string => room.preview?.created_at ?? room.info.created_at ?? "";

/** First what needs me, then what is unread, then the newest. */
function compare(a: RoomEntry, b: RoomEntry): number {
  const rank = (entry: RoomEntry): number =>
    entry.mentions > 0 ? 2 : entry.unread > 0 && !entry.isMuted ? 1 : 0;
  return (
    rank(b) - rank(a) ||
    (newest(a.room) < newest(b.room) ? 1 : newest(a.room) > newest(b.room) ? -1 : a.room.id - b.room.id)
  );
}

export function entryOf(client: SyncClient, drafts: Drafts, room: RoomState): RoomEntry {
  const { notify } = room.info;
  const mentions = client.mentions(room.id);
  const from = ownPrefs.getState().unreadFrom[room.id];
  const unread = Math.max(client.unread(room.id), from === undefined ? 0 : room.lastSeq - from + 1);
  const isDirect = room.info.kind === "direct";
  return {
    room,
    unread,
    mentions: isDirect && notify !== "none" ? unread : mentions,
    isMuted: notify === "none" || (notify === "mentions" && !isDirect),
    hasDraft: drafts.has(room.id),
  };
}

/** All of it is read, also what was marked as unread. */
export function markRead(engine: Engine, { id, lastSeq }: RoomState): void {
  setUnreadFrom(id, null);
  engine.act((client) => client.markRead(id, lastSeq));
}

export function sectionsOf(client: SyncClient, drafts: Drafts, favourites: readonly number[]): Section[] {
  const sections = new Map<SectionKey, RoomEntry[]>([
    ["favourites", []],
    ["rooms", []],
    ["direct", []],
    ["archived", []],
  ]);
  for (const room of client.rooms.values()) {
    const key: SectionKey = room.info.archived_at
      ? "archived"
      : favourites.includes(room.id)
        ? "favourites"
        : room.info.kind === "direct"
          ? "direct"
          : "rooms";
    sections.get(key)?.push(entryOf(client, drafts, room));
  }
  return [...sections].map(([key, entries]) => ({ key, entries: entries.sort(compare) }));
}

export const isFolded = ({ folded }: Pick<Prefs, "folded">, key: SectionKey): boolean =>
  key === "archived" ? !folded.includes("archived-open") : folded.includes(key);

/** A folded section still shows the open room, rooms with mentions, and unread rooms that aren't muted. */
export const shownOf = ({ entries }: Section, isFolded: boolean, openId: number | null): RoomEntry[] =>
  isFolded
    ? entries.filter(
        ({ room, unread, mentions, isMuted }) =>
          mentions > 0 || (unread > 0 && !isMuted) || room.id === openId,
      )
    : entries;

/** The sections in the order in which they were `before`: who aims at a room finds it where it is. What is new comes last. */
export function inOrderOf(before: readonly Section[], now: readonly Section[]): Section[] {
  return now.map(({ key, entries }) => {
    const old = before.find((section) => section.key === key)?.entries ?? [];
    const places = new Map(old.map(({ room }, index) => [room.id, index]));
    const place = ({ room }: RoomEntry): number => places.get(room.id) ?? old.length;
    return { key, entries: entries.toSorted((a, b) => place(a) - place(b)) };
  });
}
