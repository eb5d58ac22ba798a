//! What the tables hold, read behind the server's back, and what must be true of them by themselves.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use mysql_async::prelude::Queryable;
use rusqlite::OpenFlags;
use serde_json::Value;
use uuid::Uuid;

use super::Server;

/// Where the tables are.
#[derive(Clone, Debug)]
pub enum Tables {
    Sqlite(PathBuf),
    MariaDb(String),
}

/// A message as the log holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub rev: u64,
    pub id: Uuid,
    pub sender: u64,
    /// Milliseconds since 1970.
    pub created_at: i64,
    pub content: String,
}

impl Row {
    /// From a message of the socket or of a page.
    pub fn read(message: &Value) -> Self {
        Self {
            rev: number(message, "rev"),
            id: message["id"].as_str().unwrap().parse().unwrap(),
            sender: number(&message["sender"], "id"),
            created_at: millis(&message["created_at"]),
            content: message["content"].as_str().unwrap().to_owned(),
        }
    }
}

pub fn number(value: &Value, field: &str) -> u64 {
    value[field]
        .as_u64()
        .unwrap_or_else(|| panic!("`{field}` is a number: {value}"))
}

/// RFC 3339, as milliseconds since 1970.
pub fn millis(time: &Value) -> i64 {
    let time: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
    time.as_millisecond()
}

/// A room's rows, in one snapshot.
#[derive(Debug, Default)]
pub struct Room {
    pub rev: u64,
    pub last_seq: u64,
    pub settings_rev: u64,
    pub member_count: u64,
    /// By `seq`, those above what was asked for.
    pub messages: BTreeMap<u64, Row>,
    pub members: BTreeMap<u64, Member>,
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

const ROOMS: &str = "SELECT id, rev, last_seq, settings_rev, member_count FROM rooms";
const MEMBERS: &str =
    "SELECT room_id, user_id, role, left_at, rev, last_read_seq FROM room_members";
const MESSAGES: &str = "SELECT seq, rev, id, sender_id, created_at, content FROM messages WHERE room_id = ? AND seq > ?";

type Rooms = BTreeMap<u64, Room>;

impl Tables {
    pub fn of(server: &Server) -> Self {
        match server.database_url() {
            Some(url) if url.starts_with("mysql") => Self::MariaDb(url.to_owned()),
            Some(url) => Self::Sqlite(url.strip_prefix("sqlite://").unwrap().into()),
            None => Self::Sqlite(server.dir().join("data/hearth.db")),
        }
    }

    /// All rooms, each with its messages above the `seq` given for it (else 0).
    pub async fn read(&self, above: &BTreeMap<u64, u64>) -> Rooms {
        match self {
            Self::Sqlite(path) => read_sqlite(path, above).expect("the tables are there"),
            Self::MariaDb(url) => read_mariadb(url, above)
                .await
                .expect("the tables are there"),
        }
    }

    /// As [`Tables::read`]; `None` when the tables aren't there (a disk that lied lost them).
    pub fn try_read_sqlite(path: &std::path::Path) -> Option<Rooms> {
        read_sqlite(path, &BTreeMap::new()).ok()
    }
}

fn read_sqlite(path: &std::path::Path, above: &BTreeMap<u64, u64>) -> rusqlite::Result<Rooms> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn = rusqlite::Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(super::PATIENCE)?;
    let snapshot = conn.transaction()?;
    let mut rooms = Rooms::new();
    let mut statement = snapshot.prepare(ROOMS)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let room = Room::new(int(row, 1)?, int(row, 2)?, int(row, 3)?, int(row, 4)?);
        rooms.insert(int(row, 0)?, room);
    }
    let mut statement = snapshot.prepare(MEMBERS)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let left: Option<i64> = row.get(3)?;
        let member = Member {
            role: row.get(2)?,
            present: left.is_none(),
            rev: int(row, 4)?,
            last_read_seq: int(row, 5)?,
        };
        let room = rooms.get_mut(&int(row, 0)?).expect("a member's room");
        room.members.insert(int(row, 1)?, member);
    }
    let mut statement = snapshot.prepare(MESSAGES)?;
    for (id, room) in &mut rooms {
        let mut rows = statement.query([*id as i64, above.get(id).copied().unwrap_or(0) as i64])?;
        while let Some(row) = rows.next()? {
            let id: [u8; 16] = row.get(2)?;
            let message = Row {
                rev: int(row, 1)?,
                id: Uuid::from_bytes(id),
                sender: int(row, 3)?,
                created_at: row.get(4)?,
                content: row.get(5)?,
            };
            room.take(int(row, 0)?, message);
        }
    }
    Ok(rooms)
}

