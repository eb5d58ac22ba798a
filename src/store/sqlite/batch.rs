//! SQLite's SQL for a batch: finds the rows that it depends on, and writes its plan. The writer is the only one that writes, so
//! a read inside its transaction needs no locks.

use futures_util::FutureExt;
use rusqlite::{Connection, params, params_from_iter};

use super::{error::sql_error, statements};
use crate::{
    protocol::{Seq, fold::plain},
    store::{
        error::SqlError,
        judge::{Keys, Plan, RowChange, State},
        loader::{self, Find, Source},
        rows::{Extra, Word},
        values::{Row, Value},
    },
};

/// Erases everything but a message's row, and notes that it is deleted: room, seq.
const ERASE: [&str; 3] = [
    "DELETE FROM reactions WHERE room_id = ? AND seq = ?",
    "DELETE FROM mentions WHERE room_id = ? AND seq = ?",
    "INSERT INTO deletions (room_id, seq) VALUES (?, ?)",
];

/// Deletes a room: the time, the room.
const DELETE_ROOM: [&str; 2] = [
    "UPDATE rooms SET deleted_at = ? WHERE id = ?",
    "UPDATE room_members SET left_at = ? WHERE room_id = ? AND left_at IS NULL",
];

/// What stands after the columns.
fn from(find: Find) -> &'static str {
    match find {
        Find::Rooms | Find::Settings => "rooms r WHERE r.id = ?",
        Find::Sent => "messages m WHERE m.room_id = ? AND m.sender_id = ? AND m.id = ?",
        Find::Members => "room_members m WHERE m.room_id = ? AND m.user_id = ?",
        Find::Present => "room_members m WHERE m.room_id = ? AND m.left_at IS NULL",
        Find::Admins => {
            "room_members m JOIN users u ON u.id = m.user_id
             WHERE m.room_id = ? AND m.role = 'admin' AND m.left_at IS NULL"
        }
        Find::Messages => "messages m WHERE m.room_id = ? AND m.seq = ?",
        Find::Reactions => {
            "reactions r WHERE r.room_id = ? AND r.seq = ? AND r.emoji = ? AND r.user_id = ?"
        }
        Find::ReactionCounts => {
            "reactions r WHERE r.room_id = ? AND r.seq = ? GROUP BY r.room_id, r.seq, r.emoji"
        }
        Find::RoomCounts => {
            "room_members m WHERE m.user_id = ? AND m.left_at IS NULL GROUP BY m.user_id"
        }
    }
}

impl Source for &Connection {
    async fn find(&mut self, find: Find, keys: Vec<Vec<Value>>) -> Result<Vec<Row>, SqlError> {
        let mut found = Vec::new();
        if keys.is_empty() {
            return Ok(found);
        }
        let sql = format!("SELECT {} FROM {}", find.columns(), from(find));
        let mut statement = self.prepare_cached(&sql).map_err(sql_error)?;
        for key in keys {
            let mut rows = statement.query(params_from_iter(key)).map_err(sql_error)?;
            while let Some(row) = rows.next().map_err(sql_error)? {
                found.push(statements::row(row)?);
            }
        }
        Ok(found)
    }
}

pub fn load(mut conn: &Connection, keys: &Keys) -> Result<State, SqlError> {
    let waits = || SqlError::Refused("a read of SQLite waited".into());
    let loaded = loader::load(&mut conn, keys).now_or_never();
    loaded.ok_or_else(waits)?
}

/// Writes a plan, without the COMMIT.
pub fn write(conn: &Connection, plan: &Plan) -> Result<(), SqlError> {
    let written = insert_messages(conn, plan)
        .and_then(|()| update_messages(conn, plan))
        .and_then(|()| write_marks(conn, plan))
        .and_then(|()| write_members(conn, plan))
        .and_then(|()| write_rooms(conn, plan));
    written.map_err(sql_error)
}

fn insert_messages(conn: &Connection, plan: &Plan) -> rusqlite::Result<()> {
    if plan.messages.is_empty() {
        return Ok(());
    }
    let mut statement = conn.prepare_cached(
        "INSERT INTO messages (room_id, seq, rev, id, sender_id, kind, content, extra, reply_to, created_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
            Extra::of(&message.mentions, 0).to_column(),
            message.reply_to.map(|seq: Seq| seq as i64),
            message.created_at.0,
        ])?;
    }
    Ok(())
}

