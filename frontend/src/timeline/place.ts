// Where a room was scrolled to, kept with the entry of the browser's history: reload, back and forward return there.

import { placeOf } from "../shell/routes.ts";

/** A message, and how many px below the upper edge of the list it begins. */
export interface Place {
  seq: number;
  offset: number;
}

/** The place of this entry of the history; null: the end, or what is unread. */
export function keptPlace(): Place | null {
  const { place } = (history.state ?? {}) as { place?: Partial<Place> };
  const { seq, offset } = place ?? {};
  return Number.isSafeInteger(seq) && Number.isFinite(offset) ? (place as Place) : null;
}

/** Keeps it, as long as the address is still that of the room. */
export function keepPlace(roomId: number, place: Place | null): void {
  if (placeOf(location.pathname, null).roomId !== roomId) return;
  try {
    history.replaceState({ ...history.state, place }, "");
  } catch {
    // Some browsers allow a hundred of these in half a minute; the next one is kept.
  }
}
