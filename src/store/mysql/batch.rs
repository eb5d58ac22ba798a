//! MySQL's SQL for a batch: finds and locks the rows that it depends on, and writes its plan.
//!
//! Each statement takes a list of keys or rows ([`super::lists`]), so that a batch is a few statements, whatever it holds. Joins
//! follow the list's order, which is the order of the locks: STRAIGHT_JOIN keeps it. Where a table has several keys that begin
//! alike, the statement names its index, so that no other row is locked on the way.
//!
//! MySQL refuses to lock the list, and MariaDB knows no `OF`. Each reads a comment that the other one ignores.

use serde::{Serialize, Serializer, ser::SerializeSeq};

use super::{connection::WriterConnection, lists::hex};
use crate::{
    protocol::{Rev, RoomId, Seq, fold::plain},
    store::{
        error::SqlError,
        judge::{MemberWrite, MessageKey, MessageWrite, Plan, RowChange},
        loader::{Find, Source},
        rows::{Extra, Word},
        values::{Row, Value},
    },
};

/// The name and type of each part of a key, and the tables that it is joined with. Rooms, messages and single memberships are
/// locked. What else is read belongs to a room, a message or a user whose row was locked before, so that plain reads are enough.
fn from(find: Find) -> (&'static str, &'static str) {
    const ROOM: &str = "room_id BIGINT PATH '$[0]'";
    const MEMBER: &str = "room_id BIGINT PATH '$[0]', user_id BIGINT PATH '$[1]'";
    const MESSAGE: &str = "room_id BIGINT PATH '$[0]', seq BIGINT PATH '$[1]'";
    match find {
        Find::Rooms => (
            ROOM,
            "rooms r ON r.id = k.room_id FOR UPDATE /*!80000 OF r */",
        ),
        Find::Settings => (ROOM, "rooms r ON r.id = k.room_id"),
        Find::Sent => (
            "room_id BIGINT PATH '$[0]', sender_id BIGINT PATH '$[1]', id CHAR(32) PATH '$[2]'",
            "messages m FORCE INDEX (messages_id)
                ON m.room_id = k.room_id AND m.sender_id = k.sender_id AND m.id = UNHEX(k.id)
             /*!80000 FOR SHARE OF m */ /*M! LOCK IN SHARE MODE */",
        ),
        Find::Members => (
            MEMBER,
            "room_members m ON m.room_id = k.room_id AND m.user_id = k.user_id FOR UPDATE /*!80000 OF m */",
        ),
        Find::Present => (
            ROOM,
            "room_members m FORCE INDEX (PRIMARY) ON m.room_id = k.room_id WHERE m.left_at IS NULL",
        ),
        Find::Admins => (
            ROOM,
            "room_members m FORCE INDEX (PRIMARY) ON m.room_id = k.room_id
             JOIN users u ON u.id = m.user_id
             WHERE m.role = 'admin' AND m.left_at IS NULL",
        ),
        Find::Messages => (
            MESSAGE,
            "messages m ON m.room_id = k.room_id AND m.seq = k.seq FOR UPDATE /*!80000 OF m */",
        ),
        Find::Reactions => (
            "room_id BIGINT PATH '$[0]', seq BIGINT PATH '$[1]', emoji CHAR(128) PATH '$[2]', user_id BIGINT PATH '$[3]'",
            "reactions r ON r.room_id = k.room_id AND r.seq = k.seq AND r.emoji = UNHEX(k.emoji)
                AND r.user_id = k.user_id",
        ),
        Find::ReactionCounts => (
            MESSAGE,
            "reactions r ON r.room_id = k.room_id AND r.seq = k.seq GROUP BY r.room_id, r.seq, r.emoji",
        ),
        Find::RoomCounts => (
            "user_id BIGINT PATH '$[0]'",
            "room_members m ON m.user_id = k.user_id WHERE m.left_at IS NULL GROUP BY m.user_id",
        ),
    }
}

const LOCK_USERS: &str = "SELECT STRAIGHT_JOIN u.id
    FROM JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (id BIGINT PATH '$[0]')) k
    JOIN users u ON u.id = k.id FOR UPDATE /*!80000 OF u */";

impl Source for WriterConnection {
    async fn find(&mut self, find: Find, keys: Vec<Vec<Value>>) -> Result<Vec<Row>, SqlError> {
        let keys = || keys.iter().map(|key| Key(key));
        if let Find::RoomCounts = find {
            self.read(LOCK_USERS, keys()).await?;
        }
        let (parts, tables) = from(find);
        let columns = find.columns();
        let sql = format!(
            "SELECT STRAIGHT_JOIN {columns}
             FROM JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS ({parts})) k JOIN {tables}"
        );
        self.read(&sql, keys()).await
    }
}

/// A key as it stands in a list: texts and bytes are hexadecimal digits.
struct Key<'a>(&'a [Value]);

impl Serialize for Key<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut parts = serializer.serialize_seq(Some(self.0.len()))?;
        for value in self.0 {
            match value {
                Value::Null => parts.serialize_element(&())?,
                Value::Int(int) => parts.serialize_element(int)?,
                Value::Text(text) => parts.serialize_element(&hex(text.as_bytes()))?,
                Value::Blob(bytes) => parts.serialize_element(&hex(bytes))?,
            }
        }
        parts.end()
    }
}

