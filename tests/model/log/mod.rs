//! The log as it should be: in memory, exact, and able to go back in time. It is written from PROTOCOL.md alone and shares
//! no type with the server.

mod act;
mod message;
mod pages;

pub use act::{Act, Refused};
pub use message::Message;
pub use pages::{Page, Standing};

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

pub type Rev = u64;
pub type Seq = u64;

pub fn username(id: u64) -> String {
    format!("user{id}")
}

/// A user's summary.
pub fn user(id: u64) -> Value {
    json!({"id": id, "username": username(id)})
}

/// The moment of a change.
fn time(rev: Rev) -> String {
    format!("t{rev}")
}

/// All rooms; a clone is a backup.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// Deleted rooms stay here, so that what was acknowledged can be checked; nobody is shown them.
    pub rooms: BTreeMap<u64, RoomLog>,
}

impl Log {
    /// Settings at rev 1, the owner at rev 2, the members after.
    pub fn create(&mut self, owner: u64, members: &[u64]) -> (u64, Vec<Event>) {
        let id = self.rooms.len() as u64 + 1;
        let mut room = RoomLog {
            id,
            name: String::new(),
            topic: String::new(),
            archived_at: None,
            deleted: false,
            created_by: owner,
            rev: 0,
            settings_rev: 0,
            messages: Vec::new(),
            members: BTreeMap::new(),
        };
        let mut events = vec![room.set(|room, _| room.name = format!("room {id}"))];
        for member in std::iter::once(&owner).chain(members) {
            events.extend(room.add(*member, owner));
        }
        self.rooms.insert(id, room);
        (id, events)
    }

    pub fn rooms_of(&self, user: u64) -> impl Iterator<Item = &RoomLog> {
        self.rooms.values().filter(move |room| room.is_member(user))
    }

    /// Rooms that exist.
    pub fn present(&self) -> Vec<u64> {
        let present = self.rooms.values().filter(|room| !room.deleted);
        present.map(|room| room.id).collect()
    }
}

/// A change of one row as its frame, without `prev`.
#[derive(Clone, Debug)]
pub struct Event {
    pub room_id: u64,
    pub prev: Rev,
    pub rev: Rev,
    pub frame: Value,
    /// Of a `member` frame.
    pub stay: Option<Stay>,
}

/// Whether a user is in a room.
#[derive(Clone, Copy, Debug)]
pub struct Stay {
    pub user: u64,
    /// Since which rev the user is in it, or out of it.
    pub rev: Rev,
    pub is_in: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Owner,
    Admin,
    Member,
}

#[derive(Clone, Debug)]
pub struct RoomLog {
    pub id: u64,
    pub name: String,
    pub topic: String,
    pub archived_at: Option<Rev>,
    pub deleted: bool,
    created_by: u64,
    pub rev: Rev,
    settings_rev: Rev,
    /// By seq - 1.
    pub messages: Vec<Message>,
    pub members: BTreeMap<u64, MemberRow>,
}

#[derive(Clone, Debug)]
pub struct MemberRow {
    pub rev: Rev,
    pub role: Option<Role>,
    /// When the present membership began.
    pub joined_rev: Rev,
    pub last_read_seq: Seq,
}

impl RoomLog {
    /// A member's role, while the room exists.
    pub fn role(&self, user: u64) -> Option<Role> {
        let member = self.members.get(&user).filter(|_| !self.deleted)?;
        member.role
    }

    pub fn is_member(&self, user: u64) -> bool {
        self.role(user).is_some()
    }

    fn stay(&self, user: u64) -> Stay {
        let row = &self.members[&user];
        let is_in = row.role.is_some();
        Stay {
            user,
            rev: if is_in { row.joined_rev } else { row.rev },
            is_in,
        }
    }

    pub fn last_seq(&self) -> Seq {
        self.messages.len() as Seq
    }

    pub fn member_count(&self) -> u64 {
        let present = self.members.values().filter(|row| row.role.is_some());
        present.count() as u64
    }

    pub fn find(&self, user: u64, id: Uuid) -> Option<&Message> {
        self.messages
            .iter()
            .find(|message| message.sender == user && message.id == id)
    }

    /// Raises the marker of a member; where it is then.
    pub fn read(&mut self, user: u64, seq: Seq) -> Option<Seq> {
        self.role(user)?;
        let seq = seq.min(self.last_seq());
        let member = self.members.get_mut(&user)?;
        member.last_read_seq = member.last_read_seq.max(seq);
        Some(member.last_read_seq)
    }
}
