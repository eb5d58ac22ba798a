import { X } from "lucide-react";
import { useText } from "../i18n/text.ts";
import { dismissToast, useUi } from "./ui.ts";

export function Toasts() {
  const t = useText();
  const toasts = useUi((state) => state.toasts);
  return (
    <div className="toasts" role="status">
      {toasts.map(({ id, text, action }) => (
        <div className="toast" key={id}>
          <p>{text}</p>
          {action && (
            <button
              type="button"
              className="toast__action"
              onClick={() => {
                dismissToast(id);
                action.act();
              }}
            >
              {action.label}
            </button>
          )}
          <button type="button" aria-label={t("toast.dismiss")} onClick={() => dismissToast(id)}>
            <X aria-hidden size={18} />
          </button>
        </div>
      ))}
    </div>
  );
}
