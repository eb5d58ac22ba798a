//! Reads the rows that a batch depends on, for the judge, on both databases.
//!
//! A database finds the rows for a list of keys ([`Source`]); which rows are read, in which order, and what is in their columns
//! is said here. The order is that of the locks.

use std::collections::BTreeSet;

use super::{
    error::SqlError,
    judge::{Keys, MemberRow, MessageRow, RoomRow, SentRow, SettingsRow, State},
    rows::{self, Extra, Word},
    values::{Row, Value, params},
};
use crate::protocol::rest::{Role, RoomKind};

/// Which rows are read. Each has a statement in each database's `batch`.
#[derive(Clone, Copy, Debug)]
pub enum Find {
    /// By room. Nothing is read before these rows are locked.
    Rooms,
    /// By room.
    Settings,
    /// Messages by room, sender and id.
    Sent,
    /// Memberships by room and user.
    Members,
    /// Present memberships by room.
    Present,
    /// Present admins by room.
    Admins,
    /// By room and seq.
    Messages,
    /// By room, seq, emoji and user.
    Reactions,
    /// The reactions of a message, counted by emoji: by room and seq.
    ReactionCounts,
    /// The rooms of a user, counted: by user. The user's row is locked first, so that two transactions can't both take the last
    /// place.
    RoomCounts,
}

macro_rules! member_columns {
    () => {
        "m.room_id, m.user_id, m.role, m.joined_at, m.joined_seq, m.joined_rev, m.left_at, m.last_read_seq, m.rev"
    };
}

impl Find {
    /// The columns that the statement reads, the key's first.
    pub fn columns(self) -> &'static str {
        match self {
            Find::Rooms => {
                "r.id, r.kind, r.last_seq, r.shown_seq, r.deleted_seq, r.rev, r.member_count, r.first_seq, r.archived_at, \
                 r.deleted_at"
            }
            Find::Settings => "r.id, r.name, r.topic, r.created_by, r.created_at",
            Find::Sent => "m.room_id, m.sender_id, m.id, m.seq, m.rev, m.created_at",
            Find::Members => member_columns!(),
            Find::Present => "m.room_id, m.user_id",
            Find::Admins => concat!(member_columns!(), ", u.id, u.username, u.full_name"),
            Find::Messages => {
                "m.room_id, m.seq, m.rev, m.sender_id, m.content, m.edited_at, m.deleted_at, m.pinned_at, m.extra"
            }
            Find::Reactions => "r.room_id, r.seq, r.emoji, r.user_id",
            Find::ReactionCounts => "r.room_id, r.seq, r.emoji, COUNT(*)",
            Find::RoomCounts => "m.user_id, COUNT(*)",
        }
    }
}

/// A database connection inside a batch's transaction.
pub trait Source {
    /// The rows of these keys that exist, in any order.
    async fn find(&mut self, find: Find, keys: Vec<Vec<Value>>) -> Result<Vec<Row>, SqlError>;
}

/// Locks and reads the rows that exist.
pub async fn load(source: &mut impl Source, keys: &Keys) -> Result<State, SqlError> {
    let mut state = State::default();
    load_rooms(source, keys, &mut state).await?;
    load_members(source, keys, &mut state).await?;
    load_messages(source, keys, &mut state).await?;
    let joiners = keys.joiners.iter().map(|user_id| params![*user_id]);
    for row in source.find(Find::RoomCounts, joiners.collect()).await? {
        state.room_counts.insert(row.user_id(0)?, row.u64(1)?);
    }
    Ok(state)
}

/// Rooms, their settings, and the messages that were stored under the ids of this batch.
async fn load_rooms(
    source: &mut impl Source,
    keys: &Keys,
    state: &mut State,
) -> Result<(), SqlError> {
    let rooms = keys.rooms.iter().map(|room_id| params![*room_id]);
    for row in source.find(Find::Rooms, rooms.collect()).await? {
        let deleted = !row.is_null(9)?;
        if deleted {
            continue;
        }
        let room = RoomRow {
            kind: RoomKind::from_word(row.str(1)?)?,
            last_seq: row.u64(2)?,
            shown_seq: row.u64(3)?,
            deleted_seq: row.u64(4)?,
            rev: row.u64(5)?,
            member_count: row.u64(6)?,
            first_seq: row.u64(7)?,
            archived_at: row.opt_time(8)?,
        };
        state.rooms.insert(row.room_id(0)?, room);
    }
    let rooms = keys.settings.iter().map(|room_id| params![*room_id]);
    for mut row in source.find(Find::Settings, rooms.collect()).await? {
        let settings = SettingsRow {
            name: row.text(1)?,
            topic: row.text(2)?,
            created_by: row.user_id(3)?,
            created_at: row.time(4)?,
        };
        state.settings.insert(row.room_id(0)?, settings);
    }
    let sent = keys
        .sent
        .iter()
        .map(|(room, sender, id)| params![*room, *sender, *id]);
    for row in source.find(Find::Sent, sent.collect()).await? {
        let key = (row.room_id(0)?, row.user_id(1)?, row.uuid(2)?);
        let sent = SentRow {
            seq: row.u64(3)?,
            rev: row.u64(4)?,
            created_at: row.time(5)?,
        };
        state.sent.insert(key, sent);
    }
    Ok(())
}

