import type { User, UserSummary } from "../protocol/types.ts";

const KEY = "hearth.session";

/** Whose session it is. */
export type Account = UserSummary & Pick<User, "created_at">;

/** The key of an account. Another database may have a user of the same id, who was created at another time. */
export const accountOf = ({ id, created_at }: Pick<Account, "id" | "created_at">): string =>
  `${id}.${created_at}`;

/** Why a session has ended, as this browser knows it. */
export type EndReason =
  | "over"
  | "revoked"
  | "unknown"
  | "disabled"
  | "elsewhere"
  | "logout"
  | "reset"
  | "everywhere"
  | "deleted"
  /** In the server's own words. */
  | "refused";

/**
 * What this browser knows of its session, in all tabs: who is logged in, or why they aren't any more. `untold` is the id of
 * a user whose log-out the server has yet to hear of. Tokens are never kept here.
 */
export type Mark = { user: Account } | { ended: string; untold?: number };

/** Storage may be forbidden or full; the page then works until it is closed. */
function orElse<T>(instead: T, act: () => T): T {
  try {
    return act();
  } catch {
    return instead;
  }
}

/** Small things that are kept for this browser, as JSON. */
export const kept = {
  get<T>(key: string): T | null {
    return orElse(null, () => JSON.parse(localStorage.getItem(key) ?? "null") as T | null);
  },
  set(key: string, value: unknown): void {
    orElse(undefined, () => localStorage.setItem(key, JSON.stringify(value)));
  },
  keys(prefix: string): string[] {
    return orElse([], () => Object.keys(localStorage).filter((key) => key.startsWith(prefix)));
  },
  remove(key: string): void {
    orElse(undefined, () => localStorage.removeItem(key));
  },
};

export function readMark(): Mark | null {
  const mark = kept.get<Mark>(KEY);
  return mark && "user" in mark && typeof mark.user?.created_at !== "string" ? null : mark;
}
export const writeMark = (mark: Mark): void => kept.set(KEY, mark);

/** Tells of marks that other tabs write. */
export function watchMark(act: (mark: Mark | null) => void): () => void {
  const listen = ({ key }: StorageEvent): void => {
    if (key === KEY) act(readMark());
  };
  addEventListener("storage", listen);
  return () => removeEventListener("storage", listen);
}
