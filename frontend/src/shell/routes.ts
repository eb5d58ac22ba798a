// The addresses of the page. The server answers these paths with the page, and no others (src/http/files.rs).

import { useLocation, useSearchParams } from "wouter";
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

export function placeOf(path: string, panel: string | null): Place {
  const [, room, seq] = path.match(/^\/room\/(\d{1,15})(?:\/(\d{1,15}))?$/) ?? [];
  const isPanel = panel === "members" || panel === "search" || panel === "pins";
  return {
    roomId: room === undefined ? null : Number(room),
    seq: seq === undefined ? null : Number(seq),
    panel: isPanel ? panel : null,
  };
}

/** Where we are, and ways to go elsewhere. */
export function usePlace(): Place & {
  goTo(roomId: number | null, seq?: number, options?: { keepsPanel?: boolean }): void;
  show(panel: Panel | null): void;
} {
  const [path, navigate] = useLocation();
  const [search] = useSearchParams();
  const place = placeOf(path, search.get("panel"));
  return {
    ...place,
    goTo: (roomId, seq, { keepsPanel = false } = {}) => {
      const query = keepsPanel && place.panel !== null ? `?panel=${place.panel}` : "";
      navigate(roomId === null ? "/" : roomPath(roomId, seq) + query);
      if (seq !== undefined) ui.setState(({ asked }) => ({ asked: asked + 1 }));
    },
    show: (panel) => navigate(panel === null ? path : `${path}?panel=${panel}`),
  };
}
