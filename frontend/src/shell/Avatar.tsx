import { useText } from "../i18n/text.ts";
import type { UserSummary } from "../protocol/types.ts";
import { hueOf, initials, nameOf } from "./people.ts";
import "./avatar.css";

interface AvatarProps {
  user: Pick<UserSummary, "id" | "username" | "full_name">;
  /** Unset: nothing is said about it. */
  isOnline?: boolean | undefined;
  size?: "s" | "m";
}

/** Initials on a colour of the person's own, with a dot that says whether they are online. */
export function Avatar({ user, isOnline, size = "m" }: AvatarProps) {
  return (
    <span
      className={`avatar avatar--${size}`}
      style={{ "--hue": hueOf(user.id) } as React.CSSProperties}
      aria-hidden
    >
      {initials(nameOf(user)) || initials(user.username)}
      {isOnline !== undefined && <span className="avatar__dot" data-online={isOnline} />}
    </span>
  );
}

/** The same, in words. */
export function Presence({ isOnline }: { isOnline: boolean }) {
  const t = useText();
  return <span className="visually-hidden">{t(isOnline ? "presence.online" : "presence.offline")}</span>;
}
