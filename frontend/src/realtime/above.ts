// Messages above my marker that have something in common: they mention me, or they are deleted (PROTOCOL.md section 5.4).
// What is kept is facts about seqs, each from its `rev` on, so that nothing counts twice in whatever order they come.
// Lists name the newest hundred; of older ones only the number is known.

interface Fact {
  rev: number;
  on: boolean;
}

/** All of it as plain data, for another tab or for the cache. */
export interface AboveState {
  facts: [seq: number, fact: Fact][];
  rev: number;
  older: number;
  olderBelow: number;
}

export class Above {
  /** By seq: whether it is one of them, and as of when that is known. */
  readonly #facts: Map<number, Fact>;
  /** Of the newest list. */
  #rev: number;
  /** How many more there are, below the list's first seq. */
  #older: number;
  #olderBelow: number;

  constructor(
    { facts, rev, older, olderBelow }: AboveState = { facts: [], rev: 0, older: 0, olderBelow: Infinity },
  ) {
    this.#facts = new Map(facts);
    this.#rev = rev;
    this.#older = older;
    this.#olderBelow = olderBelow;
  }

  get state(): AboveState {
    return { facts: [...this.#facts], rev: this.#rev, older: this.#older, olderBelow: this.#olderBelow };
  }

  /** As it was at `rev`: so many in all, of which these are the newest. */
  told(rev: number, count: number, seqs: readonly number[]): void {
    if (rev < this.#rev) return;
    this.#rev = rev;
    for (const [seq, fact] of this.#facts) if (fact.rev <= rev) this.#facts.delete(seq);
    for (const seq of seqs) if (!this.#facts.has(seq)) this.#facts.set(seq, { rev, on: true });
    this.#older = Math.max(0, count - seqs.length);
    this.#olderBelow = Math.min(...seqs, Infinity);
  }

  note(seq: number, rev: number, on: boolean): void {
    const isCounted = rev <= this.#rev && seq < this.#olderBelow && this.#older > 0;
    const known = this.#facts.get(seq);
    if (!isCounted && !(known && known.rev > rev)) this.#facts.set(seq, { rev, on });
  }

  /** Whether a change of a message may have changed how many older ones there are: nothing tells if it was counted. */
  isDoubtful(seq: number, rev: number): boolean {
    return rev > this.#rev && seq < this.#olderBelow && this.#older > 0;
  }

  raise(marker: number): void {
    for (const seq of this.#facts.keys()) if (seq <= marker) this.#facts.delete(seq);
    if (marker + 1 >= this.#olderBelow) this.#older = 0;
  }

  /** Of the older ones only a count of all tells how many are left. */
  atMost(count: number): void {
    const listed = [...this.#facts.values()].filter((fact) => fact.on).length;
    this.#older = Math.min(this.#older, Math.max(0, count - listed));
  }

  /** How many are above a marker that may be ahead of the one that was told. */
  count(marker: number): number {
    const listed = [...this.#facts].filter(([seq, fact]) => fact.on && seq > marker).length;
    return listed + (marker + 1 >= this.#olderBelow ? 0 : this.#older);
  }
}
