// The picker's emoji, from the data that completion uses, too.

import type { EmojiData } from "frimousse";

const COMPONENTS = "component"; // skin tones and parts of flags

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

export async function emojiData(): Promise<EmojiData> {
  const [{ default: emojis }, { default: messages }] = await Promise.all([
    import("emojibase-data/en/compact.json"),
    import("emojibase-data/en/messages.json"),
  ]);
  const groups = messages.groups.filter(({ key }) => key !== COMPONENTS);
  return {
    locale: "en",
    emojis: emojis.flatMap(({ unicode, label, group, tags }) =>
      group !== undefined && groups.some(({ order }) => order === group)
        ? [{ emoji: unicode, category: group, label: capital(label), version: 0, tags: tags ?? [] }]
        : [],
    ),
    categories: groups.map(({ order, message }) => ({ index: order, label: capital(message) })),
    skinTones: { light: "", "medium-light": "", medium: "", "medium-dark": "", dark: "" },
  };
}
