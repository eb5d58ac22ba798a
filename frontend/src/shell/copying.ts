import type { Text } from "../i18n/text.ts";
import { copyText } from "../markdown/copy.ts";
import { type Toast, toast } from "./ui.ts";

/** The action of a toast that copies a text which is shown nowhere else. */
export function copying(t: Text, text: string): NonNullable<Toast["action"]> {
  const copy = async (): Promise<void> => void toast(t((await copyText(text)) ? "copy.done" : "copy.failed"));
  return { label: t("tools.copy"), act: () => void copy() };
}
