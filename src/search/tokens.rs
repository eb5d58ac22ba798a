//! Texts cut into tokens, the units of which search knows whether they are there.
//!
//! A token is a word: a run of letters and digits, in any case, without its diacritics, in compatibility
//! form. Scripts that are written without spaces, and Korean, give overlapping pairs of characters in place
//! of words, then the run's last character alone: so a single character begins a token wherever it stands,
//! and any part of a run is a phrase of its pairs. Their marks are characters of their own, so that a part may
//! end between a letter and its mark.
//!
//! Pure: no database, no clock. What a text was cut into is stored; another cut needs another index.

use std::ops::Range;

use icu_properties::{CodePointMapData, props::GeneralCategory};
use unicode_normalization::char::is_combining_mark;
use unicode_segmentation::UnicodeSegmentation;

use crate::protocol::{fold::plain, names::is_unspaced};

/// A word, or one character of a run, folded; where it stands in the text, in whole graphemes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    pub text: String,
    pub range: Range<usize>,
}

/// What a text consists of, beside what separates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Word(Unit),
    /// Characters of scripts without spaces, one after the other.
    Run(Vec<Unit>),
}

/// What is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub text: String,
    pub range: Range<usize>,
    /// Where its first character ends, if it is a pair; else where it ends.
    pub first_end: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// Part of a word.
    Letter,
    /// A character of a run.
    Syllable,
    /// Part of what stands before it.
    Mark,
    Separator,
}

fn class(c: char) -> Class {
    let (is_mark, is_letter) = (is_combining_mark(c), c.is_alphanumeric());
    match c {
        _ if !is_mark && !is_letter => Class::Separator,
        _ if is_unspaced(c) && !is_digit(c) => Class::Syllable,
        _ if is_mark => Class::Mark,
        _ => Class::Letter,
    }
}

fn is_digit(c: char) -> bool {
    CodePointMapData::<GeneralCategory>::new().get(c) == GeneralCategory::DecimalNumber
}

/// Cuts a text into words and runs. Folding goes by graphemes: nothing composes across their borders.
pub fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    // Whether the last piece may go on.
    let mut open = false;
    for (start, grapheme) in text.grapheme_indices(true) {
        let range = start..start + grapheme.len();
        for c in plain(grapheme).chars() {
            let class = class(c);
            match (class, pieces.last_mut()) {
                (Class::Separator, _) => open = false,
                (Class::Letter | Class::Mark, Some(Piece::Word(unit))) if open => {
                    extend(unit, c, range.end);
                }
                (Class::Mark, Some(Piece::Run(units))) if open => {
                    if let Some(unit) = units.last_mut() {
                        extend(unit, c, range.end);
                    }
                }
                // Of nothing.
                (Class::Mark, _) => {}
                (Class::Syllable, Some(Piece::Run(units))) if open => units.push(unit(c, &range)),
                (Class::Syllable, _) => {
                    pieces.push(Piece::Run(vec![unit(c, &range)]));
                    open = true;
                }
                (Class::Letter, _) => {
                    pieces.push(Piece::Word(unit(c, &range)));
                    open = true;
                }
            }
        }
    }
    pieces
}

fn unit(c: char, range: &Range<usize>) -> Unit {
    Unit {
        text: c.into(),
        range: range.clone(),
    }
}

fn extend(unit: &mut Unit, c: char, end: usize) {
    unit.text.push(c);
    unit.range.end = end;
}

/// The tokens of a text, in order: what is stored of a message.
pub fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    for piece in pieces(text) {
        match piece {
            Piece::Word(unit) => tokens.push(alone(&unit)),
            Piece::Run(units) => {
                tokens.extend(pairs(&units));
                tokens.extend(units.last().map(alone));
            }
        }
    }
    tokens
}

pub fn alone(unit: &Unit) -> Token {
    Token {
        text: unit.text.clone(),
        range: unit.range.clone(),
        first_end: unit.range.end,
    }
}

pub fn pairs(units: &[Unit]) -> impl Iterator<Item = Token> + '_ {
    units.windows(2).map(|pair| Token {
        text: [&*pair[0].text, &*pair[1].text].concat(),
        range: pair[0].range.start..pair[1].range.end,
        first_end: pair[0].range.end,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut() {
        for (text, expected) in [
            ("", ""),
            ("Hello, World!", "hello world"),
            (
                "don't e-mail foo_bar@example.org",
                "don t e mail foo bar example org",
            ),
            ("v1.2.3 3,14 x²", "v1 2 3 3 14 x2"),
            (
                "Café cafe\u{301} CAFÉ naïve Ærø Łódź",
                "cafe cafe cafe naive æro lodz",
            ),
            (
                "Straße STRASSE straẞe ﬁn ＦＵＬＬ",
                "strasse strasse strasse fin full",
            ),
            ("İstanbul ISTANBUL ışık IŞIK", "istanbul istanbul isik isik"),
            ("ΟΔΟΣ οδός οδοσ", "οδοσ οδοσ οδοσ"),
            ("Ёлка ЙОД", "елка иод"),
            ("שָׁלוֹם בֵּית־סֵפֶר", "שלום בית ספר"),
            ("مُحَمَّد أحمد آب مـــرحبا", "محمد احمد اب مرحبا"),
            ("हिन्दी", "हिन्दी"),
            ("Zeit\u{ad}geist a\u{200d}b", "zeitgeist ab"),
            ("東京都", "東京 京都 都"),
            ("東", "東"),
            ("Tokyo東京 tower", "tokyo 東京 京 tower"),
            ("ｶﾞｷﾞ がぎ か\u{3099}", "ガギ ギ がぎ ぎ が"),
            ("コーヒー", "コー ーヒ ヒー ー"),
            ("한국어", "한국 국어 어"),
            ("\u{1112}\u{1161}\u{11ab}", "한"),
            ("สวัสดี", "สว ว\u{e31} \u{e31}ส สด ด\u{e35} \u{e35}"),
            ("ນ້ຳ", "ນ\u{ec9} \u{ec9}\u{ecd} \u{ecd}າ າ"),
            ("๑๒ น.", "๑๒ น"),
            ("O'Neil O’Neil Oʼneil oʻneil", "o neil o neil o neil o neil"),
            ("👍🏽 ❤️ 👨‍👩‍👧 …", ""),
            ("1️⃣ 🇩🇪", "1"),
            ("\u{301}\u{301}", ""),
            ("½", "1 2"),
        ] {
            let found: Vec<String> = tokens(text).into_iter().map(|token| token.text).collect();
            assert_eq!(found.join(" "), expected, "{text:?}");
        }
    }

    #[test]
    fn ranges_are_of_whole_graphemes_of_the_text() {
        for (text, expected) in [
            ("a ÉTÉ, b", vec!["a", "ÉTÉ", "b"]),
            ("x e\u{301}\u{302}t.", vec!["x", "e\u{301}\u{302}t"]),
            ("東京 1️⃣", vec!["東京", "京", "1️⃣"]),
            ("½", vec!["½", "½"]),
            ("Zeit\u{ad}geist", vec!["Zeit\u{ad}geist"]),
        ] {
            let found: Vec<&str> = tokens(text).into_iter().map(|t| &text[t.range]).collect();
            assert_eq!(found, expected, "{text:?}");
        }
    }
}
