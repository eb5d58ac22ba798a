// What counts as reading: the page is shown, it has the focus, and nothing stands in front of the messages.

import { useEffect, useRef, useState, useSyncExternalStore } from "react";
import { useClient } from "../session/hooks.ts";
import { ownPrefs, setUnreadFrom, useOwnPrefs } from "../session/prefs.ts";
import { useUi } from "../shell/ui.ts";

function subscribe(act: () => void): () => void {
  addEventListener("focus", act);
  addEventListener("blur", act);
  document.addEventListener("visibilitychange", act);
  return () => {
    removeEventListener("focus", act);
    removeEventListener("blur", act);
    document.removeEventListener("visibilitychange", act);
  };
}

export const pageHasFocus = (): boolean => !document.hidden && document.hasFocus();
export const usePageHasFocus = (): boolean => useSyncExternalStore(subscribe, pageHasFocus);

/** Whether somebody looks at the messages. */
export function useIsLooking(): boolean {
  const hasFocus = usePageHasFocus();
  const isCovered = useUi((state) => state.dialogs.length > 0);
  return hasFocus && !isCovered;
}

/**
 * The seq after which the line "New" stands; null where there is none. It stands where I had read to when the room was
 * opened; when I look away, it moves to where I had read to as soon as something comes; and it goes where I put it by
 * "mark as unread".
 */
export function useNewLine(roomId: number, isLooking: boolean): number | null {
  const marker = useClient((client) => client.room(roomId)?.lastReadSeq ?? null);
  const unread = useClient((client) => client.unread(roomId));
  const isKnown = useClient((client) => client.room(roomId)?.markersKnown ?? false);
  const unreadFrom = useOwnPrefs(({ unreadFrom }) => unreadFrom[roomId]);
  const [line, setLine] = useState<number | null>(() => {
    const from = ownPrefs.getState().unreadFrom[roomId];
    return from === undefined ? null : from - 1;
  });
  const isSet = useRef(line !== null);
  const hasLookedAway = useRef(false);

  // Opening the room is reading it: the mark has done its work, and the line stays as long as the room is open.
  useEffect(() => setUnreadFrom(roomId, null), [roomId]);
  useEffect(() => {
    if (unreadFrom !== undefined) setLine(unreadFrom - 1);
  }, [unreadFrom]);

  useEffect(() => {
    if (!isLooking) hasLookedAway.current = true;
  }, [isLooking]);
  useEffect(() => {
    if (!isKnown || unread === 0 || marker === null || isLooking) return;
    if (hasLookedAway.current) setLine(marker);
    hasLookedAway.current = false;
  }, [isKnown, unread, marker, isLooking]);

  // Known at the first drawing, so that the list can begin there.
  if (!isSet.current && isKnown) {
    isSet.current = true;
    if (unread > 0 && marker !== null) {
      setLine(marker);
      return marker;
    }
  }
  return line;
}
