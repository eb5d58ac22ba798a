// The one menu that is open, at the place where it was asked for.

import { createStore, useStore } from "zustand";

/** What the menu is about. */
export type MenuOf =
  | { kind: "roomLink"; roomId: number }
  | { kind: "room"; roomId: number }
  | { kind: "message"; roomId: number; seq: number }
  | { kind: "member"; roomId: number; userId: number }
  | { kind: "emoji"; pick(emoji: string): void };

interface OpenMenu {
  what: MenuOf;
  anchor: Element | { getBoundingClientRect(): DOMRect };
}

export const menu = createStore<{ open: OpenMenu | null }>(() => ({ open: null }));
export const useMenu = (): OpenMenu | null => useStore(menu, (state) => state.open);

let lastAnchor: HTMLElement | null = null;

/** Opens it beside the button that was pressed, or where the pointer is. */
export function openMenu(
  event: { currentTarget: Element; clientX: number; clientY: number; type: string },
  what: MenuOf,
): void {
  const { clientX, clientY } = event;
  const atPointer = { getBoundingClientRect: () => new DOMRect(clientX, clientY, 0, 0) };
  const hasPointer = event.type === "contextmenu" && (clientX !== 0 || clientY !== 0);
  lastAnchor = event.currentTarget instanceof HTMLElement ? event.currentTarget : null;
  menu.setState({ open: { what, anchor: hasPointer ? atPointer : event.currentTarget } });
}

/** Where the focus belongs when what is opened now is closed: where it is, or where the menu was asked for that has it. */
export function opener(): HTMLElement | null {
  const focused = document.activeElement;
  if (focused instanceof HTMLElement && focused !== document.body && !focused.closest("[role=menu]"))
    return focused;
  return lastAnchor;
}

export const closeMenu = (): void => menu.setState({ open: null });
