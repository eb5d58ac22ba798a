import { ChevronDown, Compass, Hash, Lock, MessageSquarePlus, Pencil, Search, Settings } from "lucide-react";
import {
  type MouseEvent,
  memo,
  type RefObject,
  Suspense,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import { Link } from "wouter";
import { useText } from "../i18n/text.ts";
import { part } from "../loading.ts";
import type { Engine } from "../session/engine.ts";
import { useClient, useEngine } from "../session/hooks.ts";
import { toggleFolded, useOwnPrefs, usePrefs } from "../session/prefs.ts";
import { Avatar, Presence } from "./Avatar.tsx";
import { isMac } from "./keys.ts";
import { openMenu } from "./menu.ts";
import { isolated, nameOf, roomName } from "./people.ts";
import { useIsPhone } from "./phone.ts";
import { inOrderOf, isFolded, type RoomEntry, type Section, sectionsOf, shownOf } from "./rooms.ts";
import { goTo, roomPath, usePlace } from "./routes.ts";
import { useToday, useWhen } from "./time.ts";
import { openDialog } from "./ui.ts";
import "./sidebar.css";

const FirstSteps = part(() => import("./Welcome.tsx").then(({ FirstSteps }) => ({ default: FirstSteps })));

/** The list of rooms, and the ways to find or make one. */
export function Sidebar() {
  const t = useText();
  const engine = useEngine();
  const me = useClient((_, { me }) => me);
  const isLive = useClient((_, { line }) => line.state === "live");
  const version = useClient((client) => client.version);
  const draftsVersion = useClient((_, { drafts }) => drafts.version);
  const favourites = useOwnPrefs((prefs) => prefs.favourites);
  const unreadFrom = useOwnPrefs((prefs) => prefs.unreadFrom);
  const { roomId } = usePlace();
  // biome-ignore lint/correctness/useExhaustiveDependencies: the version stands for the client's state
  const sorted = useMemo(
    () => sectionsOf(engine.client, engine.drafts, favourites),
    [engine, favourites, unreadFrom, version, draftsVersion],
  );
  const list = useRef<HTMLDivElement>(null);
  const isAimedAt = useIsAimedAt(list);
  const shown = useRef(sorted);
  const sections = isAimedAt ? inOrderOf(shown.current, sorted) : sorted;
  shown.current = sections;
  useKeptScroll(list);
  return (
    <nav className="sidebar" aria-label={t("sidebar.label")}>
      <header className="sidebar__head">
        <h1 className="sidebar__title name">{t("app.name")}</h1>
        <button
          type="button"
          className="icon-button"
          aria-label={t("sidebar.browse")}
          title={t("sidebar.browse")}
          onClick={() => openDialog({ kind: "browse" })}
        >
          <Compass aria-hidden size={20} />
        </button>
        <button
          type="button"
          className="icon-button"
          aria-label={t("sidebar.newRoom")}
          title={t("sidebar.newRoom")}
          onClick={() => openDialog({ kind: "newRoom" })}
        >
          <MessageSquarePlus aria-hidden size={20} />
        </button>
      </header>
      <button
        type="button"
        className="sidebar__find"
        onClick={() => openDialog({ kind: "switcher" })}
        aria-keyshortcuts={isMac ? "Meta+K" : "Control+K"}
      >
        <Search aria-hidden size={16} />
        <span>{t("sidebar.find")}</span>
        <kbd>{isMac ? "⌘K" : t("key.ctrlK")}</kbd>
      </button>
      <div ref={list} className="sidebar__list">
        {sections.map(
          (section) =>
            section.entries.length > 0 && <SectionList key={section.key} section={section} openId={roomId} />,
        )}
        {sections.every(({ entries }) => entries.length === 0) && isLive && <Empty />}
      </div>
      <footer className="sidebar__foot">
        <button
          type="button"
          className="sidebar__me"
          onClick={() => openDialog({ kind: "settings" })}
          aria-label={t("sidebar.settingsOf", { name: nameOf(me) })}
        >
          <Avatar user={me} size="s" isOnline={isLive} />
          <span className="name" dir="auto">
            {nameOf(me)}
          </span>
          <Settings aria-hidden size={18} className="quiet" />
        </button>
      </footer>
    </nav>
  );
}

/** Whether the pointer or the visible focus of the keyboard is in the list. */
function useIsAimedAt(list: RefObject<HTMLElement | null>): boolean {
  const [isAimedAt, setAimedAt] = useState(false);
  useEffect(() => {
    const element = list.current;
    if (!element) return undefined;
    const listening = new AbortController();
    let [hasPointer, hasFocus] = [false, false];
    const follow = (event: Event): void => {
      const { type, target } = event;
      const isInside = target instanceof Node && element.contains(target);
      if (type === "keydown" && !isInside) hasPointer = hasFocus = false;
      else if (type === "pointermove" || type === "pointerdown") hasPointer = true;
      else if (type === "pointerleave") hasPointer = false;
      else if (type === "focusin") hasFocus = (target as Element).matches(":focus-visible");
      else if (type === "focusout")
        hasFocus &&= element.contains((event as FocusEvent).relatedTarget as Node);
      setAimedAt(hasPointer || hasFocus);
    };
    const { signal } = listening;
    for (const type of ["pointermove", "pointerdown", "pointerleave", "focusin", "focusout"])
      element.addEventListener(type, follow, { signal });
    addEventListener("keydown", follow, { signal });
    return () => listening.abort();
  }, [list]);
  return isAimedAt;
}

const scrolls = new WeakMap<Engine, number>();

/** Keeps the scroll position of the list, which a phone removes while a room is shown. */
function useKeptScroll(list: RefObject<HTMLElement | null>): void {
  const engine = useEngine();
  useLayoutEffect(() => {
    const element = list.current;
    if (!element) return undefined;
    element.scrollTop = scrolls.get(engine) ?? 0;
    return () => {
      scrolls.set(engine, element.scrollTop);
    };
  }, [engine, list]);
}

/** A phone shows no other screen beside the list: what to do first stands here. */
function Empty() {
  const t = useText();
  if (!useIsPhone()) return <p className="sidebar__empty quiet">{t("sidebar.empty")}</p>;
  return (
    <div className="welcome">
      <Suspense fallback={null}>
        <FirstSteps />
      </Suspense>
    </div>
  );
}

function SectionList({ section, openId }: { section: Section; openId: number | null }) {
  const t = useText();
  const { key: name } = section;
  const folded = usePrefs((prefs) => isFolded(prefs, name));
  const listId = `section-${name}`;
  return (
    <section className="section" aria-labelledby={`${listId}-title`}>
      <h2 id={`${listId}-title`}>
        <button
          type="button"
          className="section__title"
          aria-expanded={!folded}
          aria-controls={listId}
          onClick={() => toggleFolded(name === "archived" ? "archived-open" : name)}
        >
          <ChevronDown aria-hidden size={14} data-folded={folded} />
          {t(`section.${name}`)}
        </button>
      </h2>
      <ul id={listId}>
        {shownOf(section, folded, openId).map((entry) => (
          <RoomLink
            key={entry.room.id}
            entry={entry}
            roomId={entry.room.id}
            version={entry.room.version}
            hasDraft={entry.hasDraft}
            isOpen={entry.room.id === openId}
          />
        ))}
      </ul>
    </section>
  );
}

interface RoomLinkProps {
  roomId: number;
  entry: RoomEntry;
  /** What `entry` shows changes with these alone. */
  version: number;
  hasDraft: boolean;
  isOpen: boolean;
}

const RoomLink = memo(
  function RoomLink({ roomId, entry, isOpen }: RoomLinkProps) {
    const t = useText();
    const { room, unread, mentions, isMuted, hasDraft } = entry;
    const { info } = room;
    const engine = useEngine();
    const lastSaid = () => engine.client.lastSaid(roomId, (seq) => engine.isGoing(roomId, seq));
    useClient(() => lastSaid()?.seq);
    const preview = lastSaid();
    const isOnline = useClient((client) => (info.peer ? client.isOnline(info.peer.id) : undefined));
    const isNew = unread > 0 && !isMuted;
    const item = useRef<HTMLLIElement>(null);
    // The room may move in the list when it is read.
    // biome-ignore lint/correctness/useExhaustiveDependencies: see above
    useEffect(() => {
      if (isOpen) item.current?.scrollIntoView({ block: "nearest" });
    }, [isOpen, isNew]);
    const favour = (event: MouseEvent): void => {
      event.preventDefault();
      openMenu(event, { kind: "roomLink", roomId });
    };
    return (
      <li ref={item}>
        <Link
          href={roomPath(roomId)}
          className="room-link"
          data-new={isNew}
          data-muted={isMuted}
          data-lines={preview || hasDraft ? 2 : 1}
          aria-current={isOpen ? "page" : undefined}
          data-room={roomId}
          onClick={(event: MouseEvent) => {
            event.preventDefault();
            goTo(roomId);
          }}
          onContextMenu={favour}
        >
          <span className="room-link__icon">
            {info.kind === "direct" && info.peer ? (
              <Avatar user={info.peer} size="s" isOnline={isOnline} />
            ) : info.kind === "private" ? (
              <Lock role="img" aria-label={t("room.isPrivate")} size={17} />
            ) : (
              <Hash aria-hidden size={18} />
            )}
          </span>
          <span className="room-link__name name" dir="auto">
            {roomName(info)}
          </span>
          {isOnline !== undefined && <Presence isOnline={isOnline} />}
          <span className="room-link__line name" dir="auto">
            {hasDraft ? (
              <span className="room-link__draft">
                <Pencil aria-hidden size={11} /> {t("sidebar.draft")}
              </span>
            ) : (
              preview && (
                <bdi>
                  {info.kind === "direct"
                    ? preview.snippet
                    : t("sidebar.lastLine", {
                        name: isolated(nameOf(preview.sender)),
                        text: preview.snippet,
                      })}
                </bdi>
              )
            )}
          </span>
          <span className="room-link__side">
            {preview && unread === 0 && <LastTime at={preview.created_at} />}
            {mentions > 0 ? (
              <span className="badge">
                <span aria-hidden>{mentions > 99 ? "99+" : mentions}</span>
                <span className="visually-hidden">{t("sidebar.mentions", { count: mentions })}</span>
              </span>
            ) : (
              unread > 0 && (
                <span className="count">
                  <span aria-hidden>{unread > 999 ? "999+" : unread}</span>
                  <span className="visually-hidden">{t("sidebar.unread", { count: unread })}</span>
                </span>
              )
            )}
          </span>
        </Link>
      </li>
    );
  },
  (a, b) =>
    a.roomId === b.roomId &&
    a.version === b.version &&
    a.isOpen === b.isOpen &&
    a.hasDraft === b.hasDraft &&
    a.entry.unread === b.entry.unread &&
    a.entry.isMuted === b.entry.isMuted,
);

/** When something was said there last. */
function LastTime({ at }: { at: string }) {
  const when = useWhen();
  const today = useToday();
  return <time className="room-link__time">{when.short(at, today)}</time>;
}
