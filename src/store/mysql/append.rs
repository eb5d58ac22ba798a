//! An append on MySQL: the rows that a batch depends on, locked in one order, and the execution of
//! its plan.
//!
//! Lists of keys travel as one JSON text that JSON_TABLE takes apart: one statement text for a batch of
//! any size, always prepared, and the join follows the list's order, which is the order of the locks.
//! (Row constructors in IN were thirty times slower on MariaDB 10.11.) STRAIGHT_JOIN keeps that order.

use std::{collections::BTreeSet, fmt::Write};

use mysql_async::{Conn, prelude::Queryable};

use super::{deadline, execute, query};
use crate::{
    protocol::{
        fold::plain,
        rest::{Role, RoomKind},
    },
    store::{
        append::{
            DELETE_ROOM, ERASE, Keys, MemberRow, MemberWrite, MessageRow, Plan, RoomRow, SHOW,
            SentRow, SettingsRow, State,
        },
        rows::{self, Extra, Word},
        sql::{Fault, Row, params},
    },
};

/// Its first statement: everything that follows is read after the rooms' locks were granted.
const LOCK_ROOMS: &str =
    "SELECT STRAIGHT_JOIN r.id, r.kind, r.last_seq, r.rev, r.member_count, r.first_seq, r.archived_at, r.deleted_at, r.shown_seq,
        r.deleted_seq
    FROM JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (id BIGINT PATH '$')) k
    JOIN rooms r ON r.id = k.id FOR UPDATE";

/// Of one room: what follows is read under its lock, so that plain reads are enough.
const SETTINGS: &str = "SELECT name, topic, created_by, created_at FROM rooms WHERE id = ?";

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

/// Who is in a room that may end.
const PRESENT: &str = "SELECT user_id FROM room_members WHERE room_id = ? AND left_at IS NULL";

/// The admins of a room whose owner would leave.
const HEIRS: &str =
    "SELECT m.room_id, m.user_id, m.role, m.joined_at, m.joined_seq, m.joined_rev, m.left_at,
        m.last_read_seq, m.rev, u.id, u.username, u.full_name
    FROM room_members m JOIN users u ON u.id = m.user_id
    WHERE m.room_id = ? AND m.role = 'admin' AND m.left_at IS NULL ORDER BY m.user_id";

const LOCK_MESSAGES: &str = "SELECT STRAIGHT_JOIN m.room_id, m.seq, m.rev, m.sender_id, m.content, m.edited_at, m.deleted_at,
        m.pinned_at, m.extra
    FROM JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (room_id BIGINT PATH '$[0]', seq BIGINT PATH '$[1]')) k
    JOIN messages m ON m.room_id = k.room_id AND m.seq = k.seq FOR UPDATE";

/// Emoji travel as hex: their bytes are their key.
const FIND_REACTIONS: &str = "SELECT STRAIGHT_JOIN k.i
    FROM JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (i BIGINT PATH '$[0]', room_id BIGINT PATH '$[1]',
        seq BIGINT PATH '$[2]', emoji CHAR(128) PATH '$[3]', user_id BIGINT PATH '$[4]')) k
    JOIN reactions r ON r.room_id = k.room_id AND r.seq = k.seq AND r.emoji = UNHEX(k.emoji) AND r.user_id = k.user_id";

const COUNT_REACTIONS: &str = "SELECT STRAIGHT_JOIN r.room_id, r.seq, r.emoji, COUNT(*)
    FROM JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (room_id BIGINT PATH '$[0]', seq BIGINT PATH '$[1]')) k
    JOIN reactions r ON r.room_id = k.room_id AND r.seq = k.seq GROUP BY r.room_id, r.seq, r.emoji";

/// Before rooms are counted, so that a user can't take his last place twice at once.
const LOCK_USERS: &str = "SELECT STRAIGHT_JOIN u.id
    FROM JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (id BIGINT PATH '$')) k
    JOIN users u ON u.id = k.id FOR UPDATE";

