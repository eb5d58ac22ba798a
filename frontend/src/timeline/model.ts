// What the list holds, without the page: the items and their heights, the place of the reader, and the layout that
// follows from them.

import type { Align, Source, Start } from "./source.ts";
import { compare, equal, Heights, moved, movedRange, type Range, slide, survivor, union } from "./window.ts";

/** What is kept where it is: the end, or a row `offset` px below the top edge. `align` says what the offset shall be. */
export type Place = "end" | { key: string; index: number; offset: number; align: Align | null };

/** What is drawn: the mounted ranges of `items`, and the heights of the gaps before, between and after them. */
export interface Layout<Item> {
  readonly items: readonly Item[];
  readonly keyOf: (item: Item) => string;
  readonly parts: readonly Range[];
  /** One more than there are parts. */
  readonly gaps: readonly number[];
  /** The heights of the placeholders, 0 for none. */
  readonly older: number;
  readonly newer: number;
}

const PLACEHOLDER_ROWS = 20;
const PLACEHOLDER_ROW_PX = 48; // while no row is known

export class Model<Item> {
  readonly heights = new Heights();
  place: Place;
  layout: Layout<Item>;
  /** The items that were in view when the page was last looked at. */
  view: Range = { from: 0, to: 0 };
  private range: Range = { from: 0, to: 0 };
  private indexes: Map<string, number> | null = null; // of the mounted rows, made when needed

  constructor(
    private source: Source<Item>,
    start: Start,
  ) {
    this.heights.replace(0, 0, source.items.map(source.estimate));
    this.place = start === "end" ? "end" : { index: -1, offset: 0, align: null, ...start };
    this.findPlace();
    this.layout = this.arrange([]);
  }

  get count(): number {
    return this.source.items.length;
  }

  keyAt(index: number): string | null {
    const item = this.source.items[index];
    return item === undefined ? null : this.source.keyOf(item);
  }

  indexOf(key: string): number {
    const { items, keyOf } = this.source;
    return this.mounted.get(key) ?? items.findIndex((item) => keyOf(item) === key);
  }

  /** The indexes of the mounted rows. */
  get mounted(): ReadonlyMap<string, number> {
    if (this.indexes) return this.indexes;
    this.indexes = new Map();
    for (const { from, to } of this.layout.parts) {
      for (let i = from; i < to; i += 1) this.indexes.set(this.keyAt(i) ?? "", i);
    }
    return this.indexes;
  }

  /** Takes other items; `kept` are rows to keep mounted. True if there is a new layout. */
  replace(next: Source<Item>, kept: readonly Range[]): boolean {
    const old = this.source;
    this.source = next;
    let stay = kept;
    if (old.items !== next.items) {
      const change = compare(old.items, next.items, next.keyOf);
      const { head, tail, after } = change;
      const heights = next.items.slice(head, after - tail).map(next.estimate);
      change.middle.forEach((to, i) => {
        if (to >= 0) heights[to - head] = this.heights.of(head + i);
      });
      if (this.place !== "end" && this.place.index >= 0) {
        const { index } = this.place;
        const stays = survivor(change, index);
        if (stays === index) {
          this.place = { ...this.place, index: moved(change, index) };
        } else {
          // The row is gone. Its neighbour stays where it was.
          const offset = this.place.offset + this.heights.top(stays) - this.heights.top(index);
          this.place = { key: "", index: stays < 0 ? -1 : moved(change, stays), offset, align: null };
        }
      }
      this.heights.replace(head, tail, heights);
      this.view = movedRange(change, this.view);
      this.range = movedRange(change, this.range);
      stay = kept.map((range) => movedRange(change, range));
    }
    this.findPlace();
    return this.redraw(stay);
  }

  /** The window follows what is in view. True if there is a new layout. */
  look(view: Range, kept: readonly Range[]): boolean {
    this.view = view;
    return this.redraw(kept);
  }

  /** As many items as are in view now, around `index`. */
  around(index: number): Range {
    const { count } = this;
    const seen = Math.max(1, this.view.to - this.view.from);
    const from = Math.max(0, Math.min(index - (seen >> 1), count - seen));
    return { from, to: Math.min(count, from + seen) };
  }

  /** Finds the item of a place that names only its key or its index. A place that isn't there becomes the end. */
  private findPlace(): void {
    if (this.place !== "end" && this.count > 0) {
      const { index, key } = this.place;
      const { items, keyOf } = this.source;
      const at = index >= 0 ? index : items.findIndex((item) => keyOf(item) === key);
      const found = this.keyAt(at);
      this.place = found === null ? "end" : { ...this.place, key: found, index: at };
    }
    if (this.place === "end") this.view = this.around(this.count);
    else if (this.view.to <= this.view.from) this.view = this.around(this.place.index);
  }

  private redraw(kept: readonly Range[]): boolean {
    const { layout: old } = this;
    const layout = this.arrange(kept);
    const same =
      layout.items === old.items &&
      equal(layout.parts, old.parts) &&
      layout.older > 0 === old.older > 0 &&
      layout.newer > 0 === old.newer > 0;
    if (same) return false;
    this.layout = layout;
    this.indexes = null;
    return true;
  }

  private arrange(kept: readonly Range[]): Layout<Item> {
    const { items, keyOf, hasOlder, hasNewer } = this.source;
    const { heights, count } = this;
    this.range = slide(this.range, this.view, count);
    const parts = union([this.range, ...kept]);
    const gaps: number[] = [];
    let from = 0;
    for (const part of [...parts, { from: count, to: count }]) {
      gaps.push(heights.top(part.from) - heights.top(from));
      from = part.to;
    }
    const row = count > 0 ? Math.round(heights.top(count) / count) : PLACEHOLDER_ROW_PX;
    const placeholder = PLACEHOLDER_ROWS * row;
    return {
      items,
      keyOf,
      parts,
      gaps,
      older: hasOlder ? placeholder : 0,
      newer: hasNewer ? placeholder : 0,
    };
  }
}
