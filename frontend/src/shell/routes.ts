// The addresses of the page. The server answers these paths with the page, and no others (src/http/files.rs).

import { useEffect } from "react";
import { useLocation, useSearch } from "wouter";
import { go } from "./back.ts";
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

/** Goes to a room, or to a message in it, which is shown again if it is named again; null: to the list of rooms. */
export function goTo(roomId: number | null, seq?: number, { keepsPanel = false } = {}): void {
  const panel = keepsPanel ? panelIn(location.search) : null;
  const query = panel === null ? "" : `?panel=${panel}`;
  go(roomId === null ? "/" : roomPath(roomId, seq) + query);
  if (seq !== undefined) ui.setState(({ asked }) => ({ asked: asked + 1 }));
}

/** Shows a panel beside the room, or none. The place in the room stays. */
export function showPanel(panel: Panel | null): void {
  const { pathname } = location;
  go(panel === null ? pathname : `${pathname}?panel=${panel}`, { keepsState: true });
}

/** Back and forward ask for the place of their entry of the history, unless only a panel comes or goes. */
export function useReturns(panel: Panel | null): void {
  useEffect(() => {
    const onPopState = (): void => {
      if (placeOf(location.pathname, panelIn(location.search)).panel === panel)
        ui.setState(({ asked }) => ({ asked: asked + 1 }));
    };
    // Before those who draw the new address.
    addEventListener("popstate", onPopState, { capture: true });
    return () => removeEventListener("popstate", onPopState, { capture: true });
  }, [panel]);
}
