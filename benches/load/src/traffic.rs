//! Turns of traffic on one server's connections: messages at the times planned for them whatever becomes of
//! them, and beside them all that a scenario asks for.

use std::{cmp::Reverse, net::SocketAddrV4, ops::Range};

use hdrhistogram::Histogram;

use crate::{
    clock::{self, Micros, SECOND},
    crowd::Crowd,
    fleet::Fleet,
    ledger::latencies,
    plan::{Pace, Plan, Rhythms, SLOW_PACE},
    random::Random,
    servers::{Population, Query, Result, Seat, Server},
    wire::Framing,
};

/// How long the last deliveries may take, once nothing comes any more.
const PATIENCE: Micros = 10 * SECOND;
const PATIENCE_MAX: Micros = 120 * SECOND;
/// Messages sent in a row before what came is read again.
const BURST: usize = 64;
const QUERY_CONNECTIONS: usize = 16;

pub struct Traffic {
    pub fleet: Fleet,
    pub crowd: Crowd,
    address: SocketAddrV4,
    /// The seats in each room.
    rooms: Vec<Vec<u32>>,
    /// The rooms that have seats.
    spoken_in: Vec<u32>,
    random: Random,
    turns: usize,
    /// How far the harness fell behind its own plan.
    pub late: Histogram<u64>,
    /// Whether typing and queries exist here.
    pub unsupported: bool,
}

impl Traffic {
    /// Connections for some of the users, so many for each.
    pub fn new(
        server: &dyn Server,
        population: &Population,
        users: Range<usize>,
        sockets_per_user: usize,
        bytes: usize,
    ) -> Result<Self> {
        let rooms_of = population.rooms_of_users();
        let mut rooms = vec![Vec::new(); population.rooms.len()];
        let mut seats = Vec::new();
        for _ in 0..sockets_per_user {
            for user in users.clone() {
                let of = &rooms_of[user];
                of.iter()
                    .for_each(|room| rooms[*room as usize].push(seats.len() as u32));
                seats.push(Seat::new(user, of));
            }
        }
        let dialect = server.dialect();
        let mut fleet = Fleet::new().map_err(|error| error.to_string())?;
        for _ in &seats {
            fleet.add(dialect.framing());
        }
        let crowd = Crowd::new(dialect, server.promises(), seats, rooms.len(), bytes);
        Ok(Self {
            fleet,
            crowd,
            address: server.address(),
            spoken_in: (0..rooms.len() as u32)
                .filter(|room| !rooms[*room as usize].is_empty())
                .collect(),
            rooms,
            random: Random::new(11),
            turns: 0,
            late: latencies(3),
            unsupported: false,
        })
    }

    pub fn open(&mut self, index: usize) -> Result<()> {
        let seat = &mut self.crowd.seats[index];
        seat.stage = 0;
        let hello = self.crowd.dialect.hello(seat);
        let opened = self.fleet.open(index, self.address, hello);
        opened.map_err(|error| format!("connection {index}: {error}"))
    }

    pub fn poll(&mut self, until: Micros) -> Result<bool> {
        let came = self.fleet.poll(until, &mut self.crowd);
        came.map_err(|error| format!("epoll: {error}"))
    }

    /// Opens the connections of all seats that are closed, so many at a time, until all are live.
    pub fn connect(&mut self, parallel: usize, patience: Micros) -> Result<()> {
        let seats = self.crowd.seats.len();
        let give_up = clock::now() + patience;
        self.crowd.ended.clear();
        let mut waiting: Vec<usize> = (0..seats)
            .rev()
            .filter(|seat| self.fleet.is_closed(*seat))
            .collect();
        let mut failures = 0;
        while self.crowd.live < seats {
            let opening = seats - self.crowd.live - waiting.len();
            for _ in opening..parallel {
                if let Some(index) = waiting.pop() {
                    self.open(index)?;
                }
            }
            self.poll(clock::now() + SECOND / 10)?;
            failures += self.crowd.ended.len();
            waiting.append(&mut self.crowd.ended);
            if clock::now() > give_up || failures > seats {
                let faults = &self.crowd.ledger.tally.faults;
                let live = self.crowd.live;
                return Err(format!(
                    "{live} of {seats} connections are live; {failures} failed: {faults:?}"
                ));
            }
        }
        Ok(())
    }

    /// Acts on what came, without waiting: pings are answered, for one.
    pub fn tend(&mut self) -> Result<()> {
        while self.poll(0)? {}
        Ok(())
    }

