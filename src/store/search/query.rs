//! The query of a search: words, phrases and beginnings of words, all of which must be in the text. Pure.
//!
//! Invariant: of what a user typed only encoded tokens reach a database's own language of queries. What the
//! database finds with them may be a little more than what matches; [`Query::hits`] decides, on the text.

use std::{collections::BTreeSet, ops::Range};

use super::tokens::{Piece, Token, Unit, alone, code, code_of_beginning, pairs, pieces, tokens};
use crate::limits::SEARCH_WORDS_MAX;

/// Tokens that stand one after the other, then perhaps one that only has to begin so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Term {
    tokens: Vec<String>,
    beginning: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    terms: Vec<Term>,
}

/// Why a text can't be searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsearchable {
    /// No letter and no digit in it.
    NoWord,
    TooManyWords,
}

impl Query {
    /// What isn't quoted is cut at white space; a part with several words in it, as `e-mail`, is a phrase.
    /// A quotation mark that isn't closed quotes all that follows.
    pub fn parse(text: &str) -> Result<Self, Unsearchable> {
        let (mut terms, mut words) = (Vec::new(), 0);
        let mut quoted = false;
        for part in text.split(['"', '“', '”', '„']) {
            let phrases: Vec<&str> = if quoted {
                vec![part]
            } else {
                part.split_whitespace().collect()
            };
            for phrase in phrases {
                let pieces = pieces(phrase);
                words += pieces.len();
                let term = Term::new(&pieces, !quoted && phrase.ends_with('*'));
                if !terms.contains(&term) && term != Term::default() {
                    terms.push(term);
                }
            }
            quoted = !quoted;
        }
        match words {
            0 => Err(Unsearchable::NoWord),
            words if words > SEARCH_WORDS_MAX => Err(Unsearchable::TooManyWords),
            _ => Ok(Self { terms }),
        }
    }

    /// Whether words have to stand side by side.
    pub fn has_phrases(&self) -> bool {
        self.terms
            .iter()
            .any(|term| term.tokens.len() + usize::from(term.beginning.is_some()) > 1)
    }

    /// In FTS5's language.
    pub fn for_fts5(&self) -> String {
        let mut conditions = Vec::new();
        for term in &self.terms {
            let codes = term.codes().collect::<Vec<_>>();
            if !codes.is_empty() {
                conditions.push(format!("\"{}\"", codes.join(" ")));
            }
            let beginning = term.beginning_code();
            conditions.extend(beginning.map(|code| format!("\"{code}\"*")));
        }
        conditions.join(" AND ")
    }

    /// In the language of MySQL's boolean mode, without phrases: InnoDB reads the text of every document with
    /// the words to look for one, 0.3 ms each, and no deadline ends that (MariaDB 10.11).
    pub fn for_mysql(&self) -> String {
        let mut conditions = BTreeSet::new();
        for term in &self.terms {
            conditions.extend(term.codes().map(|code| format!("+{code}")));
            let beginning = term.beginning_code();
            conditions.extend(beginning.map(|code| format!("+{code}*")));
        }
        Vec::from_iter(conditions).join(" ")
    }

    /// Where in a text stands what was searched for, in rising order and apart from each other; `None` when
    /// the text doesn't match.
    pub fn hits(&self, text: &str) -> Option<Vec<Range<usize>>> {
        let tokens = tokens(text);
        let mut hits = Vec::new();
        for term in &self.terms {
            let before = hits.len();
            hits.extend((0..tokens.len()).filter_map(|at| term.hit(&tokens[at..])));
            if hits.len() == before {
                return None;
            }
        }
        hits.sort_by_key(|hit| (hit.start, hit.end));
        let mut apart: Vec<Range<usize>> = Vec::new();
        for hit in hits {
            match apart.last_mut() {
                Some(last) if hit.start < last.end => last.end = last.end.max(hit.end),
                _ => apart.push(hit),
            }
        }
        Some(apart)
    }
}

