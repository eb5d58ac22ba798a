//! What usernames consist of, and where a name ends in a text: Unicode's identifiers (UAX #31), restricted by its security
//! mechanisms (UTS #39).

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{GeneralCategory, IndicSyllabicCategory, JoiningType, Script, XidContinue, XidStart},
};
use unicode_normalization::{
    UnicodeNormalization,
    char::{canonical_combining_class, is_combining_mark},
};
use unicode_security::{
    GeneralSecurityProfile, MixedScript, RestrictionLevel, RestrictionLevelDetection,
    general_security_profile::IdentifierType,
};

use crate::limits::NAME_MARKS_MAX;

const NON_JOINER: char = '\u{200c}';
const JOINER: char = '\u{200d}';
/// The canonical combining class of the signs that remove a letter's vowel.
const VIRAMA: u8 = 9;

/// The rule that a composed name (NFC) breaks. Its length is checked elsewhere.
pub fn broken_rule(name: &str) -> Option<&'static str> {
    let chars: Vec<char> = name.chars().collect();
    if !(0..chars.len()).all(|at| is_taken(&chars, at)) {
        return Some("letters and their marks, digits, dot, underscore and hyphen only");
    }
    if chars.first().is_some_and(|c| !begins(*c)) {
        // Where names are given to commands, a dot would read as a hidden file and a hyphen as a flag.
        return Some("a name begins with a letter, a digit or an underscore");
    }
    if is_overloaded(name) {
        return Some("at most four marks on a letter, and none twice");
    }
    if !name.contains(char::is_alphanumeric) {
        return Some("at least one letter or digit");
    }
    if !scripts_go_together(name) {
        return Some("letters of one script, or of one script and Latin ones");
    }
    None
}

fn category(c: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(c)
}

fn is_letter(c: char) -> bool {
    use GeneralCategory as Category;
    matches!(
        category(c),
        Category::UppercaseLetter
            | Category::LowercaseLetter
            | Category::TitlecaseLetter
            | Category::ModifierLetter
            | Category::OtherLetter
    )
}

fn is_nonspacing(c: char) -> bool {
    category(c) == GeneralCategory::NonspacingMark
}

fn is_mark(c: char) -> bool {
    is_nonspacing(c) || category(c) == GeneralCategory::SpacingMark
}

fn begins(c: char) -> bool {
    let starts = CodePointSetData::new::<XidStart>().contains(c);
    starts || c == '_' || category(c) == GeneralCategory::DecimalNumber
}

/// Whether a name may have this character in this place.
fn is_taken(name: &[char], at: usize) -> bool {
    let c = name[at];
    match c {
        '.' | '_' | '-' => true,
        NON_JOINER | JOINER => joins(&name[..at], c, &name[at + 1..]),
        _ if !CodePointSetData::new::<XidContinue>().contains(c) || !is_in_use(c) => false,
        _ if is_mark(c) => at > 0 && carries(name[at - 1]),
        _ => true,
    }
}

/// Whether a character is in everyday use: what UTS #39 recommends for identifiers, and the scripts and letters of smaller
/// communities. Refused are invisible characters, characters that have another form in NFKC, historic scripts and letters,
/// and technical signs. The vowel AM of Thai and Lao and two letters of Lao are part of living names: nobody writes their
/// NFKC form.
fn is_in_use(c: char) -> bool {
    use IdentifierType as Type;
    let kind = c.identifier_type();
    matches!(
        kind,
        Some(Type::Recommended | Type::Inclusion | Type::Limited_Use | Type::Uncommon_Use)
    ) || matches!(c, '\u{e33}' | '\u{eb3}' | '\u{edc}' | '\u{edd}')
}

/// Whether a mark may follow this character.
fn carries(c: char) -> bool {
    is_letter(c) || is_mark(c) || c == NON_JOINER || c == JOINER
}

