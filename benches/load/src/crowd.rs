//! The people on the connections: what they do when something comes.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use hdrhistogram::Histogram;

use crate::{
    clock::{self, Micros},
    fleet::Handler,
    ledger::{Ledger, latencies},
    servers::{Dialect, Heard, Promises, Query, Seat},
    text::Author,
    wire,
};

/// Queries over HTTP beside the messages. Each connection has one in flight.
pub struct Queries {
    /// When the query in flight was due, of each connection.
    pub busy: Vec<Option<Micros>>,
    /// Requests that wait for a connection, and when they were due.
    pub waiting: VecDeque<(Micros, Vec<u8>)>,
    pub latency: Histogram<u64>,
    pub asked: u64,
    pub answered: u64,
}

pub struct Crowd {
    pub dialect: Box<dyn Dialect>,
    pub promises: Promises,
    pub seats: Vec<Seat>,
    pub ledger: Ledger,
    pub author: Author,
    pub live: usize,
    /// Bytes of a message's text.
    pub bytes: usize,
    /// Connections that ended and are to be opened again.
    pub ended: Vec<usize>,
    /// Messages to be sent again, by the time of it.
    pub retries: BinaryHeap<Reverse<(Micros, u32)>>,
    /// Seats that may send the next message, in a closed loop.
    pub free: Vec<u32>,
    /// Connections that the server ended in this turn.
    pub closed: u64,
    /// The frames of messages heard so far, and their bytes.
    pub message_frames: u64,
    pub message_bytes: u64,
    pub queries: Queries,
    text: String,
}

impl Crowd {
    pub fn new(
        dialect: Box<dyn Dialect>,
        promises: Promises,
        seats: Vec<Seat>,
        rooms: usize,
        bytes: usize,
    ) -> Self {
        Self {
            dialect,
            promises,
            seats,
            ledger: Ledger::new(rooms),
            author: Author::new(7),
            live: 0,
            bytes,
            ended: Vec::new(),
            retries: BinaryHeap::new(),
            free: Vec::new(),
            closed: 0,
            message_frames: 0,
            message_bytes: 0,
            queries: Queries {
                busy: Vec::new(),
                waiting: VecDeque::new(),
                latency: latencies(3),
                asked: 0,
                answered: 0,
            },
            text: String::new(),
        }
    }

    /// Begins a turn: everyone who is live or comes back hears everything that is said from now on.
    pub fn begin(&mut self) {
        let mut listened = Vec::new();
        for seat in &mut self.seats {
            for place in &mut seat.places {
                place.heard = 0;
                place.missing.clear();
                if seat.live || seat.returns {
                    listened.push(place.room);
                }
            }
        }
        self.ledger.begin(clock::now(), listened.into_iter());
        self.retries.clear();
        self.free.clear();
        self.closed = 0;
        self.queries.latency.reset();
        self.queries.asked = 0;
        self.queries.answered = 0;
    }

    /// Writes a new message of a seat to a room.
    pub fn say(&mut self, seat: usize, room: u32, due: Micros, out: &mut Vec<u8>) {
        let (reference, _) = self.ledger.say(seat as u32, room, due);
        self.write(reference, out);
    }

    /// Writes a message, once more perhaps.
    pub fn write(&mut self, reference: u32, out: &mut Vec<u8>) {
        let Some(said) = self.ledger.said(reference) else {
            return;
        };
        let seat = &self.seats[said.seat as usize];
        let key = self.ledger.key(reference);
        self.author.write(&key, self.bytes, &mut self.text);
        self.dialect.say(seat, reference, &key, &self.text, out);
    }

    /// The messages of a seat that weren't answered, in the order in which they were said.
    fn unanswered(&self, seat: usize) -> Vec<u32> {
        (0..self.ledger.said_count() as u32)
            .filter(|reference| {
                let said = self.ledger.said(*reference);
                said.is_some_and(|it| it.seat as usize == seat && !it.acked && !it.refused)
            })
            .collect()
    }