impl Term {
    fn codes(&self) -> impl Iterator<Item = String> + '_ {
        self.tokens.iter().map(|token| code(token))
    }

    fn beginning_code(&self) -> Option<String> {
        self.beginning.as_deref().map(code_of_beginning)
    }

    fn new(pieces: &[Piece], starred: bool) -> Self {
        let mut term = Self::default();
        let push = |term: &mut Self, token: Token| term.tokens.push(token.text);
        let begin = |term: &mut Self, unit: &Unit| term.beginning = Some(unit.text.clone());
        for (index, piece) in pieces.iter().enumerate() {
            let last = index + 1 == pieces.len();
            match piece {
                Piece::Word(unit) if last && starred => begin(&mut term, unit),
                Piece::Word(unit) => push(&mut term, alone(unit)),
                // Only the end of what is searched for may stand anywhere in a run.
                Piece::Run(units) if !last => {
                    pairs(units).for_each(|token| push(&mut term, token));
                    units
                        .last()
                        .into_iter()
                        .for_each(|unit| push(&mut term, alone(unit)));
                }
                Piece::Run(units) => match units.as_slice() {
                    [unit] => begin(&mut term, unit),
                    units => pairs(units).for_each(|token| push(&mut term, token)),
                },
            }
        }
        term
    }

    /// Where it stands, if these tokens begin with it.
    fn hit(&self, tokens: &[Token]) -> Option<Range<usize>> {
        let count = self.tokens.len();
        let (phrase, rest) = tokens.split_at_checked(count)?;
        let same = |(wanted, token): (&String, &Token)| *wanted == token.text;
        if !self.tokens.iter().zip(phrase).all(same) {
            return None;
        }
        let mut end = phrase.last().map(|token| token.range.end);
        if let Some(beginning) = &self.beginning {
            let token = rest
                .first()
                .filter(|token| token.text.starts_with(beginning))?;
            end = Some(token.first_end);
        }
        Some(tokens.first()?.range.start..end?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_become_conditions() {
        for (text, fts5, mysql) in [
            ("Hello", r#""zzhello""#, "+zzhello"),
            ("a b  a", r#""zza" AND "zzb""#, "+zza +zzb"),
            (
                r#""to be" or*"#,
                r#""zzto zzbe" AND "zzor"*"#,
                "+zzbe +zzor* +zzto",
            ),
            ("e-mail", r#""zze zzmail""#, "+zze +zzmail"),
            ("e-ma*", r#""zze" AND "zzma"*"#, "+zze +zzma*"),
            (r#""open ended"#, r#""zzopen zzended""#, "+zzended +zzopen"),
            (
                r#"“curly quotes”"#,
                r#""zzcurly zzqquotes""#,
                "+zzcurly +zzqquotes",
            ),
            (r#"a""b"#, r#""zza" AND "zzb""#, "+zza +zzb"),
            ("東", r#""zzqe69db1"*"#, "+zzqe69db1*"),
            ("東京", r#""zzqe69db1qe4baac""#, "+zzqe69db1qe4baac"),
            (
                "-a +b (c) NOT ~d <e @f",
                r#""zza" AND "zzb" AND "zzc" AND "zznot" AND "zzd" AND "zze" AND "zzf""#,
                "+zza +zzb +zzc +zzd +zze +zzf +zznot",
            ),
            (
                "tokens:a NEAR(b c, 2) ^d",
                r#""zztokens zza" AND "zznear zzb" AND "zzc" AND "zz2" AND "zzd""#,
                "+zz2 +zza +zzb +zzc +zzd +zznear +zztokens",
            ),
        ] {
            let query = Query::parse(text).unwrap();
            assert_eq!(
                (&*query.for_fts5(), &*query.for_mysql()),
                (fts5, mysql),
                "{text}"
            );
        }
        for text in ["", "*", "\"", "\"\"", "👍 !? *", "\u{301}", "   "] {
            assert_eq!(Query::parse(text), Err(Unsearchable::NoWord), "{text:?}");
        }
        let words = |count: usize| vec!["w"; count].join(" ");
        assert!(Query::parse(&words(20)).is_ok());
        assert_eq!(Query::parse(&words(21)), Err(Unsearchable::TooManyWords));
        let run = Query::parse(&"漢".repeat(200)).unwrap();
        assert_eq!(
            run.for_mysql().matches('+').count(),
            1,
            "each pair is asked for once"
        );
    }

    #[test]
    fn hits_are_where_the_words_stand() {
        for (query, text, expected) in [
            ("hello", "Hello, hello!", Some(vec!["Hello", "hello"])),
            (
                "\"good morning\"",
                "Good  morning",
                Some(vec!["Good  morning"]),
            ),
            (
                "morning good",
                "Good  morning",
                Some(vec!["Good", "morning"]),
            ),
            ("\"morning good\"", "Good  morning", None),
            ("hel*", "Shell hell", Some(vec!["hell"])),
            ("hel", "hell", None),
            ("京", "東京都の京", Some(vec!["京", "京"])),
            ("京都", "東京都", Some(vec!["京都"])),
            ("\"tower 京\"", "tower 京都", Some(vec!["tower 京"])),
            ("\"tower 京\"", "tower 東京", None),
            ("\"京 tower\"", "東京 tower", Some(vec!["京 tower"])),
            ("\"京 tower\"", "京都 tower", None),
            ("\"a a\"", "a a a", Some(vec!["a a a"])),
            ("cafe", "ein CAFÉ", Some(vec!["CAFÉ"])),
        ] {
            let found = Query::parse(query).unwrap().hits(text);
            let found = found.map(|hits| hits.into_iter().map(|hit| &text[hit]).collect());
            assert_eq!(found, expected, "{query} in {text}");
        }
    }
}
