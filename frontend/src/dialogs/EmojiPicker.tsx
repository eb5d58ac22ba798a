import { type EmojiPickerListComponents, EmojiPicker as Picker } from "frimousse";
import { useText } from "../i18n/text.ts";
import { emojiData } from "./emojiData.ts";

/** As many as fit beside each other on the narrowest page. */
const COLUMNS = matchMedia("(pointer: coarse)").matches ? 6 : 9;

const fromOne = (index: number | undefined): number | undefined => (index === undefined ? index : index + 1);

/** The picker counts rows and columns from 0; ARIA counts them from 1. */
const CELLS: Partial<EmojiPickerListComponents> = {
  // biome-ignore lint/a11y/useFocusableInteractive: the search field has the focus, and names the chosen cell
  Row: (row) => <div {...row} role="row" aria-rowindex={fromOne(row["aria-rowindex"])} />,
  Emoji: ({ emoji, ...cell }) => (
    <button type="button" {...cell} role="gridcell" aria-colindex={fromOne(cell["aria-colindex"])}>
      {emoji.emoji}
    </button>
  ),
};

/** Emoji by name and by kind. */
export default function EmojiPicker({ onPick }: { onPick(emoji: string): void }) {
  const t = useText();
  return (
    <Picker.Root
      className="emoji-picker"
      columns={COLUMNS}
      resolveEmojiData={emojiData}
      onEmojiSelect={({ emoji }) => onPick(emoji)}
    >
      <Picker.Search aria-label={t("emoji.search")} placeholder={t("emoji.search")} autoFocus />
      <Picker.Viewport tabIndex={0}>
        <Picker.Loading>{t("emoji.loading")}</Picker.Loading>
        <Picker.Empty>{t("emoji.nothing")}</Picker.Empty>
        <Picker.List aria-label={t("tools.pick")} components={CELLS} />
      </Picker.Viewport>
    </Picker.Root>
  );
}
