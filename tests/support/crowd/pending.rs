//! A client's edits, deletions and reactions in flight: sent, and sent again after every reconnect and every retryable
//! error, until they are answered for good. Several at once, each about another thing. Their outcomes are noted in the
//! [`Record`]. A pure state machine; the caller gives the time.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    super::tables::number,
    record::{Outcome, Record, Thing},
};

/// Begins each `ref`, which goes on with the number of the request.
const REF: &str = "request ";
/// Before what met a retryable error is sent again.
const PAUSE: Duration = Duration::from_millis(100);

struct InFlight {
    thing: Thing,
    frame: Value,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Waiting,
    InFlight,
    Resumes(Instant),
}

/// See the module's documentation.
#[derive(Default)]
pub struct Pending {
    open: BTreeMap<u64, InFlight>,
    next: u64,
    pub retried: u64,
}

impl Pending {
    pub fn len(&self) -> usize {
        self.open.len()
    }

    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Begins what the record was told of.
    pub fn begin(&mut self, thing: Thing, value: &Value) {
        let (room_id, seq) = (thing.room_id(), thing.seq());
        let mut frame =
            json!({"room_id": room_id, "seq": seq, "ref": format!("{REF}{}", self.next)});
        match (&thing, value) {
            (Thing::Text(..), Value::Null) => frame["type"] = json!("delete"),
            (Thing::Text(..), text) => {
                frame["type"] = json!("edit");
                frame["content"] = text.clone();
            }
            (Thing::Reaction(_, _, emoji, _), on) => {
                frame["type"] = json!("react");
                frame["emoji"] = json!(emoji);
                frame["on"] = on.clone();
            }
            _ => panic!("{thing:?} isn't changed over a socket"),
        }
        let state = State::Waiting;
        self.open.insert(
            self.next,
            InFlight {
                thing,
                frame,
                state,
            },
        );
        self.next += 1;
    }

    /// A new connection: what was in flight on the old one has no answer.
    pub fn connected(&mut self, record: &mut Record) {
        for request in self.open.values_mut() {
            if request.state == State::InFlight {
                record.unanswered(&request.thing);
            }
            request.state = State::Waiting;
        }
    }

    /// Frames to be sent now.
    pub fn due(&mut self, now: Instant) -> Vec<Value> {
        let mut frames = Vec::new();
        for request in self.open.values_mut() {
            let due = match request.state {
                State::Waiting => true,
                State::InFlight => false,
                State::Resumes(at) => at <= now,
            };
            if due {
                request.state = State::InFlight;
                frames.push(request.frame.clone());
            }
        }
        frames
    }

    /// Whether the frame answers one of these.
    pub fn is_answer(frame: &Value) -> bool {
        frame["ref"]
            .as_str()
            .is_some_and(|text| text.starts_with(REF))
    }

    /// An `ack` or `error`; the thing that it is about, when that is its end.
    pub fn answered(
        &mut self,
        answer: &Value,
        now: Instant,
        heard: u64,
        record: &mut Record,
    ) -> Option<Thing> {
        let reference = answer["ref"].as_str().unwrap();
        let index: u64 = reference[REF.len()..].parse().unwrap();
        let request = self.open.get_mut(&index);
        let request =
            request.unwrap_or_else(|| panic!("an answer that nobody waits for: {answer}"));
        assert!(request.state == State::InFlight, "answered twice: {answer}");
        if answer["retryable"] == true {
            record.unanswered(&request.thing);
            request.state = State::Resumes(now + PAUSE);
            self.retried += 1;
            return None;
        }
        let outcome = if answer["type"] == "ack" {
            assert_eq!(
                number(answer, "room_id"),
                request.thing.room_id(),
                "{answer}"
            );
            assert_eq!(Some(number(answer, "seq")), request.thing.seq(), "{answer}");
            let rev = number(answer, "rev");
            Outcome::Done { rev, heard }
        } else {
            Outcome::Refused(answer["code"].as_str().unwrap().to_owned())
        };
        record.answered(&request.thing, outcome);
        self.open.remove(&index).map(|request| request.thing)
    }
}
