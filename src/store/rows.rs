//! Columns and types: SQL that several files share, and the functions that read its rows.
//!
//! Invariant: an unknown text where one of the program's own words is expected is an error, never a guess.

use serde::{Deserialize, Serialize};

use super::{account::UserRow, error::SqlError, values::Row};
use crate::protocol::{
    RoomId, Seq,
    rest::{
        Member, Mentions, Message, MessageKind, Notify, Reaction, Role, RoomKind, SiteRole, User,
        UserKind, UserSummary,
    },
};

/// Whether anybody can administer the site.
pub const HAS_ADMIN: &str = "SELECT 1 FROM users WHERE role = 'admin' AND is_active = 1 LIMIT 1";

/// An enum that the tables hold as a word.
pub trait Word: Copy + Sized + 'static {
    const WORDS: &'static [(&'static str, Self)];
    fn word(self) -> &'static str;
    fn from_word(text: &str) -> Result<Self, SqlError> {
        let found = Self::WORDS.iter().find(|(word, _)| *word == text);
        let unknown = || SqlError::Refused(format!("the table holds an unknown word: {text:?}"));
        found.map(|(_, value)| *value).ok_or_else(unknown)
    }
}

macro_rules! words {
    ($type:ident: $($word:literal = $variant:ident),*) => {
        impl Word for $type {
            const WORDS: &'static [(&'static str, Self)] = &[$(($word, $type::$variant)),*];
            fn word(self) -> &'static str {
                match self { $($type::$variant => $word),* }
            }
        }
    };
}

words!(RoomKind: "public" = Public, "private" = Private, "direct" = Direct);
words!(Role: "owner" = Owner, "admin" = Admin, "member" = Member);
words!(Notify: "all" = All, "mentions" = Mentions, "none" = None);
words!(MessageKind: "text" = Text);
words!(UserKind: "person" = Person, "bot" = Bot);
words!(SiteRole: "admin" = Admin, "user" = User);

/// Reads id, username and full name, from the column `at` on.
pub fn summary(row: &mut Row, at: usize) -> Result<UserSummary, SqlError> {
    Ok(UserSummary {
        id: row.user_id(at)?,
        username: row.text(at + 1)?,
        full_name: row.opt_text(at + 2)?,
    })
}

/// What [`message`] reads, of `messages m` and its sender `users u`.
pub const MESSAGE_COLUMNS: &str = "m.room_id, m.seq, m.rev, m.id, m.kind, m.content, m.created_at, m.reply_to, \
     u.id, u.username, u.full_name, m.edited_at, m.deleted_at, m.pinned_at, m.extra";

/// The column `extra` of a message: NULL where none of this applies.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extra {
    #[serde(flatten)]
    pub mentions: Mentions,
    /// How many reactions there are, of all kinds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reactions: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Extra {
    pub fn of(mentions: &Mentions, reactions: u64) -> Self {
        Self {
            mentions: mentions.clone(),
            reactions,
        }
    }

    pub fn from_column(text: Option<&str>) -> Result<Self, SqlError> {
        let Some(text) = text else {
            return Ok(Self::default());
        };
        serde_json::from_str(text)
            .map_err(|error| SqlError::Refused(format!("a message's extra can't be read: {error}")))
    }

    pub fn to_column(&self) -> Option<String> {
        let none = *self == Self::default();
        (!none).then(|| serde_json::to_string(self).expect("numbers and flags are plain JSON"))
    }
}

/// Reads a message without its reactions, and how many it has.
pub fn message(mut row: Row) -> Result<(Message, u64), SqlError> {
    let extra = Extra::from_column(row.opt_str(14)?)?;
    let message = Message {
        room_id: row.room_id(0)?,
        seq: row.u64(1)?,
        rev: row.u64(2)?,
        id: row.uuid(3)?,
        kind: MessageKind::from_word(row.str(4)?)?,
        sender: summary(&mut row, 8)?,
        content: row.opt_text(5)?,
        created_at: row.time(6)?,
        edited_at: row.opt_time(11)?,
        deleted_at: row.opt_time(12)?,
        reply_to: row.opt_u64(7)?,
        pinned_at: row.opt_time(13)?,
        mentions: extra.mentions,
        reactions: Vec::new(),
    };
    Ok((message, extra.reactions))
}

/// Reads seq, emoji, user id and count.
pub fn reaction(row: &mut Row) -> Result<(Seq, Reaction), SqlError> {
    let reaction = Reaction {
        emoji: row.text(1)?,
        count: row.u64(3)?,
        user_ids: vec![row.user_id(2)?],
        me: false,
    };
    Ok((row.u64(0)?, reaction))
}

/// What [`member`] reads, of `room_members m` and `users u`.
pub const MEMBER_COLUMNS: &str =
    "u.id, u.username, u.full_name, m.role, m.joined_at, m.rev, m.last_read_seq";

pub fn member(mut row: Row) -> Result<Member, SqlError> {
    Ok(Member {
        user: summary(&mut row, 0)?,
        role: Role::from_word(row.str(3)?)?,
        joined_at: row.time(4)?,
        rev: row.u64(5)?,
        last_read_seq: Some(row.u64(6)?),
    })
}

/// What [`user`] reads, of `users u`.
pub const USER_COLUMNS: &str = "u.id, u.username, u.full_name, u.email, u.kind, u.role, u.is_active, u.created_at, u.password_hash";

pub fn user(mut row: Row) -> Result<UserRow, SqlError> {
    Ok(UserRow {
        user: User {
            kind: UserKind::from_word(row.str(4)?)?,
            role: SiteRole::from_word(row.str(5)?)?,
            is_active: row.i64(6)? != 0,
            created_at: row.time(7)?,
            email: Some(row.text(3)?),
            id: row.user_id(0)?,
            username: row.text(1)?,
            full_name: row.opt_text(2)?,
        },
        password_hash: row.opt_text(8)?,
    })
}

/// What of a room's row a page needs.
#[derive(Clone, Debug)]
pub struct Head {
    pub id: RoomId,
    pub rev: u64,
    pub last_seq: u64,
    pub first_seq: u64,
    pub member_count: u64,
}

/// Reads id, rev, last_seq, first_seq, member_count.
pub fn head(row: &Row) -> Result<Head, SqlError> {
    Ok(Head {
        id: row.room_id(0)?,
        rev: row.u64(1)?,
        last_seq: row.u64(2)?,
        first_seq: row.u64(3)?,
        member_count: row.u64(4)?,
    })
}
