import { AlertCircle, Pin } from "lucide-react";
import { memo } from "react";
import { useText } from "../i18n/text.ts";
import { isEmojiOnly } from "../markdown/emojiOnly.ts";
import { Markdown } from "../markdown/Markdown.tsx";
import type { Row } from "../realtime/rows.ts";
import { useClient, useEngine } from "../session/hooks.ts";
import { Avatar } from "../shell/Avatar.tsx";
import { handleOf, nameOf } from "../shell/people.ts";
import { goTo } from "../shell/routes.ts";
import { useToday, useWhen } from "../shell/time.ts";
import { openDialog } from "../shell/ui.ts";
import { EditBox } from "./EditBox.tsx";
import { useEdit } from "./editing.ts";
import type { Entry } from "./items.ts";
import { useMentioned, useOpenMention } from "./mentions.ts";
import { Quote } from "./Quote.tsx";
import { Reactions } from "./Reactions.tsx";
import { ReadBy } from "./ReadBy.tsx";

interface MessageRowProps {
  entry: Entry;
  roomId: number;
  /** It was asked for by a link. */
  isLit: boolean;
}

/** One entry of the list, with the separators above it. */
export const MessageRow = memo(function MessageRow({ entry, roomId, isLit }: MessageRowProps) {
  const t = useText();
  return (
    <>
      {entry.day !== null && <Day at={entry.day} />}
      {entry.isFirstNew && (
        <div className="new-line" role="separator">
          <span>{t("timeline.new")}</span>
        </div>
      )}
      {entry.row ? (
        <Stored entry={entry} row={entry.row} roomId={roomId} isLit={isLit} />
      ) : (
        entry.pending && <Pending entry={entry} roomId={roomId} />
      )}
    </>
  );
});

function Day({ at }: { at: string }) {
  const when = useWhen();
  const today = useToday();
  return (
    <div className="day" role="separator">
      <span>{when.day(at, today)}</span>
    </div>
  );
}

function Stored({ entry, row, roomId, isLit }: { entry: Entry; row: Row; roomId: number; isLit: boolean }) {
  const t = useText();
  const when = useWhen();
  const me = useEngine().me.id;
  const isGoing = useClient((_, engine) => engine.isGoing(roomId, row.seq));
  const edit = useEdit(roomId, row.seq);
  const mentioned = useMentioned(row.mentions, row.mention_all);
  const onMention = useOpenMention(roomId);
  const isDeleted = row.deleted_at !== undefined || isGoing;
  const isForMe =
    !isDeleted && Boolean(row.mention_all || row.mentions?.includes(me)) && row.sender.id !== me;
  const content = row.content ?? "";
  return (
    <article
      className="message"
      data-head={entry.isHead}
      data-mine={row.sender.id === me}
      data-for-me={isForMe}
      data-lit={isLit}
      data-seq={row.seq}
      aria-label={t("message.label", { name: nameOf(row.sender), time: when.time(row.created_at) })}
    >
      {row.reply_to !== undefined && !isDeleted && <Quote roomId={roomId} seq={row.reply_to} />}
      <Gutter entry={entry} row={row} />
      <div className="message__body">
        {entry.isHead && <Head row={row} roomId={roomId} />}
        {edit && !isDeleted ? (
          <EditBox edit={edit} row={row} />
        ) : (
          <div className="message__text" data-author={isDeleted ? undefined : nameOf(row.sender)}>
            {isDeleted ? (
              <Deleted roomId={roomId} seq={row.seq} isGoing={isGoing} />
            ) : (
              <>
                <Markdown
                  source={content}
                  names={mentioned}
                  onMention={onMention}
                  onRoom={goTo}
                  fold
                  isLarge={isEmojiOnly(content)}
                />
                {row.edited_at !== undefined && (
                  <time
                    className="message__edited"
                    dateTime={row.edited_at}
                    title={t("message.editedAt", { when: when.full(row.edited_at) })}
                  >
                    {t("message.edited")}
                  </time>
                )}
              </>
            )}
          </div>
        )}
        {!isDeleted && row.pinned_at && (
          <p className="message__pinned">
            <Pin aria-hidden size={12} /> {t("message.pinned")}
          </p>
        )}
        {!isDeleted && row.reactions && row.reactions.length > 0 && (
          <Reactions roomId={roomId} seq={row.seq} reactions={row.reactions} />
        )}
        <ReadBy roomId={roomId} seq={row.seq} />
      </div>
    </article>
  );
}

