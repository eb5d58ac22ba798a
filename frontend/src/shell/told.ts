// What the state machine tells is said to the reader: quietly, and not in a flood.

import { useEffect, useRef } from "react";
import { useText } from "../i18n/text.ts";
import { copyText } from "../markdown/copy.ts";
import { plainText } from "../markdown/plainText.ts";
import type { SavedItem } from "../realtime/effects.ts";
import { useClient, useEngine } from "../session/hooks.ts";
import { putBack } from "../timeline/editing.ts";
import { pageHasFocus } from "../timeline/reading.ts";
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
  const unsent = useRef(new Map<number, { id: number; text: string }>());
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
    const sayUnsent = ({ roomId, content }: SavedItem): void => {
      const before = unsent.current.get(roomId);
      const isShown = ui.getState().toasts.some(({ id }) => id === before?.id);
      const text = before && isShown ? `${before.text}\n${content}` : content;
      if (before) dismissToast(before.id);
      const copy = async (): Promise<void> => {
        toast(t((await copyText(text)) ? "copy.done" : "copy.failed"));
      };
      const id = toast(
        t("gone.unsent", { text: plainText(text, 200) }),
        { label: t("copy.do"), act: () => void copy() },
        { stays: true },
      );
      unsent.current.set(roomId, { id, text });
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
        sayUnsent(told.item);
      } else if (told.do === "refused") {
        const { change } = told;
        if (change.type === "edit") putBack(change.room_id, change.seq, change.content);
        toast(t(`refused.${change.type}`, { why: told.message }));
      }
    });
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, [engine, openRoomId, t]);
}
