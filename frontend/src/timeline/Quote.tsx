import { useEffect, useState } from "react";
import { useText } from "../i18n/text.ts";
import { plainText } from "../markdown/plainText.ts";
import type { Message } from "../protocol/types.ts";
import { useClient, useEngine } from "../session/hooks.ts";
import { bodyOf } from "../session/http.ts";
import { nameOf } from "../shell/people.ts";
import { goTo } from "../shell/routes.ts";
import { useWhen } from "../shell/time.ts";

/** The line that a message answers. It leads there. */
export function Quote({ roomId, seq }: { roomId: number; seq: number }) {
  const t = useText();
  const quoted = useQuoted(roomId, seq);
  const when = useWhen();
  const at = quoted === null || quoted === "missing" ? undefined : when.full(quoted.created_at);
  return (
    <button type="button" className="quote" title={at} onClick={() => goTo(roomId, seq)}>
      <span className="quote__bend" aria-hidden />
      {quoted === null ? (
        <span className="quiet">{t("quote.loading")}</span>
      ) : quoted === "missing" || quoted.deleted_at !== undefined ? (
        <span className="quiet">{t("quote.deleted")}</span>
      ) : (
        <>
          <bdi className="quote__name">{nameOf(quoted.sender)}</bdi>{" "}
          <bdi className="quote__text">{plainText(quoted.content ?? "")}</bdi>
        </>
      )}
    </button>
  );
}

/** The message with this seq: held, or read by REST once it is shown, and again once it has changed. */
export function useQuoted(roomId: number, seq: number): Message | "missing" | null {
  const engine = useEngine();
  const { api } = engine;
  const held = useClient((client) => client.row(roomId, seq));
  const isLive = useClient((_, { line }) => line.state === "live");
  const [changes, setChanges] = useState(0);
  const [answer, setAnswer] = useState<{ changes: number; read: Message | "missing" } | null>(null);
  const read = answer?.changes === changes ? answer.read : null;
  const isNeeded = held === undefined && read === null && isLive;
  // What is held is kept right where it is held.
  const isWatched = isNeeded || read !== null;
  useEffect(() => {
    if (!isWatched) return undefined;
    return engine.onTold((told) => {
      if (told.do === "changed" && told.roomId === roomId && (told.seq === seq || told.seq === null))
        setChanges((count) => count + 1);
    });
  }, [engine, roomId, seq, isWatched]);
  useEffect(() => {
    if (!isNeeded) return undefined;
    let isOver = false;
    bodyOf(
      api.GET("/api/chat/rooms/{room}/messages", {
        params: { path: { room: roomId }, query: { around: seq, limit: 1 } },
      }),
    ).then(
      ({ items }) =>
        !isOver && setAnswer({ changes, read: items.find((item) => item.seq === seq) ?? "missing" }),
      () => {}, // it is asked for again when the line is back
    );
    return () => {
      isOver = true;
    };
  }, [api, roomId, seq, isNeeded, changes]);
  return held ?? read;
}
