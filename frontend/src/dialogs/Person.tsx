import { Crown, MessageSquare, ShieldCheck, ShieldOff, UserMinus } from "lucide-react";
import { useEffect, useState } from "react";
import { useText } from "../i18n/text.ts";
import type { Role, UserSummary } from "../protocol/types.ts";
import { useClient, useEngine } from "../session/hooks.ts";
import { bodyOf } from "../session/http.ts";
import { Avatar } from "../shell/Avatar.tsx";
import { useActions } from "../shell/actions.ts";
import { nameOf } from "../shell/people.ts";
import { dutiesWith } from "./duties.ts";
import { Frame } from "./Frame.tsx";

interface PersonProps {
  user: UserSummary;
  roomId: number | null;
  onClose(): void;
}

/** Who somebody is, and what can be done with them. */
export default function Person({ user, roomId, onClose }: PersonProps) {
  const t = useText();
  const actions = useActions();
  const me = useClient((_, { me }) => me.id);
  const isOnline = useClient((client) => client.isOnline(user.id));
  const info = useClient((client) => (roomId === null ? undefined : client.room(roomId)?.info));
  const role = useRole(roomId, user);
  const duties = dutiesWith(info, role, user.id === me);
  const done = (act: () => unknown) => (): void => {
    onClose();
    void act();
  };
  return (
    <Frame title={nameOf(user)} isTitleHidden size="s" onClose={onClose}>
      <div className="dialog__body">
        <div className="person">
          <Avatar user={user} isOnline={isOnline} />
          <h2 className="dialog__title" dir="auto">
            {nameOf(user)}
          </h2>
          <p className="quiet">
            @{user.username} ·{" "}
            {t(user.id === me ? "members.you" : isOnline ? "presence.online" : "presence.offline")}
            {role && role !== "member" && ` · ${t(`role.${role}`)}`}
          </p>
        </div>
        <div className="person__actions">
          <button type="button" className="button button--main" onClick={done(() => actions.direct(user))}>
            <MessageSquare aria-hidden size={18} />
            {t(user.id === me ? "person.notes" : "person.message")}
          </button>
          {roomId !== null && duties.includes("makeAdmin") && (
            <button
              type="button"
              className="button"
              onClick={done(() => actions.setRole(roomId, user, "admin"))}
            >
              <ShieldCheck aria-hidden size={18} />
              {t("person.makeAdmin")}
            </button>
          )}
          {roomId !== null && duties.includes("makeMember") && (
            <button
              type="button"
              className="button"
              onClick={done(() => actions.setRole(roomId, user, "member"))}
            >
              <ShieldOff aria-hidden size={18} />
              {t("person.makeMember")}
            </button>
          )}
          {roomId !== null && duties.includes("handOver") && (
            <button type="button" className="button" onClick={done(() => actions.handOver(roomId, user))}>
              <Crown aria-hidden size={18} />
              {t("person.handOver")}
            </button>
          )}
          {roomId !== null && duties.includes("remove") && (
            <button
              type="button"
              className="button button--danger"
              onClick={done(() => actions.removeMember(roomId, user))}
            >
              <UserMinus aria-hidden size={18} />
              {t("person.remove")}
            </button>
          )}
        </div>
      </div>
    </Frame>
  );
}

/** What somebody is in a room; of a large one not all members are held, and the server is asked. */
function useRole(roomId: number | null, { id, username }: UserSummary): Role | null {
  const engine = useEngine();
  const held = useClient((client) => (roomId === null ? null : client.room(roomId)?.members.get(id)?.role));
  const [found, setFound] = useState<Role | null>(null);
  const isAsked = roomId !== null && held === undefined;
  useEffect(() => {
    if (!isAsked) return undefined;
    let isOver = false;
    engine.act((client) => client.showsMembers(roomId, [id]));
    const params = { path: { room: roomId }, query: { q: username, limit: 200 } };
    bodyOf(engine.api.GET("/api/chat/rooms/{room}/members", { params })).then(
      ({ items }) => !isOver && setFound(items.find(({ user }) => user.id === id)?.role ?? null),
      () => {}, // nothing is offered
    );
    return () => {
      isOver = true;
    };
  }, [engine, isAsked, roomId, id, username]);
  return held === undefined ? found : held;
}
