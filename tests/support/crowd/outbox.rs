//! A client's outbox by PROTOCOL.md section 4.3: what was written is sent, and sent again with the same `id`, until it is
//! acknowledged or refused for good. It pipelines, where [`super::super::Client`] has one message of a room in flight: the
//! server keeps the order in both cases. A pure state machine; the caller gives the time.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use uuid::Uuid;

use super::super::tables::{millis, number};

/// Begins each `ref`, which goes on with the number of the message.
const REF: &str = "message ";
/// Before a room's messages are sent again after one of them met a retryable error.
const PAUSE: Duration = Duration::from_millis(100);

/// A message that was written, and what became of it.
#[derive(Clone, Debug)]
pub struct Sent {
    pub room_id: u64,
    pub id: Uuid,
    pub content: String,
    pub reply_to: Option<u64>,
    /// The moment of its writing, as the caller counts moments.
    pub written: u64,
    pub outcome: Outcome,
}

impl Sent {
    /// Its number, once it was acknowledged.
    pub fn seq(&self) -> Option<u64> {
        match self.outcome {
            Outcome::Acked { seq, .. } => Some(seq),
            _ => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Open,
    Acked {
        seq: u64,
        rev: u64,
        created_at: i64,
        /// It was stored before: `rev` is that of what became of it since.
        duplicate: bool,
        /// The moment of the ack.
        heard: u64,
    },
    /// The code of an error that isn't retryable.
    Refused(String),
}

/// What of a room's messages is open, in the order of their writing.
#[derive(Debug, Default)]
struct Lane {
    open: VecDeque<usize>,
    /// So many of them, from the front, are unanswered on this connection.
    in_flight: usize,
    /// One of them met a retryable error: all wait until the others are answered, then begin anew.
    broken: bool,
    resume: Option<Instant>,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Outbox {
    /// All that was ever written, in order.
    pub sent: Vec<Sent>,
    /// Of those, what was acknowledged, in the order of the acks.
    pub acked: Vec<usize>,
    lanes: BTreeMap<u64, Lane>,
    pub in_flight: usize,
    pub retried: u64,
    pub duplicates: u64,
}

impl Outbox {
    pub fn is_empty(&self) -> bool {
        self.lanes.values().all(|lane| lane.open.is_empty())
    }

    /// Whether the room's messages go out as they are written.
    pub fn flows(&self, room_id: u64) -> bool {
        let lane = self.lanes.get(&room_id);
        lane.is_none_or(|lane| !lane.broken && lane.in_flight == lane.open.len())
    }

    /// Takes what was written; its outcome is open.
    pub fn write(&mut self, sent: Sent) {
        let lane = self.lanes.entry(sent.room_id).or_default();
        lane.open.push_back(self.sent.len());
        self.sent.push(sent);
    }

    /// A new connection: nothing is in flight on it.
    pub fn connected(&mut self) {
        self.in_flight = 0;
        for lane in self.lanes.values_mut() {
            lane.in_flight = 0;
            lane.broken = false;
            lane.resume = None;
        }
    }

    /// Frames to be sent now.
    pub fn due(&mut self, now: Instant) -> Vec<Value> {
        let mut frames = Vec::new();
        for lane in self.lanes.values_mut() {
            if lane.resume.is_some_and(|resume| resume <= now) {
                (lane.broken, lane.resume) = (false, None);
            }
            if lane.broken {
                continue;
            }
            for &index in lane.open.iter().skip(lane.in_flight) {
                let sent = &self.sent[index];
                frames.push(json!({
                    "type": "message",
                    "ref": format!("{REF}{index}"),
                    "room_id": sent.room_id,
                    "id": sent.id,
                    "content": sent.content,
                    "reply_to": sent.reply_to,
                }));
            }
            self.in_flight += lane.open.len() - lane.in_flight;
            lane.in_flight = lane.open.len();
        }
        frames
    }

    /// Whether the frame answers one of these messages.
    pub fn is_answer(frame: &Value) -> bool {
        frame["ref"]
            .as_str()
            .is_some_and(|text| text.starts_with(REF))
    }

    /// An `ack` or `error`; the room that it is about.
    pub fn answered(&mut self, answer: &Value, now: Instant, heard: u64) -> u64 {
        let reference = answer["ref"].as_str().unwrap();
        let index: usize = reference[REF.len()..].parse().unwrap();
        let sent = &mut self.sent[index];
        let room_id = sent.room_id;
        let lane = self.lanes.get_mut(&sent.room_id).unwrap();
        assert!(
            lane.in_flight > 0,
            "an answer that nobody waits for: {answer}"
        );
        lane.in_flight -= 1;
        self.in_flight -= 1;
        let retryable = answer["retryable"] == true;
        if answer["type"] == "ack" {
            assert_eq!(answer["id"], sent.id.to_string(), "{answer}");
            assert_eq!(number(answer, "room_id"), sent.room_id, "{answer}");
            sent.outcome = Outcome::Acked {
                seq: number(answer, "seq"),
                rev: number(answer, "rev"),
                created_at: millis(&answer["created_at"]),
                duplicate: answer["duplicate"] == true,
                heard,
            };
            self.acked.push(index);
            self.duplicates += u64::from(answer["duplicate"] == true);
        } else if !retryable {
            sent.outcome = Outcome::Refused(answer["code"].as_str().unwrap().to_owned());
        }
        if retryable {
            lane.broken = true;
            self.retried += 1;
        } else {
            if answer["type"] == "ack" {
                // The server keeps the order: nothing that was sent before it is open.
                let first = lane.open.front().map(|first| &self.sent[*first]);
                let alone = !lane.broken && lane.open.front() == Some(&index);
                assert!(alone, "{answer} overtook {first:?}");
            }
            lane.open.retain(|open| *open != index);
        }
        if lane.broken && lane.in_flight == 0 {
            lane.resume = Some(now + PAUSE);
        }
        room_id
    }
}
