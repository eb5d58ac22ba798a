// What the state machine tells is said to the reader: quietly, and not in a flood.

import { useEffect } from "react";
import { useText } from "../i18n/text.ts";
import { plainText } from "../markdown/plainText.ts";
import { useClient, useEngine } from "../session/hooks.ts";
import { putBack } from "../timeline/editing.ts";
import { pageHasFocus } from "../timeline/reading.ts";
import { closeMenuOf } from "./menu.ts";
import { nameOf } from "./people.ts";
import { announce, closeDialogsOf, toast } from "./ui.ts";

const ANNOUNCE_EVERY_MS = 3_000;

export function useTold(openRoomId: number | null): void {
  const t = useText();
  const engine = useEngine();
  const keeps = useClient((_, { keeps }) => keeps);
  useEffect(() => {
    if (keeps) return undefined;
    toast(t("storage.failed"));
    const ask = (leaving: Event): void => {
      if (engine.unsent() > 0) leaving.preventDefault();
    };
    addEventListener("beforeunload", ask);
    return () => removeEventListener("beforeunload", ask);
  }, [engine, keeps, t]);
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
        toast(t("gone.unsent", { text: plainText(told.item.content, 200) }));
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