/// Whether a letter has so many marks, or one of them twice, that it can't be told from another (UTS #39, section 5.4).
fn is_overloaded(name: &str) -> bool {
    let (mut marks, mut last) = (0, None);
    name.nfd().any(|c| {
        marks = if is_nonspacing(c) { marks + 1 } else { 0 };
        let twice = marks > 1 && last == Some(c);
        last = Some(c);
        twice || marks > NAME_MARKS_MAX
    })
}

/// Whether a joiner changes how the text looks: contexts A1, A2 and B of UAX #31, section 2.3.
fn joins(before: &[char], joiner: char, after: &[char]) -> bool {
    let next = after.first().copied();
    if joiner == JOINER {
        let category = CodePointMapData::<IndicSyllabicCategory>::new();
        let dependent = |c| category.get(c) == IndicSyllabicCategory::VowelDependent;
        return is_dead(before) && !next.is_some_and(dependent);
    }
    let joining = |c: &char| CodePointMapData::<JoiningType>::new().get(*c);
    let mut left = before.iter().rev().map(joining);
    let mut right = after.iter().map(joining);
    let left = left.find(|kind| *kind != JoiningType::Transparent);
    let right = right.find(|kind| *kind != JoiningType::Transparent);
    let breaks = matches!(
        left,
        Some(JoiningType::DualJoining | JoiningType::LeftJoining)
    ) && matches!(
        right,
        Some(JoiningType::DualJoining | JoiningType::RightJoining)
    );
    let mut letters = after.iter().skip_while(|c| is_combining(**c));
    breaks || (is_dead(before) && letters.next().is_some_and(|c| is_letter(*c)))
}

fn is_combining(c: char) -> bool {
    is_nonspacing(c) && canonical_combining_class(c) != 0
}

/// Whether a text ends with a letter and its marks, and among the combining ones is a virama.
fn is_dead(text: &[char]) -> bool {
    let mut back = text.iter().rev().copied();
    let mut marks = back.by_ref().take_while(|c| is_combining(*c));
    marks.any(|c| canonical_combining_class(c) == VIRAMA)
        && back.find(|c| !is_nonspacing(*c)).is_some_and(is_letter)
}

/// Whether the letters are of one script, of scripts that are written together, or of Latin and one script in common use.
/// Cyrillic and Greek don't go with Latin, whose letters look like theirs ("moderately restrictive" in UTS #39, section 5.2).
fn scripts_go_together(name: &str) -> bool {
    let level = RestrictionLevel::ModeratelyRestrictive;
    let compatible: String = name.nfkc().collect();
    name.is_single_script() || compatible.check_restriction_level(level)
}

/// Whether a name may have this character, including names that were given under an older rule, and texts that NFC would
/// compose. Variation selectors are part of no name: emoji end with them.
pub fn is_of_name(c: char) -> bool {
    let selector = matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}');
    let identifier = CodePointSetData::new::<XidContinue>().contains(c) && !selector;
    identifier || c.is_alphanumeric() || "._-\u{200c}\u{200d}".contains(c)
}

/// Whether a character continues the one before it: marks, joiners, the vowel AM of Thai and Lao, and what
/// completes a syllable of Hangul or kana.
pub fn continues(c: char) -> bool {
    is_combining_mark(c)
        || matches!(c, NON_JOINER | JOINER | '\u{e33}' | '\u{eb3}' | '\u{1160}'..='\u{11ff}'
            | '\u{d7b0}'..='\u{d7ff}' | '\u{ff9e}' | '\u{ff9f}')
}

/// Whether a character at a name's end may be left out, because it would be read as punctuation of the text.
pub fn may_be_left_out(c: char) -> bool {
    matches!(c, '.' | '-') || is_middle_dot(c)
}

/// Whether it is a middle dot, or what NFC makes a middle dot: Greek's ano teleia.
fn is_middle_dot(c: char) -> bool {
    matches!(c, '\u{b7}' | '\u{387}')
}

/// Whether an `@` after this character belongs to its word. A middle dot is part of a word only if a letter follows.
pub fn holds(c: char) -> bool {
    is_of_name(c) && !is_unspaced(c) && !is_middle_dot(c)
}

