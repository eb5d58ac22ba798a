//! Whom a text mentions: `@name` and `@all` (PROTOCOL.md section 7.6).

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    ops::Range,
};

use pulldown_cmark::{Event, Parser, Tag};

use super::Chat;
use crate::{
    limits::{MENTION_NAMES_MAX, MENTIONS_MAX, USERNAME_CHARS_MAX},
    protocol::{
        UserId,
        check::{Checks, RESERVED_NAME},
        error::Refusal,
        fold::fold_beginnings,
        names::{continues, holds, is_of_name, is_unspaced, may_be_left_out},
    },
    store::{EVERYONE, Named},
};

/// The most characters of a name as it is typed: each may carry a mark of its own, or be typed as two (`SS` for ß).
const NAME_CHARS_MAX: usize = 2 * USERNAME_CHARS_MAX;
/// How an address may begin, besides with `scheme://`.
const HEADS: [&str; 9] = [
    "www.", "mailto:", "xmpp:", "sip:", "sips:", "tel:", "sms:", "acct:", "matrix:",
];

/// The names that an `@` may be followed by, folded, the longest first.
type Candidates = Vec<String>;

impl Chat {
    /// The users whom a text may mention. Those of them who are members of the room are mentioned. More than [`MENTIONS_MAX`]
    /// are refused.
    pub(super) async fn named(&self, content: &str) -> Result<Named, Refusal> {
        let found = candidates(content);
        let names: BTreeSet<&String> = found.iter().flatten().collect();
        if names.is_empty() {
            return Ok(Named::new());
        }
        let names: Vec<String> = names.into_iter().cloned().collect();
        let users = self.store.users_by_names(&names).await?;
        let named = resolve(&found, &users);
        let mut checks = Checks::default();
        let people = named.iter().filter(|users| users[0] != EVERYONE);
        if people.count() > MENTIONS_MAX {
            let rule = format!("at most {MENTIONS_MAX} people may be mentioned");
            checks.fail("content", "mentions", rule);
        }
        checks.done()?;
        Ok(named)
    }
}

/// The candidates of each `@` of a text that may mention someone.
fn candidates(content: &str) -> Vec<Candidates> {
    if !content.contains('@') {
        return Vec::new();
    }
    let quiet = [code(content), addresses(content)];
    let mut found = Vec::new();
    let mut names: HashSet<String> = HashSet::new();
    for (at, _) in content.match_indices('@') {
        let is_quiet = quiet.iter().any(|ranges| lies_in(at, ranges));
        if is_quiet || ends_with_word(&content[..at]) {
            continue;
        }
        // The bound keeps the shortest, because names are short.
        let mut candidates = meant(&content[at + 1..]);
        candidates.retain(|name| {
            let known = names.contains(name);
            known || (names.len() < MENTION_NAMES_MAX && names.insert(name.clone()))
        });
        candidates.reverse();
        if !candidates.is_empty() {
            found.push(candidates);
        }
    }
    found
}

/// Whether an `@` after this text would belong to its last word.
fn ends_with_word(text: &str) -> bool {
    text.chars().next_back().is_some_and(holds)
}

/// The names with which a text may begin, folded, the shortest first: the longest run of characters that names may have, with
/// and without full stops and the like at its end. In scripts that are written without spaces, and where they meet others, a
/// name may end after each letter.
fn meant(text: &str) -> Vec<String> {
    let end = text.find(|c| !is_of_name(c)).unwrap_or(text.len());
    let run = &text[..end];
    // `@scope/name` is a package.
    let path = text[end..].strip_prefix('/');
    let mut is_end = !path.is_some_and(|path| path.starts_with(is_of_name));
    let is_letter = |c: char| is_unspaced(c) && !continues(c);
    let mut chars = run.chars().count();
    let mut letters = run.chars().filter(|c| is_letter(*c)).count();
    let mut next = None;
    let mut ends = Vec::new();
    for (at, c) in run.char_indices().rev() {
        let borders = |next| !continues(next) && (is_unspaced(next) || is_unspaced(c));
        is_end |= next.is_some_and(borders);
        if is_end && chars <= NAME_CHARS_MAX && letters <= USERNAME_CHARS_MAX {
            ends.push(at + c.len_utf8());
        }
        is_end &= may_be_left_out(c);
        next = Some(c);
        chars -= 1;
        letters -= usize::from(is_letter(c));
    }
    ends.reverse();
    fold_beginnings(run, &ends)
}

/// Code as CommonMark defines it: spans, and blocks that are fenced or indented. The ranges are rising and disjoint.
fn code(text: &str) -> Vec<Range<usize>> {
    let is_code = |event: &Event| matches!(event, Event::Code(_) | Event::Start(Tag::CodeBlock(_)));
    let events = Parser::new(text).into_offset_iter();
    let code = events.filter(|(event, _)| is_code(event));
    code.map(|(_, range)| range).collect()
}

/// Addresses: from a scheme or `www.` to the next character that ends one. The ranges are rising and disjoint.
fn addresses(text: &str) -> Vec<Range<usize>> {
    let (mut addresses, mut at) = (Vec::new(), 0);
    for word in text.split_inclusive(ends_address) {
        addresses.extend(address(word).map(|begin| at + begin..at + word.len()));
        at += word.len();
    }
    addresses
}

