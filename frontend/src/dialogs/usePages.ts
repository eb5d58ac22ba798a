import { useEffect, useState } from "react";
import { wordsOf } from "../forms/useForm.ts";
import { useText } from "../i18n/text.ts";
import { useIsLive } from "../session/hooks.ts";

interface Page<Item> {
  items: Item[];
  next: string | null;
}

interface Pages<Item> {
  /** null: nothing was read yet. */
  items: readonly Item[] | null;
  fault: string;
  /** Reads the next page; null: there is none. */
  more: (() => void) | null;
  /** Starts again at the first page. */
  again(): void;
}

/**
 * A list that the server gives in pages. A new `read` starts at the first page, after `waitMs`. A read that failed is
 * repeated on request, and when the connection is back.
 */
export function usePages<Item>(
  read: (cursor: string | null) => Promise<Page<Item>>,
  waitMs = 0,
): Pages<Item> {
  const t = useText();
  const isLive = useIsLive();
  const [held, setHeld] = useState<Page<Item> | null>(null);
  const [asked, ask] = useState({ read, cursor: null as string | null });
  const [fault, setFault] = useState("");
  const cursor = asked.read === read ? asked.cursor : null;

  // biome-ignore lint/correctness/useExhaustiveDependencies: each `asked` is another attempt
  useEffect(() => {
    let isOver = false;
    const timer = setTimeout(
      () => {
        read(cursor).then(
          ({ items, next }) => {
            if (isOver) return;
            setFault("");
            setHeld((before) => ({
              items: cursor === null ? items : [...(before?.items ?? []), ...items],
              next,
            }));
          },
          (problem) => !isOver && setFault(wordsOf(problem, t)),
        );
      },
      cursor === null ? waitMs : 0,
    );
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [read, cursor, asked, t]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: only when the connection is back
  useEffect(() => {
    if (isLive && fault !== "") ask({ read, cursor });
  }, [isLive]);

  const next = held?.next ?? null;
  return {
    items: held?.items ?? null,
    fault,
    more: next === null ? null : () => ask({ read, cursor: next }),
    again: () => ask({ read, cursor: null }),
  };
}
