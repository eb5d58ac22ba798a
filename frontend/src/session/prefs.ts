// What is set in this browser, kept in local storage, alike in all tabs: its own settings, and those of whoever is logged in.

import { createStore, useStore } from "zustand";
import { kept } from "./marks.ts";

const KEY = "hearth.prefs";
const REACTIONS_MAX = 6;

export interface Prefs {
  scheme: "auto" | "light" | "dark";
  /** What Enter does in the box; "auto": it sends with a keyboard, and breaks the line on touch. */
  enter: "auto" | "sends" | "breaks";
  sound: boolean;
  notifications: boolean;
  /** They were offered once. */
  notificationsOffered: boolean;
  /** Sections of the list that are folded. */
  folded: readonly string[];
}

/** The settings of an account. Its log-out deletes them. */
interface OwnPrefs {
  favourites: readonly number[];
  /** The emoji used last, the newest first. */
  reactions: readonly string[];
  /** Messages from which on a room is to count as unread in this browser, by room; the server's markers only rise. */
  unreadFrom: Readonly<Record<number, number>>;
}

const USUAL: Prefs = {
  scheme: "auto",
  enter: "auto",
  sound: true,
  notifications: true,
  notificationsOffered: false,
  folded: [],
};

const USUAL_OWN: OwnPrefs = {
  favourites: [],
  reactions: ["👍", "❤️", "😂", "🎉", "🙏", "👀"],
  unreadFrom: {},
};

function read<T extends object>(key: string, usual: T): T {
  const held = kept.get<Partial<T>>(key);
  return held !== null && typeof held === "object" ? { ...usual, ...held } : usual;
}

export const prefs = createStore<Prefs>(() => read(KEY, USUAL));
export const usePrefs = <T>(select: (state: Prefs) => T): T => useStore(prefs, select);

export function setPrefs(change: Partial<Prefs>): void {
  prefs.setState(change);
  kept.set(KEY, prefs.getState());
}

export const ownPrefs = createStore<OwnPrefs>(() => USUAL_OWN);
export const useOwnPrefs = <T>(select: (state: OwnPrefs) => T): T => useStore(ownPrefs, select);
/** Of who is logged in; null: nobody is. */
let ownKey: string | null = null;

export function takeUpOwnPrefs(account: string): void {
  ownKey = `${KEY}.${account}`;
  ownPrefs.setState(read(ownKey, USUAL_OWN), true);
}

/** The session has ended. `forget`: nothing of it is left in storage. */
export function leaveOwnPrefs({ forget }: { forget: boolean }): void {
  if (forget && ownKey !== null) kept.remove(ownKey);
  ownKey = null;
  ownPrefs.setState(USUAL_OWN, true);
}

function setOwnPrefs(change: Partial<OwnPrefs>): void {
  if (ownKey === null) return;
  ownPrefs.setState(change);
  kept.set(ownKey, ownPrefs.getState());
}

const toggled = <T>(held: readonly T[], item: T): T[] =>
  held.includes(item) ? held.filter((one) => one !== item) : [...held, item];

export const toggleFolded = (section: string): void =>
  setPrefs({ folded: toggled(prefs.getState().folded, section) });
export const toggleFavourite = (roomId: number): void =>
  setOwnPrefs({ favourites: toggled(ownPrefs.getState().favourites, roomId) });

/** Counts the room as unread from this message on, until it is opened again; null: no longer. */
export function setUnreadFrom(roomId: number, seq: number | null): void {
  const { [roomId]: held, ...others } = ownPrefs.getState().unreadFrom;
  if (seq !== null) setOwnPrefs({ unreadFrom: { ...others, [roomId]: seq } });
  else if (held !== undefined) setOwnPrefs({ unreadFrom: others });
}

export function usedReaction(emoji: string): void {
  const others = ownPrefs.getState().reactions.filter((one) => one !== emoji);
  setOwnPrefs({ reactions: [emoji, ...others].slice(0, REACTIONS_MAX) });
}

addEventListener("storage", ({ key }) => {
  if (key === KEY) prefs.setState(read(KEY, USUAL));
  else if (key !== null && key === ownKey) ownPrefs.setState(read(key, USUAL_OWN));
});

// ---- the colour scheme: one attribute, which the tokens of styles.css read

const dark = matchMedia("(prefers-color-scheme: dark)");

function dress(): void {
  const { scheme } = prefs.getState();
  const isDark = scheme === "dark" || (scheme === "auto" && dark.matches);
  document.documentElement.dataset.scheme = isDark ? "dark" : "light";
  document.querySelector('meta[name="theme-color"]')?.setAttribute("content", isDark ? "#12181b" : "#f2f5f5");
}

dark.addEventListener("change", dress);
prefs.subscribe(dress);
dress();

// ---- what Enter does

const coarse = matchMedia("(pointer: coarse)");

/** Whether Enter alone sends; then Shift+Enter breaks the line, and otherwise the other way about. */
export function enterSends(): boolean {
  const { enter } = prefs.getState();
  return enter === "auto" ? !coarse.matches : enter === "sends";
}
