// One socket to the server, kept alive: heartbeat, reconnects, and the reasons for giving up. It knows no rooms.

import type { ClientFrame } from "../protocol/types.ts";
import { reconnectDelay } from "./backoff.ts";

const READY_MS_MAX = 15_000;
const WAKE_PING_MS = 4_000;
const WATCH_EVERY_MS = 1_000;
/** What a server may ask for: other figures are not believed. */
const HEARTBEAT_MS_MIN = 5_000;
const HEARTBEAT_MS_MAX = 300_000;
const GOING_AWAY_MS_MAX = 300_000;

export interface Silence {
  now: number;
  heardAt: number;
  pingedAt: number | null;
  heartbeatMs: number;
}

/**
 * What silence asks for. A connection is given up only when a ping, too, stayed unanswered for a whole heartbeat: a
 * background tab's timers may sleep past 2 x heartbeat while the line is fine.
 */
export function heartbeatAction({ now, heardAt, pingedAt, heartbeatMs }: Silence): "ping" | "dead" | null {
  if (now - heardAt < heartbeatMs) return null;
  if (pingedAt === null || pingedAt < heardAt) return "ping";
  return now - heardAt >= 2 * heartbeatMs && now - pingedAt >= heartbeatMs ? "dead" : null;
}

/** Codes from 4500 on say that the same attempt would end the same way. */
export const invitesReconnect = (code: number): boolean => !(code >= 4500 && code <= 4999);

export type ConnectionState = "connecting" | "live" | "waiting" | "stopped";

export interface ConnectionListener {
  state(state: ConnectionState): void;
  frame(frame: object): void;
  /** False stops, true goes on where the code alone would stop it. */
  closed(code: number): boolean | undefined;
}

/** What is used of a WebSocket. */
export type Socket = Pick<WebSocket, "readyState" | "onopen" | "onmessage" | "onclose" | "send" | "close">;

export interface ConnectionOptions {
  url: string;
  /** Null: the first one that `renew` brings starts it. */
  token: string | null;
  on: ConnectionListener;
  makeSocket?: (url: string) => Socket;
  now?: () => number;
  random?: () => number;
}

type Timer = ReturnType<typeof setTimeout>;

const OPEN = 1;

export class Connection {
  state: ConnectionState = "stopped";
  /** When the next attempt begins, where one is planned. */
  retryAt: number | null = null;
  /** The token that the socket has been shown. */
  shown: string | null = null;
  readonly #url: string;
  readonly #on: ConnectionListener;
  readonly #makeSocket: (url: string) => Socket;
  readonly #now: () => number;
  readonly #random: () => number;
  #token: string | null;
  #socket: Socket | null = null;
  #attempt = 0;
  #heartbeatMs = 30_000;
  #startedAt = 0;
  #heardAt = 0;
  #pingedAt: number | null = null;
  #pingDeadline: number | null = null;
  #retry: Timer | undefined;
  #watch: Timer | undefined;
  /** What `going_away` asked for. */
  #reconnectAfterMs: number | null = null;

  constructor({ url, token, on, makeSocket, now = Date.now, random = Math.random }: ConnectionOptions) {
    this.#url = url;
    this.#token = token;
    this.#on = on;
    this.#makeSocket = makeSocket ?? ((address) => new WebSocket(address));
    this.#now = now;
    this.#random = random;
  }

