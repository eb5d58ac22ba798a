//! Who is online, and who is told of it. Pure: no lock, no clock, no connection.
//!
//! Presence is told within small rooms, those of at most [`PRESENCE_ROOM_MAX`] members. A larger room costs nothing here,
//! whoever comes and goes in it. A user who comes online or goes offline takes the next stamp, and their entry moves to the
//! end of the lists of their rooms. So what a connection wasn't told yet is the end of its rooms' lists, after the stamp
//! up to which it was told: it keeps that one number, nothing is queued for it however long it doesn't read, and of many
//! changes of one user it hears the last.
//!
//! Invariants: an entry is a member's; a list has at least one user who is online, and is sorted by stamp; a user who is
//! online knows the rooms in which they have an entry; where events came while a list of rooms was read, the events win.
//!
//! What a client was told of a user holds while both share a small room; nobody is told that they don't share one any
//! more. A room that shrinks to the bound counts as small for those who come online from then on.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::Instant,
};

use crate::{
    limits::{OFFLINE_GRACE, PRESENCE_ROOM_MAX},
    protocol::{RoomId, UserId},
};

/// Numbers the changes of presence.
pub type Stamp = u64;

/// See the module's documentation.
#[derive(Default)]
pub struct Presence {
    online: BTreeMap<UserId, Person>,
    /// Users with connections whose rooms are being read.
    arriving: HashMap<UserId, Arriving>,
    rooms: HashMap<RoomId, Vec<Entry>>,
    /// Rooms that were too large when they were last seen, whatever a list says that was read before.
    large: HashSet<RoomId>,
    /// Users without a connection, by the end of their grace period.
    away: BTreeSet<(Instant, UserId)>,
    stamp: Stamp,
}

#[derive(Default)]
struct Person {
    connections: usize,
    /// The small rooms in which they have an entry.
    rooms: Vec<RoomId>,
    /// Without a connection: when the grace period ends.
    until: Option<Instant>,
}

#[derive(Default)]
struct Arriving {
    connections: usize,
    /// The memberships that changed meanwhile, and whether they hold now.
    changed: BTreeMap<RoomId, bool>,
}

/// When a member of a small room last came online or went offline.
struct Entry {
    user_id: UserId,
    stamp: Stamp,
    online: bool,
}

/// What a connection is to be told.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct News {
    pub online: Vec<UserId>,
    pub offline: Vec<UserId>,
    /// With it the connection has been told up to here.
    pub told: Stamp,
    /// Some changes didn't fit.
    pub more: bool,
}

impl News {
    pub fn is_empty(&self) -> bool {
        self.online.is_empty() && self.offline.is_empty()
    }
}

/// What a connection is told when it begins.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Online {
    pub ids: Vec<UserId>,
    pub truncated: bool,
    /// Changes after this stamp are news.
    pub told: Stamp,
}

impl Presence {
    /// A connection of this user's is about to read the list of their rooms.
    pub fn expect(&mut self, user_id: UserId) {
        self.arriving.entry(user_id).or_default().connections += 1;
    }

    /// It ended before it had read the list.
    pub fn give_up(&mut self, user_id: UserId) {
        self.expected(user_id);
    }

