// What the parts of the state machine ask of it.

import type { ClientFrame, RoomId } from "../protocol/types.ts";
import type { Effect } from "./effects.ts";
import type { Asked } from "./questions.ts";

export interface Host {
  send(frame: ClientFrame): void;
  /** Notes a question; its answer repeats the ref. */
  ask(what: Asked): string;
  emit(effect: Effect): void;
  /** What a room shows has changed. */
  touch(roomId: RoomId): void;
}
