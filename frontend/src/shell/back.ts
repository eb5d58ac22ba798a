// On a phone, Back closes what is open over the page, and leaves the page where it is. While something is open, the
// history has one entry more, with the same address. It is taken away when nothing is open any more.

import { useEffect } from "react";
import { navigate } from "wouter/use-browser-location";
import { closeMenu, menu } from "./menu.ts";
import { isPhone } from "./phone.ts";
import { closeTopDialog, ui } from "./ui.ts";

/** The entry is being taken away: the browser takes a moment for that. */
let isGoing = false;

const isCovered = (): boolean =>
  isPhone() && (ui.getState().dialogs.length > 0 || menu.getState().open !== null);
const isAtCover = (): boolean => (history.state as { isCover?: boolean } | null)?.isCover === true;

/** Goes to an address, in the place of the entry that is there for something open. `keepsState`: with the state of this one. */
export function go(path: string, { keepsState = false } = {}): void {
  if (isGoing) {
    addEventListener("popstate", () => go(path, { keepsState }), { once: true });
    return;
  }
  const { isCover, ...state } = (history.state ?? {}) as { isCover?: boolean };
  navigate(path, { replace: isCover === true, state: keepsState ? state : null });
}

function settle(): void {
  if (isGoing || isCovered() === isAtCover()) return;
  if (isCovered()) {
    try {
      history.pushState({ ...history.state, isCover: true }, "");
    } catch {
      // Some browsers allow a hundred of these in half a minute: then Back moves the page.
    }
  } else {
    isGoing = true;
    history.back();
  }
}

addEventListener("popstate", () => {
  if (isGoing) {
    isGoing = false;
  } else if (isCovered() && !isAtCover()) {
    if (menu.getState().open) closeMenu();
    else closeTopDialog();
  }
  settle();
});

/** For the page as a whole: after each drawing of what is open, and of another address. */
export const useBackCloses = (): void => useEffect(settle);