const COUNT_ROOMS: &str = "SELECT STRAIGHT_JOIN m.user_id, COUNT(*)
    FROM JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (id BIGINT PATH '$')) k
    JOIN room_members m ON m.user_id = k.id WHERE m.left_at IS NULL GROUP BY m.user_id";

const INSERT_MESSAGE: &str = "INSERT INTO messages
    (room_id, seq, rev, id, sender_id, kind, content, extra, reply_to, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

/// In one statement for a batch: a thousand may react at once.
const UPDATE_MESSAGE: &str = "UPDATE JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (room_id BIGINT PATH '$[0]',
        seq BIGINT PATH '$[1]', rev BIGINT PATH '$[2]', extra TEXT PATH '$[3]', pinned_at BIGINT PATH '$[4]')) k
    STRAIGHT_JOIN messages m ON m.room_id = k.room_id AND m.seq = k.seq
    SET m.rev = k.rev, m.extra = k.extra, m.pinned_at = k.pinned_at";
const UPDATE_TEXT: &str =
    "UPDATE messages SET rev = ?, extra = ?, pinned_at = ?, content = ?, edited_at = ?,
    deleted_at = ? WHERE room_id = ? AND seq = ?";
const PIN: &str = "INSERT IGNORE INTO pins (room_id, seq) VALUES (?, ?)";
const UNPIN: &str = "DELETE FROM pins WHERE room_id = ? AND seq = ?";
const REACT: &str =
    "REPLACE INTO reactions (created_at, room_id, seq, emoji, user_id) VALUES (?, ?, ?, ?, ?)";
const UNREACT: &str =
    "DELETE FROM reactions WHERE room_id = ? AND seq = ? AND emoji = ? AND user_id = ?";
const MENTION: &str = "INSERT IGNORE INTO mentions (room_id, user_id, seq) VALUES (?, ?, ?)";
const UNMENTION: &str = "DELETE FROM mentions WHERE room_id = ? AND user_id = ? AND seq = ?";
const SET_ROOM: &str = "UPDATE rooms SET name = ?, name_key = ?, topic = ?, archived_at = ?, settings_rev = ? WHERE id = ?";

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
        last_seq BIGINT PATH '$[1]', shown_seq BIGINT PATH '$[2]', rev BIGINT PATH '$[3]',
        member_count BIGINT PATH '$[4]', deleted_seq BIGINT PATH '$[5]')) k
    STRAIGHT_JOIN rooms r ON r.id = k.id
    SET r.last_seq = k.last_seq, r.shown_seq = k.shown_seq, r.deleted_seq = k.deleted_seq, r.rev = k.rev,
        r.member_count = k.member_count";

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
        if !row.is_null(7)? {
            continue;
        }
        let room = RoomRow {
            kind: RoomKind::from_word(row.str(1)?)?,
            last_seq: row.u64(2)?,
            shown_seq: row.u64(8)?,
            deleted_seq: row.u64(9)?,
            rev: row.u64(3)?,
            member_count: row.u64(4)?,
            first_seq: row.u64(5)?,
            archived_at: row.opt_time(6)?,
        };
        state.rooms.insert(row.room_id(0)?, room);
    }
    for id in &keys.settings {
        for mut row in query(conn, SETTINGS, params![*id], usize::MAX).await?.0 {
            let settings = SettingsRow {
                name: row.text(0)?,
                topic: row.text(1)?,
                created_by: row.user_id(2)?,
                created_at: row.time(3)?,
            };
            state.settings.insert(*id, settings);
        }
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
        state
            .members
            .insert((row.room_id(0)?, row.user_id(1)?), member(&row)?);
    }
    for id in &keys.ending {
        let found = query(conn, PRESENT, params![*id], usize::MAX).await?.0;
        let present = found.iter().map(|row| row.user_id(0));
        let present = present.collect::<Result<_, Fault>>()?;
        state.present.insert(*id, present);
    }
    for key in &keys.leavers {
        if state
            .members
            .get(key)
            .is_some_and(|row| row.role == Role::Owner)
        {
            let heirs = query(conn, HEIRS, params![key.0], usize::MAX).await?.0;
            for mut row in heirs {
                state
                    .members
                    .insert((row.room_id(0)?, row.user_id(1)?), member(&row)?);
                let name = rows::summary(&mut row, 9)?;
                state.names.insert(name.id, name);
            }
        }
    }
    load_messages(conn, keys, &mut state).await?;
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

