// The promise of PROTOCOL.md sections 3 to 5, tried: frames are lost, doubled and late, sockets break, pages cross with
// changes, the log is restored from a backup, tabs that share a socket come and go, and begin with what was kept; and
// still each client ends with what the server holds.
// SHUFFLE_SEEDS=5000 tries more, SHUFFLE_SEED=17 one alone.
import { expect, test } from "vitest";
import { Browser, type ModelTab } from "./browser.ts";
import { ME, type ModelRoom, seeded } from "./model.ts";
import type { Row } from "./rows.ts";
import { item } from "./support.ts";
import { ModelServer } from "./wire.ts";

declare const process: { env: Record<string, string | undefined> };

/** Joined changes don't say who reacted, so the ids that a row lists may be fewer than there are; counts and mine are exact. */
function comparable(row: object) {
  const { reactions = [], ...rest } = row as Partial<Row>;
  return { ...rest, reactions: reactions.map(({ emoji, count, me }) => [emoji, count, Boolean(me)]).sort() };
}

class Shuffle {
  readonly seed: number;
  readonly random: () => number;
  readonly server: ModelServer;
  readonly browser: Browser;
  readonly written: { id: string; roomId: number; by: ModelTab }[] = [];
  /** A third of the seeds tries one tab alone, which begins anew only by reconnecting. */
  readonly isPlain: boolean;

  constructor(seed: number) {
    this.seed = seed;
    this.isPlain = seed % 3 === 0;
    this.random = seeded(seed);
    this.server = new ModelServer(this.random);
    this.browser = new Browser(this.server);
  }

  below(limit: number): number {
    return Math.floor(this.random() * limit);
  }

  anyRoom(): number {
    return 1 + this.below(3);
  }

  anyEmoji(): string {
    return ["👍", "🎉"][this.below(2)] ?? "";
  }

  run(): void {
    const { browser, server } = this;
    browser.openTab();
    let backup = structuredClone(server.rooms);
    for (let step = 0; step < 500; step++) {
      browser.now += 100;
      const roll = this.random();
      if (roll < 0.3) this.happen();
      else if (roll < 0.64) browser.deliver();
      else if (roll < 0.76) browser.advanceRequest(browser.anyTab());
      else if (roll < 0.985) this.act(browser.anyTab());
      else if (roll < 0.994) browser.reconnect();
      else if (roll < 0.997) backup = structuredClone(server.rooms);
      else {
        server.restore(backup);
        browser.dropRequests();
        browser.reconnect();
      }
      if (!this.isPlain) this.moveTabs();
      if (step % 5 === 0) for (const tab of browser.tabs) this.hold(tab);
    }
    this.heal();
    for (const tab of browser.tabs) for (const room of server.rooms.values()) this.compare(tab, room);
  }

  /** The invariant: no catch-up is on its way, and all that is held is as of the position, or newer. */
  hold({ client }: ModelTab): void {
    const { server } = this;
    const snapshot = client.snapshot();
    if (!snapshot || client.epoch !== `e${server.epoch}`) return;
    const catching = new Set(snapshot.catching.flatMap(([, rooms]) => rooms));
    for (const { info, isPartial } of snapshot.rooms) {
      const held = client.room(info.id);
      if (!held || isPartial || catching.has(info.id)) continue;
      const room = server.room(info.id);
      const where = `seed ${this.seed}, ${client.tab}, room ${room.id} at ${held.position}, ${this.browser.now}`;
      const { rows, members } = server.asOf(room, held.position);
      for (const span of held.spans.filter(({ loaded }) => loaded)) {
        for (const row of span.rows.list()) {
          const state = room.log.find(({ rev }) => rev === row.rev)?.row;
          if (row.rev < (rows.get(row.seq)?.rev ?? 0)) throw new Error(`${where}: row ${row.seq} is old`);
          expect(comparable(row), where).toStrictEqual(state && comparable(server.shown(state, true)));
        }
        const wanted = [...rows.keys()].filter((seq) => span.covers(seq));
        if (wanted.some((seq) => !span.rows.get(seq))) throw new Error(`${where}: a row is missing`);
      }
      for (const [id, { rev, role }] of held.members.loaded ? members : []) {
        const member = held.members.get(id);
        const leaves = room.log.some(
          (later) => later.rev > rev && later.member?.user.id === id && !later.member.role,
        );
        if (member ? member.rev < rev : role !== null && !leaves)
          throw new Error(`${where}: member ${id} is old`);
      }
    }
  }

