//! What the tables hold, read behind a running server, and what must be true of the tables by themselves.

mod read;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use uuid::Uuid;

pub use read::Tables;

/// In the table of mentions: everyone.
const EVERYONE: u64 = 0;
/// A room's last message is looked for among so many.
const LAST_MESSAGE_REACH: u64 = 100;

/// A message as the log holds it, and as every client must. Of reactions the counts: who it was is in
/// [`Room::reactions`], which live frames don't tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    pub rev: u64,
    pub id: Uuid,
    pub sender: u64,
    /// Times are milliseconds since 1970.
    pub created_at: i64,
    pub content: Option<String>,
    pub reply_to: Option<u64>,
    pub edited_at: Option<i64>,
    pub deleted_at: Option<i64>,
    pub pinned_at: Option<i64>,
    pub mentions: BTreeSet<u64>,
    pub mention_all: bool,
    pub reactions: BTreeMap<String, u64>,
}

impl Row {
    /// From a message of the socket or of a page.
    pub fn read(message: &Value) -> Self {
        let time = |field: &str| {
            let time = &message[field];
            (!time.is_null()).then(|| millis(time))
        };
        let mentions = message["mentions"].as_array().into_iter().flatten();
        let reactions = message["reactions"].as_array().into_iter().flatten();
        let count = |reaction: &Value| (text(reaction, "emoji"), number(reaction, "count"));
        Self {
            rev: number(message, "rev"),
            id: text(message, "id").parse().unwrap(),
            sender: number(&message["sender"], "id"),
            created_at: millis(&message["created_at"]),
            content: message["content"].as_str().map(str::to_owned),
            reply_to: message["reply_to"].as_u64(),
            edited_at: time("edited_at"),
            deleted_at: time("deleted_at"),
            pinned_at: time("pinned_at"),
            mentions: mentions.map(|user| user.as_u64().unwrap()).collect(),
            mention_all: message["mention_all"] == true,
            reactions: reactions.map(count).collect(),
        }
    }

    /// Whom it stands for in the table of mentions.
    fn noted(&self) -> BTreeSet<u64> {
        if self.mention_all {
            BTreeSet::from([EVERYONE])
        } else {
            self.mentions.clone()
        }
    }
}

/// Who reacted with what.
pub type Reactors = BTreeMap<String, BTreeSet<u64>>;

/// Who reacted, as a page or catch-up tells it.
pub fn reactors(message: &Value) -> Reactors {
    let reactions = message["reactions"].as_array().into_iter().flatten();
    let of_one = |reaction: &Value| {
        let users = reaction["user_ids"].as_array().expect("pages name them");
        let users = users.iter().map(|user| user.as_u64().unwrap());
        (text(reaction, "emoji"), users.collect())
    };
    reactions.map(of_one).collect()
}

pub fn number(value: &Value, field: &str) -> u64 {
    value[field]
        .as_u64()
        .unwrap_or_else(|| panic!("`{field}` is a number: {value}"))
}

fn text(value: &Value, field: &str) -> String {
    let text = value[field].as_str();
    text.unwrap_or_else(|| panic!("`{field}` is a text: {value}"))
        .to_owned()
}

/// RFC 3339, as milliseconds since 1970.
pub fn millis(time: &Value) -> i64 {
    let time: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
    time.as_millisecond()
}

/// All rooms, by id.
pub type Rooms = BTreeMap<u64, Room>;

/// A room's rows, in one snapshot.
#[derive(Debug, Default)]
pub struct Room {
    pub name: String,
    pub archived: bool,
    pub deleted: bool,
    pub rev: u64,
    pub last_seq: u64,
    pub settings_rev: u64,
    pub member_count: u64,
    /// By `seq`.
    pub messages: BTreeMap<u64, Row>,
    pub members: BTreeMap<u64, Member>,
    pub reactions: BTreeMap<u64, Reactors>,
    /// Whom each message mentions, by the table that unread mentions are counted from.
    pub mentions: BTreeMap<u64, BTreeSet<u64>>,
    pub pins: BTreeSet<u64>,
    /// Deleted messages, by the table from which unread ones are counted.
    pub deletions: BTreeSet<u64>,
    /// The last message that isn't deleted, by the room's row.
    shown_seq: u64,
    /// The last one that is.
    deleted_seq: u64,
    /// So many reactions a message's own row says that it has.
    counted: BTreeMap<u64, u64>,
    /// Rows that were read twice: never.
    doubled: Vec<u64>,
}

#[derive(Clone, Debug)]
pub struct Member {
    pub role: String,
    pub present: bool,
    pub rev: u64,
    pub last_read_seq: u64,
}

impl Room {
    /// The roles of those who are in.
    pub fn roles(&self) -> BTreeMap<u64, String> {
        let present = self.members.iter().filter(|(_, member)| member.present);
        present
            .map(|(id, member)| (*id, member.role.clone()))
            .collect()
    }

    pub fn owner(&self) -> Option<u64> {
        let mut roles = self.roles().into_iter();
        roles
            .find(|(_, role)| role == "owner")
            .map(|(user_id, _)| user_id)
    }

