//! An append on MySQL: the rows that a batch depends on, locked in one order, and the execution of
//! its plan.
//!
//! Each statement takes a list ([`super::lists`]), and the join follows the list's order, which is the order of the
//! locks: STRAIGHT_JOIN keeps it. Where a table has several keys that begin alike, the statement names its
//! index, so that no other row is locked on the way.
//!
//! MySQL refuses to lock the list, and MariaDB knows no `OF`: each reads a comment that the other one passes over.

use std::collections::BTreeSet;

use super::{lists::hex, session::Session};
use crate::{
    protocol::{
        Rev, RoomId, Seq,
        fold::plain,
        rest::{Role, RoomKind},
    },
    store::{
        append::{
            Keys, MemberRow, MemberWrite, MessageKey, MessageRow, MessageWrite, Plan, RoomRow,
            SentRow, SettingsRow, State,
        },
        rows::{self, Extra, Word},
        sql::{Fault, Row},
    },
};

/// Its first statement: everything that follows is read after the rooms' locks were granted.
const LOCK_ROOMS: &str =
    "SELECT STRAIGHT_JOIN r.id, r.kind, r.last_seq, r.rev, r.member_count, r.first_seq, r.archived_at, r.deleted_at, r.shown_seq,
        r.deleted_seq
    FROM JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (id BIGINT PATH '$')) k
    JOIN rooms r ON r.id = k.id FOR UPDATE /*!80000 OF r */";

/// What follows is read under the rooms' locks, so that plain reads are enough.
const SETTINGS: &str = "SELECT STRAIGHT_JOIN r.id, r.name, r.topic, r.created_by, r.created_at
    FROM JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (id BIGINT PATH '$')) k
    JOIN rooms r ON r.id = k.id";

const FIND_SENT: &str = "SELECT STRAIGHT_JOIN k.i, m.seq, m.rev, m.created_at
    FROM JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (i BIGINT PATH '$[0]', room_id BIGINT PATH '$[1]',
        sender_id BIGINT PATH '$[2]', id CHAR(32) PATH '$[3]')) k
    JOIN messages m FORCE INDEX (messages_id)
        ON m.room_id = k.room_id AND m.sender_id = k.sender_id AND m.id = UNHEX(k.id)
    /*!80000 FOR SHARE OF m */ /*M! LOCK IN SHARE MODE */";

const LOCK_MEMBERS: &str =
    "SELECT STRAIGHT_JOIN m.room_id, m.user_id, m.role, m.joined_at, m.joined_seq,
        m.joined_rev, m.left_at, m.last_read_seq, m.rev
    FROM JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (room_id BIGINT PATH '$[0]', user_id BIGINT PATH '$[1]')) k
    JOIN room_members m ON m.room_id = k.room_id AND m.user_id = k.user_id FOR UPDATE /*!80000 OF m */";

/// Who is in rooms that may end.
const PRESENT: &str = "SELECT STRAIGHT_JOIN m.room_id, m.user_id
    FROM JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (id BIGINT PATH '$')) k
    JOIN room_members m FORCE INDEX (PRIMARY) ON m.room_id = k.id WHERE m.left_at IS NULL";

/// The admins of rooms whose owner would leave.
const HEIRS: &str = "SELECT STRAIGHT_JOIN m.room_id, m.user_id, m.role, m.joined_at, m.joined_seq,
        m.joined_rev, m.left_at, m.last_read_seq, m.rev, u.id, u.username, u.full_name
    FROM JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (id BIGINT PATH '$')) k
    JOIN room_members m FORCE INDEX (PRIMARY) ON m.room_id = k.id
    JOIN users u ON u.id = m.user_id
    WHERE m.role = 'admin' AND m.left_at IS NULL";

const LOCK_MESSAGES: &str = "SELECT STRAIGHT_JOIN m.room_id, m.seq, m.rev, m.sender_id, m.content, m.edited_at, m.deleted_at,
        m.pinned_at, m.extra
    FROM JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (room_id BIGINT PATH '$[0]', seq BIGINT PATH '$[1]')) k
    JOIN messages m ON m.room_id = k.room_id AND m.seq = k.seq FOR UPDATE /*!80000 OF m */";

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
    JOIN users u ON u.id = k.id FOR UPDATE /*!80000 OF u */";

const COUNT_ROOMS: &str = "SELECT STRAIGHT_JOIN m.user_id, COUNT(*)
    FROM JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (id BIGINT PATH '$')) k
    JOIN room_members m ON m.user_id = k.id WHERE m.left_at IS NULL GROUP BY m.user_id";

