import { Bell, X } from "lucide-react";
import { useText } from "../i18n/text.ts";
import { askPermission } from "./notifications.ts";
import { ui, useUi } from "./ui.ts";

const take = (): void => ui.setState({ offersNotifications: false });

/** Offers notifications to somebody who has just written: above the messages, where it hides neither them nor the box. */
export function Offer() {
  const t = useText();
  const isOpen = useUi((state) => state.offersNotifications);
  return (
    <div role="status">
      {isOpen && (
        <div className="offer">
          <Bell aria-hidden size={18} />
          <p>{t("notifications.offer")}</p>
          <button
            type="button"
            className="link-button"
            onClick={() => {
              take();
              void askPermission();
            }}
          >
            {t("notifications.ask")}
          </button>
          <button type="button" className="icon-button" aria-label={t("toast.dismiss")} onClick={take}>
            <X aria-hidden size={18} />
          </button>
        </div>
      )}
    </div>
  );
}
