import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { reconnectDelay } from "./backoff.ts";
import { FakeSocket } from "./browser-fakes.ts";
import { Connection, heartbeatAction, invitesReconnect } from "./socket.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("reconnects wait between 0.5 s and 30 s, with full jitter", () => {
  expect(reconnectDelay(0, () => 0)).toBe(500);
  expect(reconnectDelay(0, () => 1)).toBe(1000);
  expect(reconnectDelay(50, () => 1)).toBe(30_000);
  expect(reconnectDelay(50, () => 0)).toBe(500);
});

test("silence: a ping after one heartbeat, the end after two", () => {
  const at = (now: number, pingedAt: number | null, heardAt = 0) =>
    heartbeatAction({ now, heardAt, pingedAt, heartbeatMs: 30 });
  expect(at(29, null)).toBe(null);
  expect(at(30, null)).toBe("ping");
  expect(at(59, 30)).toBe(null);
  expect(at(60, 30)).toBe("dead");
  expect(at(500, null), "after a sleep the line gets its chance").toBe("ping");
  expect(at(130, 30, 100), "an answered ping is done with").toBe("ping");
});

test("close codes", () => {
  for (const code of [1000, 1006, 1009, 4000, 4001, 4004]) expect(invitesReconnect(code)).toBe(true);
  for (const code of [4500, 4503, 4504, 4999]) expect(invitesReconnect(code)).toBe(false);
});

/** A connection over sockets that do nothing by themselves, under a clock that the test moves. */
function connected(
  closed: (code: number) => boolean | undefined = () => undefined,
  token: string | null = "t",
) {
  const sockets: FakeSocket[] = [];
  const states: string[] = [];
  const frames: object[] = [];
  const connection = new Connection({
    url: "ws://x/ws",
    token,
    on: { state: (state) => void states.push(state), frame: (frame) => void frames.push(frame), closed },
    makeSocket: () => {
      const socket = new FakeSocket();
      sockets.push(socket);
      return socket.asSocket;
    },
    now: Date.now,
  });
  const socket = (index = sockets.length - 1): FakeSocket => {
    const found = sockets[index];
    if (!found) throw new Error("there is no such socket");
    return found;
  };
  const pass = (seconds: number): void => void vi.advanceTimersByTime(seconds * 1_000);
  connection.start();
  if (token !== null) {
    socket().onopen?.();
    socket().hear({ type: "ready", heartbeat_s: 30 });
  }
  return { connection, sockets, socket, states, frames, pass };
}

test("the token goes in the first frame, and a broken frame ends nothing", () => {
  const { socket, states, frames } = connected();
  expect(socket().sent).toEqual([{ type: "auth", token: "t" }]);
  for (const broken of ["{", "null", "7", '"ready"']) socket().hear(broken);
  expect(states).toEqual(["connecting", "live"]);
  expect(frames.length).toBe(1);
});

test("silence is answered by a ping, then by another socket; the old one is heard no more", () => {
  const { sockets, socket, pass } = connected();
  pass(31);
  expect(socket().sent.at(-1)).toEqual({ type: "ping" });
  socket().hear({ type: "pong" });
  pass(31);
  expect(socket().sent.length).toBe(3);
  pass(32);
  expect(sockets.length).toBe(2);
  expect(socket(0).isClosed).toBe(true);
  expect(socket(0).onmessage).toBe(null);
});

test("reconnect_after_ms is honoured, and told", () => {
  const { connection, sockets, socket, pass } = connected();
  socket().hear({ type: "going_away", reconnect_after_ms: 7_000 });
  socket().onclose?.({ code: 4000 });
  expect(connection.retryAt).toBe(Date.now() + 7_000);
  pass(6);
  expect(sockets.length).toBe(1);
  pass(1);
  expect(sockets.length).toBe(2);
  expect(connection.retryAt).toBe(null);
});

