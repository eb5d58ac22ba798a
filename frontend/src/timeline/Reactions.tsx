import { MoreHorizontal } from "lucide-react";
import { useText } from "../i18n/text.ts";
import type { HeldReaction } from "../realtime/rows.ts";
import { useClient, useEngine } from "../session/hooks.ts";
import { useActions } from "../shell/actions.ts";
import { nameOf } from "../shell/people.ts";
import { openDialog } from "../shell/ui.ts";

const NAMES_MAX = 10;

interface ReactionsProps {
  roomId: number;
  seq: number;
  reactions: readonly HeldReaction[];
}

/** What people have reacted with. A press adds or takes back mine; a hover says who they are. */
export function Reactions({ roomId, seq, reactions }: ReactionsProps) {
  const t = useText();
  const showAll = (): void => openDialog({ kind: "reactions", roomId, seq });
  return (
    <ul className="reactions" aria-label={t("reactions.label")}>
      {reactions.map((reaction) => (
        <li key={reaction.emoji}>
          <One roomId={roomId} seq={seq} reaction={reaction} onAll={showAll} />
        </li>
      ))}
      <li>
        <button
          type="button"
          className="reaction reaction--more"
          aria-label={t("reactions.who")}
          title={t("reactions.who")}
          onClick={showAll}
        >
          <MoreHorizontal aria-hidden size={14} />
        </button>
      </li>
    </ul>
  );
}

interface OneProps {
  roomId: number;
  seq: number;
  reaction: HeldReaction;
  onAll(): void;
}

function One({ roomId, seq, reaction: { emoji, count, me, user_ids }, onAll }: OneProps) {
  const t = useText();
  const engine = useEngine();
  const { react } = useActions();
  const isArchived = useClient((client) => Boolean(client.room(roomId)?.info.archived_at));
  const who = useClient((client) => {
    const others = user_ids.filter((id) => id !== engine.me.id).map((id) => client.person(id));
    const names = others.flatMap((user) => (user ? [nameOf(user)] : []));
    const shown = [...(me ? [t("reactions.you")] : []), ...names].slice(0, NAMES_MAX);
    const rest = count - shown.length;
    if (shown.length === 0) return "";
    return [...shown, ...(rest > 0 ? [t("reactions.more", { count: rest })] : [])].join(", ");
  });
  // Those whom nobody has named yet are asked for when somebody wants to know.
  const meet = (): void => engine.act((client) => client.meet(user_ids));
  return (
    <button
      type="button"
      className="reaction"
      aria-pressed={Boolean(me)}
      disabled={isArchived}
      aria-label={t("reactions.one", { emoji, count })}
      title={who}
      onPointerEnter={meet}
      onFocus={meet}
      onClick={() => react(roomId, seq, emoji, !me)}
      onContextMenu={(event) => {
        event.preventDefault();
        event.stopPropagation();
        onAll();
      }}
    >
      <span aria-hidden>{emoji}</span>
      <span aria-hidden>{count}</span>
    </button>
  );
}
