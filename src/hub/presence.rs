//! Who is online, and who is to hear of it. Pure: no lock, no clock, no connection.
//!
//! People are seen in small rooms, those of at most [`PRESENCE_ROOM_MAX`] members; a larger one costs
//! nothing here, whoever comes and goes in it. Each coming and going takes the next stamp and puts its
//! seat at the end of its rooms' lists. So what a connection wasn't told yet is the end of its rooms'
//! lists, after the stamp of its last telling: it keeps that one number, nothing is queued for it
//! however long it doesn't read, and of many changes of one person it hears the last.
//!
//! Invariants: a seat is a member's; a list has somebody online and is sorted by stamp; who is online
//! knows the rooms in which he has a seat; a list that was read is overruled by the events that came
//! while it was.
//!
//! What was said of somebody counts while one shares a small room with him; nobody is told of its end.
//! A room that shrinks to the bound is small for those who come online from then on.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::Instant,
};

use crate::{
    limits::{OFFLINE_GRACE, PRESENCE_ROOM_MAX},
    protocol::{RoomId, UserId},
};

/// The number of a coming or going.
pub type Stamp = u64;

/// See the module's documentation.
#[derive(Default)]
pub struct Presence {
    online: BTreeMap<UserId, Person>,
    /// Those with connections whose rooms are being read.
    arriving: HashMap<UserId, Arriving>,
    rooms: HashMap<RoomId, Vec<Seat>>,
    /// Rooms that were last seen to be too large, whatever a list says that was read before.
    large: HashSet<RoomId>,
    /// Those without a connection, by the end of their grace.
    away: BTreeSet<(Instant, UserId)>,
    stamp: Stamp,
}

#[derive(Default)]
struct Person {
    connections: usize,
    /// The small rooms in which he has a seat.
    rooms: Vec<RoomId>,
    /// Without a connection: when his grace ends.
    until: Option<Instant>,
}

#[derive(Default)]
struct Arriving {
    connections: usize,
    /// Memberships that began or ended meanwhile.
    changed: BTreeMap<RoomId, bool>,
}

/// Where a member of a small room was last seen to come or go.
struct Seat {
    user_id: UserId,
    stamp: Stamp,
    online: bool,
}

/// What a connection is to be told.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct News {
    pub online: Vec<UserId>,
    pub offline: Vec<UserId>,
    /// Told up to here.
    pub told: Stamp,
    /// Some didn't fit.
    pub more: bool,
}

impl News {
    pub fn is_empty(&self) -> bool {
        self.online.is_empty() && self.offline.is_empty()
    }
}

/// What a connection finds when it comes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Online {
    pub ids: Vec<UserId>,
    pub truncated: bool,
    /// What changes from here on is news.
    pub told: Stamp,
}

impl Presence {
    /// A connection of his is about to read the list of his rooms.
    pub fn expect(&mut self, user_id: UserId) {
        self.arriving.entry(user_id).or_default().connections += 1;
    }

    /// It ended before it had.
    pub fn give_up(&mut self, user_id: UserId) {
        self.expected(user_id);
    }

    /// It has read that these are his small rooms. Gives those who are to hear of it: nobody, when he
    /// was online already.
    pub fn arrive(&mut self, user_id: UserId, rooms: &[RoomId]) -> Vec<UserId> {
        let changed = self.expected(user_id);
        let person = self.online.entry(user_id).or_default();
        person.connections += 1;
        if let Some(until) = person.until.take() {
            self.away.remove(&(until, user_id));
        }
        let listed = rooms
            .iter()
            .filter(|room_id| !changed.contains_key(room_id));
        let came = changed
            .iter()
            .filter_map(|(room_id, is)| is.then_some(room_id));
        let mut others = Vec::new();
        for room_id in listed.chain(came) {
            if !self.large.contains(room_id) && self.sit(*room_id, user_id) {
                others.extend(self.seen_in(*room_id));
            }
        }
        others.retain(|other| *other != user_id);
        others
    }

    /// One of those that are expected has come or gone; what changed while it read.
    fn expected(&mut self, user_id: UserId) -> BTreeMap<RoomId, bool> {
        let Some(arriving) = self.arriving.get_mut(&user_id) else {
            return BTreeMap::new();
        };
        arriving.connections -= 1;
        if arriving.connections > 0 {
            return arriving.changed.clone();
        }
        let arrived = self.arriving.remove(&user_id);
        arrived.map_or_else(BTreeMap::new, |arrived| arrived.changed)
    }

