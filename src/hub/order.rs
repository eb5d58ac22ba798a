//! Puts a room's events in order: they arrive in any order and are given in `rev` order. Pure: no clock, no await, no log.
//!
//! Invariants: the events that [`Order::advance`] gives form a chain: each event's `prev` is at most the position that
//! those before it reached, and its `rev` is above it. An event is given once. What is missing is reported
//! ([`Order::gap`]), never skipped.

use std::collections::{BTreeMap, VecDeque, btree_map::Entry};

use crate::{
    limits::{RING_BYTES_MAX, RING_EVENTS_MAX},
    protocol::Rev,
};

use super::encode::Encoded;

/// See the module's documentation.
#[derive(Default)]
pub struct Order {
    /// Everything up to here was given. `None` until a reader of the log says where to start ([`Order::start_at`]).
    position: Option<Rev>,
    /// The newest known `rev`.
    head: Rev,
    /// Up to here only the log counts: see [`Order::fill`].
    read: Rev,
    /// Events that arrived and were not given yet.
    pending: Pending,
    /// Events that were given recently: a chain that ends at the position.
    ring: VecDeque<Encoded>,
    ring_bytes: usize,
}

impl Order {
    pub fn position(&self) -> Option<Rev> {
        self.position
    }

    /// An event arrived after its commit: in any order, any number of times.
    pub fn arrive(&mut self, event: Encoded) {
        self.raise_head(event.rev);
        if self
            .position
            .is_some_and(|position| event.rev <= position.max(self.read))
        {
            return;
        }
        self.pending.insert(event);
        self.pending.cut();
    }

    /// Takes a page of the log that follows the position. The page is a chain that replaces whatever arrived up to `read`,
    /// the log's head when it was read. That holds beyond the end of a page that was cut, too: an event there may change
    /// a row of which the page left older changes out, because the row itself comes later. So the log is read on until
    /// a page reaches that head.
    pub fn fill(&mut self, page: Vec<Encoded>, read: Rev) {
        let (Some(position), Some(last)) = (self.position, page.last().map(|event| event.rev))
        else {
            return;
        };
        if last <= position {
            return;
        }
        self.raise_head(read);
        self.read = self.read.max(read);
        self.pending.forget(read);
        page.into_iter()
            .for_each(|event| self.pending.insert(event));
    }

    /// The room is known to have come this far.
    pub fn raise_head(&mut self, rev: Rev) {
        self.head = self.head.max(rev);
    }

    /// A subscriber has read the log up to `rev`: there a room without a position starts.
    pub fn start_at(&mut self, rev: Rev) {
        if self.position.is_none() {
            self.position = Some(rev);
            self.pending.forget(rev);
        }
    }

    /// The next event in order, if it is there.
    pub fn advance(&mut self) -> Option<Encoded> {
        let position = self.position?;
        self.pending.forget(position);
        let event = self.pending.next_after(position)?;
        self.position = Some(event.rev);
        self.ring_bytes += event.bytes.len();
        self.ring.push_back(event.clone());
        while self.ring.len() > RING_EVENTS_MAX || self.ring_bytes > RING_BYTES_MAX {
            let Some(old) = self.ring.pop_front() else {
                break;
            };
            self.ring_bytes -= old.bytes.len();
        }
        Some(event)
    }

    /// After which `rev` the log must be read, if the next event is missing.
    pub fn gap(&self) -> Option<Rev> {
        self.position.filter(|position| self.head > *position)
    }

    /// All events that were given after `rev`, or `None` if the ring doesn't reach back that far. Empty if `rev` is at
    /// the position or beyond it.
    pub fn since(&self, rev: Rev) -> Option<impl Iterator<Item = &Encoded>> {
        let position = self.position?;
        let start = self.ring.partition_point(|event| event.rev <= rev);
        let reaches =
            rev >= position || self.ring.get(start).is_some_and(|event| event.prev <= rev);
        reaches.then(|| self.ring.iter().skip(start))
    }
}

/// Events that wait for those before them, by `rev`.
#[derive(Default)]
struct Pending {
    events: BTreeMap<Rev, Encoded>,
    bytes: usize,
}

impl Pending {
    /// Of several events of one `rev` the first stays.
    fn insert(&mut self, event: Encoded) {
        if let Entry::Vacant(place) = self.events.entry(event.rev) {
            self.bytes += event.bytes.len();
            place.insert(event);
        }
    }

    /// Drops the latest events beyond the bound, but not a single one. They show as a gap, and are read from the log.
    fn cut(&mut self) {
        while self.events.len() > RING_EVENTS_MAX
            || self.events.len() > 1 && self.bytes > RING_BYTES_MAX
        {
            if let Some((_, event)) = self.events.pop_last() {
                self.bytes -= event.bytes.len();
            }
        }
    }

    /// Drops the events up to `rev`.
    fn forget(&mut self, rev: Rev) {
        while let Some(first) = self.events.first_entry()
            && *first.key() <= rev
        {
            self.bytes -= first.remove().bytes.len();
        }
    }

    /// The first event, if it follows on this position.
    fn next_after(&mut self, position: Rev) -> Option<Encoded> {
        let first = self.events.first_entry()?;
        if first.get().prev > position {
            return None;
        }
        let event = first.remove();
        self.bytes -= event.bytes.len();
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::SmallRng, seq::SliceRandom};

    use super::*;

    fn event(prev: Rev, rev: Rev) -> Encoded {
        long_event(prev, rev, 8)
    }

