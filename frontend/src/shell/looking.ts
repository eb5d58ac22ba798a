// What tabs tell each other about notifications: which room is being looked at, and what has been told of already.

import { useEffect } from "react";
import { kept } from "../session/marks.ts";

const LOOKING = "hearth.looking";
const RENEW_MS = 2_000;
const TOLD = "hearth.told";
const LIVES_MS = 5_000;
/** Longer than one tab hears of a message after another one. */
const HELD_MS = 10_000;

/** Says to the other tabs that this room is seen here; null: none. */
export function useLooking(roomId: number | null): void {
  useEffect(() => {
    if (roomId === null) return undefined;
    const say = (): void => kept.set(LOOKING, { roomId, until: Date.now() + LIVES_MS });
    say();
    const timer = setInterval(say, RENEW_MS);
    return () => {
      clearInterval(timer);
      kept.remove(LOOKING);
    };
  }, [roomId]);
}

/** Whether this room is being looked at, in any tab. */
export function isSeen(roomId: number): boolean {
  const looking = kept.get<{ roomId?: unknown; until?: unknown }>(LOOKING);
  return looking?.roomId === roomId && typeof looking.until === "number" && looking.until > Date.now();
}

/**
 * Whether this tab is the first that would tell of this message. A lock decides: what one tab writes to the storage
 * another one may not see yet. On plain http there are no locks, and no notifications either, only the sound.
 */
export function claim(message: string): Promise<boolean> {
  const locks = (navigator as { locks?: LockManager }).locks;
  return new Promise((resolve) => {
    if (!locks) {
      resolve(kept.get(TOLD) !== message);
      return kept.set(TOLD, message);
    }
    const name = `hearth.told.${message}`;
    locks
      .request(name, { ifAvailable: true }, (lock) => {
        resolve(lock !== null);
        return lock && new Promise((end) => setTimeout(end, HELD_MS));
      })
      .catch(() => resolve(true));
  });
}
