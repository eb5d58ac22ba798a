// Deletions that can still be taken back: for a moment they are shown, and not done.

const UNDO_MS = 6_000;

interface Seat {
  roomId: number;
  seq: number;
  timer: ReturnType<typeof setTimeout>;
}

export class Going {
  readonly #seats = new Map<string, Seat>();
  readonly #on: { changed(roomId: number): void; due(roomId: number, seq: number): void };

  constructor(on: { changed(roomId: number): void; due(roomId: number, seq: number): void }) {
    this.#on = on;
  }

  get size(): number {
    return this.#seats.size;
  }

  has(roomId: number, seq: number): boolean {
    return this.#seats.has(`${roomId}/${seq}`);
  }

  add(roomId: number, seq: number): void {
    if (this.has(roomId, seq)) return;
    const timer = setTimeout(() => this.#done(roomId, seq), UNDO_MS);
    this.#seats.set(`${roomId}/${seq}`, { roomId, seq, timer });
    this.#on.changed(roomId);
  }

  undo(roomId: number, seq: number): void {
    clearTimeout(this.#seats.get(`${roomId}/${seq}`)?.timer);
    this.#seats.delete(`${roomId}/${seq}`);
    this.#on.changed(roomId);
  }

  /** Cancels all of them: in another log, the same `seq` may belong to another message. */
  clear(): void {
    for (const { roomId, seq } of [...this.#seats.values()]) this.undo(roomId, seq);
  }

  /** The page is about to go: what was asked for is done now. */
  flush(): void {
    for (const { roomId, seq, timer } of [...this.#seats.values()]) {
      clearTimeout(timer);
      this.#done(roomId, seq);
    }
  }

  #done(roomId: number, seq: number): void {
    this.#seats.delete(`${roomId}/${seq}`);
    this.#on.due(roomId, seq);
  }
}
