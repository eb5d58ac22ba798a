import { describe, expect, it } from "vitest";
import {
  compare,
  Heights,
  KEPT_MAX,
  keptOfSelection,
  moved,
  movedRange,
  ROWS_MAX,
  slide,
  survivor,
  union,
} from "./window.ts";

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

/** A small generator, so that a failure can be repeated. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state % below;
  };
}

describe("Heights", () => {
  it("agrees with sums that are added up one by one, whatever is set and replaced", () => {
    const pick = random(7);
    const heights = new Heights();
    let model: number[] = [];
    for (let round = 0; round < 400; round += 1) {
      if (model.length > 0 && pick(2) === 0) {
        const index = pick(model.length);
        model[index] = pick(200);
        heights.set(index, model[index] ?? 0);
      } else {
        const head = pick(model.length + 1);
        const tail = pick(model.length - head + 1);
        const middle = numbers(0, pick(8)).map(() => pick(200));
        model = [...model.slice(0, head), ...middle, ...model.slice(model.length - tail)];
        heights.replace(head, tail, middle);
      }
      const index = pick(model.length + 1);
      const top = (to: number) => model.slice(0, to).reduce((sum, height) => sum + height, 0);
      expect(heights.count).toBe(model.length);
      expect(heights.top(index)).toBe(top(index));
      expect(heights.top(model.length)).toBe(top(model.length));
      const y = pick(top(model.length) + 1);
      const at = heights.at(y);
      if (y < top(model.length)) {
        expect(top(at)).toBeLessThanOrEqual(y);
        expect(top(at + 1)).toBeGreaterThan(y);
      }
    }
  });

  it("answers for offsets and indexes outside", () => {
    const heights = new Heights();
    expect([heights.at(5), heights.top(3), heights.of(0)]).toEqual([0, 0, 0]);
    heights.replace(0, 0, [10, 20, 30]);
    heights.set(7, 99);
    heights.set(-1, 99);
    expect([heights.at(-5), heights.at(1_000), heights.top(-1), heights.top(9)]).toEqual([0, 2, 0, 60]);
  });
});

describe("compare", () => {
  const keyOf = (item: number) => `k${item % 1_000}`; // 1005 is 5, edited

  it.each([
    ["nothing", [1, 2, 3], [1, 2, 3], [0, 1, 2]],
    ["appended", [1, 2], [1, 2, 3, 4], [0, 1]],
    ["prepended", [3, 4], [1, 2, 3, 4], [2, 3]],
    ["both", [3, 4], [1, 3, 4, 5], [1, 2]],
    ["edited", [1, 2, 3], [1, 1002, 3], [0, 1, 2]],
    ["removed", [1, 2, 3], [1, 3], [0, -1, 1]],
    ["moved", [1, 2, 3, 4], [1, 3, 2, 4], [0, 2, 1, 3]],
    ["trimmed at one end while it grows at the other", [1, 2, 3, 4], [3, 4, 5], [-1, -1, 0, 1]],
    ["replaced", [1, 2], [8, 9], [-1, -1]],
    ["emptied", [1, 2], [], [-1, -1]],
    ["filled", [], [1, 2], []],
  ])("finds each item again: %s", (_, old, next, indexes) => {
    const change = compare(old, next, keyOf);
    expect(old.map((_, index) => moved(change, index))).toEqual(indexes);
  });

  it("finds them again after any change", () => {
    const pick = random(3);
    for (let round = 0; round < 300; round += 1) {
      const old = numbers(0, 30).filter(() => pick(3) > 0);
      const next = numbers(0, 30).filter(() => pick(3) > 0);
      const change = compare(old, next, keyOf);
      expect(old.map((_, index) => moved(change, index))).toEqual(old.map((item) => next.indexOf(item)));
    }
  });

  it("doesn't take long for 50,000 items that change at both ends and in between", () => {
    const old = numbers(0, 50_000).map((id) => ({ id }));
    const next = [{ id: -1 }, ...old.slice(0, 25_000), ...old.slice(25_001), { id: 50_000 }];
    const change = compare(old, next, ({ id }) => `k${id}`);
    expect(moved(change, 49_999)).toBe(49_999);
    expect(moved(change, 25_000)).toBe(-1);
  });

  it("finds a neighbour for what is gone", () => {
    const change = compare([1, 2, 3, 4, 5], [1, 4], keyOf);
    expect([0, 1, 2, 3, 4].map((index) => survivor(change, index))).toEqual([0, 3, 3, 3, 3]);
    expect(survivor(compare([1, 2], [], keyOf), 0)).toBe(-1);
    expect(movedRange(change, { from: 1, to: 5 })).toEqual({ from: 1, to: 2 });
    expect(movedRange(change, { from: 0, to: 3 })).toEqual({ from: 0, to: 1 });
    expect(movedRange(compare([1], [2], keyOf), { from: 0, to: 1 })).toEqual({ from: 0, to: 0 });
  });
});

describe("slide", () => {
  it("keeps a window that has rows to spare", () => {
    const range = { from: 400, to: 700 };
    expect(slide(range, { from: 540, to: 560 }, 5_000)).toBe(range);
    expect(slide(range, { from: 505, to: 520 }, 5_000)).toBe(range);
    expect(slide(range, { from: 494, to: 509 }, 5_000)).toEqual({ from: 352, to: 652 });
  });

  it("ends where the items end", () => {
    expect(slide({ from: 0, to: 20 }, { from: 10, to: 20 }, 20)).toEqual({ from: 0, to: 20 });
    expect(slide({ from: 700, to: 1_000 }, { from: 990, to: 1_000 }, 1_003)).toEqual({
      from: 703,
      to: 1_003,
    });
    expect(slide({ from: 0, to: 0 }, { from: 0, to: 0 }, 0)).toEqual({ from: 0, to: 0 });
    expect(slide({ from: 700, to: 1_000 }, { from: 0, to: 1 }, 10)).toEqual({ from: 0, to: 10 });
  });

  it("begins small somewhere else, and grows by steps", () => {
    const view = { from: 2_000, to: 2_010 };
    const first = slide({ from: 4_700, to: 5_000 }, view, 5_000);
    expect(first).toEqual({ from: 1_975, to: 2_035 });
    const sizes: number[] = [];
    for (let range = first, old = { from: 0, to: 0 }; range !== old; ) {
      sizes.push(range.to - range.from);
      [old, range] = [range, slide(range, view, 5_000)];
    }
    expect(sizes).toEqual([60, 84, 108, 132, 156, 180, 204, 228, 252, 276, 300]);
  });

  it("isn't moved by a row that is gone", () => {
    const range = { from: 400, to: 699 };
    expect(slide(range, { from: 505, to: 520 }, 4_999)).toBe(range);
  });

  it("covers the view with at most its number of rows, and holds still where it has come", () => {
    const pick = random(11);
    for (let round = 0; round < 2_000; round += 1) {
      const count = 1 + pick(2_000);
      const from = pick(count);
      const view = { from, to: Math.min(count, from + 1 + pick(round % 2 ? 30 : 400)) };
      const start = pick(count);
      let range = { from: start, to: Math.min(count, start + pick(ROWS_MAX)) };
      for (let step = 0; step < 15; step += 1) range = slide(range, view, count);
      expect(range.to - range.from).toBeLessThanOrEqual(ROWS_MAX);
      expect(range.from).toBeLessThanOrEqual(view.from);
      expect(range.to).toBeGreaterThanOrEqual(Math.min(view.to, view.from + ROWS_MAX));
      expect(slide(range, view, count)).toBe(range);
    }
  });
});

describe("union", () => {
  it("sorts, joins and leaves out what is empty", () => {
    expect(union([])).toEqual([]);
    expect(
      union([
        { from: 50, to: 60 },
        { from: 10, to: 20 },
        { from: 20, to: 25 },
        { from: 12, to: 14 },
        { from: 40, to: 40 },
      ]),
    ).toEqual([
      { from: 10, to: 25 },
      { from: 50, to: 60 },
    ]);
  });
});

describe("keptOfSelection", () => {
  it("keeps all of a short selection and the ends of a long one", () => {
    expect(keptOfSelection(5, 5)).toEqual([{ from: 5, to: 6 }]);
    expect(keptOfSelection(5, 4 + KEPT_MAX)).toEqual([{ from: 5, to: 5 + KEPT_MAX }]);
    expect(keptOfSelection(5, 4_000)).toEqual([
      { from: 5, to: 6 },
      { from: 4_000, to: 4_001 },
    ]);
  });
});