  /** Tabs come and go, and tell one another. */
  moveTabs(): void {
    const { browser } = this;
    const roll = this.random();
    if (roll < 0.5) for (const tab of browser.tabs.slice(1)) while (this.random() < 0.8 && browser.hear(tab));
    else if (roll < 0.7) browser.sendUpstream();
    else if (roll < 0.71 && browser.tabs.length < 3) browser.openTab();
    else if (roll < 0.715)
      browser.openTab(this.below(browser.tabs.length)); // one is dropped
    else if (roll < 0.72) browser.closeTab(browser.anyTab());
    else if (roll < 0.76) browser.freeze(browser.anyTab(), this.anyRoom());
  }

  /** Something that others do, or I on another device. */
  happen(): void {
    const { server } = this;
    const room = server.room(this.anyRoom());
    const roll = this.random();
    const seq = 1 + this.below(room.lastSeq);
    const mentions = this.random() < 0.3 ? [ME] : undefined;
    if (roll < 0.38) server.say(room, 2, `theirs-${this.seed}-${this.browser.now}`, "hello", mentions);
    else if (roll < 0.7) {
      if (room.lastSeq === 0) return;
      if (roll < 0.48) server.edit(room, seq, 2, undefined, mentions);
      else if (roll < 0.51) server.remove(room, this.random() < 0.5 ? seq : room.lastSeq);
      else if (roll < 0.56) server.pin(room, seq);
      else if (roll < 0.68) server.react(room, seq, this.anyEmoji(), this.random() < 0.6, 2 + this.below(2));
      else server.react(room, seq, "👍", this.random() < 0.6, ME);
    } else if (roll < 0.74) server.rename(room);
    else if (roll < 0.78) server.readBy(room, 2 + this.below(2));
    else if (roll < 0.88) server.setMember(room, 3, server.isMember(room, 3) ? null : "member");
    else if (roll < 0.92) server.setMember(room, ME, server.isMember(room) ? null : "member");
    else if (roll < 0.96) server.readElsewhere(room);
    else if (server.subscribed.delete(room.id)) {
      server.inOrder.push({ type: "lagged", room_id: room.id, rev: room.rev });
    }
  }

  /** Something that I do in a tab. */
  act(tab: ModelTab): void {
    const { browser } = this;
    const { client } = tab;
    const { now } = browser;
    const id = this.anyRoom();
    const lastSeq = client.room(id)?.lastSeq ?? 0;
    const roll = this.random();
    if (roll < 0.16) {
      const one = item(`mine-${this.written.length}`, { roomId: id, content: `${this.written.length}` });
      this.written.push({ ...one, by: tab });
      browser.write(tab, one);
    } else if (roll < 0.27) this.wish(tab, id);
    else if (roll < 0.37) browser.do(tab, client.open(id, { members: this.random() < 0.5 }));
    else if (roll < 0.48) browser.do(tab, client.open(id, { around: 1 + this.below(lastSeq + 2) }));
    else if (roll < 0.59) browser.do(tab, client.loadOlder(id));
    else if (roll < 0.68) browser.do(tab, client.loadNewer(id));
    else if (roll < 0.71) browser.do(tab, client.jumpToLatest(id));
    else if (roll < 0.74) this.trim(tab, id);
    else if (roll < 0.75) browser.do(tab, client.close());
    else if (roll < 0.88) browser.do(tab, client.markRead(id, lastSeq));
    else browser.do(tab, client.wake(now));
  }

  /** As `trim` does with many more rows. */
  trim({ client }: ModelTab, roomId: number): void {
    const room = client.room(roomId);
    if (!room) return;
    room.tail.keepLast(1 + this.below(6));
    room.version = ++client.version;
  }

  /** A change of mine. */
  wish(tab: ModelTab, room_id: number): void {
    const { client } = tab;
    const rows = client.rows(room_id);
    const row = rows[this.below(rows.length)];
    if (!row) return;
    const { seq } = row;
    const { now } = this.browser;
    const kind = this.random();
    const change =
      kind < 0.3
        ? { type: "edit" as const, room_id, seq, content: `mine at ${now}` }
        : kind < 0.4
          ? { type: "delete" as const, room_id, seq }
          : { type: "react" as const, room_id, seq, emoji: this.anyEmoji(), on: this.random() < 0.6 };
    this.browser.do(tab, client.change(change, now));
  }

  /** The wire heals; every room says some things more, so that a lost last frame can be noticed; two are deleted. */
  heal(): void {
    const { browser, server } = this;
    server.faults = false;
    browser.settle();
    for (const room of server.rooms.values()) {
      if (!server.isMember(room)) server.setMember(room, ME, "member");
      browser.settle();
      for (let n = 0; n < 3; n++) {
        server.say(room, 2, `gone-${room.id}-${n}`, "to be deleted", n === 1 ? [ME] : undefined);
      }
      for (const seq of [room.lastSeq, room.lastSeq - 1]) server.remove(room, seq);
      if (this.random() < 0.5) browser.reconnect();
      browser.settle();
      server.say(room, 2, `last-${room.id}`, "the last word");
    }
    browser.settle();
  }

