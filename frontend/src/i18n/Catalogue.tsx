import type { ReactNode } from "react";
import { IntlProvider, type MessageFormatElement } from "react-intl";
import en from "./en.json";
import { pseudo } from "./pseudo.ts";

/** The build compiles each text to a tree (vite.config.ts). */
type Trees = Record<string, MessageFormatElement[] | string>;

const ENGLISH = en as unknown as Trees;

/** The texts of the reader's language. `?pseudo` shows which texts don't come from here. */
export function Catalogue({ children }: { children: ReactNode }) {
  const isPseudo = new URLSearchParams(location.search).has("pseudo");
  return (
    <IntlProvider
      locale="en"
      messages={(isPseudo ? pseudo(ENGLISH) : ENGLISH) as Record<string, MessageFormatElement[]>}
      onError={reportMissing}
    >
      {children}
    </IntlProvider>
  );
}

function reportMissing(error: Error): void {
  console.error(error.message);
}
