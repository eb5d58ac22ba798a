import { useLayoutEffect } from "react";
import { composerId } from "../composer/answering.ts";

interface FocusBackProps {
  /** Where the focus was; the box where that is gone. */
  to: HTMLElement | null;
}

/**
 * Within a dialog or a menu, whose own `finalFocus` is off: that would take the focus from what an action has given it
 * to. When this goes, the focus goes back, unless something else has it by then.
 */
export function FocusBack({ to }: FocusBackProps) {
  useLayoutEffect(
    () => () =>
      queueMicrotask(() => {
        if (document.activeElement !== document.body) return;
        const target = to?.isConnected ? to : document.getElementById(composerId);
        target?.focus({ preventScroll: true });
      }),
    [to],
  );
  return null;
}
