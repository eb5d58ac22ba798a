// Tells the server of a log-out that has been carried out here. It knows no page: requests and the pauses are given to it.

import { reconnectDelay } from "./connection.js";
import { endBy } from "./keeper.js";

export const TRIES_MAX = 12; // minutes; when the network comes back, or the page is opened again, they begin anew

/**
 * `tell(token)` throws what `endBy` reads when the server can't have heard it. `on` is told: told(), waiting() when a
 * try failed and another follows, gaveUp().
 */
export class Farewell {
  constructor({ tell, on, random = Math.random }) {
    Object.assign(this, { tell, on, random });
    this.token = null; // of the log-in that was left, while it is at hand
    this.isOwed = false;
    this.attempt = 0;
    this.timer = null;
    this.trying = null;
  }

  begin(token = null) {
    this.token = token;
    this.isOwed = true;
    this.wake();
  }

  /** The network is back. */
  wake() {
    if (!this.isOwed) return;
    this.attempt = 0;
    this.now();
  }

  /** Tries once, when there is something to tell; it never fails. */
  async now() {
    if (!this.isOwed) return;
    clearTimeout(this.timer);
    this.trying ??= this.#try().finally(() => { this.trying = null; });
    await this.trying;
  }

  /** Tries once, and then waits to be woken: a log-out that is told while somebody logs in takes the new cookie away. */
  async rest() {
    await this.now();
    clearTimeout(this.timer);
  }

  /** Somebody has logged in: what was left before is no longer at hand. */
  stop() {
    clearTimeout(this.timer);
    this.isOwed = false;
    this.token = null;
  }

  async #try() {
    const isKnown = await this.tell(this.token).then(() => true, (problem) => endBy(problem) !== null); // it may be over
    if (!this.isOwed) return;
    if (isKnown) {
      this.stop();
      return this.on.told();
    }
    if (this.attempt + 1 >= TRIES_MAX) return this.on.gaveUp();
    this.timer = setTimeout(() => this.now(), reconnectDelay(this.attempt, this.random));
    this.attempt += 1;
    this.on.waiting();
  }
}
