//! Presence under its lock: connections that come and go, those who are to be told, and the end of grace periods.
//!
//! Those who are to be told are only woken: their connections look for what is new when they may tell it, at most once in
//! [`crate::limits::PRESENCE_INTERVAL`]. Nothing is queued, so that no order can be wrong.

pub mod state;

use std::{
    sync::{RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Instant,
};

use metrics::{Gauge, gauge};
use tokio::sync::Notify;

use self::state::{News, Online, Presence, Stamp};
use crate::{
    limits::{ONLINE_MAX, PRESENCE_IDS_MAX},
    protocol::{RoomId, UserId},
    store::{Event, EventBody},
};

/// Presence under its lock, which is taken with no other held, and held across no await.
pub(super) struct People {
    presence: RwLock<Presence>,
    /// A grace period has begun.
    left: Notify,
    online: Gauge,
}

impl People {
    pub(super) fn new() -> Self {
        Self {
            presence: RwLock::default(),
            left: Notify::new(),
            online: gauge!("hub_online_users"),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Presence> {
        let presence = self.presence.read();
        presence.expect("no panic happens under presence's lock")
    }

    fn write(&self) -> RwLockWriteGuard<'_, Presence> {
        let presence = self.presence.write();
        presence.expect("no panic happens under presence's lock")
    }

    /// A connection is about to read the list of its user's rooms.
    pub(super) fn expect(&self, user_id: UserId) {
        self.write().expect(user_id);
    }

    /// A connection has read that these are its user's small rooms. Returns those who are to be told.
    #[must_use]
    pub(super) fn arrive(&self, user_id: UserId, rooms: &[RoomId]) -> Vec<UserId> {
        let mut presence = self.write();
        let others = presence.arrive(user_id, rooms);
        self.online.set(presence.count() as f64);
        others
    }

    /// An expected connection ended before it arrived.
    pub(super) fn give_up(&self, user_id: UserId) {
        self.write().give_up(user_id);
    }

    /// A connection that had arrived has ended.
    pub(super) fn depart(&self, user_id: UserId) {
        if self.write().depart(user_id, Instant::now()) {
            self.left.notify_one();
        }
    }

    /// Notes memberships that begin and end. Returns those who are to be told.
    #[must_use]
    pub(super) fn note(&self, event: &Event) -> Vec<UserId> {
        let room_id = event.room_id;
        match &event.body {
            EventBody::Member(member) => {
                let (user_id, count) = (member.user.id, member.member_count);
                if member.role.is_some() {
                    return self.write().join(room_id, user_id, count);
                }
                self.write().leave(room_id, user_id, count);
            }
            EventBody::Deleted { .. } => self.write().delete(room_id),
            _ => {}
        }
        Vec::new()
    }

    /// Those whom a user sees online as a connection begins, the user included: in all rooms, or in `only` one.
    pub(super) fn online(&self, user_id: UserId, only: Option<RoomId>) -> Online {
        self.read().seen_by(user_id, only, ONLINE_MAX)
    }

    /// What is new to a connection since it was last told, of all rooms or of `only` one.
    pub(super) fn news(&self, user_id: UserId, only: Option<RoomId>, told: Stamp) -> News {
        self.read().news(user_id, only, told, PRESENCE_IDS_MAX)
    }

    pub(super) fn is_online(&self, user_id: UserId) -> bool {
        self.read().is_online(user_id)
    }

    /// Users who are online, by rising id after `after`, at most `max`.
    pub(super) fn online_after(&self, after: UserId, max: usize) -> Vec<UserId> {
        self.read().page(after, max)
    }

    /// Waits until a grace period may have ended.
    pub(super) async fn grace_period_ends(&self) {
        let end = self.read().next_end();
        match end {
            // Grace periods that begin later end later.
            Some(end) => tokio::time::sleep_until(end.into()).await,
            None => self.left.notified().await,
        }
    }

    /// Ends one grace period that is over. Returns those who are to be told, or `None` if none is over.
    #[must_use]
    pub(super) fn expire(&self) -> Option<Vec<UserId>> {
        let mut presence = self.write();
        let others = presence.expire(Instant::now())?;
        self.online.set(presence.count() as f64);
        Some(others)
    }
}
