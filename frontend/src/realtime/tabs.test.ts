import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { FakeTab } from "./browser-fakes.ts";
import type { OutboxEvent } from "./channel.ts";
import { Browser, Page, synced, tokens } from "./pages.ts";
import { Connection } from "./socket.ts";
import { asked, first, message, page, ready, room } from "./support.ts";
import { Tabs } from "./tabs.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const pass = (ms = 10) => vi.advanceTimersByTimeAsync(ms);

/** Two tabs, of which the first leads and is live. */
async function two() {
  const browser = new Browser();
  const a = new Page(browser, "a");
  await pass();
  a.tabs.renew(tokens("t"));
  await browser.welcome();
  const b = new Page(browser, "b");
  await pass();
  return { browser, a, b };
}

/** Opens room 12 in a tab, and answers its question. */
function read({ client }: Page, newest: number): void {
  const seqs = Array.from({ length: newest }, (_, index) => index + 1);
  client.loaded("page", first(asked(client.open(12), "page")), page(seqs, newest + 5));
}

test("the first tab leads and has the socket; the next follows from a snapshot, without a question", async () => {
  const { browser, a, b } = await two();
  expect([a.tabs.leads, b.tabs.leads, browser.sockets.length]).toEqual([true, false, 1]);
  expect([a.isStarted, b.isStarted]).toEqual([true, true]);
  expect([b.client.live, b.client.room(12)?.position, b.line?.state]).toEqual([true, 10, "live"]);
  expect(browser.socket.sent.map(({ type }) => type)).toEqual(["auth", "sync"]);
  expect(b.heard.renewed, "it needs no tokens of its own").toEqual(["t"]);
  expect([a.client.outbox.active, b.client.outbox.active]).toEqual([true, false]);
});

test("frames reach all tabs", async () => {
  const { browser, a, b } = await two();
  read(a, 5);
  read(b, 5);
  browser.socket.hear(message(6, 11));
  await pass();
  expect([a.seqs.at(-1), b.seqs.at(-1)]).toEqual([6, 6]);
});

test("two that start at once have one socket", async () => {
  const browser = new Browser();
  const [a, b] = [new Page(browser, "a"), new Page(browser, "b")];
  a.tabs.renew(tokens("t"));
  b.tabs.renew(tokens("u"));
  await pass();
  expect([a.tabs.leads, b.tabs.leads, browser.sockets.length]).toEqual([true, false, 1]);
  await browser.welcome();
  expect([a.client.live, b.client.live]).toEqual([true, true]);
});

