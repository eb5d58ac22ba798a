//! How the log judges and numbers changes: no I/O, no clock.
//!
//! [`keys`] names the rows that a batch depends on; a database locks and reads them into a [`State`];
//! [`plan`] judges the changes one after another against it, each seeing what those before it did, so
//! that a batch gives what its changes would give one by one; the database then executes the [`Plan`].
//!
//! Invariants: a repeated id is looked up before anything else is judged; one row changed takes one
//! `rev`; `seq` and `rev` of a room go up by one; a refused change leaves no trace, and neither does one
//! that asks for what is so already.
//!
//! Who may do what stands in PROTOCOL.md section 7.8; here it is judged: memberships and settings in
//! [`rooms`], messages in [`messages`].

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    ops::RangeInclusive,
    sync::Arc,
};

use uuid::Uuid;

use super::{Change, EVERYONE, Event, EventBody, Named, Outcome, Refused, search};
use crate::{
    limits,
    protocol::{
        Rev, RoomId, Seq, Time, UserId,
        rest::{Mentions, Message, Role, RoomKind, UserSummary},
    },
};

mod messages;
mod rooms;

/// What of a room's row an append reads and writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomRow {
    pub kind: RoomKind,
    pub last_seq: Seq,
    /// Of the last message that isn't deleted, as far as one looks ([`Plan::shows`]); 0: there is none.
    pub shown_seq: Seq,
    /// Of the last message that is deleted; 0: there is none.
    pub deleted_seq: Seq,
    pub rev: Rev,
    pub member_count: u64,
    pub first_seq: Seq,
    pub archived_at: Option<Time>,
}

/// What of a room's row its settings are; read when they may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsRow {
    pub name: String,
    pub topic: String,
    pub created_by: UserId,
    pub created_at: Time,
}

/// What of a membership's row an append reads and writes.
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

/// What of a stored message its repetition is answered with.
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

/// A message.
pub type MessageKey = (RoomId, Seq);
/// One person's reaction.
pub type ReactionKey = (RoomId, Seq, String, UserId);

/// The rows that a batch depends on, each list sorted and without repeats: locked in this order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Keys {
    pub rooms: Vec<RoomId>,
    /// Rooms whose settings may change.
    pub settings: Vec<RoomId>,
    pub members: Vec<(RoomId, UserId)>,
    /// Rooms that may end: all who are in them are read.
    pub ending: Vec<RoomId>,
    /// Who would leave, or hand his room over to somebody who may leave in the same batch: where he is
    /// the owner, the room's admins are read too.
    pub leavers: Vec<(RoomId, UserId)>,
    pub sent: Vec<(RoomId, UserId, Uuid)>,
    pub messages: Vec<MessageKey>,
    /// Reactions, and with each the counts of its message.
    pub reactions: Vec<ReactionKey>,
    /// Users whose number of rooms is counted.
    pub joiners: Vec<UserId>,
}

/// The rows of [`Keys`] that exist, read under the rooms' locks.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Those that weren't deleted.
    pub rooms: HashMap<RoomId, RoomRow>,
    pub settings: HashMap<RoomId, SettingsRow>,
    pub members: HashMap<(RoomId, UserId), MemberRow>,
    /// Who is in the rooms that may end.
    pub present: HashMap<RoomId, Vec<UserId>>,
    /// Of those who may follow an owner.
    pub names: HashMap<UserId, UserSummary>,
    pub sent: HashMap<(RoomId, UserId, Uuid), SentRow>,
    pub messages: HashMap<MessageKey, MessageRow>,
    pub reactions: HashSet<ReactionKey>,
    /// How many have reacted to a message with an emoji; none: absent.
    pub counts: HashMap<MessageKey, BTreeMap<String, u64>>,
    /// In how many rooms the user is; absent: 0.
    pub room_counts: HashMap<UserId, u64>,
}

/// A membership to be written: whole, and whether the row is there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberWrite {
    pub row: MemberRow,
    pub exists: bool,
}