    fn heard(&mut self, index: usize, heard: Heard, at: Micros, out: &mut Vec<u8>) {
        match heard {
            Heard::Other => {}
            Heard::Message { key, seq } => {
                let seat = &mut self.seats[index];
                let timed = seat.live && !seat.slow;
                match seat.places.iter_mut().find(|place| place.room == key.room) {
                    Some(place) => self.ledger.hear(place, key, seq, at, timed),
                    None => self.ledger.fault(format!("{key:?} of a room of others")),
                }
                if !self.promises.acknowledges {
                    self.own(index, key.room, key.number);
                }
            }
            Heard::Ack(reference) => {
                self.ledger.ack(reference, at);
                self.free.push(index as u32);
            }
            Heard::Live => {
                let seat = &mut self.seats[index];
                if !std::mem::replace(&mut seat.live, true) {
                    self.live += 1;
                }
                if std::mem::take(&mut seat.returns) && self.promises.acknowledges {
                    for reference in self.unanswered(index) {
                        self.write(reference, out);
                    }
                }
            }
            Heard::Refused {
                reference,
                retry_after_ms: Some(ms),
            } => self.retries.push(Reverse((at + ms * 1000, reference))),
            Heard::Refused { reference, .. } => {
                self.ledger.refuse(reference);
                self.free.push(index as u32);
            }
            Heard::Fault(fault) => self.ledger.fault(fault),
        }
    }

    /// Where nothing is acknowledged, one's own message takes the place of the answer.
    fn own(&mut self, index: usize, room: u32, number: u32) {
        let author = self.ledger.author(room, number);
        if author == Some(index as u32) {
            self.free.push(index as u32);
        }
    }

    fn answered(&mut self, slot: usize, response: &[u8], at: Micros, out: &mut Vec<u8>) {
        let queries = &mut self.queries;
        if let Some(due) = queries.busy[slot].take() {
            queries.answered += 1;
            let _ = queries.latency.record(at.saturating_sub(due).max(1));
        }
        if wire::status(response) != Some(200) {
            let head = String::from_utf8_lossy(&response[..response.len().min(300)]).into_owned();
            self.ledger.fault(format!("a query was answered by {head}"));
        }
        if let Some((due, request)) = self.queries.waiting.pop_front() {
            self.queries.busy[slot] = Some(due);
            out.extend_from_slice(&request);
        }
    }

    /// The request of a query about a room by one who is in it.
    pub fn query(&self, query: Query, user: usize, room: u32, rank: usize) -> Option<Vec<u8>> {
        self.dialect
            .query(query, user, room, self.author.word(rank))
    }
}

impl Handler for Crowd {
    fn opened(&mut self, index: usize, out: &mut Vec<u8>) {
        if let Some(seat) = self.seats.get_mut(index) {
            self.dialect.opened(seat, out);
        }
    }

    fn frame(&mut self, index: usize, frame: &[u8], at: Micros, out: &mut Vec<u8>) {
        match self.seats.get_mut(index) {
            Some(seat) => {
                let heard = self.dialect.frame(seat, frame, out);
                if matches!(heard, Heard::Message { .. }) {
                    self.message_frames += 1;
                    self.message_bytes += frame.len() as u64;
                }
                self.heard(index, heard, at, out);
            }
            None => self.answered(index - self.seats.len(), frame, at, out),
        }
    }

    fn closed(&mut self, index: usize, reason: &str) {
        self.closed += 1;
        self.ended.push(index);
        match self.seats.get_mut(index) {
            Some(seat) => {
                if std::mem::take(&mut seat.live) {
                    self.live -= 1;
                    seat.returns = true;
                }
                seat.stage = 0;
                if !self.promises.resumes {
                    self.ledger.fault(format!("connection {index}: {reason}"));
                }
            }
            None => self
                .ledger
                .fault(format!("a connection for queries: {reason}")),
        }
    }
}
