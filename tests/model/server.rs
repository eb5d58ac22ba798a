//! A server in memory: the sessions, the live rooms and the bus of `src/ws` and `src/hub` step by
//! step, so that anything may happen between two steps. The order of live events and the frames are
//! the real ones.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use hearth::{
    hub::{
        Attached,
        encode::{Encoded, encode},
        order::Order,
    },
    protocol::{
        Rev, RoomId, UserId,
        client::{Frame as ClientFrame, Ref, Request},
        error::Refusal,
        rest::Room,
        server::{Ack, ErrorFrame, Frame, ResetReason, Synced},
    },
    store::{Event, EventBody, Page, Standing},
};
use rand::{Rng, rngs::SmallRng};
use serde_json::{Value, json};
use uuid::Uuid;

use super::log::{Log, RoomLog};

pub type ConnectionId = u64;

/// A frame on its way to a client.
#[derive(Clone, Debug)]
pub struct Outgoing(pub Arc<Value>);

/// Rooms of one session that catch up at the same time.
const PARALLEL: usize = 2;
/// Changes beyond which a client reloads.
const TOO_FAR: Rev = 25;
/// Frames that may wait for a socket before live delivery to it stops.
const MAILBOX: usize = 8;

/// What can be wrong with a server, on purpose.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Defect {
    /// Catch-up frames don't say what they cover.
    CatchUpWithoutPrev,
    /// A repeated id is stored again.
    StoresTwice,
    /// `reset` isn't said: who is too far behind gets `synced`.
    SilentReset,
}

pub struct Server {
    pub log: Log,
    pub epoch: u64,
    pub defect: Option<Defect>,
    /// Faults of the server's own choice: lost hints, retryable errors.
    pub faulty: bool,
    pub sessions: BTreeMap<ConnectionId, Session>,
    live: BTreeMap<u64, LiveRoom>,
    /// Events on their way to live rooms.
    pub bus: Vec<Event>,
    next_connection: ConnectionId,
    pub complaints: Vec<String>,
}

struct LiveRoom {
    order: Order,
    listeners: Vec<Listener>,
    leases: BTreeSet<ConnectionId>,
    /// A page of the log that was read and isn't there yet.
    filling: Option<Page>,
}

#[derive(Clone)]
struct Listener {
    connection: ConnectionId,
    user: u64,
    at: Rev,
    verified: Rev,
}

pub struct Session {
    user: u64,
    /// The client is gone: what it had sent is still read, what is said to it isn't.
    pub zombie: bool,
    pub inbox: VecDeque<Value>,
    pub outbox: VecDeque<Outgoing>,
    known: BTreeMap<u64, Rev>,
    live: BTreeSet<u64>,
    synced: bool,
    notices: VecDeque<Notice>,
    lags: Vec<(u64, Rev)>,
    held: BTreeMap<u64, Uuid>,
    work: Option<Work>,
}

#[derive(Clone, Copy)]
struct Notice {
    room_id: u64,
    rev: Rev,
    joined: bool,
}

enum Work {
    Open,
    CatchUp(Vec<Catching>),
}

#[derive(Clone, Copy, PartialEq)]
enum Start {
    Now,
    After { rev: Rev, same_epoch: bool },
    Added { rev: Rev },
}

/// One room on its way to live delivery.
struct Catching {
    room_id: u64,
    start: Start,
    reference: Option<Ref>,
    stage: Stage,
    standing: Option<Standing>,
    position: Option<Rev>,
    reset: Option<ResetReason>,
    last_seq: u64,
}

enum Stage {
    /// Read where the user stands.
    Standing,
    /// Read a page, if there is one to read.
    Page,
    /// Look at the membership again before the page is sent.
    Verify(Page),
    Attach,
    Live,
    Removed,
    Failed,
}

impl Server {
    pub fn new(defect: Option<Defect>) -> Self {
        Self {
            log: Log::default(),
            epoch: 1,
            defect,
            faulty: true,
            sessions: BTreeMap::new(),
            live: BTreeMap::new(),
            bus: Vec::new(),
            next_connection: 1,
            complaints: Vec::new(),
        }
    }

