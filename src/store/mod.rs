//! The log and the tables, on SQLite or on MySQL and MariaDB.
//!
//! Invariants: a change exists once its transaction has committed, and only then is it answered or
//! published; `seq` and `rev` of a room are given inside that transaction, under the lock of the
//! room's row, so that the order of allocation is the order of commits and neither has a hole.
//!
//! Deliberately absent: frames, HTTP, and any opinion on what users may do beyond what must be judged
//! under the room's lock ([`append`]).

use std::{fs::File, sync::Arc};

use uuid::Uuid;

pub use self::error::{Error, Result};
use self::{database::Database, mysql::Mysql, queue::Memory, sqlite::Sqlite};
use crate::protocol::{
    Rev, RoomId, Seq, Time, UserId,
    rest::{Mentions, Message, Role, Room, RoomKind, UserSummary},
    server::Action,
};

pub mod admin;
mod append;
pub mod backup;
pub mod chores;
mod conversation;
mod database;
mod error;
pub mod invites;
mod log;
pub mod migrate;
mod mysql;
mod queue;
mod rooms;
mod rows;
pub mod search;
pub mod sessions;
mod sql;
mod sqlite;
mod telemetry;
pub mod users;

/// Everyone, in the table of mentions and where a text names them.
pub const EVERYONE: UserId = UserId(0);

/// Whom a text names: for each `@` those whom it may mean, the longest name first, [`EVERYONE`] for `@all`. Who is the first
/// of them in the room is mentioned.
pub type Named = Vec<Vec<UserId>>;

/// A change of one room, to be appended to the log. Users are given whole where the change will be
/// shown with their names.
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
    /// By its author, by the owner or an admin. Its text goes from every table.
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
    /// By oneself, into a public room.
    Join { room_id: RoomId, user: UserSummary },
    /// By oneself. The owner's place goes to an admin; without one to `heir`, if he is a member; else the owner stays.
    Leave {
        room_id: RoomId,
        user: UserSummary,
        heir: Option<UserSummary>,
    },
    /// By any member. `back`: even if he was in it before, and left or was removed.
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
    /// By the owner: the room doesn't exist any more.
    DeleteRoom { room_id: RoomId, by: UserId },
    /// Raises the marker, clamped to the last message; takes no `rev`.
    Read {
        room_id: RoomId,
        user_id: UserId,
        seq: Seq,
    },
}

/// What became of a change that the log judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// `rev` is the row's present one; `duplicate` when this id was stored before.
    Sent {
        seq: Seq,
        rev: Rev,
        created_at: Time,
        duplicate: bool,
    },
    /// Is a member now (or was already: then nothing changed and `rev` is the row's).
    Joined {
        rev: Rev,
        role: Role,
        joined_at: Time,
        last_read_seq: Seq,
        changed: bool,
    },
    /// Is no member any more.
    Left {
        rev: Rev,
    },
    /// The message's row, after an edit, a deletion, a reaction or a pin; `changed`: it took a `rev`.
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

/// Why the log refused a change: judged under the room's lock, nothing was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No such room, or a private one that the user isn't in.
    NoRoom,
    /// A public room that the user isn't in.
    NotMember,
    /// The owner may do this.
    NotOwner,
    /// The owner and admins may do this.
    NotAdmin,
    /// Who wrote the message may do this.
    NotAuthor,
    /// The owner can't be removed, and only hands his role over.
    OwnerStays,
    /// The owner leaves only when there is an admin to follow him.
    NoHeir,
    /// Archived: reading, marking, leaving and unarchiving only.
    Archived,
    /// Not in a direct room.
    Direct,
    /// The user to remove, or whose role is to change, isn't a member.
    NoSuchMember,
    /// `reply_to` names a message that doesn't exist.
    NoSuchMessage,
    /// The message to change doesn't exist, or was deleted.
    NoMessage,
    /// The message has as many kinds of reactions as one may have.
    TooManyReactions,
    /// The user is in as many rooms as one may be.
    TooManyRooms,
}

