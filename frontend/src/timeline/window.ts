// The arithmetic of the list: heights, what changed between two states of the items, and which rows are mounted.

/** Indexes from `from` up to, but not including, `to`. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** How many rows the window has at most. */
export const ROWS_MAX = 300;
/** How many are mounted at first somewhere else, so that it shows soon. */
const ROWS_FIRST = 60;
/** By how many the window then grows at a time, so that a key that is pressed meanwhile doesn't wait for all. */
const ROWS_STEP = 24;
/** How many rows outside the window are kept for the selection. */
export const KEPT_MAX = 80;

/** The heights of all items in px, measured or estimated, and the sums that place them. */
export class Heights {
  private heights: number[] = [];
  private tops: number[] = [0];
  private summed = 0; // tops[0..=summed] are right

  get count(): number {
    return this.heights.length;
  }

  of(index: number): number {
    return this.heights[index] ?? 0;
  }

  set(index: number, height: number): void {
    if (index < 0 || index >= this.count || this.heights[index] === height) return;
    this.heights[index] = height;
    this.summed = Math.min(this.summed, index);
  }

  /** Replaces what stands between the first `head` and the last `tail` items. */
  replace(head: number, tail: number, middle: readonly number[]): void {
    const { heights } = this;
    if (tail === 0) {
      heights.length = head;
      for (const height of middle) heights.push(height);
    } else {
      this.heights = heights.slice(0, head).concat(middle, heights.slice(heights.length - tail));
    }
    this.tops.length = Math.min(this.tops.length, this.count + 1);
    this.summed = Math.min(this.summed, head);
  }

  /** The sum of the heights before `index`. */
  top(index: number): number {
    const to = Math.max(0, Math.min(index, this.count));
    let top = this.tops[Math.min(this.summed, to)] ?? 0;
    while (this.summed < to) {
      top += this.of(this.summed);
      this.summed += 1;
      this.tops[this.summed] = top;
    }
    return top;
  }

  /** The item at the offset `y`; the nearest one if `y` is outside. */
  at(y: number): number {
    this.top(this.count);
    let low = 0;
    let high = Math.max(0, this.count - 1);
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.top(middle) <= y) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** Where the items of an old state are in a new one. */
export interface Change {
  /** How many items at the start are in both. */
  readonly head: number;
  /** How many items at the end are in both. */
  readonly tail: number;
  readonly before: number;
  readonly after: number;
  /** The new index of each old item between them, -1 if it is gone. */
  readonly middle: readonly number[];
}

/** Compares two states. What is added at the ends or replaced in place costs a comparison per item and no allocation. */
export function compare<Item>(
  old: readonly Item[],
  next: readonly Item[],
  keyOf: (item: Item) => string,
): Change {
  const before = old.length;
  const after = next.length;
  const same = (a: Item | undefined, b: Item | undefined) =>
    a === b || (a !== undefined && b !== undefined && keyOf(a) === keyOf(b));
  const shorter = Math.min(before, after);
  let head = 0;
  while (head < shorter && same(old[head], next[head])) head += 1;
  let tail = 0;
  while (tail < shorter - head && same(old[before - 1 - tail], next[after - 1 - tail])) tail += 1;
  const places = new Map<string, number>();
  if (before > head + tail) {
    next.slice(head, after - tail).forEach((item, i) => {
      places.set(keyOf(item), head + i);
    });
  }
  const middle = old.slice(head, before - tail).map((item) => places.get(keyOf(item)) ?? -1);
  return { head, tail, before, after, middle };
}

/** The new index of an old item, -1 if it is gone. */
export function moved(change: Change, index: number): number {
  if (index < change.head) return index;
  if (index >= change.before - change.tail) return index + change.after - change.before;
  return change.middle[index - change.head] ?? -1;
}

/** The old index of the item next to `index`, or itself, that is still there: a later one if possible; -1 if none is. */
export function survivor(change: Change, index: number): number {
  for (let i = index; i < change.before; i += 1) if (moved(change, i) >= 0) return i;
  for (let i = index - 1; i >= 0; i -= 1) if (moved(change, i) >= 0) return i;
  return -1;
}

/** The range in the new state that has the same items, without those that are gone. */
export function movedRange(change: Change, range: Range): Range {
  const first = survivor(change, range.from);
  if (first < 0 || range.to <= range.from) return { from: 0, to: 0 };
  let last = range.to - 1;
  while (last > first && moved(change, last) < 0) last -= 1;
  const from = moved(change, first);
  return { from, to: Math.max(from, moved(change, Math.max(first, last))) + 1 };
}

/**
 * The window for what is in view: the same one as long as it has its rows, and enough of them on both sides; else one with
 * the view in its middle, and a step larger until it has all.
 */
export function slide(range: Range, view: Range, count: number): Range {
  const seen = Math.min(view.to - view.from, ROWS_MAX);
  const mounted = range.to - range.from;
  // A new window has half of its spare rows on each side. Moved at a third, it moves by a sixth of them at a time.
  const margin = Math.floor((ROWS_MAX - seen) / 3);
  const holds =
    range.from <= Math.max(0, view.from - margin) &&
    range.to >= Math.min(count, view.from + seen + margin) &&
    range.to <= count &&
    mounted <= ROWS_MAX &&
    mounted > Math.min(count - 1, ROWS_MAX - ROWS_STEP);
  if (holds) return range;
  const isFar = view.from >= range.to || view.to <= range.from;
  const size = isFar ? Math.max(ROWS_FIRST, seen) : Math.min(ROWS_MAX, Math.max(mounted, seen) + ROWS_STEP);
  const from = Math.max(0, Math.min(view.from - ((size - seen) >> 1), count - size));
  return { from, to: Math.min(count, from + size) };
}

/** The rows to mount: the window and what is kept outside it, in order and joined where they touch. */
export function union(ranges: readonly Range[]): Range[] {
  const sorted = ranges.filter((range) => range.to > range.from).sort((a, b) => a.from - b.from);
  const parts: Range[] = [];
  for (const range of sorted) {
    const last = parts.at(-1);
    if (last && range.from <= last.to) {
      parts[parts.length - 1] = { from: last.from, to: Math.max(last.to, range.to) };
    } else {
      parts.push(range);
    }
  }
  return parts;
}

/** Whether two lists of ranges are the same. */
export function equal(a: readonly Range[], b: readonly Range[]): boolean {
  return a.length === b.length && a.every((range, i) => range.from === b[i]?.from && range.to === b[i]?.to);
}

/** What is kept of a selection from one row to another: all of it, or only its ends if it is long. */
export function keptOfSelection(first: number, last: number): Range[] {
  if (last - first < KEPT_MAX) return [{ from: first, to: last + 1 }];
  return [
    { from: first, to: first + 1 },
    { from: last, to: last + 1 },
  ];
}
