//! An append on SQLite: the rows that a batch depends on, and the execution of its plan. The writer
//! is the only one that writes, so that a read inside its transaction needs no locks.

use rusqlite::{Connection, OptionalExtension, params};

use super::fault;
use crate::{
    protocol::{
        Seq, Time,
        rest::{Role, RoomKind},
    },
    store::{
        append::{Keys, MemberRow, Plan, RoomRow, SentRow, State},
        rows::Word,
        sql::Fault,
    },
};

fn u64_of(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let int: i64 = row.get(column)?;
    u64::try_from(int).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, int))
}

fn word<T: Word>(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<T> {
    T::from_word(row.get_ref(column)?.as_str()?).map_err(|_| rusqlite::Error::InvalidQuery)
}

pub fn load(conn: &Connection, keys: &Keys) -> Result<State, Fault> {
    read(conn, keys).map_err(fault)
}

fn read(conn: &Connection, keys: &Keys) -> rusqlite::Result<State> {
    let mut state = State::default();
    let mut rooms = conn.prepare_cached(
        "SELECT kind, last_seq, rev, member_count, first_seq FROM rooms WHERE id = ?",
    )?;
    for id in &keys.rooms {
        let found = rooms.query_row([id.0 as i64], |row| {
            Ok(RoomRow {
                kind: word::<RoomKind>(row, 0)?,
                last_seq: u64_of(row, 1)?,
                rev: u64_of(row, 2)?,
                member_count: u64_of(row, 3)?,
                first_seq: u64_of(row, 4)?,
            })
        });
        if let Some(room) = found.optional()? {
            state.rooms.insert(*id, room);
        }
    }
    let mut sent = conn.prepare_cached(
        "SELECT seq, rev, created_at FROM messages WHERE room_id = ? AND sender_id = ? AND id = ?",
    )?;
    for key in &keys.sent {
        let (room, sender, id) = (key.0.0 as i64, key.1.0 as i64, key.2.as_bytes());
        let found = sent.query_row(params![room, sender, id], |row| {
            Ok(SentRow {
                seq: u64_of(row, 0)?,
                rev: u64_of(row, 1)?,
                created_at: Time(row.get(2)?),
            })
        });
        if let Some(row) = found.optional()? {
            state.sent.insert(*key, row);
        }
    }
    let mut members = conn.prepare_cached(
        "SELECT role, joined_at, joined_seq, joined_rev, left_at, last_read_seq, rev
         FROM room_members WHERE room_id = ? AND user_id = ?",
    )?;
    for key in &keys.members {
        let found = members.query_row([key.0.0 as i64, key.1.0 as i64], |row| {
            Ok(MemberRow {
                role: word::<Role>(row, 0)?,
                joined_at: Time(row.get(1)?),
                joined_seq: u64_of(row, 2)?,
                joined_rev: u64_of(row, 3)?,
                left_at: row.get::<_, Option<i64>>(4)?.map(Time),
                last_read_seq: u64_of(row, 5)?,
                rev: u64_of(row, 6)?,
            })
        });
        if let Some(row) = found.optional()? {
            state.members.insert(*key, row);
        }
    }
    let mut counts = conn.prepare_cached(
        "SELECT COUNT(*) FROM room_members WHERE user_id = ? AND left_at IS NULL",
    )?;
    for user in &keys.joiners {
        let count = counts.query_row([user.0 as i64], |row| u64_of(row, 0))?;
        state.room_counts.insert(*user, count);
    }
    Ok(state)
}

pub fn execute(conn: &Connection, plan: &Plan) -> Result<(), Fault> {
    write(conn, plan).map_err(fault)
}

fn write(conn: &Connection, plan: &Plan) -> rusqlite::Result<()> {
    if !plan.messages.is_empty() {
        let mut statement = conn.prepare_cached(
            "INSERT INTO messages (room_id, seq, rev, id, sender_id, kind, content, reply_to, created_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        for message in &plan.messages {
            statement.execute(params![
                message.room_id.0 as i64,
                message.seq as i64,
                message.rev as i64,
                message.id.as_bytes(),
                message.sender.id.0 as i64,
                message.kind.word(),
                message.content,
                message.reply_to.map(|seq: Seq| seq as i64),
                message.created_at.0,
            ])?;
        }
    }
    for (key, write) in &plan.members {
        let sql = if write.exists {
            "UPDATE room_members SET role = ?, joined_at = ?, joined_seq = ?, joined_rev = ?, left_at = ?,
             last_read_seq = ?, rev = ? WHERE room_id = ? AND user_id = ?"
        } else {
            "INSERT INTO room_members (role, joined_at, joined_seq, joined_rev, left_at, last_read_seq, rev,
             room_id, user_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        };
        let row = &write.row;
        conn.prepare_cached(sql)?.execute(params![
            row.role.word(),
            row.joined_at.0,
            row.joined_seq as i64,
            row.joined_rev as i64,
            row.left_at.map(|time| time.0),
            row.last_read_seq as i64,
            row.rev as i64,
            key.0.0 as i64,
            key.1.0 as i64,
        ])?;
    }
    let mut markers = conn.prepare_cached(
        "UPDATE room_members SET last_read_seq = ? WHERE room_id = ? AND user_id = ?",
    )?;
    for (key, seq) in &plan.markers {
        markers.execute([*seq as i64, key.0.0 as i64, key.1.0 as i64])?;
    }
    let mut rooms = conn
        .prepare_cached("UPDATE rooms SET last_seq = ?, rev = ?, member_count = ? WHERE id = ?")?;
    for (id, (_, room)) in &plan.rooms {
        rooms.execute([
            room.last_seq as i64,
            room.rev as i64,
            room.member_count as i64,
            id.0 as i64,
        ])?;
    }
    Ok(())
}
