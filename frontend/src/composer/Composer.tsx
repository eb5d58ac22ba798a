import { SendHorizontal, Smile, X } from "lucide-react";
import {
  type ClipboardEvent,
  type FormEvent,
  type KeyboardEvent,
  useEffect,
  useLayoutEffect,
  useRef,
  useState,
} from "react";
import { useText } from "../i18n/text.ts";
import { plainText } from "../markdown/plainText.ts";
import { useClient, useEngine } from "../session/hooks.ts";
import { enterSends, setUnreadFrom } from "../session/prefs.ts";
import { isComposing } from "../shell/keys.ts";
import { openMenu } from "../shell/menu.ts";
import { nameOf, roomName } from "../shell/people.ts";
import { announce, toast } from "../shell/ui.ts";
import { startEditing } from "../timeline/editing.ts";
import { useQuoted } from "../timeline/Quote.tsx";
import { composerId, replyTo } from "./answering.ts";
import { Completion } from "./Completion.tsx";
import type { Choice } from "./choices.ts";
import { asSent, useLimit } from "./fit.ts";
import { grow } from "./grow.ts";
import { TypingLine } from "./TypingLine.tsx";
import { useCompletion } from "./useCompletion.ts";
import "./composer.css";

const COUNTED_FROM = 500; // characters left
const EMOJI_MS_MAX = 3_000;
/** More than that is no message; it would only slow the box. */
const BOX_CHARS_MAX = 20_000;

interface ComposerProps {
  roomId: number;
  /** A message was written. */
  onSent(): void;
}

/** The box in which messages are written. */
export function Composer({ roomId, onSent }: ComposerProps) {
  const t = useText();
  const engine = useEngine();
  const max = useLimit();
  const box = useRef<HTMLTextAreaElement>(null);
  const isSending = useRef(false); // the names of emoji may have to be loaded first
  const info = useClient((client) => client.room(roomId)?.info);
  const answered = useClient((_, { drafts }) => drafts.of(roomId).replyTo);
  const [isEmpty, setEmpty] = useState(true);
  const [left, setLeft] = useState(max);
  const completion = useCompletion(roomId, box);

  /** The box has changed, by a hand or by a program. */
  function changed(): void {
    const area = box.current;
    if (!area) return;
    const { value } = area;
    const { content, left: remaining } = asSent(value, max);
    setEmpty(content === null && remaining >= 0);
    setLeft(remaining);
    grow(area);
    engine.drafts.set(roomId, { ...engine.drafts.of(roomId), text: value });
    completion.look();
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

  async function send(): Promise<void> {
    const area = box.current;
    if (!area || isSending.current) return;
    const text = area.value;
    isSending.current = true;
    const { content, over } = asSent(await withEmoji(text), max);
    isSending.current = false;
    const isHere = (): boolean => box.current === area;
    if (over > 0 && isHere()) announce(t("composer.over", { count: over, max }));
    if (content === null) return;
    const { text: written, replyTo: seq } = engine.drafts.of(roomId);
    if (!engine.say(roomId, content, seq)) return void toast(t("composer.full"));
    setUnreadFrom(roomId, null);
    // More may have been written meanwhile, and the room may have been left.
    const rest = written.startsWith(text) ? written.slice(text.length) : written;
    engine.drafts.set(roomId, { text: rest });
    if (!isHere()) return;
    area.value = rest;
    changed();
    completion.close();
    area.focus();
    onSent();
  }

  function onKeyDown(event: KeyboardEvent<HTMLTextAreaElement>): void {
    if (isComposing(event)) return;
    if (completion.onKey(event)) return;
    const area = event.currentTarget;
    if (
      event.key === "Enter" &&
      !event.altKey &&
      (event.shiftKey !== enterSends() || event.ctrlKey || event.metaKey)
    ) {
      event.preventDefault();
      void send();
    } else if (event.key === "ArrowUp" && !event.altKey && !event.shiftKey && area.value === "") {
      const mine = engine.client
        .rows(roomId)
        .findLast(
          ({ sender, deleted_at, seq }) =>
            sender.id === engine.me.id && deleted_at === undefined && !engine.isGoing(roomId, seq),
        );
      if (!mine) return;
      event.preventDefault();
      startEditing(roomId, mine.seq);
    } else if (event.key === "Escape" && answered !== undefined) {
      event.stopPropagation();
      replyTo(roomId, undefined);
    }
  }

  function onPaste(event: ClipboardEvent<HTMLTextAreaElement>): void {
    const text = event.clipboardData.getData("text/plain");
    const { value, selectionStart, selectionEnd } = event.currentTarget;
    if (value.length - (selectionEnd - selectionStart) + text.length <= BOX_CHARS_MAX) return;
    event.preventDefault();
    toast(t("composer.pasteTooLong", { count: text.length, max }));
  }

  function onInput(): void {
    changed();
    if (box.current?.value.trim()) engine.act((client, now) => client.typed(roomId, now));
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

  function take(choice: Choice): void {
    completion.take(choice);
    changed();
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
        void send();
      }}
    >
      {completion.choices.length > 0 && (
        <Completion id="completion" choices={completion.choices} chosen={completion.chosen} onTake={take} />
      )}
      {answered !== undefined && <Answering roomId={roomId} seq={answered} />}
      <div className="composer__box" data-over={isOver}>
        <textarea
          ref={box}
          id={composerId}
          className="composer__text grows"
          rows={1}
          maxLength={BOX_CHARS_MAX}
          dir="auto"
          placeholder={label}
          aria-label={label}
          aria-describedby="composer-count"
          aria-autocomplete="list"
          aria-haspopup="listbox"
          aria-controls={completion.choices.length > 0 ? "completion" : undefined}
          aria-activedescendant={
            completion.choices.length > 0 ? `completion-${completion.chosen}` : undefined
          }
          autoCapitalize="sentences"
          enterKeyHint={enterSends() ? "send" : "enter"}
          onInput={onInput}
          onKeyDown={onKeyDown}
          onKeyUp={completion.look}
          onClick={completion.look}
          onPaste={onPaste}
          onBlur={completion.close}
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
        <p
          id="composer-count"
          className="composer__count"
          data-over={isOver}
          role={isOver ? "alert" : undefined}
        >
          {isOver
            ? t("composer.over", { count: -left, max })
            : left <= COUNTED_FROM
              ? t("composer.left", { count: left })
              : ""}
        </p>
      </div>
    </form>
  );
}

/** `:name:` becomes its emoji. */
async function withEmoji(text: string): Promise<string> {
  if (!/:[a-z0-9_+-]+:/i.test(text)) return text;
  try {
    const late = new Promise<never>((_, refuse) => setTimeout(refuse, EMOJI_MS_MAX));
    const { replaceShortcodes } = await Promise.race([import("../markdown/emoji.ts"), late]);
    return await replaceShortcodes(text);
  } catch {
    return text; // the names can't be loaded
  }
}

function Answering({ roomId, seq }: { roomId: number; seq: number }) {
  const t = useText();
  const quoted = useQuoted(roomId, seq);
  const row = quoted === null || quoted === "missing" ? null : quoted;
  return (
    <div className="composer__answering">
      <p className="name">
        {t("composer.answering", { name: row ? nameOf(row.sender) : "…" })}{" "}
        <bdi className="quiet">{row && plainText(row.content ?? "")}</bdi>
      </p>
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
