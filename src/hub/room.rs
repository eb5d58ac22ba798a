//! A live room: the one task that delivers the room's events, in `rev` order, to the mailboxes of its subscribers. It waits
//! for nobody on the live path: what is missing is read from the log beside it.
//!
//! Attaching has no seam: the connection reads the log up to some `rev` and asks to be attached there, and the room replays
//! from its ring what came since. A room that can't reach back that far says so, and the connection reads once more.

use std::{
    mem,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{
    encode::{Encoded, PrevField, encode, gather},
    ephemeral::{self, Ephemeral},
    handle::{Attached, Command, Handle, Subscriber},
    joined,
    mailbox::{ConnectionId, Delivery},
    order::Order,
    registry::Hub,
    wire::{Framed, Wire},
};
use crate::{
    limits::{FANOUT_BYTES, FANOUT_CHUNK, GAP_RETRY, ROOM_TURN_COMMANDS, TYPING_SUBSCRIBERS_MAX},
    protocol::{close::Close, server::Frame},
    store::{self, EventBody},
};

/// The text of a frame that tells who types, or a marker, is shorter.
const EPHEMERAL_TEXT_BYTES: usize = 128;

/// The subscribers of a room. If its task panics, they are closed with a code that invites a reconnect.
struct Subscribers(Vec<Subscriber>);

impl Drop for Subscribers {
    fn drop(&mut self) {
        for subscriber in &self.0 {
            subscriber.mailbox.close(Close::RoomFailed);
        }
    }
}

type Reading = Pin<Box<dyn Future<Output = store::Result<Option<store::Page>>> + Send>>;

/// The task.
pub(super) struct Room {
    hub: Arc<Hub>,
    handle: Arc<Handle>,
    inbox: mpsc::Receiver<Command>,
    order: Order,
    subscribers: Subscribers,
    ephemeral: Ephemeral,
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
            subscribers: Subscribers(Vec::new()),
            ephemeral: Ephemeral::default(),
            reading: None,
        }
    }

    /// Runs until nobody subscribes or is about to.
    pub(super) async fn run(mut self) {
        let mut turn = Vec::new();
        loop {
            tokio::select! {
                _ = self.inbox.recv_many(&mut turn, ROOM_TURN_COMMANDS) => {}
                read = async { self.reading.as_mut().expect("guarded").await }, if self.reading.is_some() => {
                    self.reading = None;
                    self.filled(read);
                }
                _ = self.ephemeral.markers_due(), if self.ephemeral.has_markers() => {
                    self.tell_markers().await;
                }
            }
            for command in turn.drain(..) {
                self.act_on(command).await;
            }
            self.deliver().await;
            if self.handle.sweep.swap(false, Ordering::AcqRel) {
                self.subscribers
                    .0
                    .retain(|subscriber| subscriber.mailbox.backlog().close.is_none());
            }
            if self.is_behind() {
                self.read_the_gap();
            }
            if self.subscribers.0.is_empty()
                && self.hub.retire(&self.handle, || self.inbox.is_empty())
            {
                return;
            }
        }
    }

    async fn act_on(&mut self, command: Command) {
        match command {
            Command::Event(event) => {
                let encoded = encode(&event, self.hub.framing, PrevField::WhereSkipped);
                self.order.arrive(encoded);
                self.handle.taken(event.bytes());
            }
            Command::Attach {
                subscriber,
                greeting,
                reply,
            } => {
                self.deliver().await;
                let attached = self.attach(subscriber, greeting);
                let _ = reply.send(attached);
            }
            Command::Detach { id, reply } => {
                self.deliver().await;
                self.subscribers
                    .0
                    .retain(|subscriber| subscriber.mailbox.id() != id);
                if let Some(reply) = reply {
                    let _ = reply.send(());
                }
            }
            Command::Marker { user_id, seq } => self.ephemeral.mark(user_id, seq, Instant::now()),
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

    fn attach(&mut self, subscriber: Subscriber, greeting: Bytes) -> Attached {
        self.order.start_at(subscriber.at);
        // Events that had waited for a position are in order now, and belong to nobody yet.
        if self.subscribers.0.is_empty() {
            while self.order.advance().is_some() {}
        }
        let Some(since) = self.order.since(subscriber.at) else {
            return Attached::Behind;
        };
        let since: Vec<&Encoded> = since.collect();
        if since
            .iter()
            .any(|event| event.left == Some(subscriber.user_id) && event.rev > subscriber.verified)
        {
            return Attached::Removed;
        }
        let replay = gather(since.into_iter(), subscriber.mailbox.wire());
        subscriber.mailbox.forget_lag(self.handle.room_id);
        if !greeting.is_empty() {
            subscriber.mailbox.answer(greeting);
        }
        if !replay.is_empty() {
            subscriber.mailbox.answer(replay);
        }
        self.subscribers
            .0
            .retain(|other| other.mailbox.id() != subscriber.mailbox.id());
        self.subscribers.0.push(subscriber);
        Attached::Live
    }

    /// Delivers all that is in order, in pieces of at most one write each.
    async fn deliver(&mut self) {
        let events: Vec<Encoded> = std::iter::from_fn(|| self.order.advance()).collect();
        let mut piece: Vec<Encoded> = Vec::new();
        let mut bytes = 0;
        for event in joined::join(self.handle.room_id, events, self.hub.framing) {
            if event.ends {
                // The subscribers' connections say `removed`.
                self.fan_out(mem::take(&mut piece)).await;
                self.subscribers.0.clear();
                return;
            }
            if bytes + event.bytes.len() > FANOUT_BYTES {
                self.fan_out(mem::take(&mut piece)).await;
                bytes = 0;
            }
            if let Some(user_id) = event.left {
                // Members who have left get what came before this event; `removed` comes from their connections.
                self.fan_out(mem::take(&mut piece)).await;
                bytes = 0;
                let rev = event.rev;
                self.subscribers.0.retain(|subscriber| {
                    subscriber.user_id != user_id || subscriber.verified >= rev
                });
            }
            bytes += event.bytes.len();
            piece.push(event);
        }
        self.fan_out(piece).await;
    }

    /// Writes a whole piece to each subscriber at once. Its bytes are made once for each wire that a subscriber has.
    async fn fan_out(&mut self, piece: Vec<Encoded>) {
        let (Some(first), Some(last)) = (piece.first(), piece.last()) else {
            return;
        };
        let mut gathered = [const { None::<Bytes> }; Wire::COUNT];
        let (before, first, upto) = (first.prev, first.rev, last.rev);
        let room_id = self.handle.room_id;
        let served = self.subscribers.0.len();
        let mut index = 0;
        while index < self.subscribers.0.len() {
            let subscriber = &self.subscribers.0[index];
            let wire = subscriber.mailbox.wire();
            let delivery = if subscriber.at < first {
                let bytes =
                    gathered[wire as usize].get_or_insert_with(|| gather(piece.iter(), wire));
                subscriber.mailbox.deliver(bytes, piece.len())
            } else {
                // Attached ahead of the room: only what it doesn't have yet.
                let rest = gather(piece.iter().filter(|event| event.rev > subscriber.at), wire);
                if rest.is_empty() {
                    Delivery::Accepted
                } else {
                    subscriber.mailbox.deliver(&rest, piece.len())
                }
            };
            match delivery {
                Delivery::Accepted => index += 1,
                Delivery::Full => {
                    let subscriber = self.subscribers.0.swap_remove(index);
                    subscriber.mailbox.lag(room_id, before.max(subscriber.at));
                    self.hub.metrics.lagged.increment(1);
                }
                Delivery::Closed => {
                    self.subscribers.0.swap_remove(index);
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

    /// Tells all others that the user of a connection to which the room is live types.
    async fn tell_typing(&mut self, id: ConnectionId) {
        if self.subscribers.0.len() > TYPING_SUBSCRIBERS_MAX || self.is_behind() {
            return;
        }
        let mut subscribers = self.subscribers.0.iter();
        let typist = subscribers.find(|subscriber| subscriber.mailbox.id() == id);
        let Some(user_id) = typist.map(|subscriber| subscriber.user_id) else {
            return;
        };
        if !self.ephemeral.starts_typing(user_id, Instant::now()) {
            return;
        }
        let room_id = self.handle.room_id;
        let frame = Frame::Typing { room_id, user_id };
        let bytes = Framed::new(&frame, self.hub.framing, EPHEMERAL_TEXT_BYTES);
        let told = ephemeral::tell(&self.subscribers.0, &[(user_id, bytes)]).await;
        self.hub.metrics.typing.increment(told);
    }

    /// Tells all others how far members have read.
    async fn tell_markers(&mut self) {
        let room_id = self.handle.room_id;
        let markers = self.ephemeral.take_markers().into_iter();
        if self.is_behind() {
            return;
        }
        let frames: Vec<_> = markers
            .map(|(user_id, seq)| {
                let frame = Frame::Read {
                    room_id,
                    user_id,
                    seq,
                    last_seq: None,
                    unread: None,
                    unread_mentions: None,
                };
                let bytes = Framed::new(&frame, self.hub.framing, EPHEMERAL_TEXT_BYTES);
                (user_id, bytes)
            })
            .collect();
        let told = ephemeral::tell(&self.subscribers.0, &frames).await;
        self.hub.metrics.markers.increment(told);
    }

    /// Whether something happened that isn't delivered yet. It may have ended a subscriber's membership, so nothing
    /// ephemeral is told meanwhile.
    fn is_behind(&mut self) -> bool {
        let head = self.handle.head.load(Ordering::Acquire);
        self.order.raise_head(head);
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
            // No busy loop while the log doesn't answer, or doesn't show the head yet.
            if !matches!(&page, Ok(Some(page)) if page.upto > after) {
                tokio::time::sleep(GAP_RETRY).await;
            }
            page
        }));
    }

    fn filled(&mut self, read: store::Result<Option<store::Page>>) {
        match read {
            Ok(Some(page)) => {
                let before = self.order.position();
                for event in &page.events {
                    // If the event was missed, so was the notice. A second one does no harm.
                    if let EventBody::Member(member) = &event.body
                        && (member.role.is_none() || before < Some(member.joined_rev))
                    {
                        self.hub.notify_member(event.room_id, event.rev, member);
                    }
                }
                let events = page.events.iter();
                let encoded =
                    events.map(|event| encode(event, self.hub.framing, PrevField::Always));
                self.order.fill(encoded.collect(), page.head);
            }
            // Deleted: the next comparison of heads tells it.
            Ok(None) => {
                tracing::debug!(room_id = self.handle.room_id.0, "a live room was deleted");
            }
            Err(error) => {
                tracing::warn!(room_id = self.handle.room_id.0, %error, "a room can't read the events that it missed");
            }
        }
    }
}

#[cfg(test)]
mod tests;
