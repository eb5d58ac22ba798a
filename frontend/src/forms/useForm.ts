import { type FormEvent, useRef, useState } from "react";
import { type Text, useText } from "../i18n/text.ts";
import { Problem } from "../session/http.ts";
import { byField } from "../session/rules.ts";

/** What went wrong, in words for people. */
export function wordsOf(problem: unknown, t: Text): string {
  if (!(problem instanceof Problem)) return t("problem.unknown");
  if (problem.status === 0) return t("problem.unreachable");
  if (problem.status === 429) return tooMany(problem.retryAfter, t);
  if (problem.status === 503) return t("problem.unavailable");
  return problem.message || t("problem.unknown");
}

function tooMany(seconds: number, t: Text): string {
  if (seconds <= 0) return t("problem.tooMany.moment");
  return seconds < 120
    ? t("problem.tooMany.seconds", { count: seconds })
    : t("problem.tooMany.minutes", { count: Math.ceil(seconds / 60) });
}

interface FormState {
  /** By the field's name; "" is what concerns the whole form. */
  faults: ReadonlyMap<string, string>;
  isBusy: boolean;
  onSubmit(event: FormEvent<HTMLFormElement>): void;
  clear(field: string): void;
}

/**
 * A form that is sent once at a time: `check` gives the faults that can be seen here, `send` does it, and what the server
 * says against a field stands beside it. The first field with a fault gets the focus.
 */
export function useForm(
  fields: readonly string[],
  check: () => Record<string, string | undefined>,
  send: () => Promise<unknown>,
): FormState {
  const t = useText();
  const [faults, setFaults] = useState<ReadonlyMap<string, string>>(new Map());
  const [isBusy, setBusy] = useState(false);
  const sending = useRef(false);

  function show(form: HTMLFormElement, found: ReadonlyMap<string, string>): void {
    setFaults(found);
    const first = fields.find((field) => found.has(field));
    const input = first === undefined ? null : form.elements.namedItem(first);
    if (input instanceof HTMLElement) input.focus();
  }

  async function submit(form: HTMLFormElement): Promise<void> {
    const seen = Object.entries(check()).filter((entry): entry is [string, string] => Boolean(entry[1]));
    show(form, new Map(seen));
    if (seen.length > 0) return;
    sending.current = true;
    setBusy(true);
    try {
      await send();
    } catch (problem) {
      const told = problem instanceof Problem ? byField(problem.errors, fields) : new Map<string, string>();
      show(form, told.size > 0 ? told : new Map([["", wordsOf(problem, t)]]));
    } finally {
      sending.current = false;
      setBusy(false);
    }
  }

  return {
    faults,
    isBusy,
    onSubmit(event) {
      event.preventDefault();
      if (!sending.current) void submit(event.currentTarget);
    },
    clear(field) {
      if (!faults.has(field)) return;
      const left = new Map(faults);
      left.delete(field);
      setFaults(left);
    },
  };
}