/// A message's row to be written, and whether its text is another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageWrite {
    pub row: MessageRow,
    pub text: bool,
}

/// What a batch amounts to: the outcomes in its order, and the final state of each row it changes.
/// Executed in the order of the fields.
#[derive(Debug, Default)]
pub struct Plan {
    pub outcomes: Vec<Outcome>,
    pub messages: Vec<Arc<Message>>,
    /// Changed after they were stored, perhaps by this very batch.
    pub updates: BTreeMap<MessageKey, MessageWrite>,
    /// Pins that come (`true`) and go.
    pub pins: BTreeMap<MessageKey, bool>,
    /// Reactions that come, and the `rev` of their change, or go.
    pub reactions: BTreeMap<ReactionKey, Option<Rev>>,
    /// Mentions that come (`true`) and go; user 0: everyone.
    pub mentions: BTreeMap<(RoomId, UserId, Seq), bool>,
    /// Messages of which nothing but the row is kept.
    pub erased: BTreeSet<MessageKey>,
    pub members: BTreeMap<(RoomId, UserId), MemberWrite>,
    /// Markers of memberships that change in nothing else.
    pub markers: BTreeMap<(RoomId, UserId), Seq>,
    /// Rooms whose `rev` moved, and the `rev` that they had before.
    pub rooms: BTreeMap<RoomId, (Rev, RoomRow)>,
    /// Rooms whose last message was deleted: another one takes its place.
    pub uncovered: BTreeSet<RoomId>,
    /// Settings to be written, and the `rev` of their change.
    pub settings: BTreeMap<RoomId, (Rev, SettingsRow)>,
    /// Rooms that don't exist any more, and since when: all memberships end with them.
    pub deleted: BTreeMap<RoomId, Time>,
    /// In `rev` order for each room.
    pub events: Vec<Event>,
}

impl Plan {
    /// Where the last message that isn't deleted is looked for, after all else: rooms, and the messages of each.
    pub fn shows(&self) -> impl Iterator<Item = (RoomId, RangeInclusive<Seq>)> {
        self.uncovered.iter().map(|id| {
            let (_, room) = &self.rooms[id];
            let above = room.last_seq.saturating_sub(limits::LAST_MESSAGE_REACH);
            (*id, above + 1..=room.last_seq)
        })
    }
}

/// What takes everything but its row from a message, and notes that it is deleted: of the room and the seq.
pub const ERASE: [&str; 4] = [
    "DELETE FROM reactions WHERE room_id = ? AND seq = ?",
    "DELETE FROM mentions WHERE room_id = ? AND seq = ?",
    search::ERASE,
    "INSERT INTO deletions (room_id, seq) VALUES (?, ?)",
];

/// What ends a room: of the time and the room.
pub const DELETE_ROOM: [&str; 2] = [
    "UPDATE rooms SET deleted_at = ? WHERE id = ?",
    "UPDATE room_members SET left_at = ? WHERE room_id = ? AND left_at IS NULL",
];

