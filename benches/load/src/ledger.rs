//! The record of what was said and what was heard. The first connection that hears a message fixes its place
//! in the room's order; every other one must hear the same messages in the same order, each once.

use std::collections::HashMap;

use hdrhistogram::Histogram;

use crate::{
    clock::{Micros, SECOND},
    text::Key,
};

/// A place in a room's order that a message doesn't have yet.
const NOWHERE: u32 = u32::MAX;
const FAULTS_KEPT: usize = 10;

/// A connection's standing in one of its rooms.
#[derive(Clone, Debug, Default)]
pub struct Place {
    pub room: u32,
    /// How many of the room's messages of this turn it has heard or passed over.
    pub heard: u32,
    /// Those that it has passed over, by their places in the room's order.
    pub missing: Vec<u32>,
    /// The position that the server's protocol resumes from, where it has one.
    pub rev: u64,
}

/// A message that was said in this turn.
#[derive(Clone, Copy, Debug)]
pub struct Said {
    pub room: u32,
    pub number: u32,
    pub seat: u32,
    pub due: Micros,
    pub acked: bool,
    pub refused: bool,
}

#[derive(Default)]
struct Room {
    /// The messages in the order in which they were heard: their numbers, and the server's number if it has one.
    order: Vec<(u32, Option<u64>)>,
    /// Where each message stands in `order`.
    places: Vec<u32>,
    /// References of the messages said here, by number.
    said: Vec<u32>,
    /// The newest message heard of each author.
    newest: HashMap<u32, u32>,
    /// Connections that are to hear each message.
    listeners: u64,
}

/// One second of a turn.
pub struct Moment {
    pub latency: Histogram<u32>,
}

/// What was counted in a turn.
#[derive(Default)]
pub struct Tally {
    pub expected: u64,
    pub received: u64,
    pub doubled: u64,
    pub disordered: u64,
    /// Messages of an earlier turn.
    pub stale: u64,
    pub acked: u64,
    pub refused: u64,
    /// What else should not have happened.
    pub fault_count: u64,
    /// The first of all of them, in words.
    pub faults: Vec<String>,
}

pub struct Ledger {
    pub turn: u16,
    began: Micros,
    rooms: Vec<Room>,
    said: Vec<Said>,
    pub tally: Tally,
    pub latency: Histogram<u64>,
    pub ack_latency: Histogram<u64>,
    pub moments: Vec<Moment>,
}

/// Latencies from 1 µs to 10 minutes, in µs.
pub fn latencies<T: hdrhistogram::Counter>(digits: u8) -> Histogram<T> {
    Histogram::new_with_bounds(1, 600 * SECOND, digits).expect("the bounds are valid")
}

impl Ledger {
    pub fn new(rooms: usize) -> Self {
        Self {
            turn: 0,
            began: 0,
            rooms: (0..rooms).map(|_| Room::default()).collect(),
            said: Vec::new(),
            tally: Tally::default(),
            latency: latencies(3),
            ack_latency: latencies(3),
            moments: Vec::new(),
        }
    }

    /// Begins a turn. The places of all seats begin at 0 with it.
    pub fn begin(&mut self, began: Micros, places: impl Iterator<Item = u32>) {
        self.turn += 1;
        self.began = began;
        self.rooms
            .iter_mut()
            .for_each(|room| *room = Room::default());
        for room in places {
            self.rooms[room as usize].listeners += 1;
        }
        self.said.clear();
        self.tally = Tally::default();
        self.latency.reset();
        self.ack_latency.reset();
        self.moments.clear();
    }

    /// Notes a message that is about to be sent. Answers its reference and its key.
    pub fn say(&mut self, seat: u32, room: u32, due: Micros) -> (u32, Key) {
        let reference = self.said.len() as u32;
        let entry = &mut self.rooms[room as usize];
        let number = entry.said.len() as u32;
        entry.said.push(reference);
        entry.places.push(NOWHERE);
        self.tally.expected += entry.listeners;
        self.said.push(Said {
            room,
            number,
            seat,
            due,
            acked: false,
            refused: false,
        });
        (reference, self.key(reference))
    }

    pub fn said(&self, reference: u32) -> Option<&Said> {
        self.said.get(reference as usize)
    }

    /// The seat that said a message of this turn.
    pub fn author(&self, room: u32, number: u32) -> Option<u32> {
        let reference = self.rooms[room as usize].said.get(number as usize)?;
        Some(self.said[*reference as usize].seat)
    }

    pub fn rooms(&self) -> usize {
        self.rooms.len()
    }

    /// The messages of a room in the order in which they were heard: number and the server's number.
    pub fn order(&self, room: u32) -> &[(u32, Option<u64>)] {
        &self.rooms[room as usize].order
    }

