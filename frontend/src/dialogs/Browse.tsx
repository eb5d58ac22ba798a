import { Hash } from "lucide-react";
import { useCallback, useState } from "react";
import { Field } from "../forms/Field.tsx";
import { useText } from "../i18n/text.ts";
import { useClient, useEngine } from "../session/hooks.ts";
import { bodyOf } from "../session/http.ts";
import { useActions } from "../shell/actions.ts";
import { roomName } from "../shell/people.ts";
import { goTo } from "../shell/routes.ts";
import { Frame } from "./Frame.tsx";
import { usePages } from "./usePages.ts";

const ASK_AFTER_MS = 200;

/** Public rooms, to be found by name and joined. */
export default function Browse({ onClose }: { onClose(): void }) {
  const t = useText();
  const { api } = useEngine();
  const { join } = useActions();
  const rooms = useClient((client) => client.rooms);
  const [query, setQuery] = useState("");
  const q = query.trim();
  const read = useCallback(
    (cursor: string | null) =>
      bodyOf(
        api.GET("/api/chat/rooms", {
          params: {
            query: { scope: "public", ...(q && { q }), ...(cursor !== null && { cursor: Number(cursor) }) },
          },
        }),
      ),
    [api, q],
  );
  const { items, fault, more } = usePages(read, q ? ASK_AFTER_MS : 0);

  return (
    <Frame title={t("browse.title")} onClose={onClose}>
      <div className="dialog__body">
        <Field
          label={t("browse.search")}
          type="search"
          value={query}
          onValue={setQuery}
          autoFocus
          autoComplete="off"
        />
        <ul className="rows" aria-busy={items === null && !fault}>
          {items?.map((room) => (
            <li className="row" key={room.id}>
              <Hash aria-hidden size={18} />
              <div>
                <b dir="auto">{roomName(room)}</b>
                <small dir="auto">
                  {[t("room.members", { count: room.member_count }), room.topic].filter(Boolean).join(" · ")}
                </small>
              </div>
              <button
                type="button"
                className="button"
                aria-label={t(rooms.has(room.id) ? "browse.openOne" : "browse.joinOne", {
                  room: roomName(room),
                })}
                onClick={async () => {
                  if (rooms.has(room.id)) goTo(room.id);
                  else if (!(await join(room.id))) return;
                  onClose();
                }}
              >
                {t(rooms.has(room.id) ? "browse.open" : "browse.join")}
              </button>
            </li>
          ))}
        </ul>
        {items?.length === 0 && <p className="quiet">{t(q ? "browse.nothing" : "browse.none")}</p>}
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