    /// Stops and starts again, maybe with a log that has gone back in time: then it is another epoch.
    pub fn restart(&mut self, backup: Option<Log>) {
        self.sessions.clear();
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
        let session = Session {
            user,
            zombie: false,
            inbox: VecDeque::new(),
            outbox: VecDeque::new(),
            known: BTreeMap::new(),
            live: BTreeSet::new(),
            synced: false,
            notices: VecDeque::new(),
            lags: Vec::new(),
            held: BTreeMap::new(),
            work: Some(Work::Open),
        };
        self.sessions.insert(id, session);
        id
    }

    pub fn disconnect(&mut self, id: ConnectionId) {
        self.sessions.remove(&id);
        for room in self.live.values_mut() {
            room.leases.remove(&id);
            room.listeners.retain(|listener| listener.connection != id);
        }
        self.retire();
    }

    /// Rooms end that nobody listens to or is about to.
    fn retire(&mut self) {
        self.live
            .retain(|_, room| !room.leases.is_empty() || !room.listeners.is_empty());
    }

    /// What happens after a commit.
    pub fn publish(&mut self, event: Event, rng: &mut SmallRng) {
        if let EventBody::Member(member) = &event.body {
            let notice = Notice {
                room_id: event.room_id.0,
                rev: event.rev,
                joined: member.role.is_some(),
            };
            self.notify(member.user.id.0, notice);
        }
        // The bus only hints: lost, doubled, in any order.
        let times = match rng.random_range(0..10) {
            0 if self.faulty => 0,
            1 if self.faulty => 2,
            _ => 1,
        };
        self.bus.extend(std::iter::repeat_n(event, times));
    }

    fn notify(&mut self, user: u64, notice: Notice) {
        for session in self.sessions.values_mut() {
            if session.user == user {
                session.notices.push_back(notice);
            }
        }
    }

    /// Tells all of the user's sockets where his marker is.
    pub fn tell_marker(&mut self, user: u64, room_id: u64, seq: u64) {
        let frame =
            Arc::new(json!({"type": "read", "room_id": room_id, "user_id": user, "seq": seq}));
        for session in self.sessions.values_mut() {
            if session.user == user {
                session.outbox.push_back(Outgoing(frame.clone()));
            }
        }
    }

    /// One event reaches its live room.
    pub fn step_bus(&mut self, rng: &mut SmallRng) -> bool {
        if self.bus.is_empty() {
            return false;
        }
        // Mostly in order.
        let index = if self.faulty && rng.random_bool(0.3) {
            rng.random_range(0..self.bus.len())
        } else {
            0
        };
        let event = self.bus.remove(index);
        let room_id = event.room_id.0;
        if let Some(room) = self.live.get_mut(&room_id) {
            room.order
                .arrive(encode(&event, |buffer, text| buffer.extend(text), false));
            self.deliver(room_id);
        }
        true
    }

    /// Compares the heads with the table, and reads what is missing.
    pub fn step_heads(&mut self) -> bool {
        let mut progress = false;
        for room_id in Vec::from_iter(self.live.keys().copied()) {
            let log = &self.log.rooms[&room_id];
            let room = self.live.get_mut(&room_id).unwrap();
            room.order.hint(log.rev);
            if let Some(page) = room.filling.take() {
                progress = true;
                for event in &page.events {
                    if let EventBody::Member(member) = &event.body {
                        let notice = Notice {
                            room_id,
                            rev: event.rev,
                            joined: member.role.is_some(),
                        };
                        self.notify(member.user.id.0, notice);
                    }
                }
                let room = self.live.get_mut(&room_id).unwrap();
                let page = page
                    .events
                    .iter()
                    .map(|event| encode(event, |buffer, text| buffer.extend(text), true))
                    .collect();
                room.order.fill(page);
                self.deliver(room_id);
            } else if let Some(after) = room.order.gap() {
                progress = true;
                room.filling = Some(log.changes(after));
            }
        }
        progress
    }

    fn deliver(&mut self, room_id: u64) {
        let Some(room) = self.live.get_mut(&room_id) else {
            return;
        };
        while let Some(event) = room.order.advance() {
            if let Some(left) = event.left {
                room.listeners.retain(|listener| {
                    UserId(listener.user) != left || listener.verified >= event.rev
                });
            }
            let frame = outgoing(&event);
            room.listeners.retain(|listener| {
                let Some(session) = self.sessions.get_mut(&listener.connection) else {
                    return false;
                };
                if listener.at >= event.rev {
                    return true;
                }
                if session.outbox.len() >= MAILBOX && self.faulty {
                    session.lags.push((room_id, event.prev.max(listener.at)));
                    return false;
                }
                session.outbox.push_back(frame.clone());
                true
            });
        }
    }