/// Texts stand last: what stands before them is found without reading over them.
const INSERT_MESSAGES: &str = "INSERT INTO messages
        (room_id, seq, rev, id, sender_id, kind, reply_to, created_at, extra, content)
    SELECT k.room_id, k.seq, k.rev, UNHEX(k.id), k.sender_id, k.kind, k.reply_to, k.created_at, k.extra, k.content
    FROM JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (room_id BIGINT PATH '$[0]', seq BIGINT PATH '$[1]',
        rev BIGINT PATH '$[2]', id CHAR(32) PATH '$[3]', sender_id BIGINT PATH '$[4]', kind CHAR(16) PATH '$[5]',
        reply_to BIGINT PATH '$[6]', created_at BIGINT PATH '$[7]', extra MEDIUMTEXT CHARACTER SET utf8mb4 PATH '$[8]',
        content MEDIUMTEXT CHARACTER SET utf8mb4 PATH '$[9]')) k";

const UPDATE_MESSAGES: &str = "UPDATE JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (room_id BIGINT PATH '$[0]',
        seq BIGINT PATH '$[1]', rev BIGINT PATH '$[2]', pinned_at BIGINT PATH '$[3]', extra MEDIUMTEXT CHARACTER SET utf8mb4 PATH '$[4]')) k
    STRAIGHT_JOIN messages m ON m.room_id = k.room_id AND m.seq = k.seq
    SET m.rev = k.rev, m.extra = k.extra, m.pinned_at = k.pinned_at";

/// As [`UPDATE_MESSAGES`], of those whose text is another one.
const UPDATE_TEXTS: &str = "UPDATE JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (room_id BIGINT PATH '$[0]',
        seq BIGINT PATH '$[1]', rev BIGINT PATH '$[2]', pinned_at BIGINT PATH '$[3]', extra MEDIUMTEXT CHARACTER SET utf8mb4 PATH '$[4]',
        edited_at BIGINT PATH '$[5]', deleted_at BIGINT PATH '$[6]', content MEDIUMTEXT CHARACTER SET utf8mb4 PATH '$[7]')) k
    STRAIGHT_JOIN messages m ON m.room_id = k.room_id AND m.seq = k.seq
    SET m.rev = k.rev, m.extra = k.extra, m.pinned_at = k.pinned_at, m.edited_at = k.edited_at,
        m.deleted_at = k.deleted_at, m.content = k.content";

const PIN: &str = "INSERT IGNORE INTO pins (room_id, seq) SELECT k.room_id, k.seq
    FROM JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (room_id BIGINT PATH '$[0]', seq BIGINT PATH '$[1]')) k";
const UNPIN: &str = "DELETE p
    FROM JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (room_id BIGINT PATH '$[0]', seq BIGINT PATH '$[1]')) k
    STRAIGHT_JOIN pins p ON p.room_id = k.room_id AND p.seq = k.seq";

const REACT: &str = "REPLACE INTO reactions (room_id, seq, emoji, user_id, rev)
    SELECT k.room_id, k.seq, UNHEX(k.emoji), k.user_id, k.rev
    FROM JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (room_id BIGINT PATH '$[0]', seq BIGINT PATH '$[1]',
        emoji CHAR(128) PATH '$[2]', user_id BIGINT PATH '$[3]', rev BIGINT PATH '$[4]')) k";
const UNREACT: &str = "DELETE r
    FROM JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (room_id BIGINT PATH '$[0]', seq BIGINT PATH '$[1]',
        emoji CHAR(128) PATH '$[2]', user_id BIGINT PATH '$[3]')) k
    STRAIGHT_JOIN reactions r ON r.room_id = k.room_id AND r.seq = k.seq AND r.emoji = UNHEX(k.emoji) AND r.user_id = k.user_id";

const MENTION: &str = "INSERT IGNORE INTO mentions (room_id, user_id, seq) SELECT k.room_id, k.user_id, k.seq
    FROM JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (room_id BIGINT PATH '$[0]', user_id BIGINT PATH '$[1]',
        seq BIGINT PATH '$[2]')) k";
const UNMENTION: &str = "DELETE m
    FROM JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (room_id BIGINT PATH '$[0]', user_id BIGINT PATH '$[1]',
        seq BIGINT PATH '$[2]')) k
    STRAIGHT_JOIN mentions m FORCE INDEX (PRIMARY) ON m.room_id = k.room_id AND m.user_id = k.user_id AND m.seq = k.seq";

