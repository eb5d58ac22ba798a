import { useEffect, useLayoutEffect, useRef } from "react";
import { useText } from "../i18n/text.ts";
import { Avatar } from "../shell/Avatar.tsx";
import type { Choice } from "./choices.ts";

interface CompletionProps {
  id: string;
  choices: readonly Choice[];
  chosen: number;
  onTake(choice: Choice): void;
}

/** What can be taken, above the box, or below it where there is no room. The box keeps the focus. */
export function Completion({ id, choices, chosen, onTake }: CompletionProps) {
  const t = useText();
  const list = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const element = list.current;
    const frame = element?.closest(".list");
    if (!element || !frame) return;
    element.dataset.below = "false";
    const isCut = element.getBoundingClientRect().top < frame.getBoundingClientRect().top;
    element.dataset.below = String(isCut);
  });
  useEffect(() => {
    list.current?.children[chosen]?.scrollIntoView({ block: "nearest" });
  }, [chosen]);
  return (
    <div className="completion" id={id} role="listbox" aria-label={t("completion.label")} ref={list}>
      {choices.map((choice, index) => (
        // biome-ignore lint/a11y/useFocusableInteractive: the box has the focus, and names the chosen one
        // biome-ignore lint/a11y/useKeyWithClickEvents: its keys are the box's
        <div
          key={choice.key}
          id={`${id}-${index}`}
          role="option"
          aria-selected={index === chosen}
          className="completion__choice"
          onPointerDown={(event) => event.preventDefault()}
          onClick={() => onTake(choice)}
        >
          {choice.user && <Avatar user={choice.user} size="s" />}
          <bdi className="name">{choice.label}</bdi>
          {choice.note && <bdi className="name quiet">{choice.note}</bdi>}
        </div>
      ))}
    </div>
  );
}
