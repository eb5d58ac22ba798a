//! The registry: a user's connections, and the handles of live rooms.

use std::{
    mem,
    sync::{Arc, OnceLock, Weak},
};

use dashmap::DashMap;
use metrics::{Counter, Gauge, counter, gauge};

use super::{
    handle::Handle,
    mailbox::{Mailbox, Notice},
    pages::{CatchUp, Pages},
    presence::{
        People,
        state::{News, Online, Stamp},
    },
    wire::{Framing, Wire},
};
use crate::{
    protocol::{Rev, RoomId, SessionId, UserId, close::Close},
    store::{self, Event, EventBody, MemberEvent, Store},
};

/// See the documentation of [`super`]. One per process.
pub struct Hub {
    /// For the tasks that the hub starts.
    me: Weak<Hub>,
    pub(super) framing: Framing,
    store: OnceLock<Store>,
    users: DashMap<UserId, Vec<Connection>>,
    pub(super) rooms: DashMap<RoomId, Arc<Handle>>,
    pages: Pages,
    people: People,
    pub(super) metrics: Metrics,
}

/// A connection's place in the registry.
struct Connection {
    session_id: SessionId,
    mailbox: Arc<Mailbox>,
}

pub(super) struct Metrics {
    connections: Gauge,
    pub(super) rooms: Gauge,
    pub(super) events: Counter,
    pub(super) deliveries: Counter,
    pub(super) lagged: Counter,
    pub(super) gaps: Counter,
    pub(super) room_failures: Counter,
    presence: Counter,
    pub(super) typing: Counter,
    pub(super) markers: Counter,
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
            people: People::new(),
            metrics: Metrics {
                connections: gauge!("hub_connections"),
                rooms: gauge!("hub_live_rooms"),
                events: counter!("hub_events_total"),
                deliveries: counter!("hub_deliveries_total"),
                lagged: counter!("hub_lagged_total"),
                gaps: counter!("hub_gaps_total"),
                room_failures: counter!("hub_room_failures_total"),
                presence: counter!("hub_ephemeral_total", "kind" => "presence"),
                typing: counter!("hub_ephemeral_total", "kind" => "typing"),
                markers: counter!("hub_ephemeral_total", "kind" => "read"),
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

    /// Gives the hub the log to read from. To be called before the first connection.
    pub fn start(&self, store: Store) {
        assert!(self.store.set(store).is_ok(), "the hub is started once");
    }

    pub(super) fn store(&self) -> &Store {
        self.store
            .get()
            .expect("the hub was started before the first connection")
    }

    /// For a task that outlives the call.
    pub(super) fn shared(&self) -> Arc<Self> {
        self.me.upgrade().expect("a method of the hub runs")
    }

    /// Passes a committed event on: to the room's task, if the room is live, and to the users whose membership or marker
    /// changed. Doesn't wait.
    pub fn publish(&self, event: Event) {
        match &event.body {
            EventBody::Member(member)
                if member.role.is_none() || member.joined_rev == event.rev =>
            {
                self.wake(self.people.note(&event));
                self.notify_member(event.room_id, event.rev, member);
            }
            EventBody::Deleted { members } => {
                self.wake(self.people.note(&event));
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

    /// Notifies a user that their membership began, by `rev` at the latest, or ended with it.
    pub(super) fn notify_member(&self, room_id: RoomId, rev: Rev, member: &MemberEvent) {
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

    /// Registers a connection, if the user has fewer than `max`. From here on its mailbox gets the user's notices;
    /// dropping the registration ends that.
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
        self.people.expect(user_id);
        self.metrics.connections.increment(1.0);
        Some(Registration {
            hub: self.clone(),
            user_id,
            mailbox,
            has_arrived: false,
        })
    }

    /// Ends a room to which nobody subscribes or is about to.
    pub(super) fn retire(&self, handle: &Arc<Handle>, idle: impl Fn() -> bool) -> bool {
        self.rooms
            .remove_if(&handle.room_id, |_, found| {
                Arc::ptr_eq(found, handle) && !handle.is_leased() && idle()
            })
            .is_some()
    }

    /// One page of what changed in a room after `after`, encoded for this wire. Those who ask for the same page at the
    /// same time share one read. The caller holds a lease on the room, and checks the reader's membership after the page
    /// was read. `None`: there is no such room.
    pub async fn catch_up(
        &self,
        room_id: RoomId,
        after: Rev,
        wire: Wire,
    ) -> store::Result<Option<Arc<CatchUp>>> {
        let key = (room_id, after, wire);
        self.pages.read(self.store(), self.framing, key).await
    }

    /// Asks every connection to end once its request is answered, because the server stops.
    pub fn leave_all(&self) {
        for connections in &self.users {
            for connection in connections.iter() {
                connection.mailbox.leave();
            }
        }
    }

    /// The sessions by which a user is connected here.
    pub fn sessions_of(&self, user_id: UserId) -> Vec<SessionId> {
        let connections = self.users.get(&user_id);
        let ids = connections.iter().flat_map(|of| of.iter());
        ids.map(|connection| connection.session_id).collect()
    }

    /// Closes a user's connections by these sessions: from then on nothing is written to them but the reason.
    pub fn end(&self, user_id: UserId, sessions: &[SessionId], close: Close) {
        if let Some(connections) = self.users.get(&user_id) {
            for connection in connections.iter() {
                if sessions.contains(&connection.session_id) {
                    connection.mailbox.close(close);
                }
            }
        }
    }

    /// Those whom a user sees online as a connection begins, the user included: in all rooms, or in `only` one.
    pub fn online(&self, user_id: UserId, only: Option<RoomId>) -> Online {
        self.people.online(user_id, only)
    }

    /// What is new to a connection since it was last told, of all rooms or of `only` one.
    pub fn news(&self, user_id: UserId, only: Option<RoomId>, told: Stamp) -> News {
        let news = self.people.news(user_id, only, told);
        if !news.is_empty() {
            self.metrics.presence.increment(1);
        }
        news
    }

    pub fn is_online(&self, user_id: UserId) -> bool {
        self.people.is_online(user_id)
    }

    /// Users who are online, by rising id after `after`, at most `max`.
    pub fn online_after(&self, after: UserId, max: usize) -> Vec<UserId> {
        self.people.online_after(after, max)
    }

    /// Ends the grace periods of users who don't come back. Runs for ever.
    pub async fn watch_grace_periods(self: Arc<Self>) {
        loop {
            self.people.grace_period_ends().await;
            while let Some(others) = self.people.expire() {
                self.wake(others);
                tokio::task::yield_now().await;
            }
        }
    }

    /// Wakes each connection of these users once, to look for news of presence.
    fn wake(&self, mut user_ids: Vec<UserId>) {
        user_ids.sort_unstable();
        user_ids.dedup();
        for user_id in user_ids {
            if let Some(connections) = self.users.get(&user_id) {
                for connection in connections.iter() {
                    connection.mailbox.presence_changed();
                }
            }
        }
    }
}

/// Keeps a connection in the registry.
pub struct Registration {
    hub: Arc<Hub>,
    user_id: UserId,
    mailbox: Arc<Mailbox>,
    has_arrived: bool,
}

impl Registration {
    /// Makes the user be seen online in these, their small rooms, which were read after the registration.
    pub fn arrive(&mut self, rooms: &[RoomId]) {
        if !mem::replace(&mut self.has_arrived, true) {
            let others = self.hub.people.arrive(self.user_id, rooms);
            self.hub.wake(others);
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
        if self.has_arrived {
            self.hub.people.depart(self.user_id);
        } else {
            self.hub.people.give_up(self.user_id);
        }
    }
}
