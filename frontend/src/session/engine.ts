// What runs for a log-in in this tab: the state machine, its line to the server, the tokens, and what is kept.

import type { Tokens, User, UserSummary } from "../protocol/types.ts";
import type { Effect } from "../realtime/effects.ts";
import { Keeper } from "../realtime/keeper.ts";
import { Connection, type ConnectionState, invitesReconnect } from "../realtime/socket.ts";
import { SyncClient } from "../realtime/sync.ts";
import { Drafts } from "./drafts.ts";
import { Going } from "./going.ts";
import { type Api, connectApi, Problem } from "./http.ts";
import { OutboxStore } from "./outboxStore.ts";
import { inTurn, refresh } from "./refresh.ts";
import { answerTo } from "./requests.ts";
import type { EndReason } from "./session.ts";
import { uuid } from "./uuid.ts";

const HIDDEN_NOTIFY_MS = 100; // a hidden tab gets no frame

/** How the line to the server is. Never changed: a change makes another one. */
export interface Line {
  readonly state: ConnectionState;
  /** The moment of the next try, where one is planned. */
  readonly nextTryAt: number | null;
  /** The close code after which nothing is tried by itself. */
  readonly stoppedBy: number | null;
  /** Since when it isn't live. */
  readonly downSince: number | null;
}

/** What the state machine tells beside its state. */
export type Told = Extract<
  Effect,
  { do: "arrived" } | { do: "forgot" } | { do: "refused" } | { do: "unsent" }
>;

const wordsIn = (problem: unknown): string => (problem instanceof Problem ? problem.message : "");

interface EngineEvents {
  /** `detail`: the server's own words. */
  ended(reason: EndReason, detail: string): void;
  /** Somebody else has logged in, in another tab. */
  changedUser(): void;
}

export class Engine {
  me: User | UserSummary;
  readonly api: Api;
  readonly client: SyncClient;
  readonly drafts: Drafts;
  readonly going: Going;
  line: Line = { state: "connecting", nextTryAt: null, stoppedBy: null, downSince: Date.now() };
  /** What is being done here that ends the log-in. */
  leaving: EndReason | null = null;

  readonly #on: EngineEvents;
  readonly #keeper: Keeper;
  readonly #connection: Connection;
  readonly #outbox: OutboxStore;
  readonly #listeners = new Set<() => void>();
  readonly #toldTo = new Set<(told: Told) => void>();
  #isNotifying = false;
  #isStopped = false;
  #hasWondered = false;

  constructor(me: UserSummary, on: EngineEvents) {
    this.me = me;
    this.#on = on;
    this.#outbox = new OutboxStore(me.id);
    this.client = new SyncClient({ userId: me.id, outbox: this.#outbox.items() });
    this.drafts = new Drafts(me.id, () => this.#changed());
    this.going = new Going({
      changed: () => this.#changed(),
      due: (roomId, seq) =>
        this.act((client, now) => client.change({ type: "delete", room_id: roomId, seq }, now)),
    });
    this.#keeper = new Keeper({
      exchange: () => inTurn(refresh),
      on: {
        fresh: (tokens) => this.#renewed(tokens),
        // Without any token yet there is no socket that could tell.
        waiting: () => this.#keeper.token === null && this.#lineIs("waiting"),
        ended: (reason, problem) => this.#end(reason === "forbidden" ? "refused" : "over", wordsIn(problem)),
      },
    });
    this.api = connectApi({
      token: async () => this.#keeper.token ?? this.#keeper.newerThan(null),
      newerThan: (spent) => this.#keeper.newerThan(spent),
      ended: (reason) => this.#end(reason),
    });
    const url = new URL("/ws", location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    this.#connection = new Connection({
      url: url.href,
      token: null,
      on: {
        state: (state) => this.#lineIs(state),
        frame: (frame) => this.act((client, now) => client.receive(frame, now)),
        closed: (code) => this.#closed(code),
      },
    });
  }

  // ---- the life of it

