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
export const isAtCover = (): boolean => (history.state as { isCover?: boolean } | null)?.isCover === true;

/** Whether the history moves only because something that was open is closed. */
export const isUncovering = (): boolean => isGoing || (isCovered() && !isAtCover());

/** Goes to an address, with a state; where something is open, in the place of its entry. */
export function go(path: string, state: object | null, { replace = false } = {}): void {
  if (isGoing) {
    addEventListener("popstate", () => go(path, state, { replace }), { once: true });
    return;
  }
  navigate(path, { replace: replace || isAtCover(), state: state && { ...state, isCover: undefined } });
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
  } else if (isUncovering()) {
    if (menu.getState().open) closeMenu();
    else closeTopDialog();
  }
  settle();
});

/** For the page as a whole: after each drawing of what is open, and of another address. */
export const useBackCloses = (): void => useEffect(settle);
