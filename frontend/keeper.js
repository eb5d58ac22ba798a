// Keeps the access token of a log-in fresh. It knows no page: requests and the clock are given to it.

import { reconnectDelay } from "./connection.js";

const FRESH_PART = 0.75; // of a token's life, after which a newer one is got
const TIMER_MS_MAX = 2 ** 31 - 1;

/** What an answer to a refresh says of the log-in: null when it says nothing, and is to be asked for again. */
export function endBy({ status }) {
  if (status === 401 || status === 400) return "over"; // ended or run out, which one isn't told; or no cookie any more
  return status === 403 ? "forbidden" : null;
}

/**
 * `exchange()` answers with tokens, or throws what `endBy` reads. `on` is told: fresh(tokens), waiting() when an
 * exchange failed and will be tried again, ended(reason, problem).
 */
export class Keeper {
  constructor({ exchange, on, now = Date.now, random = Math.random }) {
    Object.assign(this, { exchange, on, now, random });
    this.token = null;
    this.lastChance = null; // the token that came for one that the server didn't know
    this.dueAt = 0; // when it stops being fresh
    this.attempt = 0;
    this.timer = null;
    this.renewal = null; // the exchange on its way
    this.stopped = false;
  }

  /** These are the newest tokens. */
  hold({ access_token, expires_in }) {
    this.token = access_token;
    this.attempt = 0;
    this.dueAt = this.now() + expires_in * 1_000 * FRESH_PART;
    this.#plan();
  }

  /** A token other than the one that is spent. All who ask at once share one exchange. */
  async newerThan(spent) {
    if (this.token !== spent) return this.token;
    this.renewal ??= this.#renew().finally(() => { this.renewal = null; });
    return this.renewal;
  }

  /**
   * The server doesn't know this token: a new key makes all tokens unknown, and no log-in. Whether there is hope: one
   * exchange tells, and what it brought must work.
   */
  doubt(refused) {
    if (refused === this.lastChance) return false;
    this.newerThan(refused).then((token) => { this.lastChance = token; }, () => {}); // `on` is told
    return true;
  }

  /** The server has taken a token. */
  trust() {
    this.lastChance = null;
  }

  /** The tab or the network is back: timers may have slept. */
  wake() {
    if (!this.stopped && this.now() >= this.dueAt) this.newerThan(this.token).catch(() => {}); // `on` is told
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  #plan() {
    clearTimeout(this.timer);
    const wait_ms = Math.min(this.dueAt - this.now(), TIMER_MS_MAX);
    this.timer = setTimeout(() => (this.now() < this.dueAt ? this.#plan() : this.wake()), wait_ms);
  }

  async #renew() {
    clearTimeout(this.timer);
    this.dueAt = 0;
    const tokens = await this.exchange().catch((problem) => {
      if (!this.stopped) this.#failed(problem);
      throw problem;
    });
    if (!this.stopped) {
      this.hold(tokens);
      this.on.fresh(tokens);
    }
    return tokens.access_token;
  }

  #failed(problem) {
    const reason = endBy(problem);
    if (reason !== null) {
      this.stop();
      return this.on.ended(reason, problem);
    }
    // An answer that was lost on its way is given once more, for seconds: ask for it at once.
    const isLost = !problem.status && this.attempt === 0;
    const wait_ms = isLost ? 0 : reconnectDelay(this.attempt, this.random);
    this.attempt += 1;
    this.timer = setTimeout(() => this.wake(), wait_ms);
    this.on.waiting();
  }
}
