//! A server in memory: the connections and live rooms of `src/ws` and `src/hub`, and the events on their way to them, step by
//! step, so that anything may happen between two steps. The order of live events is the real one; the frames are written
//! from PROTOCOL.md.

mod catch_up;
mod live;
mod requests;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use rand::{Rng, SeedableRng, rngs::SmallRng};
use serde_json::{Value, json};
use uuid::Uuid;

use super::log::{Event, Log, Rev, Seq};
use catch_up::{Catching, Start};
use live::LiveRoom;

pub type ConnectionId = u64;

/// A frame on its way to a client.
#[derive(Clone, Debug)]
pub struct Outgoing(pub Arc<Value>);

impl Outgoing {
    fn new(frame: Value) -> Self {
        Self(Arc::new(frame))
    }
}

/// A defect that is built into the server on purpose.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Defect {
    /// Catch-up frames don't say what they cover.
    CatchUpWithoutPrev,
    /// A repeated id is stored again.
    StoresTwice,
    /// `reset` isn't sent: a client that is too far behind gets `synced`.
    SilentReset,
    /// A user's other sockets aren't told how far the user has read.
    DropsOwnRead,
    /// Joined reactions and pins don't say what they cover.
    JoinedWithoutPrev,
    /// The mentions that `synced` gives were read before the `rev` that it gives.
    MentionsReadEarly,
    /// A live room goes on with small changes behind a page of the log that was cut.
    SmallChangesAfterACut,
    /// Members aren't told that their room was deleted.
    DeletesInSilence,
}

pub struct Server {
    pub log: Log,
    pub epoch: u64,
    pub defect: Option<Defect>,
    /// Whether the server causes faults of its own: lost events, retryable errors.
    pub faulty: bool,
    pub connections: BTreeMap<ConnectionId, Connection>,
    live: BTreeMap<u64, LiveRoom>,
    /// Events on their way to live rooms.
    bus: Vec<Event>,
    next_connection: ConnectionId,
    pub complaints: Vec<String>,
    rng: SmallRng,
}

pub struct Connection {
    user: u64,
    /// The client is gone: what it had sent is still read, what is said to it isn't.
    pub zombie: bool,
    pub inbox: VecDeque<Value>,
    pub outbox: VecDeque<Outgoing>,
    known: BTreeMap<u64, Rev>,
    live: BTreeSet<u64>,
    synced: bool,
    notices: VecDeque<Notice>,
    /// How far the user has read, not told yet: the highest of each room.
    marks: BTreeMap<u64, Seq>,
    lags: Vec<(u64, Rev)>,
    held: BTreeMap<u64, Uuid>,
    work: Option<Work>,
}

/// A user came into a room or is out of it.
#[derive(Clone, Copy)]
struct Notice {
    room_id: u64,
    rev: Rev,
    is_in: bool,
    /// `removed` says the `rev`.
    tells_rev: bool,
}

enum Work {
    /// Read the user's rooms.
    Open,
    /// Read the user's standing in them, and send `ready`.
    Greet(Vec<Value>),
    CatchUp(Vec<Catching>),
}

impl Server {
    pub fn new(defect: Option<Defect>, seed: u64) -> Self {
        Self {
            log: Log::default(),
            epoch: 1,
            defect,
            faulty: true,
            connections: BTreeMap::new(),
            live: BTreeMap::new(),
            bus: Vec::new(),
            next_connection: 1,
            complaints: Vec::new(),
            rng: SmallRng::seed_from_u64(seed),
        }
    }

    /// Stops and starts again, maybe with a log that has gone back in time: then it is another epoch.
    pub fn restart(&mut self, backup: Option<Log>) {
        self.connections.clear();
        self.live.clear();
        self.bus.clear();
        if let Some(log) = backup {
            self.log = log;
            self.epoch += 1;
        }
    }

    pub fn epoch(&self) -> String {
        format!("epoch {}", self.epoch)
    }

