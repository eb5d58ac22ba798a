import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import { focusComposer } from "../composer/answering.ts";
import { asSent, useLimit } from "../composer/fit.ts";
import { grow } from "../composer/grow.ts";
import { useText } from "../i18n/text.ts";
import type { Row } from "../realtime/rows.ts";
import { useEngine } from "../session/hooks.ts";
import { enterSends } from "../session/prefs.ts";
import { useActions } from "../shell/actions.ts";
import { isComposing } from "../shell/keys.ts";
import { confirmed } from "../shell/ui.ts";

interface EditBoxProps {
  roomId: number;
  row: Row;
  onDone(): void;
}

/** The text of a message of mine, to be changed where it stands. An edit that leaves nothing is a deletion, and asks. */
export function EditBox({ roomId, row, onDone }: EditBoxProps) {
  const t = useText();
  const engine = useEngine();
  const { edit } = useActions();
  const max = useLimit();
  const box = useRef<HTMLTextAreaElement>(null);
  const [fault, setFault] = useState("");
  // A text area has its own line ends: what it holds at first is what is compared.
  const initial = (row.content ?? "").replace(/\r\n?/g, "\n");

  useEffect(() => {
    const area = box.current;
    if (!area) return;
    area.focus();
    area.setSelectionRange(area.value.length, area.value.length);
    grow(area);
  }, []);

  function finish(): void {
    onDone();
    focusComposer();
  }

  async function save(): Promise<void> {
    const text = box.current?.value ?? "";
    if (text === initial) return finish();
    const fitting = asSent(text, max);
    if (fitting.content !== null) {
      if (fitting.content !== row.content) edit(roomId, row.seq, fitting.content);
      return finish();
    }
    if (fitting.over > 0) return setFault(t("composer.over", { count: fitting.over, max }));
    const yes = await confirmed({
      title: t("delete.title"),
      text: t("delete.empty"),
      yes: t("delete.yes"),
      isDanger: true,
    });
    if (yes) {
      engine.deleteSoon(roomId, row.seq);
      finish();
    }
  }

  function onKeyDown(event: KeyboardEvent): void {
    if (isComposing(event)) return;
    if (event.key === "Escape") {
      event.stopPropagation();
      finish();
    } else if (event.key === "Enter" && event.shiftKey !== enterSends()) {
      event.preventDefault();
      void save();
    }
  }

  return (
    <div className="edit-box">
      <textarea
        ref={box}
        className="input grows"
        defaultValue={initial}
        dir="auto"
        rows={1}
        aria-label={t("edit.label")}
        aria-invalid={fault ? true : undefined}
        onKeyDown={onKeyDown}
        onInput={(event) => grow(event.currentTarget)}
      />
      <p className="field__fault" role="alert">
        {fault}
      </p>
      <div className="edit-box__row">
        <button type="button" className="button" onClick={finish}>
          {t("edit.cancel")}
        </button>
        <button type="button" className="button button--main" onClick={() => void save()}>
          {t("edit.save")}
        </button>
        <span className="quiet">{t("edit.hint")}</span>
      </div>
    </div>
  );
}
