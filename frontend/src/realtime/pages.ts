// For the tests of tabs: a browser with tabs, each of which has a client and carries out what it asks for.

import { vi } from "vitest";
import type { Tokens } from "../protocol/types.ts";
import { FakeChannels, FakeLocks, FakeSocket, FakeTab } from "./browser-fakes.ts";
import type { LineState, OutboxEvent } from "./channel.ts";
import type { Effect } from "./effects.ts";
import { Connection } from "./socket.ts";
import { first, I, ME, ready, room } from "./support.ts";
import { SyncClient } from "./sync.ts";
import { Tabs } from "./tabs.ts";

export const tokens = (access_token: string): Tokens => ({
  access_token,
  expires_in: 600,
  token_type: "bearer",
  user: { ...I, ...rest },
});
const rest = { created_at: "", is_active: true, kind: "person" as const, role: "user" as const };
export const synced = { type: "synced", room_id: 12, prev: 10, rev: 10, last_seq: 5, last_read_seq: 5 };

export class Browser {
  readonly locks = new FakeLocks();
  readonly channels = new FakeChannels();
  /** All sockets that were opened, of whichever tab. */
  readonly sockets: FakeSocket[] = [];

  get open(): FakeSocket[] {
    return this.sockets.filter((socket) => !socket.isClosed);
  }

  get socket(): FakeSocket {
    return first(this.open);
  }

  /** The server lets the socket in. */
  async welcome(rev = 10, socket = this.socket): Promise<void> {
    socket.onopen?.();
    socket.hear({ ...ready([room({ rev, last_seq: rev - 5 })]), heartbeat_s: 30 });
    const sync = socket.sent.find(({ type }) => type === "sync");
    socket.hear({ ...synced, prev: rev, rev, last_seq: rev - 5, ref: sync?.ref });
    await vi.advanceTimersByTimeAsync(10);
  }
}

export class Page {
  readonly fake = new FakeTab();
  readonly client: SyncClient;
  readonly tabs: Tabs;
  readonly heard: {
    leads: boolean[];
    states: string[];
    renewed: string[];
    outbox: OutboxEvent[];
  };
  line: LineState | null = null;
  isStarted = false;

  constructor(browser: Browser, name: string, isAlone = false) {
    this.client = new SyncClient({ userId: ME, tab: name });
    this.heard = { leads: [], states: [], renewed: [], outbox: [] };
    const { client, heard } = this;
    client.setActive(false, 0);
    this.tabs = new Tabs({
      tab: name,
      name: "hearth.1",
      snapshot: () => client.snapshot(),
      connect: (on) =>
        new Connection({
          ...{ url: "ws://x/ws", token: null, on, random: () => 0 },
          makeSocket: () => {
            const socket = new FakeSocket();
            browser.sockets.push(socket);
            return socket.asSocket;
          },
        }),
      on: {
        leads: (leads) => {
          heard.leads.push(leads);
          this.do(client.setActive(leads, Date.now()));
        },
        line: (line) => {
          this.line = line;
          heard.states.push(line.state);
        },
        down: () => this.do(client.disconnected()),
        frame: (frame) => this.do(client.receive(frame, Date.now())),
        snapshot: (snapshot) => this.do(client.follow(snapshot, Date.now())),
        asked: (ref, rooms) => this.do(client.asked(ref, rooms)),
        closed: () => undefined,
        renewed: ({ access_token }) => void heard.renewed.push(access_token),
        outbox: (event) => void heard.outbox.push(event),
      },
      ...(!isAlone && {
        locks: browser.locks.of(this.fake),
        makeChannel: () => browser.channels.make(this.fake),
      }),
    });
    void this.tabs.start().then(() => {
      this.isStarted = true;
    });
  }

  do(effects: Effect[]): void {
    for (const effect of effects) {
      if (effect.do === "send") this.tabs.send(effect.frame);
    }
  }

  get seqs(): number[] {
    return this.client.rows(12).map(({ seq }) => seq);
  }
}
