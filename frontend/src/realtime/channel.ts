// What the tabs of a browser tell one another.

import type { ClientFrame, RoomId, Tokens } from "../protocol/types.ts";
import type { Snapshot } from "./delivery.ts";
import type { SavedItem } from "./effects.ts";
import type { Settled } from "./outbox.ts";
import type { ConnectionState } from "./socket.ts";

/** What tabs tell one another of messages: what was written, what became of it; `discard` asks the leader to. */
export type OutboxEvent =
  | { do: "written"; item: SavedItem }
  | { do: "settled"; id: string; settled: Settled }
  | { do: "discard"; id: string };

/** How the socket is. */
export interface LineState {
  readonly state: ConnectionState;
  /** The moment of the next try, where one is planned. */
  readonly retryAt: number | null;
  /** The code with which the last socket was closed. */
  readonly code: number | null;
}

/** As the methods of `Connection`. */
export type Command = "start" | "check" | "restart";

export type Message =
  // From the leader. `to` null: to all.
  | { type: "beat"; line: string }
  | { type: "state"; line: string; is: LineState }
  | { type: "snapshot"; line: string; to: string | null; snapshot: Snapshot }
  | { type: "heard"; line: string; to: string | null; frame: object }
  | { type: "asked"; line: string; by: string; ref: string; rooms: RoomId[] }
  // To the leader.
  | { type: "hello"; from: string }
  | { type: "ping" }
  | { type: "send"; line: string; from: string; frame: ClientFrame }
  | { type: "command"; command: Command }
  // Among all.
  | { type: "renewed"; to: string | null; tokens: Tokens }
  | { type: "outbox"; event: OutboxEvent };

/** What is used of a BroadcastChannel. */
export type Channel = Pick<BroadcastChannel, "onmessage" | "postMessage" | "close">;
