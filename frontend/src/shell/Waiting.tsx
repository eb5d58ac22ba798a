// Placeholders for parts whose code is being loaded.

import { X } from "lucide-react";
import { useEffect, useRef } from "react";
import { useText } from "../i18n/text.ts";
import { useIsLive } from "../session/hooks.ts";
import { PanelHead } from "./PanelHead.tsx";
import type { Panel } from "./routes.ts";

/** Loading, or waiting for the connection. */
export function WaitingWords() {
  const t = useText();
  const isLive = useIsLive();
  return <p role="status">{t(isLive ? "waiting.loading" : "waiting.offline")}</p>;
}

/** A dialog or a menu that opens once its code is loaded. It is cancelled as soon as the reader does something else, because it would take the focus. */
export function Waiting({ onDrop }: { onDrop(): void }) {
  const t = useText();
  const card = useRef<HTMLDivElement>(null);
  const drop = useRef(onDrop);
  useEffect(() => {
    drop.current = onDrop;
  });
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent): void => {
      if (event.repeat || card.current?.contains(event.target as Node)) return;
      if (event.key === "Escape") {
        event.preventDefault();
        event.stopPropagation();
      }
      drop.current();
    };
    const onOther = ({ target }: Event): void => {
      if (!card.current?.contains(target as Node)) drop.current();
    };
    addEventListener("keydown", onKeyDown, { capture: true });
    addEventListener("pointerdown", onOther, { capture: true });
    addEventListener("input", onOther, { capture: true });
    return () => {
      removeEventListener("keydown", onKeyDown, { capture: true });
      removeEventListener("pointerdown", onOther, { capture: true });
      removeEventListener("input", onOther, { capture: true });
    };
  }, []);
  return (
    <div className="waiting" ref={card}>
      <WaitingWords />
      <button type="button" className="icon-button" aria-label={t("waiting.drop")} onClick={onDrop}>
        <X aria-hidden size={20} />
      </button>
    </div>
  );
}

export function WaitingPanel({ panel, onClose }: { panel: Panel; onClose(): void }) {
  const t = useText();
  return (
    <>
      <PanelHead title={t(`panel.${panel}`)} onClose={onClose} />
      <div className="panel__body quiet">
        <WaitingWords />
      </div>
    </>
  );
}