    fn attach(&mut self, id: ConnectionId, room_id: u64, at: Rev, standing: Standing) -> Attached {
        self.deliver(room_id);
        let room = self.live.get_mut(&room_id).expect("leased");
        let user = self.sessions[&id].user;
        room.order.adopt(at);
        if room.listeners.is_empty() {
            while room.order.advance().is_some() {}
        }
        let Some(since) = room.order.since(at) else {
            return Attached::Behind;
        };
        let since: Vec<&Encoded> = since.collect();
        if since
            .iter()
            .any(|event| event.left == Some(UserId(user)) && event.rev > standing.rev)
        {
            return Attached::Removed;
        }
        let replay: Vec<Outgoing> = since.into_iter().map(outgoing).collect();
        let session = self.sessions.get_mut(&id).unwrap();
        session.lags.retain(|(lagged, _)| *lagged != room_id);
        session.outbox.extend(replay);
        room.listeners.retain(|other| other.connection != id);
        room.listeners.push(Listener {
            connection: id,
            user,
            at,
            verified: standing.rev,
        });
        Attached::Live
    }

    /// One step of one session; false when it has nothing to do.
    pub fn step_session(&mut self, id: ConnectionId, rng: &mut SmallRng) -> bool {
        let Some(session) = self.sessions.get_mut(&id) else {
            return false;
        };
        match session.work.take() {
            Some(Work::Open) => {
                self.open(id);
                true
            }
            Some(Work::CatchUp(rooms)) => {
                self.catch_up(id, rooms, rng);
                true
            }
            None => {
                if !session.lags.is_empty() && session.outbox.is_empty() {
                    for (room_id, rev) in std::mem::take(&mut session.lags) {
                        self.lagged(id, room_id, rev);
                    }
                    return true;
                }
                if let Some(notice) = session.notices.pop_front() {
                    self.notice(id, notice);
                    return true;
                }
                match session.inbox.pop_front() {
                    Some(frame) => {
                        self.request(id, &frame, rng);
                        true
                    }
                    None if session.zombie => {
                        self.disconnect(id);
                        true
                    }
                    None => false,
                }
            }
        }
    }

    fn lagged(&mut self, id: ConnectionId, room_id: u64, rev: Rev) {
        let session = self.sessions.get_mut(&id).unwrap();
        session.live.remove(&room_id);
        session.say(&Frame::Lagged {
            room_id: RoomId(room_id),
            rev,
        });
        self.release(id, room_id);
    }

    fn release(&mut self, id: ConnectionId, room_id: u64) {
        if let Some(room) = self.live.get_mut(&room_id) {
            room.leases.remove(&id);
            room.listeners.retain(|listener| listener.connection != id);
        }
        self.retire();
    }

    fn lease(&mut self, id: ConnectionId, room_id: u64) {
        let room = self.live.entry(room_id).or_insert_with(|| LiveRoom {
            order: Order::default(),
            listeners: Vec::new(),
            leases: BTreeSet::new(),
            filling: None,
        });
        room.leases.insert(id);
    }

    fn open(&mut self, id: ConnectionId) {
        let epoch = self.epoch();
        let session = self.sessions.get_mut(&id).unwrap();
        let rooms: Vec<Room> = self
            .log
            .rooms_of(session.user)
            .filter_map(|room| room.room_of(session.user))
            .collect();
        session.known = rooms.iter().map(|room| (room.id.0, room.rev)).collect();
        let ready = json!({"type": "ready", "protocol": 1, "epoch": epoch, "rooms": rooms});
        session.outbox.push_back(Outgoing(Arc::new(ready)));
    }

    fn notice(&mut self, id: ConnectionId, notice: Notice) {
        let session = self.sessions.get_mut(&id).unwrap();
        let Notice {
            room_id,
            rev,
            joined,
        } = notice;
        let known = session.known.get(&room_id).copied();
        if known.is_some_and(|known| known >= rev) {
            return;
        }
        if !joined {
            if known.is_some() {
                session.known.remove(&room_id);
                session.held.remove(&room_id);
                session.live.remove(&room_id);
                session.lags.retain(|(lagged, _)| *lagged != room_id);
                session.say(&Frame::Removed {
                    reference: None,
                    room_id: RoomId(room_id),
                    rev: Some(rev),
                });
                self.release(id, room_id);
            }
            return;
        }
        let Some(room) = self.log.rooms[&room_id].room_of(session.user) else {
            return;
        };
        session.known.insert(room_id, room.rev);
        session.say(&Frame::Added { room: &room });
        if session.synced {
            let start = Start::Added { rev: room.rev };
            self.begin(id, vec![(room_id, start)], None);
        }
    }

