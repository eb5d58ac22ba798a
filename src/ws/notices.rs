//! What a connection tells its client without being asked: memberships that began or ended, the user's own markers, rooms
//! that stopped delivering, who is online.

use super::{
    catch_up::Caught,
    worker::{Done, Stop, Worker},
};
use crate::{
    hub::Notice,
    protocol::{Rev, RoomId, Seq, close::Close, error::Code, server::Frame},
};

impl Worker {
    /// Acts on a membership that began or ended, or a marker that was raised, here or on another device.
    pub(super) async fn act_on(mut self: Box<Self>, notice: Notice) -> Done {
        let result = match notice {
            Notice::Joined { room_id, rev } | Notice::Left { room_id, rev } => {
                self.membership(notice, room_id, rev).await
            }
            Notice::Read { room_id, seq } => self.marked(room_id, seq).await,
        };
        (self, result)
    }

    async fn membership(&mut self, notice: Notice, room_id: RoomId, rev: Rev) -> Result<(), Close> {
        if !self.serves(room_id) {
            return Ok(());
        }
        let known = self.known.get(&room_id).copied();
        let is_joined = matches!(notice, Notice::Joined { .. });
        match known {
            Some(known) if known >= rev && is_joined => Ok(()),
            Some(known) if known >= rev => self.confirm_end(room_id).await,
            _ if is_joined => self.joined(room_id).await,
            Some(_) => self.left(room_id, Some(rev)).await,
            // A room that the client was never told of.
            None => Ok(()),
        }
    }

    /// A membership ended at a `rev` older than what the client was told. That was read without a lock, which on MySQL may
    /// show a room's new head beside a membership that had ended before it: so the end is confirmed by another read. It
    /// is told without the notice's `rev`, which would lose against that of `added`.
    async fn confirm_end(&mut self, room_id: RoomId) -> Result<(), Close> {
        match self.standing(room_id).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => self.left(room_id, None).await,
            Err(_) => Err(Close::GoingAway),
        }
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
            // The end of the membership is told by a notice of its own.
            Ok(None) => {}
            Err(_) => return Err(Close::GoingAway),
        }
        Ok(())
    }

    async fn left(&mut self, room_id: RoomId, rev: Option<Rev>) -> Result<(), Close> {
        self.known.remove(&room_id);
        self.unsubscribe(room_id).await?;
        self.say_removed(None, room_id, rev);
        if self.only.is_some() {
            return Err(Close::NotAMember);
        }
        Ok(())
    }

    async fn joined(&mut self, room_id: RoomId) -> Result<(), Close> {
        // A membership that ended and began again shows only the new beginning. The lease that it had must not be dropped
        // after the new one is attached: that would end both.
        self.unsubscribe(room_id).await?;
        let lease = self.hub.lease(room_id, &self.mailbox);
        let room = match self.room(room_id).await {
            Ok(room) if room.mine.is_some() => room,
            Err(Stop::Close(close)) => return Err(close),
            Err(Stop::Refused(refusal)) if refusal.code != Code::NotFound => {
                return Err(Close::GoingAway);
            }
            // The membership ended again, and that notice comes, too.
            _ => return Ok(()),
        };
        self.known.insert(room_id, room.rev);
        self.say_added(&room);
        if !self.synced {
            return Ok(());
        }
        match self.follow(lease, room.rev).await {
            // The membership ended meanwhile. Its notice tells of that, with its `rev`.
            Ok(Caught::Removed) => Ok(()),
            caught => self.finish_unasked(room_id, caught),
        }
    }

    /// A room stopped delivering to this mailbox. Told once everything before it was written.
    pub(super) fn lagged(&mut self, room_id: RoomId, rev: Rev) {
        self.live.remove(&room_id);
        self.say(&Frame::Lagged { room_id, rev });
    }

    /// Tells who came online and who went offline since the last time. What doesn't fit is told the next time.
    pub(super) fn tell_presence(&mut self) {
        let news = self.hub.news(self.who.user.id, self.only(), self.told);
        self.told = news.told;
        if news.more {
            self.mailbox.presence_changed();
        }
        if !news.is_empty() {
            self.say(&Frame::Presence {
                online: &news.online,
                offline: &news.offline,
            });
        }
    }
}
