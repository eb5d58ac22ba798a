//! What a session does for its client: one request or one notice at a time, each answered once.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use uuid::Uuid;

use super::{
    Gateway, Opening,
    catch_up::{Caught, Start, Stop, opened, synced},
    frame,
};
use crate::{
    chat::{Chat, Identity, Updated},
    hub::{Attached, Hub, Lease, Mailbox, Notice, Registration, Stamp},
    limits::{HEARTBEAT, HOLD_DEADLINE, PRESENCE_ROOM_MAX, ROOMS_PER_USER_MAX},
    protocol::{
        self, Rev, RoomId, Seq,
        client::{BadFrame, Frame as ClientFrame, Ref, Request},
        close::Close,
        error::{Code, FieldError, Refusal},
        rest::{Limits, Room},
        server::{Ack, ErrorFrame, Frame, Live, Ready},
    },
    store::Range,
};

/// The state of one session that its requests share.
pub(super) struct Worker {
    pub(super) chat: Arc<Chat>,
    pub(super) hub: Arc<Hub>,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) who: Identity,
    registration: Registration,
    /// A room socket's room, and the messages to play back.
    only: Option<(RoomId, usize)>,
    /// The rooms that the client knows itself to be in, with the `rev` that `ready` or `added` gave.
    pub(super) known: HashMap<RoomId, Rev>,
    /// The rooms that are live on this socket.
    pub(super) live: HashMap<RoomId, Lease>,
    /// `sync` was sent: rooms that are added go live by themselves.
    pub(super) synced: bool,
    /// Rooms in which a message's outcome is open.
    held: HashMap<RoomId, Held>,
    /// Up to here the client was told who came online and who went.
    told: Stamp,
}

/// Until this message's outcome is known, its room takes no other of this socket.
struct Held {
    id: Uuid,
    until: Instant,
}

