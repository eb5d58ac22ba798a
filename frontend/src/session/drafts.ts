// What is written and not sent, by room: in memory at once, in storage when the writer rests.

import { kept } from "./marks.ts";

const REST_MS = 400;
/** A longer draft stays in its box, and is not kept through a reload. */
const KEPT_CHARS_MAX = 16_000;

export interface Draft {
  text: string;
  replyTo?: number;
  /** The `created_at` of its room: another log may have another room of the same id. */
  roomMadeAt?: string;
}

const NONE: Draft = { text: "" };

export class Drafts {
  /** Rises whenever a room gets a draft or loses it. */
  version = 0;
  readonly #prefix: string;
  readonly #changed: () => void;
  /** The `created_at` of a room that is mine. */
  readonly #madeAt: (roomId: number) => string | undefined;
  readonly #held = new Map<number, Draft>();
  readonly #timers = new Map<number, ReturnType<typeof setTimeout>>();

  constructor(account: string, changed: () => void, madeAt: (roomId: number) => string | undefined) {
    this.#prefix = `hearth.draft.${account}.`;
    this.#madeAt = madeAt;
    this.#changed = () => {
      this.version += 1;
      changed();
    };
    for (const key of kept.keys(this.#prefix)) this.#read(key);
    addEventListener("storage", this.#onStorage);
  }

  of(roomId: number): Draft {
    const draft = this.#held.get(roomId);
    return draft && !this.#isStranded(roomId, draft) ? draft : NONE;
  }

  has(roomId: number): boolean {
    return this.of(roomId).text.trim() !== "";
  }

  set(roomId: number, draft: Draft): void {
    const [had, answered] = [this.has(roomId), this.of(roomId).replyTo];
    if (draft.text === "" && draft.replyTo === undefined) this.#held.delete(roomId);
    else {
      const roomMadeAt = this.#madeAt(roomId) ?? draft.roomMadeAt;
      this.#held.set(roomId, { ...draft, ...(roomMadeAt !== undefined && { roomMadeAt }) });
    }
    if (had !== this.has(roomId) || answered !== draft.replyTo) this.#changed();
    clearTimeout(this.#timers.get(roomId));
    this.#timers.set(
      roomId,
      setTimeout(() => this.#keep(roomId), REST_MS),
    );
  }

  /** Removes and returns the drafts of rooms whose ids belong to other rooms now. */
  takeStranded(): [roomId: number, Draft][] {
    const stranded = [...this.#held].filter(([roomId, draft]) => this.#isStranded(roomId, draft));
    for (const [roomId] of stranded) {
      this.#held.delete(roomId);
      this.#keep(roomId);
    }
    if (stranded.length > 0) this.#changed();
    return stranded;
  }

  #isStranded(roomId: number, { roomMadeAt }: Draft): boolean {
    const madeAt = this.#madeAt(roomId);
    return roomMadeAt !== undefined && madeAt !== undefined && roomMadeAt !== madeAt;
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
    const roomMadeAt = typeof draft.roomMadeAt === "string" ? draft.roomMadeAt : undefined;
    this.#held.set(this.#roomOf(key), {
      text: draft.text,
      ...(replyTo !== undefined && { replyTo }),
      ...(roomMadeAt !== undefined && { roomMadeAt }),
    });
  }

  #keep(roomId: number): void {
    clearTimeout(this.#timers.get(roomId));
    this.#timers.delete(roomId);
    const draft = this.#held.get(roomId);
    if (draft && draft.text.length <= KEPT_CHARS_MAX) kept.set(this.#prefix + roomId, draft);
    else kept.remove(this.#prefix + roomId);
  }
}
