//! Reads the tables: one snapshot of all rooms, by the same statements on either database.

use std::path::{Path, PathBuf};

use mysql_async::prelude::Queryable;
use rusqlite::{OpenFlags, types::Value as Cell};
use serde_json::Value;
use uuid::Uuid;

use super::super::{PATIENCE, Server};
use super::{Member, Room, Rooms, Row};

const ROOMS: &str = "SELECT id, name, archived_at, deleted_at, rev, last_seq, settings_rev, member_count, shown_seq, deleted_seq FROM rooms";
const MEMBERS: &str =
    "SELECT room_id, user_id, role, left_at, rev, last_read_seq FROM room_members";
const MESSAGES: &str = "SELECT room_id, seq, rev, id, sender_id, created_at, content, edited_at, deleted_at, \
                        pinned_at, extra, reply_to FROM messages";
const REACTIONS: &str = "SELECT room_id, seq, emoji, user_id FROM reactions";
const MENTIONS: &str = "SELECT room_id, seq, user_id FROM mentions";
const PINS: &str = "SELECT room_id, seq FROM pins";
const DELETIONS: &str = "SELECT room_id, seq FROM deletions";
/// Each row finds its room there, and a reaction its message.
const ALL: [&str; 7] = [
    ROOMS, MEMBERS, MESSAGES, REACTIONS, MENTIONS, PINS, DELETIONS,
];

/// Where the tables are.
#[derive(Clone, Debug)]
pub enum Tables {
    Sqlite(PathBuf),
    MariaDb(String),
}

impl Tables {
    pub fn of(server: &Server) -> Self {
        match server.database_url() {
            Some(url) if url.starts_with("mysql") => Self::MariaDb(url.to_owned()),
            Some(url) => Self::Sqlite(url.strip_prefix("sqlite://").unwrap().into()),
            None => Self::Sqlite(server.dir().join("data/hearth.db")),
        }
    }

    /// All rooms.
    pub async fn read(&self) -> Rooms {
        match self {
            Self::Sqlite(path) => read_sqlite(path).expect("the tables are there"),
            Self::MariaDb(url) => read_mariadb(url).await.expect("the tables are there"),
        }
    }

    /// As [`Tables::read`]; `None` when the tables aren't there (a disk that lied lost them).
    pub fn try_read_sqlite(path: &Path) -> Option<Rooms> {
        read_sqlite(path).ok()
    }
}

fn read_sqlite(path: &Path) -> rusqlite::Result<Rooms> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn = rusqlite::Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(PATIENCE)?;
    let snapshot = conn.transaction()?;
    let mut rooms = Rooms::new();
    for sql in ALL {
        let mut statement = snapshot.prepare(sql)?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let cells = (0..columns).map(|column| row.get(column));
            take(&mut rooms, sql, Cells(cells.collect::<Result<_, _>>()?));
        }
    }
    Ok(rooms)
}

async fn read_mariadb(url: &str) -> mysql_async::Result<Rooms> {
    let mut conn = mysql_async::Conn::from_url(url).await?;
    conn.query_drop("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        .await?;
    conn.query_drop("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        .await?;
    let mut rooms = Rooms::new();
    for sql in ALL {
        let rows: Vec<mysql_async::Row> = conn.exec(sql, ()).await?;
        for row in rows {
            let cells = row.unwrap().into_iter().map(|cell| match cell {
                mysql_async::Value::NULL => Cell::Null,
                mysql_async::Value::Int(int) => Cell::Integer(int),
                mysql_async::Value::Bytes(bytes) => Cell::Blob(bytes),
                other => panic!("no column of ours holds {other:?}"),
            });
            take(&mut rooms, sql, Cells(cells.collect()));
        }
    }
    conn.disconnect().await?;
    Ok(rooms)
}

/// One row. MariaDB's texts come as bytes.
struct Cells(Vec<Cell>);

impl Cells {
    fn opt_int(&self, column: usize) -> Option<u64> {
        self.time(column).map(|int| int as u64)
    }

    fn time(&self, column: usize) -> Option<i64> {
        match &self.0[column] {
            Cell::Null => None,
            Cell::Integer(int) => Some(*int),
            other => panic!("column {column} is a number: {other:?}"),
        }
    }

    fn int(&self, column: usize) -> u64 {
        let int = self.time(column);
        int.expect("numbers that count are there") as u64
    }

    fn bytes(&self, column: usize) -> Option<&[u8]> {
        match &self.0[column] {
            Cell::Null => None,
            Cell::Blob(bytes) => Some(bytes),
            Cell::Text(text) => Some(text.as_bytes()),
            other => panic!("column {column} is no number: {other:?}"),
        }
    }

    fn opt_text(&self, column: usize) -> Option<String> {
        let text = self.bytes(column)?;
        Some(String::from_utf8(text.to_vec()).unwrap())
    }

    fn text(&self, column: usize) -> String {
        self.opt_text(column).expect("the text is there")
    }
}

/// Puts a row into its room.
fn take(rooms: &mut Rooms, sql: &str, row: Cells) {
    if sql == ROOMS {
        let room = Room {
            name: row.text(1),
            archived: row.time(2).is_some(),
            deleted: row.time(3).is_some(),
            rev: row.int(4),
            last_seq: row.int(5),
            settings_rev: row.int(6),
            member_count: row.int(7),
            shown_seq: row.int(8),
            deleted_seq: row.int(9),
            ..Room::default()
        };
        rooms.insert(row.int(0), room);
        return;
    }
    let room = rooms
        .get_mut(&row.int(0))
        .expect("each row's room is there");
    match sql {
        MEMBERS => {
            let member = Member {
                role: row.text(2),
                present: row.time(3).is_none(),
                rev: row.int(4),
                last_read_seq: row.int(5),
            };
            room.members.insert(row.int(1), member);
        }
        MESSAGES => room.take_message(&row),
        REACTIONS => {
            let (seq, emoji) = (row.int(1), row.text(2));
            if let Some(message) = room.messages.get_mut(&seq) {
                *message.reactions.entry(emoji.clone()).or_default() += 1;
            }
            let of_message = room.reactions.entry(seq).or_default();
            of_message.entry(emoji).or_default().insert(row.int(3));
        }
        MENTIONS => {
            let of_message = room.mentions.entry(row.int(1)).or_default();
            of_message.insert(row.int(2));
        }
        PINS => drop(room.pins.insert(row.int(1))),
        DELETIONS => drop(room.deletions.insert(row.int(1))),
        other => panic!("nobody asked {other}"),
    }
}

impl Room {
    fn take_message(&mut self, row: &Cells) {
        let seq = row.int(1);
        let extra = row.opt_text(10);
        let extra: Value = extra.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap());
        let mentions = extra["mentions"].as_array().into_iter().flatten();
        let message = Row {
            rev: row.int(2),
            id: Uuid::from_slice(row.bytes(3).unwrap()).unwrap(),
            sender: row.int(4),
            created_at: row.int(5) as i64,
            content: row.opt_text(6),
            reply_to: row.opt_int(11),
            edited_at: row.time(7),
            deleted_at: row.time(8),
            pinned_at: row.time(9),
            mentions: mentions.map(|user| user.as_u64().unwrap()).collect(),
            mention_all: extra["mention_all"] == true,
            reactions: Default::default(),
        };
        let counted = extra["reactions"].as_u64().unwrap_or(0);
        self.counted.insert(seq, counted);
        if self.messages.insert(seq, message).is_some() {
            self.doubled.push(seq);
        }
    }
}
