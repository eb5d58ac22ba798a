import { useSyncExternalStore } from "react";
import { type IntlShape, useIntl } from "react-intl";
import { type Text, useText } from "../i18n/text.ts";

const DAY_MS = 86_400_000;

/** The day of a moment where the reader is, as a number that rises by one a day. */
export function dayOf(at: string | number | Date): number {
  const date = new Date(at);
  return Math.floor((date.getTime() - date.getTimezoneOffset() * 60_000) / DAY_MS);
}

const dayWatchers = new Set<() => void>();
let midnight: ReturnType<typeof setTimeout> | undefined;

/** It may be another day: at midnight, and when the page is shown again, for one that sleeps has no timers. */
function lookAtDay(): void {
  clearTimeout(midnight);
  const now = new Date();
  midnight = setTimeout(lookAtDay, new Date(now).setHours(24, 0, 0, 0) - now.getTime());
  for (const tell of dayWatchers) tell();
}

function watchDay(tell: () => void): () => void {
  if (dayWatchers.size === 0) {
    document.addEventListener("visibilitychange", lookAtDay);
    lookAtDay();
  }
  dayWatchers.add(tell);
  return () => {
    dayWatchers.delete(tell);
    if (dayWatchers.size > 0) return;
    document.removeEventListener("visibilitychange", lookAtDay);
    clearTimeout(midnight);
  };
}

/** The day that it is, as `dayOf` has it. */
export const useToday = (): number => useSyncExternalStore(watchDay, () => dayOf(Date.now()));

export interface When {
  /** "14:03" */
  time(at: string): string;
  /** The same without "PM", where room is scarce. */
  clock(at: string): string;
  /** "14:03" of today, "Tue" of this week, else a date: for lists. */
  short(at: string, today: number): string;
  /** "Today", "Yesterday", "Monday, 3 November". */
  day(at: string, today: number): string;
  /** All of it, on demand. */
  full(at: string): string;
}

const whens = new WeakMap<IntlShape, When>();

/** Moments in the reader's language and time zone. Formatters are expensive to create, so all components share them. */
export function useWhen(): When {
  const intl = useIntl();
  const t = useText();
  const known = whens.get(intl);
  if (known) return known;
  const when = whenOf(intl.locale, t);
  whens.set(intl, when);
  return when;
}

function whenOf(locale: string, t: Text): When {
  const format = (options: Intl.DateTimeFormatOptions) =>
    new Intl.DateTimeFormat(locale === "en" ? undefined : locale, options);
  const written = (options: Intl.DateTimeFormatOptions): ((at: string) => string) => {
    const made = format(options);
    return (at) => made.format(new Date(at));
  };
  const parts = format({ hour: "numeric", minute: "2-digit" });
  const time = written({ hour: "numeric", minute: "2-digit" });
  const weekday = written({ weekday: "short" });
  const date = written({ day: "numeric", month: "short" });
  const longDay = written({ weekday: "long", day: "numeric", month: "long" });
  const longDate = written({ weekday: "long", day: "numeric", month: "long", year: "numeric" });
  return {
    time,
    clock: (at) =>
      parts
        .formatToParts(new Date(at))
        .filter(({ type }) => type !== "dayPeriod")
        .map(({ value }) => value)
        .join("")
        .trim(),
    full: written({ dateStyle: "full", timeStyle: "medium" }),
    short(at, today) {
      const days = today - dayOf(at);
      return days <= 0 ? time(at) : days < 7 ? weekday(at) : date(at);
    },
    day(at, today) {
      const days = today - dayOf(at);
      if (days === 0) return t("day.today");
      if (days === 1) return t("day.yesterday");
      return days < 300 ? longDay(at) : longDate(at);
    },
  };
}