/// White space, `<` and `>`, quotation marks except the apostrophe, and Chinese and Japanese punctuation, including the
/// full-width forms of ASCII's.
fn ends_address(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '<' | '>' | '"' | '«' | '»' | '\u{2018}'..='\u{201f}' | '‹' | '›' | '\u{2e42}'
            | '\u{3001}'..='\u{3003}' | '\u{3008}'..='\u{3011}' | '\u{3014}'..='\u{301f}' | '\u{fe41}'..='\u{fe44}'
            | '\u{ff01}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff20}' | '\u{ff3b}'..='\u{ff40}' | '\u{ff5b}'..='\u{ff65}')
}

/// The position in a word at which an address begins.
fn address(word: &str) -> Option<usize> {
    let mut slashes = word.match_indices("://");
    let scheme = slashes.find(|(at, _)| word[..*at].ends_with(|c: char| c.is_ascii_alphanumeric()));
    let lower = word.to_ascii_lowercase();
    let heads = HEADS.iter().filter_map(|head| {
        let mut found = lower.match_indices(head);
        found.find(|(at, _)| !ends_with_word(&word[..*at]))
    });
    heads.chain(scheme).map(|(at, _)| at).min()
}

fn lies_in(at: usize, ranges: &[Range<usize>]) -> bool {
    let index = ranges.partition_point(|range| range.end <= at);
    ranges.get(index).is_some_and(|range| range.start <= at)
}

/// The users who have these names, each list of them once.
fn resolve(found: &[Candidates], users: &HashMap<String, UserId>) -> Named {
    let user = |name: &String| {
        if name == RESERVED_NAME {
            Some(EVERYONE)
        } else {
            users.get(name).copied()
        }
    };
    let named = found
        .iter()
        .map(|names| names.iter().filter_map(user).collect());
    let named: BTreeSet<Vec<UserId>> = named.filter(|users: &Vec<_>| !users.is_empty()).collect();
    named.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::fold::fold;

    /// The web client must mark the same mentions: frontend/src/markdown/names.test.ts reads the same texts.
    const FIXTURE: &str = include_str!("../../tests/fixtures/mentions.json");

    #[derive(serde::Deserialize)]
    struct Fixture {
        users: Vec<String>,
        /// A text with its mentions in « and », and the users whom it mentions.
        texts: Vec<(String, Vec<String>)>,
    }

    #[test]
    fn names_are_found_where_they_are_meant() {
        let fixture: Fixture = serde_json::from_str(FIXTURE).unwrap();
        let names: Vec<String> = fixture.users.iter().map(|name| fold(name)).collect();
        let users = names.iter().cloned().zip((1..).map(UserId)).collect();
        assert!(fixture.texts.len() >= 100);
        let mut faults = Vec::new();
        for (marked, expected) in &fixture.texts {
            let text = marked.replace(['«', '»'], "");
            let found = resolve(&candidates(&text), &users);
            // All users are members, so the longest name wins.
            let named: BTreeSet<&str> = found
                .iter()
                .map(|users| match users[0] {
                    EVERYONE => "all",
                    id => &*fixture.users[id.0 as usize - 1],
                })
                .collect();
            let expected: BTreeSet<&str> = expected.iter().map(String::as_str).collect();
            if named != expected {
                faults.push(format!("{text:?}: {named:?} instead of {expected:?}"));
            }
            assert_eq!(marked.contains('«'), !expected.is_empty(), "{marked:?}");
        }
        assert!(faults.is_empty(), "{faults:#?}");
    }

    /// All candidates are returned, since only the store knows which of them are members; names that are too long aren't.
    #[test]
    fn all_users_whom_a_text_may_mention_are_found() {
        let users = ["bob", "bobさ", "bobさん", "all看", "straße"];
        let users: HashMap<String, UserId> =
            users.map(fold).into_iter().zip((1..).map(UserId)).collect();
        for (text, expected) in [
            ("@bobさん", &[&[3, 2, 1][..]][..]),
            ("@bobさま @bob @Bob", &[&[1], &[2, 1]]),
            ("@all看 @all", &[&[0], &[4, 0]]),
            ("@STRASSE", &[&[5]]),
            ("@nobody", &[]),
        ] {
            let named = resolve(&candidates(text), &users);
            let named: Vec<Vec<u64>> = named
                .iter()
                .map(|of| of.iter().map(|id| id.0).collect())
                .collect();
            assert_eq!(named, expected, "{text}");
        }
        for (letter, longest) in [
            ("漢", 32),
            ("a", 64),
            ("か\u{3099}", 32),
            ("\u{1100}\u{1161}\u{11a8}", 21),
        ] {
            let names = meant(&letter.repeat(64));
            let found = names.last().map(|name| name.chars().count());
            assert_eq!(found, Some(longest), "{letter}");
        }
    }

    /// No text causes more lookups than [`MENTION_NAMES_MAX`].
    #[test]
    fn hostile_texts_mention_few() {
        for text in [
            "@".repeat(8_000),
            "@ada.".repeat(1_600),
            format!("@{}", "-.".repeat(4_000)),
            format!("@{}", "漢".repeat(7_999)),
            "@漢".repeat(4_000),
            format!("@{} ", "漢".repeat(60)).repeat(130),
            "`@a".repeat(2_600),
            "[".repeat(7_998) + "@a",
            "> ".repeat(3_999) + "@a",
            "* ".repeat(3_999) + "@a",
            "<a@b".repeat(2_000),
            "www.@".repeat(1_600),
        ] {
            let found = candidates(&text);
            let names: BTreeSet<&String> = found.iter().flatten().collect();
            assert!(
                names.len() <= MENTION_NAMES_MAX,
                "{}: {text:.9}",
                names.len()
            );
        }
    }
}
