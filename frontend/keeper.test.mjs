import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Keeper, endBy } from "./keeper.js";

/** A keeper under a clock that the test moves; its exchanges are answered by the test, in order. */
function kept(t) {
  mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => mock.timers.reset());
  const all = { now: 0, asked: [], fresh: [], waits: 0, ended: [] };
  all.keeper = new Keeper({
    exchange: () => new Promise((give, refuse) => all.asked.push({ give, refuse })),
    on: {
      fresh: ({ access_token }) => all.fresh.push(access_token),
      waiting: () => { all.waits += 1; },
      ended: (reason) => all.ended.push(reason),
    },
    now: () => all.now,
    random: () => 0, // each pause is the shortest
  });
  all.pass = (ms) => {
    all.now += ms;
    mock.timers.tick(ms);
  };
  const settled = () => new Promise(setImmediate);
  all.answer = (access_token, expires_in = 60) => {
    all.asked.at(-1).give({ access_token, expires_in });
    return settled();
  };
  all.refuse = (status) => {
    all.asked.at(-1).refuse(Object.assign(new Error("no"), { status }));
    return settled();
  };
  return all;
}

test("a newer token is got at three quarters of each life", async (t) => {
  const all = kept(t);
  all.keeper.hold({ access_token: "a", expires_in: 60 });
  all.pass(44_999);
  assert.equal(all.asked.length, 0);
  all.pass(1);
  assert.equal(all.asked.length, 1);
  await all.answer("b", 20);
  assert.deepEqual([all.fresh, all.keeper.token], [["b"], "b"]);
  all.pass(15_000);
  assert.equal(all.asked.length, 2);
});

test("all who ask at once share one exchange, and who holds an old token gets the newest at once", async (t) => {
  const all = kept(t);
  all.keeper.hold({ access_token: "a", expires_in: 60 });
  const asked = [all.keeper.newerThan("a"), all.keeper.newerThan("a")];
  assert.equal(all.asked.length, 1);
  await all.answer("b");
  assert.deepEqual(await Promise.all(asked), ["b", "b"]);
  assert.equal(await all.keeper.newerThan("a"), "b");
  assert.equal(all.asked.length, 1);
});

test("a timer that slept too long is made up for when the tab wakes", (t) => {
  const all = kept(t);
  all.keeper.hold({ access_token: "a", expires_in: 60 });
  all.now = 30_000;
  all.keeper.wake();
  assert.equal(all.asked.length, 0, "it is fresh");
  all.now = 500_000;
  all.keeper.wake();
  all.keeper.wake();
  assert.equal(all.asked.length, 1);
});

test("a timer can't be set beyond 24 days, and a token may live longer", (t) => {
  const all = kept(t);
  all.keeper.hold({ access_token: "a", expires_in: 40 * 86_400 });
  all.pass(2 ** 31 - 1);
  assert.equal(all.asked.length, 0);
  all.pass(30 * 86_400_000 - 2 ** 31 + 1);
  assert.equal(all.asked.length, 1);
});

test("without an answer it goes on trying: at once, then as reconnects do", async (t) => {
  const all = kept(t);
  all.keeper.wake();
  await all.refuse(0);
  all.pass(0);
  assert.equal(all.asked.length, 2, "a lost answer is given again for seconds");
  await all.refuse(503);
  all.pass(499);
  assert.equal(all.asked.length, 2);
  all.pass(1);
  assert.equal(all.asked.length, 3);
  await all.refuse(429);
  all.keeper.wake();
  assert.equal(all.asked.length, 4, "the tab woke");
  await all.answer("a");
  all.pass(10_000);
  assert.deepEqual([all.waits, all.fresh, all.ended, all.asked.length], [3, ["a"], [], 4]);
});

test("an exchange that was asked for early, and failed, is tried again before the token ends", async (t) => {
  const all = kept(t);
  all.keeper.hold({ access_token: "a", expires_in: 600 });
  const asked = assert.rejects(all.keeper.newerThan("a"));
  await all.refuse(503);
  await asked;
  assert.equal(all.keeper.token, "a");
  all.pass(500);
  assert.equal(all.asked.length, 2);
});

test("who is told that the log-in is over asks no more", async (t) => {
  const all = kept(t);
  all.keeper.wake();
  await all.refuse(401);
  all.pass(60_000);
  all.keeper.wake();
  assert.deepEqual([all.asked.length, all.ended, all.waits], [1, ["over"], 0]);
});

test("for a token that isn't known there is one exchange, until one works", async (t) => {
  const all = kept(t);
  all.keeper.hold({ access_token: "a", expires_in: 60 });
  assert.ok(all.keeper.doubt("a"));
  assert.ok(all.keeper.doubt("a"), "its answer is on its way");
  await all.answer("b");
  assert.deepEqual([all.asked.length, all.fresh], [1, ["b"]]);
  assert.ok(!all.keeper.doubt("b"));
  all.keeper.trust();
  assert.ok(all.keeper.doubt("b"));
  await all.answer("c");
  assert.deepEqual(all.fresh, ["b", "c"]);
});

test("an answer that comes after the end begins nothing", async (t) => {
  const all = kept(t);
  all.keeper.wake();
  all.keeper.stop();
  await all.answer("a");
  all.pass(60_000);
  assert.deepEqual([all.fresh, all.asked.length, all.keeper.token], [[], 1, null]);
});

test("what the answers say of a log-in", () => {
  assert.equal(endBy({ status: 401 }), "over");
  assert.equal(endBy({ status: 400 }), "over", "no cookie any more");
  assert.equal(endBy({ status: 403 }), "forbidden");
  for (const status of [0, undefined, 429, 500, 502, 503]) assert.equal(endBy({ status }), null);
});
