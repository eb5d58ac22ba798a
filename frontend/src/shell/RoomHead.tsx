import { ArrowLeft, Hash, Lock, MoreVertical, Pin, Search, Users } from "lucide-react";
import { useState } from "react";
import { useText } from "../i18n/text.ts";
import { useClient } from "../session/hooks.ts";
import { Avatar } from "./Avatar.tsx";
import { openMenu } from "./menu.ts";
import { roomName } from "./people.ts";
import { useIsPhone } from "./phone.ts";
import { goToList, showPanel, toggleId, usePlace } from "./routes.ts";
import { openDialog } from "./ui.ts";

/** The way back to the list of rooms, where it is another screen. */
export function ToList() {
  const t = useText();
  if (!useIsPhone()) return null;
  return (
    <button type="button" className="icon-button" aria-label={t("room.back")} onClick={goToList}>
      <ArrowLeft aria-hidden size={22} className="flips" />
    </button>
  );
}

/** What the room is, and what can be opened beside it. */
export function RoomHead({ roomId }: { roomId: number }) {
  const t = useText();
  const { panel } = usePlace();
  // One line holds the beginning of a topic; a press shows all of it.
  const [showsTopic, setShowsTopic] = useState(false);
  const info = useClient((client) => client.room(roomId)?.info);
  const hasPins = useClient((client) => client.pins(roomId).length > 0);
  const isOnline = useClient((client) => (info?.peer ? client.isOnline(info.peer.id) : undefined));
  if (!info) return null;
  const isDirect = info.kind === "direct";
  const toggle = (which: "members" | "search" | "pins"): void => showPanel(panel === which ? null : which);
  const peer = info.peer;
  return (
    <header className="room-head">
      <ToList />
      <span className="room-head__icon">
        {isDirect && peer ? (
          <Avatar user={peer} size="s" isOnline={isOnline} />
        ) : info.kind === "private" ? (
          <Lock role="img" aria-label={t("room.isPrivate")} size={18} />
        ) : (
          <Hash aria-hidden size={20} />
        )}
      </span>
      <div className="room-head__words">
        <h1 className="name" dir="auto">
          {isDirect && peer ? (
            <button
              type="button"
              className="room-head__name"
              onClick={() => openDialog({ kind: "person", user: peer, roomId })}
            >
              {roomName(info)}
            </button>
          ) : (
            roomName(info)
          )}
        </h1>
        {info.topic && !isDirect && !info.archived_at ? (
          <button
            type="button"
            className={`room-head__topic quiet ${showsTopic ? "" : "name"}`}
            dir="auto"
            aria-expanded={showsTopic}
            onClick={() => setShowsTopic(!showsTopic)}
          >
            {info.topic}
          </button>
        ) : (
          <p className="room-head__topic name quiet" dir="auto">
            {info.archived_at
              ? t("room.archived")
              : isDirect
                ? t(isOnline ? "presence.online" : "presence.offline")
                : t("room.members", { count: info.member_count })}
          </p>
        )}
      </div>
      {hasPins && (
        <button
          type="button"
          id={toggleId("pins")}
          className="icon-button"
          aria-label={t("panel.pins")}
          title={t("panel.pins")}
          aria-pressed={panel === "pins"}
          onClick={() => toggle("pins")}
        >
          <Pin aria-hidden size={20} />
        </button>
      )}
      <button
        type="button"
        id={toggleId("search")}
        className="icon-button"
        aria-label={t("panel.search")}
        title={t("panel.search")}
        aria-pressed={panel === "search"}
        onClick={() => toggle("search")}
      >
        <Search aria-hidden size={20} />
      </button>
      <button
        type="button"
        id={toggleId("members")}
        className="icon-button"
        aria-label={t("panel.members")}
        title={t("panel.members")}
        aria-pressed={panel === "members"}
        onClick={() => toggle("members")}
      >
        <Users aria-hidden size={20} />
      </button>
      <button
        type="button"
        className="icon-button"
        aria-label={t("room.more")}
        title={t("room.more")}
        aria-haspopup="menu"
        onClick={(event) => openMenu(event, { kind: "room", roomId })}
      >
        <MoreVertical aria-hidden size={20} />
      </button>
    </header>
  );
}
