//! An append on MySQL: the rows that a batch depends on, locked in one order, and the execution of
//! its plan.
//!
//! Lists of keys travel as one JSON text that JSON_TABLE takes apart: one statement text for a batch of
//! any size, always prepared, and the join follows the list's order, which is the order of the locks.
//! (Row constructors in IN were thirty times slower on MariaDB 10.11.) STRAIGHT_JOIN keeps that order.

use std::fmt::Write;

use mysql_async::{Conn, prelude::Queryable};

use super::{deadline, execute, query};
use crate::{
    protocol::rest::{Role, RoomKind},
    store::{
        append::{Keys, MemberRow, MemberWrite, Plan, RoomRow, SentRow, State},
        rows::Word,
        sql::{Fault, params},
    },
};

/// Its first statement: everything that follows is read after the rooms' locks were granted.
const LOCK_ROOMS: &str =
    "SELECT STRAIGHT_JOIN r.id, r.kind, r.last_seq, r.rev, r.member_count, r.first_seq
    FROM JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (id BIGINT PATH '$')) k
    JOIN rooms r ON r.id = k.id FOR UPDATE";

const FIND_SENT: &str = "SELECT STRAIGHT_JOIN k.i, m.seq, m.rev, m.created_at
    FROM JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (i BIGINT PATH '$[0]', room_id BIGINT PATH '$[1]',
        sender_id BIGINT PATH '$[2]', id CHAR(32) PATH '$[3]')) k
    JOIN messages m FORCE INDEX (messages_id)
        ON m.room_id = k.room_id AND m.sender_id = k.sender_id AND m.id = UNHEX(k.id)
    LOCK IN SHARE MODE";

const LOCK_MEMBERS: &str =
    "SELECT STRAIGHT_JOIN m.room_id, m.user_id, m.role, m.joined_at, m.joined_seq,
        m.joined_rev, m.left_at, m.last_read_seq, m.rev
    FROM JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (room_id BIGINT PATH '$[0]', user_id BIGINT PATH '$[1]')) k
    JOIN room_members m ON m.room_id = k.room_id AND m.user_id = k.user_id FOR UPDATE";

/// Before rooms are counted, so that a user can't take his last place twice at once.
const LOCK_USERS: &str = "SELECT STRAIGHT_JOIN u.id
    FROM JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (id BIGINT PATH '$')) k
    JOIN users u ON u.id = k.id FOR UPDATE";

const COUNT_ROOMS: &str = "SELECT STRAIGHT_JOIN m.user_id, COUNT(*)
    FROM JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (id BIGINT PATH '$')) k
    JOIN room_members m ON m.user_id = k.id WHERE m.left_at IS NULL GROUP BY m.user_id";

const INSERT_MESSAGE: &str = "INSERT INTO messages
    (room_id, seq, rev, id, sender_id, kind, content, reply_to, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";

// Not one INSERT … ON DUPLICATE KEY UPDATE: it would overwrite whichever row holds any unique key.
const INSERT_MEMBER: &str =
    "INSERT INTO room_members (role, joined_at, joined_seq, joined_rev, left_at,
    last_read_seq, rev, room_id, user_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
const UPDATE_MEMBER: &str =
    "UPDATE room_members SET role = ?, joined_at = ?, joined_seq = ?, joined_rev = ?,
    left_at = ?, last_read_seq = ?, rev = ? WHERE room_id = ? AND user_id = ?";

const MARK: &str =
    "UPDATE JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (room_id BIGINT PATH '$[0]',
        user_id BIGINT PATH '$[1]', seq BIGINT PATH '$[2]')) k
    STRAIGHT_JOIN room_members m ON m.room_id = k.room_id AND m.user_id = k.user_id
    SET m.last_read_seq = k.seq";

const ADVANCE: &str =
    "UPDATE JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (id BIGINT PATH '$[0]',
        last_seq BIGINT PATH '$[1]', rev BIGINT PATH '$[2]', member_count BIGINT PATH '$[3]')) k
    STRAIGHT_JOIN rooms r ON r.id = k.id
    SET r.last_seq = k.last_seq, r.rev = k.rev, r.member_count = k.member_count";

/// A JSON list of what `write` writes for each item.
fn list<T>(items: impl IntoIterator<Item = T>, write: impl Fn(&mut String, T)) -> String {
    let mut json = String::from("[");
    for item in items {
        if json.len() > 1 {
            json.push(',');
        }
        write(&mut json, item);
    }
    json.push(']');
    json
}

