// Texts as they are sent and shown in short.

/** Half a surrogate pair is no character, and no server takes it: U+FFFD stands for it. */
export const wellFormed = (text: string): string => text.replace(/\p{Surrogate}/gu, "\ufffd");

/** The beginning of a text on one line. */
export function oneLine(text: string, chars_max = 140): string {
  const line = text
    .slice(0, 4 * chars_max)
    .replace(/\s+/g, " ")
    .trim();
  const chars = [...line.slice(0, 2 * chars_max + 2)];
  return chars.length > chars_max ? `${chars.slice(0, chars_max).join("")}…` : line;
}
