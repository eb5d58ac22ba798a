//! Tables, and random histories against a plain model.

use std::collections::BTreeSet;

use rand::{Rng, SeedableRng, rngs::SmallRng, seq::IteratorRandom};

use super::*;

const SECOND: std::time::Duration = std::time::Duration::from_secs(1);

fn ids(ids: impl IntoIterator<Item = u64>) -> Vec<UserId> {
    ids.into_iter().map(UserId).collect()
}

/// Ada in the room, told of all before.
fn alone(presence: &mut Presence) -> Stamp {
    presence.expect(UserId(1));
    assert_eq!(presence.arrive(UserId(1), &[RoomId(1)]), []);
    presence.seen_by(UserId(1), None, 10).told
}

fn come(presence: &mut Presence, user_id: u64, rooms: &[u64]) -> Vec<UserId> {
    let rooms: Vec<RoomId> = rooms.iter().copied().map(RoomId).collect();
    presence.expect(UserId(user_id));
    presence.arrive(UserId(user_id), &rooms)
}

#[test]
fn a_grace_begins_with_the_last_connection_and_ends_with_the_next() {
    let (mut presence, start) = (Presence::default(), Instant::now());
    let told = alone(&mut presence);
    assert_eq!(come(&mut presence, 2, &[1]), ids([1]));
    assert_eq!(come(&mut presence, 2, &[1]), [], "a second connection");
    assert!(!presence.depart(UserId(2), start), "one is left");
    assert!(presence.depart(UserId(2), start));
    assert_eq!(presence.next_end(), Some(start + OFFLINE_GRACE));
    assert_eq!(presence.expire(start + OFFLINE_GRACE - SECOND), None);
    assert_eq!(come(&mut presence, 2, &[1]), [], "back in time");
    assert_eq!(
        (presence.next_end(), presence.expire(start + 9 * SECOND)),
        (None, None)
    );
    let news = presence.news(UserId(1), None, told, 10);
    assert_eq!((news.online, news.offline), (ids([2]), ids([])));
    let end = start + 10 * SECOND;
    assert!(presence.depart(UserId(2), end));
    assert!(presence.is_online(UserId(2)));
    assert_eq!(presence.expire(end + OFFLINE_GRACE), Some(ids([1])));
    assert!(!presence.is_online(UserId(2)));
    let news = presence.news(UserId(1), None, news.told, 10);
    assert_eq!((news.online, news.offline), (ids([]), ids([2])));
}

#[test]
fn a_frame_takes_the_oldest_and_the_next_one_the_rest() {
    let mut presence = Presence::default();
    let mut told = alone(&mut presence);
    for user_id in 2..=26 {
        come(&mut presence, user_id, &[1]);
    }
    for expected in [2..=11, 12..=21, 22..=26] {
        let news = presence.news(UserId(1), None, told, 10);
        assert_eq!(
            (news.more, news.online),
            (*expected.end() < 26, ids(expected))
        );
        told = news.told;
    }
}

/// A new member learns who is there, and all there learn of the new member.
#[test]
fn a_new_member_and_those_in_the_room_hear_of_each_other() {
    let mut presence = Presence::default();
    alone(&mut presence);
    come(&mut presence, 2, &[1]);
    come(&mut presence, 3, &[]);
    let told = presence.seen_by(UserId(3), None, 10);
    assert_eq!(told.ids, ids([3]), "a stranger sees only themselves");
    assert_eq!(presence.join(RoomId(1), UserId(3), 3), ids([1, 2, 3]));
    let news = presence.news(UserId(3), None, told.told, 10);
    assert_eq!(news.online, ids([1, 2]));
    let news = presence.news(UserId(1), None, told.told, 10);
    assert_eq!(news.online, ids([3]));
    presence.leave(RoomId(1), UserId(3), 2);
    let told = presence.seen_by(UserId(3), None, 10).told;
    come(&mut presence, 4, &[1]);
    assert_eq!(presence.news(UserId(3), None, told, 10).online, []);
}

#[test]
fn no_more_are_shown_than_asked_for() {
    let mut presence = Presence::default();
    alone(&mut presence);
    for (count, max, truncated) in [
        (5, 10, false),
        (9, 10, false),
        (10, 10, true),
        (20, 10, true),
    ] {
        for user_id in 2..2 + count {
            come(&mut presence, user_id, &[1]);
        }
        let seen = presence.seen_by(UserId(1), None, max);
        let shown = (count as usize + 1).min(max);
        assert_eq!((seen.ids.len(), seen.truncated), (shown, truncated));
        assert!(seen.ids.contains(&UserId(1)));
    }
    assert_eq!(presence.page(UserId(3), 4), ids(4..8));
    assert_eq!(presence.page(UserId(20), 4), ids([21]));
}

const USERS: u64 = 7;
const ROOMS: u64 = 5;

