//! The forms in which texts are compared: as names, and as what people look for.

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;

/// The key under which names are unique: NFKC and full case folding (Unicode's compatibility
/// caseless matching, definition D146 of The Unicode Standard, section 3.13), without joiners, which can't be seen.
pub fn fold(text: &str) -> String {
    folded(text)
        .filter(|c| !matches!(c, '\u{200c}' | '\u{200d}'))
        .nfkc()
        .collect()
}

/// The form that is searched for and in: as [`fold`], without diacritics and what can't be seen, and with one apostrophe.
pub fn plain(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let letters = folded(text)
        .nfkd()
        .filter(|c| !is_diacritic(*c) && !is_unseen(*c));
    letters.map(simple).nfc().collect()
}

fn folded(text: &str) -> impl Iterator<Item = char> {
    text.nfd().default_case_fold().nfkd().default_case_fold()
}

/// Marks that a search doesn't see: diacritics of Latin, Greek and Cyrillic; the vowel points of Hebrew and
/// Arabic, the latter's hamza and the line that stretches its words; marks that enclose symbols.
fn is_diacritic(c: char) -> bool {
    matches!(
        c,
        '\u{300}'..='\u{36f}'
            | '\u{591}'..='\u{5bd}'
            | '\u{5bf}' | '\u{5c1}' | '\u{5c2}' | '\u{5c4}' | '\u{5c5}' | '\u{5c7}'
            | '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}'
            | '\u{20d0}'..='\u{20ff}'
    )
}

/// Soft hyphen, zero-width space and joiners, word joiner, variation selectors.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

/// Letters whose diacritic is part of them in Unicode, the i of Turkish, whose upper case is I, and what people
/// write for an apostrophe: quotation marks, primes, and the letters of Hawaiian, Uzbek and many others.
fn simple(c: char) -> char {
    match c {
        'ı' => 'i',
        'ł' => 'l',
        'ø' => 'o',
        'đ' => 'd',
        'ħ' => 'h',
        'ŧ' => 't',
        '\u{2018}' | '\u{2019}' | '\u{201b}' | '\u{2032}' => '\'',
        '\u{2b9}' | '\u{2bb}'..='\u{2bf}' | '\u{a78c}' => '\'',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fold_together_when_they_look_alike_in_case_and_compatibility() {
        for (left, right) in [
            ("Ada", "aDA"),
            ("ﬁsh", "FISH"),
            ("Straße", "STRASSE"),
            ("Ａda", "ada"),
            ("É", "e\u{301}"),
            ("علی\u{200c}رضا", "علیرضا"),
            ("ක්\u{200d}රිස්", "ක්රිස්"),
        ] {
            assert_eq!(fold(left), fold(right), "{left} {right}");
        }
        assert_ne!(fold("ada"), fold("adä"));
        assert_ne!(fold("isil"), fold("ısıl"));
    }

    #[test]
    fn what_is_looked_for_is_plain() {
        for (texts, plain_form) in [
            (
                &["İstanbul", "istanbul", "ISTANBUL", "ıstanbul"][..],
                "istanbul",
            ),
            (&["Łódź", "LODZ", "lo\u{301}dz\u{301}"], "lodz"),
            (
                &["O'Neil", "o’neil", "Oʼneil", "Oʻneil", "Ｏ＇neil"],
                "o'neil",
            ),
            (&["Straße", "STRASSE"], "strasse"),
            (&["น้อง"], "น้อง"),
            (&["विक्रम"], "विक्रम"),
        ] {
            for text in texts {
                assert_eq!(plain(text), plain_form, "{text}");
            }
        }
    }
}
