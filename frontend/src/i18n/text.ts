import { type IntlShape, useIntl } from "react-intl";
import type door from "./en.door.json";
import type en from "./en.json";

/** The key of a text in the catalogues: those of the forms before one is logged in, which come first, and all others. */
export type TextKey = keyof typeof door | keyof typeof en;

/** What stands for a placeholder of a text. */
export type Values = Record<string, string | number | Date>;

/** A text of the catalogue in the reader's language. */
export type Text = (key: TextKey, values?: Values) => string;

const texts = new WeakMap<IntlShape, Text>();

/** Gives the texts of the reader's language: `t("room.members", { count })`. All components get the same function. */
export function useText(): Text {
  const intl = useIntl();
  const known = texts.get(intl);
  if (known) return known;
  const text = textOf(intl);
  texts.set(intl, text);
  return text;
}

function textOf(intl: IntlShape): Text {
  return (key, values) => {
    const message: unknown = intl.messages[key];
    // A text without placeholders isn't compiled (vite.config.ts).
    return typeof message === "string" ? message : intl.formatMessage({ id: key }, values);
  };
}
