// One socket to the server, kept alive: heartbeat, reconnects, and the reasons for giving up. It knows no rooms.

const RECONNECT_MS_MIN = 500;
const RECONNECT_MS_MAX = 30_000;
const READY_MS_MAX = 15_000;
const WAKE_PING_MS = 4_000;

/** Full jitter: a server that comes back must not meet all its clients in the same moment. */
export function reconnectDelay(attempt, random = Math.random) {
  const ceiling = Math.min(RECONNECT_MS_MAX, RECONNECT_MS_MIN * 2 ** (attempt + 1));
  return RECONNECT_MS_MIN + random() * (ceiling - RECONNECT_MS_MIN);
}

/**
 * What silence asks for: "ping", "dead" or null. A connection is given up only when a ping, too, stayed unanswered for
 * a whole heartbeat: a background tab's timers may sleep past 2 x heartbeat while the line is fine.
 */
export function heartbeatAction({ now, heardAt, pingedAt, heartbeatMs }) {
  if (now - heardAt < heartbeatMs) return null;
  if (pingedAt === null || pingedAt < heardAt) return "ping";
  return now - heardAt >= 2 * heartbeatMs && now - pingedAt >= heartbeatMs ? "dead" : null;
}

/** Codes from 4500 on say that the same attempt would end the same way. */
export const invitesReconnect = (code) => !(code >= 4500 && code <= 4999);

/**
 * `on` is told: state("connecting" | "live" | "waiting" | "stopped"), frame(frame), closed(code), which may answer
 * false to stop, or true to go on where the code alone would stop it.
 */
export class Connection {
  constructor({ url, token, on, makeSocket = (address) => new WebSocket(address), now = Date.now }) {
    Object.assign(this, { url, token, on, makeSocket, now });
    this.attempt = 0;
    this.heartbeatMs = 30_000;
    this.state = "stopped";
    this.socket = null;
    this.shown = null; // the token that the socket has been shown
    this.timer = null;
    this.reconnectAfterMs = null; // what `going_away` asked for
  }

  start() {
    if (this.token === null) return; // the first one starts it
    clearTimeout(this.timer);
    this.#drop();
    this.#enter("connecting");
    const socket = this.makeSocket(this.url);
    this.socket = socket;
    this.startedAt = this.heardAt = this.now();
    this.pingedAt = this.pingDeadline = null;
    // The token goes in a frame: an address would end up in logs.
    socket.onopen = () => this.#show();
    socket.onmessage = (event) => this.#heard(event.data);
    socket.onclose = (event) => this.#lost(event.code);
    this.watch = setInterval(() => this.#watchSilence(), 1_000);
  }

  send(frame) {
    if (this.socket?.readyState === 1) this.socket.send(JSON.stringify(frame));
  }

  /** A newer token, for this socket and those to come. */
  renew(token) {
    const isFirst = this.token === null;
    this.token = token;
    if (isFirst || this.state === "waiting") this.start();
    else if (this.state === "live") this.#show();
  }

  stop() {
    clearTimeout(this.timer);
    this.#drop();
    this.#enter("stopped");
  }

  /** The network or the tab is back: find out now, not at the next heartbeat. */
  check() {
    if (this.state === "waiting") this.start();
    else if (this.state === "live" && this.pingDeadline === null) {
      this.send({ type: "ping" });
      this.pingDeadline = this.now() + WAKE_PING_MS;
    }
  }

  /** Leaves this socket for a new one, after the usual pause. */
  restart() {
    this.#lost(1006);
  }

  #show() {
    this.shown = this.token;
    this.send({ type: "auth", token: this.token });
  }

  #heard(text) {
    this.heardAt = this.now();
    // What was on its way before the ping doesn't answer it: only the wait begins anew.
    if (this.pingDeadline !== null) this.pingDeadline = this.heardAt + WAKE_PING_MS;
    let frame;
    try {
      frame = JSON.parse(text);
    } catch {
      return; // one broken frame must not end the page
    }
    if (frame.type === "pong") this.pingDeadline = null;
    if (frame.type === "ready") {
      this.attempt = 0;
      this.reconnectAfterMs = null;
      this.heartbeatMs = (frame.heartbeat_s ?? 30) * 1_000;
      this.#enter("live");
      if (this.shown !== this.token) this.#show(); // it came while the older one was judged
    } else if (frame.type === "going_away") {
      this.reconnectAfterMs = frame.reconnect_after_ms ?? null;
    }
    this.on.frame(frame);
  }

  #watchSilence() {
    const now = this.now();
    if (this.state === "connecting") {
      if (now - this.startedAt > READY_MS_MAX) this.restart();
      return;
    }
    if (this.pingDeadline !== null && now > this.pingDeadline) return this.restart();
    const { heardAt, pingedAt, heartbeatMs } = this;
    const action = heartbeatAction({ now, heardAt, pingedAt, heartbeatMs });
    if (action === "ping") {
      this.pingedAt = now;
      this.send({ type: "ping" });
    } else if (action === "dead") {
      this.restart();
    }
  }

  #lost(code) {
    this.#drop();
    if (!(this.on.closed(code) ?? invitesReconnect(code))) return this.#enter("stopped");
    const wait_ms = this.reconnectAfterMs ?? reconnectDelay(this.attempt++);
    this.reconnectAfterMs = null;
    this.timer = setTimeout(() => this.start(), wait_ms);
    this.#enter("waiting");
  }

  #drop() {
    clearInterval(this.watch);
    const socket = this.socket;
    if (!socket) return;
    this.socket = null;
    // Nothing that an abandoned socket still says may reach the state of the next one.
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #enter(state) {
    this.state = state;
    this.on.state(state);
  }
}
