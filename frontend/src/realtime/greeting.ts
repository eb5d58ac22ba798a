// `ready`, and the rooms that didn't fit into it and follow at once, each in an `added`. It is acted on as a whole.

import type { Ready } from "../protocol/types.ts";
import type { Heard } from "./frames.ts";

export class Greeting {
  #ready: Ready | null = null;

  /** The connection has broken in between. */
  reset(): void {
    this.#ready = null;
  }

  /** What is to be acted on now: the frame, `ready` with all its rooms, or nothing yet. */
  take(frame: Heard): Heard | null {
    if (frame.type === "ready") this.#ready = { ...frame, rooms: [...frame.rooms] };
    else if (!this.#ready || frame.type !== "added") return frame;
    else {
      this.#ready.rooms.push(frame.room);
      this.#ready.more_rooms -= 1;
    }
    if (this.#ready.more_rooms > 0) return null;
    const ready = this.#ready;
    this.#ready = null;
    return { ...ready, type: "ready" };
  }
}
