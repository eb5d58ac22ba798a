// What runs for a session in this tab: the state machine, the line to the server that all tabs share, the tokens, and what
// is kept.

import { spelled, spelledNow } from "../markdown/spelling.ts";
import type { Tokens, User } from "../protocol/types.ts";
import { Cache } from "../realtime/cache.ts";
import { OTHER_LOG } from "../realtime/changes.ts";
import type { LineState, OutboxEvent } from "../realtime/channel.ts";
import type { Effect, SavedItem } from "../realtime/effects.ts";
import { Keeper } from "../realtime/keeper.ts";
import { settledBy } from "../realtime/outbox.ts";
import { Connection, type ConnectionState } from "../realtime/socket.ts";
import { SyncClient } from "../realtime/sync.ts";
import { Tabs } from "../realtime/tabs.ts";
import { Drafts } from "./drafts.ts";
import { Going } from "./going.ts";
import { type Api, bodyOf, connectApi, Problem } from "./http.ts";
import { type Account, accountOf, type EndReason } from "./marks.ts";
import { PendingChanges } from "./pendingChanges.ts";
import { leaveOwnPrefs, takeUpOwnPrefs } from "./prefs.ts";
import { inTurn, refresh } from "./refresh.ts";
import { answerTo } from "./requests.ts";
import { Saving } from "./saving.ts";
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
  | { do: "arrived" }
  | { do: "changed" }
  | { do: "forgot" }
  | { do: "refused" }
  | { do: "unsent" }
  | { do: "stranded" }
>;

const wordsIn = (problem: unknown): string => (problem instanceof Problem ? problem.message : "");

interface EngineEvents {
  /** `detail`: the server's own words. */
  ended(reason: EndReason, detail: string): void;
  /** Somebody else has logged in, in another tab. */
  changedUser(): void;
}

export class Engine {
  me: User | Account;
  readonly api: Api;
  readonly client: SyncClient;
  readonly drafts: Drafts;
  readonly going: Going;
  line: Line = { state: "connecting", nextTryAt: null, stoppedBy: null, downSince: Date.now() };
  /** What is being done here that ends the session. */
  leaving: EndReason | null = null;
  /** Whether this browser keeps through a reload what is not sent. */
  keeps = true;

  readonly #on: EngineEvents;
  readonly #keeper: Keeper;
  readonly #tabs: Tabs;
  readonly #cache: Cache;
  readonly #saving: Saving;
  readonly #pendingChanges: PendingChanges;
  readonly #listeners = new Set<() => void>();
  readonly #toldTo = new Set<(told: Told) => void>();
  /** What there was to tell before the page listened. */
  #untold: Told[] = [];
  #isNotifying = false;
  #isStopped = false;
  #hasWondered = false;
  /** This tab leads, or has heard of the one that does. */
  #found: Promise<void> = Promise.resolve();
  /** The newest tokens that another tab has got. */
  #theirs: Tokens | null = null;

