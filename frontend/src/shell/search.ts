// What is sought: it stays while one looks at what was found.

import { createStore, useStore } from "zustand";

interface Sought {
  query: string;
  isHere: boolean;
  from: string;
  /** Days, as 2026-11-03; "": no bound. */
  since: string;
  until: string;
}

const NOTHING: Sought = { query: "", isHere: true, from: "", since: "", until: "" };

export const search = createStore<Sought>(() => NOTHING);
export const useSearch = (): Sought => useStore(search);
export const setSearch = (change: Partial<Sought>): void => search.setState(change);
export const forgetSearch = (): void => search.setState(NOTHING);
