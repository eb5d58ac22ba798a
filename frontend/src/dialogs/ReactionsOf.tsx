import { useCallback } from "react";
import { useText } from "../i18n/text.ts";
import type { ReactionOf } from "../protocol/types.ts";
import { useEngine } from "../session/hooks.ts";
import { bodyOf } from "../session/http.ts";
import { Avatar } from "../shell/Avatar.tsx";
import { nameOf } from "../shell/people.ts";
import { Frame } from "./Frame.tsx";
import { usePages } from "./usePages.ts";
import "../user-list.css";

/** Who has reacted to a message, and with what. */
export default function ReactionsOf({
  roomId,
  seq,
  onClose,
}: {
  roomId: number;
  seq: number;
  onClose(): void;
}) {
  const t = useText();
  const { api } = useEngine();
  const read = useCallback(
    (cursor: string | null) =>
      bodyOf(
        api.GET("/api/chat/rooms/{room}/messages/{seq}/reactions", {
          params: { path: { room: roomId, seq }, query: cursor === null ? {} : { cursor } },
        }),
      ),
    [api, roomId, seq],
  );
  const { items, fault, more } = usePages(read);
  const byEmoji = new Map<string, ReactionOf[]>();
  for (const item of items ?? []) byEmoji.set(item.emoji, [...(byEmoji.get(item.emoji) ?? []), item]);
  return (
    <Frame title={t("reactions.label")} size="s" onClose={onClose}>
      <div className="dialog__body" aria-busy={items === null && !fault}>
        {[...byEmoji].map(([emoji, list]) => (
          <section key={emoji}>
            <h3>
              <span style={{ fontSize: "1.4rem" }}>{emoji}</span> <span className="quiet">{list.length}</span>
            </h3>
            <ul>
              {list.map(({ user }) => (
                <li key={user.id} className="user">
                  <Avatar user={user} size="s" />
                  <bdi className="name">{nameOf(user)}</bdi>
                </li>
              ))}
            </ul>
          </section>
        ))}
        {items?.length === 0 && <p className="quiet">{t("reactions.none")}</p>}
        <p className="form__fault" role="alert">
          {fault}
        </p>
        {more && (
          <button type="button" className="button" onClick={more}>
            {t("list.more")}
          </button>
        )}
      </div>
    </Frame>
  );
}
