import { useText } from "../i18n/text.ts";
import { useClient } from "../session/hooks.ts";
import { Avatar } from "../shell/Avatar.tsx";
import { nameOf } from "../shell/people.ts";

const SHOWN_MAX = 5;

/** Whose last read message this is, in small rooms. Who stands further down has read it, too. */
export function ReadBy({ roomId, seq }: { roomId: number; seq: number }) {
  const t = useText();
  const readers = useClient((client) => client.readersAt(roomId, seq));
  if (readers.length === 0) return null;
  const names = readers.map(nameOf).join(", ");
  return (
    <p className="read-by" title={t("readBy.names", { names })}>
      <span className="visually-hidden">{t("readBy.names", { names })}</span>
      {readers.slice(0, SHOWN_MAX).map((user) => (
        <Avatar key={user.id} user={user} size="s" />
      ))}
      {readers.length > SHOWN_MAX && <span aria-hidden>+{readers.length - SHOWN_MAX}</span>}
    </p>
  );
}