    fn request(&mut self, id: ConnectionId, frame: &Value, rng: &mut SmallRng) {
        let decoded = match ClientFrame::decode(&frame.to_string()) {
            Ok(decoded) => decoded,
            Err(bad) => {
                self.complaints.push(format!("{frame}: {bad:?}"));
                return;
            }
        };
        let reference = decoded.reference;
        let epoch_now = self.epoch();
        let same_epoch = |epoch: Option<String>| epoch.is_none_or(|epoch| epoch == epoch_now);
        // Before anything is done, or after: the client can't tell.
        let fault = match rng.random_range(0..12) {
            0 if self.faulty => Fault::Before,
            1 if self.faulty => Fault::After,
            _ => Fault::None,
        };
        let session = self.sessions.get_mut(&id).unwrap();
        match decoded.request {
            Request::Sync { epoch, rooms } => {
                let same_epoch = same_epoch(epoch);
                let mut starts: Vec<(u64, Start)> = rooms
                    .iter()
                    .map(|(room_id, rev)| {
                        let start = Start::After {
                            rev: *rev,
                            same_epoch,
                        };
                        (room_id.0, start)
                    })
                    .collect();
                starts.sort_by_key(|(room_id, _)| *room_id);
                for (room_id, rev) in &session.known {
                    if !rooms.contains_key(&RoomId(*room_id)) && !session.live.contains(room_id) {
                        let start = Start::After {
                            rev: *rev,
                            same_epoch: true,
                        };
                        starts.push((*room_id, start));
                    }
                }
                session.synced = true;
                if starts.is_empty() {
                    session.say(&Frame::Ack(Ack {
                        reference: reference.as_ref(),
                        ..Ack::default()
                    }));
                } else {
                    self.begin(id, starts, reference);
                }
            }
            Request::Join {
                room_id,
                rev,
                epoch,
            } => {
                let start = rev.map_or(Start::Now, |rev| Start::After {
                    rev,
                    same_epoch: same_epoch(epoch),
                });
                self.begin(id, vec![(room_id.0, start)], reference);
            }
            Request::Leave { room_id } => {
                session.live.remove(&room_id.0);
                session.lags.retain(|(lagged, _)| *lagged != room_id.0);
                session.say(&Frame::Ack(Ack {
                    reference: reference.as_ref(),
                    room_id: Some(room_id),
                    ..Ack::default()
                }));
                self.release(id, room_id.0);
            }
            Request::Message {
                room_id,
                id: message_id,
                content,
                reply_to,
            } => {
                if session
                    .held
                    .get(&room_id.0)
                    .is_some_and(|held| *held != message_id)
                {
                    let complaint = format!("{message_id} overtakes one whose outcome is open");
                    self.complaints.push(complaint);
                }
                self.message(
                    id, room_id.0, message_id, content, reply_to, reference, fault, rng,
                );
            }
            Request::Read { room_id, seq } => {
                if fault != Fault::None {
                    return session.refuse(reference.as_ref(), &Refusal::unavailable());
                }
                let user = session.user;
                match self.log.rooms.get_mut(&room_id.0) {
                    Some(room) if room.is_member(user) => {
                        let last_read_seq = room.read(user, seq);
                        session.say(&Frame::Ack(Ack {
                            reference: reference.as_ref(),
                            room_id: Some(room_id),
                            last_read_seq: Some(last_read_seq),
                            ..Ack::default()
                        }));
                        self.tell_marker(user, room_id.0, last_read_seq);
                    }
                    _ => session.refuse(reference.as_ref(), &Refusal::not_found()),
                }
            }
            Request::Auth { .. }
            | Request::Ping
            | Request::Edit { .. }
            | Request::Delete { .. }
            | Request::React { .. }
            | Request::Typing { .. } => {
                self.complaints.push(format!("{frame} wasn't expected"));
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one request's fields")]
    fn message(
        &mut self,
        id: ConnectionId,
        room_id: u64,
        message_id: Uuid,
        content: String,
        reply_to: Option<u64>,
        reference: Option<Ref>,
        fault: Fault,
        rng: &mut SmallRng,
    ) {
        let user = self.sessions[&id].user;
        let mut stored = None;
        let refused = match self.log.rooms.get_mut(&room_id) {
            _ if fault == Fault::Before => Some(Refusal::unavailable()),
            None => Some(Refusal::not_found()),
            Some(room) => {
                let known = room.find(user, message_id).cloned();
                match known.filter(|_| self.defect != Some(Defect::StoresTwice)) {
                    Some(known) => {
                        stored = Some((known, true));
                        None
                    }
                    None if !room.is_member(user) => Some(Refusal::not_found()),
                    None => {
                        let event = room.send(user, message_id, content, reply_to);
                        stored = Some((room.messages.last().unwrap().clone(), false));
                        self.publish(event, rng);
                        (fault == Fault::After).then(Refusal::unavailable)
                    }
                }
            }
        };
        let session = self.sessions.get_mut(&id).unwrap();
        match (refused, stored) {
            (None, Some((message, duplicate))) => {
                session.held.remove(&room_id);
                session.say(&Frame::Ack(Ack {
                    reference: reference.as_ref(),
                    room_id: Some(RoomId(room_id)),
                    rev: Some(message.rev),
                    id: Some(message.id),
                    seq: Some(message.seq),
                    created_at: Some(message.created_at),
                    duplicate,
                    ..Ack::default()
                }));
            }
            (Some(refusal), _) => {
                if refusal.code.retryable() {
                    session.held.entry(room_id).or_insert(message_id);
                } else {
                    session.held.remove(&room_id);
                }
                session.refuse(reference.as_ref(), &refusal);
            }
            (None, None) => unreachable!("stored or refused"),
        }
    }

    /// Takes up the way to live delivery of these rooms.
    fn begin(&mut self, id: ConnectionId, starts: Vec<(u64, Start)>, reference: Option<Ref>) {
        let mut rooms = Vec::new();
        for (room_id, start) in starts {
            let session = self.sessions.get_mut(&id).unwrap();
            if !session.known.contains_key(&room_id) {
                session.say(&Frame::Removed {
                    reference: reference.as_ref(),
                    room_id: RoomId(room_id),
                    rev: None,
                });
                continue;
            }
            session.live.remove(&room_id);
            session.lags.retain(|(lagged, _)| *lagged != room_id);
            self.release(id, room_id);
            self.lease(id, room_id);
            rooms.push(Catching {
                room_id,
                start,
                reference: reference.clone(),
                stage: Stage::Standing,
                standing: None,
                position: None,
                reset: None,
                last_seq: 0,
            });
        }
        self.sessions.get_mut(&id).unwrap().work = Some(Work::CatchUp(rooms));
    }

    /// One step of one of the rooms; at the end all are settled.
    fn catch_up(&mut self, id: ConnectionId, mut rooms: Vec<Catching>, rng: &mut SmallRng) {
        let ended = |stage: &Stage| matches!(stage, Stage::Live | Stage::Removed | Stage::Failed);
        let open: Vec<usize> = (0..rooms.len())
            .filter(|index| !ended(&rooms[*index].stage))
            .take(PARALLEL)
            .collect();
        if let Some(count) = std::num::NonZero::new(open.len()) {
            let room = &mut rooms[open[rng.random_range(0..count.get())]];
            self.step_room(id, room, rng);
            self.sessions.get_mut(&id).unwrap().work = Some(Work::CatchUp(rooms));
            return;
        }
        let mut failed = None;
        for room in rooms {
            let session = self.sessions.get_mut(&id).unwrap();
            match room.stage {
                Stage::Live => {
                    session.live.insert(room.room_id);
                }
                Stage::Removed => {
                    session.say(&Frame::Removed {
                        reference: room.reference.as_ref(),
                        room_id: RoomId(room.room_id),
                        rev: None,
                    });
                    self.release(id, room.room_id);
                }
                _ => {
                    failed = Some(room.reference);
                    self.release(id, room.room_id);
                }
            }
        }
        match failed {
            Some(Some(reference)) => self
                .sessions
                .get_mut(&id)
                .unwrap()
                .refuse(Some(&reference), &Refusal::unavailable()),
            // Nobody asked: the socket closes.
            Some(None) => {
                let session = self.sessions.get_mut(&id).unwrap();
                session.outbox.push_back(Outgoing(Arc::new(
                    json!({"type": "going_away", "reconnect_after_ms": 0}),
                )));
            }
            None => {}
        }
    }

    fn step_room(&mut self, id: ConnectionId, room: &mut Catching, rng: &mut SmallRng) {
        let log: &RoomLog = &self.log.rooms[&room.room_id];
        let user = self.sessions[&id].user;
        if self.faulty && rng.random_bool(0.02) {
            room.stage = Stage::Failed;
            return;
        }
        room.stage = match std::mem::replace(&mut room.stage, Stage::Page) {
            Stage::Standing => match log.standing(user) {
                None => Stage::Removed,
                Some(standing) => {
                    if room.standing.is_none() {
                        room.reset = match room.start {
                            Start::After { rev, same_epoch }
                                if !same_epoch || rev > standing.rev =>
                            {
                                Some(ResetReason::Epoch)
                            }
                            Start::After { rev, .. } if standing.rev - rev > TOO_FAR => {
                                Some(ResetReason::TooFar)
                            }
                            _ => None,
                        };
                        room.position = match room.start {
                            Start::After { rev, .. } if room.reset.is_none() => Some(rev),
                            Start::Added { rev } => Some(rev),
                            _ => None,
                        };
                    }
                    room.last_seq = standing.last_seq;
                    room.standing = Some(standing);
                    Stage::Page
                }
            },
            Stage::Page => {
                let standing = room.standing.as_ref().expect("read first");
                match room.position.filter(|position| *position < standing.rev) {
                    Some(after) => Stage::Verify(log.changes(after)),
                    None => Stage::Attach,
                }
            }
            Stage::Verify(page) => match log.standing(user) {
                None => Stage::Removed,
                Some(standing) => {
                    room.standing = Some(standing);
                    room.position = Some(page.upto);
                    room.last_seq = page.last_seq;
                    let session = self.sessions.get_mut(&id).unwrap();
                    for event in &page.events {
                        let encoded = encode(event, |buffer, text| buffer.extend(text), true);
                        let Outgoing(mut frame) = outgoing(&encoded);
                        if self.defect == Some(Defect::CatchUpWithoutPrev) {
                            Arc::make_mut(&mut frame)
                                .as_object_mut()
                                .unwrap()
                                .remove("prev");
                        }
                        session.outbox.push_back(Outgoing(frame));
                    }
                    if page.last {
                        Stage::Attach
                    } else {
                        Stage::Page
                    }
                }
            },
            Stage::Attach => self.go_live(id, room),
            ended => ended,
        };
    }

    fn go_live(&mut self, id: ConnectionId, room: &mut Catching) -> Stage {
        let standing = room.standing.clone().expect("read first");
        let at = room.position.unwrap_or(standing.rev);
        let room_id = RoomId(room.room_id);
        let reference = room.reference.as_ref();
        let reset = room
            .reset
            .filter(|_| self.defect != Some(Defect::SilentReset));
        let greeting = match (room.start, reset) {
            (Start::Added { .. }, _) => None,
            (_, Some(reason)) => Some(Frame::Reset {
                reference,
                room_id,
                rev: at,
                reason,
            }),
            (_, None) => Some(Frame::Synced(Synced {
                reference,
                room_id,
                prev: if room.reset.is_some() { 0 } else { at },
                rev: at,
                last_seq: room.last_seq,
                last_read_seq: standing.last_read_seq,
                unread_mentions: 0,
                mentioned: &[],
            })),
        };
        // The greeting comes before what the room replays.
        let session = self.sessions.get_mut(&id).unwrap();
        let said = session.outbox.len();
        greeting.iter().for_each(|frame| session.say(frame));
        match self.attach(id, room.room_id, at, standing) {
            Attached::Live => Stage::Live,
            otherwise => {
                self.sessions.get_mut(&id).unwrap().outbox.truncate(said);
                match otherwise {
                    Attached::Behind => Stage::Standing,
                    _ => Stage::Removed,
                }
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    Before,
    After,
}

impl Session {
    fn say(&mut self, frame: &Frame) {
        let frame = serde_json::to_value(frame).unwrap();
        self.outbox.push_back(Outgoing(Arc::new(frame)));
    }

    fn refuse(&mut self, reference: Option<&Ref>, refusal: &Refusal) {
        self.say(&Frame::Error(ErrorFrame::new(reference, refusal)));
    }
}

fn outgoing(event: &Encoded) -> Outgoing {
    Outgoing(Arc::new(serde_json::from_slice(&event.bytes).unwrap()))
}
