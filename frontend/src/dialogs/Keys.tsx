import { Fragment } from "react";
import { useText } from "../i18n/text.ts";
import { isMac } from "../shell/keys.ts";
import { Frame } from "./Frame.tsx";

const MOD = isMac ? "⌘" : "Ctrl";
const ALT = isMac ? "⌥" : "Alt";

const KEYS = [
  ["keys.switcher", [MOD, "K"]],
  ["keys.room", [ALT, "↑", "↓"]],
  ["keys.unread", [ALT, "⇧", "↑", "↓"]],
  ["keys.read", ["Esc"]],
  ["keys.search", [MOD, "⇧", "F"]],
  ["keys.send", ["↵"]],
  ["keys.break", ["⇧", "↵"]],
  ["keys.edit", ["↑"]],
  ["keys.complete", ["@", "#", ":"]],
  ["keys.messages", ["↑", "↓", "Home", "End"]],
  ["keys.message", ["↵"]],
  ["keys.help", ["?"]],
] as const;

export default function Keys({ onClose }: { onClose(): void }) {
  const t = useText();
  return (
    <Frame title={t("keys.title")} onClose={onClose}>
      <dl className="keys dialog__body" style={{ display: "grid" }}>
        {KEYS.map(([text, keys]) => (
          <Fragment key={text}>
            <dt>{t(text)}</dt>
            <dd>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dd>
          </Fragment>
        ))}
      </dl>
    </Frame>
  );
}
