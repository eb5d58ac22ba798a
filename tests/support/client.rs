//! The reference client: PROTOCOL.md sections 3 and 4 as a pure state machine, without I/O or clock.
//! It is fed frames, REST answers and local intentions, and gives [`Effect`]s: frames for the socket
//! and REST pages to read. Whoever drives it owns the socket, the time and the faults.
//!
//! Invariant, in each room held: every row of the log whose present `rev` is at most
//! [`Room::position`] is held as the log has it, or lies in history that wasn't loaded yet. All of
//! rule 1 serves this.
//!
//! A driver's loop:
//! ```text
//! client.connected();
//! loop {
//!     for effect in client.take_effects() { write the frame, or GET effect.path() and answer it }
//!     client.receive(&frame);              // each frame that comes
//!     client.retry();                      // now and then: what a retryable error had answered
//! }
//! client.disconnected();                   // the socket is gone; connect again
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Map, Value, json};

type RoomId = u64;
type UserId = u64;
type Seq = u64;
type Rev = u64;
/// What a frame of ours carries as `ref`; it rises over all connections.
type Ref = u64;
/// Names a REST request to whoever answers it.
pub type LoadId = u64;

/// What the driver is to do, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Write this frame to the socket.
    Send(Value),
    /// Read the room; answer with [`Client::loaded`] or [`Client::load_failed`], as those below.
    LoadRoom { load: LoadId, room_id: RoomId },
    /// Read the last page of the room's history, or the one before a seq.
    LoadPage {
        load: LoadId,
        room_id: RoomId,
        before: Option<Seq>,
    },
    /// Read the first page of the room's members, or the one at a cursor.
    LoadMembers {
        load: LoadId,
        room_id: RoomId,
        cursor: Option<String>,
    },
}

impl Effect {
    /// For a REST request: what answers it, and its path.
    pub fn path(&self) -> Option<(LoadId, String)> {
        match self {
            Effect::Send(_) => None,
            Effect::LoadRoom { load, room_id } => {
                Some((*load, format!("/api/chat/rooms/{room_id}")))
            }
            Effect::LoadPage {
                load,
                room_id,
                before,
            } => {
                let query = before.map_or(String::new(), |seq| format!("?before={seq}"));
                Some((*load, format!("/api/chat/rooms/{room_id}/messages{query}")))
            }
            Effect::LoadMembers {
                load,
                room_id,
                cursor,
            } => {
                let query = cursor
                    .as_ref()
                    .map_or(String::new(), |cursor| format!("?cursor={cursor}"));
                Some((*load, format!("/api/chat/rooms/{room_id}/members{query}")))
            }
        }
    }
}

/// A room that I'm a member of, as far as I know.
#[derive(Clone, Debug, Default)]
pub struct Room {
    /// Everything up to here was applied.
    pub position: Rev,
    /// Where this room began for me; pages that are complete to less are read again.
    pub floor: Rev,
    /// Whole messages, as REST gives them. Below [`Room::complete_from`] there may be holes.
    pub messages: BTreeMap<Seq, Value>,
    /// Changes to messages that I don't hold, to be applied over the page that brings them.
    patches: BTreeMap<Seq, Vec<Value>>,
    /// Those who have left stay, so that no late page brings them back.
    pub members: BTreeMap<UserId, Member>,
    /// Kind, name and topic.
    pub settings: Value,
    settings_rev: Rev,
    pub member_count: u64,
    member_count_rev: Rev,
    pub last_seq: Seq,
    pub last_read_seq: Seq,
    pub unread_mentions: u64,
    /// History is whole from this seq on: 0 when all of it is, `None` before the last page came.
    pub complete_from: Option<Seq>,
    pub members_complete: bool,
    /// The highest `rev` of `ready`, `added` and `removed`.
    membership: Rev,
    /// The first ref that was free when `added` came.
    added_at: Ref,
    /// The marker that I asked for and that wasn't answered yet.
    marking: Option<Seq>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    pub rev: Rev,
    /// `None`: has left.
    pub role: Option<String>,
    pub user: Value,
}

