import { Search, UserPlus } from "lucide-react";
import { useDeferredValue, useEffect, useState } from "react";
import { useText } from "./i18n/text.ts";
import type { Member, UserSummary } from "./protocol/types.ts";
import { useClient, useEngine, useIsLive } from "./session/hooks.ts";
import { bodyOf } from "./session/http.ts";
import { Avatar, Presence } from "./shell/Avatar.tsx";
import { openMenu } from "./shell/menu.ts";
import { PanelHead } from "./shell/PanelHead.tsx";
import { handleOf, nameOf, searchKey } from "./shell/people.ts";
import { openDialog } from "./shell/ui.ts";
import "./user-list.css";

const SMALL = 200;
const NOBODY: readonly Member[] = [];
const RANKS = { owner: 0, admin: 1, member: 2 };

interface Shown {
  user: UserSummary;
  role: "owner" | "admin" | "member";
}

/** The members of a room: who is online, and who I am. Of large rooms the first ones, and the rest by search. */
export function UserList({ roomId, onClose }: { roomId: number; onClose(): void }) {
  const t = useText();
  const engine = useEngine();
  const [query, setQuery] = useState("");
  const sought = useDeferredValue(query.trim());
  const info = useClient((client) => client.room(roomId)?.info);
  const members = useClient((client) => client.room(roomId)?.members);
  const isLoaded = useClient((client) => client.room(roomId)?.membersLoaded ?? false);
  const hasFailed = useClient((client) => client.room(roomId)?.membersFailed ?? false);
  const hasMore = useClient((client) => client.room(roomId)?.hasMoreMembers ?? false);
  const version = useClient((client) => client.version);
  const { found, state } = useFound(roomId, sought, (info?.member_count ?? 0) > SMALL);
  const me = engine.me.id;
  if (!info) return null;

  const key = searchKey(sought);
  const held: Shown[] = engine.client
    .members(roomId)
    .flatMap(({ user, role }) => (role === null ? [] : [{ user, role }]));
  const fits = ({ user }: Shown): boolean =>
    key === "" || searchKey(`${nameOf(user)} ${user.username}`).includes(key);
  const known = held.filter(fits);
  // Of who is held, or was, it is known what became of them since.
  const all = [...known, ...found.filter(({ user }) => !members?.get(user.id))];
  const order = (a: Shown, b: Shown): number =>
    RANKS[a.role] - RANKS[b.role] || nameOf(a.user).localeCompare(nameOf(b.user));
  const isOnline = (member: Shown): boolean => engine.client.isOnline(member.user.id);
  const online = all.filter(isOnline).sort(order);
  const offline = all.filter((member) => !isOnline(member)).sort(order);
  const isDirect = info.kind === "direct";
  return (
    <div className="user-list" data-version={version}>
      <PanelHead title={t("members.title", { count: info.member_count })} onClose={onClose}>
        {!isDirect && !info.archived_at && (
          <button
            type="button"
            className="icon-button"
            aria-label={t("members.invite")}
            title={t("members.invite")}
            onClick={() => openDialog({ kind: "invite", roomId })}
          >
            <UserPlus aria-hidden size={20} />
          </button>
        )}
      </PanelHead>
      {!isDirect && (
        <search className="user-list__search">
          <Search aria-hidden size={16} />
          <input
            type="search"
            className="input"
            placeholder={t("members.search")}
            aria-label={t("members.search")}
            value={query}
            onChange={(event) => setQuery(event.target.value)}
          />
        </search>
      )}
      <div className="panel__body">
        <Group
          roomId={roomId}
          title={hasMore ? t("presence.online") : t("members.online", { count: online.length })}
          members={online}
          me={me}
          isOnline
        />
        <Group
          roomId={roomId}
          title={hasMore ? t("presence.offline") : t("members.offline", { count: offline.length })}
          members={offline}
          me={me}
          isOnline={false}
        />
        {!isLoaded && !hasFailed && <p className="quiet">{t("members.loading")}</p>}
        {state === "pending" && <p className="quiet">{t("search.busy")}</p>}
        {isLoaded && all.length === 0 && sought !== "" && state === "done" && (
          <p className="quiet">{t("members.nobody")}</p>
        )}
        {(hasFailed || state === "failed") && <p role="alert">{t("members.failed")}</p>}
        {(hasFailed || (hasMore && sought === "")) && (
          <button
            type="button"
            className="button button--wide"
            onClick={() => engine.act((client) => client.moreMembers(roomId))}
          >
            {t(hasFailed ? "timeline.again" : "members.more")}
          </button>
        )}
      </div>
    </div>
  );
}

function Group({
  roomId,
  title,
  members,
  me,
  isOnline,
}: {
  roomId: number;
  title: string;
  members: Shown[];
  me: number;
  isOnline: boolean;
}) {
  const t = useText();
  if (members.length === 0) return null;
  return (
    <section className="user-group">
      <h3>{title}</h3>
      <ul>
        {members.map(({ user, role }) => (
          <li key={user.id} data-user={user.id} data-online={isOnline}>
            <button
              type="button"
              className="user"
              onClick={() => openDialog({ kind: "person", user, roomId })}
              onContextMenu={(event) => {
                event.preventDefault();
                openMenu(event, { kind: "member", roomId, userId: user.id });
              }}
              title={`@${user.username}`}
            >
              <Avatar user={user} size="s" isOnline={isOnline} />
              <bdi className="name">
                {nameOf(user)} <span className="quiet">{handleOf(user)}</span>
              </bdi>
              <Presence isOnline={isOnline} />
              {user.id === me && <span className="user__note">{t("members.you")}</span>}
              {role !== "member" && <span className="user__note">{t(`role.${role}`)}</span>}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** Whom the server finds, where not all members are held; it is asked again when the connection is back. */
function useFound(
  roomId: number,
  q: string,
  isLarge: boolean,
): { found: readonly Member[]; state: "done" | "pending" | "failed" } {
  const engine = useEngine();
  const isLive = useIsLive();
  const [answer, setAnswer] = useState<{ of: string; found: readonly Member[] | null } | null>(null);
  const isAsked = q !== "" && isLarge;
  const of = `${roomId} ${q}`;
  // biome-ignore lint/correctness/useExhaustiveDependencies: asked again when the connection is back
  useEffect(() => {
    if (!isAsked) return undefined;
    let isOver = false;
    const timer = setTimeout(() => {
      bodyOf(
        engine.api.GET("/api/chat/rooms/{room}/members", {
          params: { path: { room: roomId }, query: { q, limit: 50 } },
        }),
      ).then(
        ({ items }) => {
          if (isOver) return;
          setAnswer({ of, found: items });
          engine.act((client) =>
            client.showsMembers(
              roomId,
              items.map(({ user }) => user.id),
            ),
          );
        },
        () =>
          !isOver &&
          setAnswer((before) => (before?.of === of && before.found ? before : { of, found: null })),
      );
    }, 200);
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [engine, roomId, q, of, isAsked, isLive]);
  if (!isAsked) return { found: NOBODY, state: "done" };
  if (answer?.of !== of) return { found: NOBODY, state: "pending" };
  return { found: answer.found ?? NOBODY, state: answer.found ? "done" : "failed" };
}