fn update_messages(conn: &Connection, plan: &Plan) -> rusqlite::Result<()> {
    for ((room, seq), write) in &plan.updates {
        let row = &write.row;
        let key = (room.0 as i64, *seq as i64);
        let extra = Extra::of(&row.mentions, row.reactions).to_column();
        let pinned_at = row.pinned_at.map(|time| time.0);
        if write.text {
            let sql =
                "UPDATE messages SET rev = ?, extra = ?, pinned_at = ?, content = ?, edited_at = ?,
                       deleted_at = ? WHERE room_id = ? AND seq = ?";
            conn.prepare_cached(sql)?.execute(params![
                row.rev as i64,
                extra,
                pinned_at,
                row.content,
                row.edited_at.map(|time| time.0),
                row.deleted_at.map(|time| time.0),
                key.0,
                key.1,
            ])?;
        } else {
            let sql = "UPDATE messages SET rev = ?, extra = ?, pinned_at = ? WHERE room_id = ? AND seq = ?";
            let params = params![row.rev as i64, extra, pinned_at, key.0, key.1];
            conn.prepare_cached(sql)?.execute(params)?;
        }
    }
    Ok(())
}

/// Pins, reactions and mentions, and what a deletion erases of them.
fn write_marks(conn: &Connection, plan: &Plan) -> rusqlite::Result<()> {
    for ((room, seq), change) in &plan.pins {
        let sql = match change {
            RowChange::Insert => "INSERT OR IGNORE INTO pins (room_id, seq) VALUES (?, ?)",
            RowChange::Delete => "DELETE FROM pins WHERE room_id = ? AND seq = ?",
        };
        conn.prepare_cached(sql)?
            .execute([room.0 as i64, *seq as i64])?;
    }
    for ((room, seq, emoji, user), rev) in &plan.reactions {
        let (room, seq, user) = (room.0 as i64, *seq as i64, user.0 as i64);
        match rev {
            Some(rev) => conn
                .prepare_cached(
                    "INSERT OR REPLACE INTO reactions (room_id, seq, emoji, user_id, rev) VALUES (?, ?, ?, ?, ?)",
                )?
                .execute(params![room, seq, emoji, user, *rev as i64])?,
            None => conn
                .prepare_cached(
                    "DELETE FROM reactions WHERE room_id = ? AND seq = ? AND emoji = ? AND user_id = ?",
                )?
                .execute(params![room, seq, emoji, user])?,
        };
    }
    for ((room, user, seq), change) in &plan.mentions {
        let sql = match change {
            RowChange::Insert => {
                "INSERT OR IGNORE INTO mentions (room_id, user_id, seq) VALUES (?, ?, ?)"
            }
            RowChange::Delete => {
                "DELETE FROM mentions WHERE room_id = ? AND user_id = ? AND seq = ?"
            }
        };
        conn.prepare_cached(sql)?
            .execute([room.0 as i64, user.0 as i64, *seq as i64])?;
    }
    for (room, seq) in &plan.erased {
        for sql in ERASE {
            conn.prepare_cached(sql)?
                .execute([room.0 as i64, *seq as i64])?;
        }
    }
    Ok(())
}

fn write_members(conn: &Connection, plan: &Plan) -> rusqlite::Result<()> {
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
    Ok(())
}

fn write_rooms(conn: &Connection, plan: &Plan) -> rusqlite::Result<()> {
    let mut rooms = conn.prepare_cached(
        "UPDATE rooms SET last_seq = ?, shown_seq = ?, deleted_seq = ?, rev = ?, member_count = ? WHERE id = ?",
    )?;
    for (id, (_, room)) in &plan.rooms {
        rooms.execute([
            room.last_seq as i64,
            room.shown_seq as i64,
            room.deleted_seq as i64,
            room.rev as i64,
            room.member_count as i64,
            id.0 as i64,
        ])?;
    }
    for (id, seqs) in plan.shows() {
        let sql = "UPDATE rooms SET shown_seq = COALESCE((SELECT MAX(seq) FROM messages
            WHERE room_id = ? AND seq >= ? AND deleted_at IS NULL), 0) WHERE id = ?";
        conn.prepare_cached(sql)?
            .execute([id.0 as i64, *seqs.start() as i64, id.0 as i64])?;
    }
    for (id, (rev, settings)) in &plan.settings {
        let archived_at = plan.rooms.get(id).and_then(|(_, room)| room.archived_at);
        let sql = "UPDATE rooms SET name = ?, name_key = ?, topic = ?, archived_at = ?, settings_rev = ? WHERE id = ?";
        conn.prepare_cached(sql)?.execute(params![
            settings.name,
            plain(&settings.name),
            settings.topic,
            archived_at.map(|time| time.0),
            *rev as i64,
            id.0 as i64,
        ])?;
    }
    for (id, now) in &plan.deleted {
        for sql in DELETE_ROOM {
            conn.prepare_cached(sql)?.execute([now.0, id.0 as i64])?;
        }
    }
    Ok(())
}
