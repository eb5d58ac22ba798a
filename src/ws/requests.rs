//! What a client asks for: each request is acted on and answered once.

use std::time::Instant;

use uuid::Uuid;

use super::{
    catch_up::Start,
    worker::{Done, Held, Stop, Worker},
};
use crate::{
    chat::Updated,
    limits::{HOLD_DEADLINE, HOLD_RETRY, ROOMS_PER_USER_MAX},
    protocol::{
        Ref, Rev, RoomId, Seq,
        check::Checks,
        client::{BadFrame, Frame as ClientFrame, Request},
        close::Close,
        error::{Code, Refusal},
        server::{Ack, Frame},
    },
};

impl Worker {
    pub(super) fn bad_frame(&self, bad: BadFrame) {
        self.refuse(bad.reference.as_ref(), &Refusal::invalid(vec![bad.error]));
    }

    /// Acts on a request and answers it.
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
                let edited = self
                    .chat
                    .edit(&self.who, room_id, seq, Some(content), Checks::default())
                    .await;
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
                let reacted = self.chat.react(&self.who, room_id, seq, &emoji, on).await;
                self.updated(room_id, reacted, reference)
            }
            Request::Read { room_id, seq } => self.read(room_id, seq, reference).await,
        };
        let result = self.end_request(result, reference);
        (self, result)
    }

    /// Answers a request that was refused. Returns whether the connection closes.
    fn end_request(&self, result: Result<(), Stop>, reference: Option<&Ref>) -> Result<(), Close> {
        match result {
            Ok(()) => Ok(()),
            Err(Stop::Refused(refusal)) => {
                self.refuse(reference, &refusal);
                Ok(())
            }
            Err(Stop::Close(close)) => Err(close),
        }
    }

    /// Takes a newer token of the same session. An older one shortens nothing.
    async fn renew(&mut self, token: &str, reference: Option<&Ref>) -> Result<(), Stop> {
        self.chat.charge_socket(&self.who).map_err(Stop::Refused)?;
        let who = self.chat.authenticate(token).await.map_err(|refusal| {
            if refusal.code.retryable() {
                Stop::Refused(refusal)
            } else {
                Stop::Refused(Refusal::new(Code::Unauthorized, refusal.message))
            }
        })?;
        if who.session_id != self.who.session_id {
            return Err(Stop::Refused(Refusal::new(
                Code::Unauthorized,
                "This token belongs to another session than this socket.",
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
        self.unsubscribe(room_id).await?;
        self.say(&Frame::Ack(Ack {
            reference,
            room_id: Some(room_id),
            ..Ack::default()
        }));
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
        self.check_hold(room_id, id)?;
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
                    self.hold(room_id, id)?;
                } else {
                    self.held.remove(&room_id);
                }
                Err(Stop::Refused(refusal))
            }
        }
    }

    /// While the outcome of a message is unknown, its room takes no other message.
    fn check_hold(&mut self, room_id: RoomId, id: Uuid) -> Result<(), Stop> {
        let Some(held) = self.held.get(&room_id) else {
            return Ok(());
        };
        if held.until <= Instant::now() {
            self.held.remove(&room_id);
        } else if held.id != id {
            let mut refusal = Refusal::unavailable();
            refusal.message =
                "The outcome of an earlier message to this room is unknown: send that one again first."
                    .into();
            refusal.retry_after = Some(HOLD_RETRY);
            return Err(Stop::Refused(refusal));
        }
        Ok(())
    }

    /// Holds the room for this message.
    fn hold(&mut self, room_id: RoomId, id: Uuid) -> Result<(), Close> {
        // From now on: asking the log may have taken as long as the hold lasts.
        let now = Instant::now();
        self.held.retain(|_, held| held.until > now);
        if self.held.len() >= ROOMS_PER_USER_MAX {
            return Err(Close::RateLimited);
        }
        let until = now + HOLD_DEADLINE;
        self.held.insert(room_id, Held { id, until });
        Ok(())
    }

    /// Answers a change of an existing message.
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
            .read(&self.who, room_id, Some(seq), Checks::default())
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
