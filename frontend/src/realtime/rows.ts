// Messages as they are held, and how a row takes up what frames and pages tell of it.

import type {
  Message,
  Reaction,
  ReactionCount,
  ServerFrame,
  UpdatedBy,
  UserId,
  UserSummary,
} from "../protocol/types.ts";
import { isNamedSo } from "./ephemeral.ts";

export type MessageFrame = Extract<ServerFrame, { type: "message" }>;
export type UpdateFrame = Extract<ServerFrame, { type: "message_updated" }>;
export type RowFrame = MessageFrame | UpdateFrame;

export interface HeldReaction extends Reaction {
  /** Whether I am among them, listed or not, and the `rev` as of which that is known. */
  me: boolean;
  meRev: number;
}

/** A message as it is held. Rows are never changed: a change makes another one. */
export interface Row extends Omit<Message, "reactions"> {
  reactions?: HeldReaction[];
  /** It shows an edit or a deletion of mine that the server hasn't told of yet. */
  wished?: true;
}

/**
 * The row after a frame; undefined when it doesn't change it, being older or of a row that isn't held.
 * `isPage`: REST says of every reaction whether it is mine, frames only by the list of ids.
 */
export function merged(held: Row | undefined, frame: RowFrame, me: UserId, isPage = false): Row | undefined {
  if (held && held.rev >= frame.rev) return undefined;
  if (frame.type === "message") return whole(frame, held, me, isPage);
  return held && patched(held, frame, me);
}

function whole(frame: MessageFrame, held: Row | undefined, me: UserId, isPage: boolean): Row {
  const { type, prev, replay, reactions, ...row } = frame;
  if (!reactions) return row;
  const known = (emoji: string): HeldReaction | undefined =>
    held?.reactions?.find((one) => one.emoji === emoji);
  const withMine = reactions.map(({ emoji, count, user_ids = [], me: told }): HeldReaction => {
    const isListed = told === true || user_ids.includes(me);
    const before = known(emoji);
    // The list holds the first 50 only.
    const isTold = isListed || isPage || user_ids.length >= count || !before;
    return {
      emoji,
      count,
      user_ids,
      ...(isTold ? { me: isListed, meRev: row.rev } : { me: before.me, meRev: before.meRev }),
    };
  });
  return { ...row, reactions: withMine };
}

/** A live change brings only what changed (PROTOCOL.md section 5.2). */
function patched(row: Row, frame: UpdateFrame, me: UserId): Row {
  const { type, prev, replay, by, reactions, pinned_at, ...change } = frame;
  const { mentions, mention_all, ...rest } = row;
  // An edit that leaves the mentions out has none any more.
  const next: Row = change.content === undefined ? { ...row, ...change } : { ...rest, ...change };
  if (next.deleted_at) return bare(next);
  if (reactions) next.reactions = reacted(row.reactions ?? [], reactions, frame.rev, by, me);
  if (pinned_at === null) delete next.pinned_at;
  else if (pinned_at !== undefined) next.pinned_at = pinned_at;
  return next;
}

/** What is left of a deleted message. */
function bare({ content, mentions, mention_all, reactions, pinned_at, ...left }: Row): Row {
  return left;
}

/** The emoji touched, with their new counts. Of a joined change nobody says who it was. */
function reacted(
  held: readonly HeldReaction[],
  touched: readonly ReactionCount[],
  rev: number,
  by: UpdatedBy | undefined,
  me: UserId,
): HeldReaction[] {
  const next = [...held];
  for (const { emoji, count } of touched) {
    const index = next.findIndex((reaction) => reaction.emoji === emoji);
    const old = next[index] ?? { user_ids: [], me: false, meRev: 0 };
    const user_ids = by ? old.user_ids.filter((id) => id !== by.user_id) : [];
    if (by?.action === "react") user_ids.push(by.user_id);
    const mine =
      by?.user_id === me ? { me: by.action === "react", meRev: rev } : { me: old.me, meRev: old.meRev };
    next.splice(index < 0 ? next.length : index, 1, { emoji, count, user_ids, ...mine });
  }
  return next.filter((reaction) => reaction.count > 0);
}