/// A committed change, as it is shown to those who listen: all that changed in (`prev`, `rev`]. A marker
/// ([`EventBody::Read`]) takes no `rev`: both are the room's at that moment.
#[derive(Clone, Debug)]
pub struct Event {
    pub room_id: RoomId,
    pub prev: Rev,
    pub rev: Rev,
    pub body: EventBody,
}

impl Event {
    /// About the memory that it takes.
    pub fn bytes(&self) -> usize {
        let ids = |mentions: &Mentions| mentions.users.len() * size_of::<UserId>();
        let body = match &self.body {
            EventBody::Message(message) => {
                let reactions = message.reactions.iter().map(|of| {
                    size_of_val(of) + of.emoji.len() + of.user_ids.len() * size_of::<UserId>()
                });
                let content = message.content.as_ref().map_or(0, String::len);
                size_of::<Message>() + content + ids(&message.mentions) + reactions.sum::<usize>()
            }
            EventBody::Updated(update) => match &update.what {
                What::Edited {
                    content, mentions, ..
                } => size_of::<Update>() + content.len() + ids(mentions),
                _ => size_of::<Update>(),
            },
            EventBody::Room(room) => size_of::<Room>() + room.name.len() + room.topic.len(),
            EventBody::Deleted { members } => size_of_val(&**members),
            EventBody::Member(_) | EventBody::Read { .. } => 0,
        };
        size_of::<Self>() + body
    }
}

#[derive(Clone, Debug)]
pub enum EventBody {
    Message(Arc<Message>),
    /// Told by commits only: what is read back from the log is whole messages.
    Updated(Arc<Update>),
    Member(MemberEvent),
    /// The room's settings, `mine` left out; `Room::rev` is that of the settings' change.
    Room(Arc<Room>),
    /// The room doesn't exist any more; those who were in it.
    Deleted {
        members: Arc<[UserId]>,
    },
    /// A marker was raised by reading.
    Read {
        user_id: UserId,
        seq: Seq,
        /// Of the room, then.
        member_count: u64,
    },
}

/// What was done to one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    pub seq: Seq,
    pub by: UserId,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Edited {
        content: String,
        at: Time,
        mentions: Mentions,
    },
    Deleted {
        at: Time,
    },
    /// `count`: how many have reacted with this emoji now.
    Reacted {
        emoji: String,
        on: bool,
        count: u64,
    },
    /// `None`: not pinned any more.
    Pinned {
        at: Option<Time>,
    },
}

impl What {
    pub fn action(&self) -> Action {
        match self {
            What::Edited { .. } => Action::Edit,
            What::Deleted { .. } => Action::Delete,
            What::Reacted { on: true, .. } => Action::React,
            What::Reacted { on: false, .. } => Action::Unreact,
            What::Pinned { at: Some(_) } => Action::Pin,
            What::Pinned { at: None } => Action::Unpin,
        }
    }
}

#[derive(Clone, Debug)]
pub struct MemberEvent {
    pub user: UserSummary,
    /// `None`: has left.
    pub role: Option<Role>,
    /// The `rev` with which the stay began: that of the event when he has just come.
    pub joined_rev: Rev,
    /// Who did it and when; absent in what is read back from the log.
    pub by: Option<UserId>,
    pub at: Option<Time>,
    pub member_count: u64,
}

/// Told after every commit, in commit order for each room; must not block.
/// After a commit with an unknown outcome it is told what the log then shows to have changed.
pub type Listener = Arc<dyn Fn(Vec<Event>) + Send + Sync>;

/// A room to be made: [`Store::create_room`].
#[derive(Clone, Debug)]
pub struct NewRoom {
    pub kind: RoomKind,
    pub name: String,
    pub topic: String,
    pub owner: UserSummary,
    /// Without the owner, without repeats.
    pub members: Vec<UserSummary>,
}

/// A direct room, found or made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Direct {
    pub room_id: RoomId,
    pub new: bool,
}

