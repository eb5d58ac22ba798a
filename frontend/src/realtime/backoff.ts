const RECONNECT_MS_MIN = 500;
const RECONNECT_MS_MAX = 30_000;

/** How long to wait before a next attempt, by full jitter: a server that comes back must not meet all its clients in the same moment. */
export function reconnectDelay(attempt: number, random: () => number = Math.random): number {
  const ceiling = Math.min(RECONNECT_MS_MAX, RECONNECT_MS_MIN * 2 ** (attempt + 1));
  return RECONNECT_MS_MIN + random() * (ceiling - RECONNECT_MS_MIN);
}