    /// The messages above a member's marker that mention them.
    pub fn mentioned(&self, user_id: u64) -> BTreeSet<u64> {
        let marker = self.members[&user_id].last_read_seq;
        let unread = self.mentions.range(marker + 1..);
        let mine = |users: &BTreeSet<u64>| users.contains(&user_id) || users.contains(&EVERYONE);
        unread
            .filter(|(_, users)| mine(users))
            .map(|(seq, _)| *seq)
            .collect()
    }

    /// How many messages above a member's marker aren't deleted.
    pub fn unread(&self, user_id: u64) -> u64 {
        let unread = self
            .messages
            .range(self.members[&user_id].last_read_seq + 1..);
        unread.filter(|(_, row)| row.deleted_at.is_none()).count() as u64
    }

    /// All that must be true of a room's rows at any moment.
    pub fn check(&self, id: u64) {
        self.check_numbers(id);
        self.check_members(id);
        self.check_messages(id);
    }

    /// `seq` without a hole to the room's last, no `rev` twice, none above the room's, and the last change is
    /// there: what is missing of 1 to `rev` was superseded.
    fn check_numbers(&self, id: u64) {
        assert!(
            self.doubled.is_empty(),
            "room {id} holds {:?} twice",
            self.doubled
        );
        let mut expected = 1..=self.last_seq;
        let hole = expected.find(|seq| !self.messages.contains_key(seq));
        assert!(
            hole.is_none() && self.messages.len() as u64 == self.last_seq,
            "room {id} has a hole in `seq`: {} messages, last_seq {}, the first that is missing {hole:?}",
            self.messages.len(),
            self.last_seq
        );
        let mut revs = BTreeSet::from([self.settings_rev]);
        let rows = self.members.values().map(|member| member.rev);
        for rev in rows.chain(self.messages.values().map(|message| message.rev)) {
            assert!(revs.insert(rev), "room {id} has rev {rev} twice");
        }
        let last = revs.last().copied();
        assert!(
            last == Some(self.rev) || self.deleted,
            "room {id} is at rev {}, its newest row at {last:?}",
            self.rev
        );
    }

    fn check_members(&self, id: u64) {
        let roles = self.roles();
        assert_eq!(
            roles.len() as u64,
            self.member_count,
            "members of room {id}"
        );
        let owners = roles.values().filter(|role| *role == "owner").count();
        assert_eq!(owners, usize::from(!self.deleted), "owners of room {id}");
        let mut sent = BTreeMap::new();
        sent.extend(self.messages.iter().map(|(seq, row)| (row.sender, *seq)));
        for (user_id, member) in &self.members {
            let least = sent.get(user_id).copied().unwrap_or(0);
            assert!(
                (least..=self.last_seq).contains(&member.last_read_seq),
                "room {id}: {user_id} has sent message {least} of {}, and their marker is at {}",
                self.last_seq,
                member.last_read_seq
            );
        }
    }

    /// Reactions, mentions and pins agree with the messages' rows; a deleted message has none.
    fn check_messages(&self, id: u64) {
        let (mut pins, mut deletions) = (BTreeSet::new(), BTreeSet::new());
        for (seq, row) in &self.messages {
            if row.deleted_at.is_some() {
                deletions.insert(*seq);
                let left = Row {
                    rev: row.rev,
                    id: row.id,
                    sender: row.sender,
                    created_at: row.created_at,
                    edited_at: row.edited_at,
                    deleted_at: row.deleted_at,
                    reply_to: row.reply_to,
                    ..Row::default()
                };
                assert_eq!(*row, left, "room {id}: left of the deleted message {seq}");
            } else {
                assert!(
                    row.content.is_some(),
                    "room {id}: message {seq} has no text"
                );
            }
            let counted = self.counted.get(seq).copied().unwrap_or(0);
            assert_eq!(
                counted,
                row.reactions.values().sum::<u64>(),
                "room {id}: the reactions to message {seq}, by its row and by theirs"
            );
            let noted = self.mentions.get(seq).cloned().unwrap_or_default();
            assert_eq!(
                noted,
                row.noted(),
                "room {id}: whom message {seq} mentions, by the table and by its row"
            );
            pins.extend(row.pinned_at.map(|_| *seq));
        }
        assert_eq!(
            self.pins, pins,
            "room {id}: pins, by the table and by the rows"
        );
        assert_eq!(
            self.deletions, deletions,
            "room {id}: deletions, by the table and by the rows"
        );
        let above = self.last_seq.saturating_sub(LAST_MESSAGE_REACH);
        let shown = (above + 1..=self.last_seq).rfind(|seq| !deletions.contains(seq));
        assert_eq!(
            self.shown_seq,
            shown.unwrap_or(0),
            "room {id}: its last message that isn't deleted"
        );
        assert_eq!(
            self.deleted_seq,
            deletions.last().copied().unwrap_or(0),
            "room {id}: its last deleted message"
        );
        let mut others = self.reactions.keys().chain(self.mentions.keys());
        let stray = others.find(|seq| !self.messages.contains_key(seq));
        assert_eq!(stray, None, "room {id} holds what hangs on no message");
    }
}
