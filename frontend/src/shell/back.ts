// Navigation closes the open dialogs and menus (overlays). On a phone, Back closes the one on top and leaves the
// page where it is: while an overlay is open, the history has one more entry, with the same address. The entry is removed
// when the last overlay is closed.

import { useEffect } from "react";
import { navigate } from "wouter/use-browser-location";
import { closeMenu, menu } from "./menu.ts";
import { isPhone } from "./phone.ts";
import { closeDialogs, closeTopDialog, ui } from "./ui.ts";

/** The overlay's entry is being removed. The browser does it asynchronously. */
let isLeavingEntry = false;

const hasOverlay = (): boolean =>
  isPhone() && (ui.getState().dialogs.length > 0 || menu.getState().open !== null);
export const isOverlayEntry = (): boolean =>
  (history.state as { isOverlay?: boolean } | null)?.isOverlay === true;

/** Whether the history moves only because an overlay is being closed. */
export const isClosingOverlay = (): boolean => isLeavingEntry || (hasOverlay() && !isOverlayEntry());

function closeOverlays(): void {
  closeMenu();
  closeDialogs();
}

/** Goes to an address, with a state. The entry of an open overlay is replaced. */
export function go(path: string, state: object | null, { replace = false } = {}): void {
  if (isLeavingEntry) {
    addEventListener("popstate", () => go(path, state, { replace }), { once: true });
    return;
  }
  navigate(path, {
    replace: replace || isOverlayEntry(),
    state: state && { ...state, isOverlay: undefined },
  });
  closeOverlays();
}

function settle(): void {
  if (isLeavingEntry || hasOverlay() === isOverlayEntry()) return;
  if (hasOverlay()) {
    try {
      history.pushState({ ...history.state, isOverlay: true }, "");
    } catch {
      // Some browsers allow a hundred of these in half a minute: then Back moves the page.
    }
  } else {
    isLeavingEntry = true;
    history.back();
  }
}

addEventListener("popstate", () => {
  if (isLeavingEntry) {
    isLeavingEntry = false;
  } else if (isClosingOverlay()) {
    if (menu.getState().open) closeMenu();
    else closeTopDialog();
  } else if (!isPhone()) {
    closeOverlays();
  }
  settle();
});

/** Call it once, in the component that draws the overlays. */
export const useBackCloses = (): void => useEffect(settle);
