//! How others reach a live room's task: its queue, which nobody waits for on the live path, and the leases that keep it
//! alive.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::mailbox::{ConnectionId, Mailbox};
use crate::{
    limits::{MARKERS_ROOM_MAX, ROOM_QUEUE_BYTES_MAX, ROOM_QUEUE_MAX},
    protocol::{Rev, RoomId, Seq, UserId},
    store::{Event, EventBody},
};

/// A connection that hears a room live.
pub struct Subscriber {
    pub mailbox: Arc<Mailbox>,
    pub user_id: UserId,
    /// Live events follow from here.
    pub at: Rev,
    /// The room's `rev` as of which the user was a member.
    pub verified: Rev,
}

/// The answer to an attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attached {
    /// Live from the asked point on. The greeting was written before.
    Live,
    /// The room can't reach back that far: read the log again. Nothing was written.
    Behind,
    /// The membership has ended since it was verified. Nothing was written.
    Removed,
}

pub(super) enum Command {
    Event(Event),
    Attach {
        subscriber: Subscriber,
        greeting: Bytes,
        reply: oneshot::Sender<Attached>,
    },
    Detach {
        id: ConnectionId,
        reply: Option<oneshot::Sender<()>>,
    },
    /// A member has read up to here.
    Marker {
        user_id: UserId,
        seq: Seq,
    },
    /// The user of this connection types.
    Typing {
        id: ConnectionId,
    },
    /// Look at the handle's fields: the head, the sweep, the last lease.
    Look,
    #[cfg(test)]
    Panic,
}

/// How others reach a room's task.
pub(super) struct Handle {
    pub(super) room_id: RoomId,
    pub(super) commands: mpsc::Sender<Command>,
    /// Bytes of the events that wait in the queue.
    pub(super) waiting_bytes: AtomicUsize,
    /// Connections that subscribe or are about to. The task lives while there are any.
    leases: AtomicUsize,
    /// The highest `rev` that is known to exist though its event found no place in the queue.
    pub(super) head: AtomicU64,
    /// The queue has a `Look`.
    pub(super) looks: AtomicBool,
    /// A subscriber closed, and its `Detach` found no place in the queue.
    pub(super) sweep: AtomicBool,
}

impl Handle {
    /// Makes the handle, with a first lease, and the receiving end of its queue.
    pub(super) fn new(room_id: RoomId) -> (Arc<Self>, mpsc::Receiver<Command>) {
        let (commands, inbox) = mpsc::channel(ROOM_QUEUE_MAX);
        let handle = Self {
            room_id,
            commands,
            waiting_bytes: AtomicUsize::new(0),
            leases: AtomicUsize::new(1),
            head: AtomicU64::new(0),
            looks: AtomicBool::new(false),
            sweep: AtomicBool::new(false),
        };
        (Arc::new(handle), inbox)
    }

    /// Called under the registry's shard lock, so that no room ends with a lease on it.
    pub(super) fn add_lease(&self) {
        self.leases.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn is_leased(&self) -> bool {
        self.leases.load(Ordering::Acquire) > 0
    }

    /// Queues an event without waiting. If there is no place, the room learns that the event exists, and reads it from
    /// the log.
    pub(super) fn publish(&self, event: Event) {
        if let EventBody::Read {
            user_id,
            seq,
            member_count,
        } = event.body
        {
            if member_count <= MARKERS_ROOM_MAX {
                self.pass(Command::Marker { user_id, seq });
            }
            return;
        }
        let (rev, bytes) = (event.rev, event.bytes());
        let waiting = self.waiting_bytes.fetch_add(bytes, Ordering::AcqRel);
        // A single event has its place, however large it is.
        let fits = waiting == 0 || waiting + bytes <= ROOM_QUEUE_BYTES_MAX;
        if !fits || self.commands.try_send(Command::Event(event)).is_err() {
            self.taken(bytes);
            self.raise_head(rev);
        }
    }

    /// Events of so many bytes have left the queue.
    pub(super) fn taken(&self, bytes: usize) {
        self.waiting_bytes.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// Queues what may be dropped, in half of the queue at most: the other half is for what may not.
    fn pass(&self, command: Command) {
        if self.commands.capacity() > ROOM_QUEUE_MAX / 2 {
            let _ = self.commands.try_send(command);
        }
    }

    /// Tells the room that it has come to `rev`.
    pub(super) fn raise_head(&self, rev: Rev) {
        if self.head.fetch_max(rev, Ordering::AcqRel) < rev
            && !self.looks.swap(true, Ordering::AcqRel)
            && self.commands.try_send(Command::Look).is_err()
        {
            // The queue is full: the room has commands to take, and looks after each turn.
            self.looks.store(false, Ordering::Release);
        }
    }
}

/// Keeps a room's task alive for a connection, from before it reads the log until it unsubscribes. Dropping it ends live
/// delivery.
pub struct Lease {
    pub(super) handle: Arc<Handle>,
    pub(super) connection: ConnectionId,
}

/// The room's task panicked: the connection closes with 4003.
#[derive(Debug)]
pub struct RoomFailed;

impl Lease {
    pub fn room_id(&self) -> RoomId {
        self.handle.room_id
    }

    /// Begins live delivery at `subscriber.at`. `greeting` is written first, in the same order.
    pub async fn attach(
        &self,
        subscriber: Subscriber,
        greeting: Bytes,
    ) -> Result<Attached, RoomFailed> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Attach {
            subscriber,
            greeting,
            reply,
        };
        self.handle
            .commands
            .send(command)
            .await
            .map_err(|_| RoomFailed)?;
        answer.await.map_err(|_| RoomFailed)
    }

    /// Tells the others that this connection's user types.
    pub fn typing(&self) {
        let id = self.connection;
        self.handle.pass(Command::Typing { id });
    }

    /// Ends live delivery: nothing of the room is written after this returns.
    pub async fn detach(self) -> Result<(), RoomFailed> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Detach {
            id: self.connection,
            reply: Some(reply),
        };
        self.handle
            .commands
            .send(command)
            .await
            .map_err(|_| RoomFailed)?;
        answer.await.map_err(|_| RoomFailed)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.handle.leases.fetch_sub(1, Ordering::AcqRel);
        let command = Command::Detach {
            id: self.connection,
            reply: None,
        };
        if self.handle.commands.try_send(command).is_err() {
            self.handle.sweep.store(true, Ordering::Release);
            // The room may have emptied its queue in between. If there is still no place, it has turns to come.
            let _ = self.handle.commands.try_send(Command::Look);
        }
    }
}