impl Room {
    /// Who is a member, by user id.
    pub fn present(&self) -> impl Iterator<Item = (UserId, &Member)> {
        let present = self
            .members
            .iter()
            .filter(|(_, member)| member.role.is_some());
        present.map(|(user_id, member)| (*user_id, member))
    }

    /// The last page and all members are there.
    pub fn is_loaded(&self) -> bool {
        self.complete_from.is_some() && self.members_complete
    }

    fn take_room(&mut self, room: &Value) {
        let rev = number(room, "rev");
        if rev >= self.settings_rev {
            self.settings = settings(room);
            self.settings_rev = rev;
        }
        if rev >= self.member_count_rev {
            self.member_count = number(room, "member_count");
            self.member_count_rev = rev;
        }
        self.take_markers(room);
    }

    /// Both only rise.
    fn take_markers(&mut self, from: &Value) {
        self.last_seq = self.last_seq.max(number(from, "last_seq"));
        self.mark(number(from, "last_read_seq"));
        if let Some(mentions) = from["unread_mentions"].as_u64() {
            self.unread_mentions = mentions;
        }
    }

    fn mark(&mut self, seq: Seq) {
        self.last_read_seq = self.last_read_seq.max(seq);
        self.marking = self.marking.filter(|wanted| *wanted > self.last_read_seq);
    }

    /// Inserts a message, or replaces it by seq; its highest `rev` stands.
    fn take_message(&mut self, row: &Value, me: UserId) {
        let (seq, rev) = (number(row, "seq"), number(row, "rev"));
        self.last_seq = self.last_seq.max(seq);
        if row["sender"]["id"] == me {
            self.mark(seq);
        }
        if self
            .messages
            .get(&seq)
            .is_some_and(|held| number(held, "rev") >= rev)
        {
            return;
        }
        let mut row = without(row, &["type", "prev", "replay"]);
        for patch in self.patches.remove(&seq).unwrap_or_default() {
            amend(&mut row, &patch);
        }
        self.messages.insert(seq, row);
    }

    fn take_patch(&mut self, patch: &Value) {
        let seq = number(patch, "seq");
        match self.messages.get_mut(&seq) {
            Some(row) => amend(row, patch),
            None => self.patches.entry(seq).or_default().push(patch.clone()),
        }
    }

    fn take_member(&mut self, row: &Value) {
        let rev = number(row, "rev");
        let user_id = number(&row["user"], "id");
        if self
            .members
            .get(&user_id)
            .is_some_and(|held| held.rev >= rev)
        {
            return;
        }
        let member = Member {
            rev,
            role: row["role"].as_str().map(str::to_owned),
            user: row["user"].clone(),
        };
        self.members.insert(user_id, member);
    }
}

/// A message of the outbox.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    pub room_id: RoomId,
    pub id: String,
    pub content: String,
    pub reply_to: Option<Seq>,
    state: Sending,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Sending {
    Waiting,
    /// Written to this connection, not yet answered.
    Sent,
    /// Answered by a retryable error: its outcome is open.
    Open,
}

