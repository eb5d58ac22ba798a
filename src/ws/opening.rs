//! What a connection says first: `ready`, and on a room socket the room's last messages.

use bytes::Bytes;

use super::{
    catch_up::{Caught, synced},
    frame,
    worker::{Done, Stop, Worker},
};
use crate::{
    hub::{Attached, Lease},
    limits::{HEARTBEAT, PRESENCE_ROOM_MAX},
    protocol::{
        self, RoomId,
        close::Close,
        error::{Code, Refusal},
        rest::{Limits, Room},
        server::{Frame, Live, Ready},
    },
    store::Range,
};

impl Worker {
    /// Says `ready`. On a room socket plays history back and goes live.
    pub(super) async fn open(mut self: Box<Self>) -> Done {
        let result = match self.only {
            None => self.open_all().await,
            Some((room_id, history)) => self.open_room(room_id, history).await,
        };
        (self, result)
    }

    async fn open_all(&mut self) -> Result<(), Close> {
        // What opening reads is included in the price of a socket.
        let (chat, who) = (self.chat.clone(), self.who.clone());
        let rooms = self.in_turn(async move { chat.my_rooms(&who).await });
        let rooms = or_close(rooms.await)?;
        let small = rooms
            .iter()
            .filter(|room| room.member_count <= PRESENCE_ROOM_MAX);
        let small: Vec<RoomId> = small.map(|room| room.id).collect();
        self.ready(&rooms, &small).await
    }

    /// Makes the user be seen in all of their small rooms, and says `ready` with those of this socket. Rooms that don't
    /// fit into it follow at the socket's pace.
    async fn ready(&mut self, rooms: &[Room], small: &[RoomId]) -> Result<(), Close> {
        self.known = rooms.iter().map(|room| (room.id, room.rev)).collect();
        self.registration.arrive(small);
        let seen = self.hub.online(self.who.user.id, self.only());
        self.told = seen.told;
        let epoch = self.chat.epoch();
        let mut ready = Ready {
            protocol: protocol::VERSION,
            user: &self.who.user,
            session_id: self.who.session_id,
            expires_at: self.who.expires_at,
            epoch: &epoch,
            rooms: &[],
            more_rooms: 0,
            online: &seen.ids,
            online_truncated: seen.truncated,
            heartbeat_s: HEARTBEAT.as_secs(),
            limits: Limits::CURRENT,
        };
        let later = ready.fill(rooms);
        self.say(&Frame::Ready(Box::new(ready)));
        for room in later {
            self.written().await?;
            self.say_added(room);
        }
        Ok(())
    }

    async fn open_room(&mut self, room_id: RoomId, history: usize) -> Result<(), Close> {
        let room = match self.room(room_id).await {
            Ok(room) if room.mine.is_some() => room,
            Ok(_) => return Err(Close::NotAMember),
            Err(Stop::Refused(refusal)) if refusal.code == Code::NotFound => {
                return Err(Close::NotAMember);
            }
            Err(Stop::Refused(_)) => return Err(Close::GoingAway),
            Err(Stop::Close(close)) => return Err(close),
        };
        let (chat, who) = (self.chat.clone(), self.who.clone());
        let small = self.in_turn(async move { chat.small_rooms(&who).await });
        let small = or_close(small.await)?;
        self.ready(std::slice::from_ref(&room), &small).await?;
        let lease = self.hub.lease(room_id, &self.mailbox);
        let caught = self.replay(lease, history).await;
        self.finish_unasked(room_id, caught)
    }

    /// Plays the last messages back, then goes live from where they end.
    async fn replay(&self, lease: Lease, history: usize) -> Result<Caught, Stop> {
        let room_id = lease.room_id();
        loop {
            // If the page is played back again, the one before must have been written.
            self.written().await?;
            let (chat, who) = (self.chat.clone(), self.who.clone());
            let count = history.max(1);
            let page = self
                .in_turn(async move { chat.history(&who, room_id, Range::Latest, count).await });
            let mut page = match page.await? {
                Ok(page) => page,
                Err(refusal) if matches!(refusal.code, Code::Unavailable | Code::Internal) => {
                    return Err(Stop::Refused(refusal));
                }
                Err(_) => return Ok(Caught::Removed),
            };
            let mut bytes = Vec::new();
            let skip = page.items.len().saturating_sub(history);
            for message in page.items.iter_mut().skip(skip) {
                // Frames don't say what differs by reader.
                message.reactions.iter_mut().for_each(|of| of.me = false);
                let frame = Frame::Message(Live::replayed(&*message));
                frame::append(&mut bytes, &frame, self.mailbox.wire());
            }
            let Some(mut standing) = self.standing(room_id).await? else {
                return Ok(Caught::Removed);
            };
            self.mailbox.answer(Bytes::from(bytes));
            let last_seq = page.items.last().map_or(0, |message| message.seq);
            let at = page.rev.unwrap_or(standing.rev);
            standing.rewind(last_seq);
            let greeting = self.framed(&synced(at, &standing, None));
            match self.attach(&lease, at, at, greeting).await? {
                Attached::Live => return Ok(Caught::Live(lease)),
                Attached::Removed => return Ok(Caught::Removed),
                // The page is played back again. The client replaces messages by `seq`.
                Attached::Behind => {}
            }
        }
    }
}

/// What `ready` needs was read, or the connection closes.
fn or_close<T>(read: Result<Result<T, Refusal>, Stop>) -> Result<T, Close> {
    match read {
        Ok(Ok(read)) => Ok(read),
        Err(Stop::Close(close)) => Err(close),
        Ok(Err(_)) | Err(Stop::Refused(_)) => Err(Close::GoingAway),
    }
}