    /// One of so many bytes.
    fn long_event(prev: Rev, rev: Rev, bytes: usize) -> Encoded {
        Encoded {
            prev,
            rev,
            bytes: vec![b'x'; bytes].into(),
            left: None,
            ends: false,
            joinable: None,
        }
    }

    /// Whatever is lost, doubled and shuffled on the way: with the log's help the room gives a chain
    /// without a hole, and attaches from any point that it can reach without one.
    #[test]
    fn any_arrival_gives_one_chain() {
        for seed in 0..2_000 {
            let mut rng = SmallRng::seed_from_u64(seed);
            let last: Rev = rng.random_range(1..60);
            let start: Rev = rng.random_range(0..=last);
            let mut arrivals: Vec<Encoded> = (1..=last)
                .flat_map(|rev| {
                    // Lost, once or twice.
                    let times = [0, 1, 1, 1, 2][rng.random_range(0..5)];
                    std::iter::repeat_n(event(rev - 1, rev), times)
                })
                .collect();
            arrivals.shuffle(&mut rng);
            let start_after = rng.random_range(0..=arrivals.len());
            let mut order = Order::default();
            let mut given = Vec::new();
            for (index, arrival) in arrivals.into_iter().enumerate() {
                if index == start_after {
                    order.start_at(start);
                }
                order.arrive(arrival);
                given.extend(std::iter::from_fn(|| order.advance()));
            }
            order.start_at(start);
            order.raise_head(last);
            loop {
                given.extend(std::iter::from_fn(|| order.advance()));
                let Some(after) = order.gap() else { break };
                // The log answers compacted: some rows were changed again later.
                let upto = rng.random_range(after + 1..=last);
                let mut page = Vec::new();
                let mut prev = after;
                for rev in after + 1..=upto {
                    if rev == upto || rng.random_bool(0.7) {
                        page.push(event(prev, rev));
                        prev = rev;
                    }
                }
                order.fill(page, last);
            }
            assert_eq!(order.position(), Some(last), "seed {seed}");
            let mut position = start;
            for event in &given {
                assert!(
                    event.prev <= position && position < event.rev,
                    "seed {seed}: {given:?}"
                );
                position = event.rev;
            }
            assert_eq!(position, last, "seed {seed}");
            for from in start..=last {
                let mut position = from;
                for event in order.since(from).expect("the ring holds all of it") {
                    assert!(
                        event.prev <= position && position < event.rev,
                        "seed {seed} from {from}"
                    );
                    position = event.rev;
                }
                assert_eq!(position, last, "seed {seed} from {from}");
            }
            assert!(
                start == 0 || order.since(start - 1).is_none() || start == last,
                "seed {seed}"
            );
        }
    }

    /// Behind a page that was cut nothing that arrived may follow, up to where the log was read.
    #[test]
    fn what_arrived_behind_a_cut_page_is_read_from_the_log() {
        let mut order = Order::default();
        order.start_at(10);
        for rev in [14, 15, 16] {
            order.arrive(event(rev - 1, rev));
        }
        order.fill(vec![event(10, 13)], 15);
        assert_eq!(order.advance().map(|event| event.rev), Some(13));
        order.arrive(event(13, 14));
        assert!(order.advance().is_none());
        assert_eq!(order.gap(), Some(13));
        order.fill(vec![event(13, 15)], 15);
        let given: Vec<Rev> = std::iter::from_fn(|| order.advance())
            .map(|event| event.rev)
            .collect();
        assert_eq!(given, [15, 16]);
        assert_eq!(order.gap(), None);
    }

    /// While the log can't be read what arrives behind a gap takes bounded memory, in events and in bytes, and what
    /// was dropped is read from the log in the end.
    #[test]
    fn what_waits_behind_a_gap_is_bounded() {
        for bytes in [8, 300, 3_000, 48_000, 2 * RING_BYTES_MAX] {
            let mut order = Order::default();
            order.start_at(0);
            let last: Rev = 5_000;
            // The first one is lost.
            for rev in 2..=last {
                order.arrive(long_event(rev - 1, rev, bytes));
                assert!(order.advance().is_none());
                let Pending {
                    events,
                    bytes: held,
                } = &order.pending;
                let all: usize = events.values().map(|event| event.bytes.len()).sum();
                assert_eq!(*held, all);
                assert!(events.len() <= RING_EVENTS_MAX, "{bytes}: {}", events.len());
                assert!(*held <= RING_BYTES_MAX.max(bytes), "{bytes}: {held}");
            }
            let held = order.pending.events.len();
            assert!(
                held == RING_EVENTS_MAX.min((RING_BYTES_MAX / bytes).max(1)),
                "{bytes}: {held}"
            );
            let mut given = Vec::new();
            while let Some(after) = order.gap() {
                let upto = last.min(after + 7);
                let page = (after + 1..=upto).map(|rev| long_event(rev - 1, rev, bytes));
                order.fill(page.collect(), upto);
                given.extend(std::iter::from_fn(|| order.advance()).map(|event| event.rev));
            }
            assert_eq!(given, Vec::from_iter(1..=last), "{bytes}");
            assert_eq!(order.pending.bytes, 0);
        }
    }

    #[test]
    fn the_ring_is_bounded_and_says_when_it_reaches_too_far_back() {
        let mut order = Order::default();
        order.start_at(0);
        let events = 3 * RING_EVENTS_MAX as Rev;
        for rev in 1..=events {
            order.arrive(event(rev - 1, rev));
            assert!(order.advance().is_some());
        }
        let reach = events - RING_EVENTS_MAX as Rev;
        assert!(order.since(reach).is_some());
        assert!(order.since(reach - 1).is_none());
        assert_eq!(order.since(events + 5).unwrap().count(), 0);
    }
}
