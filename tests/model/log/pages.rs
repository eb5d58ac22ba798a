//! What is read of a room: changes after a `rev`, a user's standing, and REST's pages.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Event, Rev, RoomLog, Seq, act::typed, time, user};

/// Changed rows in one page of a catch-up: small, so that catch-ups have many.
pub const PAGE_ROWS: usize = 4;
/// Items in one page of history or members.
pub const LIST_ITEMS: usize = 5;

/// A page of changes, complete up to `upto`.
pub struct Page {
    pub upto: Rev,
    pub last: bool,
    /// Where the room was when it was read.
    pub head: Rev,
    pub last_seq: Seq,
    pub events: Vec<Event>,
}

/// Where a user stands in a room.
#[derive(Clone, Debug)]
pub struct Standing {
    pub rev: Rev,
    pub last_seq: Seq,
    pub last_read_seq: Seq,
    pub mentioned: Vec<Seq>,
    /// Deleted messages above the marker.
    pub deleted: Vec<Seq>,
}

impl RoomLog {
    pub fn standing(&self, user: u64) -> Option<Standing> {
        self.role(user)?;
        let last_read_seq = self.members[&user].last_read_seq;
        Some(Standing {
            rev: self.rev,
            last_seq: self.last_seq(),
            last_read_seq,
            mentioned: self.mentioned(user),
            deleted: self.deleted(user),
        })
    }

    /// The deleted messages above a user's marker, by their plain definition.
    pub fn deleted(&self, user: u64) -> Vec<Seq> {
        let marker = self.members[&user].last_read_seq;
        let unread = self.messages.iter().filter(|message| message.seq > marker);
        unread
            .filter(|message| message.deleted_at.is_some())
            .map(|message| message.seq)
            .collect()
    }

    /// The unread mentions by their plain definition.
    pub fn mentioned(&self, user: u64) -> Vec<Seq> {
        let marker = self.members[&user].last_read_seq;
        let unread = self.messages.iter().filter(|message| message.seq > marker);
        unread
            .filter(|message| message.mentions(user))
            .map(|message| message.seq)
            .collect()
    }

    /// What changed after `after`, compacted: the final state of each row, chained.
    pub fn changes(&self, after: Rev) -> Page {
        let mut rows: BTreeMap<Rev, (Value, Option<u64>)> = BTreeMap::new();
        if self.settings_rev > after {
            rows.insert(self.settings_rev, (self.room_frame(), None));
        }
        for (user, row) in self.members.iter().filter(|(_, row)| row.rev > after) {
            rows.insert(row.rev, (self.member_frame(*user), Some(*user)));
        }
        for message in self.messages.iter().filter(|message| message.rev > after) {
            rows.insert(message.rev, (typed(message.whole(None), "message"), None));
        }
        let last = rows.len() <= PAGE_ROWS;
        let mut prev = after;
        let events: Vec<Event> = rows
            .into_iter()
            .take(PAGE_ROWS)
            .map(|(rev, (frame, member))| {
                let event = Event {
                    room_id: self.id,
                    prev,
                    rev,
                    frame,
                    stay: member.map(|user| self.stay(user)),
                };
                prev = rev;
                event
            })
            .collect();
        Page {
            upto: prev,
            last,
            head: self.rev,
            last_seq: self.last_seq(),
            events,
        }
    }

    /// The room without what differs by member; its `rev` is that of the settings' change.
    pub fn settings(&self) -> Value {
        let mut room = json!({
            "id": self.id,
            "kind": "public",
            "name": self.name,
            "topic": self.topic,
            "created_by": self.created_by,
            "created_at": time(0),
            "rev": self.settings_rev,
            "last_seq": self.last_seq(),
            "member_count": self.member_count(),
        });
        if let Some(at) = self.archived_at {
            room["archived_at"] = json!(time(at));
        }
        room
    }

    /// The settings as a frame.
    pub fn room_frame(&self) -> Value {
        let room = self.settings();
        json!({"type": "room", "room_id": self.id, "rev": room["rev"], "room": room})
    }

    /// The room as `ready`, `added` and REST show it to a member.
    pub fn room_of(&self, user: u64) -> Option<Value> {
        let standing = self.standing(user)?;
        let mut room = self.settings();
        room["rev"] = json!(self.rev);
        room["role"] = json!(self.role(user));
        room["notify"] = json!("all");
        standing.write(&mut room);
        Some(room)
    }

    /// A page of history: the newest, or those below a seq.
    pub fn history(&self, me: u64, before: Option<Seq>) -> Value {
        let all = self.messages.len();
        let end = before.map_or(all, |seq| all.min(seq as usize - 1));
        let start = end.saturating_sub(LIST_ITEMS);
        let items = self.messages[start..end].iter();
        let items: Vec<Value> = items.map(|message| message.whole(Some(me))).collect();
        json!({"items": items, "next": (start > 0).then_some(start), "rev": self.rev})
    }

    /// A page of members after a cursor.
    pub fn member_page(&self, cursor: Option<&str>) -> Value {
        let after = cursor.map_or(0, |cursor| cursor.parse().unwrap());
        let mut present: Vec<u64> = self
            .members
            .iter()
            .filter(|(user, row)| **user > after && row.role.is_some())
            .map(|(user, _)| *user)
            .collect();
        let more = present.len() > LIST_ITEMS / 2;
        present.truncate(LIST_ITEMS / 2);
        let next = present.last().filter(|_| more).map(u64::to_string);
        let items = present.into_iter().map(|id| {
            let row = &self.members[&id];
            json!({"user": user(id), "role": row.role, "joined_at": time(row.joined_rev),
                "rev": row.rev, "last_read_seq": row.last_read_seq})
        });
        json!({"items": Vec::from_iter(items), "next": next, "rev": self.rev})
    }
}

impl Standing {
    /// What is above the marker and not deleted.
    pub fn unread(&self) -> u64 {
        let above = self.last_seq.saturating_sub(self.last_read_seq);
        above.saturating_sub(self.deleted.len() as u64)
    }

    /// The same when the room's last message was this one.
    pub fn up_to(mut self, last_seq: Seq) -> Self {
        self.deleted.retain(|seq| *seq <= last_seq);
        self.last_seq = last_seq;
        self
    }

    /// The markers and what is counted above them.
    pub fn write(&self, frame: &mut Value) {
        frame["last_read_seq"] = json!(self.last_read_seq);
        frame["deleted"] = json!(self.deleted);
        frame["mentioned"] = json!(self.mentioned);
        self.count(frame);
    }

    /// What is left above the marker.
    pub fn count(&self, frame: &mut Value) {
        frame["last_seq"] = json!(self.last_seq);
        frame["unread"] = json!(self.unread());
        frame["unread_mentions"] = json!(self.mentioned.len());
    }
}
