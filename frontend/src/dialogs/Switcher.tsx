import { Command } from "cmdk";
import {
  Compass,
  Settings as Gear,
  Hash,
  Keyboard,
  Lock,
  LogOut,
  MessageSquarePlus,
  Moon,
} from "lucide-react";
import { useEffect, useMemo, useState } from "react";
import { wordsOf } from "../forms/useForm.ts";
import { useText } from "../i18n/text.ts";
import { plain } from "../markdown/names.ts";
import type { UserSummary } from "../protocol/types.ts";
import { useClient, useEngine } from "../session/hooks.ts";
import { bodyOf } from "../session/http.ts";
import { setPrefs } from "../session/prefs.ts";
import { Avatar } from "../shell/Avatar.tsx";
import { useActions } from "../shell/actions.ts";
import { isComposing } from "../shell/keys.ts";
import { logOutAsking } from "../shell/leaving.ts";
import { nameOf, roomName } from "../shell/people.ts";
import { entryOf, type RoomEntry } from "../shell/rooms.ts";
import { goTo } from "../shell/routes.ts";
import { openDialog } from "../shell/ui.ts";
import { Frame } from "./Frame.tsx";
import { rankOf } from "./fuzzy.ts";

const SHOWN_MAX = 30;
const ASK_AFTER_MS = 150;

