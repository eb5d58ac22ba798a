//! Who is connected and who listens to what: the registry of connections and live rooms.
//!
//! A sharded registry finds a user's connections and a room's task; one task per live room delivers
//! its events ([`room`]); a bounded mailbox stands before each socket ([`mailbox`]). Events come from
//! the log after each commit ([`Hub::listener`]); they are hints: what is lost on the way is read from
//! the log by the room that misses it.
//!
//! Deliberately absent: HTTP, the framing of either wire (it is given: [`Framing`]), SQL.
//!
//! Lock tiers: a registry shard is tier 1, a mailbox tier 2; take them in that order, and neither
//! across an await. The lock of [`people`] is taken alone.

pub mod encode;
mod hints;
pub mod mailbox;
pub mod order;
mod pages;
mod people;
mod presence;
pub mod room;
mod touch;

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock, Weak},
};

use dashmap::DashMap;
use futures_util::FutureExt;
use metrics::{Counter, Gauge, counter, gauge};

pub use self::{
    encode::{Framing, Wire},
    mailbox::{Mailbox, Notice, Stir},
    pages::CatchUp,
    presence::{News, Online, Stamp},
    room::{Attached, Lease, Listener, RoomFailed},
};
use crate::{
    limits::{HEADS_INTERVAL, HEADS_PER_STATEMENT},
    protocol::{Rev, RoomId, SessionId, UserId, close::Close},
    store::{self, Event, EventBody, MemberEvent, Store},
};
use pages::Pages;
use people::People;
use room::{Handle, Room};

/// See the module's documentation. One per process.
pub struct Hub {
    /// For the tasks that the hub starts.
    me: Weak<Hub>,
    framing: Framing,
    store: OnceLock<Store>,
    users: DashMap<UserId, Vec<Connection>>,
    rooms: DashMap<RoomId, Arc<Handle>>,
    pages: Pages,
    people: People,
    metrics: Metrics,
}

/// A place in the registry.
struct Connection {
    session_id: SessionId,
    mailbox: Arc<Mailbox>,
}

struct Metrics {
    connections: Gauge,
    online: Gauge,
    rooms: Gauge,
    events: Counter,
    deliveries: Counter,
    lagged: Counter,
    gaps: Counter,
    room_failures: Counter,
    presence: Counter,
    typing: Counter,
    markers: Counter,
}