  constructor(me: Account, on: EngineEvents) {
    this.me = me;
    this.#on = on;
    this.client = new SyncClient({ userId: me.id });
    this.client.setActive(false, 0); // until this tab leads
    const account = accountOf(me);
    this.#cache = new Cache({ account, failed: () => this.#keepsNothing() });
    this.#saving = new Saving(this.client, this.#cache, () => this.#tabs.leads);
    this.#pendingChanges = new PendingChanges(account);
    takeUpOwnPrefs(account);
    this.drafts = new Drafts(
      account,
      () => this.#changed(),
      (roomId) => this.client.room(roomId)?.info.created_at,
    );
    this.going = new Going({
      changed: () => this.#changed(),
      due: (roomId, seq) =>
        this.act((client, now) => client.change({ type: "delete", room_id: roomId, seq }, now)),
    });
    this.#keeper = new Keeper({
      exchange: () => this.#exchange(),
      on: {
        fresh: ({ user }) => this.#isStill(user),
        // Without any token yet there is no socket that could tell.
        waiting: () =>
          this.#keeper.token === null &&
          this.#tabs.leads &&
          this.#lineIs({ state: "waiting", retryAt: null, code: null }),
        ended: (reason, problem) => this.#end(reason === "forbidden" ? "refused" : "over", wordsIn(problem)),
      },
    });
    this.api = connectApi({
      token: async () => this.#keeper.token ?? this.#keeper.newerThan(null),
      newerThan: (spent) => this.#keeper.newerThan(spent),
      ended: (reason) => this.#end(reason),
    });
    this.#tabs = this.#shareLine();
  }

  /** One line for all tabs of this browser, where it has locks and channels. */
  #shareLine(): Tabs {
    const url = new URL("/ws", location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    return new Tabs({
      tab: this.client.tab,
      name: `hearth.${accountOf(this.me)}`,
      connect: (on) => new Connection({ url: url.href, token: null, on }),
      snapshot: () => this.client.snapshot(),
      locks: (navigator as { locks?: LockManager }).locks,
      makeChannel: (name) => new BroadcastChannel(name),
      on: {
        leads: (leads) => {
          this.act((client, now) => client.setActive(leads, now));
          if (leads) this.#takeUpPendingChanges();
        },
        line: (line) => this.#lineIs(line),
        down: () => this.act((client) => client.disconnected()),
        frame: (frame) => this.act((client, now) => client.receive(frame, now)),
        snapshot: (snapshot) => this.act((client, now) => client.follow(snapshot, now)),
        asked: (ref, rooms) => this.act((client) => client.asked(ref, rooms)),
        closed: (code) => this.#closed(code),
        renewed: (tokens) => this.#heardTokens(tokens),
        outbox: (event) => this.#heardOf(event),
      },
    });
  }

  // ---- the life of it

  /** Takes over what was kept, and looks for other tabs. Call it once, before `start`. */
  async load(): Promise<void> {
    const cached = await this.#cache.rooms();
    this.act((client) => client.restore({ cached }));
    this.#found = this.#tabs.start();
    // The other tabs are heard from here on. What they keep after the next line has read is told by them.
    const outbox = await this.#cache.outbox();
    this.act((client) => client.restore({ outbox }));
    this.act((client, now) => client.wake(now)); // this tab may be live already
  }

  /** Begins with these tokens, or with those that another tab has or the cookie gets. */
  async start(tokens: Tokens | null): Promise<void> {
    addEventListener("online", this.#onOnline);
    addEventListener("offline", this.#wake);
    document.addEventListener("visibilitychange", this.#wake);
    addEventListener("pagehide", this.#leavePage);
    addEventListener("pageshow", this.#onPageShow);
    this.#tabs.show(!document.hidden);
    if (tokens) {
      this.#keeper.hold(tokens);
      this.#tabs.renew(tokens);
      return this.#isStill(tokens.user);
    }
    await this.#found;
    if (this.#isStopped) return;
    if (this.#keeper.token === null) return this.#keeper.wake();
    // Another tab's tokens tell how the account was when they were made.
    await bodyOf(this.api.GET("/api/me")).then(
      (me) => this.setMe(me),
      () => {}, // the next refresh tells it
    );
  }

  /** Ends it in this tab. `forget`: also what was kept of it. */
  async stop({ forget }: { forget: boolean }): Promise<void> {
    this.going.flush(); // while it can be sent
    this.#isStopped = true;
    removeEventListener("online", this.#onOnline);
    removeEventListener("offline", this.#wake);
    document.removeEventListener("visibilitychange", this.#wake);
    removeEventListener("pagehide", this.#leavePage);
    removeEventListener("pageshow", this.#onPageShow);
    this.#keeper.stop();
    this.#tabs.stop();
    this.#saving.stop();
    this.drafts.stop({ forget });
    leaveOwnPrefs({ forget });
    if (forget) this.#pendingChanges.forget();
    await (forget ? this.#cache.clear() : this.#cache.clearRooms());
    this.#cache.close();
  }

  get heldToken(): string | null {
    return this.#keeper.token;
  }

  /** Tries now, where it would be waited. */
  reconnect(): void {
    this.#keeper.wake();
    this.#tabs.command("start");
  }

  /** The tab, the page or the network is back: find out now what became of the session and of the line. */
  readonly #wake = (): void => {
    this.#tabs.show(!document.hidden);
    if (document.hidden) return this.#flush();
    this.#keeper.wake();
    this.#tabs.command("check");
    this.#changed();
  };

  /** A page from the back-forward cache has missed what the other tabs said. It is loaded again; drafts and pending messages are kept. */
  readonly #onPageShow = ({ persisted }: PageTransitionEvent): void => {
    if (persisted) location.reload();
  };

  /** There is a network again. A line from before may be dead without a word, and to find that out takes longer than a new one. */
  readonly #onOnline = (): void => {
    this.#keeper.wake();
    const { state } = this.line;
    if (this.#tabs.leads && (state === "live" || state === "waiting")) this.#tabs.command("start");
  };

  readonly #leavePage = (): void => {
    this.going.flush();
    this.#flush();
  };

  #flush(): void {
    this.drafts.flush();
    this.#saving.flush();
  }

  #end(reason: EndReason, detail = ""): void {
    if (!this.#isStopped) this.#on.ended(this.leaving ?? reason, detail);
  }

  // ---- the line

  /** In turn with the other tabs. They are told of the tokens within it, so that whoever waits has heard of them. */
  #exchange(): Promise<Tokens> {
    const before = this.#theirs;
    return inTurn(async () => {
      if (this.#theirs && this.#theirs !== before) return this.#theirs;
      const tokens = await refresh();
      if (accountOf(tokens.user) === accountOf(this.me)) this.#tabs.renew(tokens);
      return tokens;
    });
  }

  #isStill(user: User): void {
    if (accountOf(user) === accountOf(this.me)) this.setMe(user);
    else this.#on.changedUser();
  }

  /** Another tab has got tokens, and the line has been shown them. */
  #heardTokens(tokens: Tokens): void {
    this.#theirs = tokens;
    this.#keeper.hold(tokens);
  }

  #lineIs({ state, retryAt, code }: LineState): void {
    if (state === "live") {
      this.#keeper.trust();
      if (this.#tabs.leads) this.#takeUpPendingChanges();
    }
    this.line = {
      state,
      nextTryAt: state === "waiting" ? retryAt : null,
      stoppedBy: state === "stopped" ? code : null,
      downSince: state === "live" ? null : (this.line.downSince ?? Date.now()),
    };
    this.#changed();
  }

  /** In the tab that leads. What a close code means for the session: false stops, true goes on. */
  #closed(code: number): boolean | undefined {
    const { shown } = this.#tabs;
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
    return undefined;
  }

  // ---- the state machine

  /** Does something with the state machine, and what follows from it. */
  act(how: (client: SyncClient, now: number) => readonly Effect[]): void {
    if (this.#isStopped) return;
    const { version, epoch } = this.client;
    for (const effect of how(this.client, Date.now())) this.#carryOut(effect);
    if (epoch === null && this.#tabs.leads) this.#takeUpPendingChanges();
    else if (epoch !== null && epoch !== this.client.epoch) this.#begunAnew();
    if (this.client.version === version) return;
    this.#saving.changed();
    this.#changed();
  }

  /** The server's log is another one than before. Rooms and messages of the same ids may be others. */
  #begunAnew(): void {
    this.going.clear();
    for (const [roomId, { text }] of this.drafts.takeStranded())
      this.#toldOf({ do: "stranded", roomId, text });
  }

  #carryOut(effect: Effect): void {
    switch (effect.do) {
      case "send":
        return this.#tabs.send(effect.frame);
      case "wake":
        setTimeout(() => this.act((client, now) => client.wake(now)), effect.in_ms);
        return;
      case "reconnect":
        return this.#tabs.command("restart");
      case "spell":
        void spelled(effect.content).then((content) =>
          this.act((client, now) => client.spelled(effect.id, content, now)),
        );
        return;
      case "save":
        void this.#cache.saveItem(effect.item).then(() => this.#tell(effect));
        return;
      case "erase":
        void this.#cache.eraseItem(effect.id).then(() => this.#tell(effect));
        return;
      case "keep":
        return this.#pendingChanges.keep({
          key: effect.key,
          change: effect.change,
          epoch: this.client.epoch,
        });
      case "drop":
        return this.#pendingChanges.drop(effect.key);
      case "arrived":
      case "changed":
      case "forgot":
      case "refused":
      case "unsent":
      case "stranded":
        return this.#toldOf(effect);
      default: {
        const in_ms = "in_ms" in effect.request ? effect.request.in_ms : 0;
        setTimeout(async () => {
          const body = this.#isStopped ? null : await answerTo(this.api, effect).catch(() => null); // the machine is told
          this.act((client) => client.loaded(effect.do, effect.request, body));
        }, in_ms);
      }
    }
  }

  #toldOf(told: Told): void {
    for (const tell of this.#toldTo) tell(told);
    if (this.#toldTo.size === 0 && (told.do === "stranded" || told.do === "refused")) this.#untold.push(told);
    if (told.do === "forgot") void this.#cache.eraseRoom(told.roomId);
    if (told.do !== "unsent") return;
    // No room shows it any more: it waits in the draft, should one come back.
    const { id, roomId, roomMadeAt, content } = told.item;
    const { text, ...draft } = this.drafts.of(roomId);
    if (this.#tabs.leads)
      this.drafts.set(roomId, {
        ...(roomMadeAt !== undefined && { roomMadeAt }),
        ...draft,
        text: [text, content].filter(Boolean).join("\n"),
      });
    this.discard(id);
  }

  /** Sends the changes that an earlier page, or a tab that was closed, didn't get an answer to. */
  #takeUpPendingChanges(): void {
    if (this.client.epoch === null) return; // `ready` will tell it
    for (const { key, change, epoch } of this.#pendingChanges.all()) {
      if (epoch === this.client.epoch) {
        this.act((client, now) => client.change(change, now));
      } else {
        this.#pendingChanges.drop(key);
        this.#toldOf({ do: "refused", change, code: OTHER_LOG, message: "" });
      }
    }
  }

  // ---- what the tabs tell one another of messages

  /** What has just been kept: whoever opens a tab meanwhile has read it, or hears it. */
  #tell(effect: Effect): void {
    const settled = settledBy(effect);
    if (effect.do === "save" && !settled) this.#tabs.tell({ do: "written", item: effect.item });
    else if (settled && this.#tabs.leads) this.#tabs.tell({ do: "settled", ...settled });
  }

  #heardOf(event: OutboxEvent): void {
    switch (event.do) {
      case "written":
        return this.act((client, now) => client.written(event.item, now));
      case "settled":
        return this.act((client) => client.settled(event.id, event.settled));
      case "discard":
        if (this.#tabs.leads) this.discard(event.id);
    }
  }

  #keepsNothing(): void {
    this.keeps = false;
    this.#changed();
  }

  // ---- what the page does

  setMe(user: User): void {
    this.me = user;
    this.act((client) => client.named(user));
    this.#changed();
  }

  /** Says it in a room; false: too much is waiting to be sent. */
  say(roomId: number, content: string, replyTo?: number): boolean {
    if (this.#isStopped) return false;
    const roomMadeAt = this.client.room(roomId)?.info.created_at;
    const ready = spelledNow(content);
    const item: SavedItem = {
      id: uuid(),
      roomId,
      ...(roomMadeAt !== undefined && { roomMadeAt }),
      content: ready ?? content,
      ...(ready === null && { hasNames: true }),
      createdAt: new Date().toISOString(),
      order: this.client.outbox.nextOrder,
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
    this.act((client, now) => client.retry(id, client.outbox.nextOrder, now));
  }

  /** The tab that leads decides: it may have sent it just now. */
  discard(id: string): void {
    if (this.#tabs.leads) this.act((client, now) => client.discard(id, now));
    else this.#tabs.tell({ do: "discard", id });
  }

  /** Takes back the last message of a room, if it is pending and no tab can have sent it. */
  takeBack(roomId: number): SavedItem | undefined {
    const item = this.client.outbox.retractable(roomId);
    if (item) this.discard(item.id);
    return item;
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

  /** How many edits and deletions the server doesn't know of. What can be sent at once isn't counted before it is. */
  undone(): number {
    return this.client.undone + (this.client.live ? 0 : this.going.size);
  }

  // ---- who looks at it

  /** Tells of changes, at most once a frame. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  onTold(tell: (told: Told) => void): () => void {
    this.#toldTo.add(tell);
    for (const told of this.#untold.splice(0)) tell(told);
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
