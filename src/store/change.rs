//! Changes of the log, and what becomes of them.

use uuid::Uuid;

use crate::protocol::{
    Rev, RoomId, Seq, Time, UserId,
    rest::{Role, UserSummary},
};

/// Stands for all members of a room, in the table of mentions and in [`Named`].
pub const EVERYONE: UserId = UserId(0);

/// The users whom a text may mention: for each `@` its candidates, the longest name first, [`EVERYONE`] for `@all`. The first
/// candidate who is a member of the room is mentioned.
pub type Named = Vec<Vec<UserId>>;

/// A change of one room, to be appended to the log. A user is given whole where the change's event shows their name.
#[derive(Clone, Debug)]
pub enum Change {
    Send {
        room_id: RoomId,
        sender: UserSummary,
        id: Uuid,
        content: String,
        reply_to: Option<Seq>,
        named: Named,
    },
    /// By its author.
    Edit {
        room_id: RoomId,
        user_id: UserId,
        seq: Seq,
        content: String,
        named: Named,
    },
    /// By its author, by the owner or an admin. Its text is erased from every table.
    Delete {
        room_id: RoomId,
        user_id: UserId,
        seq: Seq,
    },
    React {
        room_id: RoomId,
        user_id: UserId,
        seq: Seq,
        emoji: String,
        on: bool,
    },
    /// By the owner or an admin; by both in a direct room.
    Pin {
        room_id: RoomId,
        user_id: UserId,
        seq: Seq,
        on: bool,
    },
    /// By the user, into a public room.
    Join { room_id: RoomId, user: UserSummary },
    /// By the user. Where they are the owner, an admin becomes it, or else `heir`, if that user is a member; otherwise the
    /// owner can't leave.
    Leave {
        room_id: RoomId,
        user: UserSummary,
        heir: Option<UserSummary>,
    },
    /// By any member. `back`: even if the user was a member before, and left or was removed.
    Add {
        room_id: RoomId,
        by: UserId,
        user: UserSummary,
        back: bool,
    },
    /// By the owner, or by an admin who removes a member.
    Remove {
        room_id: RoomId,
        by: UserId,
        user: UserSummary,
    },
    /// By the owner. [`Role::Owner`] hands the room over: the old owner becomes an admin.
    SetRole {
        room_id: RoomId,
        by: UserSummary,
        user: UserSummary,
        role: Role,
    },
    /// By the owner or an admin; what is `None` stays.
    Settings {
        room_id: RoomId,
        by: UserId,
        name: Option<String>,
        topic: Option<String>,
        archived: Option<bool>,
    },
    /// By the owner. The room doesn't exist any more.
    DeleteRoom { room_id: RoomId, by: UserId },
    /// Raises the user's read marker, to the last message at most. Takes no `rev`.
    Read {
        room_id: RoomId,
        user_id: UserId,
        seq: Seq,
    },
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

    /// The bytes of text that it holds.
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

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// `rev` is the message's present one; `duplicate`: this id was stored before.
    Sent {
        seq: Seq,
        rev: Rev,
        created_at: Time,
        duplicate: bool,
    },
    /// The user is a member now. `changed: false`: they were one already, and `rev` is that of their row.
    Joined {
        rev: Rev,
        role: Role,
        joined_at: Time,
        last_read_seq: Seq,
        changed: bool,
    },
    /// The user isn't a member any more.
    Left {
        rev: Rev,
    },
    /// The message after an edit, a deletion, a reaction or a pin; `changed`: it took a `rev`.
    Updated {
        seq: Seq,
        rev: Rev,
        changed: bool,
    },
    /// The room's settings are as wanted.
    Set,
    RoomDeleted,
    Read {
        last_read_seq: Seq,
    },
    Refused(Refused),
}

/// Why a change was refused, under the room's lock. Nothing was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No such room, or a private one that the user isn't in.
    NoRoom,
    /// A public room that the user isn't in.
    NotMember,
    /// Only the owner may do this.
    NotOwner,
    /// Only the owner and admins may do this.
    NotAdmin,
    /// Only the message's author may do this.
    NotAuthor,
    /// The owner can't be removed, and gives up their role only by handing it over.
    OwnerStays,
    /// The owner leaves only where there is an admin to follow them.
    NoHeir,
    /// The room is archived: members may only read, mark as read, leave, and unarchive it.
    Archived,
    /// A direct room doesn't allow this.
    Direct,
    /// The user to remove, or whose role is to change, isn't a member.
    NoSuchMember,
    /// `reply_to` names a message that doesn't exist.
    NoSuchMessage,
    /// The message to change doesn't exist, or was deleted.
    NoMessage,
    /// The message has the greatest number of kinds of reactions.
    TooManyReactions,
    /// The user is in the greatest number of rooms.
    TooManyRooms,
}