    /// A connection that had arrived has ended. True: his grace begins.
    pub fn depart(&mut self, user_id: UserId, now: Instant) -> bool {
        let Some(person) = self.online.get_mut(&user_id) else {
            return false;
        };
        person.connections -= 1;
        if person.connections > 0 {
            return false;
        }
        let until = now + OFFLINE_GRACE;
        person.until = Some(until);
        self.away.insert((until, user_id))
    }

    /// When the next grace ends.
    pub fn next_end(&self) -> Option<Instant> {
        self.away.first().map(|(until, _)| *until)
    }

    /// Ends one grace that is over by now; gives those who are to hear of it.
    pub fn expire(&mut self, now: Instant) -> Option<Vec<UserId>> {
        let (until, user_id) = *self.away.first()?;
        if until > now {
            return None;
        }
        self.away.pop_first();
        let person = self.online.remove(&user_id)?;
        self.stamp += 1;
        let mut others = Vec::new();
        for room_id in person.rooms {
            self.stand_up(room_id, user_id);
            others.extend(self.seen_in(room_id));
        }
        Some(others)
    }

    /// A membership began, and the room has so many now. Gives those who are to hear of it, the new
    /// member among them: to him the room is new.
    pub fn join(&mut self, room_id: RoomId, user_id: UserId, member_count: u64) -> Vec<UserId> {
        if let Some(arriving) = self.arriving.get_mut(&user_id) {
            arriving.changed.insert(room_id, true);
        }
        if !self.is_small(room_id, member_count) {
            return Vec::new();
        }
        match self.online.contains_key(&user_id) && self.sit(room_id, user_id) {
            true => self.seen_in(room_id).collect(),
            false => Vec::new(),
        }
    }

    /// A membership ended.
    pub fn leave(&mut self, room_id: RoomId, user_id: UserId, member_count: u64) {
        if let Some(arriving) = self.arriving.get_mut(&user_id) {
            arriving.changed.insert(room_id, false);
        }
        if let Some(person) = self.online.get_mut(&user_id) {
            person.rooms.retain(|other| *other != room_id);
        }
        if let Some(seats) = self.rooms.get_mut(&room_id) {
            seats.retain(|seat| seat.user_id != user_id);
        }
        self.forget_if_empty(room_id);
        self.is_small(room_id, member_count);
    }

    /// The room doesn't exist any more.
    pub fn delete(&mut self, room_id: RoomId) {
        self.large.remove(&room_id);
        for arriving in self.arriving.values_mut() {
            arriving.changed.insert(room_id, false);
        }
        self.forget(room_id);
    }

    /// Whether he has a connection, or had one of late.
    pub fn is_online(&self, user_id: UserId) -> bool {
        self.online.contains_key(&user_id)
    }

    pub fn count(&self) -> usize {
        self.online.len()
    }

    /// Those online, by rising id after `after`, at most `max`.
    pub fn page(&self, after: UserId, max: usize) -> Vec<UserId> {
        let rest = self.online.range(UserId(after.0 + 1)..);
        rest.map(|(user_id, _)| *user_id).take(max).collect()
    }

    /// Himself and whom he sees in his rooms, or in `only` that one, at most `max`.
    pub fn seen_by(&self, user_id: UserId, only: Option<RoomId>, max: usize) -> Online {
        let mut ids = HashSet::from([user_id]);
        for &room_id in self.rooms_of(user_id, &only) {
            if ids.len() <= max && self.seat(room_id, user_id).is_some() {
                ids.extend(self.seen_in(room_id));
            }
        }
        ids.remove(&user_id);
        let mut ids: Vec<UserId> = ids.into_iter().collect();
        let truncated = ids.len() >= max;
        ids.truncate(max - 1);
        ids.push(user_id);
        ids.sort_unstable();
        Online {
            ids,
            truncated,
            told: self.stamp,
        }
    }

