// For the shuffle: the tabs of one browser, of which the first has the socket. What they tell one another takes its time.

import type { ClientFrame } from "../protocol/types.ts";
import type { Effect, Query, SavedItem } from "./effects.ts";
import { ME, type Told } from "./model.ts";
import { type Settled, settledBy } from "./outbox.ts";
import type { FrozenRoom } from "./room.ts";
import { type Snapshot, SyncClient } from "./sync.ts";
import type { ModelServer } from "./wire.ts";

type TabEvent =
  | { heard: Told }
  | { asked: string; rooms: number[] }
  | { snapshot: Snapshot }
  | { down: true }
  | { added: SavedItem }
  | { settled: Settled; id: string };

const ofLeader = (event: TabEvent): boolean => !("added" in event || "settled" in event);

export interface ModelTab {
  client: SyncClient;
  /** From the other tabs, in order. */
  inbox: TabEvent[];
  /** On their way: an answer is read at some moment, and comes at a later one. */
  requests: { query: Query; answer?: unknown }[];
}

export class Browser {
  readonly server: ModelServer;
  readonly #random: () => number;
  tabs: ModelTab[] = [];
  now = 0;
  #tabCount = 0;
  /** Frames of other tabs on their way to the one with the socket. */
  #upstream: { tab: ModelTab; frame: ClientFrame }[] = [];
  #isOwing = false;
  /** What is kept: messages that are not sent, and rooms as they were at some moment. */
  readonly kept = new Map<string, SavedItem>();
  readonly frozen = new Map<number, { epoch: string; room: FrozenRoom }>();
  readonly failed = new Set<string>();
  /** What each tab's rooms showed last, to see that their versions rise. */
  readonly #shown = new Map<ModelTab, Map<number, unknown[]>>();

  constructor(server: ModelServer) {
    this.server = server;
    this.#random = server.random;
  }

  get leader(): ModelTab {
    const [leader] = this.tabs;
    if (!leader) throw new Error("there is no tab");
    return leader;
  }

  below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  anyTab(): ModelTab {
    return this.tabs[this.below(this.tabs.length)] ?? this.leader;
  }

  // ---- tabs come and go

  /** Opens a tab with what is kept, perhaps in the place of one that is dropped. */
  openTab(place = this.tabs.length): void {
    const epochs = [...this.frozen.values()].map(({ epoch }) => epoch);
    const epoch = epochs.at(-1) ?? "";
    const rooms = [...this.frozen.values()]
      .filter((one) => one.epoch === epoch)
      .map(({ room }) => structuredClone(room));
    const isCached = rooms.length > 0 && this.#random() < 0.7;
    const client = new SyncClient({
      userId: ME,
      tab: `tab${this.#tabCount++}`,
      outbox: [...this.kept.values()],
      cached: isCached ? { epoch, rooms } : null,
    });
    const tab = { client, inbox: [], requests: [] };
    this.tabs.splice(place, 1, tab);
    this.do(tab, client.setActive(place === 0, this.now));
    if (place === 0) this.reconnect();
    else this.#greet(tab);
  }

  closeTab(tab: ModelTab): void {
    const wasLeader = tab === this.leader;
    if (this.tabs.length === 1) return;
    this.tabs = this.tabs.filter((other) => other !== tab);
    this.#upstream = this.#upstream.filter((entry) => entry.tab !== tab);
    if (!wasLeader) return;
    const { leader } = this;
    leader.inbox = leader.inbox.filter((event) => !ofLeader(event));
    this.do(leader, leader.client.setActive(true, this.now));
    this.reconnect();
  }

