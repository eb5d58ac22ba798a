//! The log as it should be: in memory, exact, and able to go back in time.

use std::{collections::BTreeMap, sync::Arc};

use hearth::{
    protocol::{
        Rev, RoomId, Seq, Time, UserId,
        rest::{
            LastMessage, List, Member, Mentions, Message, MessageKind, Mine, Notify, Role, Room,
            RoomKind, UserSummary,
        },
    },
    store::{Event, EventBody, MemberEvent, Page, Standing},
};
use serde_json::Value;
use uuid::Uuid;

/// Changed rows in one page of a catch-up: small, so that catch-ups have many.
pub const PAGE_ROWS: usize = 4;
/// Items in one page of history or members.
pub const LIST_ITEMS: usize = 5;

pub fn user(id: u64) -> UserSummary {
    UserSummary {
        id: UserId(id),
        username: format!("user{id}"),
        full_name: None,
    }
}

/// All rooms; a clone is a backup.
#[derive(Clone, Debug, Default)]
pub struct Log {
    pub rooms: BTreeMap<u64, RoomLog>,
}

impl Log {
    /// Settings at rev 1, the owner at rev 2, the members after.
    pub fn create(&mut self, owner: u64, members: &[u64]) -> (u64, Vec<Event>) {
        let id = self.rooms.len() as u64 + 1;
        let mut room = RoomLog {
            id,
            name: format!("room {id}"),
            topic: String::new(),
            owner,
            rev: 1,
            settings_rev: 1,
            messages: Vec::new(),
            members: BTreeMap::new(),
        };
        let mut events = vec![room.event(EventBody::Room(Arc::new(room.settings())))];
        for member in std::iter::once(&owner).chain(members) {
            events.extend(room.set_member(*member, true, owner));
        }
        self.rooms.insert(id, room);
        (id, events)
    }

    pub fn rooms_of(&self, user: u64) -> impl Iterator<Item = &RoomLog> {
        self.rooms.values().filter(move |room| room.is_member(user))
    }
}

#[derive(Clone, Debug)]
pub struct RoomLog {
    pub id: u64,
    pub name: String,
    pub topic: String,
    pub owner: u64,
    pub rev: Rev,
    settings_rev: Rev,
    /// By seq - 1.
    pub messages: Vec<Message>,
    pub members: BTreeMap<u64, MemberRow>,
}

#[derive(Clone, Debug)]
pub struct MemberRow {
    pub rev: Rev,
    /// When the present stay began, or the last one.
    joined_rev: Rev,
    pub role: Option<Role>,
    pub last_read_seq: Seq,
}

impl RoomLog {
    pub fn is_member(&self, user: u64) -> bool {
        self.members
            .get(&user)
            .is_some_and(|member| member.role.is_some())
    }

    pub fn last_seq(&self) -> Seq {
        self.messages.len() as Seq
    }

    pub fn member_count(&self) -> u64 {
        self.members
            .values()
            .filter(|member| member.role.is_some())
            .count() as u64
    }

    /// The room's newest change, live.
    fn event(&self, body: EventBody) -> Event {
        Event {
            room_id: RoomId(self.id),
            prev: self.rev - 1,
            rev: self.rev,
            body,
        }
    }

    /// Without what differs by member; its `rev` is that of the settings' change.
    fn settings(&self) -> Room {
        Room {
            id: RoomId(self.id),
            kind: RoomKind::Public,
            name: self.name.clone(),
            topic: self.topic.clone(),
            created_by: UserId(self.owner),
            created_at: Time(0),
            archived_at: None,
            rev: self.settings_rev,
            last_seq: self.last_seq(),
            member_count: self.member_count(),
            mine: None,
        }
    }

    pub fn rename(&mut self, name: String) -> Event {
        self.rev += 1;
        self.settings_rev = self.rev;
        self.name = name;
        self.event(EventBody::Room(Arc::new(self.settings())))
    }

    pub fn find(&self, user: u64, id: Uuid) -> Option<&Message> {
        self.messages
            .iter()
            .find(|message| message.sender.id == UserId(user) && message.id == id)
    }

    pub fn send(&mut self, user: u64, id: Uuid, content: String, reply_to: Option<Seq>) -> Event {
        self.rev += 1;
        let message = Message {
            room_id: RoomId(self.id),
            seq: self.last_seq() + 1,
            rev: self.rev,
            id,
            kind: MessageKind::Text,
            sender: self::user(user),
            content: Some(content),
            created_at: Time(self.rev as i64),
            edited_at: None,
            deleted_at: None,
            reply_to,
            pinned_at: None,
            mentions: Mentions::default(),
            reactions: Vec::new(),
        };
        self.messages.push(message.clone());
        self.read(user, message.seq);
        self.event(EventBody::Message(Arc::new(message)))
    }

    /// The row moves to the end of the log.
    pub fn edit(&mut self, seq: Seq, content: String) -> Event {
        self.rev += 1;
        let message = &mut self.messages[seq as usize - 1];
        message.rev = self.rev;
        message.content = Some(content);
        let message = message.clone();
        self.event(EventBody::Message(Arc::new(message)))
    }

