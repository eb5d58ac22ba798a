//! What people may do to a room, and what comes of it: "Who may do what" in PROTOCOL.md.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Event, MemberRow, Message, Rev, Role, RoomLog, Seq, time, user};

/// Something that a person wants done in a room, by whatever way.
#[derive(Clone, Debug)]
pub enum Act {
    Send {
        id: Uuid,
        content: String,
        reply_to: Option<Seq>,
    },
    Edit {
        seq: Seq,
        content: String,
    },
    Delete {
        seq: Seq,
    },
    React {
        seq: Seq,
        emoji: String,
        on: bool,
    },
    Pin {
        seq: Seq,
        on: bool,
    },
    Rename(String),
    Topic(String),
    Archive(bool),
    Join,
    Add(u64),
    Remove(u64),
    Leave,
    Give(u64, Role),
    DeleteRoom,
}

/// An error's code.
pub type Refused = &'static str;

impl RoomLog {
    /// The changes, one for each row: none when everything is as it should be already.
    pub fn act(&mut self, by: u64, act: Act) -> Result<Vec<Event>, Refused> {
        self.may(by, &act)?;
        Ok(match act {
            Act::Send {
                id,
                content,
                reply_to,
            } => vec![self.send(by, id, content, reply_to)],
            Act::Edit { seq, content } => self.edit(by, seq, content),
            Act::Delete { seq } => self.delete(by, seq),
            Act::React { seq, emoji, on } => self.react(by, seq, &emoji, on),
            Act::Pin { seq, on } => self.pin(by, seq, on),
            Act::Rename(name) => vec![self.set(|room, _| room.name = name)],
            Act::Topic(topic) => vec![self.set(|room, _| room.topic = topic)],
            Act::Archive(on) if on == self.archived_at.is_some() => Vec::new(),
            Act::Archive(on) => {
                vec![self.set(|room, rev| room.archived_at = on.then_some(rev))]
            }
            Act::Join => self.add(by, by),
            Act::Add(user) => self.add(user, by),
            Act::Remove(user) => self.leave(user, by),
            Act::Leave => self.leave(by, by),
            Act::Give(user, role) => self.give(by, user, role),
            Act::DeleteRoom => {
                self.rev += 1;
                self.deleted = true;
                Vec::new()
            }
        })
    }

    fn may(&self, by: u64, act: &Act) -> Result<(), Refused> {
        let Some(role) = self.role(by).or(match act {
            Act::Join if !self.deleted => Some(Role::Member),
            _ => None,
        }) else {
            return Err("not_found");
        };
        if self.archived_at.is_some() && !matches!(act, Act::Leave | Act::Archive(false)) {
            return Err("forbidden");
        }
        let allowed = match act {
            Act::Send { .. } | Act::Join | Act::Add(_) => true,
            Act::Edit { seq, .. } => {
                let message = self.message(*seq)?;
                message.deleted_at.is_none() && message.sender == by
            }
            Act::Delete { seq } => self.message(*seq)?.sender == by || role != Role::Member,
            Act::React { seq, .. } => self.message(*seq)?.deleted_at.is_none(),
            Act::Pin { seq, .. } => {
                self.message(*seq)?.deleted_at.is_none() && role != Role::Member
            }
            Act::Rename(_) | Act::Topic(_) | Act::Archive(_) => role != Role::Member,
            Act::Remove(user) => match self.role(*user).ok_or("not_found")? {
                _ if *user == by => return self.may(by, &Act::Leave),
                Role::Owner => false,
                Role::Admin => role == Role::Owner,
                Role::Member => role != Role::Member,
            },
            Act::Leave => role != Role::Owner || self.heir().is_some(),
            Act::Give(user, _) => {
                self.role(*user).ok_or("not_found")?;
                role == Role::Owner && *user != by
            }
            Act::DeleteRoom => role == Role::Owner,
        };
        allowed.then_some(()).ok_or("forbidden")
    }

    fn message(&self, seq: Seq) -> Result<&Message, Refused> {
        let index = (seq as usize).checked_sub(1).ok_or("not_found")?;
        self.messages.get(index).ok_or("not_found")
    }

    /// The admin who has been in the room the longest.
    fn heir(&self) -> Option<u64> {
        let admins = self
            .members
            .iter()
            .filter(|(_, row)| row.role == Some(Role::Admin));
        let oldest = admins.min_by_key(|(_, row)| row.joined_rev)?;
        Some(*oldest.0)
    }

    fn send(&mut self, by: u64, id: Uuid, content: String, reply_to: Option<Seq>) -> Event {
        self.rev += 1;
        let mut message = Message {
            room_id: self.id,
            seq: self.last_seq() + 1,
            rev: self.rev,
            id,
            sender: by,
            content,
            reply_to,
            created_at: self.rev,
            edited_at: None,
            deleted_at: None,
            pinned_at: None,
            mentions: Vec::new(),
            mention_all: false,
            reactions: Vec::new(),
        };
        self.find_mentions(&mut message);
        let (seq, frame) = (message.seq, typed(message.whole(None), "message"));
        self.messages.push(message);
        self.read(by, seq);
        self.event(frame)
    }

    /// Whom `@user1` and `@all` mean at this moment.
    fn find_mentions(&self, message: &mut Message) {
        let named = message
            .content
            .split(' ')
            .filter_map(|word| word.strip_prefix('@'));
        let named: Vec<&str> = named.collect();
        message.mention_all = named.contains(&"all");
        let members = self.members.iter().filter(|(_, row)| row.role.is_some());
        message.mentions = members
            .map(|(user, _)| *user)
            .filter(|user| named.contains(&&*super::username(*user)))
            .collect();
    }

