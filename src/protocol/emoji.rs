//! The form in which reactions are stored.

use icu_properties::{
    CodePointSetData,
    props::{Emoji, EmojiModifier, EmojiPresentation},
};
use unicode_normalization::UnicodeNormalization;

use crate::limits::EMOJI_BYTES_MAX;

/// The variation selector for a picture instead of text.
const PICTURE: char = '\u{fe0f}';
const KEYCAP: char = '\u{20e3}';

/// The fully qualified form of an emoji (UTS #51, definition ED-18): a character that is text by default is followed by the
/// selector for a picture, unless a skin tone follows; there are no other variation selectors. Other characters are
/// composed (NFC). If the form is longer than [`EMOJI_BYTES_MAX`], it has no selectors; if it is still longer, because
/// composing can lengthen a text, the text stays as it came.
pub fn qualified(text: &str) -> String {
    let bare: String = text.chars().filter(|c| !is_selector(*c)).nfc().collect();
    let mut qualified = String::with_capacity(EMOJI_BYTES_MAX);
    let mut chars = bare.chars().peekable();
    while let Some(c) = chars.next() {
        qualified.push(c);
        let next = chars.peek().copied();
        // A digit is an emoji only as a keycap.
        let is_emoji = is::<Emoji>(c) && (!c.is_ascii() || next == Some(KEYCAP));
        if is_emoji && !is::<EmojiPresentation>(c) && !next.is_some_and(is::<EmojiModifier>) {
            qualified.push(PICTURE);
        }
    }
    let forms = [qualified, bare].into_iter();
    let mut short = forms.filter(|form| form.len() <= EMOJI_BYTES_MAX);
    short.next().unwrap_or_else(|| text.to_owned())
}

fn is_selector(c: char) -> bool {
    matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

fn is<P: icu_properties::props::BinaryProperty>(c: char) -> bool {
    CodePointSetData::new::<P>().contains(c)
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::SmallRng, seq::IndexedRandom};
    use unicode_segmentation::UnicodeSegmentation;

    use super::*;

    #[test]
    fn emoji_are_fully_qualified() {
        for (written, expected) in [
            ("👍", "👍"),
            ("👍\u{fe0f}", "👍"),
            ("👍\u{fe0e}", "👍"),
            ("👍🏽", "👍🏽"),
            ("👍\u{fe0f}🏽\u{fe0f}", "👍🏽"),
            ("❤", "❤\u{fe0f}"),
            ("❤\u{fe0f}", "❤\u{fe0f}"),
            ("❤\u{fe0e}", "❤\u{fe0f}"),
            ("❤\u{fe0f}\u{fe0f}", "❤\u{fe0f}"),
            ("☝🏽", "☝🏽"),
            ("☝\u{fe0f}🏽", "☝🏽"),
            ("©", "©\u{fe0f}"),
            ("1\u{20e3}", "1\u{fe0f}\u{20e3}"),
            ("#\u{fe0f}\u{20e3}", "#\u{fe0f}\u{20e3}"),
            ("1", "1"),
            ("1\u{fe0f}", "1"),
            ("🇨🇿", "🇨🇿"),
            (
                "🏴\u{e0067}\u{e0062}\u{e007f}",
                "🏴\u{e0067}\u{e0062}\u{e007f}",
            ),
            ("🏳\u{200d}🌈", "🏳\u{fe0f}\u{200d}🌈"),
            ("👁\u{200d}🗨", "👁\u{fe0f}\u{200d}🗨\u{fe0f}"),
            ("🏃\u{200d}♂", "🏃\u{200d}♂\u{fe0f}"),
            ("🕵🏽\u{200d}♀", "🕵🏽\u{200d}♀\u{fe0f}"),
            ("❤\u{200d}🔥", "❤\u{fe0f}\u{200d}🔥"),
            (
                "👩\u{200d}❤\u{200d}💋\u{200d}👨",
                "👩\u{200d}❤\u{fe0f}\u{200d}💋\u{200d}👨",
            ),
            ("A\u{fe0f}", "A"),
            ("e\u{301}", "é"),
            ("漢\u{e0100}", "漢"),
        ] {
            assert_eq!(qualified(written), expected, "{written:?}");
            assert_eq!(qualified(expected), expected, "{expected:?}");
        }
    }

    /// With its selectors; without; as it came.
    #[test]
    fn no_form_is_longer_than_may_be_stored() {
        let hearts = |heart: &str, count: usize| vec![heart; count].join("\u{200d}");
        for (written, expected) in [
            (hearts("❤", 7), hearts("❤\u{fe0f}", 7)),
            (hearts("❤", 8), hearts("❤", 8)),
            (hearts("❤\u{fe0f}", 7), hearts("❤\u{fe0f}", 7)),
            (
                "é".to_owned() + &"\u{301}".repeat(31),
                "é".to_owned() + &"\u{301}".repeat(31),
            ),
            (
                "a".to_owned() + &"\u{344}".repeat(15),
                "ä\u{301}".to_owned() + &"\u{308}\u{301}".repeat(14),
            ),
        ] {
            assert_eq!(qualified(&written), expected, "{written:?}");
        }
        for written in [
            format!("a{}", "\u{344}".repeat(31)),
            format!("ཀ{}", "\u{f73}".repeat(20)),
            format!("ཀ{}", "\u{f81}".repeat(20)),
            format!("\u{1d160}{}", "\u{1d165}".repeat(14)),
        ] {
            let composed: String = written.nfc().collect();
            assert!(written.len() <= EMOJI_BYTES_MAX, "{written:?}");
            assert!(composed.len() > EMOJI_BYTES_MAX, "{written:?}");
            assert_eq!(qualified(&written), written, "{written:?}");
        }
    }

    /// Of letters, marks that composing makes longer, and what emoji consist of.
    #[test]
    fn the_form_of_a_form_is_itself() {
        let parts: Vec<char> = "a1éहཀ❤👍🏽🏳♂🌈👩\u{344}\u{301}\u{308}\u{f73}\u{f75}\u{f81}\u{1d160}\u{1d165}\u{200d}\u{20e3}\u{fe0e}\u{fe0f}\u{e0100}"
            .chars()
            .collect();
        let mut random = SmallRng::seed_from_u64(0);
        let (mut seen, mut lengthened) = (0, 0);
        for _ in 0..20_000 {
            let some = random.random_range(1..=4);
            let some: Vec<char> = (0..some)
                .map(|_| *parts.choose(&mut random).unwrap())
                .collect();
            let mut text = String::new();
            for _ in 0..random.random_range(1..=32) {
                text.push(*some.choose(&mut random).unwrap());
            }
            let Some(grapheme) = text.graphemes(true).next() else {
                continue;
            };
            if grapheme.len() > EMOJI_BYTES_MAX {
                continue;
            }
            let form = qualified(grapheme);
            assert!(form.len() <= EMOJI_BYTES_MAX, "{grapheme:?}: {form:?}");
            assert_eq!(qualified(&form), form, "{grapheme:?}");
            seen += 1;
            lengthened +=
                usize::from(grapheme.nfc().map(char::len_utf8).sum::<usize>() > EMOJI_BYTES_MAX);
        }
        assert!(seen > 10_000 && lengthened > 100, "{seen}, {lengthened}");
    }
}