/** Goes anywhere by keyboard: rooms, people, commands; the newest first while nothing is typed. */
export default function Switcher({ onClose }: { onClose(): void }) {
  const t = useText();
  const engine = useEngine();
  const { direct } = useActions();
  const [query, setQuery] = useState("");
  const version = useClient((client) => client.version);
  const { people, fault, isPending } = usePeople(query);
  // As in a message: # is for rooms alone, @ for people.
  const sign = /^[#@]/.exec(query.trim())?.[0];
  const sought = plain(query.trim().slice(sign ? 1 : 0));
  /** Enter was pressed on this while people were being looked up. */
  const [wanted, want] = useState<string | null>(null);

  // biome-ignore lint/correctness/useExhaustiveDependencies: the version stands for the client's state
  const rooms = useMemo(() => {
    const { client, drafts } = engine;
    const all = [...client.rooms.values()]
      .filter(({ info }) => !sign || (info.kind === "direct") === (sign === "@"))
      .map((room) => entryOf(client, drafts, room));
    const newest = ({ room }: RoomEntry): string => room.preview?.created_at ?? "";
    const ranked = all
      .map((entry) => ({ entry, rank: rankOf(sought, plain(roomName(entry.room.info))) }))
      .filter(({ rank }) => rank > 0)
      .sort(
        (a, b) =>
          b.rank - a.rank ||
          b.entry.mentions - a.entry.mentions ||
          newest(b.entry).localeCompare(newest(a.entry)),
      );
    return ranked.slice(0, SHOWN_MAX).map(({ entry }) => entry);
  }, [engine, sign, sought, version]);

  const withRoom = new Set(rooms.flatMap(({ room }) => (room.info.peer ? [room.info.peer.id] : [])));
  const fits = (user: UserSummary): boolean => rankOf(sought, plain(`${nameOf(user)} ${user.username}`)) > 0;
  const others =
    sign === "#" ? [] : people.filter((user) => !withRoom.has(user.id) && (!isPending || fits(user)));
  const go = (act: () => unknown) => (): void => {
    onClose();
    act();
  };
  const commands = [
    {
      key: "new",
      label: t("sidebar.newRoom"),
      Icon: MessageSquarePlus,
      act: () => openDialog({ kind: "newRoom" }),
    },
    { key: "browse", label: t("sidebar.browse"), Icon: Compass, act: () => openDialog({ kind: "browse" }) },
    { key: "settings", label: t("settings.title"), Icon: Gear, act: () => openDialog({ kind: "settings" }) },
    { key: "scheme", label: t("switcher.scheme"), Icon: Moon, act: turnScheme },
    { key: "keys", label: t("keys.title"), Icon: Keyboard, act: () => openDialog({ kind: "keys" }) },
    { key: "logout", label: t("settings.logOut"), Icon: LogOut, act: () => void logOutAsking(engine, t) },
  ].filter(({ label }) => !sign && (sought === "" || rankOf(sought, plain(label)) > 0));
  const isEmpty = rooms.length + others.length + commands.length === 0;
  const isLookingUp = isPending && sign !== "#";

  const first = others[0];
  // biome-ignore lint/correctness/useExhaustiveDependencies: when they have been looked up
  useEffect(() => {
    if (wanted !== query || isLookingUp) return;
    want(null);
    if (first) go(() => direct(first))();
  }, [wanted, query, isLookingUp]);

  return (
    <Frame title={t("switcher.title")} isTitleHidden onClose={onClose}>
      <Command
        className="switcher"
        shouldFilter={false}
        label={t("switcher.title")}
        loop
        onKeyDown={(event) => {
          if (event.key === "Enter" && !isComposing(event) && isEmpty && isLookingUp) want(query);
        }}
      >
        <Command.Input
          value={query}
          onValueChange={setQuery}
          placeholder={t("switcher.placeholder")}
          autoFocus
        />
        <Command.List label={t("switcher.title")}>
          {rooms.length > 0 && (
            <Command.Group heading={t(sought ? "section.rooms" : "switcher.recent")}>
              {rooms.map(({ room, unread, mentions }) => (
                <Command.Item key={room.id} value={`room-${room.id}`} onSelect={go(() => goTo(room.id))}>
                  {room.info.peer && room.info.kind === "direct" ? (
                    <Avatar user={room.info.peer} size="s" />
                  ) : room.info.kind === "private" ? (
                    <Lock role="img" aria-label={t("room.isPrivate")} size={18} />
                  ) : (
                    <Hash aria-hidden size={18} />
                  )}
                  <span className="name" dir="auto">
                    {roomName(room.info)}
                  </span>
                  {mentions > 0 ? (
                    <span className="badge">{mentions}</span>
                  ) : (
                    unread > 0 && <span className="count">{unread}</span>
                  )}
                </Command.Item>
              ))}
            </Command.Group>
          )}
          {others.length > 0 && (
            <Command.Group heading={t("switcher.people")}>
              {others.map((user) => (
                <Command.Item key={user.id} value={`user-${user.id}`} onSelect={go(() => direct(user))}>
                  <Avatar user={user} size="s" />
                  <span className="name" dir="auto">
                    {nameOf(user)} <span className="quiet">@{user.username}</span>
                  </span>
                </Command.Item>
              ))}
            </Command.Group>
          )}
          {commands.length > 0 && (
            <Command.Group heading={t("switcher.commands")}>
              {commands.map(({ key, label, Icon, act }) => (
                <Command.Item key={key} value={`command-${key}`} onSelect={go(act)}>
                  <Icon aria-hidden size={18} />
                  <span className="name">{label}</span>
                </Command.Item>
              ))}
            </Command.Group>
          )}
        </Command.List>
        <p className="switcher__empty" role="status">
          {isEmpty && (isLookingUp ? t("search.busy") : fault || t("switcher.nothing"))}
        </p>
        <p className="switcher__foot">
          <span>
            <kbd>↑</kbd> <kbd>↓</kbd> {t("switcher.choose")}
          </span>
          <span>
            <kbd>↵</kbd> {t("switcher.open")}
          </span>
        </p>
      </Command>
    </Frame>
  );
}

function turnScheme(): void {
  const isDark = document.documentElement.dataset.scheme === "dark";
  setPrefs({ scheme: isDark ? "light" : "dark" });
}

interface People {
  people: readonly UserSummary[];
  fault: string;
  isPending: boolean;
}

const NOBODY: readonly UserSummary[] = [];

/** Users of the whole server by the beginning of their name. The last result stays until the next one arrives. */
function usePeople(query: string): People {
  const t = useText();
  const engine = useEngine();
  const [answer, setAnswer] = useState<{ q: string; people: readonly UserSummary[]; fault: string } | null>(
    null,
  );
  const q = query.trim().replace(/^@/, "");
  const isAsked = /[\p{L}\p{N}]/u.test(q);
  useEffect(() => {
    if (!isAsked) return undefined;
    let isOver = false;
    const timer = setTimeout(() => {
      bodyOf(engine.api.GET("/api/users", { params: { query: { q, limit: 10 } } })).then(
        ({ items }) => !isOver && setAnswer({ q, people: items, fault: "" }),
        (problem) => !isOver && setAnswer({ q, people: NOBODY, fault: wordsOf(problem, t) }),
      );
    }, ASK_AFTER_MS);
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [engine, q, isAsked, t]);
  if (!isAsked) return { people: NOBODY, fault: "", isPending: false };
  return {
    people: answer?.people ?? NOBODY,
    fault: answer?.fault ?? "",
    isPending: answer?.q !== q,
  };
}