/// Texts come last, so that what comes before them is found without reading over them.
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

/// As [`UPDATE_MESSAGES`], of messages whose text changes.
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

/// Erases everything but their rows from messages, and notes that they are deleted.
const ERASE: [&str; 3] = [
    "DELETE r
    FROM JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (room_id BIGINT PATH '$[0]', seq BIGINT PATH '$[1]')) k
    STRAIGHT_JOIN reactions r ON r.room_id = k.room_id AND r.seq = k.seq",
    "DELETE m
    FROM JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (room_id BIGINT PATH '$[0]', seq BIGINT PATH '$[1]')) k
    STRAIGHT_JOIN mentions m FORCE INDEX (mentions_message) ON m.room_id = k.room_id AND m.seq = k.seq",
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

/// Finds, for rooms whose last message was deleted, the last message among those of the list that isn't. [`ADVANCE`] has set 0
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

/// Deletes rooms.
const DELETE_ROOMS: [&str; 2] = [
    "UPDATE JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (id BIGINT PATH '$[0]', at BIGINT PATH '$[1]')) k
    STRAIGHT_JOIN rooms r ON r.id = k.id SET r.deleted_at = k.at",
    "UPDATE JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (id BIGINT PATH '$[0]', at BIGINT PATH '$[1]')) k
    STRAIGHT_JOIN room_members m FORCE INDEX (PRIMARY) ON m.room_id = k.id SET m.left_at = k.at WHERE m.left_at IS NULL",
];

/// Writes a plan, without the COMMIT.
pub async fn write(conn: &mut WriterConnection, plan: &Plan) -> Result<(), SqlError> {
    write_messages(conn, plan).await?;
    write_marks(conn, plan).await?;
    write_members(conn, plan).await?;
    write_rooms(conn, plan).await
}

async fn write_messages(conn: &mut WriterConnection, plan: &Plan) -> Result<(), SqlError> {
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
    conn.write(INSERT_MESSAGES, messages).await?;
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
    conn.write(UPDATE_TEXTS, texts).await?;
    conn.write(UPDATE_MESSAGES, rest.into_iter().map(updated))
        .await
}

/// Pins, reactions and mentions, and what a deletion erases of them.
async fn write_marks(conn: &mut WriterConnection, plan: &Plan) -> Result<(), SqlError> {
    for (sql, wanted) in [(UNPIN, RowChange::Delete), (PIN, RowChange::Insert)] {
        let pins = plan.pins.iter().filter(|(_, change)| **change == wanted);
        conn.write(sql, pins.map(|(key, _)| key)).await?;
    }
    for (sql, wanted) in [(REACT, true), (UNREACT, false)] {
        let reactions = plan
            .reactions
            .iter()
            .filter(|(_, rev)| rev.is_some() == wanted)
            .map(|((room, seq, emoji, user), rev)| (room, seq, hex(emoji.as_bytes()), user, rev));
        conn.write(sql, reactions).await?;
    }
    for (sql, wanted) in [(UNMENTION, RowChange::Delete), (MENTION, RowChange::Insert)] {
        let mentions = plan
            .mentions
            .iter()
            .filter(|(_, change)| **change == wanted);
        conn.write(sql, mentions.map(|(key, _)| key)).await?;
    }
    for sql in ERASE {
        conn.write(sql, &plan.erased).await?;
    }
    Ok(())
}

/// What is written of every message that changes: room, seq, rev, pinned_at, extra.
fn updated(
    ((room_id, seq), write): (&MessageKey, &MessageWrite),
) -> (RoomId, Seq, Rev, Option<i64>, Option<String>) {
    let row = &write.row;
    let extra = Extra::of(&row.mentions, row.reactions).to_column();
    (*room_id, *seq, row.rev, row.pinned_at.map(|at| at.0), extra)
}

async fn write_members(conn: &mut WriterConnection, plan: &Plan) -> Result<(), SqlError> {
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
        conn.write(sql, members).await?;
    }
    let markers = plan
        .markers
        .iter()
        .map(|((room_id, user_id), seq)| (room_id, user_id, seq));
    conn.write(MARK, markers).await
}

async fn write_rooms(conn: &mut WriterConnection, plan: &Plan) -> Result<(), SqlError> {
    let rooms = plan.rooms.iter().map(|(id, (_, room))| {
        let shown_seq = if plan.uncovered.contains(id) {
            0
        } else {
            room.shown_seq
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
    conn.write(ADVANCE, rooms).await?;
    let shows = plan
        .shows()
        .flat_map(|(id, seqs)| seqs.map(move |seq| (id, seq)));
    conn.write(SHOW, shows).await?;
    let settings = plan.settings.iter().map(|(id, (rev, settings))| {
        let archived_at = plan.rooms.get(id).and_then(|(_, room)| room.archived_at);
        let name_key = hex(plain(&settings.name).as_bytes());
        (
            id,
            archived_at.map(|at| at.0),
            rev,
            name_key,
            &settings.name,
            &settings.topic,
        )
    });
    conn.write(SET_ROOMS, settings).await?;
    for sql in DELETE_ROOMS {
        let deleted = plan.deleted.iter().map(|(id, now)| (id, now.0));
        conn.write(sql, deleted).await?;
    }
    Ok(())
}
