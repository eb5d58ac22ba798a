//! Rooms, as they are passed to and from the store.

use crate::protocol::{
    Rev, RoomId, Seq, UserId,
    rest::{Role, RoomKind, UserSummary},
};

/// A room to be created.
#[derive(Clone, Debug)]
pub struct NewRoom {
    pub kind: RoomKind,
    pub name: String,
    pub topic: String,
    pub owner: UserSummary,
    /// Without the owner, and without duplicates.
    pub members: Vec<UserSummary>,
}

/// A direct room that was found or created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Direct {
    pub room_id: RoomId,
    pub new: bool,
}

/// A membership and what is unread in it. It is read in one statement, and is at least as new as everything that was known
/// before. On MySQL `rev` may be ahead of the rest by what is just being committed. The seqs of deleted messages are read by
/// a second statement, where there are any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub room_id: RoomId,
    pub role: Role,
    pub rev: Rev,
    pub last_seq: Seq,
    pub last_read_seq: Seq,
    pub unread_mentions: u64,
    /// The seqs of the newest [`crate::limits::MENTIONED_MAX`] of them, rising.
    pub mentioned: Vec<Seq>,
    /// How many messages above the read marker are deleted.
    pub deletions: u64,
    /// The seqs of the newest [`crate::limits::MENTIONED_MAX`] of them, rising.
    pub deleted: Vec<Seq>,
}

impl Standing {
    /// The messages above the read marker that aren't deleted.
    pub fn unread(&self) -> u64 {
        let above = self.last_seq.saturating_sub(self.last_read_seq);
        above.saturating_sub(self.deletions)
    }

    /// As it was when the room's last message was this one.
    pub fn rewind(&mut self, last_seq: Seq) {
        let all = self.deleted.len();
        self.deleted.retain(|seq| *seq <= last_seq);
        self.deletions -= (all - self.deleted.len()) as u64;
        self.last_seq = last_seq;
    }
}

/// Which rooms a list holds.
#[derive(Clone, Debug)]
pub struct RoomFilter {
    pub user_id: UserId,
    pub mine: bool,
    pub public: bool,
    /// A part of the name, in any case. Empty: all rooms.
    pub query: String,
}
