import { SendHorizontal, Smile, X } from "lucide-react";
import { type FormEvent, type KeyboardEvent, useEffect, useLayoutEffect, useRef, useState } from "react";
import { useText } from "../i18n/text.ts";
import { plainText } from "../markdown/plainText.ts";
import { useClient, useEngine } from "../session/hooks.ts";
import { setUnreadFrom } from "../session/prefs.ts";
import { openMenu } from "../shell/menu.ts";
import { nameOf, roomName } from "../shell/people.ts";
import { announce, toast } from "../shell/ui.ts";
import { startEditing } from "../timeline/editing.ts";
import { useQuoted } from "../timeline/Quote.tsx";
import { composerId, replyTo } from "./answering.ts";
import { Count } from "./Count.tsx";
import { asSent, useLimit } from "./fit.ts";
import { grow } from "./grow.ts";
import { TypingLine } from "./TypingLine.tsx";
import { useWriting } from "./useWriting.tsx";
import "./composer.css";

interface ComposerProps {
  roomId: number;
  /** To the newest message. */
  goToEnd(): void;
  /** A message was written. */
  onSent(): void;
}

/** The box in which messages are written. */
export function Composer({ roomId, goToEnd, onSent }: ComposerProps) {
  const t = useText();
  const engine = useEngine();
  const max = useLimit();
  const box = useRef<HTMLTextAreaElement>(null);
  const info = useClient((client) => client.room(roomId)?.info);
  const answered = useClient((_, { drafts }) => drafts.of(roomId).replyTo);
  const [isEmpty, setEmpty] = useState(true);
  const [left, setLeft] = useState(max);
  const { props, list, changed } = useWriting(roomId, box, { change, send, key });

  function change(text: string): void {
    const { content, left: remaining } = asSent(text, max);
    setEmpty(content === null && remaining >= 0);
    setLeft(remaining);
    engine.drafts.set(roomId, { ...engine.drafts.of(roomId), text });
    if (text.trim()) engine.act((client, now) => client.typed(roomId, now));
  }

  // The box holds the draft, also one that another tab writes. An archived room has no box.
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is read here alone changes with the box
  useLayoutEffect(() => {
    const area = box.current;
    if (!area) return undefined;
    const take = (): void => {
      const { text } = engine.drafts.of(roomId);
      if (area.value === text) return;
      area.value = text;
      area.setSelectionRange(text.length, text.length);
      setEmpty(text.trim() === "");
      setLeft(asSent(text, max).left);
      grow(area);
    };
    take();
    return engine.subscribe(take);
  }, [roomId, info?.archived_at]);

  useEffect(() => {
    if (!matchMedia("(pointer: coarse)").matches) box.current?.focus({ preventScroll: true });
  }, []);

  function send(): void {
    const area = box.current;
    if (!area) return;
    const { content, over } = asSent(area.value, max);
    if (over > 0) announce(t("composer.over", { count: over, max }));
    if (content === null) return;
    if (!engine.say(roomId, content, engine.drafts.of(roomId).replyTo)) return void toast(t("composer.full"));
    setUnreadFrom(roomId, null);
    engine.drafts.set(roomId, { text: "" });
    area.value = "";
    changed();
    area.focus();
    onSent();
  }

  function key(event: KeyboardEvent<HTMLTextAreaElement>): void {
    const { key, altKey, shiftKey, currentTarget } = event;
    if (key === "ArrowUp" && !altKey && !shiftKey && currentTarget.value === "") {
      if (changeLast(currentTarget)) event.preventDefault();
    } else if (key === "Escape" && answered !== undefined) {
      event.stopPropagation();
      replyTo(roomId, undefined);
    }
  }

  /** Takes back my last message while it is pending, else edits it. */
  function changeLast(area: HTMLTextAreaElement): boolean {
    const { client, me } = engine;
    if (client.pending(roomId).length > 0) {
      const item = engine.takeBack(roomId);
      if (!item) return false;
      replyTo(roomId, item.replyTo);
      area.value = item.content;
      changed();
      return true;
    }
    // The newest ones, also while others are shown.
    const mine = client
      .room(roomId)
      ?.tail.rows.list()
      .findLast(
        ({ sender, seq }) =>
          sender.id === me.id &&
          client.row(roomId, seq)?.deleted_at === undefined &&
          !engine.isGoing(roomId, seq),
      );
    if (!mine) return false;
    if (client.room(roomId)?.view === "away") goToEnd();
    startEditing(roomId, mine.seq);
    return true;
  }

  /** By the browser's own way, so that it can be undone. */
  function insert(text: string): void {
    const area = box.current;
    if (!area) return;
    area.focus();
    if (!document.execCommand("insertText", false, text)) {
      area.setRangeText(text, area.selectionStart, area.selectionEnd, "end");
      changed();
    }
  }

  if (!info) return null;
  if (info.archived_at) return <p className="composer__closed quiet">{t("composer.archived")}</p>;
  const label =
    info.kind === "direct"
      ? t("composer.direct", { name: roomName(info) })
      : t("composer.room", { name: roomName(info) });
  const isOver = left < 0;
  return (
    <form
      className="composer"
      onSubmit={(event: FormEvent) => {
        event.preventDefault();
        send();
      }}
    >
      {list}
      {answered !== undefined && <Answering roomId={roomId} seq={answered} />}
      <div className="composer__box" data-over={isOver}>
        <textarea
          {...props}
          id={composerId}
          className="composer__text grows"
          placeholder={label}
          aria-label={label}
          aria-describedby="composer-count"
        />
        <button
          type="button"
          className="icon-button composer__emoji"
          aria-label={t("composer.emoji")}
          title={t("composer.emoji")}
          aria-haspopup="dialog"
          onClick={(event) => openMenu(event, { kind: "emoji", pick: insert })}
        >
          <Smile aria-hidden size={20} />
        </button>
        <button
          type="submit"
          className="icon-button composer__send"
          data-ready={!isEmpty && !isOver}
          aria-label={t("composer.send")}
          title={t("composer.send")}
        >
          <SendHorizontal aria-hidden size={20} />
        </button>
      </div>
      <div className="composer__foot">
        <TypingLine roomId={roomId} />
        <Count id="composer-count" left={left} />
      </div>
    </form>
  );
}

function Answering({ roomId, seq }: { roomId: number; seq: number }) {
  const t = useText();
  const quoted = useQuoted(roomId, seq);
  const row = quoted === "missing" ? null : quoted;
  const isGone = quoted === "missing" || row?.deleted_at !== undefined;
  return (
    <div className="composer__answering">
      {isGone ? (
        <p className="name">{t("composer.answeringGone")}</p>
      ) : (
        <p className="name">
          {t("composer.answering", { name: row ? nameOf(row.sender) : "…" })}{" "}
          <bdi className="quiet">{row && plainText(row.content ?? "")}</bdi>
        </p>
      )}
      <button
        type="button"
        className="icon-button"
        aria-label={t("composer.stopAnswering")}
        onClick={() => replyTo(roomId, undefined)}
      >
        <X aria-hidden size={16} />
      </button>
    </div>
  );
}
