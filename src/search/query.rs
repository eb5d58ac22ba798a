//! The query of a search: words, phrases and beginnings of words, all of which must be in the text. Pure.
//!
//! Invariant: of what a user typed only tokens reach the index, never its own language of queries. What it finds with them may
//! be more than what matches; [`Query::hits`] decides, on the text.

use std::ops::Range;

use super::tokens::{Piece, Token, Unit, alone, pairs, pieces, tokens};
use crate::limits::SEARCH_WORDS_MAX;

/// Tokens that stand one after the other, then perhaps one that only has to begin so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Term {
    pub tokens: Vec<String>,
    pub beginning: Option<String>,
    /// Words that may stand in place of the only token.
    pub others: Vec<String>,
    /// Quoted, or of a script without spaces: no other word is near it.
    pub exact: bool,
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
    /// One letter and `*`.
    ShortBeginning,
}

impl Query {
    /// What isn't quoted is cut at white space; a part with several words in it, as `e-mail`, is a phrase.
    /// A quotation mark that isn't closed quotes all that follows.
    pub fn parse(text: &str) -> Result<Self, Unsearchable> {
        let (mut terms, mut words) = (Vec::new(), 0);
        let (mut quoted, mut short) = (false, false);
        for part in text.split(['"', '“', '”', '„']) {
            let phrases: Vec<&str> = if quoted {
                vec![part]
            } else {
                part.split_whitespace().collect()
            };
            for phrase in phrases {
                let pieces = pieces(phrase);
                words += pieces.len();
                let mut term = Term::new(&pieces, !quoted && phrase.ends_with('*'));
                if term.is_short_beginning(&pieces) {
                    short = true;
                }
                term.exact = quoted || pieces.iter().any(|piece| matches!(piece, Piece::Run(_)));
                if !pieces.is_empty() && !terms.contains(&term) {
                    terms.push(term);
                }
            }
            quoted = !quoted;
        }
        match words {
            0 => Err(Unsearchable::NoWord),
            words if words > SEARCH_WORDS_MAX => Err(Unsearchable::TooManyWords),
            _ if short => Err(Unsearchable::ShortBeginning),
            _ => Ok(Self { terms }),
        }
    }

    /// All of them must be in the text.
    pub(super) fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// Whether a text with all words of the query in it may still not match it.
    pub fn has_phrases(&self) -> bool {
        self.terms.iter().any(Term::is_phrase)
    }

    /// The query in which one of these words may stand in place of the only word of a term: a list for each term, in their order.
    pub(super) fn with_others(&self, others: Vec<Vec<String>>) -> Self {
        let terms = self.terms.iter().zip(others);
        let terms = terms.map(|(term, others)| Term {
            others,
            ..term.clone()
        });
        Self {
            terms: terms.collect(),
        }
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
    /// Whether words have to stand side by side.
    pub fn is_phrase(&self) -> bool {
        self.tokens.len() + usize::from(self.beginning.is_some()) > 1
    }

    /// How many letters may be wrong, missing, too many or exchanged with their neighbour in a word that is nearly this one;
    /// `None`: only the word itself is meant.
    pub fn edits(&self) -> Option<u8> {
        let [word] = self.tokens.as_slice() else {
            return None;
        };
        if self.exact || self.beginning.is_some() || !word.chars().all(char::is_alphabetic) {
            return None;
        }
        match word.chars().count() {
            0..4 => None,
            4..8 => Some(1),
            _ => Some(2),
        }
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

    /// Whether it is the beginning of a word, and one letter long.
    fn is_short_beginning(&self, pieces: &[Piece]) -> bool {
        let letter = |text: &String| text.chars().nth(1).is_none();
        matches!(pieces, [Piece::Word(_)]) && self.beginning.as_ref().is_some_and(letter)
    }

    /// Where it stands, if these tokens begin with it.
    fn hit(&self, tokens: &[Token]) -> Option<Range<usize>> {
        let count = self.tokens.len();
        let (phrase, rest) = tokens.split_at_checked(count)?;
        let same = |(wanted, token): (&String, &Token)| {
            *wanted == token.text || self.others.contains(&token.text)
        };
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
    fn queries_are_cut_into_terms() {
        for (text, expected) in [
            ("Hello", "hello~1"),
            ("a b  a", "a, b"),
            (r#""to be" or*"#, "to be, or*"),
            ("e-mail", "e mail"),
            ("e-ma*", "e ma*"),
            (r#""open ended"#, "open ended"),
            (
                "“curly quotes” letters accommodate",
                "curly quotes, letters~1, accommodate~2",
            ),
            (r#"a"b""c""#, "a, b, c"),
            ("東", "東*"),
            ("東京", "東京"),
            ("don't* x2yz", "don t*, x2yz"),
            ("-a +b (c) NOT ~d <e @f", "a, b, c, not, d, e, f"),
            (
                "words:a NEAR(b c, 2) ^d a~2 [a TO b] /x.y/ a^3 *",
                "words a, near b, c, 2, d, a 2, a, to, b, x y, a 3",
            ),
        ] {
            let query = Query::parse(text).unwrap();
            let terms = query.terms().iter().map(|term| {
                let mut shown = term.tokens.join(" ");
                if let Some(beginning) = &term.beginning {
                    shown = format!("{shown} {beginning}*").trim().to_owned();
                }
                match term.edits() {
                    Some(edits) => format!("{shown}~{edits}"),
                    None => shown,
                }
            });
            assert_eq!(terms.collect::<Vec<_>>().join(", "), expected, "{text}");
        }
        assert_eq!(Query::parse("b a*"), Err(Unsearchable::ShortBeginning));
        for text in ["", "*", "\"", "\"\"", "👍 !? *", "\u{301}", "   "] {
            assert_eq!(Query::parse(text), Err(Unsearchable::NoWord), "{text:?}");
        }
        let words = |count: usize| vec!["w"; count].join(" ");
        assert!(Query::parse(&words(20)).is_ok());
        assert_eq!(Query::parse(&words(21)), Err(Unsearchable::TooManyWords));
        assert!(Query::parse(&"漢".repeat(200)).is_ok());
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
