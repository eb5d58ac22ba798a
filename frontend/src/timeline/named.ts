// Where the address and the history lead within a room: a message is gone to as soon as it is held, and one that the
// address names is lit once.

import { type RefObject, useEffect, useLayoutEffect, useRef, useState } from "react";
import { useUi } from "../shell/ui.ts";
import type { Entry } from "./items.ts";
import { type Goal, goalOf } from "./place.ts";
import type { ListHandle } from "./source.ts";

/** A message that comes later than that no longer moves the reader. */
const WAIT_MS_MAX = 10_000;
/** As long as the animation in timeline.css. */
const LIT_MS = 2_400;

/**
 * Goes to the message with this seq each time it is asked for, or to where one was at this entry of the history. Answers
 * the seq while it is lit.
 */
export function useNamed(
  seq: number | null,
  entries: readonly Entry[],
  isPlaced: boolean,
  handle: RefObject<ListHandle | null>,
  goToEnd: () => void,
): number | null {
  const asked = useUi((state) => state.asked);
  const [askedFirst] = useState(asked);
  const goal = useRef<(Goal & { until: number }) | null>(null);
  const [lit, setLit] = useState<number | null>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is asked for again is gone to again
  useLayoutEffect(() => {
    const wanted = goalOf(seq);
    goal.current =
      wanted === null || wanted === "end" ? null : { ...wanted, until: Date.now() + WAIT_MS_MAX };
    // A new list begins where it should by itself.
    if (wanted === "end" && asked !== askedFirst) goToEnd();
  }, [seq, asked]);

  useLayoutEffect(() => {
    const wanted = goal.current;
    if (!isPlaced || wanted === null) return;
    const entry = entries.find(({ row }) => row?.seq === wanted.seq);
    if (entry && Date.now() < wanted.until) {
      handle.current?.scrollToKey(entry.key, wanted.at);
      if (wanted.at === "center") setLit(wanted.seq);
    }
    if (entry || Date.now() >= wanted.until) goal.current = null;
  });

  useEffect(() => {
    if (lit === null) return undefined;
    const timer = setTimeout(() => setLit(null), LIT_MS);
    return () => clearTimeout(timer);
  }, [lit]);
  return lit;
}
