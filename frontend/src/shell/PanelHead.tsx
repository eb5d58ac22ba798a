import { X } from "lucide-react";
import type { ReactNode } from "react";
import { useText } from "../i18n/text.ts";

/** The title of a panel beside the room, with its buttons and the one that closes it. */
export function PanelHead({
  title,
  children,
  onClose,
}: {
  title: string;
  children?: ReactNode;
  onClose(): void;
}) {
  const t = useText();
  return (
    <header className="panel__head">
      <h2>{title}</h2>
      {children}
      <button
        type="button"
        className="icon-button"
        aria-label={t("panel.close")}
        title={t("panel.close")}
        onClick={onClose}
      >
        <X aria-hidden size={20} />
      </button>
    </header>
  );
}
