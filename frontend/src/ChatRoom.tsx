import { useRef } from "react";
import { Composer } from "./composer/Composer.tsx";
import { useText } from "./i18n/text.ts";
import { useClient, useEngine } from "./session/hooks.ts";
import { offerNotifications } from "./shell/notifications.ts";
import { Offer } from "./shell/Offer.tsx";
import { roomName } from "./shell/people.ts";
import { RoomHead } from "./shell/RoomHead.tsx";
import { usePlace } from "./shell/routes.ts";
import type { ListHandle } from "./timeline/source.ts";
import { Timeline } from "./timeline/Timeline.tsx";

/** The open room: its head, its messages, and the box. */
export function ChatRoom({ roomId }: { roomId: number }) {
  const t = useText();
  const engine = useEngine();
  const { seq } = usePlace();
  const name = useClient((client) => {
    const info = client.room(roomId)?.info;
    return info ? roomName(info) : "";
  });
  const list = useRef<ListHandle>(null);
  // What lies between is not loaded for it.
  const goToEnd = (): void => {
    if (engine.client.room(roomId)?.view === "away") engine.act((client) => client.jumpToLatest(roomId));
    list.current?.scrollToEnd();
  };
  const onSent = (): void => {
    goToEnd();
    offerNotifications();
  };
  return (
    <main className="chat-room" aria-label={name}>
      <RoomHead roomId={roomId} />
      <Offer />
      <Timeline
        roomId={roomId}
        seq={seq}
        label={t("timeline.label", { room: name })}
        handle={list}
        goToEnd={goToEnd}
      />
      <Composer roomId={roomId} goToEnd={goToEnd} onSent={onSent} />
    </main>
  );
}
