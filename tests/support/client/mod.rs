//! The reference client: PROTOCOL.md sections 3 to 5 as a pure state machine, without I/O or clock.
//! It is fed frames, REST answers and local intentions, and gives [`Effect`]s: frames for the socket
//! and REST pages to read. Whoever drives it owns the socket, the time and the faults.
//!
//! Invariant, in each room held: every row of the log whose present `rev` is at most
//! [`Room::position`] is held as the log has it, or lies in history that wasn't loaded yet. All of
//! the rule of positions serves this.
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

mod asks;
mod effect;
mod frames;
mod outbox;
mod pages;
mod room;
mod row;

pub use effect::Effect;
pub use outbox::{Change, Pending};
pub use room::Room;
pub use row::{mentions, number};

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use asks::Asked;
use outbox::Ticket;
use pages::Load;
use serde_json::Value;

type RoomId = u64;
type UserId = u64;
type Seq = u64;
type Rev = u64;
/// What a frame of ours carries as `ref`; it rises over all connections.
type Ref = u64;
/// Names a REST request to whoever answers it.
pub type LoadId = u64;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Link {
    Down,
    /// The socket is open; `ready` hasn't come.
    Opening,
    Up,
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
    /// In the order of [`Client::put`]; of each room only the first is on its way.
    pub outbox: VecDeque<Pending>,
    next_ticket: Ticket,
    /// The acks of messages, each once, with `id`, `seq`, `rev`, `created_at`, `duplicate`.
    pub acks: Vec<Value>,
    /// What was refused for good, each with the error.
    pub refused: Vec<(Pending, Value)>,
    /// Frames that the server should never have sent.
    pub complaints: Vec<String>,
    /// Which of the users that I was told of are online.
    pub online: BTreeSet<UserId>,
    /// Who types where, until a message of theirs comes; six seconds later the driver lets them go.
    pub typing: BTreeSet<(RoomId, UserId)>,
    link: Link,
    /// `ready`, and how many of its rooms are still to come.
    greeting: Option<(Value, u64)>,
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
            next_ticket: 1,
            acks: Vec::new(),
            refused: Vec::new(),
            complaints: Vec::new(),
            online: BTreeSet::new(),
            typing: BTreeSet::new(),
            link: Link::Down,
            greeting: None,
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
        self.greeting = None;
        self.asked.clear();
        self.synced.clear();
        self.to_join.clear();
        self.to_sync = None;
        self.to_read.clear();
        self.effects
            .retain(|effect| !matches!(effect, Effect::Send(_)));
        self.typing.clear();
        self.reopen_outbox();
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
        self.retry_outbox();
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
