//! The rows that a batch is judged against.

use std::collections::{BTreeMap, HashMap, HashSet};

use uuid::Uuid;

use crate::protocol::{
    Rev, RoomId, Seq, Time, UserId,
    rest::{Mentions, Role, RoomKind, UserSummary},
};

/// A message.
pub type MessageKey = (RoomId, Seq);
/// One user's reaction.
pub type ReactionKey = (RoomId, Seq, String, UserId);

/// What a batch reads and writes of a room's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomRow {
    pub kind: RoomKind,
    pub last_seq: Seq,
    /// The last message that isn't deleted, among those that are searched for it ([`super::Plan::shows`]). 0: there is none.
    pub shown_seq: Seq,
    /// The last message that is deleted. 0: there is none.
    pub deleted_seq: Seq,
    pub rev: Rev,
    pub member_count: u64,
    pub first_seq: Seq,
    pub archived_at: Option<Time>,
}

/// The settings in a room's row. They are read where they may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsRow {
    pub name: String,
    pub topic: String,
    pub created_by: UserId,
    pub created_at: Time,
}

/// What a batch reads and writes of a membership's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRow {
    pub role: Role,
    pub joined_at: Time,
    pub joined_seq: Seq,
    pub joined_rev: Rev,
    pub left_at: Option<Time>,
    pub last_read_seq: Seq,
    pub rev: Rev,
}

/// What of a stored message answers its repetition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentRow {
    pub seq: Seq,
    pub rev: Rev,
    pub created_at: Time,
}

/// What of a message's row may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRow {
    pub rev: Rev,
    pub sender_id: UserId,
    pub content: Option<String>,
    pub edited_at: Option<Time>,
    pub deleted_at: Option<Time>,
    pub pinned_at: Option<Time>,
    pub mentions: Mentions,
    /// How many reactions there are, of all kinds.
    pub reactions: u64,
}

/// The rows of [`super::Keys`] that exist, read under the rooms' locks.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The rooms that aren't deleted.
    pub rooms: HashMap<RoomId, RoomRow>,
    pub settings: HashMap<RoomId, SettingsRow>,
    pub members: HashMap<(RoomId, UserId), MemberRow>,
    /// The members of the rooms that may be deleted.
    pub present: HashMap<RoomId, Vec<UserId>>,
    /// The names of those who may follow an owner.
    pub names: HashMap<UserId, UserSummary>,
    pub sent: HashMap<(RoomId, UserId, Uuid), SentRow>,
    pub messages: HashMap<MessageKey, MessageRow>,
    pub reactions: HashSet<ReactionKey>,
    /// How many users react to a message with an emoji. Absent: none.
    pub counts: HashMap<MessageKey, BTreeMap<String, u64>>,
    /// How many rooms a user is in. Absent: none.
    pub room_counts: HashMap<UserId, u64>,
}
