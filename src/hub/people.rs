//! The hub's side of [`super::presence`]: connections that come and go, those who are to hear of it, and
//! the end of graces.
//!
//! Whoever is to hear is only stirred: his session looks for what is new when it may tell it, at most
//! once in [`crate::limits::PRESENCE_INTERVAL`]. Nothing is queued, so that no order can be wrong.

use std::{
    sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Instant,
};

use tokio::sync::Notify;

use super::{
    Hub,
    presence::{News, Online, Presence, Stamp},
};
use crate::{
    limits::{ONLINE_MAX, PRESENCE_IDS_MAX},
    protocol::{RoomId, UserId},
    store::{Event, EventBody},
};

/// Presence under its lock, which is taken with no other held, and held for no await.
#[derive(Default)]
pub(super) struct People {
    presence: RwLock<Presence>,
    /// Somebody's grace has begun.
    left: Notify,
}

impl People {
    fn read(&self) -> RwLockReadGuard<'_, Presence> {
        let presence = self.presence.read();
        presence.expect("no panic happens under presence's lock")
    }

    fn write(&self) -> RwLockWriteGuard<'_, Presence> {
        let presence = self.presence.write();
        presence.expect("no panic happens under presence's lock")
    }
}

impl Hub {
    pub(super) fn expect(&self, user_id: UserId) {
        self.people.write().expect(user_id);
    }

    pub(super) fn arrive(&self, user_id: UserId, rooms: &[RoomId]) {
        let mut presence = self.people.write();
        let others = presence.arrive(user_id, rooms);
        self.metrics.online.set(presence.count() as f64);
        drop(presence);
        self.stir(others);
    }

    /// A connection has ended; `arrived`: it had told its rooms.
    pub(super) fn depart(&self, user_id: UserId, arrived: bool) {
        if !arrived {
            self.people.write().give_up(user_id);
        } else if self.people.write().depart(user_id, Instant::now()) {
            self.people.left.notify_one();
        }
    }

    /// Memberships that begin and end.
    pub(super) fn seat(&self, event: &Event) {
        let room_id = event.room_id;
        let others = match &event.body {
            EventBody::Member(member) => {
                let (user_id, count) = (member.user.id, member.member_count);
                let mut presence = self.people.write();
                match member.role {
                    Some(_) => presence.join(room_id, user_id, count),
                    None => {
                        presence.leave(room_id, user_id, count);
                        return;
                    }
                }
            }
            EventBody::Deleted { .. } => return self.people.write().delete(room_id),
            _ => return,
        };
        self.stir(others);
    }

    /// Whom somebody sees as he comes, himself too, in his rooms or in `only` that one.
    pub fn online(&self, user_id: UserId, only: Option<RoomId>) -> Online {
        self.people.read().seen_by(user_id, only, ONLINE_MAX)
    }

    /// What is new to a connection since it was told last, of all rooms or of `only` one.
    pub fn news(&self, user_id: UserId, only: Option<RoomId>, told: Stamp) -> News {
        let presence = self.people.read();
        let news = presence.news(user_id, only, told, PRESENCE_IDS_MAX);
        drop(presence);
        if !news.is_empty() {
            self.metrics.presence.increment(1);
        }
        news
    }

    pub fn is_online(&self, user_id: UserId) -> bool {
        self.people.read().is_online(user_id)
    }

    /// Those online, by rising id after `after`, at most `max`.
    pub fn online_after(&self, after: UserId, max: usize) -> Vec<UserId> {
        self.people.read().page(after, max)
    }

    /// Ends the graces of those who don't come back, for ever.
    pub async fn watch_graces(self: Arc<Self>) {
        loop {
            let end = self.people.read().next_end();
            match end {
                // Graces that begin later end later.
                Some(end) => tokio::time::sleep_until(end.into()).await,
                None => self.people.left.notified().await,
            }
            while self.end_a_grace() {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Ends one grace that is over; false when none is.
    fn end_a_grace(&self) -> bool {
        let mut presence = self.people.write();
        let Some(others) = presence.expire(Instant::now()) else {
            return false;
        };
        self.metrics.online.set(presence.count() as f64);
        drop(presence);
        self.stir(others);
        true
    }

    /// Lets the sessions of these users look for news, each once.
    fn stir(&self, mut user_ids: Vec<UserId>) {
        user_ids.sort_unstable();
        user_ids.dedup();
        for user_id in user_ids {
            if let Some(connections) = self.users.get(&user_id) {
                for connection in connections.iter() {
                    connection.mailbox.stir();
                }
            }
        }
    }
}
