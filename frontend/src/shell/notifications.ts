// The browser's own notifications, for what I don't see: one per message, not one per tab.

import { useEffect } from "react";
import { useText } from "../i18n/text.ts";
import { plainText } from "../markdown/plainText.ts";
import { useEngine } from "../session/hooks.ts";
import { prefs, setPrefs } from "../session/prefs.ts";
import { usePageHasFocus } from "../timeline/reading.ts";
import { claim, isSeen, useLooking } from "./looking.ts";
import { nameOf, roomName } from "./people.ts";
import { goTo } from "./routes.ts";
import { chime } from "./sound.ts";
import { ui } from "./ui.ts";

/** What the browser allows; "none": it has none, as on plain http. */
export type Permission = "none" | "default" | "granted" | "denied";

export const permission = (): Permission =>
  "Notification" in window && window.isSecureContext ? Notification.permission : "none";

/** Asks the reader. Call it upon something that they did. */
export async function askPermission(): Promise<Permission> {
  if (permission() === "none") return "none";
  return Notification.requestPermission();
}

/** Offers them to somebody who has just written something, once in a browser: an answer may come while they look elsewhere. */
export function offerNotifications(): void {
  const { notifications, notificationsOffered } = prefs.getState();
  if (!notifications || notificationsOffered || permission() !== "default") return;
  setPrefs({ notificationsOffered: true });
  ui.setState({ offersNotifications: true });
}

export function useNotifications(openRoomId: number | null): void {
  const t = useText();
  const engine = useEngine();
  const hasFocus = usePageHasFocus();
  useLooking(hasFocus ? openRoomId : null);
  useEffect(
    () =>
      engine.onTold(async (told) => {
        if (told.do !== "arrived") return;
        const { roomId, row } = told;
        const room = engine.client.room(roomId);
        if (!room || row.deleted_at || (hasFocus && roomId === openRoomId)) return;
        const isForMe =
          room.info.kind === "direct" || Boolean(row.mention_all || row.mentions?.includes(engine.me.id));
        const notify = room.info.notify ?? "all";
        if (notify === "none" || (notify === "mentions" && !isForMe)) return;
        // Of several tabs the first one tells of it, and none does while it is seen in another one.
        if (isSeen(roomId) || !(await claim(`${roomId}/${row.seq}`))) return;
        const { notifications, sound } = prefs.getState();
        if (sound && isForMe) chime();
        if (!notifications || permission() !== "granted") return;
        const title =
          room.info.kind === "direct"
            ? nameOf(row.sender)
            : t("notifications.title", { name: nameOf(row.sender), room: roomName(room.info) });
        try {
          const shown = new Notification(title, {
            body: plainText(row.content ?? "", 200),
            tag: `${roomId}/${row.seq}`,
            icon: "/favicon.svg",
            silent: true,
          });
          shown.onclick = () => {
            shown.close();
            window.focus();
            goTo(roomId, row.seq);
          };
        } catch {
          // Some phones allow them to service workers only.
        }
      }),
    [engine, hasFocus, openRoomId, t],
  );
}
