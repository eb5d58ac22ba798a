// What is set for this browser: kept in local storage, alike in all tabs.

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
  favourites: [],
  reactions: ["👍", "❤️", "😂", "🎉", "🙏", "👀"],
  unreadFrom: {},
};

const read = (): Prefs => {
  const held = kept.get<Partial<Prefs>>(KEY);
  return held !== null && typeof held === "object" ? { ...USUAL, ...held } : USUAL;
};

export const prefs = createStore<Prefs>(read);
export const usePrefs = <T>(select: (state: Prefs) => T): T => useStore(prefs, select);

export function setPrefs(change: Partial<Prefs>): void {
  prefs.setState(change);
  kept.set(KEY, prefs.getState());
}

export function toggleIn<K extends "folded" | "favourites">(key: K, item: Prefs[K][number]): void {
  const held = prefs.getState()[key] as readonly unknown[];
  setPrefs({ [key]: held.includes(item) ? held.filter((one) => one !== item) : [...held, item] });
}

/** Counts the room as unread from this message on, until it is opened again; null: no longer. */
export function setUnreadFrom(roomId: number, seq: number | null): void {
  const { [roomId]: held, ...others } = prefs.getState().unreadFrom;
  if (seq !== null) setPrefs({ unreadFrom: { ...others, [roomId]: seq } });
  else if (held !== undefined) setPrefs({ unreadFrom: others });
}

export function usedReaction(emoji: string): void {
  const others = prefs.getState().reactions.filter((one) => one !== emoji);
  setPrefs({ reactions: [emoji, ...others].slice(0, REACTIONS_MAX) });
}

addEventListener("storage", ({ key }) => {
  if (key === KEY) prefs.setState(read());
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
