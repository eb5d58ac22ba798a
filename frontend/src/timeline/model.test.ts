import { describe, expect, it } from "vitest";
import { Model } from "./model.ts";
import type { Source, Start } from "./source.ts";
import type { Range } from "./window.ts";

interface Item {
  id: number;
}

const items = (from: number, to: number): Item[] =>
  Array.from({ length: to - from }, (_, i) => ({ id: from + i }));

function source(items: readonly Item[], more: Partial<Source<Item>> = {}): Source<Item> {
  return {
    items,
    keyOf: ({ id }) => `m${id}`,
    estimate: () => 50,
    hasOlder: false,
    hasNewer: false,
    ...more,
  };
}

const model = (count: number, start: Start = "end") => new Model(source(items(0, count)), start);

/** The height of everything, which must not change with what is mounted. */
const total = ({ layout: { parts, gaps } }: Model<Item>) =>
  gaps.reduce((sum, gap) => sum + gap, 0) + parts.reduce((sum, { from, to }) => sum + 50 * (to - from), 0);

/** Looks until the window has all its rows. */
function rest(model: Model<Item>, view: Range, kept: readonly Range[] = []): void {
  while (model.look(view, kept));
}

describe("a model", () => {
  it("begins at the end, at a row, or at the end if there is no such row", () => {
    expect(model(1_000).layout.parts).toEqual([{ from: 940, to: 1_000 }]);
    expect(model(0).place).toBe("end");
    expect(model(1_000, { key: "m500", align: "top" }).place).toMatchObject({ index: 500, align: "top" });
    expect(model(1_000, { key: "m500", offset: 12 }).place).toMatchObject({
      index: 500,
      offset: 12,
      align: null,
    });
    expect(model(1_000, { key: "gone", align: "top" }).place).toBe("end");
  });

  it("waits with its start while there are no items", () => {
    const empty = model(0, { key: "m3", align: "center" });
    expect(empty.replace(source(items(0, 10)), [])).toBe(true);
    expect(empty.place).toMatchObject({ key: "m3", index: 3, align: "center" });
  });

  it("keeps the row of its place through any change", () => {
    const reading = model(1_000, { key: "m500", offset: 12 });
    reading.replace(source(items(-50, 1_010)), []);
    expect(reading.place).toMatchObject({ key: "m500", index: 550, offset: 12 });
    reading.replace(source(items(100, 1_010)), []);
    expect(reading.place).toMatchObject({ key: "m500", index: 400, offset: 12 });
    reading.replace(source([...items(100, 500), ...items(502, 1_010)]), []);
    expect(reading.place).toMatchObject({ key: "m502", index: 400, offset: 112 });
    reading.replace(source(items(300, 400)), []);
    expect(reading.place).toMatchObject({ key: "m399", index: 99 });
    reading.replace(source(items(2_000, 2_100)), []);
    expect(reading.place).toBe("end");
  });

  it("mounts what is kept, and leaves gaps of the right height between", () => {
    const reading = model(5_000, { key: "m2500", align: "top" });
    expect(total(reading)).toBe(250_000);
    rest(reading, { from: 2_500, to: 2_510 }, [{ from: 10, to: 12 }]);
    expect(reading.layout.parts).toEqual([
      { from: 10, to: 12 },
      { from: 2_355, to: 2_655 },
    ]);
    expect(reading.layout.gaps).toEqual([500, 2_343 * 50, 2_345 * 50]);
    expect(total(reading)).toBe(250_000);
    expect(reading.mounted.get("m11")).toBe(11);
    reading.replace(source(items(-5, 5_000)), [{ from: 10, to: 12 }]);
    expect(reading.layout.parts[0]).toEqual({ from: 15, to: 17 });
  });

  it("makes no new layout when nothing changed", () => {
    const reading = model(5_000, { key: "m2500", align: "top" });
    rest(reading, { from: 2_500, to: 2_510 });
    const { layout } = reading;
    expect(reading.look({ from: 2_520, to: 2_530 }, [])).toBe(false);
    expect(reading.layout).toBe(layout);
  });

  it("shows a placeholder at an end that has more", () => {
    const reading = new Model(source(items(0, 100), { hasOlder: true }), "end");
    expect(reading.layout).toMatchObject({ older: 1_000, newer: 0 });
    expect(reading.replace(source(items(0, 100), { hasNewer: true }), [])).toBe(true);
    expect(reading.layout).toMatchObject({ older: 0, newer: 1_000 });
  });

  it("keeps measured heights", () => {
    const reading = model(100);
    reading.heights.set(40, 500);
    reading.replace(source([{ id: -1 }, ...items(0, 20), ...items(30, 101)]), []);
    expect(reading.indexOf("m40")).toBe(31);
    expect(reading.heights.of(31)).toBe(500);
    expect(reading.heights.top(92)).toBe(91 * 50 + 500);
  });
});