  compare(tab: ModelTab, room: ModelRoom): void {
    const { server, browser, written } = this;
    const { failed } = browser;
    const { client } = tab;
    const held = client.room(room.id);
    const where = `seed ${this.seed}, tab ${browser.tabs.indexOf(tab)}, room ${room.id}`;
    if (!held) throw new Error(`${where} is missing`);
    const truth = server.describe(room);
    const { position, lastSeq, lastReadSeq, info, preview, pins, members } = held;
    expect(
      [position, lastSeq, lastReadSeq, info.name, info.member_count, preview?.seq, preview?.snippet],
      where,
    ).toEqual([
      room.rev,
      room.lastSeq,
      room.read,
      room.name,
      truth.member_count,
      room.lastSeq,
      "the last word",
    ]);
    const all = [...room.messages.values()];
    for (const span of held.spans) {
      expect(span.loading, where).toBe(null);
      if (!span.loaded) continue;
      const expected = all.filter((row) => row.seq >= span.from && row.seq <= span.to);
      const rows = span.rows.list().map(comparable);
      expect(rows, where).toStrictEqual(expected.map((row) => comparable(server.shown(row, true))));
      expect(expected.length > 0 && span.hasOlder === span.from > 1, where).toBe(true);
      expect(span.hasNewer, where).toBe(span === held.away);
      if (span.hasNewer)
        expect(span.to, where).toBeLessThan(held.tail.loaded ? held.tail.from - 1 : room.lastSeq);
    }
    expect(client.rows(room.id), `${where}: no change of mine is left`).toBe(held.shown.rows.list());
    if (pins.loaded) {
      const pinned = (rows: Iterable<{ seq: number; content?: string | undefined }>) =>
        [...rows].map(({ seq, content }) => [seq, content]);
      expect(pinned(client.pins(room.id)), where).toEqual(pinned(all.filter((row) => row.pinned_at)));
    }
    const markers = server.markers(room);
    const counts = [client.unread(room.id), client.mentions(room.id)];
    expect(counts, where).toEqual([markers.unread, markers.unread_mentions]);
    if (members.loaded) {
      const roles = (some: Iterable<{ user: { id: number }; role: string | null }>) =>
        [...some].map((member) => [member.user.id, member.role]).sort();
      const present = [...room.members.values()].filter((member) => member.role !== null);
      expect(roles(client.members(room.id)), where).toEqual(roles(present));
    }
    for (const { seq, sender } of all) {
      const readers = client.readersOf(room.id, seq);
      const have = readers.filter(
        (id) => id !== ME && id !== sender.id && (room.markers.get(id) ?? 0) >= seq,
      );
      expect(readers, `${where}: who has read ${seq}`).toEqual(have);
    }
    // Stored once each, those of one tab in the order in which they were written (a restore may have lost some that were
    // acknowledged).
    const stored = all.filter((row) => row.sender.id === ME && !failed.has(row.id));
    expect(new Set(stored.map(({ id }) => id)).size, where).toBe(stored.length);
    for (const by of new Set(written.map((one) => one.by))) {
      const mine = new Set(written.filter((one) => one.by === by).map(({ id }) => id));
      const order = stored.filter(({ id }) => mine.has(id)).map(({ id }) => Number(id.split("-")[1]));
      expect(order, where).toEqual([...order].sort((a, b) => a - b));
    }
    if (server.epoch === 1) {
      const wanted = written.filter((one) => one.roomId === room.id && !failed.has(one.id)).length;
      expect(stored.length, where).toBe(wanted);
    }
    const waiting = client.outbox.items.filter(({ state }) => state === "queued" || state === "sent");
    expect(waiting, where).toEqual([]);
    expect(
      [...browser.kept.keys()].filter((id) => !failed.has(id)),
      where,
    ).toEqual([]);
  }
}

const { SHUFFLE_SEED, SHUFFLE_SEEDS = "60" } = process.env;

test("a seeded shuffle ends at the server's state", { timeout: 0 }, () => {
  if (SHUFFLE_SEED) return new Shuffle(Number(SHUFFLE_SEED)).run();
  for (let seed = 1; seed <= Number(SHUFFLE_SEEDS); seed++) {
    try {
      new Shuffle(seed).run();
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
});
