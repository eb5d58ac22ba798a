// One socket per browser. A lock elects the tab that leads and has the socket; a channel relays between the tabs.
//
// What comes on the socket goes to all tabs, and what they send goes out on it. A tab that comes gets a snapshot of what
// the leader knows, and from there on hears the same frames; so does each tab after a reconnect. Each socket is a `line`
// with a name of its own, and what belongs to another line than the present one is dropped. Visible tabs ping the leader,
// and rob it when it doesn't answer; the pings also drive its socket, for a hidden tab's own timers sleep.
//
// Where there are no locks or no channels (plain http on a LAN address) each tab leads itself.

import type { ClientFrame, RoomId, Tokens } from "../protocol/types.ts";
import type { Channel, Command, LineState, Message, OutboxEvent } from "./channel.ts";
import type { Snapshot } from "./delivery.ts";
import { Election, type Locks } from "./election.ts";
import type { Connection, ConnectionListener, ConnectionState } from "./socket.ts";

const PING_EVERY_MS = 500;
/** So many pings without an answer by the time of the next one, after 2.5 s, and the leader is robbed. */
const PINGS_MAX = 4;
/** How long a tab that begins waits for the leader's word. */
const WELCOME_MS_MAX = 1_000;
/** Tokens that end sooner are of no use to another tab. */
const TOKEN_S_MIN = 5;
/** Frames that concern the socket alone. */
const OF_SOCKET: ReadonlySet<unknown> = new Set(["ready", "pong", "going_away", "close"]);

export interface TabsListener {
  /** This tab leads now, or doesn't any more: `SyncClient.setActive`. */
  leads(leads: boolean): void;
  line(line: LineState): void;
  /** The line is dead: `SyncClient.disconnected`. */
  down(): void;
  /** For `SyncClient.receive`, `follow` and `asked`. */
  frame(frame: object): void;
  snapshot(snapshot: Snapshot): void;
  asked(ref: string, rooms: readonly RoomId[]): void;
  /** In the tab that leads: as `ConnectionListener.closed`. */
  closed(code: number): boolean | undefined;
  /** Another tab has newer tokens, which the line has been given already. */
  renewed(tokens: Tokens): void;
  outbox(event: OutboxEvent): void;
}

export interface TabsOptions {
  /** This tab's own name, which its refs begin with: `SyncClient.tab`. */
  tab: string;
  /** Of the lock and the channel: another one for each user. */
  name: string;
  /** Makes the socket of a tab that leads, without a token; it begins when it is given one. */
  connect(on: ConnectionListener): Connection;
  /** `SyncClient.snapshot`. */
  snapshot(): Snapshot | null;
  on: TabsListener;
  locks?: Locks | undefined;
  makeChannel?: ((name: string) => Channel) | undefined;
  now?: () => number;
}

export class Tabs {
  readonly #tab: string;
  readonly #options: TabsOptions;
  readonly #on: TabsListener;
  readonly #now: () => number;
  #channel: Channel | null = null;
  #election: Election | null = null;
  /** The socket, in the tab that leads. */
  #connection: Connection | null = null;
  #line = "";
  #lineCount = 0;
  #is: LineState = { state: "connecting", retryAt: null, code: null };
  /** The client is up to date with the line: it has had `ready`, or a snapshot. */
  #isUp = false;
  /** In the tab that leads: `ready` has come, and the others haven't been told what followed from it. */
  #isOwing = false;
  #tokens: { tokens: Tokens; at: number } | null = null;
  #isVisible = true;
  #pinging: ReturnType<typeof setInterval> | undefined;
  #unanswered = 0;
  #welcomed: () => void = () => {};

  constructor(options: TabsOptions) {
    this.#options = options;
    this.#tab = options.tab;
    this.#on = options.on;
    this.#now = options.now ?? Date.now;
  }

