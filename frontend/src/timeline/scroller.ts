// What the list does with the page. React draws the model's layout; nothing here creates an element.
//
// The place of the reader is the end, or a row at an offset from the top edge of the view. Whatever changes the layout
// (rows that come, go or grow, the size of the view) is followed by `settle`, which puts the place back before the
// browser paints. Only a scroll by the reader or a call of the handle changes the place.

import { type Layout, Model } from "./model.ts";
import { Page } from "./page.ts";
import type { Align, Callbacks, ListHandle, Source, Start } from "./source.ts";

type Input<Item> = Source<Item> & Callbacks;

const REST_MS = 150;
/** So long after the reader's wheel, key or press a scroll is theirs. */
const MOVES_MS = 500;
const GLIDE_MS_MAX = 1_000;
const NEAR_SCREENS = 2;
const PAGE_SCREENS = 0.9;

export class Scroller<Item> implements ListHandle {
  private readonly model: Model<Item>;
  private next: Input<Item> | null = null; // is taken in the next frame
  private frame = 0;
  private listener: () => void = () => {};

  private connected: Page | null = null;
  private drawn: Layout<Item> | null = null; // what the page shows
  private readonly rows = new Map<string, HTMLElement>();
  private readonly observer = new ResizeObserver((entries) => this.resized(entries));
  private scrollTop = 0; // as settled or last seen
  private sizes = ""; // of the content and the view, as settled
  private settled = { height: 0, isAtEnd: false }; // the view
  private isTouched = false;
  private movedAt = Number.NEGATIVE_INFINITY; // when the reader last used wheel, keys or pointer
  private glide: ReturnType<typeof setTimeout> | undefined; // the deadline of a smooth scroll to the end
  private rest: ReturnType<typeof setTimeout> | undefined;
  private focusing: string | null = null; // the row to focus once it is mounted
  private told: { isAtEnd: boolean | null; visible: string } = { isAtEnd: null, visible: "" };
  private near: { older: boolean; newer: boolean } = { older: false, newer: false };

  constructor(
    private input: Input<Item>,
    start: Start,
  ) {
    this.model = new Model(input, start);
  }

