//! The judge: decides a batch of changes and numbers it, without I/O and without a clock.
//!
//! [`Keys`] names the rows that a batch depends on. The database locks them and reads them into a [`State`]. [`plan`] judges the
//! changes one after another, each against what those before it left, so that a batch gives what its changes would give one by
//! one. The database then executes the [`Plan`].
//!
//! Invariants: an id that was stored before is found before anything else is checked. One row changed takes one `rev`. A room's
//! `seq` and `rev` rise by one. A change that is refused, or that asks for what is so already, writes nothing.
//!
//! PROTOCOL.md section 7.8 says who may do what. It is checked here: memberships and settings in [`rooms`], messages in
//! [`messages`].

use std::collections::BTreeMap;

pub use self::{
    keys::Keys,
    plan::{MemberWrite, MessageWrite, Plan, RowChange},
    state::{MemberRow, MessageKey, MessageRow, RoomRow, SentRow, SettingsRow, State},
};
use super::{
    change::{Change, Outcome, Refused},
    event::{Event, EventBody},
};
use crate::protocol::{Rev, RoomId, Time, UserId, rest::RoomKind};

mod keys;
mod messages;
mod plan;
mod rooms;
mod state;

/// Judges and numbers a batch. `keys` are its keys, `state` their rows.
pub fn plan<'a>(
    changes: impl IntoIterator<Item = &'a Change>,
    keys: &Keys,
    state: State,
    now: Time,
) -> Plan {
    let mut judge = Judge {
        keys,
        state,
        plan: Plan::default(),
        updated: BTreeMap::new(),
        now,
    };
    for change in changes {
        let outcome = judge.judge(change).unwrap_or_else(Outcome::Refused);
        judge.plan.outcomes.push(outcome);
    }
    judge.finish()
}

/// A batch while it is judged.
struct Judge<'a> {
    keys: &'a Keys,
    /// The rows as the changes so far leave them.
    state: State,
    plan: Plan,
    /// Messages whose rows change, and whether their texts do.
    updated: BTreeMap<MessageKey, bool>,
    now: Time,
}

impl Judge<'_> {
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

    /// The plan, with the final rows of the messages that change.
    fn finish(mut self) -> Plan {
        for (key, text) in self.updated {
            let row = self.state.messages.remove(&key);
            let row = row.expect("the row of a message that changes");
            self.plan.updates.insert(key, MessageWrite { row, text });
        }
        self.plan
    }

    fn present(&self, key: (RoomId, UserId)) -> Option<&MemberRow> {
        let row = self.state.members.get(&key)?;
        row.left_at.is_none().then_some(row)
    }

    /// The user's membership. Where there is none, the refusal doesn't tell that a private room exists.
    fn member(&self, room_id: RoomId, user_id: UserId) -> Result<&MemberRow, Refused> {
        let room = self.state.rooms.get(&room_id).ok_or(Refused::NoRoom)?;
        self.present((room_id, user_id)).ok_or(match room.kind {
            RoomKind::Public => Refused::NotMember,
            RoomKind::Private | RoomKind::Direct => Refused::NoRoom,
        })
    }

    /// A room that isn't archived.
    fn open_room(&self, room_id: RoomId) -> Result<&RoomRow, Refused> {
        let room = self.state.rooms.get(&room_id).ok_or(Refused::NoRoom)?;
        match room.archived_at {
            None => Ok(room),
            Some(_) => Err(Refused::Archived),
        }
    }

    /// A room that is neither archived nor direct.
    fn open_group(&self, room_id: RoomId) -> Result<&RoomRow, Refused> {
        match self.open_room(room_id)? {
            room if room.kind == RoomKind::Direct => Err(Refused::Direct),
            room => Ok(room),
        }
    }

    /// Takes the room's next `rev`. The room exists, because its members were looked up before.
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

    /// Adds the event of a change that took this `rev`.
    fn tell(&mut self, room_id: RoomId, rev: Rev, body: EventBody) {
        self.plan.events.push(Event {
            room_id,
            prev: rev - 1,
            rev,
            body,
        });
    }
}

#[cfg(test)]
mod tests;