    /// Adds or removes; nothing when that is so already.
    pub fn set_member(&mut self, user: u64, present: bool, by: u64) -> Option<Event> {
        if self.is_member(user) == present {
            return None;
        }
        self.rev += 1;
        let role = match present {
            true if user == self.owner => Some(Role::Owner),
            true => Some(Role::Member),
            false => None,
        };
        let before = self.members.get(&user).map_or(0, |row| row.joined_rev);
        let row = MemberRow {
            rev: self.rev,
            joined_rev: if present { self.rev } else { before },
            role,
            last_read_seq: self.last_seq(),
        };
        self.members.insert(user, row);
        let mut member = self.member_event(user);
        member.by = Some(UserId(by));
        member.at = Some(Time(self.rev as i64));
        Some(self.event(EventBody::Member(member)))
    }

    fn member_event(&self, user: u64) -> MemberEvent {
        MemberEvent {
            user: self::user(user),
            role: self.members[&user].role,
            joined_rev: self.members[&user].joined_rev,
            by: None,
            at: None,
            member_count: self.member_count(),
        }
    }

    /// Raises the marker; where it is then.
    pub fn read(&mut self, user: u64, seq: Seq) -> Seq {
        let seq = seq.min(self.last_seq());
        let Some(member) = self.members.get_mut(&user) else {
            return 0;
        };
        member.last_read_seq = member.last_read_seq.max(seq);
        member.last_read_seq
    }

    pub fn standing(&self, user: u64) -> Option<Standing> {
        let member = self.members.get(&user)?;
        Some(Standing {
            room_id: RoomId(self.id),
            role: member.role?,
            rev: self.rev,
            last_seq: self.last_seq(),
            last_read_seq: member.last_read_seq,
            unread_mentions: 0,
            mentioned: Vec::new(),
        })
    }

    /// What changed after `after`, compacted: the final state of each row, chained.
    pub fn changes(&self, after: Rev) -> Page {
        let mut rows: BTreeMap<Rev, EventBody> = BTreeMap::new();
        if self.settings_rev > after {
            let settings = EventBody::Room(Arc::new(self.settings()));
            rows.insert(self.settings_rev, settings);
        }
        for (user, row) in self.members.iter().filter(|(_, row)| row.rev > after) {
            rows.insert(row.rev, EventBody::Member(self.member_event(*user)));
        }
        for message in self.messages.iter().filter(|message| message.rev > after) {
            rows.insert(message.rev, EventBody::Message(Arc::new(message.clone())));
        }
        let last = rows.len() <= PAGE_ROWS;
        let mut prev = after;
        let events: Vec<Event> = rows
            .into_iter()
            .take(PAGE_ROWS)
            .map(|(rev, body)| {
                let event = Event {
                    room_id: RoomId(self.id),
                    prev,
                    rev,
                    body,
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

    /// The room as `ready`, `added` and REST show it to a member.
    pub fn room_of(&self, user: u64) -> Option<Room> {
        let standing = self.standing(user)?;
        let last_message = self.messages.last().map(|message| LastMessage {
            seq: message.seq,
            sender: message.sender.clone(),
            snippet: message.content.clone().unwrap_or_default(),
            created_at: message.created_at,
        });
        Some(Room {
            rev: self.rev,
            mine: Some(Mine {
                role: standing.role,
                notify: Notify::All,
                last_read_seq: standing.last_read_seq,
                unread_mentions: 0,
                mentioned: Vec::new(),
                last_message,
                peer: None,
            }),
            ..self.settings()
        })
    }

    /// A page of history: the newest, or those below a seq.
    pub fn history(&self, before: Option<Seq>) -> Value {
        let all = self.messages.len();
        let end = before.map_or(all, |seq| all.min(seq as usize - 1));
        let start = end.saturating_sub(LIST_ITEMS);
        let list = List {
            items: self.messages[start..end].to_vec(),
            next: (start > 0).then(|| start.to_string()),
            rev: Some(self.rev),
        };
        serde_json::to_value(list).unwrap()
    }

    /// A page of members after a cursor.
    pub fn member_page(&self, cursor: Option<&str>) -> Value {
        let after = cursor.map_or(0, |cursor| cursor.parse().unwrap());
        let mut items: Vec<Member> = self
            .members
            .iter()
            .filter(|(user, _)| **user > after)
            .filter_map(|(user, row)| {
                Some(Member {
                    user: self::user(*user),
                    role: row.role?,
                    joined_at: Time(0),
                    rev: row.rev,
                    last_read_seq: None,
                })
            })
            .collect();
        let more = items.len() > LIST_ITEMS / 2;
        items.truncate(LIST_ITEMS / 2);
        let list = List {
            next: items
                .last()
                .filter(|_| more)
                .map(|member| member.user.id.to_string()),
            items,
            rev: Some(self.rev),
        };
        serde_json::to_value(list).unwrap()
    }
}
