//! Whom a text names: `@name` and `@all` (PROTOCOL.md section 1).

use std::collections::{BTreeSet, HashMap};

use unicode_normalization::char::is_combining_mark;

use super::{Chat, refuse};
use crate::{
    limits::{MENTIONS_MAX, USERNAME_CHARS_MAX},
    protocol::{
        UserId,
        check::{Checks, RESERVED_NAME, fold},
        error::Refusal,
        rest::Mentions,
    },
};

/// Characters of a name as it is typed: each may come with a mark of its own.
const NAME_CHARS_MAX: usize = 2 * USERNAME_CHARS_MAX;
/// Of one text: what is beyond is nobody's name.
const CANDIDATES_MAX: usize = 500;

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

/// Also marks that a letter before them takes in: names are compared composed.
fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || "._-".contains(c) || is_combining_mark(c)
}

/// Each `@` of a text that doesn't stand behind a character of a name, and what may be meant.
fn candidates(content: &str) -> Vec<Candidates> {
    let mut found = Vec::new();
    let mut before = None;
    for (at, c) in content.char_indices() {
        let begins = c == '@' && !before.is_some_and(is_of_name);
        before = Some(c);
        if !begins {
            continue;
        }
        let tail = &content[at + 1..];
        let end = tail.find(|c| !is_of_name(c)).unwrap_or(tail.len());
        let mut name = &tail[..end];
        let mut candidates = Candidates::new();
        // A name that is longer only by what may be left off begins with the longest that can be one.
        if let Some((longest, _)) = name.char_indices().nth(NAME_CHARS_MAX) {
            let rest = name[longest..].trim_start_matches(['.', '-']);
            name = if rest.is_empty() {
                &name[..longest]
            } else {
                ""
            };
        }
        while !name.is_empty() && found.len() + candidates.len() < CANDIDATES_MAX {
            candidates.push(fold(name));
            let shorter = name.strip_suffix(['.', '-']);
            name = shorter.unwrap_or_default();
        }
        if !candidates.is_empty() {
            found.push(candidates);
        }
    }
    found
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

    #[test]
    fn names_are_found_where_they_are_meant() {
        let names = ["ada", "ada.", "bob_", "zoë", "x-y", "alle"];
        let users = (1..).map(UserId);
        let users = names.into_iter().map(fold).zip(users).collect();
        for (text, ids, all) in [
            ("", &[][..], false),
            ("@ada", &[1], false),
            ("hello @ADA!", &[1], false),
            ("@ada, @bob_: look", &[1, 3], false),
            ("(@ada)", &[1], false),
            ("@ada.", &[2], false),
            ("@ada..", &[2], false),
            ("@ada-", &[1], false),
            ("@bob_", &[3], false),
            ("@bob", &[], false),
            ("@ada_", &[], false),
            ("@x-y.", &[5], false),
            ("@Zoe\u{308}", &[4], false),
            ("@ZOË", &[4], false),
            ("mail ada@ada.example", &[], false),
            ("a.@ada", &[], false),
            ("@@ada", &[1], false),
            ("@ ada", &[], false),
            ("@", &[], false),
            ("@all", &[], true),
            ("@All.", &[], true),
            ("@alle", &[6], false),
            ("@ada@bob_", &[1], false),
            ("@ada @ada @ada", &[1], false),
        ] {
            let ids = ids.iter().map(|id| UserId(*id)).collect();
            let expected = Mentions { users: ids, all };
            assert_eq!(resolve(&candidates(text), &users), expected, "{text}");
        }
    }
}
