// Messages above my marker that have something in common: they mention me, or they are deleted (rule 8 of PROTOCOL.md).
// What is kept is facts about seqs, each from its `rev` on, so that nothing counts twice in whatever order they come. Lists
// name the newest hundred; of older ones only the number is known.

export class Above {
  constructor() {
    this.facts = new Map(); // seq → {rev, on}: whether it is one of them, and as of when that is known
    this.rev = 0; // of the newest list
    this.older = 0; // how many more there are, below the list's first seq
    this.olderBelow = Infinity;
  }

  /** As it was at `rev`: so many in all, of which these are the newest. */
  told(rev, count, seqs) {
    if (rev < this.rev) return;
    this.rev = rev;
    for (const [seq, fact] of this.facts) if (fact.rev <= rev) this.facts.delete(seq);
    for (const seq of seqs) if (!this.facts.has(seq)) this.facts.set(seq, { rev, on: true });
    this.older = Math.max(0, count - seqs.length);
    this.olderBelow = Math.min(...seqs, Infinity);
  }

  note(seq, rev, on) {
    const isCounted = rev <= this.rev && seq < this.olderBelow && this.older > 0;
    if (!isCounted && !(this.facts.get(seq)?.rev > rev)) this.facts.set(seq, { rev, on });
  }

  raise(marker) {
    for (const seq of this.facts.keys()) if (seq <= marker) this.facts.delete(seq);
    if (marker + 1 >= this.olderBelow) this.older = 0;
  }

  /** Of the older ones only a count of all tells how many are left. */
  atMost(count) {
    const listed = [...this.facts.values()].filter((fact) => fact.on).length;
    this.older = Math.min(this.older, Math.max(0, count - listed));
  }

  /** How many are above a marker that may be ahead of the one that was told. */
  count(marker) {
    const listed = [...this.facts].filter(([seq, fact]) => fact.on && seq > marker).length;
    return listed + (marker + 1 >= this.olderBelow ? 0 : this.older);
  }
}