/** A reaction of mine that was answered; undefined when the row says so already. It tells what a joined change could not. */
export function withMyReaction(row: Row, emoji: string, on: boolean, rev: number): Row | undefined {
  const held = row.reactions?.find((reaction) => reaction.emoji === emoji);
  if (!row.reactions || !held || held.meRev > rev || held.me === on) return undefined;
  return {
    ...row,
    reactions: row.reactions.map((one) => (one === held ? { ...held, me: on, meRev: rev } : one)),
  };
}

/** Rows by rising seq. */
export class Rows {
  readonly #me: UserId;
  #rows: Row[] = [];
  /** A copy that is handed out, and stays the same as long as nothing changes. */
  #list: readonly Row[] | null = null;
  /** Ids of my own messages, which tell what is still pending. */
  readonly #mine = new Set<string>();

  constructor(me: UserId) {
    this.#me = me;
  }

  get size(): number {
    return this.#rows.length;
  }

  get first(): Row | undefined {
    return this.#rows[0];
  }

  get last(): Row | undefined {
    return this.#rows.at(-1);
  }

  /** The same array until something changes. */
  list(): readonly Row[] {
    this.#list ??= this.#rows.slice();
    return this.#list;
  }

  get(seq: number): Row | undefined {
    const row = this.#rows[indexOf(this.#rows, seq)];
    return row?.seq === seq ? row : undefined;
  }

  /** Whether a message of mine with this id is held. */
  hasMine(id: string): boolean {
    return this.#mine.has(id);
  }

  /** Puts a message, or a change to one that is held, in. */
  put(frame: RowFrame, isPage = false): void {
    const row = merged(this.get(frame.seq), frame, this.#me, isPage);
    if (row) this.set(row);
  }

  set(row: Row): void {
    const index = indexOf(this.#rows, row.seq);
    if (this.#rows[index]?.seq === row.seq) this.#rows[index] = row;
    else this.#rows.splice(index, 0, row);
    if (row.sender.id === this.#me) this.#mine.add(row.id);
    this.#list = null;
  }

  /** Takes an author's new name. Returns whether a row has it. */
  rename(user: UserSummary): boolean {
    let isChanged = false;
    for (const row of this.#rows) {
      if (row.sender.id !== user.id || isNamedSo(row.sender, user)) continue;
      this.set({ ...row, sender: user });
      isChanged = true;
    }
    return isChanged;
  }

  delete(seq: number): void {
    const index = indexOf(this.#rows, seq);
    if (this.#rows[index]?.seq === seq) this.#forget(this.#rows.splice(index, 1));
  }

  /** Keeps the newest ones. */
  keepLast(count: number): void {
    if (this.#rows.length > count) this.#forget(this.#rows.splice(0, this.#rows.length - count));
  }

  /** Takes up the rows of another part; of a row in both the newer state counts. */
  absorb(other: Rows): void {
    const [mine, others] = [this.#rows, other.#rows];
    const rows: Row[] = [];
    let [at, from] = [0, 0];
    while (at < mine.length || from < others.length) {
      const [a, b] = [mine[at], others[from]];
      const isBoth = a?.seq === b?.seq;
      const next = a && (!b || a.seq < b.seq || (isBoth && a.rev >= b.rev)) ? a : b;
      if (next) rows.push(next);
      if (isBoth || next === a) at += 1;
      if (isBoth || next === b) from += 1;
    }
    for (const id of other.#mine) this.#mine.add(id);
    this.#rows = rows;
    this.#list = null;
  }

  clear(): void {
    this.#forget(this.#rows.splice(0));
  }

  #forget(rows: readonly Row[]): void {
    for (const row of rows) if (row.sender.id === this.#me) this.#mine.delete(row.id);
    this.#list = null;
  }
}

/** Where the row of a seq is, or would be, among rows by rising seq. */
export function indexOf(rows: readonly Row[], seq: number): number {
  const last = rows.at(-1);
  if (!last || seq > last.seq) return rows.length; // new messages come at the end
  let [low, high] = [0, rows.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((rows[middle]?.seq ?? seq) < seq) low = middle + 1;
    else high = middle;
  }
  return low;
}
