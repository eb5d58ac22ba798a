//! What happens in a turn, and when.

use crate::clock::{Micros, SECOND};

/// How often slow readers read.
pub const SLOW_PACE: Micros = SECOND / 20;

/// What drives the messages of a turn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// So many a second.
    Open(f64),
    /// Each of the first so many seats has a window of messages on their way, and sends the next when one is
    /// answered. The turn ends when so many were sent, or its time is over.
    Closed {
        senders: usize,
        window: usize,
        messages: usize,
    },
    Silent,
}

/// Queries of one kind, so many a second.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub search: bool,
    pub rate: f64,
    /// Messages that are stored in the first room.
    pub stored: u64,
}

/// What happens in a turn.
#[derive(Clone, Debug)]
pub struct Plan {
    pub pace: Pace,
    pub seconds: f64,
    /// Members of each room who send; the others only listen.
    pub senders: usize,
    /// Rooms are chosen by the users who are in them, not in turn: large ones have more messages.
    pub by_users: bool,
    pub slow_share: f64,
    pub slow_bytes_per_second: usize,
    pub reconnects_per_second: f64,
    pub typing_per_second: f64,
    pub asked: Option<Asked>,
    /// Seats that are closed stay so, and hear nothing in this turn.
    pub absence: bool,
}

impl Plan {
    /// Messages alone, from everyone.
    pub fn of(pace: Pace, seconds: f64) -> Self {
        Self {
            pace,
            seconds,
            senders: usize::MAX,
            by_users: false,
            slow_share: 0.0,
            slow_bytes_per_second: 0,
            reconnects_per_second: 0.0,
            typing_per_second: 0.0,
            asked: None,
            absence: false,
        }
    }

    /// Stores messages as fast as the server takes them.
    pub fn fill(senders: usize, messages: usize) -> Self {
        let pace = Pace::Closed {
            senders,
            window: (512 / senders).max(1),
            messages,
        };
        Self::of(pace, 3600.0)
    }
}

/// Something that happens again and again at planned times.
pub struct Rhythm {
    interval: f64,
    count: u64,
    began: Micros,
    end: Micros,
}

impl Rhythm {
    pub fn new(per_second: f64, began: Micros, end: Micros) -> Self {
        let interval = SECOND as f64 / per_second;
        Self {
            interval,
            count: 0,
            began,
            end: if per_second > 0.0 { end } else { 0 },
        }
    }

    /// When it is due next; the end of time when it is over.
    pub fn next(&self) -> Micros {
        if self.end == 0 {
            return Micros::MAX;
        }
        let due = self.began + (self.interval * self.count as f64) as Micros;
        if due < self.end { due } else { Micros::MAX }
    }

    /// Takes the next time, if it has come.
    pub fn take(&mut self, now: Micros) -> Option<Micros> {
        let due = self.next();
        (due <= now).then(|| {
            self.count += 1;
            due
        })
    }
}

/// All that happens at planned times in a turn.
pub struct Rhythms {
    pub messages: Rhythm,
    pub typing: Rhythm,
    pub reconnects: Rhythm,
    pub queries: Rhythm,
    pub slow_reads: Rhythm,
}

impl Rhythms {
    pub fn new(plan: &Plan, began: Micros, end: Micros) -> Self {
        let rhythm = |per_second| Rhythm::new(per_second, began, end);
        let slow_reads = SECOND as f64 / SLOW_PACE as f64;
        Self {
            messages: rhythm(if let Pace::Open(rate) = plan.pace {
                rate
            } else {
                0.0
            }),
            typing: rhythm(plan.typing_per_second),
            reconnects: rhythm(plan.reconnects_per_second),
            queries: rhythm(plan.asked.map_or(0.0, |asked| asked.rate)),
            slow_reads: rhythm(if plan.slow_share > 0.0 {
                slow_reads
            } else {
                0.0
            }),
        }
    }

    pub fn next(&self) -> Micros {
        let all = [
            &self.messages,
            &self.typing,
            &self.reconnects,
            &self.queries,
            &self.slow_reads,
        ];
        all.map(Rhythm::next)
            .into_iter()
            .min()
            .unwrap_or(Micros::MAX)
    }
}
