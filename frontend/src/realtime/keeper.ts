// Keeps the access token of a session fresh. It knows no page: requests and the clock are given to it.

import type { Tokens } from "../protocol/types.ts";
import { reconnectDelay } from "./backoff.ts";

/** Of a token's life, after which a newer one is got. */
const FRESH_PART = 0.75;
const TIMER_MS_MAX = 2 ** 31 - 1;

/** Why a session has ended: revoked or expired (the server does not say which), or the account may not be used. */
export type LogInEnd = "over" | "forbidden";

function statusOf(problem: unknown): number {
  const status = typeof problem === "object" && problem !== null && "status" in problem ? problem.status : 0;
  return typeof status === "number" ? status : 0;
}

/** What the failure of a refresh says of the session: null when it says nothing, and is to be asked for again. */
export function endBy(problem: unknown): LogInEnd | null {
  const status = statusOf(problem);
  if (status === 401 || status === 400) return "over"; // 400: no cookie any more
  return status === 403 ? "forbidden" : null;
}

/** What is used of tokens. */
export type FreshTokens = Pick<Tokens, "access_token" | "expires_in">;

export interface KeeperOptions<T extends FreshTokens> {
  /** Answers with tokens, or throws what `endBy` reads. */
  exchange: () => Promise<T>;
  on: {
    fresh(tokens: T): void;
    /** An exchange failed and will be tried again. */
    waiting(): void;
    ended(reason: LogInEnd, problem: unknown): void;
  };
  now?: () => number;
  random?: () => number;
}

export class Keeper<T extends FreshTokens = Tokens> {
  token: string | null = null;
  readonly #exchange: () => Promise<T>;
  readonly #on: KeeperOptions<T>["on"];
  readonly #now: () => number;
  readonly #random: () => number;
  /** The token that came for one that the server didn't know. */
  #lastChance: string | null = null;
  /** When it stops being fresh. */
  #dueAt = 0;
  #attempt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** The exchange on its way. */
  #renewal: Promise<string> | null = null;
  #stopped = false;

  constructor({ exchange, on, now = Date.now, random = Math.random }: KeeperOptions<T>) {
    this.#exchange = exchange;
    this.#on = on;
    this.#now = now;
    this.#random = random;
  }

  /** These are the newest tokens. */
  hold({ access_token, expires_in }: FreshTokens): void {
    this.token = access_token;
    this.#attempt = 0;
    this.#dueAt = this.#now() + expires_in * 1_000 * FRESH_PART;
    this.#plan();
  }

  /** A token other than the one that is spent. All who ask at once share one exchange. */
  async newerThan(spent: string | null): Promise<string> {
    if (this.token !== null && this.token !== spent) return this.token;
    this.#renewal ??= this.#renew().finally(() => {
      this.#renewal = null;
    });
    return this.#renewal;
  }

  /**
   * The server doesn't know this token: a new key makes all tokens unknown, and no session. Whether there is hope: one
   * exchange tells, and what it brought must work.
   */
  doubt(refused: string | null): boolean {
    if (refused === this.#lastChance) return false;
    this.newerThan(refused).then(
      (token) => {
        this.#lastChance = token;
      },
      () => {}, // `on` is told
    );
    return true;
  }

  /** The server has taken a token. */
  trust(): void {
    this.#lastChance = null;
  }

  /** The tab or the network is back: timers may have slept. */
  wake(): void {
    if (!this.#stopped && this.#now() >= this.#dueAt) this.newerThan(this.token).catch(() => {}); // `on` is told
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #plan(): void {
    clearTimeout(this.#timer);
    const wait_ms = Math.min(this.#dueAt - this.#now(), TIMER_MS_MAX);
    this.#timer = setTimeout(() => (this.#now() < this.#dueAt ? this.#plan() : this.wake()), wait_ms);
  }

  async #renew(): Promise<string> {
    clearTimeout(this.#timer);
    this.#dueAt = 0;
    const tokens = await this.#exchange().catch((problem: unknown) => {
      if (!this.#stopped) this.#failed(problem);
      throw problem;
    });
    if (!this.#stopped) {
      this.hold(tokens);
      this.#on.fresh(tokens);
    }
    return tokens.access_token;
  }

  #failed(problem: unknown): void {
    const reason = endBy(problem);
    if (reason !== null) {
      this.stop();
      this.#on.ended(reason, problem);
      return;
    }
    // An answer that was lost on its way is given once more, for seconds: ask for it at once.
    const isLost = statusOf(problem) === 0 && this.#attempt === 0;
    const wait_ms = isLost ? 0 : reconnectDelay(this.#attempt, this.#random);
    this.#attempt += 1;
    this.#timer = setTimeout(() => this.wake(), wait_ms);
    this.#on.waiting();
  }
}