/// A connection, and the client behind it.
struct Connection {
    user_id: UserId,
    /// A room socket's room.
    only: Option<RoomId>,
    /// The rooms that were read for it before it arrived.
    rooms: BTreeSet<RoomId>,
    arrived: bool,
    woken: bool,
    told: Stamp,
    /// Whom the client believes to be online.
    believed: BTreeSet<UserId>,
}

/// The plain truth, beside what is tested.
struct World {
    random: SmallRng,
    presence: Presence,
    now: Instant,
    members: BTreeMap<RoomId, BTreeSet<UserId>>,
    /// Members of whom nothing else is known.
    more: BTreeMap<RoomId, u64>,
    /// Rooms that were large once.
    spoiled: BTreeSet<RoomId>,
    connections: Vec<Connection>,
    last_connected: BTreeMap<UserId, Instant>,
    frames: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            random: SmallRng::seed_from_u64(seed),
            presence: Presence::default(),
            now: Instant::now(),
            members: (1..=ROOMS)
                .map(|id| (RoomId(id), BTreeSet::new()))
                .collect(),
            more: BTreeMap::new(),
            spoiled: BTreeSet::new(),
            connections: Vec::new(),
            last_connected: BTreeMap::new(),
            frames: 0,
        }
    }

    fn count(&self, room_id: RoomId) -> u64 {
        self.members[&room_id].len() as u64 + self.more.get(&room_id).unwrap_or(&0)
    }

    fn small_rooms_of(&self, user_id: UserId) -> BTreeSet<RoomId> {
        let small = |room_id: &RoomId| self.count(*room_id) <= PRESENCE_ROOM_MAX;
        let rooms = self.members.iter();
        rooms
            .filter(|(room_id, members)| members.contains(&user_id) && small(room_id))
            .map(|(room_id, _)| *room_id)
            .collect()
    }

    /// Those who share a small room of the connection with its user, `spoiled` ones counted or not.
    fn company(&self, index: usize, spoiled: bool) -> BTreeSet<UserId> {
        let connection = &self.connections[index];
        let rooms = self.small_rooms_of(connection.user_id).into_iter();
        let rooms = rooms.filter(|room_id| connection.only.is_none_or(|only| only == *room_id));
        let rooms = rooms.filter(|room_id| spoiled || !self.spoiled.contains(room_id));
        rooms
            .flat_map(|room_id| self.members[&room_id].clone())
            .collect()
    }

    fn wake(&mut self, others: &[UserId]) {
        for connection in &mut self.connections {
            connection.woken |= others.contains(&connection.user_id);
        }
    }

    /// Clients forget those with whom they share no small room any more.
    fn forget(&mut self) {
        for index in 0..self.connections.len() {
            let user_id = self.connections[index].user_id;
            let mut company = self.company(index, true);
            company.insert(user_id);
            let believed = &mut self.connections[index].believed;
            believed.retain(|user_id| company.contains(user_id));
        }
    }

    fn step(&mut self) {
        let user_id = UserId(self.random.random_range(1..=USERS));
        let room_id = RoomId(self.random.random_range(1..=ROOMS));
        match self.random.random_range(0..12) {
            0 | 1 => {
                self.presence.expect(user_id);
                let only = self.random.random_ratio(1, 4).then_some(room_id);
                self.connections.push(Connection {
                    user_id,
                    only,
                    rooms: self.small_rooms_of(user_id),
                    arrived: false,
                    woken: false,
                    told: 0,
                    believed: BTreeSet::new(),
                });
            }
            2..=4 => self.arrive(),
            5 => self.depart(),
            6 | 7 => {
                if self.members.get_mut(&room_id).unwrap().insert(user_id) {
                    let count = self.count(room_id);
                    let others = self.presence.join(room_id, user_id, count);
                    self.wake(&others);
                }
            }
            8 => {
                if self.members.get_mut(&room_id).unwrap().remove(&user_id) {
                    self.presence.leave(room_id, user_id, self.count(room_id));
                }
            }
            9 if self.random.random_ratio(1, 8) => {
                let more = self.more.remove(&room_id).is_none();
                let stranger = UserId(99);
                if more {
                    self.more.insert(room_id, PRESENCE_ROOM_MAX + 1);
                    self.spoiled.insert(room_id);
                    let others = self.presence.join(room_id, stranger, self.count(room_id));
                    assert_eq!(others, [], "a large room tells nobody");
                } else {
                    self.presence.leave(room_id, stranger, self.count(room_id));
                }
            }
            10 => {
                self.now += SECOND * self.random.random_range(0..4);
                self.expire();
            }
            _ => self.tell(),
        }
        self.forget();
        self.check();
    }

    fn arrive(&mut self) {
        let coming = self.connections.iter().enumerate();
        let coming = coming.filter(|(_, connection)| !connection.arrived);
        let Some((index, _)) = coming.choose(&mut self.random) else {
            return;
        };
        let connection = &mut self.connections[index];
        let (user_id, only) = (connection.user_id, connection.only);
        // It may have been read long ago.
        let listed: Vec<RoomId> = connection.rooms.iter().copied().collect();
        let others = self.presence.arrive(user_id, &listed);
        self.wake(&others);
        let seen = self.presence.seen_by(user_id, only, 100);
        let connection = &mut self.connections[index];
        connection.arrived = true;
        (connection.told, connection.believed) = (seen.told, seen.ids.into_iter().collect());
        let company = self.company(index, true);
        let strangers: Vec<_> = self.connections[index]
            .believed
            .difference(&company)
            .collect();
        assert!(
            strangers.is_empty() || strangers == [&user_id],
            "{strangers:?}"
        );
    }

    fn depart(&mut self) {
        if self.connections.is_empty() {
            return;
        }
        let index = self.random.random_range(0..self.connections.len());
        let gone = self.connections.swap_remove(index);
        if !gone.arrived {
            return self.presence.give_up(gone.user_id);
        }
        self.last_connected.insert(gone.user_id, self.now);
        self.presence.depart(gone.user_id, self.now);
    }

    fn expire(&mut self) {
        while let Some(others) = self.presence.expire(self.now) {
            self.wake(&others);
        }
    }

    /// One connection looks for news, if it was woken.
    fn tell(&mut self) {
        let waiting = self.connections.iter().enumerate();
        let waiting = waiting.filter(|(_, connection)| connection.woken && connection.arrived);
        let Some((index, connection)) = waiting.choose(&mut self.random) else {
            return;
        };
        let max = USERS as usize;
        let news = self
            .presence
            .news(connection.user_id, connection.only, connection.told, max);
        assert!(news.online.len() + news.offline.len() <= max);
        let company = self.company(index, true);
        for user_id in news.online.iter().chain(&news.offline) {
            assert!(company.contains(user_id), "{user_id} is a stranger");
        }
        let connection = &mut self.connections[index];
        (connection.woken, connection.told) = (news.more, news.told);
        connection.believed.extend(news.online);
        connection
            .believed
            .retain(|user_id| !news.offline.contains(user_id));
        self.frames += 1;
    }

    fn is_online(&self, user_id: UserId) -> bool {
        let mut connections = self.connections.iter();
        let connected = connections.any(|c| c.user_id == user_id && c.arrived);
        let left = self.last_connected.get(&user_id);
        connected || left.is_some_and(|left| self.now < *left + OFFLINE_GRACE)
    }

    /// What the module promises of its own state.
    fn check(&self) {
        for (room_id, entries) in &self.presence.rooms {
            assert!(
                self.count(*room_id) <= PRESENCE_ROOM_MAX,
                "{room_id} is large"
            );
            assert!(entries.is_sorted_by_key(|entry| entry.stamp));
            assert!(entries.iter().any(|entry| entry.online));
            for entry in entries {
                assert!(self.members[room_id].contains(&entry.user_id));
                let person = self.presence.online.get(&entry.user_id);
                let has_entry = person.is_some_and(|person| person.rooms.contains(room_id));
                assert_eq!(has_entry, entry.online);
            }
        }
        for (user_id, person) in &self.presence.online {
            let rooms: BTreeSet<RoomId> = person.rooms.iter().copied().collect();
            assert_eq!(rooms.len(), person.rooms.len());
            assert!(
                rooms
                    .iter()
                    .all(|id| self.presence.entry(*id, *user_id).is_some())
            );
        }
        assert!(self.presence.arriving.len() <= self.connections.len());
    }

    /// All arrive, all graces end, all is told.
    fn settle(&mut self) {
        while self
            .connections
            .iter()
            .any(|connection| !connection.arrived)
        {
            self.arrive();
        }
        self.now += OFFLINE_GRACE;
        self.expire();
        while self.connections.iter().any(|connection| connection.woken) {
            self.tell();
        }
        for (index, connection) in self.connections.iter().enumerate() {
            for other in self.company(index, false) {
                assert_eq!(
                    connection.believed.contains(&other),
                    self.is_online(other),
                    "{} of {other}",
                    connection.user_id
                );
            }
        }
        for user_id in (1..=USERS).map(UserId) {
            assert_eq!(self.presence.is_online(user_id), self.is_online(user_id));
        }
    }
}

/// Whatever happens in whatever order: in the end everybody knows of everybody in their small rooms, and at no time of
/// anybody else.
#[test]
fn everybody_ends_with_the_truth_and_hears_of_no_stranger() {
    let mut frames = 0;
    for seed in 0..120 {
        let mut world = World::new(seed);
        let run = std::panic::AssertUnwindSafe(|| {
            for _ in 0..6 {
                for _ in 0..60 {
                    world.step();
                }
                world.settle();
            }
        });
        if let Err(panic) = std::panic::catch_unwind(run) {
            println!("seed {seed}");
            std::panic::resume_unwind(panic);
        }
        frames += world.frames;
    }
    assert!(frames > 1_000, "{frames}");
}