  // --- for the component ---

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listener = listener;
    return () => {
      this.listener = () => {};
    };
  };

  readonly layout = (): Layout<Item> => this.model.layout;

  /** The height to reserve for a row until it is laid out. */
  readonly reserve = (index: number): number => this.model.heights.of(index);

  /** The ref of every row. */
  readonly attach = (row: HTMLElement | null) => {
    if (!row) return;
    const key = row.dataset.key ?? "";
    this.rows.set(key, row);
    this.observer.observe(row, { box: "border-box" });
    return () => {
      if (this.rows.get(key) === row) this.rows.delete(key);
      this.observer.unobserve(row);
    };
  };

  connect(element: HTMLElement): () => void {
    this.connected = new Page(element);
    const listening = new AbortController();
    const options = { passive: true, signal: listening.signal };
    const lifted = (event: Event) => {
      this.isTouched = event instanceof TouchEvent && event.touches.length > 0;
      if (this.isTouched) return;
      this.scrolled();
      this.settle();
    };
    element.addEventListener("scroll", () => this.scrolled(), options);
    element.addEventListener("scrollend", () => this.land(), options);
    const touched = ({ target }: TouchEvent) => {
      this.isTouched = true;
      // If what is touched is removed meanwhile, the end of the touch comes to it alone.
      target?.addEventListener("touchend", lifted, options);
      target?.addEventListener("touchcancel", lifted, options);
    };
    element.addEventListener("touchstart", touched, options);
    const moves = (): void => {
      this.movedAt = performance.now();
    };
    for (const kind of ["wheel", "keydown", "pointerdown"] as const)
      element.addEventListener(kind, moves, options);
    this.observer.observe(element);
    return () => {
      listening.abort();
      this.observer.unobserve(element);
      cancelAnimationFrame(this.frame);
      clearTimeout(this.glide);
      clearTimeout(this.rest);
      this.frame = 0;
      this.glide = this.rest = undefined;
      this.isTouched = false;
      this.connected = this.drawn = null;
    };
  }

  /** Takes what the owner has now. Many calls within a frame cost one layout. */
  update(input: Input<Item>): void {
    const { input: now } = this;
    const isSame =
      input.items === now.items && input.hasOlder === now.hasOlder && input.hasNewer === now.hasNewer;
    if (isSame && !this.next) {
      this.input = input;
      return;
    }
    this.next = input;
    this.frame ||= requestAnimationFrame(() => this.take());
  }

  /** The page shows a layout: puts the place back and focuses the row that waits for it. */
  shown(layout: Layout<Item>): void {
    this.drawn = layout;
    this.settle();
    const row = this.focusing === null ? undefined : this.rows.get(this.focusing);
    this.focusing = null;
    row?.focus({ preventScroll: true });
    this.tell();
    this.ask();
    this.restLater(false);
  }

  // --- the handle ---

  scrollToEnd(isSmooth = false): void {
    this.take();
    const { model, page } = this;
    model.place = "end";
    if (!page) return;
    const isShort = page.rest > 1 && page.rest <= NEAR_SCREENS * page.height;
    if (isSmooth && isShort && !matchMedia("(prefers-reduced-motion: reduce)").matches) {
      clearTimeout(this.glide);
      this.glide = setTimeout(() => this.land(), GLIDE_MS_MAX);
      page.element.scrollTo({ top: page.element.scrollHeight, behavior: "smooth" });
      this.tell();
    } else {
      this.go(model.count - 1);
    }
  }

  scrollToKey(key: string, at: Align | number): boolean {
    this.take();
    const index = this.model.indexOf(key);
    if (index < 0) return false;
    const place = typeof at === "number" ? { offset: at, align: null } : { offset: 0, align: at };
    this.model.place = { key, index, ...place };
    this.go(index);
    return true;
  }

  showKey(key: string): void {
    this.take();
    this.settle();
    const index = this.model.indexOf(key);
    if (index >= 0) this.reveal(index, key);
  }

  isAtEnd(): boolean {
    return this.model.place === "end" && !this.input.hasNewer;
  }

  savePlace(): { key: string; offset: number } | "end" {
    const { place } = this.model;
    // The place may still be a row while the end is in view: it becomes the end only when the list rests.
    const isAtEnd = place === "end" || (this.settled.isAtEnd && !this.input.hasNewer);
    return isAtEnd ? "end" : { key: place.key, offset: place.offset };
  }

  focusKey(key: string): void {
    this.take();
    const index = this.model.indexOf(key);
    if (index >= 0) this.focus(index);
  }

  // --- the keyboard ---

  /** Moves the focus from row to row, or scrolls by a page. False if the key isn't for the list. */
  key(name: string, target: Element): boolean {
    const { page, model } = this;
    const row = page?.rowOf(target) ?? null;
    if (!page || (target !== page.element && target !== row)) return false;
    const index = model.mounted.get(row?.dataset.key ?? "");
    const last = model.count - 1;
    if (name === "ArrowDown") this.focus(index === undefined ? model.view.from : Math.min(index + 1, last));
    else if (name === "ArrowUp") this.focus(index === undefined ? model.view.to - 1 : Math.max(index - 1, 0));
    else if (name === "Home") this.focus(0);
    else if (name === "End") this.focus(last);
    else if (name === "PageUp") page.element.scrollTop -= PAGE_SCREENS * page.height;
    else if (name === "PageDown") page.element.scrollTop += PAGE_SCREENS * page.height;
    else return false;
    return true;
  }

  /** Focuses a row and brings it into view, with as little scrolling as possible. */
  private focus(index: number): void {
    const { model, page } = this;
    const key = model.keyAt(index);
    if (key === null || !page) return;
    const row = this.rows.get(key);
    if (row) row.focus({ preventScroll: true });
    else this.focusing = key;
    this.reveal(index, key);
  }

  private reveal(index: number, key: string): void {
    const { model, page } = this;
    const row = this.rows.get(key);
    if (!row || !page) {
      model.place = { key, index, offset: 0, align: "center" };
      this.go(index);
      return;
    }
    const now = page.offsetOf(row);
    const offset = Math.max(0, Math.min(now, page.height - row.getBoundingClientRect().height));
    if (index === model.count - 1 && !this.input.hasNewer) model.place = "end";
    else if (offset !== now) model.place = { key, index, offset, align: null };
    this.settle();
    this.tell();
  }

  // --- the place ---

  private take(): void {
    const { next, model, input: old } = this;
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    if (!next) return;
    this.scrolled();
    this.next = null;
    this.input = next;
    // Messages that are missing after the end must not move the reader when they are loaded, nor may new messages move
    // the edit box that they are writing in.
    const written = model.place === "end" ? this.page?.written : null;
    if (written) this.hold(written);
    else if (model.place === "end" && next.hasNewer && !old.hasNewer) this.takePlace();
    const [first, last] = [model.keyAt(0), model.keyAt(model.count - 1)];
    const isNew = model.replace(next, this.held());
    if (model.keyAt(0) !== first) this.near.older = false;
    if (model.keyAt(model.count - 1) !== last) this.near.newer = false;
    if (isNew) this.listener();
  }

  /** Mounts the window around an item and puts the place there. */
  private go(index: number): void {
    this.land();
    if (this.model.look(this.model.around(index), this.held())) this.listener();
    else this.shown(this.model.layout);
  }

  /** Puts the place back where it was. */
  private settle(): void {
    const { page, model } = this;
    const { place } = model;
    if (!page) return;
    const { element } = page;
    const row = place === "end" ? undefined : this.rows.get(place.key);
    if (place === "end") {
      // Neither a smooth scroll nor a finger is worked against.
      if (!this.glide && !this.isTouched && page.rest > 0.5) element.scrollTop = element.scrollHeight;
    } else if (row) {
      if (place.align === "top") place.offset = 0;
      if (place.align === "center") {
        place.offset = Math.max(0, (page.height - row.getBoundingClientRect().height) / 2);
      }
      const off = page.offsetOf(row) - place.offset;
      if (Math.abs(off) > 0.75) {
        element.scrollTop += off;
        // An end of the content may be in the way. What is less than a pixel is rounding, and is not added up.
        const left = page.offsetOf(row) - place.offset;
        if (Math.abs(left) >= 1) place.offset += left;
      }
    }
    this.scrollTop = element.scrollTop;
    this.sizes = page.sizes;
    this.settled = { height: page.height, isAtEnd: page.rest <= 1 };
  }

  /** Handles a scroll, at its event or earlier: the page moves first, and the event comes with the next frame. */
  private scrolled(): void {
    const { page, model } = this;
    if (!page || this.drawn !== model.layout) return;
    const { place } = model;
    const by = page.element.scrollTop - this.scrollTop;
    if (by === 0) return; // the echo of what was written here
    if (place === "end") {
      // Content that shrinks makes scrollTop fall, too; and rows that a reader comes to may change their heights.
      const isMoving = this.isTouched || performance.now() - this.movedAt < MOVES_MS;
      const isByReader = by < 0 && (isMoving || this.sizes === page.sizes);
      this.scrollTop = page.element.scrollTop;
      if (page.rest > 1 && isByReader) {
        this.settled.isAtEnd = false;
        this.takePlace();
        this.land();
      } else {
        this.settle();
      }
    } else {
      // What the layout has moved since it was settled is put back before the new place is taken.
      place.offset -= by;
      place.align = null;
      this.settle();
      this.takePlace();
      if (by > 0) this.arrive();
    }
    this.tell();
    this.track();
    this.restLater(true);
  }

  /** The place is the first row in view. */
  private takePlace(): void {
    const found = this.find(0.5);
    const key = found && this.model.keyAt(found.index);
    if (found && key !== null) this.model.place = { key, ...found, align: null };
  }

  private hold(row: HTMLElement): void {
    const { page, model } = this;
    const key = row.dataset.key ?? "";
    const index = model.mounted.get(key);
    if (page && index !== undefined) model.place = { key, index, offset: page.offsetOf(row), align: null };
  }

  /** Who has come to the end stays there. */
  private arrive(): void {
    if (this.page && this.page.rest <= 1 && !this.input.hasNewer) this.model.place = "end";
  }

  /** A smooth scroll has come to its end or its deadline, or is given up. */
  private land(): void {
    if (!this.glide) return;
    clearTimeout(this.glide);
    this.glide = undefined;
    this.settle();
  }

  /** Looks what is in view, moves the window after it and asks for more near its ends. */
  private track(): void {
    const { page, model } = this;
    if (!page) return;
    const first = this.find(0.5);
    const last = this.find(page.height - 0.5);
    if (!first || !last) return;
    const view = { from: first.index, to: Math.max(first.index, last.index) + 1 };
    if (model.look(view, this.held())) this.listener();
    this.ask();
  }

  private resized(entries: readonly ResizeObserverEntry[]): void {
    const { model } = this;
    if (!this.page) return;
    for (const { target, borderBoxSize } of entries) {
      const key = target instanceof HTMLElement ? target.dataset.key : undefined;
      const index = key === undefined ? undefined : model.mounted.get(key);
      const height = borderBoxSize[0]?.blockSize;
      if (index !== undefined && height !== undefined) model.heights.set(index, height);
    }
    // An end that was in view stays in view when the height changes, as by a phone's keyboard, even before the list rests.
    const { height, isAtEnd } = this.settled;
    if (isAtEnd && height !== this.page.height && model.count > 0 && !this.input.hasNewer)
      model.place = "end";
    // Nothing is mounted here, as the observer would report a loop. That waits for the rest.
    if (this.drawn === model.layout) this.settle();
    this.restLater(false);
  }

  // --- what the owner is told ---

  private tell(): void {
    const isAtEnd = this.isAtEnd();
    if (isAtEnd === this.told.isAtEnd) return;
    this.told.isAtEnd = isAtEnd;
    this.input.onAtEnd(isAtEnd);
  }

  private ask(): void {
    const { page, input, near: was } = this;
    const [older, newer] = [page?.element.firstElementChild, page?.element.lastElementChild];
    if (!page || !older || !newer) return;
    const reach = NEAR_SCREENS * page.height;
    const near = {
      older: input.hasOlder && page.offsetOf(older) + older.getBoundingClientRect().height > -reach,
      newer: input.hasNewer && page.offsetOf(newer) < page.height + reach,
    };
    this.near = near;
    if (near.older && !was.older) input.onOlder();
    if (near.newer && !was.newer) input.onNewer();
  }

  private restLater(isScrolling: boolean): void {
    if (this.rest && !isScrolling) return;
    clearTimeout(this.rest);
    this.rest = setTimeout(() => this.rested(), REST_MS);
  }

  private rested(): void {
    this.rest = undefined;
    const { page, model, rows } = this;
    if (!page || this.drawn !== model.layout) return;
    this.scrolled();
    if (model.place !== "end") model.place.align = null;
    if (model.count > 0) this.arrive();
    this.tell();
    this.track();
    const keys: string[] = [];
    for (let i = model.view.from; i < model.view.to; i += 1) {
      const key = model.keyAt(i) ?? "";
      const row = rows.get(key);
      if (row && page.isSeen(row)) keys.push(key);
    }
    const [first, last] = [keys[0], keys.at(-1)];
    if (first === undefined || last === undefined || this.told.visible === `${first}\n${last}`) return;
    this.told.visible = `${first}\n${last}`;
    this.input.onVisible(first, last);
  }

  // --- looking things up ---

  private find(y: number): { index: number; offset: number } | null {
    const { page, drawn, model } = this;
    return page && drawn === model.layout ? page.itemAt(y, drawn.parts, model.heights) : null;
  }

  /** The page, unless the list isn't displayed: without a layout nothing is to be learned from it. */
  private get page(): Page | null {
    return this.connected && this.connected.height > 0 ? this.connected : null;
  }

  private held() {
    return this.connected?.held(this.model.mounted) ?? [];
  }
}