    pub fn connect(&mut self, user: u64) -> ConnectionId {
        let id = self.next_connection;
        self.next_connection += 1;
        let connection = Connection {
            user,
            zombie: false,
            inbox: VecDeque::new(),
            outbox: VecDeque::new(),
            known: BTreeMap::new(),
            live: BTreeSet::new(),
            synced: false,
            notices: VecDeque::new(),
            marks: BTreeMap::new(),
            lags: Vec::new(),
            held: BTreeMap::new(),
            work: Some(Work::Open),
        };
        self.tell_ephemeral(
            json!({"type": "presence", "online": [user], "offline": []}),
            |_| true,
        );
        self.connections.insert(id, connection);
        id
    }

    pub fn disconnect(&mut self, id: ConnectionId) {
        let gone = self.connections.remove(&id);
        for room in self.live.values_mut() {
            room.forget(id);
        }
        self.retire();
        if let Some(gone) = gone
            && !self.online().contains(&gone.user)
        {
            let frame = json!({"type": "presence", "online": [], "offline": [gone.user]});
            self.tell_ephemeral(frame, |_| true);
        }
    }

    fn online(&self) -> BTreeSet<u64> {
        self.connections
            .values()
            .map(|connection| connection.user)
            .collect()
    }

    /// Sends a frame that may be dropped, to those whom it concerns.
    fn tell_ephemeral(&mut self, frame: Value, concerns: impl Fn(&Connection) -> bool) {
        let frame = Outgoing::new(frame);
        for connection in self.connections.values_mut() {
            // `ready` comes first.
            let opening = matches!(connection.work, Some(Work::Open | Work::Greet(_)));
            if !opening && concerns(connection) && self.rng.random_bool(0.6) {
                connection.outbox.push_back(frame.clone());
            }
        }
    }

    /// What happens after a commit.
    pub fn publish(&mut self, events: Vec<Event>) {
        for event in events {
            self.tell_stay(&event);
            // On their way events may be lost and doubled here, and reordered in `step_bus`.
            let times = match self.rng.random_range(0..10) {
                0 if self.faulty => 0,
                1 if self.faulty => 2,
                _ => 1,
            };
            self.bus.extend(std::iter::repeat_n(event, times));
        }
    }

    /// Tells a user's connections that the user came or went; of a change of role they know already.
    fn tell_stay(&mut self, event: &Event) {
        if let Some(stay) = event.stay {
            let notice = Notice {
                room_id: event.room_id,
                rev: stay.rev,
                is_in: stay.is_in,
                tells_rev: true,
            };
            self.notify(stay.user, notice);
        }
    }

    fn notify(&mut self, user: u64, notice: Notice) {
        for connection in self.connections.values_mut() {
            if connection.user == user {
                connection.notices.push_back(notice);
            }
        }
    }

    /// What happens after a room was deleted: nothing of it is delivered any more, and all hear of it.
    pub fn room_deleted(&mut self, room_id: u64) {
        self.live.remove(&room_id);
        if self.defect == Some(Defect::DeletesInSilence) {
            return;
        }
        let room = &self.log.rooms[&room_id];
        let notice = Notice {
            room_id,
            rev: room.rev,
            is_in: false,
            tells_rev: self.rng.random_bool(0.5),
        };
        let members = room.members.iter().filter(|(_, row)| row.role.is_some());
        for user in Vec::from_iter(members.map(|(user, _)| *user)) {
            self.notify(user, notice);
        }
    }

    /// A user has read up to this message.
    pub fn tell_marker(&mut self, user: u64, room_id: u64, seq: Seq) {
        let own = self
            .connections
            .values_mut()
            .filter(|connection| connection.user == user);
        for connection in own.filter(|_| self.defect != Some(Defect::DropsOwnRead)) {
            let mark = connection.marks.entry(room_id).or_default();
            *mark = seq.max(*mark);
        }
        let frame = json!({"type": "read", "room_id": room_id, "user_id": user, "seq": seq});
        self.tell_ephemeral(frame, |connection| {
            connection.user != user && connection.live.contains(&room_id)
        });
    }

    /// One step of one connection; false when it has nothing to do.
    pub fn step_connection(&mut self, id: ConnectionId) -> bool {
        let Some(connection) = self.connections.get_mut(&id) else {
            return false;
        };
        match connection.work.take() {
            Some(Work::Open) => self.open(id),
            Some(Work::Greet(rooms)) => self.greet(id, rooms),
            Some(Work::CatchUp(rooms)) => self.catch_up(id, rooms),
            None => return self.attend(id),
        }
        true
    }

