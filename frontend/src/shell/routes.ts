// The addresses of the page. The server answers these paths with the page, and to a browser any other, too, with
// status 404 (src/http/files.rs).

import { useEffect, useRef } from "react";
import { useLocation, useSearch } from "wouter";
import { go, isClosingOverlay, isOverlayEntry } from "./back.ts";
import { ui } from "./ui.ts";

export type Panel = "members" | "search" | "pins";

export interface Place {
  roomId: number | null;
  /** A message that the address names. */
  seq: number | null;
  panel: Panel | null;
}

export const roomPath = (roomId: number, seq?: number): string =>
  seq === undefined ? `/room/${roomId}` : `/room/${roomId}/${seq}`;

/** The id of the button that shows and hides a panel. */
export const toggleId = (panel: Panel): string => `toggle-${panel}`;

/** The link to a message, for others. */
export const linkTo = (roomId: number, seq: number): string =>
  new URL(roomPath(roomId, seq), location.origin).href;

const panelIn = (search: string): string | null => new URLSearchParams(search).get("panel");

export function placeOf(path: string, panel: string | null): Place {
  const [, room, seq] = path.match(/^\/room\/(\d{1,15})(?:\/(\d{1,15}))?$/) ?? [];
  const isPanel = panel === "members" || panel === "search" || panel === "pins";
  return {
    roomId: room === undefined ? null : Number(room),
    seq: seq === undefined ? null : Number(seq),
    panel: isPanel ? panel : null,
  };
}

/** Where we are. */
export function usePlace(): Place {
  const [path] = useLocation();
  const search = useSearch();
  return placeOf(path, panelIn(search));
}

/** The room that is open now. */
export const openRoom = (): number | null => placeOf(location.pathname, null).roomId;

const leavers = new Set<() => void>();

/** Calls `leave` before this entry of the history is left for a new one, and before the page goes. */
export function useBeforeLeaving(leave: () => void): void {
  const latest = useRef(leave);
  useEffect(() => {
    latest.current = leave;
  });
  useEffect(() => {
    const leaver = (): void => latest.current();
    leavers.add(leaver);
    addEventListener("pagehide", leaver);
    return () => {
      leavers.delete(leaver);
      removeEventListener("pagehide", leaver);
    };
  }, []);
}

/** An entry of the history, which knows the address of the one below it. */
function push(address: string, { keepsState = false } = {}): void {
  for (const leave of leavers) leave();
  const state = keepsState ? history.state : {};
  go(address, { ...state, below: location.pathname + location.search });
}

let isGoingBack = false;

/** Goes back to an address where it lies just below, else puts it in this entry's place; with the place of the messages. */
function goBackTo(address: string): void {
  if (isGoingBack) return; // a second press
  const { state } = history;
  if (isOverlayEntry() || state?.below !== address) return go(address, state, { replace: true });
  isGoingBack = true;
  const arrive = (): void => {
    isGoingBack = false;
    history.replaceState({ ...history.state, place: state.place }, "");
  };
  addEventListener("popstate", arrive, { once: true });
  history.back();
}

/** Goes to a room, or to a message in it, which is shown again if it is named again. Who is there already gets no new entry. */
export function goTo(roomId: number, seq?: number, { keepsPanel = false } = {}): void {
  const panel = keepsPanel ? panelIn(location.search) : null;
  const query = panel === null ? "" : `?panel=${panel}`;
  const address = roomPath(roomId, seq) + query;
  if (address !== location.pathname + location.search) push(address);
  else if (seq !== undefined) go(address, { below: history.state?.below }, { replace: true });
  if (seq !== undefined) ui.setState(({ asked }) => ({ asked: asked + 1 }));
}

export const goToList = (): void => goBackTo("/");

/** Shows a panel beside the room, or none. The place in the room stays. */
export function showPanel(panel: Panel | null): void {
  const { pathname, search } = location;
  if (panel === null) {
    goBackTo(pathname);
  } else if (panelIn(search) === null) {
    push(`${pathname}?panel=${panel}`, { keepsState: true });
  } else {
    go(`${pathname}?panel=${panel}`, history.state, { replace: true });
  }
}

/** Back and forward return to the place that is kept with their entry, unless only a panel or an overlay changes. */
export function useReturns(panel: Panel | null): void {
  useEffect(() => {
    const onPopState = (): void => {
      if (!isClosingOverlay() && placeOf(location.pathname, panelIn(location.search)).panel === panel)
        ui.setState(({ asked }) => ({ asked: asked + 1 }));
    };
    // Before those who draw the new address.
    addEventListener("popstate", onPopState, { capture: true });
    return () => removeEventListener("popstate", onPopState, { capture: true });
  }, [panel]);
}
