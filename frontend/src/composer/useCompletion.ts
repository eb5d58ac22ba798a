import { type KeyboardEvent, type RefObject, useRef, useState } from "react";
import { RETRY_MS } from "../realtime/outbox.ts";
import { useEngine } from "../session/hooks.ts";
import { type Begun, begunAt } from "./begun.ts";
import { type Choice, joined, knownChoices, moreChoices } from "./choices.ts";

const ASK_AFTER_MS = 180;
const TRIES = 3;
const NONE: readonly Choice[] = [];

interface CompletionState {
  choices: readonly Choice[];
  chosen: number;
  /** The text or the cursor has moved. */
  look(): void;
  close(): void;
  take(choice: Choice): void;
  /** True when the key was meant for the list. */
  onKey(event: KeyboardEvent): boolean;
}

/** Completes what is begun at the cursor of a text area. */
export function useCompletion(roomId: number, box: RefObject<HTMLTextAreaElement | null>): CompletionState {
  const engine = useEngine();
  const [choices, setChoices] = useState<readonly Choice[]>(NONE);
  const [chosen, setChosen] = useState(0);
  const begun = useRef<Begun | null>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const dismissed = useRef(-1); // where Escape has put the list away

  function close(): void {
    clearTimeout(timer.current);
    begun.current = null;
    setChoices(NONE);
  }

  function look(): void {
    const area = box.current;
    if (!area || area.selectionStart !== area.selectionEnd) return close();
    const found = begunAt(area.value.slice(0, area.selectionStart));
    if (found === null || found.start === dismissed.current) {
      if (found === null) dismissed.current = -1;
      return close();
    }
    const before = begun.current;
    if (before?.start === found.start && before.word === found.word && before.sign === found.sign) return;
    begun.current = found;
    const known = knownChoices(engine, roomId, found);
    setChoices(known.length > 0 ? known : NONE);
    setChosen(0);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => ask(found, TRIES), found.sign === ":" ? 0 : ASK_AFTER_MS);
  }

  function ask(found: Begun, tries: number): void {
    moreChoices(engine, roomId, found).then(
      (more) => {
        if (begun.current !== found) return;
        const known = knownChoices(engine, roomId, found); // members may have been loaded since
        if (known.length + more.length > 0) setChoices(more.length > 0 ? joined(known, more) : known);
      },
      () => {
        // What is known stays meanwhile.
        if (begun.current === found && tries > 1) {
          timer.current = setTimeout(() => ask(found, tries - 1), RETRY_MS);
        }
      },
    );
  }

  function take(choice: Choice): void {
    const area = box.current;
    const found = begun.current;
    if (!area || !found) return;
    area.focus();
    area.setSelectionRange(found.start, area.selectionStart);
    if (!document.execCommand("insertText", false, choice.text)) {
      area.setRangeText(choice.text, found.start, area.selectionEnd, "end");
    }
    close();
  }

  function onKey(event: KeyboardEvent): boolean {
    if (choices.length === 0) return false;
    const choice = choices[chosen];
    if (event.key === "Escape") {
      dismissed.current = begun.current?.start ?? -1;
      event.stopPropagation();
      close();
    } else if ((event.key === "Enter" || event.key === "Tab") && !event.shiftKey && choice) {
      take(choice);
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      setChosen((chosen + (event.key === "ArrowDown" ? 1 : choices.length - 1)) % choices.length);
    } else {
      return false;
    }
    event.preventDefault();
    return true;
  }

  return { choices, chosen, look, close, take, onKey };
}
