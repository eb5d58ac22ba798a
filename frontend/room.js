// What is held of one room, and how it takes up what frames and pages tell. Plain functions on plain data.

import { Above } from "./above.js";

export function newRoom(info) {
  const room = {
    id: info.id, info: {}, position: info.rev, resetRev: 0,
    memberRev: info.rev, // up to here it is known that I was a member
    settingsRev: 0, countRev: 0, // how new the name and so on, and the count of members, are
    lastSeq: 0, lastReadSeq: 0, readAsked: 0, readAgainAt: 0, markersKnown: true,
    mentions: new Above(), deleted: new Above(), // of the messages above my marker
    messages: new Map(), loaded: false, loading: null, loadFailed: false, oldest: Infinity, hasOlder: false,
    early: [], // changes to rows not held, while a page that may hold them is on its way
    pins: new Map(), pinsLoaded: false, pinsLoading: null, earlyPins: [],
    members: new Map(), membersLoaded: false, membersLoading: null, showsMembers: false,
    joinAt: 0, describing: null,
  };
  describe(room, info);
  return room;
}

export const holdsContent = (room) =>
  room.loaded || room.loading || room.pinsLoaded || room.pinsLoading || room.membersLoaded || room.membersLoading;

/**
 * Takes over a room as a frame or an answer tells it. What is mine in it stays unless told, and markers only rise.
 * A whole room is the state at its `rev`; a `room` frame's `rev` is that of the settings, but its count is the head's.
 */
export function describe(room, info) {
  const {
    type, room_id, prev, rev, ref, by, at, last_seq, last_read_seq, member_count, unread, unread_mentions, mentioned,
    deleted, ...settings
  } = info;
  if (rev >= room.settingsRev) {
    const mine = ["role", "notify", "peer", "last_message"];
    const kept = Object.fromEntries(mine.filter((key) => key in room.info).map((key) => [key, room.info[key]]));
    room.info = { ...kept, member_count: room.info.member_count, ...settings };
    room.settingsRev = rev;
  }
  if (member_count !== undefined && (type === "room" || rev >= room.countRev)) {
    room.info.member_count = member_count;
    if (type !== "room") room.countRev = rev;
  }
  room.lastSeq = Math.max(room.lastSeq, last_seq ?? 0);
  if (type !== "room") markersTold(room, info);
}

// ---- markers, and what is above them (rule 8)

/** My marker and what is above it, as it was at `rev`. */
export function markersTold(room, { rev, last_seq, last_read_seq, unread, unread_mentions, mentioned, deleted }) {
  if (last_read_seq === undefined) return;
  room.markersKnown = true;
  if (mentioned !== undefined) room.mentions.told(rev, unread_mentions, mentioned);
  if (deleted !== undefined) room.deleted.told(rev, last_seq - last_read_seq - unread, deleted);
  raiseMarker(room, last_read_seq);
}

export function raiseMarker(room, seq) {
  room.lastReadSeq = Math.max(room.lastReadSeq, seq);
  room.mentions.raise(room.lastReadSeq);
  room.deleted.raise(room.lastReadSeq);
}

/** I have read up to a message, here or on another device; and what was left then. */
export function readTold(room, { seq, last_seq, unread, unread_mentions }) {
  raiseMarker(room, seq);
  if (seq < room.lastReadSeq) return;
  if (unread_mentions !== undefined) room.mentions.atMost(unread_mentions);
  if (unread !== undefined) room.deleted.atMost(last_seq - seq - unread);
}

/** Takes note of whether a message, or a change to one, mentions me, and whether it is deleted. */
export function noteChange(room, frame, me) {
  const { seq, rev, deleted_at } = frame;
  const told = frame.type === "message" || "content" in frame || deleted_at;
  if (!told || seq <= room.lastReadSeq) return;
  const on = !deleted_at && Boolean(frame.mention_all || frame.mentions?.includes(me));
  // A list that comes late may still name one that is gone, but never one that has never been.
  if (on || frame.type !== "message" || frame.edited_at || deleted_at) room.mentions.note(seq, rev, on);
  if (deleted_at) room.deleted.note(seq, rev, true);
}

/** My marker, or the one that I have asked for. */
export const markerOf = (room) => Math.max(room.lastReadSeq, room.readAsked);