impl Hub {
    pub fn new(framing: Framing) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            framing,
            store: OnceLock::new(),
            users: DashMap::new(),
            rooms: DashMap::new(),
            pages: Pages::default(),
            people: People::default(),
            metrics: Metrics {
                connections: gauge!("hub_connections"),
                online: gauge!("hub_online_users"),
                rooms: gauge!("hub_live_rooms"),
                events: counter!("hub_events_total"),
                deliveries: counter!("hub_deliveries_total"),
                lagged: counter!("hub_lagged_total"),
                gaps: counter!("hub_gaps_total"),
                room_failures: counter!("hub_room_failures_total"),
                presence: counter!("hub_hints_total", "kind" => "presence"),
                typing: counter!("hub_hints_total", "kind" => "typing"),
                markers: counter!("hub_hints_total", "kind" => "read"),
            },
        })
    }

    /// What the store calls after every commit.
    pub fn commit_hook(&self) -> store::CommitHook {
        let hub = self.me.clone();
        Arc::new(move |events| {
            if let Some(hub) = hub.upgrade() {
                events.into_iter().for_each(|event| hub.publish(event));
            }
        })
    }

    /// Gives the hub the log to read from; before the first connection.
    pub fn start(&self, store: Store) {
        assert!(self.store.set(store).is_ok(), "the hub is started once");
    }

    fn store(&self) -> &Store {
        self.store
            .get()
            .expect("the hub was started before the first connection")
    }

    /// Takes a committed event: to the room's task if the room is live, and to the users whose
    /// membership or marker changed. Doesn't wait.
    pub fn publish(&self, event: Event) {
        match &event.body {
            EventBody::Member(member)
                if member.role.is_none() || member.joined_rev == event.rev =>
            {
                self.seat(&event);
                self.notify_member(event.room_id, event.rev, member);
            }
            EventBody::Deleted { members } => {
                self.seat(&event);
                let notice = Notice::Left {
                    room_id: event.room_id,
                    rev: event.rev,
                };
                members.iter().for_each(|id| self.notify(*id, notice));
            }
            EventBody::Read { user_id, seq, .. } => {
                let notice = Notice::Read {
                    room_id: event.room_id,
                    seq: *seq,
                };
                self.notify(*user_id, notice);
            }
            _ => {}
        }
        // The shard stays locked while the event is handed over, so that no room ends in between.
        if let Some(room) = self.rooms.get(&event.room_id) {
            room.publish(event);
        }
    }

    /// Tells a user that his stay in a room began, by `rev` at the latest, or ended with it.
    fn notify_member(&self, room_id: RoomId, rev: Rev, member: &MemberEvent) {
        let notice = match member.role {
            Some(_) => Notice::Joined {
                room_id,
                rev: member.joined_rev,
            },
            None => Notice::Left { room_id, rev },
        };
        self.notify(member.user.id, notice);
    }

    fn notify(&self, user_id: UserId, notice: Notice) {
        if let Some(connections) = self.users.get(&user_id) {
            connections
                .iter()
                .for_each(|connection| connection.mailbox.notice(notice));
        }
    }

    /// Registers a connection, if the user has fewer than `max`. From here on its mailbox gets the
    /// user's notices; dropping the registration ends that.
    pub fn connect(
        self: &Arc<Self>,
        user_id: UserId,
        session_id: SessionId,
        mailbox: Arc<Mailbox>,
        max: usize,
    ) -> Option<Registration> {
        let mut connections = self.users.entry(user_id).or_default();
        if connections.len() >= max {
            return None;
        }
        connections.push(Connection {
            session_id,
            mailbox: mailbox.clone(),
        });
        drop(connections);
        self.expect(user_id);
        self.metrics.connections.increment(1.0);
        Some(Registration {
            hub: self.clone(),
            user_id,
            mailbox,
            arrived: false,
        })
    }

    /// A hold on the room's task, which is started when the room wasn't live. Take it before reading
    /// the log: what commits from then on, the task gets.
    pub fn lease(&self, room_id: RoomId, mailbox: &Mailbox) -> Lease {
        let handle = match self.rooms.entry(room_id) {
            dashmap::Entry::Occupied(entry) => {
                entry.get().lease();
                entry.get().clone()
            }
            dashmap::Entry::Vacant(entry) => {
                let (handle, inbox) = Handle::new(room_id);
                let hub = self.me.upgrade().expect("a method of it runs");
                entry.insert(handle.clone());
                self.metrics.rooms.increment(1.0);
                tokio::spawn(run(hub, handle.clone(), inbox));
                handle
            }
        };
        Lease {
            handle,
            connection: mailbox.id(),
        }
    }

    /// Ends a room that nobody listens to or is about to.
    fn retire(&self, handle: &Arc<Handle>, idle: impl Fn() -> bool) -> bool {
        self.rooms
            .remove_if(&handle.room_id, |_, found| {
                Arc::ptr_eq(found, handle) && !handle.is_leased() && idle()
            })
            .is_some()
    }

    /// One page of what changed in a room after `after`, framed for this wire. Those who ask for the same page at
    /// the same time share one read. The caller holds a lease on the room, and checks the reader's
    /// membership after the page was read. `None`: no such room.
    pub async fn catch_up(
        &self,
        room_id: RoomId,
        after: Rev,
        wire: Wire,
    ) -> store::Result<Option<Arc<CatchUp>>> {
        let key = (room_id, after, wire);
        self.pages.read(self.store(), self.framing, key).await
    }

    /// Compares the heads of all live rooms with the table, now and then, for ever: whatever was lost
    /// on the way to a room comes late, never not at all.
    pub async fn watch_heads(self: Arc<Self>) {
        let mut interval = tokio::time::interval(HEADS_INTERVAL);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            let rooms: Vec<RoomId> = self.rooms.iter().map(|room| *room.key()).collect();
            for chunk in rooms.chunks(HEADS_PER_STATEMENT) {
                match self.store().heads(chunk).await {
                    Ok(heads) => {
                        for (room_id, rev, deleted) in heads {
                            if deleted {
                                self.tell_end(room_id).await;
                            } else if let Some(room) = self.rooms.get(&room_id) {
                                room.hint(rev);
                            }
                        }
                    }
                    Err(error) => {
                        error.tell();
                        break;
                    }
                }
            }
        }
    }

    /// Tells the end of a room that some still listen to.
    async fn tell_end(&self, room_id: RoomId) {
        match self.store().end_of(room_id).await {
            Ok(event) => event.into_iter().for_each(|event| self.publish(event)),
            Err(error) => tracing::warn!(room_id = room_id.0, %error, "a room's end can't be read"),
        }
    }

    /// Asks every connection to end once its request is answered: the server goes away.
    pub fn leave_all(&self) {
        for connections in &self.users {
            for connection in connections.iter() {
                connection.mailbox.leave();
            }
        }
    }

    /// The log-ins by which a user is connected here.
    pub fn sessions_of(&self, user_id: UserId) -> Vec<SessionId> {
        let connections = self.users.get(&user_id);
        let ids = connections.iter().flat_map(|of| of.iter());
        ids.map(|connection| connection.session_id).collect()
    }

    /// Closes a user's connections by these log-ins: nothing is written to them any more but why.
    pub fn end(&self, user_id: UserId, sessions: &[SessionId], close: Close) {
        if let Some(connections) = self.users.get(&user_id) {
            for connection in connections.iter() {
                if sessions.contains(&connection.session_id) {
                    connection.mailbox.close(close);
                }
            }
        }
    }
}

/// Runs a room's task and, should it die, clears up after it: its members were closed with 4003
/// when its state was dropped.
async fn run(
    hub: Arc<Hub>,
    handle: Arc<Handle>,
    inbox: tokio::sync::mpsc::Receiver<room::Command>,
) {
    let room = Room::new(hub.clone(), handle.clone(), inbox);
    if AssertUnwindSafe(room.run()).catch_unwind().await.is_err() {
        hub.rooms
            .remove_if(&handle.room_id, |_, found| Arc::ptr_eq(found, &handle));
        hub.metrics.room_failures.increment(1);
        tracing::error!(
            room_id = handle.room_id.0,
            "a room's task died; its members reconnect"
        );
    }
    hub.metrics.rooms.decrement(1.0);
}

/// A connection's place in the registry.
pub struct Registration {
    hub: Arc<Hub>,
    user_id: UserId,
    mailbox: Arc<Mailbox>,
    arrived: bool,
}

impl Registration {
    /// Makes the user be seen online in these, his small rooms, which were read since he registered.
    pub fn arrive(&mut self, rooms: &[RoomId]) {
        if !std::mem::replace(&mut self.arrived, true) {
            self.hub.arrive(self.user_id, rooms);
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.hub.metrics.connections.decrement(1.0);
        if let dashmap::Entry::Occupied(mut entry) = self.hub.users.entry(self.user_id) {
            entry
                .get_mut()
                .retain(|connection| connection.mailbox.id() != self.mailbox.id());
            if entry.get().is_empty() {
                entry.remove();
            }
        }
        self.hub.depart(self.user_id, self.arrived);
    }
}