/// Where one member stands in one room, read in one statement: as new as all that was known before it was
/// asked. On MySQL `rev` may be ahead of the rest by what is just being committed. The seqs of what is deleted are read
/// after it, where there are any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub room_id: RoomId,
    pub role: Role,
    pub rev: Rev,
    pub last_seq: Seq,
    pub last_read_seq: Seq,
    pub unread_mentions: u64,
    /// Their seqs, rising: the newest [`crate::limits::MENTIONED_MAX`].
    pub mentioned: Vec<Seq>,
    /// How many messages above the marker are deleted.
    pub deletions: u64,
    /// Their seqs, rising: the newest [`crate::limits::MENTIONED_MAX`].
    pub deleted: Vec<Seq>,
}

impl Standing {
    /// Messages above the marker that aren't deleted.
    pub fn unread(&self) -> u64 {
        let above = self.last_seq.saturating_sub(self.last_read_seq);
        above.saturating_sub(self.deletions)
    }

    /// The same beside what was read of the room before, when its last message was this one.
    pub fn up_to(mut self, last_seq: Seq) -> Self {
        let all = self.deleted.len();
        self.deleted.retain(|seq| *seq <= last_seq);
        self.deletions -= (all - self.deleted.len()) as u64;
        self.last_seq = last_seq;
        self
    }
}

/// One page of what changed in a room after some `rev`: the final state of each changed row, in
/// `rev` order, each event's `prev` chained to the one before.
#[derive(Clone, Debug)]
pub struct Page {
    /// Complete up to here; the head that was locked when `last`.
    pub upto: Rev,
    pub last: bool,
    /// The head that was locked, and the room's last message then.
    pub head: Rev,
    pub last_seq: Seq,
    pub events: Vec<Event>,
}

/// Which page of a room's history, always answered in rising `seq`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// The newest.
    Latest,
    Before(Seq),
    After(Seq),
    /// Half of the page below, the message itself, the rest above.
    Around(Seq),
}

/// A page of history, dense in `seq`; `rev` is the room's, which the page is complete to.
#[derive(Clone, Debug)]
pub struct History {
    pub rev: Rev,
    pub messages: Vec<Message>,
    /// There are older and newer messages than the page's.
    pub older: bool,
    pub newer: bool,
}

/// A user as the tables hold it, with what must never leave the server.
#[derive(Clone, Debug)]
pub struct UserRow {
    pub user: crate::protocol::rest::User,
    pub password_hash: Option<String>,
}

impl UserRow {
    /// Whether the account is a deleted one's: it has no address any more.
    pub fn is_deleted(&self) -> bool {
        self.user.email.as_deref() == Some("")
    }
}

/// A user to be made. Keys are folded by [`crate::protocol::fold::fold`].
#[derive(Clone, Debug)]
pub struct NewUser {
    pub username: String,
    pub email: String,
    pub full_name: Option<String>,
    pub password_hash: String,
}

/// What a user tells of himself; what is `None` stays, and an empty full name goes.
#[derive(Clone, Debug)]
pub struct Profile {
    pub full_name: Option<String>,
    pub email: Option<String>,
}

/// Where the database is and how it is used: the part of the configuration that is the store's.
#[derive(Clone, Debug)]
pub struct Options {
    pub location: Location,
    /// Connections of the pool beside those of the log (SQLite: readers).
    pub pool: usize,
}

#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    Sqlite(std::path::PathBuf),
    /// `mysql://USER:PASSWORD@HOST[:PORT]/NAME`
    Mysql(String),
}

/// The URL holds a password.
impl std::fmt::Debug for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Location::Sqlite(path) => f.debug_tuple("Sqlite").field(path).finish(),
            Location::Mysql(_) => f.write_str("Mysql(…)"),
        }
    }
}

/// A writer of the log has died of a bug, which was logged. A server that can't write helps nobody: the
/// process ends, and whatever looks after it starts it again. Nothing that was acknowledged is lost.
fn end_process() -> ! {
    tracing::error!("the log's writer has died; the process ends");
    std::process::abort()
}

/// A handle on the database; clones share it.
#[derive(Clone)]
pub struct Store {
    db: Database,
    epoch: Arc<str>,
    memory: Memory,
}

