import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { endBy, type FreshTokens, Keeper } from "./keeper.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A keeper under a clock that the test moves; its exchanges are answered by the test, in order. */
function kept() {
  const asked: { give(tokens: FreshTokens): void; refuse(problem: unknown): void }[] = [];
  const heard = { fresh: [] as string[], waits: 0, ended: [] as string[] };
  let now = 0;
  const keeper = new Keeper<FreshTokens>({
    exchange: () => new Promise((give, refuse) => void asked.push({ give, refuse })),
    on: {
      fresh: ({ access_token }) => void heard.fresh.push(access_token),
      waiting: () => {
        heard.waits += 1;
      },
      ended: (reason) => void heard.ended.push(reason),
    },
    now: () => now,
    random: () => 0, // each pause is the shortest
  });
  const settled = () => vi.advanceTimersByTimeAsync(0);
  return {
    keeper,
    asked,
    heard,
    pass: (ms: number) => {
      now += ms;
      vi.advanceTimersByTime(ms);
    },
    setNow: (ms: number) => {
      now = ms;
    },
    answer: (access_token: string, expires_in = 60) => {
      asked.at(-1)?.give({ access_token, expires_in });
      return settled();
    },
    refuse: (status: number) => {
      asked.at(-1)?.refuse(Object.assign(new Error("no"), { status }));
      return settled();
    },
  };
}

test("a newer token is got at three quarters of each life", async () => {
  const { keeper, asked, heard, pass, answer } = kept();
  keeper.hold({ access_token: "a", expires_in: 60 });
  pass(44_999);
  expect(asked.length).toBe(0);
  pass(1);
  expect(asked.length).toBe(1);
  await answer("b", 20);
  expect([heard.fresh, keeper.token]).toEqual([["b"], "b"]);
  pass(15_000);
  expect(asked.length).toBe(2);
});

test("all who ask at once share one exchange, and who holds an old token gets the newest at once", async () => {
  const { keeper, asked, answer } = kept();
  keeper.hold({ access_token: "a", expires_in: 60 });
  const both = [keeper.newerThan("a"), keeper.newerThan("a")];
  expect(asked.length).toBe(1);
  await answer("b");
  expect(await Promise.all(both)).toEqual(["b", "b"]);
  expect(await keeper.newerThan("a")).toBe("b");
  expect(asked.length).toBe(1);
});

test("a timer that slept too long is made up for when the tab wakes", () => {
  const { keeper, asked, setNow } = kept();
  keeper.hold({ access_token: "a", expires_in: 60 });
  setNow(30_000);
  keeper.wake();
  expect(asked.length, "it is fresh").toBe(0);
  setNow(500_000);
  keeper.wake();
  keeper.wake();
  expect(asked.length).toBe(1);
});

test("a timer can't be set beyond 24 days, and a token may live longer", () => {
  const { keeper, asked, pass } = kept();
  keeper.hold({ access_token: "a", expires_in: 40 * 86_400 });
  pass(2 ** 31 - 1);
  expect(asked.length).toBe(0);
  pass(30 * 86_400_000 - 2 ** 31 + 1);
  expect(asked.length).toBe(1);
});

test("without an answer it goes on trying: at once, then as reconnects do", async () => {
  const { keeper, asked, heard, pass, answer, refuse } = kept();
  keeper.wake();
  await refuse(0);
  pass(0);
  expect(asked.length, "a lost answer is given again for seconds").toBe(2);
  await refuse(503);
  pass(499);
  expect(asked.length).toBe(2);
  pass(1);
  expect(asked.length).toBe(3);
  await refuse(429);
  keeper.wake();
  expect(asked.length, "the tab woke").toBe(4);
  await answer("a");
  pass(10_000);
  expect([heard.waits, heard.fresh, heard.ended, asked.length]).toEqual([3, ["a"], [], 4]);
});

test("an exchange that was asked for early, and failed, is tried again before the token ends", async () => {
  const { keeper, asked, pass, refuse } = kept();
  keeper.hold({ access_token: "a", expires_in: 600 });
  const early = expect(keeper.newerThan("a")).rejects.toThrow();
  await refuse(503);
  await early;
  expect(keeper.token).toBe("a");
  pass(500);
  expect(asked.length).toBe(2);
});

test("who is told that the session is over asks no more", async () => {
  const { keeper, asked, heard, pass, refuse } = kept();
  keeper.wake();
  await refuse(401);
  pass(60_000);
  keeper.wake();
  expect([asked.length, heard.ended, heard.waits]).toEqual([1, ["over"], 0]);
});

test("for a token that isn't known there is one exchange, until one works", async () => {
  const { keeper, asked, heard, answer } = kept();
  keeper.hold({ access_token: "a", expires_in: 60 });
  expect(keeper.doubt("a")).toBe(true);
  expect(keeper.doubt("a"), "its answer is on its way").toBe(true);
  await answer("b");
  expect([asked.length, heard.fresh]).toEqual([1, ["b"]]);
  expect(keeper.doubt("b")).toBe(false);
  keeper.trust();
  expect(keeper.doubt("b")).toBe(true);
  await answer("c");
  expect(heard.fresh).toEqual(["b", "c"]);
});

test("an answer that comes after the end begins nothing", async () => {
  const { keeper, asked, heard, pass, answer } = kept();
  keeper.wake();
  keeper.stop();
  await answer("a");
  pass(60_000);
  expect([heard.fresh, asked.length, keeper.token]).toEqual([[], 1, null]);
});

test("what the answers say of a session", () => {
  expect(endBy({ status: 401 })).toBe("over");
  expect(endBy({ status: 400 }), "no cookie any more").toBe("over");
  expect(endBy({ status: 403 })).toBe("forbidden");
  for (const status of [0, undefined, 429, 500, 502, 503]) expect(endBy({ status })).toBe(null);
});
