//! Live rooms: how their tasks start, and how what was lost on the way to them is found.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use tokio::{
    sync::mpsc,
    time::{self, MissedTickBehavior},
};

use super::{
    handle::{Command, Handle, Lease},
    mailbox::Mailbox,
    registry::Hub,
    room::Room,
};
use crate::{
    limits::{HEADS_INTERVAL, HEADS_PER_STATEMENT},
    protocol::RoomId,
};

impl Hub {
    /// A lease on the room's task, which is started if the room isn't live. To be taken before the log is read: what
    /// commits from then on, the task gets.
    pub fn lease(&self, room_id: RoomId, mailbox: &Mailbox) -> Lease {
        let handle = match self.rooms.entry(room_id) {
            dashmap::Entry::Occupied(entry) => {
                entry.get().add_lease();
                entry.get().clone()
            }
            dashmap::Entry::Vacant(entry) => {
                let (handle, inbox) = Handle::new(room_id);
                entry.insert(handle.clone());
                self.metrics.rooms.increment(1.0);
                tokio::spawn(run(self.shared(), handle.clone(), inbox));
                handle
            }
        };
        Lease {
            handle,
            connection: mailbox.id(),
        }
    }

    /// Compares the heads of all live rooms with the table from time to time: an event that was lost on the way to a room
    /// comes late, but it comes. Runs for ever.
    pub async fn watch_heads(self: Arc<Self>) {
        let mut interval = time::interval(HEADS_INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
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
                                room.raise_head(rev);
                            }
                        }
                    }
                    Err(error) => {
                        error.log_once();
                        break;
                    }
                }
            }
        }
    }

    /// Publishes the end of a room that still has subscribers.
    async fn tell_end(&self, room_id: RoomId) {
        match self.store().end_of(room_id).await {
            Ok(event) => event.into_iter().for_each(|event| self.publish(event)),
            Err(error) => tracing::warn!(room_id = room_id.0, %error, "a room's end can't be read"),
        }
    }
}

/// Runs a room's task and cleans up if it panics. Its subscribers were closed with 4003 when its state was dropped.
async fn run(hub: Arc<Hub>, handle: Arc<Handle>, inbox: mpsc::Receiver<Command>) {
    let room = Room::new(hub.clone(), handle.clone(), inbox);
    if AssertUnwindSafe(room.run()).catch_unwind().await.is_err() {
        hub.rooms
            .remove_if(&handle.room_id, |_, found| Arc::ptr_eq(found, &handle));
        hub.metrics.room_failures.increment(1);
        tracing::error!(
            room_id = handle.room_id.0,
            "a room's task panicked; its members reconnect"
        );
    }
    hub.metrics.rooms.decrement(1.0);
}
