import { Hash } from "lucide-react";
import { useEffect, useState } from "react";
import { Field } from "../forms/Field.tsx";
import { wordsOf } from "../forms/useForm.ts";
import { useText } from "../i18n/text.ts";
import type { Room } from "../protocol/types.ts";
import { useClient, useEngine } from "../session/hooks.ts";
import { bodyOf } from "../session/http.ts";
import { useActions } from "../shell/actions.ts";
import { roomName } from "../shell/people.ts";
import { goTo } from "../shell/routes.ts";
import { Frame } from "./Frame.tsx";

/** Public rooms, to be found by name and joined. */
export default function Browse({ onClose }: { onClose(): void }) {
  const t = useText();
  const { api } = useEngine();
  const { join } = useActions();
  const rooms = useClient((client) => client.rooms);
  const [query, setQuery] = useState("");
  const [found, setFound] = useState<{ items: Room[]; next: string | null } | null>(null);
  const [cursor, setCursor] = useState<string | null>(null);
  const [fault, setFault] = useState("");

  useEffect(() => {
    let isOver = false;
    const q = query.trim();
    const timer = setTimeout(
      () => {
        bodyOf(
          api.GET("/api/chat/rooms", {
            params: {
              query: { scope: "public", ...(q && { q }), ...(cursor !== null && { cursor: Number(cursor) }) },
            },
          }),
        ).then(
          (page) => {
            if (isOver) return;
            setFault("");
            setFound((held) => ({
              items: cursor !== null && held ? [...held.items, ...page.items] : page.items,
              next: page.next,
            }));
          },
          (problem) => !isOver && setFault(wordsOf(problem, t)),
        );
      },
      q && cursor === null ? 200 : 0,
    );
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [api, query, cursor, t]);

  return (
    <Frame title={t("browse.title")} onClose={onClose}>
      <div className="dialog__body">
        <Field
          label={t("browse.search")}
          type="search"
          value={query}
          onValue={(value) => {
            setCursor(null);
            setQuery(value);
          }}
          autoFocus
          autoComplete="off"
        />
        {fault && <p className="form__fault">{fault}</p>}
        <ul className="rows" aria-busy={found === null}>
          {found?.items.map((room) => (
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
        {found?.items.length === 0 && (
          <p className="quiet">{t(query.trim() ? "browse.nothing" : "browse.none")}</p>
        )}
        {found?.next && (
          <button type="button" className="button" onClick={() => setCursor(found.next)}>
            {t("list.more")}
          </button>
        )}
      </div>
    </Frame>
  );
}