    /// It has read that these are the user's small rooms. Returns those who are to be told: nobody, if the user was
    /// online already.
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
            if !self.large.contains(room_id) && self.mark_online(*room_id, user_id) {
                others.extend(self.seen_in(*room_id));
            }
        }
        others.retain(|other| *other != user_id);
        others
    }

    /// An expected connection has arrived or ended. Returns what changed while it read.
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

    /// A connection that had arrived has ended. Returns whether it was the last, so that the grace period begins.
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

    /// When the next grace period ends.
    pub fn next_end(&self) -> Option<Instant> {
        self.away.first().map(|(until, _)| *until)
    }

    /// Ends one grace period that is over by now. Returns those who are to be told.
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
            self.mark_offline(room_id, user_id);
            others.extend(self.seen_in(room_id));
        }
        Some(others)
    }

    /// A membership began, and the room has so many members now. Returns those who are to be told, among them the new
    /// member, to whom the room is new.
    pub fn join(&mut self, room_id: RoomId, user_id: UserId, member_count: u64) -> Vec<UserId> {
        if let Some(arriving) = self.arriving.get_mut(&user_id) {
            arriving.changed.insert(room_id, true);
        }
        if !self.is_small(room_id, member_count) {
            return Vec::new();
        }
        if self.online.contains_key(&user_id) && self.mark_online(room_id, user_id) {
            self.seen_in(room_id).collect()
        } else {
            Vec::new()
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
        if let Some(entries) = self.rooms.get_mut(&room_id) {
            entries.retain(|entry| entry.user_id != user_id);
        }
        self.forget_if_empty(room_id);
        self.is_small(room_id, member_count);
    }

    /// The room was deleted.
    pub fn delete(&mut self, room_id: RoomId) {
        self.large.remove(&room_id);
        for arriving in self.arriving.values_mut() {
            arriving.changed.insert(room_id, false);
        }
        self.forget(room_id);
    }

    /// Whether the user has a connection, or had one until recently.
    pub fn is_online(&self, user_id: UserId) -> bool {
        self.online.contains_key(&user_id)
    }

    pub fn count(&self) -> usize {
        self.online.len()
    }

    /// Users who are online, by rising id after `after`, at most `max`.
    pub fn page(&self, after: UserId, max: usize) -> Vec<UserId> {
        let rest = self.online.range(UserId(after.0 + 1)..);
        rest.map(|(user_id, _)| *user_id).take(max).collect()
    }

    /// Those whom a user sees online, the user included: in all of their rooms, or in `only` one. At most `max`.
    pub fn seen_by(&self, user_id: UserId, only: Option<RoomId>, max: usize) -> Online {
        let mut ids = HashSet::from([user_id]);
        for &room_id in self.rooms_of(user_id, only.as_ref()) {
            if ids.len() <= max && self.entry(room_id, user_id).is_some() {
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

    /// What a connection of this user's wasn't told yet, of all of their rooms or of `only` one. The oldest first, at most
    /// `max` ids, which is at least what a small room holds.
    pub fn news(&self, user_id: UserId, only: Option<RoomId>, told: Stamp, max: usize) -> News {
        let mut changes: Vec<(UserId, Stamp, bool)> = Vec::new();
        for &room_id in self.rooms_of(user_id, only.as_ref()) {
            let Some(list) = self.rooms.get(&room_id) else {
                continue;
            };
            if list.last().is_none_or(|last| last.stamp <= told) {
                continue;
            }
            let Some(own) = self.entry(room_id, user_id) else {
                continue;
            };
            let new = list.iter().rev().take_while(|entry| entry.stamp > told);
            changes.extend(new.map(|entry| (entry.user_id, entry.stamp, entry.online)));
            if own.stamp > told {
                // The user has come into this room since: all others in it are news.
                let others = list
                    .iter()
                    .filter(|entry| entry.online && entry.stamp <= told);
                changes.extend(others.map(|entry| (entry.user_id, own.stamp, true)));
            }
        }
        changes.retain(|(other, ..)| *other != user_id);
        changes.sort_unstable();
        changes.dedup_by_key(|(other, ..)| *other);
        let mut news = News {
            told: self.stamp,
            ..News::default()
        };
        if changes.len() > max {
            changes.sort_unstable_by_key(|(_, stamp, _)| *stamp);
            let (_, cut, _) = changes[max];
            changes.retain(|(_, stamp, _)| *stamp < cut);
            (news.told, news.more) = (cut - 1, true);
        }
        for (other, _, online) in changes {
            if online {
                news.online.push(other);
            } else {
                news.offline.push(other);
            }
        }
        news
    }

    /// The rooms that a connection of this user's is about. They are looked up here and not at the connection, which
    /// learns of a new room after the others in it do.
    fn rooms_of<'a>(&'a self, user_id: UserId, only: Option<&'a RoomId>) -> &'a [RoomId] {
        match only {
            Some(room_id) => std::slice::from_ref(room_id),
            None => self
                .online
                .get(&user_id)
                .map_or(&[], |person| &person.rooms),
        }
    }

    /// Those who are online in a room.
    fn seen_in(&self, room_id: RoomId) -> impl Iterator<Item = UserId> {
        let entries = self.rooms.get(&room_id).map_or(&[][..], Vec::as_slice);
        let online = entries.iter().filter(|entry| entry.online);
        online.map(|entry| entry.user_id)
    }

    /// The entry of a user who is online in the room.
    fn entry(&self, room_id: RoomId, user_id: UserId) -> Option<&Entry> {
        let entries = self.rooms.get(&room_id)?;
        entries.iter().find(|e| e.online && e.user_id == user_id)
    }

    /// Notes that a user is online, with the next stamp. Returns false if that is noted already.
    fn mark_online(&mut self, room_id: RoomId, user_id: UserId) -> bool {
        if self.entry(room_id, user_id).is_some() {
            return false;
        }
        self.stamp += 1;
        self.move_to_end(room_id, user_id, true);
        if let Some(person) = self.online.get_mut(&user_id) {
            person.rooms.push(room_id);
        }
        true
    }

    /// Notes that a user is offline, with the present stamp.
    fn mark_offline(&mut self, room_id: RoomId, user_id: UserId) {
        self.move_to_end(room_id, user_id, false);
        self.forget_if_empty(room_id);
    }

    fn move_to_end(&mut self, room_id: RoomId, user_id: UserId, online: bool) {
        let entries = self.rooms.entry(room_id).or_default();
        entries.retain(|entry| entry.user_id != user_id);
        entries.push(Entry {
            user_id,
            stamp: self.stamp,
            online,
        });
    }

    /// Drops a room's list in which nobody is online.
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
        for entry in self.rooms.remove(&room_id).unwrap_or_default() {
            if let Some(person) = self.online.get_mut(&entry.user_id) {
                person.rooms.retain(|other| *other != room_id);
            }
        }
    }
}

#[cfg(test)]
mod tests;