test("figures that no server means are not believed", () => {
  const { connection, socket, pass } = connected();
  for (const heartbeat_s of [-1, 0, "x", null]) socket().hear({ type: "ready", heartbeat_s });
  pass(4);
  expect(socket().sent.length, "no ping each second").toBe(1);
  socket().hear({ type: "going_away", reconnect_after_ms: 1e12 });
  socket().onclose?.({ code: 4000 });
  expect((connection.retryAt ?? 0) - Date.now()).toBe(300_000);
});

test("codes from 4500 on end the attempts", () => {
  const { sockets, socket, states, pass } = connected();
  socket().onclose?.({ code: 4503 });
  pass(60);
  expect([sockets.length, states.at(-1)]).toEqual([1, "stopped"]);
});

test("a listener's no ends the attempts", () => {
  const { sockets, socket, states, pass } = connected(() => false);
  socket().onclose?.({ code: 4004 });
  pass(60);
  expect([sockets.length, states.at(-1)]).toEqual([1, "stopped"]);
});

test("a listener's yes goes on where the code would stop it", () => {
  const { connection, socket } = connected(() => true);
  socket().onclose?.({ code: 4500 });
  connection.renew("u");
  socket(1).onopen?.();
  expect(socket(1).sent).toEqual([{ type: "auth", token: "u" }]);
});

test("a handshake that never ends is given up", () => {
  const { sockets, socket, pass } = connected();
  socket().onclose?.({ code: 1006 });
  pass(2);
  expect(sockets.length).toBe(2);
  pass(19);
  expect(sockets.length).toBeGreaterThanOrEqual(3);
});

test("back from sleep, a line that doesn't answer within seconds is replaced", () => {
  const { connection, sockets, socket, pass } = connected();
  connection.check();
  expect(socket().sent.at(-1)).toEqual({ type: "ping" });
  pass(7);
  expect(sockets.length).toBe(2);
});

test("a ping isn't answered by what was on its way before it", () => {
  const { connection, sockets, socket, pass } = connected();
  connection.check();
  socket().hear({ type: "synced", room_id: 1 });
  pass(7);
  expect(sockets.length).toBe(2);
});

test("a line that brings much before the answer to a ping lives", () => {
  const { connection, sockets, socket, pass } = connected();
  connection.check();
  for (let second = 0; second < 9; second += 3) {
    pass(3);
    socket().hear({ type: "synced", room_id: 1 });
  }
  socket().hear({ type: "pong" });
  pass(20);
  expect(sockets.length).toBe(1);
});

test("a newer token goes to the socket that is live, and starts one that waits", () => {
  const { connection, sockets, socket } = connected();
  connection.renew("u");
  expect(socket().sent.at(-1)).toEqual({ type: "auth", token: "u" });
  socket().onclose?.({ code: 4004 });
  connection.renew("v");
  expect(sockets.length).toBe(2);
  socket(1).onopen?.();
  connection.renew("w"); // while the other is judged
  socket(1).hear({ type: "ready", heartbeat_s: 30 });
  expect(socket(1).sent).toEqual([
    { type: "auth", token: "v" },
    { type: "auth", token: "w" },
  ]);
});

test("there is no socket before there is a token", () => {
  const { connection, sockets } = connected(() => true, null);
  expect(sockets.length).toBe(0);
  connection.renew("t");
  expect(sockets.length).toBe(1);
  connection.stop();
});

test("a page whose timers sleep does what is due when it is told to", () => {
  const { connection, sockets, states } = connected();
  connection.tick();
  expect(sockets.length, "nothing is due").toBe(1);
  sockets[0]?.onclose?.({ code: 1006 });
  expect(states.at(-1)).toBe("waiting");
  connection.tick();
  expect(sockets.length).toBe(1);
  vi.setSystemTime(Date.now() + 60_000);
  connection.tick();
  expect([sockets.length, states.at(-1)]).toEqual([2, "connecting"]);
});