    /// One turn: what the plan says, and then until everything has come that is expected.
    pub fn turn(&mut self, plan: &Plan) -> Result<()> {
        self.tend()?;
        self.crowd.begin();
        self.late.reset();
        let began = clock::now();
        let end = began + (plan.seconds * SECOND as f64) as Micros;
        let mut rhythms = Rhythms::new(plan, began, end);
        self.slow_down(plan);
        if plan.asked.is_some() {
            self.open_queries()?;
        }
        if let Pace::Closed {
            senders, window, ..
        } = plan.pace
        {
            let senders = 0..senders as u32;
            self.crowd.free = (0..window).flat_map(|_| senders.clone()).collect();
        }
        let (mut progress, mut progress_at) = (0, began);
        let mut sped_up = false;
        loop {
            let now = clock::now();
            self.act(plan, &mut rhythms, now)?;
            self.follow_up(plan, now, now < end)?;
            if now >= end || self.all_sent(plan) {
                if !std::mem::replace(&mut sped_up, true) {
                    self.speed_up();
                }
                if self.is_over(plan) {
                    return Ok(());
                }
                let tally = &self.crowd.ledger.tally;
                let sum = tally.received + tally.acked + self.crowd.queries.answered;
                if sum != progress {
                    (progress, progress_at) = (sum, now);
                }
                if now > progress_at + PATIENCE || now > end + PATIENCE_MAX {
                    return Ok(());
                }
            }
            let until = rhythms.next().min(self.next_retry());
            self.poll(until.min(now + SECOND / 10))?;
        }
    }

    /// Does what is due.
    fn act(&mut self, plan: &Plan, rhythms: &mut Rhythms, now: Micros) -> Result<()> {
        for _ in 0..BURST {
            let Some(due) = rhythms.messages.take(now) else {
                break;
            };
            self.say(plan, due)?;
        }
        while rhythms.typing.take(now).is_some() {
            self.type_somewhere();
        }
        while rhythms.reconnects.take(now).is_some() {
            self.reconnect()?;
        }
        while let Some(due) = rhythms.queries.take(now) {
            self.ask(plan, due);
        }
        while rhythms.slow_reads.take(now).is_some() {
            self.read_slowly(plan);
        }
        Ok(())
    }

    /// Whether a closed loop has sent all it has to.
    fn all_sent(&self, plan: &Plan) -> bool {
        matches!(plan.pace, Pace::Closed { messages, .. } if self.crowd.ledger.said_count() >= messages)
    }

    fn is_over(&self, plan: &Plan) -> bool {
        let queries = &self.crowd.queries;
        if queries.asked > queries.answered {
            return false;
        }
        let acks = self.crowd.promises.acknowledges;
        if plan.absence {
            return self.crowd.ledger.unacked() == 0;
        }
        self.crowd.ledger.is_complete(acks) && self.crowd.live == self.crowd.seats.len()
    }

    fn next_retry(&self) -> Micros {
        let first = self.crowd.retries.peek();
        first.map_or(Micros::MAX, |Reverse((due, _))| *due)
    }

    /// What follows from what came: messages are sent again, connections that ended are opened again, and in a
    /// closed loop who was answered sends on.
    fn follow_up(&mut self, plan: &Plan, now: Micros, sending: bool) -> Result<()> {
        while self.next_retry() <= now {
            let Some(Reverse((_, reference))) = self.crowd.retries.pop() else {
                break;
            };
            let Some(said) = self.crowd.ledger.said(reference) else {
                continue;
            };
            let seat = said.seat as usize;
            // Who isn't live sends it again after the reconnect.
            if self.crowd.seats[seat].live {
                let crowd = &mut self.crowd;
                self.fleet.send(seat, |out| crowd.write(reference, out));
            }
        }
        if self.crowd.promises.resumes {
            for index in std::mem::take(&mut self.crowd.ended) {
                if index < self.crowd.seats.len() {
                    self.open(index)?;
                }
            }
        }
        let free = std::mem::take(&mut self.crowd.free);
        if let Pace::Closed { messages, .. } = plan.pace
            && sending
        {
            for seat in free {
                if self.crowd.ledger.said_count() < messages {
                    let places = &self.crowd.seats[seat as usize].places;
                    let room = places[self.random.below(places.len())].room;
                    self.send(seat as usize, room, now);
                }
            }
        }
        Ok(())
    }

