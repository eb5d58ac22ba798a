//! What a client has on its way of edits, deletions and reactions: sent, and sent again after every reconnect and
//! every retryable error, until it is answered for good. Several at once, each about another thing. What
//! became of them stands in the [`Ledger`]. A pure state machine; the caller gives the time.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    ledger::{Fate, Ledger, Thing},
    truth::number,
};

/// Begins each `ref`, which goes on with the number of the deed.
const REF: &str = "deed ";
/// Before what met a retryable error is sent again.
const PAUSE: Duration = Duration::from_millis(100);

struct Deed {
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
pub struct Deeds {
    open: BTreeMap<u64, Deed>,
    next: u64,
    pub retried: u64,
}

impl Deeds {
    pub fn len(&self) -> usize {
        self.open.len()
    }

    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Begins what the ledger was told of.
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
            Deed {
                thing,
                frame,
                state,
            },
        );
        self.next += 1;
    }

    /// A new connection: what was in flight on the old one has no answer.
    pub fn connected(&mut self, ledger: &mut Ledger) {
        for deed in self.open.values_mut() {
            if deed.state == State::InFlight {
                ledger.unanswered(&deed.thing);
            }
            deed.state = State::Waiting;
        }
    }

    /// Frames to be sent now.
    pub fn due(&mut self, now: Instant) -> Vec<Value> {
        let mut frames = Vec::new();
        for deed in self.open.values_mut() {
            let due = match deed.state {
                State::Waiting => true,
                State::InFlight => false,
                State::Resumes(at) => at <= now,
            };
            if due {
                deed.state = State::InFlight;
                frames.push(deed.frame.clone());
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
        ledger: &mut Ledger,
    ) -> Option<Thing> {
        let reference = answer["ref"].as_str().unwrap();
        let index: u64 = reference[REF.len()..].parse().unwrap();
        let deed = self.open.get_mut(&index);
        let deed = deed.unwrap_or_else(|| panic!("an answer that nobody waits for: {answer}"));
        assert!(deed.state == State::InFlight, "answered twice: {answer}");
        if answer["retryable"] == true {
            ledger.unanswered(&deed.thing);
            deed.state = State::Resumes(now + PAUSE);
            self.retried += 1;
            return None;
        }
        let fate = if answer["type"] == "ack" {
            assert_eq!(number(answer, "room_id"), deed.thing.room_id(), "{answer}");
            assert_eq!(Some(number(answer, "seq")), deed.thing.seq(), "{answer}");
            let rev = number(answer, "rev");
            Fate::Done { rev, heard }
        } else {
            Fate::Refused(answer["code"].as_str().unwrap().to_owned())
        };
        ledger.answered(&deed.thing, fate);
        self.open.remove(&index).map(|deed| deed.thing)
    }
}
