// Messages on their way: shown as pending, sent one at a time per room so that order holds, and sent again with the
// same id until the server has settled them. Nothing here knows sockets; `host` sends, asks and keeps.

export const RETRY_MS = 1000;

export class Outbox {
  /** `host`: send(frame), ask(what) → ref, emit(effect). */
  constructor(items, host) {
    this.items = items.map((item) => ({ ...item, state: item.failure ? "failed" : "queued", retryAt: 0 }));
    this.host = host;
  }

  disconnected() {
    for (const item of this.items) if (item.state === "sent") Object.assign(item, { state: "queued", retryAt: 0 });
  }

  add({ id, roomId, content, replyTo, createdAt }) {
    const item = { id, roomId, content, replyTo, createdAt, state: "queued", retryAt: 0 };
    this.items.push(item);
    this.#save(item);
  }

  retry(id, now) {
    const item = this.items.find((other) => other.id === id && other.state === "failed");
    if (!item) return;
    // To the end: what was written after it may have been sent meanwhile.
    this.items = [...this.items.filter((other) => other !== item), item];
    // The time is the order after a reload.
    Object.assign(item, { state: "queued", retryAt: 0, failure: undefined, createdAt: new Date(now).toISOString() });
    this.#save(item);
  }

  /** Also for an item that another tab has dealt with. What is under way stays until its answer. */
  discard(id) {
    const item = this.items.find((other) => other.id === id);
    if (item && (item.state === "failed" || item.state === "queued")) this.drop(item);
  }

  pump(now) {
    const busy = new Set();
    for (const item of this.items) {
      if (busy.has(item.roomId) || item.state === "failed" || item.state === "stored") continue;
      busy.add(item.roomId);
      if (item.state === "sent") continue;
      if (item.retryAt > now) {
        this.host.emit({ do: "wake", in_ms: item.retryAt - now });
        continue;
      }
      item.state = "sent";
      const ref = this.host.ask({ kind: "message", id: item.id });
      const { id, roomId: room_id, content, replyTo: reply_to } = item;
      this.host.send({ type: "message", ref, room_id, id, content, ...(reply_to && { reply_to }) });
    }
  }

  /** It stays in view until its own event brings the row: only that moves the position. */
  acked(id, rev) {
    const item = this.items.find((other) => other.id === id);
    if (!item) return null;
    Object.assign(item, { state: "stored", rev });
    this.host.emit({ do: "erase", id });
    return item;
  }

  refused(id, frame, retryAt) {
    const item = this.items.find((other) => other.id === id && other.state === "sent");
    if (!item) return;
    if (frame.retryable) Object.assign(item, { state: "queued", retryAt });
    else {
      Object.assign(item, { state: "failed", failure: { code: frame.code, message: frame.message } });
      this.#save(item);
    }
  }

  dropShown(room) {
    this.items = this.items.filter(
      (item) => !(item.state === "stored" && item.roomId === room.id && item.rev <= room.position),
    );
  }

  drop(item) {
    this.items = this.items.filter((other) => other !== item);
    this.host.emit({ do: "erase", id: item.id });
  }

  #save({ id, roomId, content, replyTo, createdAt, failure }) {
    this.host.emit({ do: "save", item: { id, roomId, content, replyTo, createdAt, failure } });
  }
}