  /** Ends when this tab leads, or has heard of the leader; or when nobody has answered for a second. */
  start(): Promise<void> {
    const { locks, makeChannel, name } = this.#options;
    if (!locks || !makeChannel) {
      this.#won();
      return Promise.resolve();
    }
    try {
      this.#channel = makeChannel(name);
    } catch {
      this.#won(); // there may be none where storage is forbidden
      return Promise.resolve();
    }
    this.#channel.onmessage = ({ data }) => this.#told(data as Message);
    this.#election = new Election(locks, name, { won: () => this.#won(), lost: () => this.#lost() });
    this.#election.queue();
    this.#tell({ type: "hello", from: this.#tab });
    this.#ping();
    return new Promise((resolve) => {
      const deadline = setTimeout(resolve, WELCOME_MS_MAX);
      this.#welcomed = () => {
        clearTimeout(deadline);
        resolve();
      };
    });
  }

  stop(): void {
    clearInterval(this.#pinging);
    const connection = this.#connection;
    this.#connection = null;
    connection?.stop();
    this.#election?.stop();
    this.#channel?.close();
    this.#channel = null;
  }

  get leads(): boolean {
    return this.#connection !== null;
  }

  /** The token that the socket has been shown, in the tab that leads. */
  get shown(): string | null {
    return this.#connection?.shown ?? null;
  }

  // ---- what the page does

  send(frame: ClientFrame): void {
    const { leads } = this;
    if (leads) this.#sendFor(this.#tab, frame);
    else if (this.#isUp) this.#tell({ type: "send", line: this.#line, from: this.#tab, frame });
  }

  /** As `Connection.start`, `check` and `restart`, wherever the socket is. */
  command(command: Command): void {
    if (this.#connection) this.#connection[command]();
    else this.#tell({ type: "command", command });
  }

  /** This tab has got newer tokens. */
  renew(tokens: Tokens): void {
    this.#hold(tokens);
    this.#tell({ type: "renewed", to: null, tokens });
  }

  tell(event: OutboxEvent): void {
    this.#tell({ type: "outbox", event });
  }

  /** Whether the page can be seen. */
  show(isVisible: boolean): void {
    this.#isVisible = isVisible;
    this.#ping();
  }

  // ---- who leads

  #won(): void {
    this.#fall();
    const isMine = (): boolean => this.#connection === connection;
    const connection = this.#options.connect({
      state: (state) => isMine() && this.#lineIs(connection, state),
      frame: (frame) => isMine() && this.#heard(frame),
      closed: (code) => {
        if (!isMine()) return false;
        this.#is = { ...this.#is, code };
        return this.#on.closed(code);
      },
    });
    this.#connection = connection;
    this.#is = { state: "connecting", retryAt: null, code: null };
    this.#nextLine();
    this.#on.leads(true);
    this.#on.line(this.#is);
    this.#tell({ type: "state", line: this.#line, is: this.#is });
    if (this.#tokens) connection.renew(this.#tokens.tokens.access_token);
    this.#welcomed();
  }

  /** Another tab has robbed this one: it hung, or slept. */
  #lost(): void {
    const connection = this.#connection;
    this.#connection = null; // so that nothing more of it is told
    connection?.stop();
    this.#fall();
    this.#on.leads(false);
    this.#tell({ type: "hello", from: this.#tab });
    this.#ping();
  }

  /** A visible tab that doesn't lead sees to it that one does. */
  #ping(): void {
    clearInterval(this.#pinging);
    this.#unanswered = 0;
    if (!this.#channel || this.leads || !this.#isVisible) return;
    const ping = (): void => {
      if (this.leads) return clearInterval(this.#pinging);
      if (this.#unanswered >= PINGS_MAX) {
        this.#unanswered = 0;
        this.#election?.steal();
      } else {
        this.#unanswered += 1;
        this.#tell({ type: "ping" });
      }
    };
    this.#pinging = setInterval(ping, PING_EVERY_MS);
    this.#tell({ type: "ping" });
  }

  // ---- the line, in the tab that leads

  #nextLine(): void {
    this.#lineCount += 1;
    this.#line = `${this.#tab}/${this.#lineCount}`;
  }

  #lineIs(connection: Connection, state: ConnectionState): void {
    this.#is = { state, retryAt: connection.retryAt, code: state === "live" ? null : this.#is.code };
    if (state === "live") {
      this.#isUp = this.#isOwing = true; // the others are told with the snapshot
    } else {
      this.#fall();
      if (state === "connecting") this.#nextLine();
      this.#tell({ type: "state", line: this.#line, is: this.#is });
    }
    this.#on.line(this.#is);
  }

  #heard(frame: object): void {
    this.#on.frame(frame);
    if (!this.#channel || !this.#isUp) return;
    if (this.#isOwing) {
      const snapshot = this.#options.snapshot();
      if (!snapshot) return; // some of the rooms are still to come
      this.#isOwing = false;
      this.#tell({ type: "snapshot", line: this.#line, to: null, snapshot });
      this.#tell({ type: "state", line: this.#line, is: this.#is });
      return;
    }
    const { type, ref } = frame as { type?: unknown; ref?: unknown };
    if (OF_SOCKET.has(type)) return;
    const to = type === "ack" && typeof ref === "string" ? ref.slice(0, ref.indexOf("/")) : null;
    if (to !== this.#tab) this.#tell({ type: "heard", line: this.#line, to, frame });
  }

  #sendFor(by: string, frame: ClientFrame): void {
    if (!this.#isUp) return; // the tab will ask again on the next line
    this.#connection?.send(frame);
    const { ref } = frame;
    if (typeof ref !== "string" || (frame.type !== "sync" && frame.type !== "join")) return;
    const rooms = frame.type === "join" ? [frame.room_id] : Object.keys(frame.rooms ?? {}).map(Number);
    if (by !== this.#tab) this.#on.asked(ref, rooms);
    this.#tell({ type: "asked", line: this.#line, by, ref, rooms });
  }

  // ---- what other tabs tell

  #told(message: Message): void {
    switch (message.type) {
      case "renewed":
        if (!this.#isFor(message.to)) return;
        this.#hold(message.tokens);
        this.#on.renewed(message.tokens);
        break;
      case "outbox":
        this.#on.outbox(message.event);
        break;
      default:
        if (this.leads) this.#asked(message);
        else this.#follow(message);
    }
  }

  /** In the tab that leads. */
  #asked(message: Message): void {
    switch (message.type) {
      case "hello":
        this.#welcome(message.from);
        break;
      case "ping":
        this.#connection?.tick();
        this.#tell({ type: "beat", line: this.#line });
        break;
      case "send":
        if (message.line === this.#line) this.#sendFor(message.from, message.frame);
        break;
      case "command":
        this.#connection?.[message.command]();
        break;
    }
  }

  #welcome(to: string): void {
    const held = this.#tokens;
    const expires_in = held ? held.tokens.expires_in - (this.#now() - held.at) / 1_000 : 0;
    if (held && expires_in > TOKEN_S_MIN)
      this.#tell({ type: "renewed", to, tokens: { ...held.tokens, expires_in } });
    const snapshot = this.#isUp && !this.#isOwing ? this.#options.snapshot() : null;
    if (snapshot) this.#tell({ type: "snapshot", line: this.#line, to, snapshot });
    // All hear it: one that follows a leader that has been robbed finds back by it.
    this.#tell({ type: "state", line: this.#line, is: this.#is });
  }

  /** In a tab that doesn't lead. */
  #follow(message: Message): void {
    if (!("line" in message) || message.type === "send") return;
    const isNews = message.line !== this.#line;
    if (!isNews) this.#unanswered = 0;
    switch (message.type) {
      case "beat":
        if (isNews) this.#tell({ type: "hello", from: this.#tab });
        break;
      case "state":
        this.#join(message.line);
        this.#is = message.is;
        if (this.#is.state !== "live") this.#fall();
        else if (isNews) this.#tell({ type: "hello", from: this.#tab });
        this.#on.line(this.#is);
        this.#welcomed();
        break;
      case "snapshot":
        if (!this.#isFor(message.to)) return;
        this.#join(message.line);
        this.#isUp = true;
        this.#on.snapshot(message.snapshot);
        break;
      case "heard":
        if (this.#isUp && !isNews && this.#isFor(message.to)) this.#on.frame(message.frame);
        break;
      case "asked":
        if (this.#isUp && !isNews && message.by !== this.#tab) this.#on.asked(message.ref, message.rooms);
        break;
    }
  }

  #join(line: string): void {
    if (line === this.#line) return;
    this.#fall();
    this.#line = line;
    this.#unanswered = 0;
  }

  // ---- small tools

  #fall(): void {
    this.#isOwing = false;
    if (!this.#isUp) return;
    this.#isUp = false;
    this.#on.down();
  }

  #hold(tokens: Tokens): void {
    this.#tokens = { tokens, at: this.#now() };
    this.#connection?.renew(tokens.access_token);
  }

  #isFor(to: string | null): boolean {
    return to === null || to === this.#tab;
  }

  #tell(message: Message): void {
    this.#channel?.postMessage(message);
  }
}