  /** Begins with these tokens, or with those that the cookie gets. */
  start(tokens: Tokens | null): void {
    addEventListener("online", this.#onOnline);
    addEventListener("offline", this.#wake);
    document.addEventListener("visibilitychange", this.#wake);
    addEventListener("pagehide", this.#leavePage);
    addEventListener("pageshow", this.#wake);
    this.#outbox.watch((id) => this.act((client, now) => client.discard(id, now)));
    if (tokens === null) this.#keeper.wake();
    else {
      this.#keeper.hold(tokens);
      this.#renewed(tokens);
    }
  }

  /** Ends it in this tab. `forget`: also what was kept of it. */
  stop({ forget }: { forget: boolean }): void {
    this.#isStopped = true;
    removeEventListener("online", this.#onOnline);
    removeEventListener("offline", this.#wake);
    document.removeEventListener("visibilitychange", this.#wake);
    removeEventListener("pagehide", this.#leavePage);
    removeEventListener("pageshow", this.#wake);
    this.#keeper.stop();
    this.#connection.stop();
    this.drafts.stop({ forget });
    this.#outbox.stop({ forget });
  }

  get heldToken(): string | null {
    return this.#keeper.token;
  }

  /** Tries now, where it would be waited. */
  reconnect(): void {
    this.#keeper.wake();
    this.#connection.start();
  }

  /** The tab, the page or the network is back: find out now what became of the log-in and of the line. */
  readonly #wake = (): void => {
    if (document.hidden) return this.drafts.flush();
    this.#keeper.wake();
    this.#connection.check();
    this.#changed();
  };

  /** There is a network again. A line from before may be dead without a word, and to find that out takes longer than a new one. */
  readonly #onOnline = (): void => {
    this.#keeper.wake();
    const { state } = this.line;
    if (state === "live") this.act((client) => client.disconnected());
    if (state === "live" || state === "waiting") this.#connection.start();
  };

  readonly #leavePage = (): void => {
    this.going.flush();
    this.drafts.flush();
  };

  #end(reason: EndReason, detail = ""): void {
    if (!this.#isStopped) this.#on.ended(this.leaving ?? reason, detail);
  }

  // ---- the line

  #renewed(tokens: Tokens): void {
    if (tokens.user.id !== this.me.id) return this.#on.changedUser();
    this.setMe(tokens.user);
    this.#connection.renew(tokens.access_token);
  }

  #lineIs(state: ConnectionState): void {
    const { downSince, stoppedBy } = this.line;
    if (state === "live") this.#keeper.trust();
    this.line = {
      state,
      nextTryAt: state === "waiting" ? this.#connection.retryAt : null,
      stoppedBy: state === "stopped" ? stoppedBy : null,
      downSince: state === "live" ? null : (downSince ?? Date.now()),
    };
    this.#changed();
  }

  /** What a close code means for the log-in: false stops, true goes on. */
  #closed(code: number): boolean | undefined {
    this.act((client) => client.disconnected());
    const { shown } = this.#connection;
    // No socket has opened: a refresh is told why, a socket isn't.
    if (shown === null && !this.#hasWondered) {
      this.#hasWondered = true;
      this.#keeper.newerThan(this.#keeper.token).catch(() => {});
    }
    if (code === 4004) this.#keeper.newerThan(shown).catch(() => {});
    if (code === 4500 && this.#keeper.doubt(shown)) return true;
    const ends: Record<number, EndReason> = { 4500: "unknown", 4501: "revoked", 4502: "disabled" };
    const reason = ends[code];
    if (reason) {
      setTimeout(() => this.#end(reason)); // after the connection has finished its own step
      return false;
    }
    if (!invitesReconnect(code)) this.line = { ...this.line, stoppedBy: code };
    return undefined;
  }

  // ---- the state machine

  /** Does something with the state machine, and what follows from it. */
  act(how: (client: SyncClient, now: number) => readonly Effect[]): void {
    if (this.#isStopped) return;
    const { version } = this.client;
    for (const effect of how(this.client, Date.now())) this.#carryOut(effect);
    if (this.client.version !== version) this.#changed();
  }

  #carryOut(effect: Effect): void {
    switch (effect.do) {
      case "send":
        return this.#connection.send(effect.frame);
      case "wake":
        setTimeout(() => this.act((client, now) => client.wake(now)), effect.in_ms);
        return;
      case "reconnect":
        return this.#connection.restart();
      case "save":
        return this.#outbox.save(effect.item);
      case "erase":
        return this.#outbox.erase(effect.id);
      case "arrived":
      case "forgot":
      case "refused":
      case "unsent":
        for (const tell of this.#toldTo) tell(effect);
        return;
      default: {
        const in_ms = "in_ms" in effect.request ? effect.request.in_ms : 0;
        setTimeout(async () => {
          const body = this.#isStopped ? null : await answerTo(this.api, effect).catch(() => null); // the machine is told
          this.act((client) => client.loaded(effect.do, effect.request, body));
        }, in_ms);
      }
    }
  }

  // ---- what the page does

  setMe(user: User): void {
    this.me = user;
    this.#changed();
  }

  /** Says it in a room; false: too much is waiting to be sent. */
  say(roomId: number, content: string, replyTo?: number): boolean {
    const item = {
      id: uuid(),
      roomId,
      content,
      createdAt: new Date().toISOString(),
      order: this.#outbox.next(),
      ...(replyTo !== undefined && { replyTo }),
    };
    let isTaken = true;
    this.act((client, now) => {
      const effects = client.enqueue(item, now);
      isTaken = effects !== false;
      return effects || [];
    });
    return isTaken;
  }

  retry(id: string): void {
    this.act((client, now) => client.retry(id, this.#outbox.next(), now));
  }

  discard(id: string): void {
    this.act((client, now) => client.discard(id, now));
  }

  deleteSoon(roomId: number, seq: number): void {
    this.going.add(roomId, seq);
  }

  undoDeletion(roomId: number, seq: number): void {
    this.going.undo(roomId, seq);
  }

  isGoing(roomId: number, seq: number): boolean {
    return this.going.has(roomId, seq);
  }

  /** How many messages are not sent yet. */
  unsent(): number {
    return this.client.outbox.items.filter(({ state }) => state !== "stored").length;
  }

  // ---- who looks at it

  /** Tells of changes, at most once a frame. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  onTold(tell: (told: Told) => void): () => void {
    this.#toldTo.add(tell);
    return () => this.#toldTo.delete(tell);
  }

  #changed(): void {
    if (this.#isNotifying) return;
    this.#isNotifying = true;
    const show = (): void => {
      cancelAnimationFrame(frame);
      clearTimeout(timer);
      this.#isNotifying = false;
      for (const listener of this.#listeners) listener();
    };
    const frame = requestAnimationFrame(show);
    const timer = setTimeout(show, HIDDEN_NOTIFY_MS);
  }
}
