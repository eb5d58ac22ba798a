//! What the people of a crowd asked for (texts, reactions, pins, roles, settings) and what they were answered. All of these
//! may be repeated. Each thing is changed by one person alone, who has one change of it open at a time and retries until it
//! is answered for good: so the last answer is what must be stored. Pure state; the caller counts moments.

use std::collections::BTreeMap;

use serde_json::Value;

/// What may be changed. Rooms and users are named by their ids, messages by room and `seq`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thing {
    /// Of a message; null: deleted.
    Text(u64, u64),
    /// Of a message, with this emoji, by this user.
    Reaction(u64, u64, String, u64),
    Pin(u64, u64),
    Role(u64, u64),
    /// Of a room; the former one becomes its admin.
    Owner(u64),
    Name(u64),
    Archived(u64),
}

impl Thing {
    pub fn room_id(&self) -> u64 {
        match self {
            Thing::Text(room_id, _)
            | Thing::Reaction(room_id, ..)
            | Thing::Pin(room_id, _)
            | Thing::Role(room_id, _)
            | Thing::Owner(room_id)
            | Thing::Name(room_id)
            | Thing::Archived(room_id) => *room_id,
        }
    }

    /// The message that it is about.
    pub fn seq(&self) -> Option<u64> {
        match self {
            Thing::Text(_, seq) | Thing::Reaction(_, seq, ..) | Thing::Pin(_, seq) => Some(*seq),
            _ => None,
        }
    }

    /// One row changed is one `rev`.
    fn rows(&self) -> u64 {
        match self {
            Thing::Owner(_) => 2,
            _ => 1,
        }
    }
}

/// What a thing was asked to be, which is never what it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub value: Value,
    /// An attempt was not answered, or by a retryable error: it may have been done.
    pub maybe_done: bool,
    pub outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Open,
    Done {
        /// Of a message's row.
        rev: u64,
        /// The moment of the answer.
        heard: u64,
    },
    /// The code of an error that isn't retryable.
    Refused(String),
}

/// All that was ever asked of one thing.
#[derive(Clone, Debug)]
pub struct Requests {
    /// The value before the first of them.
    first: Value,
    pub all: Vec<Request>,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Record(BTreeMap<Thing, Requests>);

impl Record {
    pub fn iter(&self) -> impl Iterator<Item = (&Thing, &Requests)> {
        self.0.iter()
    }

    pub fn get(&self, thing: &Thing) -> Option<&Requests> {
        self.0.get(thing)
    }

    /// The thing's present value; it was `first` before the first request. `None` if the requests leave it open.
    pub fn known(&self, thing: &Thing, first: Value) -> Option<Value> {
        match self.0.get(thing) {
            None => Some(first),
            Some(requests) => requests.known(),
        }
    }

    pub fn request(&mut self, thing: Thing, first: Value, value: Value) {
        let known = self.known(&thing, first.clone());
        assert!(
            known.as_ref().is_some_and(|known| *known != value),
            "{thing:?} is {known:?}, and asked to be {value}"
        );
        let all = Vec::new();
        let requests = self.0.entry(thing).or_insert(Requests { first, all });
        requests.all.push(Request {
            value,
            maybe_done: false,
            outcome: Outcome::Open,
        });
    }

    fn open(&mut self, thing: &Thing) -> &mut Request {
        let last = self
            .0
            .get_mut(thing)
            .and_then(|requests| requests.all.last_mut());
        let last = last.unwrap_or_else(|| panic!("{thing:?} was never asked for"));
        assert_eq!(
            last.outcome,
            Outcome::Open,
            "{thing:?} was answered: {last:?}"
        );
        last
    }

    /// An attempt got no answer that tells the outcome.
    pub fn unanswered(&mut self, thing: &Thing) {
        self.open(thing).maybe_done = true;
    }

    pub fn answered(&mut self, thing: &Thing, outcome: Outcome) {
        self.open(thing).outcome = outcome;
    }

    /// The fewest and the most `rev` that all this took of a room. A deleted message silently ignores the removal of a
    /// reaction or a pin.
    pub fn revs(&self, room_id: u64, is_deleted: impl Fn(u64) -> bool) -> (u64, u64) {
        let (mut least, mut most) = (0, 0);
        let of_room = self
            .0
            .iter()
            .filter(|(thing, _)| thing.room_id() == room_id);
        for (thing, requests) in of_room {
            for request in &requests.all {
                let void = request.value == false && thing.seq().is_some_and(&is_deleted);
                let (done, maybe_done) = match request.outcome {
                    Outcome::Done { .. } => (!void, true),
                    Outcome::Open | Outcome::Refused(_) => (false, request.maybe_done),
                };
                least += u64::from(done) * thing.rows();
                most += u64::from(maybe_done) * thing.rows();
            }
        }
        (least, most)
    }
}

impl Requests {
    fn known(&self) -> Option<Value> {
        let mut known = Some(&self.first);
        for request in &self.all {
            match request.outcome {
                Outcome::Done { .. } => known = Some(&request.value),
                Outcome::Refused(_) if !request.maybe_done => {}
                Outcome::Open | Outcome::Refused(_) => known = None,
            }
        }
        known.cloned()
    }

    /// What the thing may be in tables that were read after this moment, and perhaps before now.
    pub fn possible(&self, moment: u64) -> Vec<&Value> {
        let mut possible = vec![&self.first];
        for request in &self.all {
            match request.outcome {
                Outcome::Done { heard, .. } if heard < moment => possible = vec![&request.value],
                Outcome::Refused(_) if !request.maybe_done => {}
                _ => possible.push(&request.value),
            }
        }
        possible
    }

    /// One of them was done and answered before this moment.
    pub fn are_answered(&self, moment: u64) -> bool {
        let mut outcomes = self.all.iter().map(|request| &request.outcome);
        outcomes.any(|outcome| matches!(outcome, Outcome::Done { heard, .. } if *heard < moment))
    }

    /// The `rev` of its row as it was last answered before this moment.
    pub fn rev(&self, moment: u64) -> u64 {
        let answered = self.all.iter().map(|request| match request.outcome {
            Outcome::Done { rev, heard } if heard < moment => rev,
            _ => 0,
        });
        answered.max().unwrap_or(0)
    }
}
