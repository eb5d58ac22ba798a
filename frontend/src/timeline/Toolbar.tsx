import { MoreHorizontal, Reply, SmilePlus } from "lucide-react";
import { useLayoutEffect, useRef } from "react";
import { replyTo } from "../composer/answering.ts";
import { useText } from "../i18n/text.ts";
import type { Row } from "../realtime/rows.ts";
import { useClient } from "../session/hooks.ts";
import { usedReaction, useOwnPrefs } from "../session/prefs.ts";
import { useActions } from "../shell/actions.ts";
import { openMenu } from "../shell/menu.ts";

interface ToolbarProps {
  roomId: number;
  row: Row;
  /** The entry of the list that it belongs to. */
  entryKey: string;
}

/** What can be done with the message under the pointer or the focus. Rows clip what is drawn outside them, so it lies over the list. */
export function Toolbar({ roomId, row, entryKey }: ToolbarProps) {
  const t = useText();
  const { react } = useActions();
  const quick = useOwnPrefs((prefs) => prefs.reactions).slice(0, 3);
  const isArchived = useClient((client) => Boolean(client.room(roomId)?.info.archived_at));
  const pick = (emoji: string): void => {
    const held = row.reactions?.find((reaction) => reaction.emoji === emoji);
    usedReaction(emoji);
    react(roomId, row.seq, emoji, !held?.me);
  };
  const bar = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const element = bar.current;
    const message = document.querySelector(`[data-key="${CSS.escape(entryKey)}"] .message`);
    const frame = element?.offsetParent;
    if (!element || !message || !frame) return;
    const top = message.getBoundingClientRect().top - frame.getBoundingClientRect().top;
    element.style.insetBlockStart = `${Math.max(2, top - 18)}px`;
  });
  return (
    <div ref={bar} className="message__tools" role="toolbar" aria-label={t("tools.label")}>
      {!isArchived &&
        quick.map((emoji) => (
          <button
            type="button"
            key={emoji}
            className="icon-button"
            aria-label={t("tools.react", { emoji })}
            onClick={() => pick(emoji)}
          >
            <span aria-hidden>{emoji}</span>
          </button>
        ))}
      {!isArchived && (
        <>
          <button
            type="button"
            className="icon-button"
            aria-label={t("tools.pick")}
            title={t("tools.pick")}
            aria-haspopup="dialog"
            onClick={(event) => openMenu(event, { kind: "emoji", roomId, seq: row.seq, pick })}
          >
            <SmilePlus aria-hidden size={18} />
          </button>
          <button
            type="button"
            className="icon-button"
            aria-label={t("tools.reply")}
            title={t("tools.reply")}
            onClick={() => replyTo(roomId, row.seq)}
          >
            <Reply aria-hidden size={18} />
          </button>
        </>
      )}
      <button
        type="button"
        className="icon-button"
        aria-label={t("tools.more")}
        title={t("tools.more")}
        aria-haspopup="menu"
        onClick={(event) => openMenu(event, { kind: "message", roomId, seq: row.seq })}
      >
        <MoreHorizontal aria-hidden size={18} />
      </button>
    </div>
  );
}
