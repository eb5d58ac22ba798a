import { X } from "lucide-react";
import type { MouseEvent } from "react";
import { useText } from "../i18n/text.ts";
import { dismissToast, useUi } from "./ui.ts";

/** The focus stays where it is, perhaps in a dialog: a toast goes when its button is pressed. */
const keepFocus = (event: MouseEvent): void => event.preventDefault();

export function Toasts() {
  const t = useText();
  const toasts = useUi((state) => state.toasts);
  return (
    // An open dialog hides all of the page from screen readers but what has `aria-live`.
    <div className="toasts" role="status" aria-live="polite">
      {toasts.map(({ id, text, action }) => (
        <div className="toast" key={id}>
          <p>{text}</p>
          {action && (
            <button
              type="button"
              className="toast__action"
              onMouseDown={keepFocus}
              onClick={() => {
                dismissToast(id);
                action.act();
              }}
            >
              {action.label}
            </button>
          )}
          <button
            type="button"
            aria-label={t("toast.dismiss")}
            onMouseDown={keepFocus}
            onClick={() => dismissToast(id)}
          >
            <X aria-hidden size={18} />
          </button>
        </div>
      ))}
    </div>
  );
}
