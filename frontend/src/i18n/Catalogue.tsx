import { type ReactNode, use, useMemo } from "react";
import { IntlContext, IntlProvider, type MessageFormatElement } from "react-intl";
import { pseudo } from "./pseudo.ts";

/** The build compiles each text to a tree (vite.config.ts). */
type Trees = Record<string, MessageFormatElement[] | string>;
type Messages = Record<string, MessageFormatElement[]>;

const isPseudo = new URLSearchParams(location.search).has("pseudo");

/** These texts, beside those that are there already. `?pseudo` shows which texts don't come from a catalogue. */
export function Catalogue({ texts, children }: { texts: object; children: ReactNode }) {
  const before = use(IntlContext)?.messages;
  const messages = useMemo(
    () => ({ ...before, ...(isPseudo ? pseudo(texts as Trees) : texts) }) as Messages,
    [before, texts],
  );
  return (
    <IntlProvider locale="en" messages={messages} onError={reportMissing}>
      {children}
    </IntlProvider>
  );
}

function reportMissing(error: Error): void {
  console.error(error.message);
}