/// What takes everything but its row from messages, and notes that they are deleted.
const ERASE: [&str; 4] = [
    "DELETE r
    FROM JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (room_id BIGINT PATH '$[0]', seq BIGINT PATH '$[1]')) k
    STRAIGHT_JOIN reactions r ON r.room_id = k.room_id AND r.seq = k.seq",
    "DELETE m
    FROM JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (room_id BIGINT PATH '$[0]', seq BIGINT PATH '$[1]')) k
    STRAIGHT_JOIN mentions m FORCE INDEX (mentions_message) ON m.room_id = k.room_id AND m.seq = k.seq",
    "DELETE w
    FROM JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (room_id BIGINT PATH '$[0]', seq BIGINT PATH '$[1]')) k
    STRAIGHT_JOIN message_words w ON w.room_id = k.room_id AND w.seq = k.seq",
    "INSERT INTO deletions (room_id, seq) SELECT k.room_id, k.seq
    FROM JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (room_id BIGINT PATH '$[0]', seq BIGINT PATH '$[1]')) k",
];

// Not one INSERT … ON DUPLICATE KEY UPDATE: it would overwrite whichever row holds any unique key.
const INSERT_MEMBERS: &str = "INSERT INTO room_members
        (room_id, user_id, role, joined_at, joined_seq, joined_rev, left_at, last_read_seq, rev)
    SELECT k.room_id, k.user_id, k.role, k.joined_at, k.joined_seq, k.joined_rev, k.left_at, k.last_read_seq, k.rev
    FROM JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (room_id BIGINT PATH '$[0]', user_id BIGINT PATH '$[1]',
        role CHAR(16) PATH '$[2]', joined_at BIGINT PATH '$[3]', joined_seq BIGINT PATH '$[4]',
        joined_rev BIGINT PATH '$[5]', left_at BIGINT PATH '$[6]', last_read_seq BIGINT PATH '$[7]',
        rev BIGINT PATH '$[8]')) k";
const UPDATE_MEMBERS: &str = "UPDATE JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (room_id BIGINT PATH '$[0]',
        user_id BIGINT PATH '$[1]', role CHAR(16) PATH '$[2]', joined_at BIGINT PATH '$[3]',
        joined_seq BIGINT PATH '$[4]', joined_rev BIGINT PATH '$[5]', left_at BIGINT PATH '$[6]',
        last_read_seq BIGINT PATH '$[7]', rev BIGINT PATH '$[8]')) k
    STRAIGHT_JOIN room_members m FORCE INDEX (PRIMARY) ON m.room_id = k.room_id AND m.user_id = k.user_id
    SET m.role = k.role, m.joined_at = k.joined_at, m.joined_seq = k.joined_seq, m.joined_rev = k.joined_rev,
        m.left_at = k.left_at, m.last_read_seq = k.last_read_seq, m.rev = k.rev";

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

/// Finds the last message of rooms whose last message was deleted, among those that the list names. [`ADVANCE`] has set 0
/// before, which stays where all of them are deleted. A list that is cut within a room continues with later messages.
const SHOW: &str = "UPDATE (SELECT STRAIGHT_JOIN k.room_id, MAX(m.seq) AS seq
        FROM JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (room_id BIGINT PATH '$[0]', seq BIGINT PATH '$[1]')) k
        JOIN messages m FORCE INDEX (PRIMARY) ON m.room_id = k.room_id AND m.seq = k.seq
        WHERE m.deleted_at IS NULL GROUP BY k.room_id) s
    JOIN rooms r ON r.id = s.room_id
    SET r.shown_seq = s.seq";

const SET_ROOMS: &str = "UPDATE JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (id BIGINT PATH '$[0]',
        archived_at BIGINT PATH '$[1]', settings_rev BIGINT PATH '$[2]', name_key MEDIUMTEXT CHARACTER SET utf8mb4 PATH '$[3]',
        name MEDIUMTEXT CHARACTER SET utf8mb4 PATH '$[4]', topic MEDIUMTEXT CHARACTER SET utf8mb4 PATH '$[5]')) k
    STRAIGHT_JOIN rooms r ON r.id = k.id
    SET r.name = k.name, r.name_key = UNHEX(k.name_key), r.topic = k.topic, r.archived_at = k.archived_at,
        r.settings_rev = k.settings_rev";

