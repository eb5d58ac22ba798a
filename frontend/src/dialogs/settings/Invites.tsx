import { Link2 } from "lucide-react";
import { useCallback, useState } from "react";
import { wordsOf } from "../../forms/useForm.ts";
import { useText } from "../../i18n/text.ts";
import type { Invite } from "../../protocol/types.ts";
import { useEngine } from "../../session/hooks.ts";
import { bodyOf } from "../../session/http.ts";
import { useSession } from "../../session/session.ts";
import { roomName } from "../../shell/people.ts";
import { useWhen } from "../../shell/time.ts";
import { focusBeside } from "../focusBeside.ts";
import { InviteLink } from "../Invite.tsx";
import { usePages } from "../usePages.ts";

/** The invites that can still be used, and the way to make one. */
export function Invites() {
  const t = useText();
  const when = useWhen();
  const engine = useEngine();
  const registration = useSession((state) => state.registration);
  const [fault, setFault] = useState("");
  const isAdmin = "role" in engine.me && engine.me.role === "admin";

  const read = useCallback(
    () => bodyOf(engine.api.GET("/api/invites", { params: { query: { limit: 100 } } })),
    [engine],
  );
  const { items, fault: listFault, again } = usePages(read);

  async function revoke(id: number, row: Element | null): Promise<void> {
    setFault("");
    try {
      await engine.api.DELETE("/api/invites/{invite}", { params: { path: { invite: id } } });
      focusBeside(row);
      focusBeside(row);
      again();
    } catch (problem) {
      setFault(wordsOf(problem, t));
    }
  }

  const leadsTo = ({ room_id }: Invite): string => {
    if (room_id === undefined) return t("invites.site");
    const info = engine.client.room(room_id)?.info;
    return info ? t("invites.room", { room: roomName(info) }) : t("invites.otherRoom");
  };
  return (
    <>
      <p className="form__fault" role="alert">
        {fault || listFault}
      </p>
      <ul className="rows" aria-busy={items === null && !listFault}>
        {items?.map((invite) => (
          <li className="row" key={invite.id}>
            <Link2 aria-hidden size={20} />
            <div>
              <b dir="auto">{leadsTo(invite)}</b>
              <small>
                {t("invites.state", {
                  uses: invite.uses,
                  max: invite.max_uses,
                  when: when.full(invite.expires_at),
                })}
              </small>
            </div>
            <button
              type="button"
              className="button button--danger"
              onClick={(event) => void revoke(invite.id, event.currentTarget.closest("li"))}
            >
              {t("invites.revoke")}
            </button>
          </li>
        ))}
      </ul>
      {items?.length === 0 && <p className="quiet">{t("invites.none")}</p>}
      {registration === "closed" ? (
        <p className="quiet">{t("invites.closed")}</p>
      ) : (
        isAdmin && <InviteLink roomId={null} />
      )}
    </>
  );
}