/// Takes the place of a database's only server, for as long as the answer lives, where it serves but one.
pub fn only_server(options: &Options) -> Result<Option<File>> {
    match &options.location {
        Location::Sqlite(path) => sqlite::only_server(path).map(Some),
        Location::Mysql(_) => Ok(None),
    }
}

/// Fails where an SQLite database is, or would be, on a file system without locks. Leaves nothing there; the directory must
/// exist.
pub fn lockable(options: &Options) -> Result<()> {
    match &options.location {
        Location::Sqlite(path) => sqlite::lockable(path),
        Location::Mysql(_) => Ok(()),
    }
}

/// What of a database's settings or state keeps Hearth from its promises, and what its operator does about it.
#[derive(Clone, Debug)]
pub struct Weakness {
    pub what: String,
    pub remedy: String,
}

/// Looks at a database that has this program's schema. SQLite is opened as it must be, or not at all; MySQL's
/// settings are its operator's.
pub async fn weaknesses(options: &Options) -> Result<Vec<Weakness>> {
    match &options.location {
        Location::Sqlite(_) => Ok(Vec::new()),
        Location::Mysql(url) => mysql::settings::weaknesses(url, options.pool).await,
    }
}

impl Store {
    /// Opens the database, migrates it under a lock, starts the log.
    pub async fn open(options: &Options, listener: Listener) -> Result<Self> {
        let (report, db) = match &options.location {
            Location::Sqlite(path) => {
                let used = sqlite::used(path)?;
                let report = migrate::migrate(options).await?;
                let db = Sqlite::open(path, used, options.pool, listener)?;
                (report, Database::Sqlite(db))
            }
            Location::Mysql(url) => {
                let report = migrate::migrate(options).await?;
                let db = Mysql::open(url, options.pool, listener)?;
                (report, Database::Mysql(db))
            }
        };
        let store = Self {
            db,
            epoch: report.epoch.into(),
            memory: Memory::new(),
        };
        for Weakness { what, remedy } in weaknesses(options).await? {
            tracing::error!(what, remedy, "the database isn't as Hearth needs it");
        }
        Ok(store)
    }

    /// Whether the log is still the one that was opened: a reset or a restore under a running server
    /// makes it another, whose ids and numbers mean other things.
    pub async fn same_epoch(&self) -> Result<bool> {
        let sql = "SELECT value FROM meta WHERE name = 'log_epoch'";
        let rows = self.db.query(sql, Vec::new()).await?;
        match rows.first() {
            Some(row) => Ok(row.str(0)? == &*self.epoch),
            None => Ok(false),
        }
    }

    /// Drains the appends that wait, then closes all connections.
    pub async fn close(&self) {
        self.db.close().await;
    }

    /// Whether the database answers and the log runs: for `/readyz`.
    pub async fn ping(&self) -> Result<()> {
        self.db.stores()?;
        self.db.query("SELECT 1 FROM meta", Vec::new()).await?;
        Ok(())
    }

    /// Looks at the files of an SQLite database: whether they were changed under this process ([`limits::FILES_INTERVAL`]).
    ///
    /// [`limits::FILES_INTERVAL`]: crate::limits::FILES_INTERVAL
    pub fn look_at_files(&self) {
        if let Database::Sqlite(db) = &self.db {
            db.look();
        }
    }

    /// The log's epoch: changes when the log may have gone back in time.
    pub fn epoch(&self) -> Arc<str> {
        self.epoch.clone()
    }

    /// Appends one change; answers after its commit. `Unavailable`: it never happened; `Unknown`: the
    /// same `id` again will tell.
    pub async fn append(&self, change: Change) -> Result<Outcome> {
        self.db.append(&self.memory, change).await
    }

    fn db(&self) -> &Database {
        &self.db
    }
}

/// Which rooms a list is to hold.
#[derive(Clone, Debug)]
pub struct RoomFilter {
    pub user_id: UserId,
    pub mine: bool,
    pub public: bool,
    /// Case-insensitive substring of the name; empty: all.
    pub query: String,
}