/// What ends rooms.
const DELETE_ROOMS: [&str; 2] = [
    "UPDATE JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (id BIGINT PATH '$[0]', at BIGINT PATH '$[1]')) k
    STRAIGHT_JOIN rooms r ON r.id = k.id SET r.deleted_at = k.at",
    "UPDATE JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (id BIGINT PATH '$[0]', at BIGINT PATH '$[1]')) k
    STRAIGHT_JOIN room_members m FORCE INDEX (PRIMARY) ON m.room_id = k.id SET m.left_at = k.at WHERE m.left_at IS NULL",
];

pub async fn load(session: &mut Session, keys: &Keys) -> Result<State, Fault> {
    let mut state = State::default();
    for row in session.read(LOCK_ROOMS, &keys.rooms).await? {
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
    for mut row in session.read(SETTINGS, &keys.settings).await? {
        let settings = SettingsRow {
            name: row.text(1)?,
            topic: row.text(2)?,
            created_by: row.user_id(3)?,
            created_at: row.time(4)?,
        };
        state.settings.insert(row.room_id(0)?, settings);
    }
    let sent = keys.sent.iter().enumerate();
    let sent = sent.map(|(i, (room, user, id))| (i, room, user, hex(id.as_bytes())));
    for row in session.read(FIND_SENT, sent).await? {
        let key = keys.sent.get(row.u64(0)? as usize);
        let key = key.ok_or_else(|| Fault::Refused("an id that was not asked for".into()))?;
        let sent = SentRow {
            seq: row.u64(1)?,
            rev: row.u64(2)?,
            created_at: row.time(3)?,
        };
        state.sent.insert(*key, sent);
    }
    for row in session.read(LOCK_MEMBERS, &keys.members).await? {
        let key = (row.room_id(0)?, row.user_id(1)?);
        state.members.insert(key, member(&row)?);
    }
    for id in &keys.ending {
        state.present.insert(*id, Vec::new());
    }
    for row in session.read(PRESENT, &keys.ending).await? {
        let present = state.present.entry(row.room_id(0)?).or_default();
        present.push(row.user_id(1)?);
    }
    let owners = keys.leavers.iter().filter(|key| {
        let row = state.members.get(key);
        row.is_some_and(|row| row.role == Role::Owner)
    });
    let left: BTreeSet<_> = owners.map(|(room_id, _)| *room_id).collect();
    for mut row in session.read(HEIRS, &left).await? {
        let key = (row.room_id(0)?, row.user_id(1)?);
        state.members.insert(key, member(&row)?);
        let name = rows::summary(&mut row, 9)?;
        state.names.insert(name.id, name);
    }
    load_messages(session, keys, &mut state).await?;
    session.read(LOCK_USERS, &keys.joiners).await?;
    for row in session.read(COUNT_ROOMS, &keys.joiners).await? {
        state.room_counts.insert(row.user_id(0)?, row.u64(1)?);
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
async fn load_messages(session: &mut Session, keys: &Keys, state: &mut State) -> Result<(), Fault> {
    for mut row in session.read(LOCK_MESSAGES, &keys.messages).await? {
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
        let key = (row.room_id(0)?, row.u64(1)?);
        state.messages.insert(key, message);
    }
    let reactions = keys.reactions.iter().enumerate();
    let reactions =
        reactions.map(|(i, (room, seq, emoji, user))| (i, room, seq, hex(emoji.as_bytes()), user));
    for row in session.read(FIND_REACTIONS, reactions).await? {
        let key = keys.reactions.get(row.u64(0)? as usize);
        let key = key.ok_or_else(|| Fault::Refused("a reaction that was not asked for".into()))?;
        state.reactions.insert(key.clone());
    }
    let reacted: BTreeSet<_> = keys.reactions.iter().map(|key| (key.0, key.1)).collect();
    for mut row in session.read(COUNT_REACTIONS, &reacted).await? {
        let counts = state.counts.entry((row.room_id(0)?, row.u64(1)?));
        counts.or_default().insert(row.text(2)?, row.u64(3)?);
    }
    Ok(())
}

/// Writes a plan, all but the COMMIT.
pub async fn write(session: &mut Session, plan: &Plan) -> Result<(), Fault> {
    write_messages(session, plan).await?;
    write_rooms(session, plan).await
}

async fn write_messages(session: &mut Session, plan: &Plan) -> Result<(), Fault> {
    let messages = plan.messages.iter().map(|message| {
        (
            message.room_id,
            message.seq,
            message.rev,
            hex(message.id.as_bytes()),
            message.sender.id,
            message.kind.word(),
            message.reply_to,
            message.created_at.0,
            Extra::of(&message.mentions, 0).to_column(),
            &message.content,
        )
    });
    session.write(INSERT_MESSAGES, messages).await?;
    let (texts, rest): (Vec<_>, Vec<_>) = plan.updates.iter().partition(|(_, write)| write.text);
    let texts = texts.into_iter().map(|update| {
        let (room, seq, rev, pinned_at, extra) = updated(update);
        let row = &update.1.row;
        let (edited_at, deleted_at) = (row.edited_at.map(|at| at.0), row.deleted_at.map(|at| at.0));
        (
            room,
            seq,
            rev,
            pinned_at,
            extra,
            edited_at,
            deleted_at,
            &row.content,
        )
    });
    session.write(UPDATE_TEXTS, texts).await?;
    let rest = rest.into_iter().map(updated);
    session.write(UPDATE_MESSAGES, rest).await?;
    for (sql, wanted) in [(UNPIN, false), (PIN, true)] {
        let pins = plan.pins.iter().filter(|(_, on)| **on == wanted);
        session.write(sql, pins.map(|(key, _)| key)).await?;
    }
    for (sql, wanted) in [(REACT, true), (UNREACT, false)] {
        let reactions = plan.reactions.iter();
        let reactions = reactions.filter(|(_, rev)| rev.is_some() == wanted);
        let reactions = reactions
            .map(|((room, seq, emoji, user), rev)| (room, seq, hex(emoji.as_bytes()), user, rev));
        session.write(sql, reactions).await?;
    }
    for (sql, wanted) in [(UNMENTION, false), (MENTION, true)] {
        let mentions = plan.mentions.iter().filter(|(_, on)| **on == wanted);
        session.write(sql, mentions.map(|(key, _)| key)).await?;
    }
    for sql in ERASE {
        session.write(sql, &plan.erased).await?;
    }
    Ok(())
}

/// What every changed message has written: room, seq, rev, pinned_at, extra.
fn updated(
    ((room_id, seq), write): (&MessageKey, &MessageWrite),
) -> (RoomId, Seq, Rev, Option<i64>, Option<String>) {
    let row = &write.row;
    let extra = Extra::of(&row.mentions, row.reactions).to_column();
    (*room_id, *seq, row.rev, row.pinned_at.map(|at| at.0), extra)
}

async fn write_rooms(session: &mut Session, plan: &Plan) -> Result<(), Fault> {
    for (exists, sql) in [(false, INSERT_MEMBERS), (true, UPDATE_MEMBERS)] {
        let of_kind = |write: &MemberWrite| write.exists == exists;
        let members = plan.members.iter().filter(|(_, write)| of_kind(write));
        let members = members.map(|((room_id, user_id), write)| {
            let row = &write.row;
            (
                room_id,
                user_id,
                row.role.word(),
                row.joined_at.0,
                row.joined_seq,
                row.joined_rev,
                row.left_at.map(|at| at.0),
                row.last_read_seq,
                row.rev,
            )
        });
        session.write(sql, members).await?;
    }
    let markers = plan.markers.iter();
    let markers = markers.map(|((room_id, user_id), seq)| (room_id, user_id, seq));
    session.write(MARK, markers).await?;
    let rooms = plan.rooms.iter().map(|(id, (_, room))| {
        let shown_seq = match plan.uncovered.contains(id) {
            true => 0,
            false => room.shown_seq,
        };
        (
            id,
            room.last_seq,
            shown_seq,
            room.rev,
            room.member_count,
            room.deleted_seq,
        )
    });
    session.write(ADVANCE, rooms).await?;
    let shows = plan.shows();
    let shows = shows.flat_map(|(id, seqs)| seqs.map(move |seq| (id, seq)));
    session.write(SHOW, shows).await?;
    let settings = plan.settings.iter().map(|(id, (rev, settings))| {
        let archived_at = plan.rooms.get(id).and_then(|(_, room)| room.archived_at);
        let archived_at = archived_at.map(|at| at.0);
        let name_key = hex(plain(&settings.name).as_bytes());
        (
            id,
            archived_at,
            rev,
            name_key,
            &settings.name,
            &settings.topic,
        )
    });
    session.write(SET_ROOMS, settings).await?;
    for sql in DELETE_ROOMS {
        let deleted = plan.deleted.iter().map(|(id, now)| (id, now.0));
        session.write(sql, deleted).await?;
    }
    Ok(())
}
