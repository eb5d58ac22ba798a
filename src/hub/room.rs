//! A live room: the one task that delivers its events, in `rev` order, to the mailboxes of those who
//! listen. It waits for nobody on the live path: what is missing is read from the log beside it.
//!
//! Attaching has no seam: the session reads the log up to some head, then asks to be attached there,
//! and the room replays from its ring what came since. A room that can't reach back that far says so,
//! and the session reads once more.

use std::{
    mem,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::{
    Hub,
    encode::{Encoded, Wire, encode, gather},
    hints::Hints,
    mailbox::{ConnectionId, Delivery, Mailbox},
    order::Order,
    touch::join_touches,
};
use crate::{
    limits::{
        FANOUT_CHUNK, MAILBOX_BYTES_MAX, MARKERS_ROOM_MAX, ROOM_QUEUE_BYTES_MAX, ROOM_QUEUE_MAX,
    },
    protocol::{Rev, RoomId, Seq, UserId, close::Close},
    store::{self, Event, EventBody},
};

/// Bytes that go out in one write; the remainder of one is the most that a mailbox holds beyond its
/// bound.
const PIECE_BYTES: usize = MAILBOX_BYTES_MAX / 4;
/// Commands taken in one turn.
const TURN: usize = 256;
/// Before the log is asked again after it didn't answer.
const LOG_RETRY: Duration = Duration::from_millis(500);

/// Who wants to listen.
pub struct Listener {
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
    /// Live from the asked point on; the greeting was said first.
    Live,
    /// The room can't reach back that far: read the log again. Nothing was said.
    Behind,
    /// The membership has ended since it was verified. Nothing was said.
    Removed,
}

pub(super) enum Command {
    Event(Event),
    Attach {
        listener: Listener,
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
    /// Somebody types on this connection.
    Typing {
        id: ConnectionId,
    },
    /// Look at the handle's flags: a hint, a sweep, the last lease.
    Look,
    #[cfg(test)]
    Panic,
}

/// How others reach a room's task.
pub(super) struct Handle {
    pub(super) room_id: RoomId,
    commands: mpsc::Sender<Command>,
    /// What the events hold that the room hasn't taken yet.
    waiting_bytes: AtomicUsize,
    /// Sessions that listen or are about to: the task lives while there are any.
    leases: AtomicUsize,
    /// The highest `rev` that is known to exist though its event found no place.
    hint: AtomicU64,
    /// The room is about to look at it.
    looks: AtomicBool,
    /// A listener closed and its `Detach` found no place.
    sweep: AtomicBool,
}

impl Handle {
    /// Makes the handle, with a first lease, and what its task needs to run.
    pub(super) fn new(room_id: RoomId) -> (Arc<Self>, mpsc::Receiver<Command>) {
        let (commands, inbox) = mpsc::channel(ROOM_QUEUE_MAX);
        let handle = Self {
            room_id,
            commands,
            waiting_bytes: AtomicUsize::new(0),
            leases: AtomicUsize::new(1),
            hint: AtomicU64::new(0),
            looks: AtomicBool::new(false),
            sweep: AtomicBool::new(false),
        };
        (Arc::new(handle), inbox)
    }

    /// Called under the registry's shard lock, so that no room ends with a lease on it.
    pub(super) fn lease(&self) {
        self.leases.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn is_leased(&self) -> bool {
        self.leases.load(Ordering::Acquire) > 0
    }

    /// Hands an event over without waiting; without a place the room learns that it exists, and
    /// reads it from the log.
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
        // One alone finds its place, whatever it holds.
        let fits = waiting == 0 || waiting + bytes <= ROOM_QUEUE_BYTES_MAX;
        if !fits || self.commands.try_send(Command::Event(event)).is_err() {
            self.taken(bytes);
            self.hint(rev);
        }
    }

    /// The room has taken so much from its queue.
    fn taken(&self, bytes: usize) {
        self.waiting_bytes.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// Hands over what may be dropped; half of the queue is for what may not.
    fn pass(&self, command: Command) {
        if self.commands.capacity() > ROOM_QUEUE_MAX / 2 {
            let _ = self.commands.try_send(command);
        }
    }

    /// Tells the room that it has come to `rev`.
    pub(super) fn hint(&self, rev: Rev) {
        if self.hint.fetch_max(rev, Ordering::AcqRel) < rev
            && !self.looks.swap(true, Ordering::AcqRel)
            && self.commands.try_send(Command::Look).is_err()
        {
            // Without a place the room has turns to come, and looks after each.
            self.looks.store(false, Ordering::Release);
        }
    }
}

/// A session's hold on a live room: from before it reads the log until it stops listening. Dropping
/// it ends live delivery.
pub struct Lease {
    pub(super) handle: Arc<Handle>,
    pub(super) connection: ConnectionId,
}

/// The room's task died: the session closes with 4003.
#[derive(Debug)]
pub struct RoomFailed;

impl Lease {
    pub fn room_id(&self) -> RoomId {
        self.handle.room_id
    }

    /// Begins live delivery at `listener.at`. `greeting` is written first, in the same order.
    pub async fn attach(
        &self,
        listener: Listener,
        greeting: Bytes,
    ) -> Result<Attached, RoomFailed> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Attach {
            listener,
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

    /// Tells the others that somebody types here.
    pub fn typing(&self) {
        let id = self.connection;
        self.handle.pass(Command::Typing { id });
    }

    /// Ends live delivery; nothing of the room is written after it returns.
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
            // The room may have taken all its turns in between. Still no place: it has turns to come.
            let _ = self.handle.commands.try_send(Command::Look);
        }
    }
}

/// The listeners of a room. If the task dies, they are closed with a code that invites a reconnect.
pub(super) struct Listeners(pub(super) Vec<Listener>);

impl Drop for Listeners {
    fn drop(&mut self) {
        for listener in &self.0 {
            listener.mailbox.close(Close::RoomFailed);
        }
    }
}

type Reading = Pin<Box<dyn Future<Output = store::Result<Option<store::Page>>> + Send>>;

/// The task.
pub(super) struct Room {
    pub(super) hub: Arc<Hub>,
    pub(super) handle: Arc<Handle>,
    inbox: mpsc::Receiver<Command>,
    order: Order,
    pub(super) listeners: Listeners,
    pub(super) hints: Hints,
    /// The log is being read to fill a gap.
    reading: Option<Reading>,
}

impl Room {
    pub(super) fn new(hub: Arc<Hub>, handle: Arc<Handle>, inbox: mpsc::Receiver<Command>) -> Self {
        Self {
            hub,
            handle,
            inbox,
            order: Order::default(),
            listeners: Listeners(Vec::new()),
            hints: Hints::default(),
            reading: None,
        }
    }

    /// Runs until nobody listens or is about to.
    pub(super) async fn run(mut self) {
        let mut turn = Vec::new();
        loop {
            tokio::select! {
                _ = self.inbox.recv_many(&mut turn, TURN) => {}
                read = async { self.reading.as_mut().expect("guarded").await }, if self.reading.is_some() => {
                    self.reading = None;
                    self.filled(read);
                }
                _ = self.hints.ripe(), if self.hints.are_waiting() => self.tell_markers().await,
            }
            for command in turn.drain(..) {
                self.take(command).await;
            }
            self.deliver().await;
            if self.handle.sweep.swap(false, Ordering::AcqRel) {
                self.listeners
                    .0
                    .retain(|listener| listener.mailbox.backlog().close.is_none());
            }
            if self.is_behind() {
                self.read_the_gap();
            }
            if self.listeners.0.is_empty()
                && self.hub.retire(&self.handle, || self.inbox.is_empty())
            {
                return;
            }
        }
    }

    async fn take(&mut self, command: Command) {
        match command {
            Command::Event(event) => {
                self.order.arrive(encode(&event, self.hub.framing, false));
                self.handle.taken(event.bytes());
            }
            Command::Attach {
                listener,
                greeting,
                reply,
            } => {
                self.deliver().await;
                let attached = self.attach(listener, greeting);
                let _ = reply.send(attached);
            }
            Command::Detach { id, reply } => {
                self.deliver().await;
                self.listeners
                    .0
                    .retain(|listener| listener.mailbox.id() != id);
                if let Some(reply) = reply {
                    let _ = reply.send(());
                }
            }
            Command::Marker { user_id, seq } => self.hints.mark(user_id, seq, Instant::now()),
            Command::Typing { id } => {
                self.deliver().await;
                self.tell_typing(id).await;
            }
            Command::Look => {
                self.handle.looks.swap(false, Ordering::AcqRel);
            }
            #[cfg(test)]
            Command::Panic => panic!("a test asked for it"),
        }
    }

    fn attach(&mut self, listener: Listener, greeting: Bytes) -> Attached {
        self.order.adopt(listener.at);
        // Events that had waited for a head are in order now, and belong to nobody yet.
        if self.listeners.0.is_empty() {
            while self.order.advance().is_some() {}
        }
        let Some(since) = self.order.since(listener.at) else {
            return Attached::Behind;
        };
        let since: Vec<&Encoded> = since.collect();
        if since
            .iter()
            .any(|event| event.left == Some(listener.user_id) && event.rev > listener.verified)
        {
            return Attached::Removed;
        }
        let replay = gather(since.into_iter(), listener.mailbox.wire());
        listener.mailbox.forget_lag(self.handle.room_id);
        if !greeting.is_empty() {
            listener.mailbox.answer(greeting);
        }
        if !replay.is_empty() {
            listener.mailbox.answer(replay);
        }
        self.listeners
            .0
            .retain(|other| other.mailbox.id() != listener.mailbox.id());
        self.listeners.0.push(listener);
        Attached::Live
    }

    /// Delivers all that is in order, in pieces of at most one write each.
    async fn deliver(&mut self) {
        let events: Vec<Encoded> = std::iter::from_fn(|| self.order.advance()).collect();
        let mut piece: Vec<Encoded> = Vec::new();
        let mut bytes = 0;
        for event in join_touches(self.handle.room_id, events, self.hub.framing) {
            if event.ends {
                // Their sessions say `removed`.
                self.fan_out(mem::take(&mut piece)).await;
                self.listeners.0.clear();
                return;
            }
            if bytes + event.bytes.len() > PIECE_BYTES {
                self.fan_out(mem::take(&mut piece)).await;
                bytes = 0;
            }
            let left = event.left.map(|user_id| (user_id, event.rev));
            bytes += event.bytes.len();
            piece.push(event);
            if let Some((user_id, rev)) = left {
                // Whoever has left gets what came before, and `removed` from his session.
                let end = piece.pop().expect("just pushed");
                self.fan_out(mem::take(&mut piece)).await;
                self.listeners
                    .0
                    .retain(|listener| listener.user_id != user_id || listener.verified >= rev);
                bytes = end.bytes.len();
                piece.push(end);
            }
        }
        self.fan_out(piece).await;
    }

    /// One write per listener for the whole piece, whose bytes are made once for each wire that is
    /// listened on.
    async fn fan_out(&mut self, piece: Vec<Encoded>) {
        let (Some(first), Some(last)) = (piece.first(), piece.last()) else {
            return;
        };
        let mut joined = [const { None::<Bytes> }; Wire::COUNT];
        let before = first.prev;
        let first = first.rev;
        let upto = last.rev;
        let room_id = self.handle.room_id;
        let served = self.listeners.0.len();
        let mut index = 0;
        while index < self.listeners.0.len() {
            let listener = &self.listeners.0[index];
            let wire = listener.mailbox.wire();
            let delivery = if listener.at < first {
                let bytes = joined[wire as usize].get_or_insert_with(|| gather(piece.iter(), wire));
                listener.mailbox.deliver(bytes, piece.len())
            } else {
                // Attached ahead of the room: only what it doesn't have yet.
                let rest = gather(piece.iter().filter(|event| event.rev > listener.at), wire);
                if rest.is_empty() {
                    Delivery::Taken
                } else {
                    listener.mailbox.deliver(&rest, piece.len())
                }
            };
            match delivery {
                Delivery::Taken => index += 1,
                Delivery::Full => {
                    let listener = self.listeners.0.swap_remove(index);
                    listener.mailbox.lag(room_id, before.max(listener.at));
                    self.hub.metrics.lagged.increment(1);
                }
                Delivery::Closed => {
                    self.listeners.0.swap_remove(index);
                }
            }
            if index % FANOUT_CHUNK == FANOUT_CHUNK - 1 {
                tokio::task::yield_now().await;
            }
        }
        tracing::trace!(room_id = room_id.0, rev = upto, "delivered");
        self.hub.metrics.events.increment(piece.len() as u64);
        self.hub
            .metrics
            .deliveries
            .increment((served * piece.len()) as u64);
    }

    /// Whether something happened that isn't delivered yet: it may have ended a listener's membership, and what may
    /// be dropped is told to nobody meanwhile.
    pub(super) fn is_behind(&mut self) -> bool {
        self.order.hint(self.handle.hint.load(Ordering::Acquire));
        self.order.gap().is_some()
    }

    fn read_the_gap(&mut self) {
        let Some(after) = self.order.gap() else {
            return;
        };
        if self.reading.is_some() {
            return;
        }
        self.hub.metrics.gaps.increment(1);
        let store = self.hub.store().clone();
        let room_id = self.handle.room_id;
        self.reading = Some(Box::pin(async move {
            let page = store.changes(room_id, after).await;
            // No hot loop when the log doesn't answer, or shows less than was hinted at.
            if !matches!(&page, Ok(Some(page)) if page.upto > after) {
                tokio::time::sleep(LOG_RETRY).await;
            }
            page
        }));
    }

    fn filled(&mut self, read: store::Result<Option<store::Page>>) {
        match read {
            Ok(Some(page)) => {
                let before = self.order.head();
                for event in &page.events {
                    // Whoever missed the event missed the notice too; told twice does no harm.
                    if let EventBody::Member(member) = &event.body
                        && (member.role.is_none() || before < Some(member.joined_rev))
                    {
                        self.hub.notify_member(event.room_id, event.rev, member);
                    }
                }
                self.order.fill(
                    page.events
                        .iter()
                        .map(|event| encode(event, self.hub.framing, true))
                        .collect(),
                    page.head,
                );
            }
            // Deleted; the look at the heads tells it.
            Ok(None) => tracing::debug!(room_id = self.handle.room_id.0, "a live room is gone"),
            Err(error) => {
                tracing::warn!(room_id = self.handle.room_id.0, %error, "a room can't read what it missed")
            }
        }
    }
}

#[cfg(test)]
mod tests;
