// What the state machine tells is said to the reader: quietly, and not in a flood.

import { useEffect, useRef } from "react";
import { useText } from "../i18n/text.ts";
import { plainText } from "../markdown/plainText.ts";
import { OTHER_LOG } from "../realtime/changes.ts";
import type { Change } from "../realtime/effects.ts";
import { useClient, useEngine } from "../session/hooks.ts";
import { putBack, stopEditing } from "../timeline/editing.ts";
import { pageHasFocus } from "../timeline/reading.ts";
import { copying } from "./copying.ts";
import { closeMenuOf } from "./menu.ts";
import { nameOf } from "./people.ts";
import { announce, closeDialogsOf, dismissToast, toast, ui } from "./ui.ts";

const ANNOUNCE_EVERY_MS = 3_000;

export function useTold(openRoomId: number | null): void {
  const t = useText();
  const engine = useEngine();
  const keeps = useClient((_, { keeps }) => keeps);
  useEffect(() => {
    if (keeps) return undefined;
    toast(t("storage.failed"));
    const ask = (leaving: Event): void => {
      if (engine.unsent() + engine.undone() > 0) leaving.preventDefault();
    };
    addEventListener("beforeunload", ask);
    return () => removeEventListener("beforeunload", ask);
  }, [engine, keeps, t]);
  const unsent = useRef(new Map<string, { id: number; text: string }>());
  useEffect(() => {
    let waiting: string[] = [];
    let timer: ReturnType<typeof setTimeout> | undefined;
    const say = (): void => {
      if (waiting.length > 0)
        announce(
          waiting.length === 1 ? (waiting[0] ?? "") : t("timeline.newBelow", { count: waiting.length }),
        );
      timer = waiting.length > 0 ? setTimeout(say, ANNOUNCE_EVERY_MS) : undefined;
      waiting = [];
    };
    /** One word for each room: all that wasn't sent there, to be copied. */
    const sayUnsent = (why: "gone.unsent" | "gone.stranded", roomId: number, content: string): void => {
      const key = `${why}/${roomId}`;
      const before = unsent.current.get(key);
      const isShown = ui.getState().toasts.some(({ id }) => id === before?.id);
      const text = before && isShown ? `${before.text}\n${content}` : content;
      if (before) dismissToast(before.id);
      const id = toast(t(why, { text: plainText(text, 200) }), copying(t, text), { stays: true });
      unsent.current.set(key, { id, text });
    };
    const sayRefused = (change: Change, code: string, message: string): void => {
      if (change.type === "edit" && code === "not_found") {
        // The edit box ends with its message. It would show the same toast.
        stopEditing(change.room_id, change.seq);
        toast(t("edit.gone"), copying(t, change.content), { stays: true });
      } else if (code === OTHER_LOG) {
        const words = t(`refused.${change.type}`, { why: t("refused.otherLog") });
        if (change.type === "edit") toast(words, copying(t, change.content), { stays: true });
        else toast(words);
      } else {
        if (change.type === "edit") putBack(change.room_id, change.seq, change.content);
        toast(t(`refused.${change.type}`, { why: message }));
      }
    };
    const stop = engine.onTold((told) => {
      if (told.do === "arrived" && told.roomId === openRoomId && pageHasFocus()) {
        waiting.push(
          t("timeline.announce", { name: nameOf(told.row.sender), text: plainText(told.row.content ?? "") }),
        );
        if (timer === undefined) say();
      } else if (told.do === "forgot") {
        closeDialogsOf(told.roomId);
        closeMenuOf(told.roomId);
        if (told.roomId === openRoomId) toast(t("gone.removed"));
      } else if (told.do === "unsent") {
        sayUnsent("gone.unsent", told.item.roomId, told.item.content);
      } else if (told.do === "stranded") {
        sayUnsent("gone.stranded", told.roomId, told.text);
      } else if (told.do === "refused") {
        sayRefused(told.change, told.code, told.message);
      }
    });
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, [engine, openRoomId, t]);
}
