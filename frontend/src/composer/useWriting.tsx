import { type ClipboardEvent, type KeyboardEvent, type ReactNode, type RefObject, useId } from "react";
import { useText } from "../i18n/text.ts";
import { loadFor } from "../markdown/spelling.ts";
import { enterSends } from "../session/prefs.ts";
import { isComposing } from "../shell/keys.ts";
import { toast } from "../shell/ui.ts";
import { Completion } from "./Completion.tsx";
import type { Choice } from "./choices.ts";
import { useLimit } from "./fit.ts";
import { grow } from "./grow.ts";
import { useCompletion } from "./useCompletion.ts";

/** More than that is no message; it would only slow the box. */
const BOX_CHARS_MAX = 20_000;

interface On {
  /** The text has changed, by a hand or by a program. */
  change(text: string): void;
  send(): void;
  /** A key that neither completes nor sends. */
  key(event: KeyboardEvent<HTMLTextAreaElement>): void;
}

/** Whether this key sends: Enter or Shift+Enter, as the setting says, or Enter with Ctrl or Cmd. */
const sends = ({ key, altKey, shiftKey, ctrlKey, metaKey }: KeyboardEvent): boolean =>
  key === "Enter" && !altKey && (shiftKey !== enterSends() || ctrlKey || metaKey);

/** What every text area does in which a message is written: its properties, and the list of what completes it. */
export function useWriting(roomId: number, box: RefObject<HTMLTextAreaElement | null>, on: On) {
  const t = useText();
  const max = useLimit();
  const id = useId();
  const completion = useCompletion(roomId, box);
  const { choices, chosen } = completion;
  const hasList = choices.length > 0;

  function changed(): void {
    const area = box.current;
    if (!area) return;
    loadFor(area.value);
    grow(area);
    on.change(area.value);
    completion.look();
  }

  function onKeyDown(event: KeyboardEvent<HTMLTextAreaElement>): void {
    if (isComposing(event) || completion.onKey(event)) return;
    if (!sends(event)) return on.key(event);
    event.preventDefault();
    on.send();
  }

  function onPaste(event: ClipboardEvent<HTMLTextAreaElement>): void {
    const text = event.clipboardData.getData("text/plain");
    const { value, selectionStart, selectionEnd } = event.currentTarget;
    if (value.length - (selectionEnd - selectionStart) + text.length <= BOX_CHARS_MAX) return;
    event.preventDefault();
    toast(t("composer.pasteTooLong", { count: text.length, max }));
  }

  function take(choice: Choice): void {
    completion.take(choice);
    changed();
  }

  const list: ReactNode = hasList && <Completion id={id} choices={choices} chosen={chosen} onTake={take} />;
  const props = {
    ref: box,
    rows: 1,
    maxLength: BOX_CHARS_MAX,
    dir: "auto",
    "aria-autocomplete": "list",
    "aria-haspopup": "listbox",
    "aria-controls": hasList ? id : undefined,
    "aria-activedescendant": hasList ? `${id}-${chosen}` : undefined,
    autoCapitalize: "sentences",
    enterKeyHint: enterSends() ? "send" : "enter",
    onInput: changed,
    onKeyDown,
    onKeyUp: completion.look,
    onClick: completion.look,
    onPaste,
    onBlur: completion.close,
  } as const;
  return { props, list, changed };
}
