//! What a batch writes.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    sync::Arc,
};

use super::state::{MemberRow, MessageKey, MessageRow, ReactionKey, RoomRow, SettingsRow};
use crate::{
    limits,
    protocol::{Rev, RoomId, Seq, Time, UserId, rest::Message},
    store::{change::Outcome, event::Event},
};

/// A membership to be written, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberWrite {
    pub row: MemberRow,
    /// Whether the table has the row already.
    pub exists: bool,
}

/// A message's row to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageWrite {
    pub row: MessageRow,
    /// Whether its text changes.
    pub text: bool,
}

/// What becomes of a row that has nothing but its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowChange {
    Insert,
    Delete,
}

/// What a batch amounts to: its outcomes in its order, and the final state of each row that it changes. It is executed in the
/// order of the fields.
#[derive(Debug, Default)]
pub struct Plan {
    pub outcomes: Vec<Outcome>,
    pub messages: Vec<Arc<Message>>,
    /// Messages that change after they were stored, perhaps by this very batch.
    pub updates: BTreeMap<MessageKey, MessageWrite>,
    pub pins: BTreeMap<MessageKey, RowChange>,
    /// Reactions that are added, and the `rev` of their change; `None`: they are removed.
    pub reactions: BTreeMap<ReactionKey, Option<Rev>>,
    /// Mentions of a user, or of all members ([`crate::store::EVERYONE`]).
    pub mentions: BTreeMap<(RoomId, UserId, Seq), RowChange>,
    /// Messages of which only the row is kept.
    pub erased: BTreeSet<MessageKey>,
    pub members: BTreeMap<(RoomId, UserId), MemberWrite>,
    /// The read markers of memberships that change in nothing else.
    pub markers: BTreeMap<(RoomId, UserId), Seq>,
    /// Rooms whose `rev` changes, with the `rev` that they had before.
    pub rooms: BTreeMap<RoomId, (Rev, RoomRow)>,
    /// Rooms whose last message is deleted, so that another one takes its place.
    pub uncovered: BTreeSet<RoomId>,
    /// Settings to be written, with the `rev` of their change.
    pub settings: BTreeMap<RoomId, (Rev, SettingsRow)>,
    /// Rooms that are deleted, and when. All memberships end with them.
    pub deleted: BTreeMap<RoomId, Time>,
    /// In the order of `rev` for each room.
    pub events: Vec<Event>,
}

impl Plan {
    /// Rooms, and the messages of each among which the last one that isn't deleted is searched for, after everything else is
    /// written.
    pub fn shows(&self) -> impl Iterator<Item = (RoomId, RangeInclusive<Seq>)> {
        self.uncovered.iter().map(|id| {
            let (_, room) = &self.rooms[id];
            let above = room.last_seq.saturating_sub(limits::LAST_MESSAGE_REACH);
            (*id, above + 1..=room.last_seq)
        })
    }
}