/// What I asked for on this connection.
#[derive(Clone, Debug)]
enum Asked {
    /// `fresh`: without a `rev`.
    Join {
        room_id: RoomId,
        fresh: bool,
    },
    /// The rooms that I named and that didn't answer yet.
    Sync {
        rooms: BTreeSet<RoomId>,
    },
    Leave,
    Ping,
    Message {
        room_id: RoomId,
        id: String,
    },
    Read {
        room_id: RoomId,
        seq: Seq,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Link {
    Down,
    /// The socket is open; `ready` hasn't come.
    Opening,
    Up,
}

#[derive(Clone, Debug, PartialEq)]
enum Load {
    Room,
    Page { before: Option<Seq> },
    Members { cursor: Option<String> },
}

/// See the module's documentation.
#[derive(Clone, Debug)]
pub struct Client {
    pub user_id: UserId,
    /// Sends `sync` for all rooms when `ready` comes. Without it the driver sends what it likes.
    pub syncs_itself: bool,
    pub epoch: Option<String>,
    pub rooms: BTreeMap<RoomId, Room>,
    /// Rooms that I'm out of, with the `rev` of what said so.
    gone: BTreeMap<RoomId, Rev>,
    /// In the order of [`Client::say`]; of each room only the first is on its way.
    pub outbox: VecDeque<Pending>,
    /// The acks of messages, each once, with `id`, `seq`, `rev`, `created_at`, `duplicate`.
    pub acks: Vec<Value>,
    /// Messages that were refused for good, each with the error.
    pub refused: Vec<(Pending, Value)>,
    /// What the server should never have said.
    pub complaints: Vec<String>,
    link: Link,
    asked: BTreeMap<Ref, Asked>,
    /// Syncs whose named rooms have all answered. An error may follow: a room that I didn't name, for I
    /// was told of it when the sync was on its way, has not gone live.
    synced: BTreeSet<Ref>,
    next_ref: Ref,
    /// What a retryable error had answered, to be asked again: a join of these rooms, a sync that
    /// names these, a marker.
    to_join: BTreeSet<RoomId>,
    to_sync: Option<BTreeSet<RoomId>>,
    to_read: BTreeSet<RoomId>,
    loads: BTreeMap<LoadId, (RoomId, Load)>,
    failed: BTreeSet<LoadId>,
    next_load: LoadId,
    effects: Vec<Effect>,
}

/// The socket.
impl Client {
    pub fn new(user_id: UserId) -> Self {
        Self {
            user_id,
            syncs_itself: true,
            epoch: None,
            rooms: BTreeMap::new(),
            gone: BTreeMap::new(),
            outbox: VecDeque::new(),
            acks: Vec::new(),
            refused: Vec::new(),
            complaints: Vec::new(),
            link: Link::Down,
            asked: BTreeMap::new(),
            synced: BTreeSet::new(),
            next_ref: 1,
            to_join: BTreeSet::new(),
            to_sync: None,
            to_read: BTreeSet::new(),
            loads: BTreeMap::new(),
            failed: BTreeSet::new(),
            next_load: 1,
            effects: Vec::new(),
        }
    }

    /// What is to be done since the last call.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// A socket is open; its first frame will be `ready`.
    pub fn connected(&mut self) {
        self.disconnected();
        self.link = Link::Opening;
    }

    /// The socket is gone, and with it every answer that was awaited.
    pub fn disconnected(&mut self) {
        self.link = Link::Down;
        self.asked.clear();
        self.synced.clear();
        self.to_join.clear();
        self.to_sync = None;
        self.to_read.clear();
        self.effects
            .retain(|effect| !matches!(effect, Effect::Send(_)));
        for pending in &mut self.outbox {
            pending.state = Sending::Waiting;
        }
    }

    pub fn is_up(&self) -> bool {
        self.link == Link::Up
    }

    /// Nothing is awaited: no answer, no page, no ack.
    pub fn is_settled(&self) -> bool {
        self.is_up()
            && self.asked.is_empty()
            && self.loads.is_empty()
            && self.outbox.is_empty()
            && self.to_join.is_empty()
            && self.to_sync.is_none()
            && self.to_read.is_empty()
            && self.effects.is_empty()
    }

    /// Asks again for what a retryable error or a failed page had answered. A driver calls it after
    /// `retry_after_ms`, or now and then.
    pub fn retry(&mut self) {
        for pending in &mut self.outbox {
            if pending.state == Sending::Open {
                pending.state = Sending::Waiting;
            }
        }
        if let Some(rooms) = self.to_sync.take() {
            self.sync(&Vec::from_iter(rooms));
        }
        for room_id in std::mem::take(&mut self.to_join) {
            self.join_from_position(room_id);
        }
        for room_id in std::mem::take(&mut self.to_read) {
            self.ask_read(room_id);
        }
        for load in std::mem::take(&mut self.failed) {
            if let Some((room_id, what)) = self.loads.remove(&load) {
                self.load(room_id, what);
            }
        }
        self.flush();
    }
}

/// Intentions.
impl Client {
    /// Puts a message into the outbox. `id` is a fresh UUID.
    pub fn say(&mut self, room_id: RoomId, id: String, content: String, reply_to: Option<Seq>) {
        self.outbox.push_back(Pending {
            room_id,
            id,
            content,
            reply_to,
            state: Sending::Waiting,
        });
        self.flush();
    }

    /// Raises my marker.
    pub fn read(&mut self, room_id: RoomId, seq: Seq) {
        if let Some(room) = self.rooms.get_mut(&room_id) {
            room.marking = Some(seq).max(room.marking);
            if self.link == Link::Up {
                self.ask_read(room_id);
            }
        }
    }

    /// Starts live delivery of one room from where I stand.
    pub fn join(&mut self, room_id: RoomId) {
        if let Some(room) = self.rooms.get(&room_id) {
            let mut frame = json!({"type": "join", "room_id": room_id, "rev": room.position});
            if let Some(epoch) = &self.epoch {
                frame["epoch"] = json!(epoch);
            }
            self.ask(
                frame,
                Asked::Join {
                    room_id,
                    fresh: false,
                },
            );
        }
    }

    /// Starts live delivery of one room from now; what I hold of it is forgotten when it answers.
    pub fn join_fresh(&mut self, room_id: RoomId) {
        let frame = json!({"type": "join", "room_id": room_id});
        self.ask(
            frame,
            Asked::Join {
                room_id,
                fresh: true,
            },
        );
    }

    /// Starts live delivery of all rooms, naming these with where I stand. Allowed before `ready`.
    pub fn sync(&mut self, named: &[RoomId]) {
        let positions: BTreeMap<String, Rev> = named
            .iter()
            .filter_map(|room_id| Some((room_id.to_string(), self.rooms.get(room_id)?.position)))
            .collect();
        let rooms = named
            .iter()
            .copied()
            .filter(|room_id| self.rooms.contains_key(room_id))
            .collect();
        let mut frame = json!({"type": "sync", "rooms": positions});
        if let Some(epoch) = &self.epoch {
            frame["epoch"] = json!(epoch);
        }
        self.ask(frame, Asked::Sync { rooms });
    }

    pub fn sync_all(&mut self) {
        let all: Vec<RoomId> = self.rooms.keys().copied().collect();
        self.sync(&all);
    }

    /// Ends live delivery of one room.
    pub fn leave(&mut self, room_id: RoomId) {
        let frame = json!({"type": "leave", "room_id": room_id});
        self.ask(frame, Asked::Leave);
    }

    /// Rule 10's; whatever had happened before it came to the server was said before its answer.
    pub fn ping(&mut self) {
        self.ask(json!({"type": "ping"}), Asked::Ping);
    }

    /// Reads the page before what is held of a room's history; false when there is none.
    pub fn load_older(&mut self, room_id: RoomId) -> bool {
        match self.rooms.get(&room_id).and_then(|room| room.complete_from) {
            None | Some(0) => false,
            before => {
                self.load(room_id, Load::Page { before });
                true
            }
        }
    }

    fn ask(&mut self, mut frame: Value, asked: Asked) {
        if self.link == Link::Down {
            return;
        }
        frame["ref"] = json!(self.next_ref);
        self.asked.insert(self.next_ref, asked);
        self.next_ref += 1;
        self.effects.push(Effect::Send(frame));
    }

    fn ask_read(&mut self, room_id: RoomId) {
        if let Some(seq) = self.rooms.get(&room_id).and_then(|room| room.marking) {
            let frame = json!({"type": "read", "room_id": room_id, "seq": seq});
            self.ask(frame, Asked::Read { room_id, seq });
        }
    }

    /// A `join` of the room is unanswered, or a `sync` that named it.
    pub fn awaits(&self, room_id: RoomId) -> bool {
        self.asked.values().any(|asked| match asked {
            Asked::Join { room_id: asked, .. } => *asked == room_id,
            Asked::Sync { rooms } => rooms.contains(&room_id),
            _ => false,
        })
    }

    /// Rule 1's remedy for a gap.
    fn join_from_position(&mut self, room_id: RoomId) {
        let put_off = self.to_join.contains(&room_id)
            || self
                .to_sync
                .as_ref()
                .is_some_and(|rooms| rooms.contains(&room_id));
        if !put_off && !self.awaits(room_id) {
            self.join(room_id);
        }
    }

    /// Sends the first message of each room, unless it is on its way or its outcome is open.
    fn flush(&mut self) {
        if self.link != Link::Up {
            return;
        }
        let mut seen = BTreeSet::new();
        let mut frames = Vec::new();
        for pending in &mut self.outbox {
            if !seen.insert(pending.room_id) || pending.state != Sending::Waiting {
                continue;
            }
            pending.state = Sending::Sent;
            let mut frame = json!({
                "type": "message",
                "room_id": pending.room_id,
                "id": pending.id,
                "content": pending.content,
            });
            if let Some(seq) = pending.reply_to {
                frame["reply_to"] = json!(seq);
            }
            let asked = Asked::Message {
                room_id: pending.room_id,
                id: pending.id.clone(),
            };
            frames.push((frame, asked));
        }
        for (frame, asked) in frames {
            self.ask(frame, asked);
        }
    }
}

/// Frames.
impl Client {
    pub fn receive(&mut self, frame: &Value) {
        if self.link != Link::Up && frame["type"] != "ready" {
            return;
        }
        match frame["type"].as_str().unwrap_or_default() {
            "ready" => self.ready(frame),
            "added" => self.added(&frame["room"]),
            "removed" => self.removed(frame),
            "synced" => self.synced(frame),
            "reset" => self.reset(frame),
            "lagged" => self.join_from_position(number(frame, "room_id")),
            "pong" => {
                if let Some(reference) = frame["ref"].as_u64() {
                    self.asked.remove(&reference);
                }
            }
            "ack" => self.ack(frame),
            "error" => self.error(frame),
            "read" => {
                if frame["user_id"] == self.user_id
                    && let Some(room) = self.rooms.get_mut(&number(frame, "room_id"))
                {
                    room.mark(number(frame, "seq"));
                }
            }
            _ => self.durable(frame),
        }
    }

    /// Rule 1. Also for frames of a type that I don't know.
    fn durable(&mut self, frame: &Value) {
        let kind = frame["type"].as_str().unwrap_or_default();
        let key = if kind == "room" { "id" } else { "room_id" };
        let (Some(room_id), Some(rev)) = (frame[key].as_u64(), frame["rev"].as_u64()) else {
            return;
        };
        let me = self.user_id;
        let Some(room) = self.rooms.get_mut(&room_id) else {
            return;
        };
        if frame["replay"] == true {
            room.take_message(frame, me);
            return;
        }
        if rev <= room.position {
            return;
        }
        if prev(frame) > room.position {
            self.join_from_position(room_id);
            return;
        }
        room.position = rev;
        match kind {
            "message" => room.take_message(frame, me),
            "message_updated" => room.take_patch(frame),
            "member" => {
                room.take_member(frame);
                if rev > room.member_count_rev {
                    room.member_count = number(frame, "member_count");
                    room.member_count_rev = rev;
                }
            }
            "room" if rev > room.settings_rev => {
                room.settings = settings(frame);
                room.settings_rev = rev;
            }
            _ => {}
        }
    }

    fn ready(&mut self, frame: &Value) {
        self.link = Link::Up;
        let epoch = frame["epoch"].as_str().map(str::to_owned);
        if epoch != self.epoch {
            // The log may have gone back in time: no number that I hold means anything now.
            self.epoch = epoch;
            self.rooms.clear();
            self.loads.clear();
            self.failed.clear();
        }
        self.gone.clear();
        let listed = frame["rooms"].as_array().cloned().unwrap_or_default();
        let ids: BTreeSet<RoomId> = listed.iter().map(|room| number(room, "id")).collect();
        self.rooms.retain(|room_id, _| ids.contains(room_id));
        self.loads.retain(|_, (room_id, _)| ids.contains(room_id));
        for listed in &listed {
            let (room_id, rev) = (number(listed, "id"), number(listed, "rev"));
            match self.rooms.get_mut(&room_id) {
                Some(room) => {
                    room.take_room(listed);
                    room.membership = rev;
                    room.added_at = 0;
                }
                None => {
                    let mut room = Room {
                        membership: rev,
                        ..Room::default()
                    };
                    room.take_room(listed);
                    self.begin(room_id, room, rev);
                }
            }
        }
        if self.syncs_itself {
            self.sync_all();
        }
        for room_id in ids {
            self.ask_read(room_id);
        }
        self.flush();
    }

    /// A room's content begins at `rev`: what came before is in the pages to be read.
    fn begin(&mut self, room_id: RoomId, room: Room, rev: Rev) {
        let room = Room {
            position: rev,
            floor: rev,
            ..room
        };
        self.rooms.insert(room_id, room);
        // A chain of pages of members begins anew; a single page that comes too early shows by its rev.
        self.loads
            .retain(|_, (other, load)| *other != room_id || !matches!(load, Load::Members { .. }));
        self.load(room_id, Load::Page { before: None });
        self.load(room_id, Load::Members { cursor: None });
    }

    /// Of `added` and `removed` the higher `rev` wins.
    fn added(&mut self, room: &Value) {
        let (room_id, rev) = (number(room, "id"), number(room, "rev"));
        let known = match self.rooms.get(&room_id) {
            Some(held) => Some(held.membership),
            None => self.gone.get(&room_id).copied(),
        };
        if known.is_some_and(|known| known >= rev) {
            return;
        }
        self.gone.remove(&room_id);
        let mut held = Room {
            membership: rev,
            added_at: self.next_ref,
            ..Room::default()
        };
        held.take_room(room);
        self.begin(room_id, held, rev);
    }

    fn removed(&mut self, frame: &Value) {
        let room_id = number(frame, "room_id");
        self.answered(frame, room_id);
        let rev = frame["rev"].as_u64();
        let holds = match (self.rooms.get(&room_id), rev) {
            (None, _) => false,
            (Some(room), Some(rev)) => rev > room.membership,
            // Of a request: true unless I was added after I had asked.
            (Some(room), None) => frame["ref"]
                .as_u64()
                .is_none_or(|asked| room.added_at <= asked),
        };
        if holds && let Some(room) = self.rooms.remove(&room_id) {
            self.gone.insert(room_id, rev.unwrap_or(room.membership));
            self.to_join.remove(&room_id);
            self.loads.retain(|_, (other, _)| *other != room_id);
        } else if let (None, Some(rev)) = (self.rooms.get(&room_id), rev) {
            let gone = self.gone.entry(room_id).or_default();
            *gone = rev.max(*gone);
        }
    }

    /// Notes that a room has answered a `join` or `sync`; what was asked, if I still waited for it.
    fn answered(&mut self, frame: &Value, room_id: RoomId) -> Option<Asked> {
        let reference = frame["ref"].as_u64()?;
        let asked = self.asked.get_mut(&reference)?;
        let copy = asked.clone();
        match asked {
            Asked::Join { .. } => {
                self.asked.remove(&reference);
            }
            Asked::Sync { rooms } => {
                rooms.remove(&room_id);
                if rooms.is_empty() {
                    self.asked.remove(&reference);
                    self.synced.insert(reference);
                }
            }
            _ => return None,
        }
        Some(copy)
    }

    fn synced(&mut self, frame: &Value) {
        let (room_id, rev) = (number(frame, "room_id"), number(frame, "rev"));
        let asked = self.answered(frame, room_id);
        let Some(room) = self.rooms.get_mut(&room_id) else {
            return;
        };
        room.take_markers(frame);
        if matches!(asked, Some(Asked::Join { fresh: true, .. })) {
            self.restart(room_id, rev);
        } else if prev(frame) > room.position {
            // Something of the catch-up was lost.
            self.join_from_position(room_id);
        } else {
            room.position = room.position.max(rev);
        }
    }

    /// Forgets a room's content and goes on from `rev`. Membership and markers stay.
    fn restart(&mut self, room_id: RoomId, rev: Rev) {
        if let Some(room) = self.rooms.remove(&room_id) {
            let room = Room {
                settings: room.settings,
                last_seq: room.last_seq,
                last_read_seq: room.last_read_seq,
                unread_mentions: room.unread_mentions,
                membership: room.membership,
                added_at: room.added_at,
                marking: room.marking,
                ..Room::default()
            };
            self.begin(room_id, room, rev);
            // No frame tells what changed in the settings before.
            self.load(room_id, Load::Room);
        }
    }

    fn reset(&mut self, frame: &Value) {
        let (room_id, rev) = (number(frame, "room_id"), number(frame, "rev"));
        self.answered(frame, room_id);
        if frame["reason"] == "epoch" {
            // The numbers that I hold are another log's, and so are the pages on their way.
            self.loads.retain(|_, (other, _)| *other != room_id);
            if let Some(room) = self.rooms.get_mut(&room_id) {
                room.last_seq = 0;
                room.last_read_seq = 0;
                room.membership = room.membership.min(rev);
            }
        }
        self.restart(room_id, rev);
    }

    fn ack(&mut self, frame: &Value) {
        let Some(asked) = frame["ref"]
            .as_u64()
            .and_then(|reference| self.asked.remove(&reference))
        else {
            return;
        };
        match asked {
            Asked::Message { room_id, id } => {
                if frame["id"] != *id || frame["room_id"] != room_id {
                    self.complaints.push(format!("another's ack: {frame}"));
                }
                self.outbox.retain(|pending| pending.id != id);
                self.acks.push(frame.clone());
                self.flush();
            }
            Asked::Read { room_id, seq } => {
                if let Some(room) = self.rooms.get_mut(&room_id) {
                    room.mark(number(frame, "last_read_seq"));
                    room.marking = room.marking.filter(|wanted| *wanted > seq);
                }
            }
            Asked::Sync { rooms } if !rooms.is_empty() => {
                self.complaints
                    .push(format!("an ack instead of each room's answer: {frame}"));
            }
            Asked::Join { .. } | Asked::Ping => {
                self.complaints
                    .push(format!("{asked:?} got an ack: {frame}"));
            }
            Asked::Sync { .. } | Asked::Leave => {}
        }
    }

    fn error(&mut self, frame: &Value) {
        let Some(reference) = frame["ref"].as_u64() else {
            self.complaints
                .push(format!("an error without a ref: {frame}"));
            return;
        };
        let retryable = frame["retryable"] == true;
        let Some(asked) = self.asked.remove(&reference) else {
            if retryable && self.synced.contains(&reference) {
                self.to_sync.get_or_insert_default();
            }
            return;
        };
        match asked {
            Asked::Message { id, .. } => {
                if retryable {
                    for pending in self.outbox.iter_mut().filter(|pending| pending.id == id) {
                        pending.state = Sending::Open;
                    }
                } else if let Some(at) = self.outbox.iter().position(|pending| pending.id == id)
                    && let Some(pending) = self.outbox.remove(at)
                {
                    self.refused.push((pending, frame.clone()));
                }
                self.flush();
            }
            Asked::Join { room_id, .. } if retryable => {
                self.to_join.insert(room_id);
            }
            // Those that have answered are live, and stay so.
            Asked::Sync { rooms } if retryable => {
                self.to_sync.get_or_insert_default().extend(rooms);
            }
            Asked::Read { room_id, .. } if retryable => {
                self.to_read.insert(room_id);
            }
            Asked::Read { room_id, .. } => {
                if let Some(room) = self.rooms.get_mut(&room_id) {
                    room.marking = None;
                }
            }
            Asked::Join { .. } | Asked::Sync { .. } | Asked::Leave | Asked::Ping => {
                self.complaints.push(format!("{asked:?} got {frame}"));
            }
        }
    }
}

/// REST.
impl Client {
    /// Asks for a page, unless the same one is on its way.
    fn load(&mut self, room_id: RoomId, what: Load) {
        if self
            .loads
            .values()
            .any(|(other, load)| *other == room_id && *load == what)
        {
            return;
        }
        let load = self.next_load;
        self.next_load += 1;
        self.effects.push(match what.clone() {
            Load::Room => Effect::LoadRoom { load, room_id },
            Load::Page { before } => Effect::LoadPage {
                load,
                room_id,
                before,
            },
            Load::Members { cursor } => Effect::LoadMembers {
                load,
                room_id,
                cursor,
            },
        });
        self.loads.insert(load, (room_id, what));
    }

    /// The body of a 200.
    pub fn loaded(&mut self, load: LoadId, body: &Value) {
        self.failed.remove(&load);
        let Some((room_id, what)) = self.loads.remove(&load) else {
            return;
        };
        let me = self.user_id;
        let Some(room) = self.rooms.get_mut(&room_id) else {
            return;
        };
        if number(body, "rev") < room.floor {
            // Older than where I began: what changed in between is in no frame to come.
            self.load(room_id, what);
            return;
        }
        let items = body["items"].as_array().map_or(&[][..], Vec::as_slice);
        match what {
            Load::Room => room.take_room(body),
            Load::Page { before } => {
                items.iter().for_each(|item| room.take_message(item, me));
                if before.is_none() || before == room.complete_from {
                    let whole = body["next"].is_null();
                    let first = items.first().map_or(0, |first| number(first, "seq"));
                    room.complete_from = Some(if whole { 0 } else { first });
                }
            }
            Load::Members { .. } => {
                items.iter().for_each(|item| room.take_member(item));
                match body["next"].as_str() {
                    Some(cursor) => {
                        let cursor = Some(cursor.to_owned());
                        self.load(room_id, Load::Members { cursor });
                    }
                    None => room.members_complete = true,
                }
            }
        }
    }

    /// Any other answer, or none. [`Client::retry`] asks again, while I hold the room.
    pub fn load_failed(&mut self, load: LoadId) {
        if self.loads.contains_key(&load) {
            self.failed.insert(load);
        }
    }
}

fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or(0)
}

/// All that changed in (`prev`, `rev`] is in a frame.
fn prev(frame: &Value) -> Rev {
    frame["prev"]
        .as_u64()
        .unwrap_or_else(|| number(frame, "rev").saturating_sub(1))
}

fn without(value: &Value, keys: &[&str]) -> Value {
    let mut object = value.as_object().cloned().unwrap_or_default();
    keys.iter().for_each(|key| {
        object.remove(*key);
    });
    Value::Object(object)
}

fn settings(room: &Value) -> Value {
    json!({"kind": room["kind"], "name": room["name"], "topic": room["topic"]})
}

/// Applies a `message_updated` to a whole message, if it is newer.
fn amend(row: &mut Value, patch: &Value) {
    if number(patch, "rev") <= number(row, "rev") {
        return;
    }
    let Some(row) = row.as_object_mut() else {
        return;
    };
    let patch = without(patch, &["type", "prev", "by"]);
    for (key, value) in patch.as_object().unwrap_or(&Map::new()) {
        match (key.as_str(), value) {
            ("reactions", Value::Array(touched)) => react(row, touched),
            (_, Value::Null) => {
                row.remove(key);
            }
            _ => {
                row.insert(key.clone(), value.clone());
            }
        }
    }
    if row.contains_key("deleted_at") {
        row.remove("content");
        row.remove("reactions");
    }
}

/// Only the kinds touched are listed; count 0: gone.
fn react(row: &mut Map<String, Value>, touched: &[Value]) {
    let mut reactions = match row.remove("reactions") {
        Some(Value::Array(reactions)) => reactions,
        _ => Vec::new(),
    };
    for touch in touched {
        reactions.retain(|reaction| reaction["emoji"] != touch["emoji"]);
        if number(touch, "count") > 0 {
            reactions.push(touch.clone());
        }
    }
    if !reactions.is_empty() {
        row.insert("reactions".to_owned(), Value::Array(reactions));
    }
}
