//! Looks candidates up in the index, the newest first.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap},
    sync::Arc,
    time::Instant,
};

use tantivy::{
    DocId, DocSet, Score, SegmentReader, TERMINATED, TantivyError, Term,
    collector::{Collector, SegmentCollector},
    columnar::ColumnValues,
    query::{
        BooleanQuery, FuzzyTermQuery, Occur, PhraseQuery, Query as IndexQuery, TermQuery,
        TermSetQuery, Weight,
    },
    schema::IndexRecordOption,
};

use super::{
    index::{CREATED_AT, Fields, ROOM, SEQ},
    place::Place,
    query::{Query, Term as QueryTerm},
};
use crate::protocol::{RoomId, Time, UserId};

/// How many documents are examined between two looks at the clock.
const DOCUMENTS_BETWEEN_LOOKS: u32 = 16 * 1024;

/// Conditions of a search, each with whether it must hold or must not.
pub type Conditions = Vec<(Occur, Box<dyn IndexQuery>)>;

/// What may match a query: every message that does match, and perhaps others.
pub fn candidates(fields: Fields, query: &Query) -> Conditions {
    let conditions = query.terms().iter();
    let conditions = conditions.flat_map(|term| conditions_of(fields, term));
    conditions.map(|query| (Occur::Must, query)).collect()
}

/// What may match `near`, a query with other words in it, and doesn't match the query itself.
pub fn near_candidates(fields: Fields, query: &Query, near: &Query) -> Conditions {
    let mut conditions = candidates(fields, near);
    // Where the index finds more than what matches, the text alone decides.
    let is_exact = |term: &QueryTerm| term.tokens.is_empty() || term.beginning.is_none();
    if query.terms().iter().all(is_exact) {
        let exact = BooleanQuery::new(candidates(fields, query));
        conditions.push((Occur::MustNot, Box::new(exact)));
    }
    conditions
}

/// A phrase, and a beginning that follows it, are conditions of their own: the text decides whether one follows the other.
fn conditions_of(fields: Fields, term: &QueryTerm) -> Vec<Box<dyn IndexQuery>> {
    let word = |text: &String| Term::from_field_text(fields.words, text);
    let mut conditions: Vec<Box<dyn IndexQuery>> = Vec::new();
    match term.tokens.as_slice() {
        [] => {}
        [token] => {
            let words = std::iter::once(token).chain(&term.others).map(word);
            conditions.push(one_of(words.collect()));
        }
        tokens => {
            let words = tokens.iter().map(word).collect();
            conditions.push(Box::new(PhraseQuery::new(words)));
        }
    }
    let beginning = term.beginning.as_ref();
    // Any word may begin with one letter: then the phrase before it narrows enough.
    let narrows =
        |beginning: &&String| term.tokens.is_empty() || beginning.chars().nth(1).is_some();
    if let Some(beginning) = beginning.filter(narrows) {
        // At a distance of 0: what begins so.
        let begins = FuzzyTermQuery::new_prefix(word(beginning), 0, false);
        conditions.push(Box::new(begins));
    }
    conditions
}

fn one_of(terms: Vec<Term>) -> Box<dyn IndexQuery> {
    let query =
        |term| -> Box<dyn IndexQuery> { Box::new(TermQuery::new(term, IndexRecordOption::Basic)) };
    let mut queries: Vec<_> = terms.into_iter().map(query).collect();
    match queries.len() {
        1 => queries.remove(0),
        _ => Box::new(BooleanQuery::union(queries)),
    }
}

/// One of these rooms.
pub fn in_rooms(fields: Fields, rooms: &BTreeSet<RoomId>) -> Box<dyn IndexQuery> {
    let room = |room: &RoomId| Term::from_field_u64(fields.room, room.0);
    match rooms.first() {
        Some(only) if rooms.len() == 1 => {
            Box::new(TermQuery::new(room(only), IndexRecordOption::Basic))
        }
        _ => Box::new(TermSetQuery::new(rooms.iter().map(room))),
    }
}

