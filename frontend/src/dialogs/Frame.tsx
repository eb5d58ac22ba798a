import { Dialog } from "@base-ui/react/dialog";
import { X } from "lucide-react";
import { type ReactNode, useState } from "react";
import { useText } from "../i18n/text.ts";
import { FocusBack } from "../shell/FocusBack.tsx";
import { opener } from "../shell/menu.ts";
import "./dialogs.css";

interface FrameProps {
  title: string;
  /** It isn't shown: the content has a heading of its own. */
  isTitleHidden?: boolean;
  size?: "s" | "m" | "l";
  onClose(): void;
  children: ReactNode;
}

/** A dialog: the focus stays in it, Escape and a press outside close it, and the focus goes back to where it was. */
export function Frame({ title, isTitleHidden = false, size = "m", onClose, children }: FrameProps) {
  const t = useText();
  // Asked before a field of the dialog takes the focus.
  const [openedFrom] = useState(opener);
  return (
    <Dialog.Root open onOpenChange={(open) => !open && onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className="scrim" />
        <Dialog.Popup className={`dialog dialog--${size}`} finalFocus={false}>
          <FocusBack to={openedFrom} />
          <header className={isTitleHidden ? "visually-hidden" : "dialog__head"}>
            <Dialog.Title className="dialog__title" dir="auto">
              {title}
            </Dialog.Title>
            <Dialog.Close className="icon-button" aria-label={t("dialog.close")}>
              <X aria-hidden size={20} />
            </Dialog.Close>
          </header>
          {children}
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
