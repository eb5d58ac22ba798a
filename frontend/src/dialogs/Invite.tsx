import { Check, Copy } from "lucide-react";
import { useCallback, useRef, useState } from "react";
import { Field } from "../forms/Field.tsx";
import { wordsOf } from "../forms/useForm.ts";
import { useText } from "../i18n/text.ts";
import { copyText } from "../markdown/copy.ts";
import type { UserSummary } from "../protocol/types.ts";
import { useClient, useEngine } from "../session/hooks.ts";
import { bodyOf } from "../session/http.ts";
import { useSession } from "../session/session.ts";
import { Avatar } from "../shell/Avatar.tsx";
import { nameOf, roomName } from "../shell/people.ts";
import { Frame } from "./Frame.tsx";
import { focusBeside } from "./focusBeside.ts";
import { usePages } from "./usePages.ts";

const ASK_AFTER_MS = 150;
const LINK_DAYS = 7;

/** Brings people into a room: those who have an account by name, others by a link. */
export default function Invite({ roomId, onClose }: { roomId: number; onClose(): void }) {
  const t = useText();
  const { api } = useEngine();
  const name = useClient((client) => {
    const info = client.room(roomId)?.info;
    return info ? roomName(info) : "";
  });
  const registration = useSession((state) => state.registration);
  const [query, setQuery] = useState("");
  const [added, setAdded] = useState<ReadonlySet<number>>(new Set());
  const [fault, setFault] = useState("");
  const members = useClient((client) => client.room(roomId)?.members);
  const q = query.trim().replace(/^@/, "");

  const read = useCallback(
    () => bodyOf(api.GET("/api/users", { params: { query: { limit: 20, ...(q && { q }) } } })),
    [api, q],
  );
  const { items: found, fault: searchFault } = usePages(read, q ? ASK_AFTER_MS : 0);

  async function add(user: UserSummary, row: Element | null): Promise<void> {
    setFault("");
    try {
      await api.POST("/api/chat/rooms/{room}/members", {
        params: { path: { room: roomId } },
        body: { user_id: user.id },
      });
      focusBeside(row);
      setAdded((before) => new Set([...before, user.id]));
    } catch (problem) {
      setFault(wordsOf(problem, t));
    }
  }

  const isMember = (user: UserSummary): boolean =>
    added.has(user.id) || (members?.get(user.id)?.role ?? null) !== null;
  return (
    <Frame title={t("invite.title", { room: name })} onClose={onClose}>
      <div className="dialog__body">
        <Field
          label={t("invite.search")}
          type="search"
          value={query}
          onValue={setQuery}
          autoFocus
          autoComplete="off"
        />
        <p className="form__fault" role="alert">
          {fault || searchFault}
        </p>
        <ul className="rows">
          {found?.map((user) => (
            <li className="row" key={user.id}>
              <Avatar user={user} size="s" />
              <div>
                <b dir="auto">{nameOf(user)}</b>
                <small>@{user.username}</small>
              </div>
              {isMember(user) ? (
                <span className="quiet">{t("invite.isMember")}</span>
              ) : (
                <button
                  type="button"
                  className="button"
                  aria-label={t("invite.addOne", { name: nameOf(user) })}
                  onClick={(event) => void add(user, event.currentTarget.closest("li"))}
                >
                  {t("invite.add")}
                </button>
              )}
            </li>
          ))}
        </ul>
        {found?.length === 0 && q !== "" && <p className="quiet">{t("invite.nobody")}</p>}
        {registration !== "closed" && <InviteLink roomId={roomId} />}
      </div>
    </Frame>
  );
}

/** A link that makes an account and leads into the room. It is shown once. */
export function InviteLink({ roomId }: { roomId: number | null }) {
  const t = useText();
  const { api } = useEngine();
  const [uses, setUses] = useState(10);
  const [link, setLink] = useState<string | null>(null);
  const [isCopied, setCopied] = useState(false);
  const [fault, setFault] = useState("");
  const box = useRef<HTMLInputElement>(null);

  async function make(): Promise<void> {
    setFault("");
    const expires_at = new Date(Date.now() + LINK_DAYS * 86_400_000).toISOString();
    try {
      const made = await bodyOf(
        api.POST("/api/invites", {
          body: { max_uses: uses, expires_at, ...(roomId !== null && { room_id: roomId }) },
        }),
      );
      setLink(new URL(made.link, location.origin).href);
    } catch (problem) {
      setFault(wordsOf(problem, t));
    }
  }

  async function copy(): Promise<void> {
    if (link === null) return;
    setCopied(await copyText(link));
    box.current?.select();
  }

  return (
    <section className="part">
      <h3>{t("inviteLink.title")}</h3>
      <p className="quiet">
        {t(roomId === null ? "inviteLink.hintSite" : "inviteLink.hint", { days: LINK_DAYS })}
      </p>
      <p className="form__fault" role="alert">
        {fault}
      </p>
      {link === null ? (
        <div className="copyable">
          <label className="visually-hidden" htmlFor="invite-uses">
            {t("inviteLink.uses")}
          </label>
          <select
            id="invite-uses"
            className="input"
            value={uses}
            onChange={(event) => setUses(Number(event.target.value))}
          >
            {[1, 5, 10, 25, 100].map((count) => (
              <option key={count} value={count}>
                {t("inviteLink.usesCount", { count })}
              </option>
            ))}
          </select>
          <button type="button" className="button" onClick={() => void make()}>
            {t("inviteLink.make")}
          </button>
        </div>
      ) : (
        <>
          <div className="copyable">
            <input
              ref={box}
              className="input"
              readOnly
              value={link}
              aria-label={t("inviteLink.title")}
              onFocus={(event) => event.target.select()}
            />
            <button type="button" className="button" onClick={() => void copy()}>
              {isCopied ? <Check aria-hidden size={18} /> : <Copy aria-hidden size={18} />}
              {t(isCopied ? "copy.done" : "copy.do")}
            </button>
          </div>
          <p className="quiet">{t("inviteLink.once")}</p>
        </>
      )}
    </section>
  );
}