macro_rules! item {
    ($json:expr, $($arg:tt)*) => {
        // Writing to a String doesn't fail.
        { let _ = write!($json, $($arg)*); }
    };
}

pub async fn load(conn: &mut Conn, keys: &Keys) -> Result<State, Fault> {
    let mut state = State::default();
    let rooms = list(&keys.rooms, |json, id| item!(json, "{id}"));
    for row in query(conn, LOCK_ROOMS, params![rooms], usize::MAX).await?.0 {
        let room = RoomRow {
            kind: RoomKind::from_word(row.str(1)?)?,
            last_seq: row.u64(2)?,
            rev: row.u64(3)?,
            member_count: row.u64(4)?,
            first_seq: row.u64(5)?,
        };
        state.rooms.insert(row.room_id(0)?, room);
    }
    if !keys.sent.is_empty() {
        let sent = list(
            keys.sent.iter().enumerate(),
            |json, (i, (room, user, id))| {
                item!(json, "[{i},{room},{user},\"{}\"]", id.simple());
            },
        );
        for row in query(conn, FIND_SENT, params![sent], usize::MAX).await?.0 {
            let index = row.u64(0)? as usize;
            let key = *keys
                .sent
                .get(index)
                .ok_or_else(|| Fault::Refused("an id that was not asked for".into()))?;
            let sent = SentRow {
                seq: row.u64(1)?,
                rev: row.u64(2)?,
                created_at: row.time(3)?,
            };
            state.sent.insert(key, sent);
        }
    }
    let members = list(&keys.members, |json, (room, user)| {
        item!(json, "[{room},{user}]");
    });
    for row in query(conn, LOCK_MEMBERS, params![members], usize::MAX)
        .await?
        .0
    {
        let member = MemberRow {
            role: Role::from_word(row.str(2)?)?,
            joined_at: row.time(3)?,
            joined_seq: row.u64(4)?,
            joined_rev: row.u64(5)?,
            left_at: row.opt_time(6)?,
            last_read_seq: row.u64(7)?,
            rev: row.u64(8)?,
        };
        state
            .members
            .insert((row.room_id(0)?, row.user_id(1)?), member);
    }
    if !keys.joiners.is_empty() {
        let users = list(&keys.joiners, |json, id| item!(json, "{id}"));
        query(conn, LOCK_USERS, params![users.as_str()], usize::MAX).await?;
        for row in query(conn, COUNT_ROOMS, params![users], usize::MAX)
            .await?
            .0
        {
            state.room_counts.insert(row.user_id(0)?, row.u64(1)?);
        }
    }
    Ok(state)
}

/// Writes a plan, all but the COMMIT.
pub async fn write(conn: &mut Conn, plan: &Plan) -> Result<(), Fault> {
    if !plan.messages.is_empty() {
        let rows = plan.messages.iter().map(|message| {
            super::parameters(params![
                message.room_id,
                message.seq,
                message.rev,
                message.id,
                message.sender.id,
                message.kind.word(),
                message.content.as_str(),
                message.reply_to,
                message.created_at,
            ])
        });
        // Bulk on MariaDB; on MySQL the driver sends them one by one.
        deadline(conn.exec_batch(INSERT_MESSAGE, rows.collect::<Vec<_>>())).await?;
    }
    for (exists, sql) in [(false, INSERT_MEMBER), (true, UPDATE_MEMBER)] {
        let of_kind = |write: &MemberWrite| write.exists == exists;
        for ((room_id, user_id), write) in plan.members.iter().filter(|(_, w)| of_kind(w)) {
            let row = &write.row;
            let params = params![
                row.role.word(),
                row.joined_at,
                row.joined_seq,
                row.joined_rev,
                row.left_at,
                row.last_read_seq,
                row.rev,
                *room_id,
                *user_id,
            ];
            execute(conn, sql, params).await?;
        }
    }
    if !plan.markers.is_empty() {
        let markers = list(&plan.markers, |json, ((room, user), seq)| {
            item!(json, "[{room},{user},{seq}]");
        });
        execute(conn, MARK, params![markers]).await?;
    }
    if !plan.rooms.is_empty() {
        let rooms = list(&plan.rooms, |json, (id, (_, room))| {
            let RoomRow {
                last_seq,
                rev,
                member_count,
                ..
            } = room;
            item!(json, "[{id},{last_seq},{rev},{member_count}]");
        });
        execute(conn, ADVANCE, params![rooms]).await?;
    }
    Ok(())
}
