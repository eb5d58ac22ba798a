// The keys of the page as a whole. `?` lists them.

import { useLayoutEffect } from "react";
import { focusComposer } from "../composer/answering.ts";
import type { Engine } from "../session/engine.ts";
import { useEngine } from "../session/hooks.ts";
import { ownPrefs, prefs } from "../session/prefs.ts";
import { hasCommandKey } from "./keys.ts";
import { menu } from "./menu.ts";
import { isFolded, markRead, sectionsOf, shownOf } from "./rooms.ts";
import { goTo, showPanel, usePlace } from "./routes.ts";
import { openDialog, ui } from "./ui.ts";

const isWriting = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && (target.matches("input, textarea, select") || target.isContentEditable);

const isControl = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && target.matches("button, a, [role=menuitem], [role=option]");
const isLetter = ({ key, ctrlKey, metaKey, altKey }: KeyboardEvent): boolean =>
  !ctrlKey && !metaKey && !altKey && /^[\p{L}\p{N}@#:]$/u.test(key);

export function useShortcuts(): void {
  const engine = useEngine();
  const place = usePlace();
  // A layout effect, so that the keys work as soon as the page shows.
  useLayoutEffect(() => {
    function onKeyDown(event: KeyboardEvent): void {
      if (event.isComposing || event.keyCode === 229 || event.defaultPrevented) return;
      const isCovered = ui.getState().dialogs.length > 0 || menu.getState().open !== null;
      if (hasCommandKey(event) && !event.shiftKey && !event.altKey && event.key.toLowerCase() === "k") {
        if (!isCovered) openDialog({ kind: "switcher" });
      } else if (isCovered) {
        return;
      } else if (hasCommandKey(event) && event.shiftKey && event.key.toLowerCase() === "f") {
        if (place.roomId !== null) showPanel("search");
      } else if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
        const next = neighbour(engine, place.roomId, event.key === "ArrowDown" ? 1 : -1, event.shiftKey);
        if (next !== null) goTo(next);
      } else if (event.key === "Escape" && place.roomId !== null) {
        const room = engine.client.room(place.roomId);
        if (place.panel !== null) showPanel(null);
        else if (room) markRead(engine, room);
      } else if (event.key === "?" && !isWriting(event.target)) {
        openDialog({ kind: "keys" });
      } else if (isLetter(event) && !isWriting(event.target) && !isControl(event.target)) {
        focusComposer(); // the letter lands in the box
        return;
      } else {
        return;
      }
      event.preventDefault();
    }
    addEventListener("keydown", onKeyDown);
    return () => removeEventListener("keydown", onKeyDown);
  }, [engine, place]);
}

/** The room above or below in the list; with `onlyUnread` the next one that has something new. */
function neighbour(engine: Engine, roomId: number | null, step: 1 | -1, onlyUnread: boolean): number | null {
  const look = prefs.getState();
  const entries = sectionsOf(engine.client, engine.drafts, ownPrefs.getState().favourites).flatMap(
    (section) => shownOf(section, isFolded(look, section.key), roomId),
  );
  const at = entries.findIndex(({ room }) => room.id === roomId);
  for (let turn = 1; turn <= entries.length; turn += 1) {
    const index =
      ((((at < 0 && step < 0 ? 0 : at) + step * turn) % entries.length) + entries.length) % entries.length;
    const entry = entries[index];
    if (
      entry &&
      entry.room.id !== roomId &&
      (!onlyUnread || entry.mentions > 0 || (entry.unread > 0 && !entry.isMuted))
    )
      return entry.room.id;
  }
  return null;
}