    pub fn said_count(&self) -> usize {
        self.said.len()
    }

    pub fn key(&self, reference: u32) -> Key {
        let said = &self.said[reference as usize];
        Key {
            turn: self.turn,
            room: said.room,
            number: said.number,
            due: said.due,
        }
    }

    pub fn ack(&mut self, reference: u32, at: Micros) {
        match self.said.get_mut(reference as usize) {
            Some(said) if !said.acked => {
                said.acked = true;
                self.tally.acked += 1;
                let _ = self.ack_latency.record(at.saturating_sub(said.due).max(1));
            }
            _ => self.fault(format!("an answer that was not expected: {reference}")),
        }
    }

    /// The server refused a message for good: nobody is to hear it.
    pub fn refuse(&mut self, reference: u32) {
        if let Some(said) = self.said.get_mut(reference as usize)
            && !said.refused
        {
            said.refused = true;
            self.tally.refused += 1;
            self.tally.expected -= self.rooms[said.room as usize].listeners;
        }
    }

    /// A connection heard a message. `seq` is the number that the server gave to it. `timed` is false for
    /// readers that are slow on purpose.
    pub fn hear(&mut self, place: &mut Place, key: Key, seq: Option<u64>, at: Micros, timed: bool) {
        if key.turn != self.turn {
            self.tally.stale += 1;
            return;
        }
        let room = &mut self.rooms[key.room as usize];
        let heard = place.heard as usize;
        match room.order.get(heard) {
            Some(next) if *next == (key.number, seq) => place.heard += 1,
            None if room.places.get(key.number as usize) == Some(&NOWHERE) => {
                place.heard += 1;
                self.append(key, seq);
            }
            _ => return self.misplaced(place, key, seq, at, timed),
        }
        self.tally.received += 1;
        if timed {
            self.time(key.due, at);
        }
    }

    fn time(&mut self, due: Micros, at: Micros) {
        let latency = at.saturating_sub(due).max(1);
        let _ = self.latency.record(latency);
        let second = (due.saturating_sub(self.began) / SECOND) as usize;
        while self.moments.len() <= second {
            let latency = latencies(2);
            self.moments.push(Moment { latency });
        }
        let _ = self.moments[second].latency.record(latency);
    }

    /// The next message of a room's order.
    fn append(&mut self, key: Key, seq: Option<u64>) {
        let room = &mut self.rooms[key.room as usize];
        let before = room.order.last().and_then(|(_, seq)| *seq);
        room.places[key.number as usize] = room.order.len() as u32;
        room.order.push((key.number, seq));
        let said = &self.said[room.said[key.number as usize] as usize];
        let newest = room.newest.insert(said.seat, key.number);
        if newest.is_some_and(|newest| newest > key.number) {
            self.disorder(format!("{key:?} came after {newest:?} of the same author"));
        }
        if let (Some(before), Some(seq)) = (before, seq)
            && seq != before + 1
        {
            self.disorder(format!("{key:?} is number {seq} after {before}"));
        }
    }

    /// A message that isn't the next one for this connection. What it passes over is lost, or comes late.
    fn misplaced(
        &mut self,
        place: &mut Place,
        key: Key,
        seq: Option<u64>,
        at: Micros,
        timed: bool,
    ) {
        let room = &self.rooms[key.room as usize];
        let index = match room.places.get(key.number as usize) {
            Some(&NOWHERE) => {
                self.append(key, seq);
                self.rooms[key.room as usize].order.len() as u32 - 1
            }
            Some(index) if room.order[*index as usize].1 == seq => *index,
            _ => {
                return self.fault(format!(
                    "{key:?} as {seq:?} was never said, or was numbered otherwise"
                ));
            }
        };
        if index >= place.heard {
            place.missing.extend(place.heard..index);
            place.heard = index + 1;
        } else if let Some(late) = place.missing.iter().position(|missing| *missing == index) {
            place.missing.swap_remove(late);
        } else {
            self.tally.doubled += 1;
            return self.note(format!("{key:?} came again"));
        }
        self.tally.received += 1;
        self.disorder(format!(
            "{key:?} came out of its room's order, as number {index}"
        ));
        if timed {
            self.time(key.due, at);
        }
    }

    fn disorder(&mut self, what: String) {
        self.tally.disordered += 1;
        self.note(what);
    }

    /// What should not have happened, besides what is counted by itself.
    pub fn fault(&mut self, fault: String) {
        self.tally.fault_count += 1;
        self.note(fault);
    }

    fn note(&mut self, fault: String) {
        if self.tally.faults.len() < FAULTS_KEPT {
            self.tally.faults.push(fault);
        }
    }

