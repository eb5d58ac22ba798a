// Where a room was scrolled to, kept with the entry of the browser's history: reload, back and forward return there.

import { openRoom } from "../shell/routes.ts";

/** A message, and how many px below the upper edge of the list it begins. */
export interface Place {
  seq: number;
  offset: number;
}

/** A message to go to: to the middle of the list, or so many px below its upper edge. */
export interface Goal {
  seq: number;
  at: "center" | number;
}

/**
 * Where this entry of the history leads: to the place that was kept with it, for that is newer than its address; else to
 * the message `seq` that the address names; null: nothing is asked for.
 */
export function goalOf(seq: number | null): Goal | "end" | null {
  const { place } = (history.state ?? {}) as { place?: Partial<Place> | null };
  if (place === null) return "end";
  if (Number.isSafeInteger(place?.seq) && Number.isFinite(place?.offset)) {
    const kept = place as Place;
    return { seq: kept.seq, at: kept.offset };
  }
  return seq === null ? null : { seq, at: "center" };
}

/** Keeps it, as long as the address is still that of the room; null: the end. */
export function keepPlace(roomId: number, place: Place | null): void {
  if (openRoom() !== roomId) return;
  try {
    history.replaceState({ ...history.state, place }, "");
  } catch {
    // Some browsers allow a hundred of these in half a minute; the next one is kept.
  }
}
