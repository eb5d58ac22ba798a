// What the list reads from the page: where its rows are, and which of them hold the focus or the selection.

import type { Heights, Range } from "./window.ts";
import { keptOfSelection } from "./window.ts";

/** An item, and how far below the top edge of the view it begins. */
export interface Found {
  readonly index: number;
  readonly offset: number;
}

/** The rows of a scrolling element. Offsets are in px below the top edge of its view. */
export class Page {
  constructor(readonly element: HTMLElement) {}

  /** How far it could be scrolled further. */
  get rest(): number {
    const { scrollHeight, clientHeight, scrollTop } = this.element;
    return scrollHeight - clientHeight - scrollTop;
  }

  get height(): number {
    return this.element.clientHeight;
  }

  /** The sizes of the content and of the view, to see whether they changed. */
  get sizes(): string {
    return `${this.element.scrollHeight} ${this.element.clientHeight}`;
  }

  offsetOf(row: Element): number {
    return row.getBoundingClientRect().top - this.edge();
  }

  /** Whether at least half of a row is in view, or half of the view is filled by it. */
  isSeen(row: Element): boolean {
    const { height } = row.getBoundingClientRect();
    const offset = this.offsetOf(row);
    const seen = Math.min(offset + height, this.height) - Math.max(offset, 0);
    return seen > 0 && seen >= Math.min(height, this.height) / 2;
  }

  /** The row that holds a node. */
  rowOf(node: Node | null): HTMLElement | null {
    const element = node instanceof Element ? node : (node?.parentElement ?? null);
    return element && this.element.contains(element) ? element.closest<HTMLElement>("li[data-key]") : null;
  }

  /** The row in view in which the reader is writing. */
  get written(): HTMLElement | null {
    const row = this.rowOf(document.activeElement);
    if (!row?.querySelector("textarea")) return null;
    const { top, bottom } = row.getBoundingClientRect();
    const edge = this.edge();
    return bottom > edge && top < edge + this.height ? row : null;
  }

  /** The rows that hold the focus or the selection, by their indexes. */
  held(indexes: ReadonlyMap<string, number>): Range[] {
    const indexOf = (node: Node | null) => indexes.get(this.rowOf(node)?.dataset.key ?? "") ?? -1;
    const ranges: Range[] = [];
    const focused = indexOf(document.activeElement);
    if (focused >= 0) ranges.push({ from: focused, to: focused + 1 });
    const selection = document.getSelection();
    if (selection && !selection.isCollapsed) {
      const ends = [indexOf(selection.anchorNode), indexOf(selection.focusNode)].filter(
        (index) => index >= 0,
      );
      if (ends.length > 0) ranges.push(...keptOfSelection(Math.min(...ends), Math.max(...ends)));
    }
    return ranges;
  }

  /** The item at `y`, or the nearest one. In a gap its place is calculated from the heights. */
  itemAt(y: number, parts: readonly Range[], heights: Heights): Found | null {
    const { count } = heights;
    const { children } = this.element;
    const edge = this.edge();
    let child = 0;
    let high = children.length - 1;
    while (child < high) {
      const middle = (child + high) >> 1;
      const bottom = children[middle]?.getBoundingClientRect().bottom ?? 0;
      if (bottom - edge > y) high = middle;
      else child = middle + 1;
    }
    const rect = children[child]?.getBoundingClientRect();
    if (!rect || count === 0) return null;
    const offset = rect.top - edge;
    if (child === 0) return { index: 0, offset: offset + rect.height };
    // The children are a placeholder, a gap before each part and one after the last, and a placeholder.
    let gap = 1;
    let from = 0;
    for (const part of [...parts, { from: count, to: count }]) {
      if (child === gap && part.from > from) {
        const start = heights.top(from);
        const index = Math.max(from, Math.min(heights.at(start + y - offset), part.from - 1));
        return { index, offset: offset + heights.top(index) - start };
      }
      const index = part.from + child - gap - 1;
      if (index >= part.from && index < part.to) return { index, offset };
      gap += part.to - part.from + 1;
      from = part.to;
    }
    return { index: count - 1, offset: offset - heights.of(count - 1) };
  }

  private edge(): number {
    return this.element.getBoundingClientRect().top + this.element.clientTop;
  }
}