function Gutter({ entry, row }: { entry: Entry; row: Row }) {
  const when = useWhen();
  return (
    <div className="message__gutter">
      {entry.isHead ? (
        <Avatar user={row.sender} />
      ) : (
        <time dateTime={row.created_at} title={when.full(row.created_at)}>
          {when.clock(row.created_at)}
        </time>
      )}
    </div>
  );
}

function Head({ row, roomId }: { row: Row; roomId: number }) {
  const t = useText();
  const when = useWhen();
  return (
    <header className="message__head">
      <button
        type="button"
        className="message__author"
        onClick={() => openDialog({ kind: "person", user: row.sender, roomId })}
        title={`@${row.sender.username}`}
      >
        <bdi>{nameOf(row.sender)}</bdi>
      </button>
      {handleOf(row.sender) && <span className="quiet">{handleOf(row.sender)}</span>}
      <time dateTime={row.created_at} title={when.full(row.created_at)}>
        {when.time(row.created_at)}
      </time>
      {row.wished && <span className="visually-hidden">{t("message.saving")}</span>}
    </header>
  );
}

/** What stays of a deleted message; while its deletion can be taken back, the way back. */
function Deleted({ roomId, seq, isGoing }: { roomId: number; seq: number; isGoing: boolean }) {
  const t = useText();
  const engine = useEngine();
  return (
    <p className="message__deleted">
      {t("message.deleted")}
      {isGoing && (
        <button type="button" className="link-button" onClick={() => engine.undoDeletion(roomId, seq)}>
          {t("message.undo")}
        </button>
      )}
    </p>
  );
}

function Pending({ entry: { pending, isHead }, roomId }: { entry: Entry; roomId: number }) {
  const t = useText();
  const engine = useEngine();
  const me = useClient((_, engine) => engine.me);
  const mentioned = useMentioned(undefined, false);
  const onMention = useOpenMention(roomId);
  if (!pending) return null;
  const isFailed = pending.state === "failed";
  return (
    <article
      className="message"
      data-head={isHead}
      data-mine
      data-state={isFailed ? "failed" : "pending"}
      aria-label={t("message.label", { name: nameOf(me), time: t("message.pending") })}
    >
      {pending.replyTo !== undefined && <Quote roomId={roomId} seq={pending.replyTo} />}
      <div className="message__gutter">{isHead && <Avatar user={me} />}</div>
      <div className="message__body">
        {isHead && (
          <header className="message__head">
            <span className="message__author">
              <bdi>{nameOf(me)}</bdi>
            </span>
            {!isFailed && <span className="quiet">{t("message.pending")}</span>}
          </header>
        )}
        <div className="message__text" data-author={nameOf(me)}>
          <Markdown
            source={pending.content}
            names={mentioned}
            onMention={onMention}
            onRoom={goTo}
            fold
            isLarge={isEmojiOnly(pending.content)}
          />
        </div>
        {isFailed && (
          <p className="message__failed" role="alert">
            <AlertCircle aria-hidden size={16} />
            <span>{t("message.failed", { why: pending.failure?.message ?? "" })}</span>
            <button type="button" className="link-button" onClick={() => engine.retry(pending.id)}>
              {t("message.retry")}
            </button>
            <button type="button" className="link-button" onClick={() => engine.discard(pending.id)}>
              {t("message.discard")}
            </button>
          </p>
        )}
      </div>
    </article>
  );
}
