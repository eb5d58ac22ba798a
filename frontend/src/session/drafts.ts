// What is written and not sent, by room: in memory at once, in storage when the writer rests.

import { kept } from "./marks.ts";

const REST_MS = 400;
/** A longer draft stays in its box, and is not kept through a reload. */
const KEPT_CHARS_MAX = 16_000;

export interface Draft {
  text: string;
  replyTo?: number;
}

const NONE: Draft = { text: "" };

export class Drafts {
  /** Rises whenever a room gets a draft or loses it. */
  version = 0;
  readonly #prefix: string;
  readonly #changed: () => void;
  readonly #held = new Map<number, Draft>();
  readonly #timers = new Map<number, ReturnType<typeof setTimeout>>();

  constructor(userId: number, changed: () => void) {
    this.#prefix = `hearth.draft.${userId}.`;
    this.#changed = () => {
      this.version += 1;
      changed();
    };
    for (const key of kept.keys(this.#prefix)) this.#read(key);
    addEventListener("storage", this.#onStorage);
  }

  of(roomId: number): Draft {
    return this.#held.get(roomId) ?? NONE;
  }

  has(roomId: number): boolean {
    return this.of(roomId).text.trim() !== "";
  }

  set(roomId: number, draft: Draft): void {
    const [had, answered] = [this.has(roomId), this.of(roomId).replyTo];
    if (draft.text === "" && draft.replyTo === undefined) this.#held.delete(roomId);
    else this.#held.set(roomId, draft);
    if (had !== this.has(roomId) || answered !== draft.replyTo) this.#changed();
    clearTimeout(this.#timers.get(roomId));
    this.#timers.set(
      roomId,
      setTimeout(() => this.#keep(roomId), REST_MS),
    );
  }

  /** Writes what rests for its moment: the page may be about to go. */
  flush(): void {
    for (const roomId of [...this.#timers.keys()]) this.#keep(roomId);
  }

  /** Ends it. `forget`: nothing of it is left in storage. */
  stop({ forget }: { forget: boolean }): void {
    removeEventListener("storage", this.#onStorage);
    if (!forget) return this.flush();
    for (const timer of this.#timers.values()) clearTimeout(timer);
    for (const key of kept.keys(this.#prefix)) kept.remove(key);
  }

  /** Another tab has written. */
  readonly #onStorage = ({ key }: StorageEvent): void => {
    if (!key?.startsWith(this.#prefix) || this.#timers.has(this.#roomOf(key))) return;
    this.#read(key);
    this.#changed();
  };

  #roomOf(key: string): number {
    return Number(key.slice(this.#prefix.length));
  }

  #read(key: string): void {
    const draft = kept.get<Partial<Draft>>(key);
    if (typeof draft?.text !== "string") return void this.#held.delete(this.#roomOf(key));
    const replyTo = Number.isSafeInteger(draft.replyTo) ? draft.replyTo : undefined;
    this.#held.set(this.#roomOf(key), { text: draft.text, ...(replyTo !== undefined && { replyTo }) });
  }

  #keep(roomId: number): void {
    clearTimeout(this.#timers.get(roomId));
    this.#timers.delete(roomId);
    const draft = this.#held.get(roomId);
    if (draft && draft.text.length <= KEPT_CHARS_MAX) kept.set(this.#prefix + roomId, draft);
    else kept.remove(this.#prefix + roomId);
  }
}
