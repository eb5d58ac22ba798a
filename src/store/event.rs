//! Events: committed changes, as they are told to those who listen.

use std::sync::Arc;

use crate::protocol::{
    Rev, RoomId, Seq, Time, UserId,
    rest::{Mentions, Message, Role, Room, UserSummary},
};

/// A committed change: all that changed in the room after `prev`, up to `rev`. A read marker ([`EventBody::Read`]) takes no
/// `rev`: both are the room's at that moment.
#[derive(Clone, Debug)]
pub struct Event {
    pub room_id: RoomId,
    pub prev: Rev,
    pub rev: Rev,
    pub body: EventBody,
}

impl Event {
    /// About how much memory it takes.
    pub fn bytes(&self) -> usize {
        let ids = |mentions: &Mentions| mentions.users.len() * size_of::<UserId>();
        let body = match &self.body {
            EventBody::Message(message) => {
                let reactions = message.reactions.iter().map(|of| {
                    size_of_val(of) + of.emoji.len() + of.user_ids.len() * size_of::<UserId>()
                });
                let content = message.content.as_ref().map_or(0, String::len);
                size_of::<Message>() + content + ids(&message.mentions) + reactions.sum::<usize>()
            }
            EventBody::Updated(update) => match &update.what {
                What::Edited {
                    content, mentions, ..
                } => size_of::<Update>() + content.len() + ids(mentions),
                _ => size_of::<Update>(),
            },
            EventBody::Room(room) => size_of::<Room>() + room.name.len() + room.topic.len(),
            EventBody::Deleted { members } => size_of_val(&**members),
            EventBody::Member(_) | EventBody::Read { .. } => 0,
        };
        size_of::<Self>() + body
    }
}

#[derive(Clone, Debug)]
pub enum EventBody {
    Message(Arc<Message>),
    /// Told by a commit only. Pages of the log hold whole messages instead.
    Updated(Arc<Update>),
    Member(MemberEvent),
    /// The room's settings, without `mine`. `Room::rev` is the `rev` of their change.
    Room(Arc<Room>),
    /// The room doesn't exist any more; who its members were.
    Deleted {
        members: Arc<[UserId]>,
    },
    /// A member has read up to a message.
    Read {
        user_id: UserId,
        seq: Seq,
        /// The room's, at that moment.
        member_count: u64,
    },
}

/// What was done to one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    pub seq: Seq,
    pub by: UserId,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Edited {
        content: String,
        at: Time,
        mentions: Mentions,
    },
    Deleted {
        at: Time,
    },
    /// `count`: how many users react with this emoji now.
    Reacted {
        emoji: String,
        on: bool,
        count: u64,
    },
    /// `None`: the message isn't pinned any more.
    Pinned {
        at: Option<Time>,
    },
}

#[derive(Clone, Debug)]
pub struct MemberEvent {
    pub user: UserSummary,
    /// `None`: the user has left.
    pub role: Option<Role>,
    /// The `rev` with which the membership began: that of the event where the user has just come.
    pub joined_rev: Rev,
    /// Who did it and when. Absent in pages of the log.
    pub by: Option<UserId>,
    pub at: Option<Time>,
    pub member_count: u64,
}

/// Called after each commit with its events, for each room in the order of commits. Must not block. After a commit with an
/// unknown outcome it is called with what the log then shows to have changed.
pub type CommitHook = Arc<dyn Fn(Vec<Event>) + Send + Sync>;