test("a follower's frames go out on the socket, and their answers come back to it alone", async () => {
  const { browser, a, b } = await two();
  read(b, 5);
  b.do(b.client.markRead(12, 5));
  b.do(b.client.change({ type: "edit", room_id: 12, seq: 5, content: "better" }, 0));
  await pass();
  const edit = first(browser.socket.sent.filter(({ type }) => type === "edit"));
  expect(edit.ref).toMatch(/^b\//);
  const heardByA = vi.spyOn(a.client, "receive");
  const heardByB = vi.spyOn(b.client, "receive");
  const ack = { type: "ack", ref: edit.ref, room_id: 12, seq: 5, rev: 11 };
  browser.socket.hear(ack);
  await pass();
  expect(heardByB).toHaveBeenCalledWith(ack, expect.anything());
  browser.socket.hear({ ...ack, ref: "a/99" });
  await pass();
  expect([heardByA.mock.calls.length, heardByB.mock.calls.length]).toEqual([2, 1]);
  browser.socket.hear({ type: "pong" });
  await pass();
  expect(heardByB.mock.calls.length, "what concerns the socket alone").toBe(1);
});

test("a follower's join brings it up to date, and the others are untouched", async () => {
  const { browser, a, b } = await two();
  const c = new Page(browser, "c");
  await pass();
  for (const one of [a, b, c]) read(one, 5);
  b.do(b.client.receive(message(7, 12), 0)); // b alone has missed something
  await pass();
  const join = first(browser.socket.sent.filter(({ type }) => type === "join"));
  expect([join.rev, join.ref?.slice(0, 2)]).toEqual([10, "b/"]);
  for (const one of [a, c]) one.do(one.client.receive(message(9, 14), 0));
  await pass();
  const joins = browser.socket.sent.filter(({ type }) => type === "join");
  expect(joins.length, "they know that it is on its way").toBe(1);
  for (const frame of [message(6, 11, { prev: 10 }), message(7, 12, { prev: 11 })])
    browser.socket.hear(frame);
  browser.socket.hear({ ...synced, ref: join.ref, prev: 12, rev: 12, last_seq: 7 });
  await pass();
  for (const one of [a, b, c]) {
    expect([one.seqs, one.client.room(12)?.position]).toEqual([[1, 2, 3, 4, 5, 6, 7], 12]);
  }
});

test("when the leader closes, the next leads at once, and all begin anew from its socket", async () => {
  const { browser, a, b } = await two();
  const c = new Page(browser, "c");
  await pass();
  read(b, 5);
  read(c, 5);
  a.tabs.stop();
  await pass();
  expect([b.tabs.leads, c.tabs.leads, browser.open.length, browser.sockets.length]).toEqual([
    true,
    false,
    1,
    2,
  ]);
  expect([b.client.live, c.client.live, c.line?.state]).toEqual([false, false, "connecting"]);
  expect(browser.socket.sent, "it has the token").toEqual([]);
  await browser.welcome();
  expect(first(browser.socket.sent)).toEqual({ type: "auth", token: "t" });
  expect([b.client.live, c.client.live, c.line?.state]).toEqual([true, true, "live"]);
  expect(browser.socket.sent.filter(({ type }) => type === "sync").length, "c is where b is").toBe(1);
  browser.socket.hear(message(6, 11));
  await pass();
  expect([b.seqs.at(-1), c.seqs.at(-1)]).toEqual([6, 6]);
});

test("a leader that hangs is robbed by a visible tab after two and a half seconds, and steps back when it wakes", async () => {
  const { browser, a, b } = await two();
  await pass(5_000);
  expect(b.tabs.leads, "it answers").toBe(false);
  a.fake.hang();
  await pass(2_400);
  expect(b.tabs.leads).toBe(false);
  await pass(700);
  expect([b.tabs.leads, browser.sockets.length, browser.locks.waiting]).toEqual([true, 2, 0]);
  await pass(600);
  a.fake.wake();
  await pass();
  expect([a.tabs.leads, a.heard.leads, first(browser.sockets).isClosed]).toEqual([
    false,
    [true, false],
    true,
  ]);
  expect([browser.open.length, b.tabs.leads]).toEqual([1, true]);
  await browser.welcome();
  expect([a.client.live, b.client.live, a.line?.state]).toEqual([true, true, "live"]);
  b.tabs.stop();
  await pass();
  expect(a.tabs.leads, "it has queued again").toBe(true);
});

test("a hidden tab robs nobody, until it is seen", async () => {
  const { a, b } = await two();
  b.tabs.show(false);
  a.fake.hang();
  await pass(60_000);
  expect(b.tabs.leads).toBe(false);
  b.tabs.show(true);
  await pass(3_000);
  expect(b.tabs.leads).toBe(true);
});

test("two that rob at once end with one socket", async () => {
  const { browser, a, b } = await two();
  const c = new Page(browser, "c");
  await pass();
  a.fake.hang();
  await pass(4_000);
  expect([b, c].filter(({ tabs }) => tabs.leads).length).toBe(1);
  a.fake.wake();
  await pass(4_000);
  expect(browser.open.length).toBe(1);
  await browser.welcome();
  expect([a, b, c].map(({ client }) => client.live)).toEqual([true, true, true]);
});

test("what a robbed leader still says is not heard", async () => {
  const { browser, a, b } = await two();
  const c = new Page(browser, "c");
  await pass();
  const old = browser.socket;
  a.fake.hang();
  await pass(4_000);
  const [robber, other] = b.tabs.leads ? [b, c] : [c, b];
  expect(robber.tabs.leads).toBe(true);
  await browser.welcome(10, browser.sockets.at(-1));
  expect(other.client.live).toBe(true);
  const heard = vi.spyOn(other.client, "receive");
  old.hear({ type: "presence", online: [2], offline: [] }); // before it learns of it
  await pass();
  expect(heard).not.toHaveBeenCalled();
});

test("a tab that was led astray finds back", async () => {
  const browser = new Browser();
  const page = new Page(browser, "a");
  page.tabs.stop();
  const [locks, told] = [{ request: () => new Promise(() => {}) }, [] as { type: string }[]];
  const leader = browser.channels.make(new FakeTab());
  leader.onmessage = ({ data }) => void told.push(data);
  const frame = vi.fn();
  const tabs = new Tabs({
    ...{ tab: "b", name: "x", snapshot: () => null, on: { ...nothing, frame }, locks },
    makeChannel: () => browser.channels.make(new FakeTab()),
    connect: (on) => new Connection({ url: "", token: null, on }),
  });
  void tabs.start();
  await pass();
  told.length = 0;
  const say = async (message: object): Promise<string[]> => {
    leader.postMessage(message);
    await pass();
    return told.splice(0).map(({ type }) => type);
  };
  expect(await say({ type: "beat", line: "z/1" })).toEqual(["hello"]);
  const is = { state: "live", retryAt: null, code: null };
  expect(await say({ type: "state", line: "z/1", is })).toEqual(["hello"]);
  expect(await say({ type: "heard", line: "z/1", to: null, frame: {} }), "it has no snapshot yet").toEqual(
    [],
  );
  expect(frame).not.toHaveBeenCalled();
  await say({ type: "snapshot", line: "z/1", to: "b", snapshot: {} });
  expect(await say({ type: "beat", line: "z/1" })).toEqual([]);
  await say({ type: "heard", line: "z/1", to: null, frame: {} });
  expect(frame).toHaveBeenCalledOnce();
  tabs.stop();
});

test("what was asked on an earlier line is not asked on the next", async () => {
  const { browser, a, b } = await two();
  a.fake.hang(); // it is slow to hear
  b.do(b.client.receive(message(9, 14), 0)); // a gap: a question
  a.tabs.command("restart");
  await pass(600);
  await browser.welcome();
  a.fake.wake();
  await pass();
  expect(browser.socket.sent.map(({ type }) => type)).toEqual(["auth", "sync"]);
});

test("a reconnect is told to all, and each begins anew", async () => {
  const { browser, a, b } = await two();
  const asked = vi.spyOn(a.client, "asked");
  browser.socket.onclose?.({ code: 4000 });
  b.do(b.client.receive(message(9, 14), 0)); // a question on its way to nowhere
  await pass();
  expect(asked).not.toHaveBeenCalled();
  expect([b.client.live, b.line?.state, b.line?.code]).toEqual([false, "waiting", 4000]);
  expect(b.line?.retryAt ?? 0).toBeGreaterThan(Date.now());
  b.tabs.command("start");
  await pass();
  await browser.welcome(11);
  expect([b.client.live, b.client.room(12)?.position]).toEqual([true, 11]);
});

test("rooms that follow `ready` are told with the snapshot", async () => {
  const browser = new Browser();
  const [a, b] = [new Page(browser, "a"), new Page(browser, "b")];
  a.tabs.renew(tokens("t"));
  await pass();
  browser.socket.onopen?.();
  browser.socket.hear(ready([room()], "e1", { more_rooms: 1 }));
  await pass();
  expect([a.client.live, b.client.live]).toEqual([false, false]);
  browser.socket.hear({ type: "added", room_id: 13, room: room({ id: 13 }) });
  await pass();
  expect([...b.client.rooms.keys()]).toEqual([12, 13]);
});

test("tokens and messages are told to all", async () => {
  const { browser, a, b } = await two();
  b.tabs.renew(tokens("u"));
  const event: OutboxEvent = { do: "discard", id: "x" };
  b.tabs.tell(event);
  await pass();
  expect([a.heard.renewed, a.heard.outbox]).toEqual([["u"], [event]]);
  expect(browser.socket.sent.at(-1), "the socket is shown it").toEqual({ type: "auth", token: "u" });
});

test("without locks or channels each tab leads itself", async () => {
  const browser = new Browser();
  const [a, b] = [new Page(browser, "a", true), new Page(browser, "b", true)];
  await pass();
  a.tabs.renew(tokens("t"));
  b.tabs.renew(tokens("t"));
  expect([a.tabs.leads, b.tabs.leads, browser.sockets.length]).toEqual([true, true, 2]);
  a.tabs.stop();
  expect(browser.open.length).toBe(1);
});

test("without locks in this context after all, too", async () => {
  const browser = new Browser();
  const page = new Page(browser, "a");
  page.tabs.stop();
  const denied = { request: () => Promise.reject(new DOMException("", "SecurityError")) };
  const leads: boolean[] = [];
  const on = { ...nothing, leads: (is: boolean) => void leads.push(is) };
  const tabs = new Tabs({
    ...{
      tab: "b",
      name: "x",
      snapshot: () => null,
      on,
      locks: denied,
      makeChannel: () => browser.channels.make(new FakeTab()),
    },
    connect: (on) => new Connection({ url: "", token: null, on }),
  });
  void tabs.start();
  await pass();
  expect(leads).toEqual([true]);
  tabs.stop();
});

test("without channels in this context after all, too", async () => {
  const browser = new Browser();
  const leads: boolean[] = [];
  const tabs = new Tabs({
    ...{ tab: "b", name: "x", snapshot: () => null, locks: browser.locks.of(new FakeTab()) },
    on: { ...nothing, leads: (is: boolean) => void leads.push(is) },
    makeChannel: () => {
      throw new DOMException("", "SecurityError");
    },
    connect: (on) => new Connection({ url: "", token: null, on }),
  });
  await tabs.start();
  expect(leads).toEqual([true]);
  tabs.stop();
});

const nothing = {
  ...{
    leads: () => {},
    line: () => {},
    down: () => {},
    frame: () => {},
    snapshot: () => {},
    asked: () => {},
  },
  ...{ closed: () => undefined, renewed: () => {}, outbox: () => {} },
};

test("a tab that nobody answers starts all the same", async () => {
  const browser = new Browser();
  const held = new FakeTab();
  void browser.locks.of(held).request("x", {}, () => new Promise(() => {})); // of a tab of another version
  const page = new Page(browser, "a");
  await pass(900);
  expect(page.isStarted).toBe(false);
  await pass(200);
  expect(page.isStarted).toBe(true);
});
