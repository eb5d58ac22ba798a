import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Connection, heartbeatAction, invitesReconnect, reconnectDelay } from "./connection.js";

test("reconnects wait between 0.5 s and 30 s, with full jitter", () => {
  assert.equal(reconnectDelay(0, () => 0), 500);
  assert.equal(reconnectDelay(0, () => 1), 1000);
  assert.equal(reconnectDelay(50, () => 1), 30_000);
  assert.equal(reconnectDelay(50, () => 0), 500);
});

test("silence: a ping after one heartbeat, the end after two", () => {
  const at = (now, pingedAt, heardAt = 0) => heartbeatAction({ now, heardAt, pingedAt, heartbeatMs: 30 });
  assert.equal(at(29, null), null);
  assert.equal(at(30, null), "ping");
  assert.equal(at(59, 30), null);
  assert.equal(at(60, 30), "dead");
  assert.equal(at(500, null), "ping", "after a sleep the line gets its chance");
  assert.equal(at(130, 30, 100), "ping", "an answered ping is done with");
});

test("close codes", () => {
  for (const code of [1000, 1006, 1009, 4000, 4001, 4004]) assert.ok(invitesReconnect(code));
  for (const code of [4500, 4503, 4504, 4999]) assert.ok(!invitesReconnect(code));
});

/** A connection over sockets that do nothing by themselves, under a clock that the test moves. */
function connected(t, closed = () => undefined) {
  mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  t.after(() => mock.timers.reset());
  const all = { sockets: [], states: [], frames: [], now: 0 };
  const makeSocket = () => {
    const socket = { readyState: 1, sent: [], send: (text) => socket.sent.push(JSON.parse(text)), close: () => { socket.isClosed = true; } };
    all.sockets.push(socket);
    return socket;
  };
  const on = { state: (state) => all.states.push(state), frame: (frame) => all.frames.push(frame), closed };
  all.connection = new Connection({ url: "ws://x/ws", token: "t", on, makeSocket, now: () => all.now });
  all.pass = (seconds) => {
    for (let second = 0; second < seconds; second++) {
      all.now += 1_000;
      mock.timers.tick(1_000);
    }
  };
  all.hear = (frame) => all.sockets.at(-1).onmessage({ data: typeof frame === "string" ? frame : JSON.stringify(frame) });
  all.connection.start();
  all.sockets[0].onopen();
  all.hear({ type: "ready", heartbeat_s: 30 });
  return all;
}

test("the token goes in the first frame, and a broken frame ends nothing", (t) => {
  const all = connected(t);
  assert.deepEqual(all.sockets[0].sent, [{ type: "auth", token: "t" }]);
  all.hear("{");
  assert.deepEqual(all.states, ["connecting", "live"]);
  assert.equal(all.frames.length, 1);
});

test("silence is answered by a ping, then by another socket; the old one is heard no more", (t) => {
  const all = connected(t);
  all.pass(31);
  assert.deepEqual(all.sockets[0].sent.at(-1), { type: "ping" });
  all.hear({ type: "pong" });
  all.pass(31);
  assert.equal(all.sockets[0].sent.length, 3);
  all.pass(32);
  assert.equal(all.sockets.length, 2);
  assert.ok(all.sockets[0].isClosed);
  assert.equal(all.sockets[0].onmessage, null);
});

test("reconnect_after_ms is honoured", (t) => {
  const all = connected(t);
  all.hear({ type: "going_away", reconnect_after_ms: 7_000 });
  all.sockets[0].onclose({ code: 4000 });
  all.pass(6);
  assert.equal(all.sockets.length, 1);
  all.pass(1);
  assert.equal(all.sockets.length, 2);
});

test("codes from 4500 on end the attempts", (t) => {
  const refused = connected(t);
  refused.sockets[0].onclose({ code: 4503 });
  refused.pass(60);
  assert.deepEqual([refused.sockets.length, refused.states.at(-1)], [1, "stopped"]);
});

test("a listener's no ends the attempts", (t) => {
  const all = connected(t, () => false);
  all.sockets[0].onclose({ code: 4004 });
  all.pass(60);
  assert.deepEqual([all.sockets.length, all.states.at(-1)], [1, "stopped"]);
});

test("a listener's yes goes on where the code would stop it", (t) => {
  const all = connected(t, () => true);
  all.sockets[0].onclose({ code: 4500 });
  all.connection.renew("u");
  all.sockets[1].onopen();
  assert.deepEqual(all.sockets[1].sent, [{ type: "auth", token: "u" }]);
});

test("a handshake that never ends is given up", (t) => {
  const all = connected(t);
  all.sockets[0].onclose({ code: 1006 });
  all.pass(2);
  assert.equal(all.sockets.length, 2);
  all.pass(19);
  assert.ok(all.sockets.length >= 3);
});

test("back from sleep, a line that doesn't answer within seconds is replaced", (t) => {
  const all = connected(t);
  all.connection.check();
  assert.deepEqual(all.sockets[0].sent.at(-1), { type: "ping" });
  all.pass(7);
  assert.equal(all.sockets.length, 2);
});

test("a ping isn't answered by what was on its way before it", (t) => {
  const all = connected(t);
  all.connection.check();
  all.hear({ type: "synced", room_id: 1 });
  all.pass(7);
  assert.equal(all.sockets.length, 2);
});

test("a line that brings much before the answer to a ping lives", (t) => {
  const all = connected(t);
  all.connection.check();
  for (let second = 0; second < 9; second += 3) {
    all.pass(3);
    all.hear({ type: "synced", room_id: 1 });
  }
  all.hear({ type: "pong" });
  all.pass(20);
  assert.equal(all.sockets.length, 1);
});

test("a newer token goes to the socket that is live, and starts one that waits", (t) => {
  const all = connected(t);
  all.connection.renew("u");
  assert.deepEqual(all.sockets[0].sent.at(-1), { type: "auth", token: "u" });
  all.sockets[0].onclose({ code: 4004 });
  all.connection.renew("v");
  assert.equal(all.sockets.length, 2);
  all.sockets[1].onopen();
  all.connection.renew("w"); // while the other is judged
  all.hear({ type: "ready", heartbeat_s: 30 });
  assert.deepEqual(all.sockets[1].sent.map(({ token }) => token), ["v", "w"]);
});

test("there is no socket before there is a token", (t) => {
  mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  t.after(() => mock.timers.reset());
  const sockets = [];
  const makeSocket = () => sockets.push({ close: () => {} }) && sockets.at(-1);
  const on = { state: () => {}, frame: () => {}, closed: () => true };
  const connection = new Connection({ url: "ws://x/ws", token: null, on, makeSocket });
  connection.start();
  assert.equal(sockets.length, 0);
  connection.renew("t");
  assert.equal(sockets.length, 1);
  connection.stop();
});
