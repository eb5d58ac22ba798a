// Unread in the title and on the icon: what needs me as a number, what is merely new as a dot.

import { useEffect } from "react";
import { useText } from "../i18n/text.ts";
import { useClient } from "../session/hooks.ts";
import { roomName } from "./people.ts";
import { entryOf } from "./rooms.ts";
import { usePlace } from "./routes.ts";

export function useBadges(): void {
  const t = useText();
  const { roomId } = usePlace();
  const name = useClient((client) => {
    const info = roomId === null ? undefined : client.room(roomId)?.info;
    return info ? roomName(info) : "";
  });
  const needs = useClient((client, { drafts }) => sum(client, drafts, "mentions"));
  const hasNew = useClient((client, { drafts }) => sum(client, drafts, "unread") > 0);
  useEffect(() => {
    const page = name === "" ? t("app.name") : t("title.page", { page: name });
    document.title =
      needs > 0 ? t("title.needs", { count: needs, page }) : hasNew ? t("title.new", { page }) : page;
    drawIcon(needs > 0 ? "needs" : hasNew ? "new" : "none");
    badgeApp(needs);
  }, [t, name, needs, hasNew]);
  // The session has ended.
  useEffect(
    () => () => {
      drawIcon("none");
      badgeApp(0);
    },
    [],
  );
}

/** The number on the icon of the app, where it is installed. */
function badgeApp(count: number): void {
  const { setAppBadge, clearAppBadge } = navigator as {
    setAppBadge?(count: number): Promise<void>;
    clearAppBadge?(): Promise<void>;
  };
  if (count > 0) setAppBadge?.call(navigator, count).catch(() => {});
  else clearAppBadge?.call(navigator).catch(() => {});
}

function sum(
  client: Parameters<typeof entryOf>[0],
  drafts: Parameters<typeof entryOf>[1],
  what: "mentions" | "unread",
): number {
  let total = 0;
  for (const room of client.rooms.values()) {
    const entry = entryOf(client, drafts, room);
    if (!entry.isMuted || what === "mentions") total += entry[what];
  }
  return total;
}

let drawn = "none";

/** The favicon with a dot: the colour says which. */
function drawIcon(state: "none" | "new" | "needs"): void {
  const link = document.querySelector<HTMLLinkElement>('link[rel="icon"]');
  if (!link || drawn === state) return;
  drawn = state;
  if (state === "none") {
    link.type = "image/svg+xml";
    link.href = "/favicon.svg";
    return;
  }
  const image = new Image();
  image.src = "/favicon.svg";
  image.onload = () => {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 64;
    const pen = canvas.getContext("2d");
    if (!pen || drawn !== state) return;
    pen.drawImage(image, 0, 0, 64, 64);
    pen.beginPath();
    pen.arc(48, 16, 15, 0, 2 * Math.PI);
    pen.fillStyle = state === "needs" ? "#c2410c" : "#5b6b70";
    pen.fill();
    pen.lineWidth = 3;
    pen.strokeStyle = "#fff";
    pen.stroke();
    link.type = "image/png";
    link.href = canvas.toDataURL("image/png");
  };
}
