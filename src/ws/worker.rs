//! What a connection keeps of its client, and how it speaks to the client and reads for it. Its requests are in
//! [`super::requests`], what the client didn't ask for in [`super::opening`] and [`super::notices`].

use std::{collections::HashMap, sync::Arc, time::Instant};

use bytes::Bytes;
use uuid::Uuid;

use super::{
    frame,
    gateway::{Gateway, Opening},
};
use crate::{
    chat::{Chat, Identity},
    hub::{Attached, Hub, Lease, Mailbox, Registration, Stamp, Subscriber},
    protocol::{
        Ref, Rev, RoomId,
        close::Close,
        error::Refusal,
        rest::Room,
        server::{ErrorFrame, Frame},
    },
    store::Standing,
};

/// The state of one connection that its requests share.
pub(super) struct Worker {
    pub(super) chat: Arc<Chat>,
    pub(super) hub: Arc<Hub>,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) who: Identity,
    pub(super) registration: Registration,
    /// A room socket's room, and the messages to play back.
    pub(super) only: Option<(RoomId, usize)>,
    /// The rooms of which the client knows that it is a member, with the `rev` that `ready` or `added` gave.
    pub(super) known: HashMap<RoomId, Rev>,
    /// The rooms that are live on this socket.
    pub(super) live: HashMap<RoomId, Lease>,
    /// `sync` was sent: rooms that are added go live without being asked for.
    pub(super) synced: bool,
    /// Rooms in which the outcome of a message is unknown.
    pub(super) held: HashMap<RoomId, Held>,
    /// Up to here the client was told who came online and who went offline.
    pub(super) told: Stamp,
}

/// Until this message's outcome is known, its room takes no other message of this socket.
pub(super) struct Held {
    pub(super) id: Uuid,
    pub(super) until: Instant,
}

/// The worker after its work, and whether the connection closes.
pub(super) type Done = (Box<Worker>, Result<(), Close>);

/// Why a request ended without its answer.
pub(super) enum Stop {
    Refused(Refusal),
    Close(Close),
}

impl From<Close> for Stop {
    fn from(close: Close) -> Self {
        Stop::Close(close)
    }
}

impl Worker {
    pub(super) fn new(
        gateway: &Gateway,
        mailbox: Arc<Mailbox>,
        who: Identity,
        registration: Registration,
        opening: &Opening,
    ) -> Self {
        Self {
            chat: gateway.chat.clone(),
            hub: gateway.hub.clone(),
            mailbox,
            who,
            registration,
            only: opening.room_id.map(|room_id| (room_id, opening.history)),
            known: HashMap::new(),
            live: HashMap::new(),
            synced: false,
            held: HashMap::new(),
            told: 0,
        }
    }

    pub(super) fn say(&self, frame: &Frame) {
        self.mailbox.answer(self.framed(frame));
    }

    /// A frame as it travels over this connection's wire.
    pub(super) fn framed(&self, frame: &Frame) -> Bytes {
        frame::framed(frame, self.mailbox.wire())
    }

    pub(super) fn refuse(&self, reference: Option<&Ref>, refusal: &Refusal) {
        self.say(&Frame::Error(ErrorFrame::new(reference, refusal)));
    }

    pub(super) fn say_added(&self, room: &Room) {
        let room_id = room.id;
        self.say(&Frame::Added { room_id, room });
    }

    pub(super) fn say_removed(&self, reference: Option<&Ref>, room_id: RoomId, rev: Option<Rev>) {
        self.say(&Frame::Removed {
            reference,
            room_id,
            rev,
        });
    }

    /// The room of a room socket.
    pub(super) fn only(&self) -> Option<RoomId> {
        self.only.map(|(room_id, _)| room_id)
    }

    /// Whether this socket is about the room. A room socket is about one only.
    pub(super) fn serves(&self, room_id: RoomId) -> bool {
        self.only().is_none_or(|only| only == room_id)
    }

    /// Waits until the socket has taken what was said, so that more can be.
    pub(super) async fn written(&self) -> Result<(), Close> {
        self.mailbox.drained().await;
        self.still_open()
    }

    /// Fails if the connection is closing. Called after each wait for the socket or the database, so that nothing more is read for it
    /// then.
    pub(super) fn still_open(&self) -> Result<(), Close> {
        self.mailbox.backlog().closing().map_or(Ok(()), Err)
    }

    /// Reads for the user in one of their turns. The read goes on to its end even when the connection ends first: the
    /// database wouldn't notice, and the turn would be free too early.
    pub(super) async fn in_turn<T: Send + 'static>(
        &self,
        read: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Stop> {
        let turn = self.chat.turn(&self.who).await.map_err(Stop::Refused)?;
        let reading = tokio::spawn(async move {
            let _turn = turn;
            read.await
        });
        let read = reading.await;
        self.still_open()?;
        read.map_err(|_| Stop::Refused(Refusal::internal()))
    }

    pub(super) async fn room(&self, room_id: RoomId) -> Result<Room, Stop> {
        let (chat, who) = (self.chat.clone(), self.who.clone());
        let room = self.in_turn(async move { chat.room(&who, room_id).await });
        room.await?.map_err(Stop::Refused)
    }

    pub(super) async fn standing(&self, room_id: RoomId) -> Result<Option<Standing>, Stop> {
        Ok(self.standings(vec![room_id]).await?.into_iter().next())
    }

    pub(super) async fn standings(&self, rooms: Vec<RoomId>) -> Result<Vec<Standing>, Stop> {
        let (chat, who) = (self.chat.clone(), self.who.clone());
        let standings = self.in_turn(async move { chat.standings(&who, &rooms).await });
        standings.await?.map_err(Stop::Refused)
    }

    /// Subscribes to the room at `at`, the position that the client has reached, with `greeting` first. The membership was
    /// read when the room was known to have come to `verified`.
    pub(super) async fn attach(
        &self,
        lease: &Lease,
        at: Rev,
        verified: Rev,
        greeting: Bytes,
    ) -> Result<Attached, Stop> {
        let subscriber = Subscriber {
            mailbox: self.mailbox.clone(),
            user_id: self.who.user.id,
            at,
            verified,
        };
        lease
            .attach(subscriber, greeting)
            .await
            .map_err(|_| Stop::Close(Close::RoomFailed))
    }

    /// Ends live delivery: nothing of the room is written after this returns.
    pub(super) async fn unsubscribe(&mut self, room_id: RoomId) -> Result<(), Close> {
        if let Some(lease) = self.live.remove(&room_id) {
            lease.detach().await.map_err(|_| Close::RoomFailed)?;
        }
        // Not earlier: until it has let go, the room may note a lag.
        self.mailbox.forget_lag(room_id);
        Ok(())
    }
}
