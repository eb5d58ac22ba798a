// My edits, deletions and reactions on their way. Each is a wish for the state of one thing (a text, one emoji of one
// message): the newest counts, it is shown at once, and sent again until it is answered. Repeating one is harmless.

export class Changes {
  /** `host`: send(frame), ask(what) → ref, emit(effect). */
  constructor(host) {
    this.host = host;
    this.wishes = new Map(); // what it is about → {key, frame, state: "queued" | "sent" | "stored", retryAt, rev}
  }

  wish(frame) {
    const key = [frame.room_id, frame.seq, frame.emoji ?? "text"].join("/");
    this.wishes.delete(key); // to the end
    this.wishes.set(key, { key, frame, state: "queued", retryAt: 0 });
  }

  disconnected() {
    for (const wish of this.wishes.values()) {
      if (wish.state === "sent") Object.assign(wish, { state: "queued", retryAt: 0 });
    }
  }

  pump(now) {
    for (const wish of this.wishes.values()) {
      if (wish.state !== "queued") continue;
      if (wish.retryAt > now) {
        this.host.emit({ do: "wake", in_ms: wish.retryAt - now });
        continue;
      }
      wish.state = "sent";
      this.host.send({ ...wish.frame, ref: this.host.ask({ kind: "change", wish }) });
    }
  }

  acked(wish, rev) {
    Object.assign(wish, { state: "stored", rev });
  }

  refused(wish, frame, retryAt) {
    if (this.wishes.get(wish.key) !== wish) return; // a later one has taken its place
    if (frame.retryable) return void Object.assign(wish, { state: "queued", retryAt });
    this.wishes.delete(wish.key);
    this.host.emit({ do: "refused", change: wish.frame, code: frame.code, message: frame.message });
  }

  /** Takes out and returns what is stored and shown by the room itself. */
  takeShown(room) {
    const shown = this.of(room.id).filter((wish) => wish.state === "stored" && wish.rev <= room.position);
    for (const wish of shown) this.wishes.delete(wish.key);
    return shown;
  }

  /** `stored` only: what was told before a reset is in the room as it is read anew. */
  forget(roomId, { storedOnly = false } = {}) {
    for (const wish of this.of(roomId)) if (!storedOnly || wish.state === "stored") this.wishes.delete(wish.key);
  }

  of(roomId) {
    return [...this.wishes.values()].filter((wish) => wish.frame.room_id === roomId);
  }
}

/** The row as it will be. */
export function wished(row, { type, content, emoji, on }) {
  if (row.deleted_at) return row;
  if (type === "delete") return { ...row, content: undefined, deleted_at: row.created_at, wished: true };
  if (type === "edit") return { ...row, content, wished: true };
  const reactions = row.reactions ?? [];
  const held = reactions.find((reaction) => reaction.emoji === emoji);
  if (Boolean(held?.me) === on) return row;
  const count = (held?.count ?? 0) + (on ? 1 : -1);
  const changed = { user_ids: [], ...held, emoji, count, me: on };
  const next = held ? reactions.map((one) => (one === held ? changed : one)) : [...reactions, changed];
  return { ...row, reactions: next.filter((reaction) => reaction.count > 0) };
}