    /// Whether every message was heard by everyone, and acknowledged if `acks`.
    pub fn is_complete(&self, acks: bool) -> bool {
        self.tally.received >= self.tally.expected
            && (!acks || self.tally.acked + self.tally.refused >= self.said.len() as u64)
    }

    /// The deliveries that never came.
    pub fn lost(&self) -> u64 {
        self.tally.expected.saturating_sub(self.tally.received)
    }

    pub fn unacked(&self) -> u64 {
        self.said.len() as u64 - self.tally.acked - self.tally.refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ledger of one room, two readers of it, and three messages.
    fn stage() -> (Ledger, [Place; 2], [Key; 3]) {
        let mut ledger = Ledger::new(1);
        ledger.begin(0, [0, 0].into_iter());
        let keys = [1, 2, 3].map(|due| ledger.say(due as u32, 0, due).1);
        (ledger, [Place::default(), Place::default()], keys)
    }

    fn hear(ledger: &mut Ledger, place: &mut Place, keys: &[Key], order: &[usize]) {
        for index in order {
            ledger.hear(place, keys[*index], None, 10, true);
        }
    }

    #[test]
    fn the_same_order_for_all_is_right_whatever_it_is() {
        let (mut ledger, [mut one, mut other], keys) = stage();
        hear(&mut ledger, &mut one, &keys, &[1, 0, 2]);
        hear(&mut ledger, &mut other, &keys, &[1, 0, 2]);
        assert!(ledger.is_complete(false) && !ledger.is_complete(true));
        assert_eq!(
            (
                ledger.tally.fault_count,
                ledger.lost(),
                ledger.latency.len()
            ),
            (0, 0, 6)
        );
    }

    #[test]
    fn a_double_is_seen() {
        let (mut ledger, [mut one, _], keys) = stage();
        hear(&mut ledger, &mut one, &keys, &[0, 0, 1, 0]);
        assert_eq!((ledger.tally.doubled, ledger.tally.received), (2, 2));
    }

    #[test]
    fn a_loss_is_seen() {
        let (mut ledger, [mut one, mut other], keys) = stage();
        hear(&mut ledger, &mut one, &keys, &[0, 1, 2]);
        hear(&mut ledger, &mut other, &keys, &[0, 2]);
        assert_eq!((ledger.lost(), ledger.tally.disordered), (1, 1));
    }

    #[test]
    fn another_order_is_seen_and_loses_nothing() {
        let (mut ledger, [mut one, mut other], keys) = stage();
        hear(&mut ledger, &mut one, &keys, &[0, 1, 2]);
        hear(&mut ledger, &mut other, &keys, &[2, 0, 1]);
        assert_eq!(
            (ledger.tally.disordered, ledger.tally.doubled, ledger.lost()),
            (3, 0, 0)
        );
        let (mut ledger, [mut one, mut other], keys) = stage();
        hear(&mut ledger, &mut one, &keys, &[0]);
        hear(&mut ledger, &mut other, &keys, &[1, 0, 0]);
        let tally = &ledger.tally;
        assert_eq!((tally.disordered, tally.doubled, tally.received), (2, 1, 3));
    }

    #[test]
    fn an_author_is_heard_in_their_order() {
        let mut ledger = Ledger::new(1);
        ledger.begin(0, [0].into_iter());
        let keys = [1, 2].map(|due| ledger.say(7, 0, due).1);
        hear(&mut ledger, &mut Place::default(), &keys, &[1, 0]);
        assert_eq!((ledger.tally.disordered, ledger.lost()), (1, 0));
    }

    #[test]
    fn the_servers_numbers_have_no_gap_and_are_the_same_for_all() {
        let (mut ledger, [mut one, mut other], keys) = stage();
        ledger.hear(&mut one, keys[0], Some(7), 10, true);
        ledger.hear(&mut one, keys[1], Some(9), 10, true);
        assert_eq!(ledger.tally.disordered, 1);
        ledger.hear(&mut other, keys[0], Some(8), 10, true);
        assert_eq!((ledger.tally.disordered, ledger.tally.fault_count), (1, 1));
    }

    #[test]
    fn what_is_refused_is_not_missed() {
        let (mut ledger, [mut one, mut other], keys) = stage();
        ledger.refuse(1);
        hear(&mut ledger, &mut one, &keys, &[0, 2]);
        hear(&mut ledger, &mut other, &keys, &[0, 2]);
        ledger.ack(0, 20);
        ledger.ack(2, 20);
        assert!(ledger.is_complete(true));
        assert_eq!((ledger.unacked(), ledger.tally.fault_count), (0, 0));
    }
}
