import { ArrowDown } from "lucide-react";
import {
  type KeyboardEvent,
  type PointerEvent,
  type RefObject,
  useCallback,
  useEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import { useText } from "../i18n/text.ts";
import type { OutboxItem } from "../realtime/outbox.ts";
import { useClient, useEngine } from "../session/hooks.ts";
import { openMenu } from "../shell/menu.ts";
import { useBeforeLeaving } from "../shell/routes.ts";
import { copySelection } from "./copy.ts";
import { useEditing } from "./editing.ts";
import { Entries, type Entry, estimate } from "./items.ts";
import { List } from "./List.tsx";
import { MessageRow } from "./Message.tsx";
import { useNamed } from "./named.ts";
import { goalOf, keepPlace } from "./place.ts";
import { useIsLooking, useNewLine } from "./reading.ts";
import type { ListHandle, Start } from "./source.ts";
import { Toolbar } from "./Toolbar.tsx";
import "./timeline.css";

const LONG_PRESS_MS = 450;
/** In px. A press moves the pointer by less. */
const MOVED_PX = 4;
const NONE: readonly OutboxItem[] = [];

/** Enter, and what opens menus elsewhere. */
const opensMenu = ({ key, shiftKey, altKey, ctrlKey, metaKey }: KeyboardEvent): boolean =>
  !altKey && !ctrlKey && !metaKey && (shiftKey ? key === "F10" : key === "Enter" || key === "ContextMenu");

interface TimelineProps {
  roomId: number;
  /** The message that the address names. */
  seq: number | null;
  label: string;
  handle: RefObject<ListHandle | null>;
  /** To the newest message. */
  goToEnd(): void;
}

/** The messages of a room, from the first unread one or from the one that was asked for. */
export function Timeline({ roomId, seq, label, handle, goToEnd }: TimelineProps) {
  const t = useText();
  const engine = useEngine();
  const me = useClient((_, { me }) => me.id);
  const rows = useClient((client) => client.rows(roomId));
  const pending = useClient((client) => client.pending(roomId) ?? NONE);
  const view = useClient((client) => client.room(roomId)?.view ?? "tail");
  const isLoaded = useClient((client) => client.isShown(roomId));
  const hasOlder = useClient((client) => client.hasOlder(roomId));
  const hasNewer = useClient((client) => client.hasNewer(roomId));
  const failed = useClient((client) => client.room(roomId)?.loadFailed ?? false);
  const [isAtEnd, setAtEnd] = useState(true);
  const [active, setActive] = useState<string | null>(null);
  const [visible, setVisible] = useState<string | null>(null);
  const entriesOf = useMemo(() => new Entries(), []);
  const isLooking = useIsLooking();
  const newAfter = useNewLine(roomId, isLooking);
  const entries = entriesOf.of(rows, view === "tail" ? pending : NONE, me, newAfter, hasOlder);

  // What is really seen is read, and nothing else is. What was told on a line that broke, or was refused for now, counts
  // as unread again: it is told once more.
  const unread = useClient((client) => client.unread(roomId));
  const isLive = useClient((client) => client.live);
  useEffect(() => {
    if (!isLooking || visible === null || !isLive || unread === 0) return;
    const row = entries.findLast((entry) => entry.key === visible)?.row;
    if (row) engine.act((client) => client.markRead(roomId, row.seq));
  }, [engine, roomId, isLooking, visible, entries, isLive, unread]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: it may have become too many with each row
  useEffect(() => {
    if (isAtEnd && view === "tail") engine.act((client) => client.trim(roomId));
  }, [engine, roomId, isAtEnd, view, rows]);

  const isOpen = useClient((client) => client.room(roomId)?.isOpen ?? false);
  const start = useStart(entries, seq, newAfter, isLoaded || pending.length > 0, isOpen, view);
  const isPlaced = start !== null;
  const lit = useNamed(seq, entries, isPlaced, handle, goToEnd);

  const render = useCallback(
    (entry: Entry) => (
      <MessageRow entry={entry} roomId={roomId} isLit={lit !== null && entry.row?.seq === lit} />
    ),
    [roomId, lit],
  );

  const edited = useEditing(roomId, entries, handle);
  const activeEntry = active === null ? undefined : entries.find(({ key }) => key === active);
  const activeRow =
    activeEntry?.row && activeEntry.row.deleted_at === undefined && !edited.includes(activeEntry.row.seq)
      ? activeEntry.row
      : null;
  const unseen = isAtEnd ? 0 : unread;

  const savePlace = (): void => {
    const place = handle.current?.savePlace();
    if (place === undefined) return;
    const at = place === "end" ? undefined : entries.find(({ key }) => key === place.key)?.row?.seq;
    keepPlace(roomId, place === "end" || at === undefined ? null : { seq: at, offset: place.offset });
  };
  useBeforeLeaving(savePlace);

  useEffect(() => {
    document.addEventListener("copy", copySelection);
    return () => document.removeEventListener("copy", copySelection);
  }, []);

  const longPress = useRef<ReturnType<typeof setTimeout> | null>(null);
  const hasPressed = useRef(false);
  const keyAt = (target: EventTarget): string | null =>
    target instanceof Element ? (target.closest("[data-key]")?.getAttribute("data-key") ?? null) : null;
  const onKeyDown = (event: KeyboardEvent): void => {
    const target = event.target as HTMLElement;
    const row = entries.find(({ key }) => key === target.dataset.key)?.row;
    if (!row || row.deleted_at || !opensMenu(event)) return;
    event.preventDefault();
    const at = { currentTarget: target, clientX: 0, clientY: 0, type: "keydown" };
    openMenu(at, { kind: "message", roomId, seq: row.seq });
  };
  // When rows move beneath a resting pointer, another message's tools must not appear there: a press would be meant for the message before.
  const pointer = useRef<{ x: number; y: number } | null>(null);
  const resting = useRef<{ x: number; y: number; key: string | null } | null>(null);
  const isTool = (target: EventTarget): boolean =>
    target instanceof Element && target.closest(".message__tools") !== null;
  const rowsMoved = (): void => {
    if (pointer.current) resting.current ??= { ...pointer.current, key: active };
  };
  const hover = (target: EventTarget): void => {
    const key = keyAt(target);
    if (!isTool(target)) setActive(resting.current && key !== resting.current.key ? null : key);
  };
  const onPointerOver = (event: PointerEvent): void => {
    const { pointerType, clientX: x, clientY: y, target } = event;
    if (pointerType === "touch") return;
    if (pointer.current?.x === x && pointer.current.y === y) rowsMoved();
    else onPointerMove(event);
    hover(target);
  };
  const onPointerMove = ({ pointerType, clientX: x, clientY: y, target }: PointerEvent): void => {
    pointer.current = pointerType === "touch" ? null : { x, y };
    const from = resting.current;
    if (!from || Math.hypot(x - from.x, y - from.y) < MOVED_PX) return;
    resting.current = null;
    if (pointer.current) hover(target);
  };
  const onScroll = (): void => {
    if (document.activeElement?.matches(".message__tools :focus-visible")) return;
    rowsMoved();
    setActive(null);
  };
  // A row that stays beneath the pointer gets no event.
  const onScrollEnd = (): void => {
    const focused = document.activeElement;
    if (!pointer.current || focused?.matches("[data-key]:focus-visible, .message__tools :focus-visible"))
      return;
    const target = document.elementFromPoint(pointer.current.x, pointer.current.y);
    if (target) hover(target);
  };
  const cancelPress = (): void => {
    if (longPress.current) clearTimeout(longPress.current);
    longPress.current = null;
  };
  const onPointerDown = (event: PointerEvent): void => {
    const row = entries.find(({ key }) => key === keyAt(event.target))?.row;
    if (event.pointerType !== "touch" || !row || row.deleted_at) return;
    const { clientX, clientY, currentTarget } = event;
    cancelPress();
    hasPressed.current = false;
    longPress.current = setTimeout(() => {
      hasPressed.current = true;
      openMenu(
        { currentTarget, clientX, clientY, type: "contextmenu", button: 2 },
        { kind: "message", roomId, seq: row.seq },
      );
    }, LONG_PRESS_MS);
  };

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: these are the keys of its rows
    <div
      className="timeline"
      onKeyDown={onKeyDown}
      onPointerOver={onPointerOver}
      onPointerLeave={() => {
        pointer.current = resting.current = null;
        setActive(null);
      }}
      onScrollCapture={onScroll}
      onScrollEndCapture={onScrollEnd}
      onPointerDown={onPointerDown}
      onPointerUp={cancelPress}
      onPointerCancel={cancelPress}
      onTouchEnd={(event) => hasPressed.current && event.preventDefault()} // no click: it would close the menu
      onPointerMove={(event) => {
        onPointerMove(event);
        if (Math.abs(event.movementY) > 2) cancelPress();
      }}
      onFocusCapture={(event) => !event.target.closest(".message__tools") && setActive(keyAt(event.target))}
    >
      {start === null ? (
        <Placeholders label={t("timeline.loading")} />
      ) : (
        <List
          items={entries}
          keyOf={(entry: Entry) => entry.key}
          render={render}
          estimate={estimate}
          hasOlder={hasOlder}
          hasNewer={hasNewer}
          onOlder={() => engine.act((client) => client.loadOlder(roomId))}
          onNewer={() => engine.act((client) => client.loadNewer(roomId))}
          onAtEnd={setAtEnd}
          onVisible={(_, last) => {
            setVisible(last);
            savePlace();
            // The tools of the row that a key has gone to, which the list may have scrolled for.
            const focused = document.activeElement;
            if (focused?.matches("[data-key]:focus-visible")) setActive(keyAt(focused));
          }}
          start={start}
          label={label}
          handle={handle}
        />
      )}
      {activeRow && activeEntry && <Toolbar roomId={roomId} row={activeRow} entryKey={activeEntry.key} />}
      {failed && (
        <div className="timeline__failed" role="alert">
          {t("timeline.failed")}{" "}
          <button
            type="button"
            className="link-button"
            onClick={() => engine.act((client) => client.open(roomId))}
          >
            {t("timeline.again")}
          </button>
        </div>
      )}
      {(view === "away" || (isPlaced && !isAtEnd)) && (
        <button type="button" className="timeline__end" data-aside={edited.length > 0} onClick={goToEnd}>
          <ArrowDown aria-hidden size={16} />
          {unseen > 0 ? t("timeline.newBelow", { count: unseen }) : t("timeline.toEnd")}
        </button>
      )}
    </div>
  );
}

/**
 * Where the list begins, decided once its messages are there: where it was left, at the named one, at the first unread
 * one, else at the end. It is decided again if nothing was loaded there yet.
 */
function useStart(
  entries: readonly Entry[],
  seq: number | null,
  newAfter: number | null,
  isLoaded: boolean,
  isOpen: boolean,
  view: "tail" | "away",
): Start | null {
  const decided = useRef<Start | null>(null);
  const isAgain = useRef(false);
  if (decided.current !== null && !isLoaded && entries.length === 0) {
    decided.current = null;
    isAgain.current = true;
  }
  if (decided.current === null && isLoaded) {
    const goal = isAgain.current && view === "tail" ? "end" : goalOf(seq);
    const place = goal === "end" ? null : goal;
    const found = place && entries.find(({ row }) => row?.seq === place.seq);
    // From the cache a room shows its end; where it was left is asked for once it is open.
    if (place && !found && !isOpen) return null;
    const firstNew =
      newAfter === null || isAgain.current ? undefined : entries.find(({ isFirstNew }) => isFirstNew);
    if (place && found)
      decided.current =
        place.at === "center" ? { key: found.key, align: place.at } : { key: found.key, offset: place.at };
    else if (firstNew) decided.current = { key: firstNew.key, align: "top" };
    else decided.current = "end";
  }
  return decided.current;
}

const WIDTHS = [62, 38, 80, 55, 71, 30, 66];

/** About what will be there. */
function Placeholders({ label }: { label: string }) {
  return (
    <div className="placeholders" role="status" aria-label={label}>
      {WIDTHS.map((width) => (
        <div key={width} className="placeholder">
          <span />
          <p style={{ inlineSize: `${width}%` }} />
        </div>
      ))}
    </div>
  );
}
