// For the tests of tabs: the locks and channels of one browser, and sockets that do nothing by themselves. A tab that hangs
// hears nothing until it wakes.

import type { Locks } from "./election.ts";
import type { Socket } from "./socket.ts";

interface Waiting {
  hold: () => Promise<void>;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** What a tab is told, later or when it wakes. */
export class FakeTab {
  #isHung = false;
  #held: (() => void)[] = [];

  hang(): void {
    this.#isHung = true;
  }

  wake(): void {
    this.#isHung = false;
    for (const act of this.#held.splice(0)) act();
  }

  later(act: () => void): void {
    setTimeout(() => {
      if (this.#isHung) this.#held.push(act);
      else act();
    }, 0);
  }
}

/** One lock. */
export class FakeLocks {
  #holder: Waiting | null = null;
  readonly #queue: Waiting[] = [];

  /** How many wait for it. */
  get waiting(): number {
    return this.#queue.length;
  }

  of(tab: FakeTab): Locks {
    return {
      request: (_, { signal, steal }, hold) =>
        new Promise((resolve, reject) => {
          const waiting = {
            hold,
            resolve: (value: unknown) => tab.later(() => resolve(value)),
            reject: (error: unknown) => tab.later(() => reject(error)),
          };
          signal?.addEventListener("abort", () => {
            const index = this.#queue.indexOf(waiting);
            if (index >= 0) this.#queue.splice(index, 1);
            waiting.reject(new DOMException("", "AbortError"));
          });
          if (steal) {
            this.#holder?.reject(new DOMException("", "AbortError"));
            this.#give(waiting);
          } else {
            this.#queue.push(waiting);
            if (!this.#holder) this.#give(this.#queue.shift());
          }
        }),
    };
  }

  #give(next: Waiting | undefined): void {
    this.#holder = next ?? null;
    if (!next) return;
    setTimeout(async () => {
      await next.hold();
      next.resolve(undefined);
      if (this.#holder === next) this.#give(this.#queue.shift());
    }, 0);
  }
}

type Listener = { tab: FakeTab; channel: BroadcastChannel };

/** One name. */
export class FakeChannels {
  #all: Listener[] = [];

  make(tab: FakeTab): BroadcastChannel {
    const channel = {
      onmessage: null,
      postMessage: (message: unknown) => {
        for (const other of this.#all) {
          if (other.channel === channel) continue;
          const data = structuredClone(message);
          other.tab.later(() => other.channel.onmessage?.(new MessageEvent("message", { data })));
        }
      },
      close: () => {
        this.#all = this.#all.filter((other) => other.channel !== channel);
      },
    } as unknown as BroadcastChannel;
    this.#all.push({ tab, channel });
    return channel;
  }
}

/** Does nothing by itself. */
export class FakeSocket {
  readonly readyState = 1;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  isClosed = false;
  readonly sent: { type: string; ref?: string; [key: string]: unknown }[] = [];

  get asSocket(): Socket {
    return this as unknown as Socket;
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }

  close(): void {
    this.isClosed = true;
  }

  hear(frame: object | string): void {
    this.onmessage?.({ data: typeof frame === "string" ? frame : JSON.stringify(frame) });
  }
}
