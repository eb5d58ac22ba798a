import { type KeyboardEvent, useEffect, useId, useLayoutEffect, useRef, useState } from "react";
import { focusComposer } from "../composer/answering.ts";
import { Count } from "../composer/Count.tsx";
import { asSent, useLimit } from "../composer/fit.ts";
import { grow } from "../composer/grow.ts";
import { useWriting } from "../composer/useWriting.tsx";
import { useText } from "../i18n/text.ts";
import { plainText } from "../markdown/plainText.ts";
import type { Row } from "../realtime/rows.ts";
import { useEngine } from "../session/hooks.ts";
import { useActions } from "../shell/actions.ts";
import { announce, confirmed } from "../shell/ui.ts";
import { type Edit, stopEditing } from "./editing.ts";

/** The text of a message of mine, to be changed where it stands. An edit that leaves nothing is a deletion, and asks. */
export function EditBox({ edit: held, row }: { edit: Edit; row: Row }) {
  const t = useText();
  const engine = useEngine();
  const { edit } = useActions();
  const max = useLimit();
  const { roomId } = held;
  const frame = useRef<HTMLDivElement>(null);
  const box = useRef<HTMLTextAreaElement>(null);
  // A text area has its own line ends.
  const stored = (row.content ?? "").replace(/\r\n?/g, "\n");
  const [left, setLeft] = useState(() => asSent(held.text ?? stored, max).left);
  const { props, list, changed } = useWriting(roomId, box, { change, send: () => void save(), key });
  const countId = useId();
  const isOvertaken =
    held.text !== null && held.base !== null && held.base !== stored && held.text !== stored;

  useLayoutEffect(() => {
    const element = frame.current;
    if (box.current) grow(box.current);
    // The message is deleted while it is being changed.
    return () => {
      if (element?.contains(document.activeElement)) focusComposer();
    };
  }, []);

  // A box that nobody has touched follows a change that was made elsewhere.
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is read here alone changes with the box
  useLayoutEffect(() => {
    const area = box.current;
    const isUntouched = held.text === null;
    if (isUntouched || held.base === null) held.base = stored;
    if (!area || !isUntouched || area.value === stored) return;
    area.value = stored;
    changed();
  }, [held, stored]);

  useEffect(() => {
    const area = box.current;
    if (!area || !held.isAsked) return;
    held.isAsked = false;
    area.focus({ preventScroll: true }); // the list has brought it into view
    area.setSelectionRange(area.value.length, area.value.length);
    area.scrollTop = area.scrollHeight; // to the caret
  }, [held]);

  function finish(): void {
    stopEditing(roomId, row.seq);
    focusComposer();
  }

  async function save(): Promise<void> {
    const text = box.current?.value ?? "";
    if (held.text === null || text === stored) return finish();
    const fitting = asSent(text, max);
    if (fitting.content !== null) {
      if (fitting.content !== row.content) edit(roomId, row.seq, fitting.content);
      return finish();
    }
    if (fitting.over > 0) return announce(t("composer.over", { count: fitting.over, max }));
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

  function change(text: string): void {
    held.text = text === held.base ? null : text;
    setLeft(asSent(text, max).left);
  }

  function key(event: KeyboardEvent): void {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    finish();
  }

  return (
    <div ref={frame} className="edit-box">
      {list}
      <textarea
        {...props}
        className="input grows"
        defaultValue={held.text ?? stored}
        aria-label={t("edit.label")}
        aria-describedby={countId}
        aria-invalid={left < 0 ? true : undefined}
      />
      <p className="edit-box__overtaken" role="alert">
        {isOvertaken && t("edit.overtaken", { text: plainText(stored) })}
      </p>
      <div className="edit-box__row">
        <button type="button" className="button" onClick={finish}>
          {t("edit.cancel")}
        </button>
        <button type="button" className="button button--main" onClick={() => void save()}>
          {t("edit.save")}
        </button>
        <span className="quiet">{t("edit.hint")}</span>
        <Count id={countId} left={left} />
      </div>
    </div>
  );
}