/// From the third column on.
fn member(row: &Row) -> Result<MemberRow, Fault> {
    Ok(MemberRow {
        role: Role::from_word(row.str(2)?)?,
        joined_at: row.time(3)?,
        joined_seq: row.u64(4)?,
        joined_rev: row.u64(5)?,
        left_at: row.opt_time(6)?,
        last_read_seq: row.u64(7)?,
        rev: row.u64(8)?,
    })
}

/// Messages that are to change, and their reactions.
async fn load_messages(conn: &mut Conn, keys: &Keys, state: &mut State) -> Result<(), Fault> {
    if keys.messages.is_empty() {
        return Ok(());
    }
    let messages = list(&keys.messages, |json, (room, seq)| {
        item!(json, "[{room},{seq}]");
    });
    let found = query(conn, LOCK_MESSAGES, params![messages.as_str()], usize::MAX).await?;
    for mut row in found.0 {
        let extra = row.opt_text(8)?;
        let extra = Extra::from_column(extra.as_deref())?;
        let message = MessageRow {
            rev: row.u64(2)?,
            sender_id: row.user_id(3)?,
            content: row.opt_text(4)?,
            edited_at: row.opt_time(5)?,
            deleted_at: row.opt_time(6)?,
            pinned_at: row.opt_time(7)?,
            mentions: extra.mentions,
            reactions: extra.reactions,
        };
        state
            .messages
            .insert((row.room_id(0)?, row.u64(1)?), message);
    }
    if keys.reactions.is_empty() {
        return Ok(());
    }
    let reactions = list(
        keys.reactions.iter().enumerate(),
        |json, (i, (room, seq, emoji, user))| {
            item!(json, "[{i},{room},{seq},\"");
            for byte in emoji.bytes() {
                item!(json, "{byte:02x}");
            }
            item!(json, "\",{user}]");
        },
    );
    for row in query(conn, FIND_REACTIONS, params![reactions], usize::MAX)
        .await?
        .0
    {
        let key = keys.reactions.get(row.u64(0)? as usize);
        let key = key.ok_or_else(|| Fault::Refused("a reaction that was not asked for".into()))?;
        state.reactions.insert(key.clone());
    }
    let reacted: BTreeSet<_> = keys.reactions.iter().map(|key| (key.0, key.1)).collect();
    let reacted = list(&reacted, |json, (room, seq)| item!(json, "[{room},{seq}]"));
    for mut row in query(conn, COUNT_REACTIONS, params![reacted], usize::MAX)
        .await?
        .0
    {
        let counts = state.counts.entry((row.room_id(0)?, row.u64(1)?));
        counts.or_default().insert(row.text(2)?, row.u64(3)?);
    }
    Ok(())
}

/// Writes a plan, all but the COMMIT.
pub async fn write(conn: &mut Conn, plan: &Plan) -> Result<(), Fault> {
    write_messages(conn, plan).await?;
    write_rooms(conn, plan).await
}

