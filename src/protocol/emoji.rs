//! Reactions in the one form in which they are stored.

use icu_properties::{
    CodePointSetData,
    props::{Emoji, EmojiModifier, EmojiPresentation},
};
use unicode_normalization::UnicodeNormalization;

use crate::limits::EMOJI_BYTES_MAX;

/// The selector that asks for a picture, not for text.
const PICTURE: char = '\u{fe0f}';
const KEYCAP: char = '\u{20e3}';

/// An emoji as Unicode's data calls it fully qualified (UTS #51, definition ED-18): what is text by default is
/// followed by the selector for a picture, unless a skin tone follows; there is no other selector of a variant.
/// What isn't an emoji is composed (NFC). What would be longer than [`EMOJI_BYTES_MAX`] stays without selectors.
pub fn qualified(text: &str) -> String {
    let bare: String = text.chars().filter(|c| !is_selector(*c)).nfc().collect();
    let mut qualified = String::with_capacity(EMOJI_BYTES_MAX);
    let mut chars = bare.chars().peekable();
    while let Some(c) = chars.next() {
        qualified.push(c);
        let next = chars.peek().copied();
        // A digit is an emoji as a key only.
        let is_emoji = is::<Emoji>(c) && (!c.is_ascii() || next == Some(KEYCAP));
        if is_emoji && !is::<EmojiPresentation>(c) && !next.is_some_and(is::<EmojiModifier>) {
            qualified.push(PICTURE);
        }
    }
    match qualified.len() <= EMOJI_BYTES_MAX {
        true => qualified,
        false => bare,
    }
}

fn is_selector(c: char) -> bool {
    matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

fn is<P: icu_properties::props::BinaryProperty>(c: char) -> bool {
    CodePointSetData::new::<P>().contains(c)
}

#[cfg(test)]
mod tests {
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
        let long = ["❤"; 10].join("\u{200d}");
        assert_eq!(qualified(&long), long);
    }
}