    /// What he wasn't told yet of his rooms, or of `only` that one, the oldest first, at most `max` ids,
    /// which is at least what a small room holds.
    pub fn news(&self, user_id: UserId, only: Option<RoomId>, told: Stamp, max: usize) -> News {
        let mut seats: Vec<(UserId, Stamp, bool)> = Vec::new();
        for &room_id in self.rooms_of(user_id, &only) {
            let Some(list) = self.rooms.get(&room_id) else {
                continue;
            };
            if list.last().is_none_or(|last| last.stamp <= told) {
                continue;
            }
            let Some(mine) = self.seat(room_id, user_id) else {
                continue;
            };
            let new = list.iter().rev().take_while(|seat| seat.stamp > told);
            seats.extend(new.map(|seat| (seat.user_id, seat.stamp, seat.online)));
            if mine.stamp > told {
                // He has come into this room since: all whom he finds are new to him.
                let found = list.iter().filter(|seat| seat.online && seat.stamp <= told);
                seats.extend(found.map(|seat| (seat.user_id, mine.stamp, true)));
            }
        }
        seats.retain(|(other, ..)| *other != user_id);
        seats.sort_unstable();
        seats.dedup_by_key(|(other, ..)| *other);
        let mut news = News {
            told: self.stamp,
            ..News::default()
        };
        if seats.len() > max {
            seats.sort_unstable_by_key(|(_, stamp, _)| *stamp);
            let (_, cut, _) = seats[max];
            seats.retain(|(_, stamp, _)| *stamp < cut);
            (news.told, news.more) = (cut - 1, true);
        }
        for (other, _, online) in seats {
            match online {
                true => news.online.push(other),
                false => news.offline.push(other),
            }
        }
        news
    }

    /// The rooms that a connection of his is about. They are looked up here, not in the session, which
    /// learns of a new room after the others in it have.
    fn rooms_of<'a>(&'a self, user_id: UserId, only: &'a Option<RoomId>) -> &'a [RoomId] {
        match only {
            Some(room_id) => std::slice::from_ref(room_id),
            None => self
                .online
                .get(&user_id)
                .map_or(&[], |person| &person.rooms),
        }
    }

    /// Those seen in a room.
    fn seen_in(&self, room_id: RoomId) -> impl Iterator<Item = UserId> {
        let seats = self.rooms.get(&room_id).map_or(&[][..], Vec::as_slice);
        let online = seats.iter().filter(|seat| seat.online);
        online.map(|seat| seat.user_id)
    }

    /// The seat of somebody who is seen in the room.
    fn seat(&self, room_id: RoomId, user_id: UserId) -> Option<&Seat> {
        let seats = self.rooms.get(&room_id)?;
        seats.iter().find(|s| s.online && s.user_id == user_id)
    }

    /// Seats somebody who is online; false when he is seated.
    fn sit(&mut self, room_id: RoomId, user_id: UserId) -> bool {
        if self.seat(room_id, user_id).is_some() {
            return false;
        }
        self.stamp += 1;
        let seats = self.rooms.entry(room_id).or_default();
        seats.retain(|seat| seat.user_id != user_id);
        seats.push(Seat {
            user_id,
            stamp: self.stamp,
            online: true,
        });
        if let Some(person) = self.online.get_mut(&user_id) {
            person.rooms.push(room_id);
        }
        true
    }

    /// Notes that somebody is offline, with the present stamp.
    fn stand_up(&mut self, room_id: RoomId, user_id: UserId) {
        let seats = self.rooms.entry(room_id).or_default();
        seats.retain(|seat| seat.user_id != user_id);
        seats.push(Seat {
            user_id,
            stamp: self.stamp,
            online: false,
        });
        self.forget_if_empty(room_id);
    }

    /// Drops a list in which nobody is online.
    fn forget_if_empty(&mut self, room_id: RoomId) {
        if self.seen_in(room_id).next().is_none() {
            self.rooms.remove(&room_id);
        }
    }

    fn is_small(&mut self, room_id: RoomId, member_count: u64) -> bool {
        let small = member_count <= PRESENCE_ROOM_MAX;
        if small {
            self.large.remove(&room_id);
        } else {
            self.large.insert(room_id);
            self.forget(room_id);
        }
        small
    }

    fn forget(&mut self, room_id: RoomId) {
        for seat in self.rooms.remove(&room_id).unwrap_or_default() {
            if let Some(person) = self.online.get_mut(&seat.user_id) {
                person.rooms.retain(|other| *other != room_id);
            }
        }
    }
}

#[cfg(test)]
mod tests;
