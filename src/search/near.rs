//! Words that are nearly the one that was typed.

use std::collections::{BTreeSet, HashMap};

use tantivy::{
    DocSet, Searcher, TERMINATED, Term, query::FuzzyTermQuery, schema::IndexRecordOption,
};

use super::index::{Fields, ROOM};
use crate::protocol::RoomId;

/// How many words may stand in place of one.
const WORDS: usize = 5;
/// The bounds of the effort for one word: words at its distance, those of them that are looked for in the rooms, and
/// the messages with one of those that are examined.
const WORDS_COMPARED: usize = 20_000;
const WORDS_SOUGHT: usize = 50;
const MESSAGES_EXAMINED: usize = 10_000;

/// The best [`WORDS`] among the words of these rooms that `edits` turn into `word`: those with the fewest edits first, then those
/// that begin with the same letter, then the most frequent ones. Nobody learns from it of a word that stands only in others'
/// rooms.
pub fn words(
    fields: Fields,
    searcher: &Searcher,
    word: &str,
    edits: u8,
    rooms: &BTreeSet<RoomId>,
) -> tantivy::Result<Vec<String>> {
    let term = Term::from_field_text(fields.words, word);
    let automaton = FuzzyTermQuery::new(term, edits, true).automaton()?;
    let mut frequencies: HashMap<String, u64> = HashMap::new();
    for segment in searcher.segment_readers() {
        let index = segment.inverted_index(fields.words)?;
        let mut terms = index.terms().search(&automaton).into_stream()?;
        let mut compared = 0;
        while compared < WORDS_COMPARED && terms.advance() {
            compared += 1;
            if let Ok(near) = std::str::from_utf8(terms.key())
                && near != word
                && near.chars().all(char::is_alphabetic)
            {
                *frequencies.entry(near.to_owned()).or_default() +=
                    u64::from(terms.value().doc_freq);
            }
        }
    }
    let mut ranked: Vec<_> = frequencies
        .into_iter()
        .map(|(near, frequency)| {
            let other_letter = near.chars().next() != word.chars().next();
            let edits = strsim::osa_distance(word, &near);
            ((edits, other_letter, std::cmp::Reverse(frequency)), near)
        })
        .collect();
    ranked.sort_unstable();
    let mut words = Vec::new();
    for (_, near) in ranked.into_iter().take(WORDS_SOUGHT) {
        if stands_in(fields, searcher, &near, rooms)? {
            words.push(near);
        }
        if words.len() == WORDS {
            break;
        }
    }
    Ok(words)
}

/// Whether a message of these rooms has the word.
fn stands_in(
    fields: Fields,
    searcher: &Searcher,
    word: &str,
    rooms: &BTreeSet<RoomId>,
) -> tantivy::Result<bool> {
    let term = Term::from_field_text(fields.words, word);
    for segment in searcher.segment_readers() {
        let index = segment.inverted_index(fields.words)?;
        let Some(mut messages) = index.read_postings(&term, IndexRecordOption::Basic)? else {
            continue;
        };
        let of = segment.fast_fields().u64(ROOM)?;
        let (mut message, mut examined) = (messages.doc(), 0);
        while message != TERMINATED && examined < MESSAGES_EXAMINED {
            let is_mine = of
                .first(message)
                .is_some_and(|room| rooms.contains(&RoomId(room)));
            if is_mine && !segment.is_deleted(message) {
                return Ok(true);
            }
            examined += 1;
            message = messages.advance();
        }
    }
    Ok(false)
}
