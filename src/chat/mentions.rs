//! Whom a text names: `@name` and `@all` (PROTOCOL.md section 1).

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
};

use pulldown_cmark::{Event, Parser, Tag};

use super::{Chat, refuse};
use crate::{
    limits::{MENTIONS_MAX, USERNAME_CHARS_MAX},
    protocol::{
        UserId,
        check::{Checks, RESERVED_NAME},
        error::Refusal,
        fold::fold,
        names::{continues, is_of_name, is_unspaced},
        rest::Mentions,
    },
};

/// Characters of a name as it is typed: each may come with a mark of its own.
const NAME_CHARS_MAX: usize = 2 * USERNAME_CHARS_MAX;
/// Of one text: what is beyond is nobody's name. So many have room for [`MENTIONS_MAX`] names, each within a
/// text without spaces.
const CANDIDATES_MAX: usize = 2_000;
const _: () = assert!(CANDIDATES_MAX >= MENTIONS_MAX * (USERNAME_CHARS_MAX + 1));
/// What begins an address, beside `scheme://`.
const HEADS: [&str; 9] = [
    "www.", "mailto:", "xmpp:", "sip:", "sips:", "tel:", "sms:", "acct:", "matrix:",
];

/// What stands behind an `@`: the names that it may mean, folded, the longest first.
type Candidates = Vec<String>;

impl Chat {
    /// The users whom a text names, and whether it means all. More than [`MENTIONS_MAX`] are refused.
    pub(super) async fn named(&self, content: &str) -> Result<Mentions, Refusal> {
        let found = candidates(content);
        let names: BTreeSet<&String> = found.iter().flatten().collect();
        if names.is_empty() {
            return Ok(Mentions::default());
        }
        let names: Vec<String> = names.into_iter().cloned().collect();
        let users = self.store.users_by_names(&names).await.map_err(refuse)?;
        let mentions = resolve(&found, &users);
        let mut checks = Checks::default();
        if mentions.users.len() > MENTIONS_MAX {
            let rule = format!("at most {MENTIONS_MAX} people are mentioned");
            checks.fail("content", "mentions", rule);
        }
        checks.done()?;
        Ok(mentions)
    }
}

/// Each `@` of a text by which somebody may be meant, and who.
fn candidates(content: &str) -> Vec<Candidates> {
    if !content.contains('@') {
        return Vec::new();
    }
    let quiet = [code(content), addresses(content)];
    let (mut found, mut count) = (Vec::new(), 0);
    for (at, _) in content.match_indices('@') {
        let is_quiet = quiet.iter().any(|ranges| lies_in(at, ranges));
        if is_quiet || ends_with_word(&content[..at]) {
            continue;
        }
        let mut candidates = meant(&content[at + 1..]);
        candidates.truncate(CANDIDATES_MAX - count);
        count += candidates.len();
        if !candidates.is_empty() {
            found.push(candidates);
        }
    }
    found
}

/// Whether what follows would be read as a part of the text's last word.
fn ends_with_word(text: &str) -> bool {
    let last = text.chars().next_back();
    last.is_some_and(|c| is_of_name(c) && !is_unspaced(c))
}

/// Whom the beginning of a text names: all the characters of names, less full stops and hyphens at the end. Where
/// scripts that are written without spaces meet others, and within them, a name may end at each letter.
fn meant(text: &str) -> Candidates {
    let end = text.find(|c| !is_of_name(c)).unwrap_or(text.len());
    let run = &text[..end];
    // `@scope/name` is a package.
    let path = text[end..].strip_prefix('/');
    let mut ends = !path.is_some_and(|path| path.starts_with(is_of_name));
    let mut left = run.chars().count();
    let mut next = None;
    let mut names = Candidates::new();
    for (at, c) in run.char_indices().rev() {
        let borders = |next| !continues(next) && (is_unspaced(next) || is_unspaced(c));
        ends |= next.is_some_and(borders);
        if ends && left <= NAME_CHARS_MAX {
            names.push(fold(&run[..at + c.len_utf8()]));
        }
        ends &= matches!(c, '.' | '-');
        next = Some(c);
        left -= 1;
    }
    names
}

/// Code as CommonMark has it: spans, and blocks that are fenced or indented. Rising and apart.
fn code(text: &str) -> Vec<Range<usize>> {
    let is_code = |event: &Event| matches!(event, Event::Code(_) | Event::Start(Tag::CodeBlock(_)));
    let events = Parser::new(text).into_offset_iter();
    let code = events.filter(|(event, _)| is_code(event));
    code.map(|(_, range)| range).collect()
}

/// Addresses: from a scheme or `www.` to the end of what has no space in it. Rising and apart.
fn addresses(text: &str) -> Vec<Range<usize>> {
    let (mut addresses, mut at) = (Vec::new(), 0);
    for word in text.split_inclusive(ends_address) {
        addresses.extend(address(word).map(|begin| at + begin..at + word.len()));
        at += word.len();
    }
    addresses
}

/// White space, what may stand around an address, and the punctuation of scripts without spaces.
fn ends_address(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '<' | '>' | '"' | '“' | '”' | '‘' | '’' | '\u{3001}' | '\u{3002}' | '\u{3008}'..='\u{3011}'
            | '\u{3014}'..='\u{301f}' | '！' | '（' | '）' | '，' | '：' | '；' | '？' | '｛' | '｝' | '～')
}

/// Where in a word an address begins.
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

fn resolve(found: &[Candidates], users: &HashMap<String, UserId>) -> Mentions {
    let mut ids = BTreeSet::new();
    let mut all = false;
    for candidates in found {
        for name in candidates {
            if name == RESERVED_NAME {
                all = true;
                break;
            }
            if let Some(id) = users.get(name) {
                ids.insert(*id);
                break;
            }
        }
    }
    Mentions {
        users: ids.into_iter().collect(),
        all,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The page marks what is counted here: frontend/mentions.test.mjs reads the same texts.
    const FIXTURE: &str = include_str!("../../tests/fixtures/mentions.json");

    #[derive(serde::Deserialize)]
    struct Fixture {
        users: Vec<String>,
        /// A text with its mentions in « and », and whom it mentions.
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
            let named = found
                .users
                .iter()
                .map(|id| &*fixture.users[id.0 as usize - 1]);
            let named: BTreeSet<&str> = named.chain(found.all.then_some("all")).collect();
            let expected: BTreeSet<&str> = expected.iter().map(String::as_str).collect();
            if named != expected {
                faults.push(format!("{text:?}: {named:?} instead of {expected:?}"));
            }
            assert_eq!(marked.contains('«'), !expected.is_empty(), "{marked:?}");
        }
        assert!(faults.is_empty(), "{faults:#?}");
    }

    /// Whatever is written, a text costs no more than so many names.
    #[test]
    fn hostile_texts_name_few() {
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
            let count: usize = candidates(&text).iter().map(Vec::len).sum();
            assert!(count <= CANDIDATES_MAX, "{count}: {:.9}", text);
        }
    }
}
