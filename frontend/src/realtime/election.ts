// Which tab of a browser leads: the one that holds a lock. Whoever waits for it gets it when the leader goes, however it
// goes; a leader that has stopped answering is robbed of it.

/** What is used of `navigator.locks`. */
export interface Locks {
  request(
    name: string,
    options: { signal?: AbortSignal; steal?: boolean },
    hold: () => Promise<void>,
  ): Promise<unknown>;
}

export interface ElectionListener {
  won(): void;
  /** Another tab has taken the lock. This one waits for it again. */
  lost(): void;
}

interface Attempt {
  /** Ends the waiting. */
  abort(): void;
  /** Gives the lock back, once it is held. */
  release: (() => void) | null;
}

export class Election {
  readonly #locks: Locks;
  readonly #name: string;
  readonly #on: ElectionListener;
  #attempt: Attempt | null = null;

  constructor(locks: Locks, name: string, on: ElectionListener) {
    this.#locks = locks;
    this.#name = name;
    this.#on = on;
  }

  /** Waits for the lock. */
  queue(): void {
    const waiting = new AbortController();
    void this.#run({ signal: waiting.signal }, () => waiting.abort());
  }

  /** Takes the lock from whoever holds it. */
  steal(): void {
    this.#attempt?.abort();
    void this.#run({ steal: true }, () => {});
  }

  stop(): void {
    const attempt = this.#attempt;
    this.#attempt = null;
    attempt?.release?.();
    attempt?.abort();
  }

  async #run(options: { signal?: AbortSignal; steal?: boolean }, abort: () => void): Promise<void> {
    const attempt: Attempt = { abort, release: null };
    this.#attempt = attempt;
    const hold = (): Promise<void> => {
      if (this.#attempt !== attempt) return Promise.resolve(); // stopped in between
      return new Promise((resolve) => {
        attempt.release = resolve;
        this.#on.won();
      });
    };
    try {
      await this.#locks.request(this.#name, options, hold);
    } catch {
      if (this.#attempt !== attempt) return;
      if (attempt.release) {
        // Robbed: another tab leads now.
        this.#on.lost();
        this.queue();
      } else {
        // There are no locks in this context after all: each tab leads itself.
        attempt.release = () => {};
        this.#on.won();
      }
    }
  }
}