export const unreadMentions = (room) => room.mentions.count(markerOf(room));

export const unread = (room) => Math.max(0, room.lastSeq - markerOf(room) - room.deleted.count(markerOf(room)));

// ---- rows

/**
 * Puts a message, or a change to one that is held, into `rows`; what is older than the row held changes nothing.
 * `isPage`: REST says of every reaction whether it is mine, frames only by the list of ids.
 */
export function putRow(rows, { type, prev, replay, by, ...row }, me, isPage = false) {
  const held = rows.get(row.seq);
  if (held && held.rev >= row.rev) return;
  if (type === "message") rows.set(row.seq, withMine(row, held, me, isPage));
  else if (held) rows.set(row.seq, patched(held, row, by, me));
}

function withMine(row, held, me, isPage) {
  if (!row.reactions) return row;
  const reactions = row.reactions.map(({ emoji, count, user_ids = [], me: told }) => {
    const listed = told === true || user_ids.includes(me);
    const known = held?.reactions?.find((reaction) => reaction.emoji === emoji);
    if (listed || isPage || user_ids.length >= count || !known) return { emoji, count, user_ids, me: listed, meRev: row.rev };
    return { emoji, count, user_ids, me: known.me, meRev: known.meRev }; // the list holds the first 50 only
  });
  return { ...row, reactions };
}

/** A live change brings only what changed (rule 6). */
function patched(row, change, by, me) {
  const { mentions, mention_all, ...rest } = row;
  // An edit that leaves them out has none any more.
  const next = "content" in change ? { ...rest, ...change } : { ...row, ...change };
  if (next.deleted_at) {
    for (const gone of ["content", "mentions", "mention_all", "reactions", "pinned_at"]) delete next[gone];
    return next;
  }
  if (change.reactions) next.reactions = reacted(row.reactions ?? [], change, by, me);
  if (next.pinned_at === null) delete next.pinned_at;
  return next;
}

/** The emoji touched, with their new counts. Of a joined change nobody says who it was. */
function reacted(held, { rev, reactions }, by, me) {
  const next = [...held];
  for (const { emoji, count } of reactions) {
    const index = next.findIndex((reaction) => reaction.emoji === emoji);
    const old = next[index] ?? { user_ids: [], me: false, meRev: 0 };
    const changed = { ...old, emoji, count, user_ids: old.user_ids.filter((id) => id !== by?.user_id) };
    if (!by) changed.user_ids = [];
    else if (by.action === "react") changed.user_ids.push(by.user_id);
    if (by?.user_id === me) Object.assign(changed, { me: by.action === "react", meRev: rev });
    next.splice(index < 0 ? next.length : index, 1, changed);
  }
  return next.filter((reaction) => reaction.count > 0);
}

/** An answered wish of mine says what a joined change could not. */
export function reactionIsMine(rows, { seq, emoji, on }, rev) {
  const row = rows.get(seq);
  const held = row?.reactions?.find((reaction) => reaction.emoji === emoji);
  if (!held || held.meRev > rev || held.me === on) return;
  const reactions = row.reactions.map((one) => (one === held ? { ...held, me: on, meRev: rev } : one));
  rows.set(seq, { ...row, reactions });
}

/** Keeps the list of pins; true when only a new reading can tell what it holds. */
export function pinChanged(room, frame, me) {
  const { pins } = room;
  if (pins.get(frame.seq)?.rev >= frame.rev) return false;
  const isUnpinned = frame.deleted_at || (frame.type === "message" ? !frame.pinned_at : frame.pinned_at === null);
  if (isUnpinned) pins.delete(frame.seq);
  else if (pins.has(frame.seq) || frame.type === "message") putRow(pins, frame, me);
  else if (frame.pinned_at) {
    const held = room.messages.get(frame.seq); // it may know of a later unpinning
    if (held?.pinned_at) pins.set(frame.seq, held);
    return !held;
  }
  return false;
}

/** Those who left stay as tombstones (role null), so that an older page can't bring them back. */
export function putMember(room, { user, role, rev, joined_at }) {
  const held = room.members.get(user.id);
  if (!held || held.rev < rev) room.members.set(user.id, { user, role, rev, joined_at: joined_at ?? held?.joined_at });
}
