//! An append on SQLite: the rows that a batch depends on, and the execution of its plan. The writer
//! is the only one that writes, so that a read inside its transaction needs no locks.

use rusqlite::{Connection, OptionalExtension, params};

use super::fault;
use crate::{
    protocol::{
        RoomId, Seq, Time, UserId,
        fold::plain,
        rest::{Role, RoomKind, UserSummary},
    },
    store::{
        append::{
            DELETE_ROOM, ERASE, Keys, MemberRow, MessageRow, Plan, RoomRow, SentRow, SettingsRow,
            State,
        },
        rows::{Extra, Word},
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

fn opt_time(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Option<Time>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Time))
}

pub fn load(conn: &Connection, keys: &Keys) -> Result<State, Fault> {
    let mut state = State::default();
    read(conn, keys, &mut state).map_err(fault)?;
    read_messages(conn, keys, &mut state).map_err(fault)?;
    Ok(state)
}

/// What every batch needs: rooms, repeated ids, memberships.
fn read(conn: &Connection, keys: &Keys, state: &mut State) -> rusqlite::Result<()> {
    let mut rooms = conn.prepare_cached(
        "SELECT kind, last_seq, shown_seq, rev, member_count, first_seq, archived_at, deleted_seq FROM rooms
         WHERE id = ? AND deleted_at IS NULL",
    )?;
    for id in &keys.rooms {
        let found = rooms.query_row([id.0 as i64], |row| {
            Ok(RoomRow {
                kind: word::<RoomKind>(row, 0)?,
                last_seq: u64_of(row, 1)?,
                shown_seq: u64_of(row, 2)?,
                deleted_seq: u64_of(row, 7)?,
                rev: u64_of(row, 3)?,
                member_count: u64_of(row, 4)?,
                first_seq: u64_of(row, 5)?,
                archived_at: opt_time(row, 6)?,
            })
        });
        if let Some(room) = found.optional()? {
            state.rooms.insert(*id, room);
        }
    }
    for id in &keys.settings {
        let mut settings = conn
            .prepare_cached("SELECT name, topic, created_by, created_at FROM rooms WHERE id = ?")?;
        let found = settings.query_row([id.0 as i64], |row| {
            Ok(SettingsRow {
                name: row.get(0)?,
                topic: row.get(1)?,
                created_by: UserId(u64_of(row, 2)?),
                created_at: Time(row.get(3)?),
            })
        });
        if let Some(row) = found.optional()? {
            state.settings.insert(*id, row);
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
        let found = members.query_row([key.0.0 as i64, key.1.0 as i64], member);
        if let Some(row) = found.optional()? {
            state.members.insert(*key, row);
        }
    }
    for id in &keys.ending {
        let mut present = conn.prepare_cached(
            "SELECT user_id FROM room_members WHERE room_id = ? AND left_at IS NULL",
        )?;
        let present = present.query_map([id.0 as i64], |row| Ok(UserId(u64_of(row, 0)?)))?;
        let present = present.collect::<rusqlite::Result<_>>()?;
        state.present.insert(*id, present);
    }
    for key in &keys.leavers {
        if state
            .members
            .get(key)
            .is_some_and(|row| row.role == Role::Owner)
        {
            read_heirs(conn, key.0, state)?;
        }
    }
    let mut counts = conn.prepare_cached(
        "SELECT COUNT(*) FROM room_members WHERE user_id = ? AND left_at IS NULL",
    )?;
    for user in &keys.joiners {
        let count = counts.query_row([user.0 as i64], |row| u64_of(row, 0))?;
        state.room_counts.insert(*user, count);
    }
    Ok(())
}

fn member(row: &rusqlite::Row<'_>) -> rusqlite::Result<MemberRow> {
    Ok(MemberRow {
        role: word::<Role>(row, 0)?,
        joined_at: Time(row.get(1)?),
        joined_seq: u64_of(row, 2)?,
        joined_rev: u64_of(row, 3)?,
        left_at: opt_time(row, 4)?,
        last_read_seq: u64_of(row, 5)?,
        rev: u64_of(row, 6)?,
    })
}

/// The admins of a room whose owner would leave.
fn read_heirs(conn: &Connection, room_id: RoomId, state: &mut State) -> rusqlite::Result<()> {
    let mut admins = conn.prepare_cached(
        "SELECT m.role, m.joined_at, m.joined_seq, m.joined_rev, m.left_at, m.last_read_seq, m.rev,
                u.id, u.username, u.full_name
         FROM room_members m JOIN users u ON u.id = m.user_id
         WHERE m.room_id = ? AND m.role = 'admin' AND m.left_at IS NULL",
    )?;
    let mut rows = admins.query([room_id.0 as i64])?;
    while let Some(row) = rows.next()? {
        let user = UserSummary {
            id: UserId(u64_of(row, 7)?),
            username: row.get(8)?,
            full_name: row.get(9)?,
        };
        state.members.insert((room_id, user.id), member(row)?);
        state.names.insert(user.id, user);
    }
    Ok(())
}

/// Messages that are to change, and their reactions.
fn read_messages(conn: &Connection, keys: &Keys, state: &mut State) -> rusqlite::Result<()> {
    for key in &keys.messages {
        let mut messages = conn.prepare_cached(
            "SELECT rev, sender_id, content, edited_at, deleted_at, pinned_at, extra FROM messages
             WHERE room_id = ? AND seq = ?",
        )?;
        let found = messages.query_row([key.0.0 as i64, key.1 as i64], |row| {
            let extra: Option<String> = row.get(6)?;
            let extra = Extra::from_column(extra.as_deref());
            let extra = extra.map_err(|_| rusqlite::Error::InvalidQuery)?;
            Ok(MessageRow {
                rev: u64_of(row, 0)?,
                sender_id: UserId(u64_of(row, 1)?),
                content: row.get(2)?,
                edited_at: opt_time(row, 3)?,
                deleted_at: opt_time(row, 4)?,
                pinned_at: opt_time(row, 5)?,
                mentions: extra.mentions,
                reactions: extra.reactions,
            })
        });
        if let Some(row) = found.optional()? {
            state.messages.insert(*key, row);
        }
    }
    for key in &keys.reactions {
        let (room, seq, emoji, user) = key;
        let mut own = conn.prepare_cached(
            "SELECT 1 FROM reactions WHERE room_id = ? AND seq = ? AND emoji = ? AND user_id = ?",
        )?;
        if own.exists(params![room.0 as i64, *seq as i64, emoji, user.0 as i64])? {
            state.reactions.insert(key.clone());
        }
        let message = (*room, *seq);
        if state.counts.contains_key(&message) {
            continue;
        }
        let mut counts = conn.prepare_cached(
            "SELECT emoji, COUNT(*) FROM reactions WHERE room_id = ? AND seq = ? GROUP BY emoji",
        )?;
        let counts = counts.query_map([room.0 as i64, *seq as i64], |row| {
            Ok((row.get(0)?, u64_of(row, 1)?))
        })?;
        let counts = counts.collect::<rusqlite::Result<_>>()?;
        state.counts.insert(message, counts);
    }
    Ok(())
}

pub fn execute(conn: &Connection, plan: &Plan) -> Result<(), Fault> {
    write_messages(conn, plan).map_err(fault)?;
    write(conn, plan).map_err(fault)
}

fn write_messages(conn: &Connection, plan: &Plan) -> rusqlite::Result<()> {
    if !plan.messages.is_empty() {
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
    }
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
    for ((room, seq), on) in &plan.pins {
        let sql = match on {
            true => "INSERT OR IGNORE INTO pins (room_id, seq) VALUES (?, ?)",
            false => "DELETE FROM pins WHERE room_id = ? AND seq = ?",
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
    for ((room, user, seq), on) in &plan.mentions {
        let sql = match on {
            true => "INSERT OR IGNORE INTO mentions (room_id, user_id, seq) VALUES (?, ?, ?)",
            false => "DELETE FROM mentions WHERE room_id = ? AND user_id = ? AND seq = ?",
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

fn write(conn: &Connection, plan: &Plan) -> rusqlite::Result<()> {
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
