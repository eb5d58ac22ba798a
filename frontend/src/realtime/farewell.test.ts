import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Farewell, TRIES_MAX } from "./farewell.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A farewell whose tries are answered by the test, in order; each pause is the shortest. */
function parting() {
  const tried: { token: string | null; give(): void; refuse(problem: unknown): void }[] = [];
  const heard: string[] = [];
  const farewell = new Farewell({
    tell: (token) => new Promise<void>((give, refuse) => void tried.push({ token, give, refuse })),
    on: {
      told: () => void heard.push("told"),
      waiting: () => void heard.push("waiting"),
      gaveUp: () => void heard.push("gave up"),
    },
    random: () => 0,
  });
  return {
    farewell,
    tried,
    heard,
    answer: async () => {
      tried.at(-1)?.give();
      await vi.advanceTimersByTimeAsync(0);
    },
    refuse: async (status: number) => {
      tried.at(-1)?.refuse(Object.assign(new Error("no"), { status }));
      await vi.advanceTimersByTimeAsync(0);
    },
    pause: () => void vi.advanceTimersByTime(500),
  };
}

test("a log-out is told again until the server has heard it", async () => {
  const { farewell, tried, heard, answer, refuse, pause } = parting();
  farewell.begin("a");
  await refuse(0);
  expect(heard).toEqual(["waiting"]);
  pause();
  await refuse(503);
  pause();
  expect(tried.map(({ token }) => token)).toEqual(["a", "a", "a"]);
  await answer();
  expect(heard).toEqual(["waiting", "waiting", "told"]);
  pause();
  farewell.wake();
  expect(tried.length).toBe(3);
});

test.each([400, 401, 403])("there is nothing to tell of a session that is over (%i)", async (status) => {
  const { farewell, heard, refuse } = parting();
  farewell.begin();
  await refuse(status);
  expect(heard).toEqual(["told"]);
});

test("the tries end, and begin anew when the network is back", async () => {
  const { farewell, tried, heard, answer, refuse, pause } = parting();
  farewell.begin("a");
  for (let tries = 1; tries < TRIES_MAX; tries++) {
    await refuse(0);
    pause();
  }
  await refuse(0);
  expect(heard.at(-1)).toBe("gave up");
  pause();
  expect(tried.length).toBe(TRIES_MAX);
  farewell.wake();
  expect(tried.length).toBe(TRIES_MAX + 1);
  await answer();
  expect(heard.at(-1)).toBe("told");
});

test("who logs in waits for the try on its way, and ends what follows", async () => {
  const { farewell, tried, heard, refuse, pause } = parting();
  farewell.begin("a");
  let waited = false;
  const last = farewell.rest().then(() => {
    waited = true;
  });
  await vi.advanceTimersByTimeAsync(0);
  expect([tried.length, waited]).toEqual([1, false]);
  await refuse(0);
  await last;
  farewell.stop();
  pause();
  farewell.wake();
  await farewell.now();
  expect([tried.length, heard]).toEqual([1, ["waiting"]]);
});

test("while somebody logs in nothing is tried, and who fails to goes on with it", async () => {
  const { farewell, tried, refuse, pause } = parting();
  farewell.begin("a");
  const resting = farewell.rest();
  await refuse(0);
  await resting;
  pause();
  expect(tried.length).toBe(1);
  farewell.wake();
  expect(tried.length).toBe(2);
});
