// Whether a text is a few emoji and nothing else. `\p{RGI_Emoji}` would say it, but Safari has it from 17 on only.

const ONE = [
  "\\p{RI}\\p{RI}", // a flag
  "[0-9#*]\\ufe0f?\\u20e3", // a keycap
  "🏴[\\u{e0020}-\\u{e007e}]{1,8}\\u{e007f}", // the flag of a region
  "PERSON_OR_THING(?:\\u200dPERSON_OR_THING){0,7}", // joined ones, such as families
]
  .join("|")
  .replaceAll(
    "PERSON_OR_THING",
    "(?:\\p{Emoji_Modifier_Base}\\ufe0f?\\p{EMod}|(?!\\p{RI})\\p{Emoji_Presentation}\\ufe0f?|\\p{ExtPict}\\ufe0f)",
  );
// Within a joined one, signs such as ♂ may lack their variation selector.
const JOINED = ONE.replace("\\u200d(?:", "\\u200d(?:\\p{ExtPict}\\ufe0f?|");
const EMOJI_ONLY = new RegExp(`^\\s*(?:(?:${JOINED})\\s*){1,3}$`, "u");
const LENGTH_MAX = 120;

/** Is it up to three emoji alone? They are shown large. */
export function isEmojiOnly(source: string): boolean {
  return source.length <= LENGTH_MAX && EMOJI_ONLY.test(source);
}