/// Whether a character belongs to a script that is written without spaces, or to Hangul, whose words carry endings: a name
/// may end before it or after it. The middle dots of kana separate words.
pub fn is_unspaced(c: char) -> bool {
    // Marks and dots of kana that Unicode assigns to several scripts.
    let shared = matches!(
        c,
        '\u{3006}' | '\u{3031}'
            ..='\u{3035}'
                | '\u{303c}'
                | '\u{3099}'
                | '\u{309a}'
                | '\u{30fb}'
                | '\u{30fc}'
                | '\u{ff65}'
                | '\u{ff70}'
                | '\u{ff9e}'
                | '\u{ff9f}'
    );
    // All scripts below are written with spaces.
    if c < '\u{e00}' {
        return false;
    }
    let script = CodePointMapData::<Script>::new().get(c);
    let unspaced = [
        Script::Han,
        Script::Hiragana,
        Script::Katakana,
        Script::Bopomofo,
        Script::Hangul,
        Script::Thai,
        Script::Lao,
        Script::Khmer,
        Script::Myanmar,
        Script::Tibetan,
        Script::Balinese,
        Script::Javanese,
        Script::TaiLe,
        Script::NewTaiLue,
        Script::TaiTham,
        Script::TaiViet,
    ];
    shared || unspaced.contains(&script)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_living_languages() {
        for name in [
            "ada",
            "a.b_c-1",
            "_ada.-",
            "žluťoučký",
            "विक्रम",
            "น้องนุช",
            "น้ำฝน",
            "கார்த்திக்",
            "ಕಾರ್ತಿಕ್",
            "ကိုကို",
            "សុភា",
            "ມ່ານໜ",
            "محمد",
            "مُحَمَّد",
            "شَھزاد",
            "דָּוִד",
            "አበበ",
            "ᏣᎳᎩ",
            "ⵜⴰⵏⵉⵔⵜ",
            "ߞߊߓߊ",
            "oʻzbek",
            "col·legi",
            "ジョン・スミス",
            "山田太郎2",
            "김철수_kim",
            "น้องbee",
            "น้ำbee",
            "иван-петров_7",
            "γιώργος",
            "adx\u{301}",
            "علی\u{200c}رضا",
            "ක්\u{200d}රිස්",
            "ക്\u{200c}ഷമ",
            "അവന്\u{200d}",
            "१२३",
        ] {
            assert_eq!(broken_rule(name), None, "{name}");
        }
    }

    #[test]
    fn names_that_mislead_are_refused() {
        for name in [
            "ada lovelace",
            "ada\u{202e}",
            "ada\u{3164}",
            "ada\u{200b}",
            "ada\u{fe0f}",
            "ada\u{200d}",
            "a\u{200c}da",
            "نیما\u{200c}جان",
            "\u{200c}علی",
            "क\u{200d}म",
            "ක්\u{200d}ිස්",
            "ad\u{20dd}a",
            "ad\u{301}\u{301}",
            "adz\u{301}\u{301}",
            "ad\u{302}\u{303}\u{304}\u{306}\u{307}",
            "ad_\u{301}",
            "\u{e34}ada",
            "-ada",
            ".ada",
            "·ada",
            "_.-",
            "ａｄａ",
            "ﬁsher",
            "ⓐda",
            "ada²",
            "pаypal",
            "αdam",
            "адam",
            "น้องแь",
            "𐎀𐎁𐎂",
            "ada👍",
            "a'da",
            "@ada",
        ] {
            assert!(broken_rule(name).is_some(), "{name}");
        }
    }

    #[test]
    fn names_end_at_letters_of_scripts_without_spaces() {
        for c in "・･漢かカーㄅ한กັကក་々〆ᩅ".chars() {
            assert!(is_unspaced(c) && is_of_name(c) | (c == '་'), "{c}");
        }
        for c in "aéяαأאकக1_.ᏣՀ".chars() {
            assert!(!is_unspaced(c) && is_of_name(c), "{c}");
        }
    }
}
