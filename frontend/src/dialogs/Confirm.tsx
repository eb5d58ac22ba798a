import { AlertDialog } from "@base-ui/react/alert-dialog";
import { useEffect } from "react";
import { useText } from "../i18n/text.ts";
import { useClient } from "../session/hooks.ts";
import type { Question } from "../shell/ui.ts";
import "./dialogs.css";

/** Asks before something that can't be undone. */
export function Confirm({ question, onClose }: { question: Question; onClose(): void }) {
  const t = useText();
  const { text } = question;
  const words = useClient(() => (typeof text === "function" ? text() : text));
  const answer = (yes: boolean): void => {
    onClose();
    question.answer(yes);
  };
  const isMoot = useClient(() => question.isMoot?.() ?? false);
  // biome-ignore lint/correctness/useExhaustiveDependencies: it is answered once
  useEffect(() => {
    if (isMoot) answer(false);
  }, [isMoot]);
  return (
    <AlertDialog.Root open onOpenChange={(open) => !open && answer(false)}>
      <AlertDialog.Portal>
        <AlertDialog.Backdrop className="scrim" />
        <AlertDialog.Popup className="dialog dialog--s">
          <div className="dialog__body">
            <AlertDialog.Title className="dialog__title">{question.title}</AlertDialog.Title>
            <AlertDialog.Description>{words}</AlertDialog.Description>
            <div className="form__row">
              <button type="button" className="button" onClick={() => answer(false)}>
                {t("confirm.no")}
              </button>
              <button
                type="button"
                className={`button button--main ${question.isDanger ? "button--danger" : ""}`}
                onClick={() => answer(true)}
              >
                {question.yes}
              </button>
            </div>
          </div>
        </AlertDialog.Popup>
      </AlertDialog.Portal>
    </AlertDialog.Root>
  );
}
