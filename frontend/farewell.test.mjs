import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Farewell, TRIES_MAX } from "./farewell.js";

/** A farewell whose tries are answered by the test, in order; each pause is the shortest. */
function parting(t) {
  mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => mock.timers.reset());
  const all = { tried: [], heard: [] };
  all.farewell = new Farewell({
    tell: (token) => new Promise((give, refuse) => all.tried.push({ token, give, refuse })),
    on: { told: () => all.heard.push("told"), waiting: () => all.heard.push("waiting"), gaveUp: () => all.heard.push("gave up") },
    random: () => 0,
  });
  const settled = () => new Promise(setImmediate);
  all.answer = () => {
    all.tried.at(-1).give();
    return settled();
  };
  all.refuse = (status) => {
    all.tried.at(-1).refuse(Object.assign(new Error("no"), { status }));
    return settled();
  };
  all.pause = () => mock.timers.tick(500);
  return all;
}

test("a log-out is told again until the server has heard it", async (t) => {
  const all = parting(t);
  all.farewell.begin("a");
  await all.refuse(0);
  assert.deepEqual(all.heard, ["waiting"]);
  all.pause();
  await all.refuse(503);
  all.pause();
  assert.deepEqual(all.tried.map(({ token }) => token), ["a", "a", "a"]);
  await all.answer();
  assert.deepEqual(all.heard, ["waiting", "waiting", "told"]);
  all.pause();
  all.farewell.wake();
  assert.equal(all.tried.length, 3);
});

test("there is nothing to tell of a log-in that is over", async (t) => {
  for (const status of [400, 401, 403]) {
    const all = parting(t);
    all.farewell.begin();
    await all.refuse(status);
    assert.deepEqual(all.heard, ["told"]);
    mock.timers.reset();
  }
});

test("the tries end, and begin anew when the network is back", async (t) => {
  const all = parting(t);
  all.farewell.begin("a");
  for (let tries = 1; tries < TRIES_MAX; tries++) {
    await all.refuse(0);
    all.pause();
  }
  await all.refuse(0);
  assert.equal(all.heard.at(-1), "gave up");
  all.pause();
  assert.equal(all.tried.length, TRIES_MAX);
  all.farewell.wake();
  assert.equal(all.tried.length, TRIES_MAX + 1);
  await all.answer();
  assert.equal(all.heard.at(-1), "told");
});

test("who logs in waits for the try on its way, and ends what follows", async (t) => {
  const all = parting(t);
  all.farewell.begin("a");
  let waited = false;
  const last = all.farewell.rest().then(() => { waited = true; });
  await new Promise(setImmediate);
  assert.deepEqual([all.tried.length, waited], [1, false]);
  await all.refuse(0);
  await last;
  all.farewell.stop();
  all.pause();
  all.farewell.wake();
  await all.farewell.now();
  assert.deepEqual([all.tried.length, all.heard], [1, ["waiting"]]);
});

test("while somebody logs in nothing is tried, and who fails to goes on with it", async (t) => {
  const all = parting(t);
  all.farewell.begin("a");
  const resting = all.farewell.rest();
  await all.refuse(0);
  await resting;
  all.pause();
  assert.equal(all.tried.length, 1);
  all.farewell.wake();
  assert.equal(all.tried.length, 2);
});