  start(): void {
    if (this.#token === null) return; // the first one starts it
    this.#drop();
    this.#enter("connecting");
    const socket = this.#makeSocket(this.#url);
    this.#socket = socket;
    this.#startedAt = this.#heardAt = this.#now();
    this.#pingedAt = this.#pingDeadline = null;
    // The token goes in a frame: an address would end up in logs.
    socket.onopen = () => this.#show();
    socket.onmessage = (event) => this.#heard(event.data);
    socket.onclose = (event) => this.#lost(event.code);
    this.#watch = setInterval(() => this.#watchSilence(), WATCH_EVERY_MS);
  }

  send(frame: ClientFrame): void {
    if (this.#socket?.readyState === OPEN) this.#socket.send(JSON.stringify(frame));
  }

  /** A newer token, for this socket and those to come. */
  renew(token: string): void {
    const isFirst = this.#token === null;
    this.#token = token;
    if (isFirst || this.state === "waiting") this.start();
    else if (this.state === "live") this.#show();
  }

  stop(): void {
    this.#drop();
    this.#enter("stopped");
  }

  /** The network or the tab is back: find out now, not at the next heartbeat. */
  check(): void {
    if (this.state === "waiting") this.start();
    else if (this.state === "live" && this.#pingDeadline === null) {
      this.send({ type: "ping" });
      this.#pingDeadline = this.#now() + WAKE_PING_MS;
    }
  }

  /** Does what is due, for a page whose timers sleep. */
  tick(): void {
    if (this.retryAt !== null && this.#now() >= this.retryAt) this.start();
    else if (this.#socket) this.#watchSilence();
  }

  /** Leaves this socket for a new one, after the usual pause. */
  restart(): void {
    this.#lost(1006);
  }

  #show(): void {
    if (this.#token === null) return;
    this.shown = this.#token;
    this.send({ type: "auth", token: this.#token });
  }

  #heard(text: unknown): void {
    this.#heardAt = this.#now();
    // What was on its way before the ping doesn't answer it: only the wait begins anew.
    if (this.#pingDeadline !== null) this.#pingDeadline = this.#heardAt + WAKE_PING_MS;
    const frame = parsed(text);
    if (!frame) return; // one broken frame must not end the page
    if (frame.type === "pong") this.#pingDeadline = null;
    if (frame.type === "ready") {
      this.#attempt = 0;
      this.#reconnectAfterMs = null;
      this.#heartbeatMs = within(Number(frame.heartbeat_s ?? 30) * 1_000, HEARTBEAT_MS_MIN, HEARTBEAT_MS_MAX);
      this.#enter("live");
      if (this.shown !== this.#token) this.#show(); // it came while the older one was judged
    } else if (frame.type === "going_away" && frame.reconnect_after_ms !== undefined) {
      this.#reconnectAfterMs = within(Number(frame.reconnect_after_ms), 0, GOING_AWAY_MS_MAX);
    }
    this.#on.frame(frame);
  }

  #watchSilence(): void {
    const now = this.#now();
    if (this.state === "connecting") {
      if (now - this.#startedAt > READY_MS_MAX) this.restart();
      return;
    }
    if (this.#pingDeadline !== null && now > this.#pingDeadline) return void this.restart();
    const silence = { now, heardAt: this.#heardAt, pingedAt: this.#pingedAt, heartbeatMs: this.#heartbeatMs };
    const action = heartbeatAction(silence);
    if (action === "ping") {
      this.#pingedAt = now;
      this.send({ type: "ping" });
    } else if (action === "dead") {
      this.restart();
    }
  }

  #lost(code: number): void {
    this.#drop();
    if (!(this.#on.closed(code) ?? invitesReconnect(code))) return void this.#enter("stopped");
    const wait_ms = this.#reconnectAfterMs ?? reconnectDelay(this.#attempt++, this.#random);
    this.#reconnectAfterMs = null;
    this.retryAt = this.#now() + wait_ms;
    this.#retry = setTimeout(() => this.start(), wait_ms);
    this.#enter("waiting");
  }

  #drop(): void {
    clearTimeout(this.#retry);
    clearInterval(this.#watch);
    this.retryAt = null;
    const socket = this.#socket;
    if (!socket) return;
    this.#socket = null;
    // Nothing that an abandoned socket still says may reach the state of the next one.
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #enter(state: ConnectionState): void {
    this.state = state;
    this.#on.state(state);
  }
}

function parsed(text: unknown): Record<string, unknown> | null {
  try {
    const frame: unknown = JSON.parse(String(text));
    return typeof frame === "object" && frame !== null ? (frame as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

/** The value, or where it isn't a number or out of range the nearest bound. */
const within = (value: number, low: number, high: number): number =>
  Math.min(high, Math.max(low, value || 0));