async fn write_messages(conn: &mut Conn, plan: &Plan) -> Result<(), Fault> {
    let rows = plan.messages.iter().map(|message| {
        super::parameters(params![
            message.room_id,
            message.seq,
            message.rev,
            message.id,
            message.sender.id,
            message.kind.word(),
            message.content.clone(),
            Extra::of(&message.mentions, 0).to_column(),
            message.reply_to,
            message.created_at,
        ])
    });
    bulk(conn, INSERT_MESSAGE, rows.collect()).await?;
    let (texts, rest): (Vec<_>, Vec<_>) = plan.updates.iter().partition(|(_, write)| write.text);
    let texts = texts.into_iter().map(|((room, seq), write)| {
        let row = &write.row;
        super::parameters(params![
            row.rev,
            Extra::of(&row.mentions, row.reactions).to_column(),
            row.pinned_at,
            row.content.clone(),
            row.edited_at,
            row.deleted_at,
            *room,
            *seq,
        ])
    });
    bulk(conn, UPDATE_TEXT, texts.collect()).await?;
    if !rest.is_empty() {
        let updates = rest.iter().map(|((room, seq), write)| {
            let extra = Extra::of(&write.row.mentions, write.row.reactions).to_column();
            let pinned_at = write.row.pinned_at.map(|time| time.0);
            (room.0, *seq, write.row.rev, extra, pinned_at)
        });
        let updates = serde_json::to_string(&updates.collect::<Vec<_>>());
        let updates = updates.expect("numbers and texts are plain JSON");
        execute(conn, UPDATE_MESSAGE, params![updates]).await?;
    }
    for (sql, wanted) in [(UNPIN, false), (PIN, true)] {
        let pins = plan.pins.iter().filter(|(_, on)| **on == wanted);
        let rows = pins.map(|((room, seq), _)| super::parameters(params![*room, *seq]));
        bulk(conn, sql, rows.collect()).await?;
    }
    let (come, go): (Vec<_>, Vec<_>) = plan
        .reactions
        .iter()
        .partition(|(_, since)| since.is_some());
    for (sql, reactions) in [(REACT, come), (UNREACT, go)] {
        let rows = reactions
            .into_iter()
            .map(|((room, seq, emoji, user), since)| {
                let mut values = match since {
                    Some(since) => params![*since],
                    None => Vec::new(),
                };
                values.extend(params![*room, *seq, emoji.as_str(), *user]);
                super::parameters(values)
            });
        bulk(conn, sql, rows.collect()).await?;
    }
    for (sql, wanted) in [(UNMENTION, false), (MENTION, true)] {
        let mentions = plan.mentions.iter().filter(|(_, on)| **on == wanted);
        let rows =
            mentions.map(|((room, user, seq), _)| super::parameters(params![*room, *user, *seq]));
        bulk(conn, sql, rows.collect()).await?;
    }
    for sql in ERASE {
        let erased = plan.erased.iter();
        let rows = erased.map(|(room, seq)| super::parameters(params![*room, *seq]));
        bulk(conn, sql, rows.collect()).await?;
    }
    Ok(())
}

/// One statement for many rows: bulk on MariaDB; on MySQL the driver sends them one by one.
async fn bulk(conn: &mut Conn, sql: &str, rows: Vec<mysql_async::Params>) -> Result<(), Fault> {
    if rows.is_empty() {
        return Ok(());
    }
    deadline(conn.exec_batch(sql, rows)).await
}

async fn write_rooms(conn: &mut Conn, plan: &Plan) -> Result<(), Fault> {
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
                shown_seq,
                deleted_seq,
                rev,
                member_count,
                ..
            } = room;
            item!(
                json,
                "[{id},{last_seq},{shown_seq},{rev},{member_count},{deleted_seq}]"
            );
        });
        execute(conn, ADVANCE, params![rooms]).await?;
    }
    for (id, above) in plan.shows() {
        execute(conn, SHOW, params![id, above, id]).await?;
    }
    for (id, (rev, settings)) in &plan.settings {
        let archived_at = plan.rooms.get(id).and_then(|(_, room)| room.archived_at);
        let params = params![
            settings.name.as_str(),
            plain(&settings.name),
            settings.topic.as_str(),
            archived_at,
            *rev,
            *id,
        ];
        execute(conn, SET_ROOM, params).await?;
    }
    for (id, now) in &plan.deleted {
        for sql in DELETE_ROOM {
            execute(conn, sql, params![*now, *id]).await?;
        }
    }
    Ok(())
}
