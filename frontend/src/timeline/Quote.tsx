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

/** The message with this seq: held, or read by REST once it is shown. */
export function useQuoted(roomId: number, seq: number): Message | "missing" | null {
  const { api } = useEngine();
  const held = useClient((client) => client.row(roomId, seq));
  const isLive = useClient((_, { line }) => line.state === "live");
  const [read, setRead] = useState<Message | "missing" | null>(null);
  const isNeeded = held === undefined && read === null && isLive;
  useEffect(() => {
    if (!isNeeded) return undefined;
    let isOver = false;
    bodyOf(
      api.GET("/api/chat/rooms/{room}/messages", {
        params: { path: { room: roomId }, query: { around: seq, limit: 1 } },
      }),
    ).then(
      ({ items }) => !isOver && setRead(items.find((item) => item.seq === seq) ?? "missing"),
      () => {}, // it is asked for again when the line is back
    );
    return () => {
      isOver = true;
    };
  }, [api, roomId, seq, isNeeded]);
  return held ?? read;
}