pub(super) type Done = (Box<Worker>, Result<(), Close>);

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

    /// A frame as it travels over this session's wire.
    pub(super) fn framed(&self, frame: &Frame) -> Bytes {
        frame::framed(frame, self.mailbox.wire())
    }

    fn refuse(&self, reference: Option<&Ref>, refusal: &Refusal) {
        self.say(&Frame::Error(ErrorFrame::new(reference, refusal)));
    }

    /// Says `ready`; on a room socket plays history back and goes live.
    pub(super) async fn open(mut self: Box<Self>) -> Done {
        let result = match self.only {
            None => self.open_all().await,
            Some((room_id, history)) => self.open_room(room_id, history).await,
        };
        (self, result)
    }

    async fn open_all(&mut self) -> Result<(), Close> {
        // What opening reads is within the price of a socket.
        let (chat, who) = (self.chat.clone(), self.who.clone());
        let rooms = self.in_turn(async move { chat.my_rooms(&who).await });
        let rooms = opened(rooms.await)?;
        let small = rooms
            .iter()
            .filter(|room| room.member_count <= PRESENCE_ROOM_MAX);
        let small: Vec<RoomId> = small.map(|room| room.id).collect();
        self.ready(&rooms, &small).await
    }

    /// Makes the user be seen in all of his small rooms, and says `ready` with those of this socket; what doesn't fit
    /// into it follows at the socket's pace.
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
            self.added(room);
        }
        Ok(())
    }

    fn added(&self, room: &Room) {
        let room_id = room.id;
        self.say(&Frame::Added { room_id, room });
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
        let small = opened(small.await)?;
        self.ready(std::slice::from_ref(&room), &small).await?;
        let lease = self.hub.lease(room_id, &self.mailbox);
        let caught = self.replay(lease, history).await;
        self.settle(room_id, caught, None)
    }

    /// Plays the last messages back, then goes live from where they end.
    async fn replay(&self, lease: Lease, history: usize) -> Result<Caught, Stop> {
        loop {
            // A page that is played back again waits for the one before.
            self.written().await?;
            let (chat, who, room_id) = (self.chat.clone(), self.who.clone(), lease.room_id());
            let count = history.max(1);
            let page = self
                .in_turn(async move { chat.history(&who, room_id, Range::Latest, count).await });
            let mut page = match page.await? {
                Ok(page) => page,
                Err(refusal)
                    if refusal.code == Code::Unavailable || refusal.code == Code::Internal =>
                {
                    return Err(Stop::Refused(refusal));
                }
                Err(_) => return Ok(Caught::Removed),
            };
            let mut bytes = Vec::new();
            let skip = page.items.len().saturating_sub(history);
            for message in page.items.iter_mut().skip(skip) {
                // Frames don't say what differs by reader.
                message.reactions.iter_mut().for_each(|of| of.me = false);
                let frame = Frame::Message(Live {
                    change: message,
                    prev: None,
                    replay: true,
                });
                frame::append(&mut bytes, &frame, self.mailbox.wire());
            }
            let Some(standing) = self.standing(lease.room_id()).await? else {
                return Ok(Caught::Removed);
            };
            self.mailbox.answer(Bytes::from(bytes));
            let last_seq = page.items.last().map_or(0, |message| message.seq);
            let at = page.rev.unwrap_or(standing.rev);
            let standing = standing.up_to(last_seq);
            let greeting = self.framed(&synced(at, &standing, None));
            match self.attach(&lease, at, at, greeting).await? {
                Attached::Live => return Ok(Caught::Live(lease)),
                Attached::Removed => return Ok(Caught::Removed),
                // The page is played back again; the client replaces by `seq`.
                Attached::Behind => {}
            }
        }
    }

    /// A room stopped delivering to this mailbox: told once everything before it was written.
    pub(super) fn lagged(&mut self, room_id: RoomId, rev: Rev) {
        self.live.remove(&room_id);
        self.say(&Frame::Lagged { room_id, rev });
    }

    /// Tells who came online and who went since it was told last: what doesn't fit, the next time.
    pub(super) fn tell_presence(&mut self) {
        let news = self.hub.news(self.who.user.id, self.only(), self.told);
        self.told = news.told;
        if news.more {
            self.mailbox.stir();
        }
        if !news.is_empty() {
            self.say(&Frame::Presence {
                online: &news.online,
                offline: &news.offline,
            });
        }
    }

    pub(super) fn bad_frame(&self, bad: BadFrame) {
        let error = FieldError {
            field: bad.field,
            code: bad.code,
            message: bad.message,
        };
        self.refuse(bad.reference.as_ref(), &Refusal::invalid(vec![error]));
    }

    /// Acts on a membership that began or ended, here or on another device.
    pub(super) async fn notice(mut self: Box<Self>, notice: Notice) -> Done {
        let (room_id, rev) = match notice {
            Notice::Joined { room_id, rev } | Notice::Left { room_id, rev } => (room_id, rev),
            Notice::Read { room_id, seq } => {
                let result = self.marked(room_id, seq).await;
                return (self, result);
            }
        };
        let known = self.known.get(&room_id).copied();
        let elsewhere = self.only.is_some_and(|(only, _)| only != room_id);
        if elsewhere {
            return (self, Ok(()));
        }
        if known.is_some_and(|known| known >= rev) {
            let result = self.confirm(room_id, notice).await;
            return (self, result);
        }
        let result = match notice {
            Notice::Left { .. } if known.is_some() => self.left(room_id, Some(rev)).await,
            // A room that the client was never told of.
            Notice::Left { .. } => Ok(()),
            Notice::Joined { .. } | Notice::Read { .. } => self.joined(room_id).await,
        };
        (self, result)
    }

    /// Tells of a marker that was raised, here or on another device.
    async fn marked(&mut self, room_id: RoomId, seq: Seq) -> Result<(), Close> {
        if !self.serves(room_id) || !self.known.contains_key(&room_id) {
            return Ok(());
        }
        match self.standing(room_id).await {
            Ok(Some(standing)) => self.say(&Frame::Read {
                room_id,
                user_id: self.who.user.id,
                seq: seq.max(standing.last_read_seq),
                last_seq: Some(standing.last_seq),
                unread: Some(standing.unread()),
                unread_mentions: Some(standing.unread_mentions),
            }),
            // Its end is told by a notice of its own.
            Ok(None) => {}
            Err(_) => return Err(Close::GoingAway),
        }
        Ok(())
    }

    /// A notice older than what the client was told. That was read without a lock, which on MySQL may
    /// show a room's new head beside a membership that had ended before it: so an end is looked at. It is
    /// told without the notice's `rev`, for against that of `added` this one wouldn't win.
    async fn confirm(&mut self, room_id: RoomId, notice: Notice) -> Result<(), Close> {
        let Notice::Left { .. } = notice else {
            return Ok(());
        };
        match self.standing(room_id).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => self.left(room_id, None).await,
            Err(_) => Err(Close::GoingAway),
        }
    }

    async fn left(&mut self, room_id: RoomId, rev: Option<Rev>) -> Result<(), Close> {
        self.known.remove(&room_id);
        self.quieten(room_id).await?;
        self.say(&Frame::Removed {
            reference: None,
            room_id,
            rev,
        });
        if self.only.is_some() {
            Err(Close::NotAMember)
        } else {
            Ok(())
        }
    }

    async fn joined(&mut self, room_id: RoomId) -> Result<(), Close> {
        // A stay that ended and was renewed unseen shows as renewed only. The lease that it had must not
        // be dropped when the new one is attached: that would end both.
        self.quieten(room_id).await?;
        let lease = self.hub.lease(room_id, &self.mailbox);
        let room = match self.room(room_id).await {
            Ok(room) if room.mine.is_some() => room,
            Err(Stop::Close(close)) => return Err(close),
            Err(Stop::Refused(refusal)) if refusal.code != Code::NotFound => {
                return Err(Close::GoingAway);
            }
            // Ended again; that notice comes too.
            _ => return Ok(()),
        };
        self.known.insert(room_id, room.rev);
        self.added(&room);
        if self.synced {
            return match self.follow(lease, room.rev).await {
                // Ended meanwhile; its notice tells of it, by its `rev`.
                Ok(Caught::Removed) => Ok(()),
                caught => self.settle(room_id, caught, None),
            };
        }
        Ok(())
    }

    /// Does what a frame asks for and answers it.
    pub(super) async fn request(mut self: Box<Self>, frame: ClientFrame) -> Done {
        let reference = frame.reference.as_ref();
        let elsewhere = frame
            .request
            .room_id()
            .is_some_and(|room_id| !self.serves(room_id));
        let result = match frame.request {
            Request::Typing { room_id } => {
                if let Some(lease) = self.live.get(&room_id) {
                    lease.typing();
                }
                Ok(())
            }
            _ if elsewhere => Err(Stop::Refused(Refusal::not_found())),
            Request::Ping => {
                self.say(&Frame::Pong { reference });
                Ok(())
            }
            Request::Auth { token } => self.renew(&token, reference).await,
            Request::Sync { epoch, rooms } => self.sync(epoch, rooms, reference).await,
            Request::Join {
                room_id,
                rev,
                epoch,
            } => self.join(room_id, rev, epoch, reference).await,
            Request::Leave { room_id } => self.leave(room_id, reference).await,
            Request::Message {
                room_id,
                id,
                content,
                reply_to,
            } => {
                self.message(room_id, id, content, reply_to, reference)
                    .await
            }
            Request::Edit {
                room_id,
                seq,
                content,
            } => {
                let edited = self.chat.edit(&self.who, room_id, seq, content).await;
                self.updated(room_id, edited, reference)
            }
            Request::Delete { room_id, seq } => {
                let deleted = self.chat.delete(&self.who, room_id, seq).await;
                self.updated(room_id, deleted, reference)
            }
            Request::React {
                room_id,
                seq,
                emoji,
                on,
            } => {
                let reacted = self.chat.react(&self.who, room_id, seq, emoji, on).await;
                self.updated(room_id, reacted, reference)
            }
            Request::Read { room_id, seq } => self.read(room_id, seq, reference).await,
        };
        let result = match result {
            Ok(()) => Ok(()),
            Err(Stop::Refused(refusal)) => {
                self.refuse(reference, &refusal);
                Ok(())
            }
            Err(Stop::Close(close)) => Err(close),
        };
        (self, result)
    }

    /// Takes a newer token of the same log-in; an older one shortens nothing.
    async fn renew(&mut self, token: &str, reference: Option<&Ref>) -> Result<(), Stop> {
        self.chat.charge_socket(&self.who).map_err(Stop::Refused)?;
        let who = self.chat.authenticate(token).await;
        let who = who.map_err(|refusal| match refusal.code.retryable() {
            true => Stop::Refused(refusal),
            false => Stop::Refused(Refusal::new(Code::Unauthorized, refusal.message)),
        })?;
        if who.session_id != self.who.session_id {
            return Err(Stop::Refused(Refusal::new(
                Code::Unauthorized,
                "This is the token of another log-in than this socket's.",
            )));
        }
        if who.expires_at > self.who.expires_at {
            self.who = who;
        }
        self.say(&Frame::Ack(Ack {
            reference,
            expires_at: Some(self.who.expires_at),
            ..Ack::default()
        }));
        Ok(())
    }

    /// A room socket knows one room.
    fn serves(&self, room_id: RoomId) -> bool {
        self.only.is_none_or(|(only, _)| only == room_id)
    }

    pub(super) fn only(&self) -> Option<RoomId> {
        self.only.map(|(room_id, _)| room_id)
    }

    async fn join(
        &mut self,
        room_id: RoomId,
        rev: Option<Rev>,
        epoch: Option<String>,
        reference: Option<&Ref>,
    ) -> Result<(), Stop> {
        let start = match rev {
            Some(rev) => Start::After {
                rev,
                same_epoch: self.same_epoch(epoch.as_deref()),
            },
            None => Start::Now,
        };
        self.catch_up_all(vec![(room_id, start)], reference).await
    }

    async fn leave(&mut self, room_id: RoomId, reference: Option<&Ref>) -> Result<(), Stop> {
        self.quieten(room_id).await?;
        self.say(&Frame::Ack(Ack {
            reference,
            room_id: Some(room_id),
            ..Ack::default()
        }));
        Ok(())
    }

    /// Ends live delivery: nothing of the room is written after it returns.
    pub(super) async fn quieten(&mut self, room_id: RoomId) -> Result<(), Close> {
        if let Some(lease) = self.live.remove(&room_id) {
            lease.detach().await.map_err(|_| Close::RoomFailed)?;
        }
        // Not earlier: the room may note one until it has let go.
        self.mailbox.forget_lag(room_id);
        Ok(())
    }

    async fn message(
        &mut self,
        room_id: RoomId,
        id: Uuid,
        content: String,
        reply_to: Option<Seq>,
        reference: Option<&Ref>,
    ) -> Result<(), Stop> {
        if let Some(held) = self.held.get(&room_id) {
            if held.until <= Instant::now() {
                self.held.remove(&room_id);
            } else if held.id != id {
                let mut refusal = Refusal::unavailable();
                refusal.message =
                    "The outcome of an earlier message to this room is open: send that one first."
                        .into();
                refusal.retry_after = Some(Duration::from_millis(500));
                return Err(Stop::Refused(refusal));
            }
        }
        match self
            .chat
            .send(&self.who, room_id, id, content, reply_to)
            .await
        {
            Ok(sent) => {
                self.held.remove(&room_id);
                self.say(&Frame::Ack(Ack {
                    reference,
                    room_id: Some(room_id),
                    rev: Some(sent.rev),
                    id: Some(id),
                    seq: Some(sent.seq),
                    created_at: Some(sent.created_at),
                    duplicate: sent.duplicate,
                    ..Ack::default()
                }));
                Ok(())
            }
            Err(refusal) => {
                if refusal.code.retryable() {
                    // From now on: asking the log may have taken as long as the hold lasts.
                    let now = Instant::now();
                    self.held.retain(|_, held| held.until > now);
                    if self.held.len() >= ROOMS_PER_USER_MAX {
                        return Err(Stop::Close(Close::RateLimited));
                    }
                    let until = now + HOLD_DEADLINE;
                    self.held.insert(room_id, Held { id, until });
                } else {
                    self.held.remove(&room_id);
                }
                Err(Stop::Refused(refusal))
            }
        }
    }

    /// Answers a change of a message that is there.
    fn updated(
        &self,
        room_id: RoomId,
        updated: Result<Updated, Refusal>,
        reference: Option<&Ref>,
    ) -> Result<(), Stop> {
        let updated = updated.map_err(Stop::Refused)?;
        self.say(&Frame::Ack(Ack {
            reference,
            room_id: Some(room_id),
            seq: Some(updated.seq),
            rev: Some(updated.rev),
            ..Ack::default()
        }));
        Ok(())
    }

    async fn read(
        &mut self,
        room_id: RoomId,
        seq: Seq,
        reference: Option<&Ref>,
    ) -> Result<(), Stop> {
        let answer = self
            .chat
            .read(&self.who, room_id, seq)
            .await
            .map_err(Stop::Refused)?;
        let last_read_seq = Some(answer.last_read_seq);
        self.say(&Frame::Ack(Ack {
            reference,
            room_id: Some(room_id),
            last_read_seq,
            last_seq: Some(answer.last_seq),
            unread: Some(answer.unread),
            unread_mentions: Some(answer.unread_mentions),
            ..Ack::default()
        }));
        Ok(())
    }
}
