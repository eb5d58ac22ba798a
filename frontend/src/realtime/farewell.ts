// Tells the server of a log-out that has been carried out here. It knows no page: requests are given to it.

import { reconnectDelay } from "./backoff.ts";
import { endBy } from "./keeper.ts";

/** About minutes; when the network comes back, or the page is opened again, they begin anew. */
export const TRIES_MAX = 12;

export interface FarewellOptions {
  /** Throws what `endBy` reads when the server can't have heard it. */
  tell: (token: string | null) => Promise<void>;
  on: {
    told(): void;
    /** A try failed and another follows. */
    waiting(): void;
    gaveUp(): void;
  };
  random?: () => number;
}

export class Farewell {
  readonly #tell: FarewellOptions["tell"];
  readonly #on: FarewellOptions["on"];
  readonly #random: () => number;
  /** Of the session that was left, while it is at hand. */
  #token: string | null = null;
  #isOwed = false;
  #attempt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #trying: Promise<void> | null = null;

  constructor({ tell, on, random = Math.random }: FarewellOptions) {
    this.#tell = tell;
    this.#on = on;
    this.#random = random;
  }

  begin(token: string | null = null): void {
    this.#token = token;
    this.#isOwed = true;
    this.wake();
  }

  /** The network is back. */
  wake(): void {
    if (!this.#isOwed) return;
    this.#attempt = 0;
    void this.now();
  }

  /** Tries once, when there is something to tell; it never fails. */
  async now(): Promise<void> {
    if (!this.#isOwed) return;
    clearTimeout(this.#timer);
    this.#trying ??= this.#try().finally(() => {
      this.#trying = null;
    });
    await this.#trying;
  }

  /** Tries once, and then waits to be woken: a log-out that is told while somebody logs in takes the new cookie away. */
  async rest(): Promise<void> {
    await this.now();
    clearTimeout(this.#timer);
  }

  /** Somebody has logged in: what was left before is no longer at hand. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#isOwed = false;
    this.#token = null;
  }

  async #try(): Promise<void> {
    const isKnown = await this.#tell(this.#token).then(
      () => true,
      (problem: unknown) => endBy(problem) !== null, // it may be over
    );
    if (!this.#isOwed) return;
    if (isKnown) {
      this.stop();
      this.#on.told();
    } else if (this.#attempt + 1 >= TRIES_MAX) {
      this.#on.gaveUp();
    } else {
      this.#timer = setTimeout(() => void this.now(), reconnectDelay(this.#attempt, this.#random));
      this.#attempt += 1;
      this.#on.waiting();
    }
  }
}