/// Which rows a batch depends on.
pub fn keys<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Keys {
    let mut keys = Keys::default();
    for change in changes {
        let room_id = change.room_id();
        keys.rooms.push(room_id);
        match change {
            Change::Send {
                sender, id, named, ..
            } => {
                keys.members.push((room_id, sender.id));
                keys.members.extend(meant(room_id, named));
                keys.sent.push((room_id, sender.id, *id));
            }
            Change::Edit {
                user_id,
                seq,
                named,
                ..
            } => {
                keys.members.push((room_id, *user_id));
                keys.members.extend(meant(room_id, named));
                keys.messages.push((room_id, *seq));
            }
            Change::Delete { user_id, seq, .. } | Change::Pin { user_id, seq, .. } => {
                keys.members.push((room_id, *user_id));
                keys.messages.push((room_id, *seq));
            }
            Change::React {
                user_id,
                seq,
                emoji,
                ..
            } => {
                keys.members.push((room_id, *user_id));
                keys.messages.push((room_id, *seq));
                let key = (room_id, *seq, emoji.clone(), *user_id);
                keys.reactions.push(key);
            }
            Change::Join { user, .. } => {
                keys.members.push((room_id, user.id));
                keys.joiners.push(user.id);
            }
            Change::Leave { user, heir, .. } => {
                keys.members.push((room_id, user.id));
                keys.members
                    .extend(heir.as_ref().map(|heir| (room_id, heir.id)));
                keys.leavers.push((room_id, user.id));
            }
            Change::Add { by, user, .. } => {
                keys.members.extend([(room_id, *by), (room_id, user.id)]);
                keys.joiners.push(user.id);
            }
            Change::Remove { by, user, .. } => {
                keys.members.extend([(room_id, *by), (room_id, user.id)]);
            }
            Change::SetRole { by, user, role, .. } => {
                keys.members.extend([(room_id, by.id), (room_id, user.id)]);
                if *role == Role::Owner {
                    keys.leavers.push((room_id, by.id));
                }
            }
            Change::Settings { by, .. } => {
                keys.members.push((room_id, *by));
                keys.settings.push(room_id);
            }
            Change::DeleteRoom { by, .. } => {
                keys.members.push((room_id, *by));
                keys.ending.push(room_id);
            }
            Change::Read { user_id, .. } => keys.members.push((room_id, *user_id)),
        }
    }
    fn tidy<T: Ord>(list: &mut Vec<T>) {
        list.sort_unstable();
        list.dedup();
    }
    tidy(&mut keys.joiners);
    // A room that ends makes room for those who join another one.
    tidy(&mut keys.ending);
    for room_id in &keys.ending {
        let joiners = keys.joiners.iter().map(|user_id| (*room_id, *user_id));
        keys.members.extend(joiners);
    }
    tidy(&mut keys.rooms);
    tidy(&mut keys.settings);
    tidy(&mut keys.members);
    tidy(&mut keys.leavers);
    tidy(&mut keys.sent);
    tidy(&mut keys.messages);
    tidy(&mut keys.reactions);
    keys
}

/// The memberships by which it is judged whom a text mentions.
fn meant(room_id: RoomId, named: &Named) -> impl Iterator<Item = (RoomId, UserId)> {
    let users = named.iter().flatten().copied();
    let users = users.filter(|user_id| *user_id != EVERYONE);
    users.map(move |user_id| (room_id, user_id))
}

/// Judges and numbers a batch against the rows that are locked.
pub fn plan<'a>(changes: impl IntoIterator<Item = &'a Change>, state: State, now: Time) -> Plan {
    let mut judge = Judge {
        state,
        plan: Plan::default(),
        now,
    };
    for change in changes {
        let outcome = judge.judge(change).unwrap_or_else(Outcome::Refused);
        judge.plan.outcomes.push(outcome);
    }
    judge.plan
}

/// A batch while it is judged: the rows as the changes so far leave them, and what is to be written.
struct Judge {
    state: State,
    plan: Plan,
    now: Time,
}

impl Judge {
    fn judge(&mut self, change: &Change) -> Result<Outcome, Refused> {
        match change {
            Change::Send {
                room_id,
                sender,
                id,
                content,
                reply_to,
                named,
            } => self.send(*room_id, sender, *id, content, *reply_to, named),
            Change::Edit {
                room_id,
                user_id,
                seq,
                content,
                named,
            } => self.edit((*room_id, *seq), *user_id, content, named),
            Change::Delete {
                room_id,
                user_id,
                seq,
            } => self.delete((*room_id, *seq), *user_id),
            Change::React {
                room_id,
                user_id,
                seq,
                emoji,
                on,
            } => self.react((*room_id, *seq), *user_id, emoji, *on),
            Change::Pin {
                room_id,
                user_id,
                seq,
                on,
            } => self.pin((*room_id, *seq), *user_id, *on),
            Change::Join { room_id, user } => self.join(*room_id, user),
            Change::Add {
                room_id,
                by,
                user,
                back,
            } => self.add(*room_id, *by, user, *back),
            Change::Leave {
                room_id,
                user,
                heir,
            } => self.leave(*room_id, user, heir.as_ref()),
            Change::Remove { room_id, by, user } => self.remove(*room_id, *by, user),
            Change::SetRole {
                room_id,
                by,
                user,
                role,
            } => self.set_role(*room_id, by, user, *role),
            Change::Settings {
                room_id,
                by,
                name,
                topic,
                archived,
            } => self.set(*room_id, *by, name.as_deref(), topic.as_deref(), *archived),
            Change::DeleteRoom { room_id, by } => self.delete_room(*room_id, *by),
            Change::Read {
                room_id,
                user_id,
                seq,
            } => self.read(*room_id, *user_id, *seq),
        }
    }

