// The one menu that is open, at the place where it was asked for.

import { createStore, useStore } from "zustand";

/** What the menu is about. */
export type MenuOf =
  | { kind: "roomLink"; roomId: number }
  | { kind: "room"; roomId: number }
  | { kind: "message"; roomId: number; seq: number }
  | { kind: "member"; roomId: number; userId: number }
  /** The message that the emoji is for; none: what is being written. */
  | { kind: "emoji"; roomId?: number; seq?: number; pick(emoji: string): void };

interface OpenMenu {
  what: MenuOf;
  /** What it stands beside. */
  anchor: { getBoundingClientRect(): DOMRect };
  /** Where the focus goes when it is closed; null: a place was pressed, not a button. */
  button: HTMLElement | null;
}

export const menu = createStore<{ open: OpenMenu | null }>(() => ({ open: null }));
export const useMenu = (): OpenMenu | null => useStore(menu, (state) => state.open);

let lastAnchor: HTMLElement | null = null;

interface Asked {
  type: string;
  currentTarget: Element;
  clientX: number;
  clientY: number;
  button?: number;
  ctrlKey?: boolean;
  nativeEvent?: Event & { pointerType?: string };
}

/** Opens it beside the button that was pressed, or where the pointer is. */
export function openMenu(event: Asked, what: MenuOf): void {
  const { type, clientX, clientY, currentTarget, button, ctrlKey, nativeEvent } = event;
  // The Menu key gives a place, too, and calls itself a mouse, but has no button. A Mac's button is the first one, with Ctrl.
  const hasPointer =
    type === "contextmenu" && (button === 2 || Boolean(ctrlKey) || nativeEvent?.pointerType === "touch");
  lastAnchor = currentTarget instanceof HTMLElement ? currentTarget : null;
  const anchor = hasPointer
    ? { getBoundingClientRect: () => new DOMRect(clientX, clientY, 0, 0) }
    : lastingRect(currentTarget);
  menu.setState({ open: { what, anchor, button: hasPointer ? null : lastAnchor } });
}

/** Where an element is, or was last: the tools of a message go when the pointer leaves it for their menu. */
function lastingRect(element: Element): OpenMenu["anchor"] {
  let rect = element.getBoundingClientRect();
  return {
    getBoundingClientRect: () => {
      if (element.isConnected) rect = element.getBoundingClientRect();
      return rect;
    },
  };
}

/** Where the focus belongs when what is opened now is closed: where it is, or where the menu was asked for that has it. */
export function opener(): HTMLElement | null {
  const focused = document.activeElement;
  if (focused instanceof HTMLElement && focused !== document.body && !focused.closest("[role=menu]"))
    return focused;
  return lastAnchor;
}

export const closeMenu = (): void => menu.setState({ open: null });

/** The room is no longer mine: nothing can be done there. */
export function closeMenuOf(roomId: number): void {
  const what = menu.getState().open?.what;
  if (what && "roomId" in what && what.roomId === roomId) closeMenu();
}
