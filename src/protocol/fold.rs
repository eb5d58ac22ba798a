//! The forms in which texts are compared: as names, and as what people search for.

use std::collections::BTreeSet;

use caseless::Caseless;
use unicode_normalization::{
    IsNormalized, UnicodeNormalization, char::canonical_combining_class, is_nfkc_quick,
};

use crate::limits::NAME_FORM_BYTES_MAX;

/// The key under which names are unique: NFKC and full case folding (Unicode's compatibility
/// caseless matching, definition D146 of The Unicode Standard, section 3.13), without joiners, which can't be seen.
pub fn fold(text: &str) -> String {
    seen(text).nfkc().collect()
}

/// [`fold`] of each beginning of the text that ends at one of `ends`, in one pass. `ends` rise, and none of them is before
/// a character that continues the one before it ([`super::names::continues`]).
pub fn fold_beginnings(text: &str, ends: &[usize]) -> Vec<String> {
    // `done` is composed, and nothing that follows changes it. `open` is the rest, which isn't composed yet.
    let (mut done, mut open) = (String::new(), String::new());
    let mut begin = 0;
    let mut keys = Vec::with_capacity(ends.len());
    for end in ends {
        for c in seen(&text[begin..*end]) {
            if composes_with_nothing_before(c) {
                done.extend(open.nfkc());
                open.clear();
            }
            open.push(c);
        }
        begin = *end;
        keys.push(done.chars().chain(open.nfkc()).collect());
    }
    keys
}

fn composes_with_nothing_before(c: char) -> bool {
    let quick = is_nfkc_quick(std::iter::once(c));
    canonical_combining_class(c) == 0 && quick == IsNormalized::Yes
}

/// What all spellings of a name have in common, except for its composition.
fn seen(text: &str) -> impl Iterator<Item = char> {
    folded(text).filter(|c| !matches!(c, '\u{200c}' | '\u{200d}'))
}

/// The form for searching: as [`fold`], without diacritics and invisible characters, and with one kind of apostrophe.
pub fn plain(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let letters = folded(text)
        .nfkd()
        .filter(|c| !is_diacritic(*c) && !is_unseen(*c));
    letters.map(simple).nfc().collect()
}

/// The forms ([`plain`]) by whose beginnings a user is found: the username, and the full name from each of its words
/// on, with one space between words. A form is cut at [`NAME_FORM_BYTES_MAX`].
pub fn name_forms(username: &str, full_name: Option<&str>) -> BTreeSet<String> {
    let full_name = spaced(&plain(full_name.unwrap_or_default()));
    let is_between = |c: char| c.is_whitespace() || c.is_ascii_punctuation();
    let mut forms = BTreeSet::from([cut(&plain(username)).to_owned()]);
    let mut before = ' ';
    for (at, c) in full_name.char_indices() {
        if is_between(before) && !is_between(c) {
            forms.insert(cut(&full_name[at..]).to_owned());
        }
        before = c;
    }
    forms
}

/// As [`sought`], for users: the beginning of one of their [`name_forms`].
pub fn sought_name(query: &str) -> String {
    cut(&spaced(&sought(query))).to_owned()
}

fn spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn cut(form: &str) -> &str {
    let end = (0..=NAME_FORM_BYTES_MAX.min(form.len())).rfind(|at| form.is_char_boundary(*at));
    &form[..end.unwrap_or_default()]
}

/// What this query searches for: its form ([`plain`]); nothing if the query is empty, which finds all. If nothing is left
/// of a query, the form is a NUL, which no name has, so that nothing is found.
pub fn sought(query: &str) -> String {
    let form = plain(query);
    if form.is_empty() && !query.is_empty() {
        return "\0".to_owned();
    }
    form
}

fn folded(text: &str) -> impl Iterator<Item = char> {
    text.nfd().default_case_fold().nfkd().default_case_fold()
}

/// Marks that a search ignores: diacritics of Latin, Greek and Cyrillic; the vowel points of Hebrew and
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

/// Replaces letters whose diacritic is part of them in Unicode, the dotless i of Turkish, whose upper case is I, and what
/// people write for an apostrophe: quotation marks, primes, and the letters of Hawaiian, Uzbek and many others.
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
    use rand::{Rng, SeedableRng, rngs::SmallRng, seq::IndexedRandom};

    use super::{super::names::continues, *};

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

    /// Jamo and their forms compose across letters; a mark belongs to its letter.
    #[test]
    fn beginnings_are_folded_as_each_by_itself() {
        let parts: Vec<char> = "aßẞİΐǰé\u{301}\u{323}漢かがハﾊﾞ\u{3099}가ㄱㅏ\u{1100}\u{1161}\u{11a8}ﾡￂน\u{e49}\u{e33}ນ\u{eb3}म\u{93c}\u{200d}㍿①."
            .chars()
            .collect();
        let mut random = SmallRng::seed_from_u64(0);
        for _ in 0..5_000 {
            let text: String = (0..random.random_range(1..=12))
                .map(|_| parts.choose(&mut random).unwrap())
                .collect();
            let begins = |c: char| !continues(c);
            let ends = text.char_indices().skip(1).filter(|(_, c)| begins(*c));
            let ends: Vec<usize> = ends.map(|(at, _)| at).chain([text.len()]).collect();
            let each: Vec<String> = ends.iter().map(|end| fold(&text[..*end])).collect();
            assert_eq!(fold_beginnings(&text, &ends), each, "{text:?}");
        }
    }

    #[test]
    fn what_of_nothing_is_left_is_in_no_name() {
        for (query, form) in [
            ("", ""),
            ("Ada", "ada"),
            ("\u{301}a", "a"),
            (" ", " "),
            ("\u{301}", "\0"),
            ("\u{200d}\u{fe0f}", "\0"),
            ("\u{ad}", "\0"),
        ] {
            assert_eq!(sought(query), form, "{query:?}");
        }
    }

    #[test]
    fn a_user_has_a_form_for_each_word_of_the_full_name() {
        let forms = |full_name| Vec::from_iter(name_forms("Zoë_Q", full_name));
        assert_eq!(forms(None), ["zoe_q"]);
        assert_eq!(
            forms(Some("Dr.  Zoë Anne-Marie O’Quinn")),
            [
                "anne-marie o'quinn",
                "dr. zoe anne-marie o'quinn",
                "marie o'quinn",
                "o'quinn",
                "quinn",
                "zoe anne-marie o'quinn",
                "zoe_q",
            ]
        );
        assert_eq!(forms(Some("张伟")), ["zoe_q", "张伟"]);
        assert_eq!(sought_name(" Zoë   Anne"), "zoe anne");
        assert_eq!(sought_name("\u{301}"), "\0", "nobody is found by it");
        // A letter that becomes six, of three bytes each.
        let longest = "\u{3316}".repeat(80);
        let form = forms(Some(&longest)).pop().unwrap();
        assert!((990..=1_000).contains(&form.len()), "{}", form.len());
        assert_eq!(sought_name(&longest), forms(Some(&longest)).pop().unwrap());
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
