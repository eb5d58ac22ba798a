//! The rows that a batch depends on.

use uuid::Uuid;

use super::state::{MessageKey, ReactionKey};
use crate::{
    protocol::{RoomId, UserId, rest::Role},
    store::change::{Change, EVERYONE, Named},
};

/// The keys of the rows that a batch depends on. Each list is sorted and without duplicates; rows are locked in this order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Keys {
    pub rooms: Vec<RoomId>,
    /// Rooms whose settings may change.
    pub settings: Vec<RoomId>,
    pub members: Vec<(RoomId, UserId)>,
    /// Rooms that may be deleted: all of their members are read.
    pub ending: Vec<RoomId>,
    /// Users who would leave a room, or hand it over to a user who may leave in the same batch. Where they are the owner, the
    /// room's admins are read too.
    pub leavers: Vec<(RoomId, UserId)>,
    pub sent: Vec<(RoomId, UserId, Uuid)>,
    /// Messages that may change.
    pub messages: Vec<MessageKey>,
    /// Reactions; the counts of their messages are read with them.
    pub reactions: Vec<ReactionKey>,
    /// Users whose rooms are counted.
    pub joiners: Vec<UserId>,
}

impl Keys {
    pub fn of<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Self {
        let mut keys = Self::default();
        for change in changes {
            keys.add(change);
        }
        keys.tidy();
        keys
    }

    /// Whether the batch may change this message.
    pub fn has_message(&self, key: MessageKey) -> bool {
        self.messages.binary_search(&key).is_ok()
    }

    fn add(&mut self, change: &Change) {
        let room_id = change.room_id();
        self.rooms.push(room_id);
        self.members.extend(change_members(change));
        match change {
            Change::Send {
                sender, id, named, ..
            } => {
                self.members.extend(candidates(room_id, named));
                self.sent.push((room_id, sender.id, *id));
            }
            Change::Edit { seq, named, .. } => {
                self.members.extend(candidates(room_id, named));
                self.messages.push((room_id, *seq));
            }
            Change::Delete { seq, .. } | Change::Pin { seq, .. } => {
                self.messages.push((room_id, *seq));
            }
            Change::React {
                user_id,
                seq,
                emoji,
                ..
            } => {
                self.messages.push((room_id, *seq));
                let key = (room_id, *seq, emoji.clone(), *user_id);
                self.reactions.push(key);
            }
            Change::Join { user, .. } | Change::Add { user, .. } => self.joiners.push(user.id),
            Change::Leave { user, .. } => self.leavers.push((room_id, user.id)),
            Change::SetRole { by, role, .. } => {
                if *role == Role::Owner {
                    self.leavers.push((room_id, by.id));
                }
            }
            Change::Settings { .. } => self.settings.push(room_id),
            Change::DeleteRoom { .. } => self.ending.push(room_id),
            Change::Remove { .. } | Change::Read { .. } => {}
        }
    }

    fn tidy(&mut self) {
        tidy(&mut self.joiners);
        tidy(&mut self.ending);
        // A user of a room that is deleted may join one more: their membership is read.
        for room_id in &self.ending {
            let joiners = self.joiners.iter().map(|user_id| (*room_id, *user_id));
            self.members.extend(joiners);
        }
        tidy(&mut self.rooms);
        tidy(&mut self.settings);
        tidy(&mut self.members);
        tidy(&mut self.leavers);
        tidy(&mut self.sent);
        tidy(&mut self.messages);
        tidy(&mut self.reactions);
    }
}

/// The memberships of the users whom a change names.
fn change_members(change: &Change) -> impl Iterator<Item = (RoomId, UserId)> {
    let (first, second) = match change {
        Change::Send { sender, .. } => (sender.id, None),
        Change::Edit { user_id, .. }
        | Change::Delete { user_id, .. }
        | Change::Pin { user_id, .. }
        | Change::React { user_id, .. }
        | Change::Read { user_id, .. } => (*user_id, None),
        Change::Join { user, .. } => (user.id, None),
        Change::Leave { user, heir, .. } => (user.id, heir.as_ref().map(|heir| heir.id)),
        Change::Add { by, user, .. } | Change::Remove { by, user, .. } => (*by, Some(user.id)),
        Change::SetRole { by, user, .. } => (by.id, Some(user.id)),
        Change::Settings { by, .. } | Change::DeleteRoom { by, .. } => (*by, None),
    };
    let room_id = change.room_id();
    let users = std::iter::once(first).chain(second);
    users.map(move |user_id| (room_id, user_id))
}

/// The memberships that decide whom a text mentions.
fn candidates(room_id: RoomId, named: &Named) -> impl Iterator<Item = (RoomId, UserId)> {
    let users = named.iter().flatten().copied();
    let users = users.filter(|user_id| *user_id != EVERYONE);
    users.map(move |user_id| (room_id, user_id))
}

fn tidy<T: Ord>(list: &mut Vec<T>) {
    list.sort_unstable();
    list.dedup();
}