fn int(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(|int| int as u64)
}

async fn read_mariadb(url: &str, above: &BTreeMap<u64, u64>) -> mysql_async::Result<Rooms> {
    let mut conn = mysql_async::Conn::from_url(url).await?;
    conn.query_drop("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        .await?;
    conn.query_drop("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        .await?;
    let mut rooms = Rooms::new();
    let rows: Vec<(u64, u64, u64, u64, u64)> = conn.query(ROOMS).await?;
    for (id, rev, last_seq, settings_rev, member_count) in rows {
        rooms.insert(id, Room::new(rev, last_seq, settings_rev, member_count));
    }
    let rows: Vec<(u64, u64, String, Option<i64>, u64, u64)> = conn.query(MEMBERS).await?;
    for (room_id, user_id, role, left, rev, last_read_seq) in rows {
        let room = rooms.get_mut(&room_id).expect("a member's room");
        let member = Member {
            role,
            present: left.is_none(),
            rev,
            last_read_seq,
        };
        room.members.insert(user_id, member);
    }
    for (id, room) in &mut rooms {
        let above = above.get(id).copied().unwrap_or(0);
        type Columns = (u64, u64, Vec<u8>, u64, i64, String);
        let rows: Vec<Columns> = conn.exec(MESSAGES, (*id, above)).await?;
        for (seq, rev, id, sender, created_at, content) in rows {
            let message = Row {
                rev,
                id: Uuid::from_slice(&id).unwrap(),
                sender,
                created_at,
                content,
            };
            room.take(seq, message);
        }
    }
    conn.disconnect().await?;
    Ok(rooms)
}

impl Room {
    fn new(rev: u64, last_seq: u64, settings_rev: u64, member_count: u64) -> Self {
        Self {
            rev,
            last_seq,
            settings_rev,
            member_count,
            ..Self::default()
        }
    }

    fn take(&mut self, seq: u64, message: Row) {
        if self.messages.insert(seq, message).is_some() {
            self.doubled.push(seq);
        }
    }

    /// `seq` without a hole from above `above` to the room's last, no `rev` twice, none above the
    /// room's, and the last change is there.
    pub fn check(&self, id: u64, above: u64) {
        assert!(
            self.doubled.is_empty(),
            "room {id} holds {:?} twice",
            self.doubled
        );
        let expected = (above + 1..=self.last_seq).collect::<Vec<_>>();
        let found = self.messages.keys().copied().collect::<Vec<_>>();
        let hole = expected
            .iter()
            .zip(&found)
            .find(|(expected, found)| expected != found);
        assert!(
            found == expected,
            "room {id} has a hole in `seq`: {} messages above {above}, last_seq {}, first difference {hole:?}",
            found.len(),
            self.last_seq
        );
        let mut revs = BTreeSet::from([self.settings_rev]);
        let rows = self.members.values().map(|member| member.rev);
        for rev in rows.chain(self.messages.values().map(|message| message.rev)) {
            assert!(revs.insert(rev), "room {id} has rev {rev} twice");
        }
        let last = revs.last().copied();
        let complete = above == 0 || !self.messages.is_empty();
        assert!(
            last == Some(self.rev) || !complete,
            "room {id} is at rev {}, its newest row at {last:?}",
            self.rev
        );
        let rising = self.messages.values().is_sorted_by(|a, b| a.rev < b.rev);
        assert!(rising, "room {id}: `rev` doesn't rise with `seq`");
        let present = self.members.values().filter(|member| member.present);
        assert_eq!(
            present.count() as u64,
            self.member_count,
            "members of room {id}"
        );
    }
}