async fn load_members(
    source: &mut impl Source,
    keys: &Keys,
    state: &mut State,
) -> Result<(), SqlError> {
    let members = keys
        .members
        .iter()
        .map(|(room, user)| params![*room, *user]);
    for row in source.find(Find::Members, members.collect()).await? {
        let key = (row.room_id(0)?, row.user_id(1)?);
        state.members.insert(key, member(&row)?);
    }
    for room_id in &keys.ending {
        state.present.insert(*room_id, Vec::new());
    }
    let ending = keys.ending.iter().map(|room_id| params![*room_id]);
    for row in source.find(Find::Present, ending.collect()).await? {
        let present = state.present.entry(row.room_id(0)?).or_default();
        present.push(row.user_id(1)?);
    }
    let owners = keys.leavers.iter().filter(|key| {
        let row = state.members.get(key);
        row.is_some_and(|row| row.role == Role::Owner)
    });
    let rooms: BTreeSet<_> = owners.map(|(room_id, _)| *room_id).collect();
    let rooms = rooms.into_iter().map(|room_id| params![room_id]);
    for mut row in source.find(Find::Admins, rooms.collect()).await? {
        let key = (row.room_id(0)?, row.user_id(1)?);
        state.members.insert(key, member(&row)?);
        let name = rows::summary(&mut row, 9)?;
        state.names.insert(name.id, name);
    }
    Ok(())
}

/// Reads what follows the room and the user.
fn member(row: &Row) -> Result<MemberRow, SqlError> {
    Ok(MemberRow {
        role: Role::from_word(row.str(2)?)?,
        joined_at: row.time(3)?,
        joined_seq: row.u64(4)?,
        joined_rev: row.u64(5)?,
        left_at: row.opt_time(6)?,
        last_read_seq: row.u64(7)?,
        rev: row.u64(8)?,
    })
}

/// Messages that may change, and their reactions.
async fn load_messages(
    source: &mut impl Source,
    keys: &Keys,
    state: &mut State,
) -> Result<(), SqlError> {
    let messages = keys.messages.iter().map(|(room, seq)| params![*room, *seq]);
    for mut row in source.find(Find::Messages, messages.collect()).await? {
        let extra = Extra::from_column(row.opt_str(8)?)?;
        let message = MessageRow {
            rev: row.u64(2)?,
            sender_id: row.user_id(3)?,
            content: row.opt_text(4)?,
            edited_at: row.opt_time(5)?,
            deleted_at: row.opt_time(6)?,
            pinned_at: row.opt_time(7)?,
            mentions: extra.mentions,
            reactions: extra.reactions,
        };
        let key = (row.room_id(0)?, row.u64(1)?);
        state.messages.insert(key, message);
    }
    let reactions = keys
        .reactions
        .iter()
        .map(|(room, seq, emoji, user)| params![*room, *seq, emoji.as_str(), *user]);
    for mut row in source.find(Find::Reactions, reactions.collect()).await? {
        let key = (row.room_id(0)?, row.u64(1)?, row.text(2)?, row.user_id(3)?);
        state.reactions.insert(key);
    }
    let reacted: BTreeSet<_> = keys.reactions.iter().map(|key| (key.0, key.1)).collect();
    let reacted = reacted.into_iter().map(|(room, seq)| params![room, seq]);
    for mut row in source.find(Find::ReactionCounts, reacted.collect()).await? {
        let counts = state.counts.entry((row.room_id(0)?, row.u64(1)?));
        counts.or_default().insert(row.text(2)?, row.u64(3)?);
    }
    Ok(())
}
