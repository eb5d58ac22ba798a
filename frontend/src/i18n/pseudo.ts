import type { MessageFormatElement } from "react-intl";

const BEGIN = "\u2045";
const END = "\u2046";

type Tree = MessageFormatElement[] | string;

/** A language in which every text begins with ⁅ and ends with ⁆: what doesn't is not from the catalogue. */
export function pseudo(trees: Record<string, Tree>): Record<string, Tree> {
  const literal = (value: string): MessageFormatElement => ({ type: 0, value });
  return Object.fromEntries(
    Object.entries(trees).map(([key, tree]) => [
      key,
      typeof tree === "string" ? `${BEGIN}${tree}${END}` : [literal(BEGIN), ...tree, literal(END)],
    ]),
  );
}