    fn present(&self, key: (RoomId, UserId)) -> Option<&MemberRow> {
        let row = self.state.members.get(&key)?;
        row.left_at.is_none().then_some(row)
    }

    /// The present membership; its absence is told so that a private room stays hidden.
    fn member(&self, room_id: RoomId, user_id: UserId) -> Result<&MemberRow, Refused> {
        let room = self.state.rooms.get(&room_id).ok_or(Refused::NoRoom)?;
        self.present((room_id, user_id)).ok_or(match room.kind {
            RoomKind::Public => Refused::NotMember,
            RoomKind::Private | RoomKind::Direct => Refused::NoRoom,
        })
    }

    /// The room of a member, if it isn't archived.
    fn open_room(&self, room_id: RoomId) -> Result<&RoomRow, Refused> {
        let room = self.state.rooms.get(&room_id).ok_or(Refused::NoRoom)?;
        match room.archived_at {
            None => Ok(room),
            Some(_) => Err(Refused::Archived),
        }
    }

    /// As [`Judge::open_room`], of a room that isn't direct.
    fn open_group(&self, room_id: RoomId) -> Result<&RoomRow, Refused> {
        match self.open_room(room_id)? {
            room if room.kind == RoomKind::Direct => Err(Refused::Direct),
            room => Ok(room),
        }
    }

    /// Takes the room's next `rev`. The room is there: its members were looked at before.
    fn advance(&mut self, room_id: RoomId, change: impl FnOnce(&mut RoomRow)) -> (Rev, RoomRow) {
        let rooms = &mut self.state.rooms;
        let room = rooms.get_mut(&room_id).expect("a room that was found");
        let before = room.rev;
        room.rev += 1;
        change(room);
        let room = room.clone();
        let planned = &mut self.plan.rooms;
        planned.entry(room_id).or_insert((before, room.clone())).1 = room.clone();
        (room.rev, room)
    }

    fn tell(&mut self, room_id: RoomId, rev: Rev, body: EventBody) {
        self.plan.events.push(Event {
            room_id,
            prev: rev - 1,
            rev,
            body,
        });
    }
}

impl Change {
    pub fn room_id(&self) -> RoomId {
        match self {
            Change::Send { room_id, .. }
            | Change::Edit { room_id, .. }
            | Change::Delete { room_id, .. }
            | Change::React { room_id, .. }
            | Change::Pin { room_id, .. }
            | Change::Join { room_id, .. }
            | Change::Leave { room_id, .. }
            | Change::Add { room_id, .. }
            | Change::Remove { room_id, .. }
            | Change::SetRole { room_id, .. }
            | Change::Settings { room_id, .. }
            | Change::DeleteRoom { room_id, .. }
            | Change::Read { room_id, .. } => *room_id,
        }
    }

    /// Bytes of text that it holds.
    pub fn text_bytes(&self) -> usize {
        match self {
            Change::Send { content, named, .. } | Change::Edit { content, named, .. } => {
                let named = named
                    .iter()
                    .map(|users| size_of_val(users) + size_of_val(&users[..]));
                content.len() + named.sum::<usize>()
            }
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests;