    /// The next message of an open loop.
    fn say(&mut self, plan: &Plan, due: Micros) -> Result<()> {
        let _ = self.late.record(clock::now().saturating_sub(due).max(1));
        let turn = self.turns;
        self.turns += 1;
        // Who has just lost their connection, or reads slowly, doesn't speak.
        for attempt in 0..64 {
            let (seat, room) = if plan.by_users {
                let seat = self.random.below(self.crowd.seats.len());
                let places = &self.crowd.seats[seat].places;
                (seat, places[self.random.below(places.len())].room)
            } else {
                let room = self.spoken_in[turn % self.spoken_in.len()] as usize;
                let seats = &self.rooms[room];
                let senders = plan.senders.clamp(1, seats.len());
                let seat = (turn / self.spoken_in.len() + attempt) % senders;
                (seats[seat] as usize, room as u32)
            };
            let it = &self.crowd.seats[seat];
            if it.live && !it.slow {
                self.send(seat, room, due);
                return Ok(());
            }
        }
        Err("nobody is there who could say something".to_owned())
    }

    fn send(&mut self, seat: usize, room: u32, due: Micros) {
        let crowd = &mut self.crowd;
        self.fleet.send(seat, |out| crowd.say(seat, room, due, out));
    }

    fn type_somewhere(&mut self) {
        let seat = self.random.below(self.crowd.seats.len());
        let places = &self.crowd.seats[seat].places;
        let room = places[self.random.below(places.len())].room;
        let crowd = &mut self.crowd;
        let mut known = true;
        if crowd.seats[seat].live {
            self.fleet.send(seat, |out| {
                known = crowd.dialect.typing(&crowd.seats[seat], room, out)
            });
        }
        self.unsupported |= !known;
    }

    /// Ends a seat's connection as its user would; it comes back by [`Traffic::open`].
    pub fn leave(&mut self, index: usize) {
        let seat = &mut self.crowd.seats[index];
        if std::mem::take(&mut seat.live) {
            self.crowd.live -= 1;
        }
        seat.returns = true;
        self.fleet.close(index);
    }

    fn reconnect(&mut self) -> Result<()> {
        let index = self.random.below(self.crowd.seats.len());
        let seat = &self.crowd.seats[index];
        if seat.slow || !seat.live {
            return Ok(());
        }
        self.leave(index);
        self.open(index)
    }

    fn slow_down(&mut self, plan: &Plan) {
        let seats = self.crowd.seats.len();
        let slow = (seats as f64 * plan.slow_share) as usize;
        self.crowd
            .seats
            .iter_mut()
            .for_each(|seat| seat.slow = false);
        for index in 0..slow {
            // From the end: those who send are at the beginning of a room.
            let index = seats - 1 - index;
            self.crowd.seats[index].slow = true;
            self.fleet.set_slow(index, true);
        }
    }

    /// Slow readers read what is left as all others. How long that took is still not counted.
    fn speed_up(&mut self) {
        for index in (0..self.crowd.seats.len()).rev() {
            if !self.crowd.seats[index].slow {
                return;
            }
            self.fleet.set_slow(index, false);
        }
    }

    fn read_slowly(&mut self, plan: &Plan) {
        let bytes = plan.slow_bytes_per_second * SLOW_PACE as usize / SECOND as usize;
        for index in (0..self.crowd.seats.len()).rev() {
            if !self.crowd.seats[index].slow {
                return;
            }
            self.fleet.read_slowly(index, bytes.max(1), &mut self.crowd);
        }
    }

    fn open_queries(&mut self) -> Result<()> {
        let seats = self.crowd.seats.len();
        while self.fleet.len() < seats + QUERY_CONNECTIONS {
            self.fleet.add(Framing::Http);
            self.crowd.queries.busy.push(None);
        }
        for index in seats..self.fleet.len() {
            if self.fleet.is_closed(index) {
                let opened = self.fleet.open(index, self.address, Vec::new());
                opened.map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    fn ask(&mut self, plan: &Plan, due: Micros) {
        let Some(asked) = plan.asked else { return };
        let user =
            self.crowd.seats[self.rooms[0][self.random.below(self.rooms[0].len())] as usize].user;
        let query = if asked.search {
            Query::Search
        } else {
            Query::History {
                seq: 1 + self.random.next() % asked.stored.max(1),
            }
        };
        // Common words and rare ones alike.
        let rank = 4096f64.powf(self.random.unit()) as usize;
        let Some(request) = self.crowd.query(query, user, 0, rank) else {
            self.unsupported = true;
            return;
        };
        let queries = &mut self.crowd.queries;
        queries.asked += 1;
        match queries.busy.iter().position(Option::is_none) {
            Some(slot) => {
                queries.busy[slot] = Some(due);
                let index = self.crowd.seats.len() + slot;
                self.fleet
                    .send(index, |out| out.extend_from_slice(&request));
            }
            None => queries.waiting.push_back((due, request)),
        }
    }
}