    /// Nothing is under way: begins what comes next.
    fn attend(&mut self, id: ConnectionId) -> bool {
        let connection = self.connections.get_mut(&id).unwrap();
        if !connection.lags.is_empty() && connection.outbox.is_empty() {
            for (room_id, rev) in std::mem::take(&mut connection.lags) {
                self.lagged(id, room_id, rev);
            }
            return true;
        }
        if let Some(notice) = connection.notices.pop_front() {
            self.notice(id, notice);
            return true;
        }
        // Others' requests first, now and then: a mark may be late.
        if (connection.inbox.is_empty() || self.rng.random_bool(0.5))
            && let Some((room_id, seq)) = connection.marks.pop_first()
        {
            let user = connection.user;
            let standing = self.log.rooms[&room_id].standing(user);
            let mut frame =
                json!({"type": "read", "room_id": room_id, "user_id": user, "seq": seq});
            if let Some(standing) = standing {
                standing.count(&mut frame);
            }
            connection.say(frame);
            return true;
        }
        match connection.inbox.pop_front() {
            Some(frame) => self.request(id, &frame),
            None if connection.zombie => self.disconnect(id),
            None => return false,
        }
        true
    }

    fn open(&mut self, id: ConnectionId) {
        let connection = self.connections.get_mut(&id).unwrap();
        let rooms = self.log.rooms_of(connection.user);
        let rooms: Vec<Value> = rooms
            .filter_map(|room| room.room_of(connection.user))
            .collect();
        let known = rooms.iter().map(|room| {
            let number = |key: &str| room[key].as_u64().unwrap();
            (number("id"), number("rev"))
        });
        connection.known = known.collect();
        connection.work = Some(Work::Greet(rooms));
    }

    /// The markers, and what is counted above them, may be those of a later moment.
    fn greet(&mut self, id: ConnectionId, mut rooms: Vec<Value>) {
        let (epoch, online) = (self.epoch(), self.online());
        let connection = self.connections.get_mut(&id).unwrap();
        for room in &mut rooms {
            let standing = self.log.rooms[&room["id"].as_u64().unwrap()].standing(connection.user);
            if let Some(standing) = standing {
                standing.write(room);
            }
        }
        connection.say(
            json!({"type": "ready", "protocol": 1, "epoch": epoch, "rooms": rooms,
            "online": online, "online_truncated": false}),
        );
    }

    fn notice(&mut self, id: ConnectionId, notice: Notice) {
        let connection = self.connections.get_mut(&id).unwrap();
        let Notice {
            room_id,
            rev,
            is_in,
            tells_rev,
        } = notice;
        let known = connection.known.get(&room_id).copied();
        if known.is_some_and(|known| known >= rev) {
            return;
        }
        if !is_in {
            if known.is_some() {
                connection.known.remove(&room_id);
                connection.held.remove(&room_id);
                connection.live.remove(&room_id);
                connection.lags.retain(|(lagged, _)| *lagged != room_id);
                let mut frame = json!({"type": "removed", "room_id": room_id});
                if tells_rev {
                    frame["rev"] = json!(rev);
                }
                connection.say(frame);
                self.release(id, room_id);
            }
            return;
        }
        let Some(room) = self.log.rooms[&room_id].room_of(connection.user) else {
            return;
        };
        let rev = room["rev"].as_u64().unwrap();
        connection.known.insert(room_id, rev);
        connection.say(json!({"type": "added", "room_id": room_id, "room": room}));
        if connection.synced {
            self.begin(id, vec![(room_id, Start::Added { rev })], None);
        }
    }
}

impl Connection {
    fn say(&mut self, frame: Value) {
        self.outbox.push_back(Outgoing::new(frame));
    }

    /// An answer: it repeats the request's `ref`.
    fn answer(&mut self, reference: Option<&Value>, mut frame: Value) {
        if let Some(reference) = reference {
            frame["ref"] = reference.clone();
        }
        self.say(frame);
    }

    fn refuse(&mut self, reference: Option<&Value>, code: &str) {
        let retryable = code == UNAVAILABLE;
        self.answer(
            reference,
            json!({"type": "error", "code": code, "message": code, "retryable": retryable}),
        );
    }
}

const UNAVAILABLE: &str = "unavailable";