  #greet(tab: ModelTab): void {
    const snapshot = this.leader.client.snapshot();
    if (snapshot) tab.inbox.push({ snapshot: structuredClone(snapshot) });
  }

  /** A tab keeps a room as it is now. */
  freeze(tab: ModelTab, roomId: number): void {
    const room = tab.client.freeze(roomId);
    const { epoch } = tab.client;
    if (room && epoch !== null) this.frozen.set(roomId, { epoch, room: structuredClone(room) });
  }

  // ---- the socket

  hangUp(): void {
    this.server.hangUp();
    this.#upstream = [];
    this.#isOwing = false;
    const { leader } = this;
    this.do(leader, leader.client.disconnected());
    this.#tellOthers(leader, { down: true });
  }

  reconnect(): void {
    this.hangUp();
    this.server.connect();
    this.#isOwing = true;
  }

  /** A frame comes from the server; false: there is none. */
  deliver(): boolean {
    const frame = this.server.deliver();
    if (!frame) return false;
    const { leader } = this;
    this.do(leader, leader.client.receive(structuredClone(frame), this.now));
    if (!this.#isOwing) this.#tellOthers(leader, { heard: frame });
    else if (leader.client.live) {
      this.#isOwing = false;
      for (const tab of this.tabs.slice(1)) this.#greet(tab);
    }
    return true;
  }

  #tellOthers(from: ModelTab, event: TabEvent): void {
    for (const tab of this.tabs) if (tab !== from) tab.inbox.push(structuredClone(event));
  }

  /** The next of what other tabs have told this one; false: there is nothing. */
  hear(tab: ModelTab): boolean {
    const event = tab.inbox.shift();
    if (!event) return false;
    const { client } = tab;
    if ("heard" in event) this.do(tab, client.receive(event.heard, this.now));
    else if ("asked" in event) this.do(tab, client.asked(event.asked, event.rooms));
    else if ("snapshot" in event) this.do(tab, client.follow(event.snapshot, this.now));
    else if ("down" in event) this.do(tab, client.disconnected());
    else if ("added" in event) this.do(tab, client.written(event.added, this.now));
    else this.do(tab, client.settled(event.id, event.settled));
    return true;
  }

  /** A frame of another tab reaches the one with the socket; false: there is none. */
  sendUpstream(): boolean {
    const entry = this.#upstream.shift();
    if (!entry) return false;
    if (this.leader.client.live) this.#send(entry.tab, entry.frame);
    return true;
  }

  #send(tab: ModelTab, frame: ClientFrame): void {
    if (!this.server.connected) return;
    const rooms =
      frame.type === "sync"
        ? Object.keys(frame.rooms ?? {}).map(Number)
        : frame.type === "join"
          ? [frame.room_id]
          : null;
    if (rooms && typeof frame.ref === "string") {
      const asked = { asked: frame.ref, rooms };
      const { leader } = this;
      if (tab !== leader) this.do(leader, leader.client.asked(asked.asked, rooms));
      for (const other of this.tabs) if (other !== tab && other !== leader) other.inbox.push(asked);
    }
    this.server.receive(frame);
  }

  // ---- what clients ask for

  do(tab: ModelTab, effects: Effect[]): void {
    this.#versionsRise(tab);
    for (const effect of effects) {
      if (effect.do === "send") {
        if (tab === this.leader) this.#send(tab, effect.frame);
        else this.#upstream.push({ tab, frame: effect.frame });
      } else if ("request" in effect) {
        tab.requests.push({ query: effect });
      } else if (effect.do === "save") {
        this.kept.set(effect.item.id, effect.item);
        if (effect.item.failure) this.failed.add(effect.item.id);
      } else if (effect.do === "erase") {
        this.kept.delete(effect.id);
      }
      const told = tab === this.leader ? settledBy(effect) : null;
      if (told) this.#tellOthers(tab, told);
    }
  }

  /** Writes a message in a tab. */
  write(tab: ModelTab, item: SavedItem): void {
    this.do(tab, tab.client.enqueue(item, this.now) || []);
    this.#tellOthers(tab, { added: item });
  }

  advanceRequest(tab: ModelTab): boolean {
    const index = this.below(tab.requests.length);
    const entry = tab.requests[index];
    if (!entry) return false;
    const { server } = this;
    if (entry.answer === undefined && server.faults && this.#random() < 0.5) {
      entry.answer = server.answer(entry.query); // read now, arrives later
      return true;
    }
    tab.requests.splice(index, 1);
    const answer = entry.answer === undefined ? server.answer(entry.query) : entry.answer;
    const { do: what, request } = entry.query;
    this.do(tab, tab.client.loaded(what, request, server.chance(0.1) ? null : structuredClone(answer)));
    return true;
  }

  /** Answers of an old log: a server that restarts drops them. */
  dropRequests(): void {
    for (const tab of this.tabs) {
      for (const { query } of tab.requests.splice(0)) {
        this.do(tab, tab.client.loaded(query.do, query.request, null));
      }
    }
  }

  /** All that is on its way comes. */
  settle(): void {
    for (let round = 0; round < 50; round++) {
      this.now += 2_000;
      let isMoving = true;
      while (isMoving) {
        isMoving = this.deliver() || this.sendUpstream();
        for (const tab of this.tabs) isMoving = this.hear(tab) || this.advanceRequest(tab) || isMoving;
      }
      for (const tab of this.tabs) this.do(tab, tab.client.wake(this.now));
    }
  }

  /** What a room shows changes with its version alone. */
  #versionsRise(tab: ModelTab): void {
    const { client } = tab;
    const known = this.#shown.get(tab) ?? new Map<number, unknown[]>();
    this.#shown.set(tab, known);
    for (const room of client.rooms.values()) {
      const { id, version, info, preview, view, unread, unreadMentions, loadFailed } = room;
      const lists = [client.rows(id), client.pending(id), client.members(id), client.pins(id)];
      const shown = [
        version,
        ...lists,
        info,
        preview,
        view,
        unread,
        unreadMentions,
        loadFailed,
        client.hasOlder(id),
      ];
      const before = known.get(id);
      if (before?.[0] === version && shown.some((value, index) => value !== before[index])) {
        throw new Error(`room ${id} has changed, and its version has not`);
      }
      known.set(id, shown);
    }
  }
}
