//! The form in which names are compared.

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

fn folded(text: &str) -> impl Iterator<Item = char> {
    text.nfd().default_case_fold().nfkd().default_case_fold()
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
}