pub fn from_sender(fields: Fields, sender: UserId) -> Box<dyn IndexQuery> {
    let sender = Term::from_field_u64(fields.sender, sender.0);
    Box::new(TermQuery::new(sender, IndexRecordOption::Basic))
}

/// Collects the places of the newest documents.
pub struct Newest {
    pub limit: usize,
    /// Only places below this one.
    pub below: Option<Place>,
    /// Only messages made at these times.
    pub since: Option<Time>,
    pub until: Option<Time>,
    pub deadline: Instant,
}

/// The places of a segment. What the lowest of them is below can't be among the newest.
pub struct Segment {
    limit: usize,
    below: Option<Place>,
    since: i64,
    until: i64,
    created_at: Arc<dyn ColumnValues<i64>>,
    room: Arc<dyn ColumnValues<u64>>,
    seq: Arc<dyn ColumnValues<u64>>,
    newest: BinaryHeap<Reverse<Place>>,
}

impl Collector for Newest {
    type Fruit = Vec<Place>;
    type Child = Segment;

    fn for_segment(&self, _: u32, segment: &SegmentReader) -> tantivy::Result<Segment> {
        let columns = segment.fast_fields();
        Ok(Segment {
            limit: self.limit,
            below: self.below,
            since: self.since.map_or(i64::MIN, |time| time.0),
            until: self.until.map_or(i64::MAX, |time| time.0),
            created_at: columns.column_first_or_default(CREATED_AT)?,
            room: columns.column_first_or_default(ROOM)?,
            seq: columns.column_first_or_default(SEQ)?,
            newest: BinaryHeap::new(),
        })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    /// As the default does it, but ends at the deadline.
    fn collect_segment(
        &self,
        weight: &dyn Weight,
        ordinal: u32,
        reader: &SegmentReader,
    ) -> tantivy::Result<Vec<Place>> {
        let mut segment = self.for_segment(ordinal, reader)?;
        let mut documents = weight.scorer(reader, 1.0)?;
        let (mut document, mut examined) = (documents.doc(), 0);
        while document != TERMINATED {
            if reader
                .alive_bitset()
                .is_none_or(|alive| alive.is_alive(document))
            {
                segment.collect(document, 1.0);
            }
            examined += 1;
            if examined % DOCUMENTS_BETWEEN_LOOKS == 0 && Instant::now() > self.deadline {
                return Err(TantivyError::InternalError(
                    "the search took too long".into(),
                ));
            }
            document = documents.advance();
        }
        Ok(segment.harvest())
    }

    fn merge_fruits(&self, segments: Vec<Vec<Place>>) -> tantivy::Result<Vec<Place>> {
        let mut places: Vec<Place> = segments.into_iter().flatten().collect();
        places.sort_unstable_by(|a, b| b.cmp(a));
        places.truncate(self.limit);
        Ok(places)
    }
}

impl SegmentCollector for Segment {
    type Fruit = Vec<Place>;

    fn collect(&mut self, document: DocId, _: Score) {
        let created_at = self.created_at.get_val(document);
        if created_at < self.since || created_at >= self.until {
            return;
        }
        let full = self.newest.len() == self.limit;
        // Most documents end here: their time alone says that they are too old.
        if let Some(Reverse(oldest)) = self.newest.peek()
            && full
            && created_at < oldest.created_at.0
        {
            return;
        }
        let place = Place {
            created_at: Time(created_at),
            room_id: RoomId(self.room.get_val(document)),
            seq: self.seq.get_val(document),
        };
        if self.below.is_some_and(|below| place >= below) {
            return;
        }
        self.newest.push(Reverse(place));
        if self.newest.len() > self.limit {
            self.newest.pop();
        }
    }

    fn harvest(self) -> Vec<Place> {
        self.newest
            .into_iter()
            .map(|Reverse(place)| place)
            .collect()
    }
}
