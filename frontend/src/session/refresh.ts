// The exchange of the cookie's refresh token for tokens, one tab after the other.

import type { Tokens } from "../protocol/types.ts";
import { bodyOf, publicApi } from "./http.ts";

/** The answer to a refresh is given again for 10 s when it was lost (PROTOCOL.md section 7.9). */
const REFRESH_MS_MAX = 7_000;
/** A tab that sleeps may hold the lock. Two that refresh at the same moment get the same token, so nobody waits longer. */
const LOCK_MS_MAX = 5_000;

/** Throws a `Problem`. */
export const refresh = (): Promise<Tokens> =>
  bodyOf(publicApi.POST("/api/refresh", { body: {}, signal: AbortSignal.timeout(REFRESH_MS_MAX) }));

/** Does something with the cookie in turn with the other tabs, where the browser has locks (https and localhost). */
export async function inTurn<T>(act: () => Promise<T>): Promise<T> {
  const locks = (navigator as { locks?: LockManager }).locks;
  if (!locks) return act();
  const waiting = new AbortController();
  const timer = setTimeout(() => waiting.abort(), LOCK_MS_MAX);
  let begun = false;
  try {
    return await locks.request("hearth.refresh", { signal: waiting.signal }, () => {
      begun = true;
      clearTimeout(timer);
      return act();
    });
  } catch (error) {
    if (begun || !waiting.signal.aborted) throw error;
    return act();
  } finally {
    clearTimeout(timer);
  }
}
