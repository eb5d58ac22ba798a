// What a list and its owner tell each other.

export type Align = "center" | "top";

/** Where a list begins: at the end, at a row in a position, or at a row `offset` px below the top edge of the view. */
export type Start = "end" | { key: string; align: Align } | { key: string; offset: number };

/** What the list shows. */
export interface Source<Item> {
  /** In order, each with a key of its own. Items that are unchanged are the same objects. */
  items: readonly Item[];
  keyOf(item: Item): string;
  /** The height in px of a row that was never measured. */
  estimate(item: Item): number;
  /** Whether more can be loaded at that end. A placeholder stands there. */
  hasOlder: boolean;
  hasNewer: boolean;
}

/** What the owner is told. */
export interface Callbacks {
  /**
   * The placeholder is within two screens. Told again when that end of the items has changed, or when the placeholder
   * has been farther away.
   */
  onOlder(): void;
  onNewer(): void;
  /** Whether the newest item is in view, and new ones are followed. */
  onAtEnd(atEnd: boolean): void;
  /** The first and the last row of which at least half is in view, while the reader rests. */
  onVisible(firstKey: string, lastKey: string): void;
}

/** What the owner can ask for. */
export interface ListHandle {
  scrollToEnd(smooth?: boolean): void;
  /** To a position, or so many px below the top edge of the view. False if there is no such item. */
  scrollToKey(key: string, at: Align | number): boolean;
  /** Brings a row that may have changed its height just now into view, with as little scrolling as possible. */
  showKey(key: string): void;
  isAtEnd(): boolean;
  /** Where the reader is, to be the `start` of a later list. */
  savePlace(): { key: string; offset: number } | "end";
  focusKey(key: string): void;
}