    /// A change of one message: its row moves to the end of the log.
    fn update(
        &mut self,
        by: u64,
        seq: Seq,
        action: Value,
        change: impl FnOnce(&mut Message, Rev) -> Value,
    ) -> Event {
        self.rev += 1;
        let message = &mut self.messages[seq as usize - 1];
        message.rev = self.rev;
        let mut frame = typed(change(message, self.rev), "message_updated");
        frame["room_id"] = json!(self.id);
        frame["seq"] = json!(seq);
        frame["rev"] = json!(self.rev);
        frame["by"] = action;
        frame["by"]["user_id"] = json!(by);
        self.event(frame)
    }

    fn edit(&mut self, by: u64, seq: Seq, content: String) -> Vec<Event> {
        let mut edited = self.messages[seq as usize - 1].clone();
        if edited.content == content {
            return Vec::new();
        }
        edited.content = content;
        self.find_mentions(&mut edited);
        vec![
            self.update(by, seq, json!({"action": "edit"}), |message, rev| {
                *message = Message {
                    rev,
                    edited_at: Some(rev),
                    ..edited
                };
                let mut changed = json!({"edited_at": time(rev)});
                message.write_text(&mut changed);
                changed
            }),
        ]
    }

    fn delete(&mut self, by: u64, seq: Seq) -> Vec<Event> {
        if self.messages[seq as usize - 1].deleted_at.is_some() {
            return Vec::new();
        }
        vec![
            self.update(by, seq, json!({"action": "delete"}), |message, rev| {
                message.erase(rev);
                json!({"deleted_at": time(rev)})
            }),
        ]
    }

    fn react(&mut self, by: u64, seq: Seq, emoji: &str, on: bool) -> Vec<Event> {
        if self.messages[seq as usize - 1].has_reacted(by, emoji) == on {
            return Vec::new();
        }
        let action = json!({"action": if on { "react" } else { "unreact" }, "emoji": emoji});
        vec![self.update(by, seq, action, |message, _| {
            message.react(by, emoji, on);
            json!({"reactions": [{"emoji": emoji, "count": message.reacted(emoji).len()}]})
        })]
    }

    fn pin(&mut self, by: u64, seq: Seq, on: bool) -> Vec<Event> {
        if self.messages[seq as usize - 1].pinned_at.is_some() == on {
            return Vec::new();
        }
        let action = json!({"action": if on { "pin" } else { "unpin" }});
        vec![self.update(by, seq, action, |message, rev| {
            message.pinned_at = on.then_some(rev);
            json!({"pinned_at": message.pinned_at.map(time)})
        })]
    }

    /// Changes the settings, whoever may.
    pub fn set(&mut self, change: impl FnOnce(&mut Self, Rev)) -> Event {
        self.rev += 1;
        self.settings_rev = self.rev;
        change(self, self.settings_rev);
        self.event(self.room_frame())
    }

    pub(super) fn add(&mut self, user: u64, by: u64) -> Vec<Event> {
        if self.is_member(user) {
            return Vec::new();
        }
        let role = if self.members.is_empty() {
            Role::Owner
        } else {
            Role::Member
        };
        let row = MemberRow {
            rev: 0,
            role: Some(role),
            joined_rev: self.rev + 1,
            last_read_seq: self.last_seq(),
        };
        self.members.insert(user, row);
        vec![self.set_role(user, Some(role), by)]
    }

    /// When the owner leaves, the heir's row is a change of its own.
    fn leave(&mut self, user: u64, by: u64) -> Vec<Event> {
        let heir = match self.role(user) {
            None => return Vec::new(),
            Some(Role::Owner) => self.heir(),
            Some(_) => None,
        };
        let mut events = vec![self.set_role(user, None, by)];
        events.extend(heir.map(|heir| self.set_role(heir, Some(Role::Owner), by)));
        events
    }

    /// The new owner takes the room over; the former one becomes an admin.
    fn give(&mut self, by: u64, user: u64, role: Role) -> Vec<Event> {
        if self.role(user) == Some(role) {
            return Vec::new();
        }
        let mut events = vec![self.set_role(user, Some(role), by)];
        if role == Role::Owner {
            events.push(self.set_role(by, Some(Role::Admin), by));
        }
        events
    }

    fn set_role(&mut self, user: u64, role: Option<Role>, by: u64) -> Event {
        self.rev += 1;
        let rev = self.rev;
        let row = self.members.get_mut(&user).expect("was a member");
        row.rev = rev;
        row.role = role;
        let mut frame = self.member_frame(user);
        frame["by"] = json!(by);
        frame["at"] = json!(time(rev));
        let mut event = self.event(frame);
        event.stay = Some(self.stay(user));
        event
    }

    pub(super) fn member_frame(&self, id: u64) -> Value {
        let row = &self.members[&id];
        json!({
            "type": "member",
            "room_id": self.id,
            "rev": row.rev,
            "user": user(id),
            "role": row.role,
            "member_count": self.member_count(),
        })
    }

    /// The room's newest change, live.
    fn event(&self, frame: Value) -> Event {
        Event {
            room_id: self.id,
            prev: self.rev - 1,
            rev: self.rev,
            frame,
            stay: None,
        }
    }
}

pub fn typed(mut object: Value, kind: &str) -> Value {
    object["type"] = json!(kind);
    object
}
