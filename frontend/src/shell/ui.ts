// What is open on the page, beside the address: dialogs and questions, one over the other.

import { createStore, useStore } from "zustand";
import type { UserSummary } from "../protocol/types.ts";

/** What a dialog shows; the address holds rooms, messages and panels. */
export type DialogOf =
  | { kind: "switcher" }
  | { kind: "newRoom" }
  | { kind: "browse" }
  | { kind: "settings"; tab?: "profile" | "security" | "devices" | "invites" | "look" | "notifications" }
  | { kind: "room"; roomId: number }
  | { kind: "invite"; roomId: number }
  | { kind: "keys" }
  | { kind: "person"; user: UserSummary; roomId: number | null }
  | { kind: "reactions"; roomId: number; seq: number }
  | { kind: "confirm"; question: Question };

/** Something that can't be undone asks first. */
export interface Question {
  title: string;
  /** As a function it is read again at each change, while it is shown. */
  text: string | (() => string);
  yes: string;
  isDanger?: boolean;
  /** Whether the question no longer applies. It is read at each change of the state; then the answer is no. */
  isMoot?(): boolean;
  answer(yes: boolean): void;
}

interface Ui {
  dialogs: readonly DialogOf[];
  /** Said once to screen readers. */
  announcement: string;
  toasts: readonly Toast[];
  /** It stays until it is answered. */
  offersNotifications: boolean;
  /** Rises when a message is gone to, also where the address stays the same, and by back and forward. */
  asked: number;
}

export interface Toast {
  id: number;
  text: string;
  action?: { label: string; act(): void };
  /** It stays until it is dismissed. */
  stays: boolean;
}

export const ui = createStore<Ui>(() => ({
  dialogs: [],
  announcement: "",
  toasts: [],
  offersNotifications: false,
  asked: 0,
}));
export const useUi = <T>(select: (state: Ui) => T): T => useStore(ui, select);

export const openDialog = (dialog: DialogOf): void =>
  ui.setState(({ dialogs }) => ({ dialogs: [...dialogs, dialog] }));
export const closeDialog = (dialog: DialogOf): void =>
  ui.setState(({ dialogs }) => ({ dialogs: dialogs.filter((one) => one !== dialog) }));

/** Closes some dialogs. A question among them is answered with no. */
function closeThose(isMeant: (dialog: DialogOf) => boolean): void {
  const meant = ui.getState().dialogs.filter(isMeant);
  for (const dialog of meant) {
    closeDialog(dialog);
    if (dialog.kind === "confirm") dialog.question.answer(false);
  }
}

export function closeTopDialog(): void {
  const top = ui.getState().dialogs.at(-1);
  closeThose((dialog) => dialog === top);
}

/** The room is no longer mine: nothing can be done there. */
export const closeDialogsOf = (roomId: number): void =>
  closeThose((dialog) => "roomId" in dialog && dialog.roomId === roomId);

export const closeDialogs = (): void => closeThose(() => true);

/** The session has ended: what it had open goes with it. */
export function closeAll(): void {
  closeDialogs();
  ui.setState({ toasts: [], announcement: "", offersNotifications: false });
}

/** Asks; answers whether it was confirmed. */
export function confirmed(question: Omit<Question, "answer">): Promise<boolean> {
  return new Promise((resolve) =>
    openDialog({ kind: "confirm", question: { ...question, answer: resolve } }),
  );
}

const TOAST_MS = 7_000;
const TOASTS_MAX = 3;
let lastToast = 0;

/** A short word about what was done, perhaps with a way back. It goes by itself, unless it `stays`. */
export function toast(text: string, action?: Toast["action"], { stays = false } = {}): number {
  const id = ++lastToast;
  ui.setState(({ toasts }) => {
    const all = [...toasts, { id, text, stays, ...(action && { action }) }];
    return { toasts: all.filter((one, index) => one.stays || index >= all.length - TOASTS_MAX) };
  });
  if (!stays) setTimeout(() => dismissToast(id), TOAST_MS);
  return id;
}

export const dismissToast = (id: number): void =>
  ui.setState(({ toasts }) => ({ toasts: toasts.filter((one) => one.id !== id) }));

/** Says it once to screen readers. */
export function announce(text: string): void {
  ui.setState({ announcement: "" });
  setTimeout(() => ui.setState({ announcement: text }), 50);
}
