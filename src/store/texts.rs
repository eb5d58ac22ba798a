//! Texts for the search: what changed in them, and messages by their places.

use std::collections::BTreeMap;

use super::{
    Store,
    connection::script,
    database::Database,
    error::{Result, SqlError},
    log::messages::reactions_to,
    rows::{self, Word},
    values::{Row, params},
};
use crate::{
    limits::{HEADS_PER_STATEMENT, INDEX_PAGE_BYTES, INDEX_PAGE_ROWS},
    protocol::{
        Rev, RoomId, Seq, Time, UserId,
        rest::{FoundRoom, Message, RoomKind},
    },
};

/// The text of a message as it is now.
#[derive(Clone, Debug)]
pub struct Text {
    pub seq: Seq,
    pub sender_id: UserId,
    pub created_at: Time,
    /// `None`: the message is deleted.
    pub content: Option<String>,
}

/// Messages that changed, by rising `rev`.
#[derive(Debug)]
pub struct Texts {
    pub texts: Vec<Text>,
    /// All changes of the room up to this `rev` are in this page or in the pages before it.
    pub upto: Rev,
    /// The room's `rev` when the page was read.
    pub head: Rev,
}

/// The text that [`Store::messages_at`] holds at once; a message more may come on top.
const PLACES_BYTES: usize = 256 * 1024;

impl Store {
    /// All rooms and their `rev`, by rising id, a page at a time. An empty page is the last one.
    pub async fn all_heads(&self, after: RoomId) -> Result<Vec<(RoomId, Rev)>> {
        let sql =
            "SELECT id, rev FROM rooms WHERE id > ? AND deleted_at IS NULL ORDER BY id LIMIT ?";
        let params = params![after, HEADS_PER_STATEMENT];
        let rows = self.db().query(sql, params).await?;
        let heads = rows.iter().map(|row| Ok((row.room_id(0)?, row.u64(1)?)));
        Ok(heads.collect::<Result<_, SqlError>>()?)
    }

    /// A page of the texts that changed in a room after `after`; `None`: no such room.
    pub async fn texts(&self, room_id: RoomId, after: Rev) -> Result<Option<Texts>> {
        let sql = "SELECT rev FROM rooms WHERE id = ? AND deleted_at IS NULL";
        let heads = self.db().query(sql, params![room_id]).await?;
        let Some(row) = heads.first() else {
            return Ok(None);
        };
        let head = row.u64(0)?;
        // A statement of its own, begun after the one that has shown the head: on MariaDB a plain read may show a
        // commit and not the one before it, but not when an earlier read has shown both.
        let sql = "SELECT seq, rev, sender_id, created_at, content, deleted_at FROM messages
                   WHERE room_id = ? AND rev > ? AND rev <= ? ORDER BY rev LIMIT ?";
        let params = params![room_id, after, head, INDEX_PAGE_ROWS];
        let (rows, cut) = self.db().query_upto(sql, params, INDEX_PAGE_BYTES).await?;
        let more = cut || rows.len() == INDEX_PAGE_ROWS;
        let upto = match rows.last() {
            Some(last) if more => last.u64(1)?,
            _ => head,
        };
        let texts = rows.into_iter().map(text);
        let texts = texts.collect::<Result<_, SqlError>>()?;
        Ok(Some(Texts { texts, upto, head }))
    }

    /// The rooms that the user is in.
    pub async fn all_rooms_of(&self, user_id: UserId) -> Result<Vec<RoomId>> {
        let sql = "SELECT room_id FROM room_members WHERE user_id = ? AND left_at IS NULL";
        let rows = self.db().query(sql, params![user_id]).await?;
        let rooms = rows.iter().map(|row| row.room_id(0));
        Ok(rooms.collect::<Result<_, SqlError>>()?)
    }

    /// The messages at these places as they are now, without their reactions, and whether they have some. What is deleted
    /// is missing. Fewer than all places are read where the texts are long: the second number is how many were.
    ///
    /// `viewer`: for whom a direct room has its peer.
    pub async fn messages_at(
        &self,
        viewer: UserId,
        places: &[(RoomId, Seq)],
    ) -> Result<(Vec<(Message, FoundRoom, bool)>, usize)> {
        let list: Vec<(usize, u64, Seq)> = places
            .iter()
            .enumerate()
            .map(|(at, (room_id, seq))| (at, room_id.0, *seq))
            .collect();
        let list = serde_json::to_string(&list).expect("numbers are plain JSON");
        let (select, from, primary) = match self.db() {
            Database::Sqlite(_) => (
                "SELECT",
                "(SELECT json_extract(value, '$[0]') AS at, json_extract(value, '$[1]') AS room_id,
                         json_extract(value, '$[2]') AS seq FROM json_each(?)) k",
                "",
            ),
            Database::Mysql(_) => (
                "SELECT STRAIGHT_JOIN",
                "JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (at BIGINT PATH '$[0]',
                     room_id BIGINT PATH '$[1]', seq BIGINT PATH '$[2]')) k",
                "FORCE INDEX (PRIMARY)",
            ),
        };
        let sql = format!(
            "{select} {columns}, r.kind, r.name, v.id, v.username, v.full_name, k.at FROM {from}
             LEFT JOIN rooms r ON r.id = k.room_id AND r.deleted_at IS NULL
             LEFT JOIN messages m {primary} ON m.room_id = r.id AND m.seq = k.seq AND m.deleted_at IS NULL
             LEFT JOIN users u ON u.id = m.sender_id
             LEFT JOIN room_members o ON o.room_id = CASE r.kind WHEN 'direct' THEN r.id END
                 AND (o.user_id <> ? OR r.member_count = 1)
             LEFT JOIN users v ON v.id = o.user_id
             ORDER BY k.at",
            columns = rows::MESSAGE_COLUMNS
        );
        let params = params![list, viewer];
        let (rows, cut) = self.db().query_upto(sql, params, PLACES_BYTES).await?;
        let read = match rows.last() {
            Some(last) if cut => last.u64(last.0.len() - 1)? as usize + 1,
            _ => places.len(),
        };
        let found = rows.into_iter().filter_map(|row| placed(row).transpose());
        Ok((found.collect::<Result<_, SqlError>>()?, read))
    }

    /// Adds their reactions to messages of several rooms.
    pub async fn add_reactions(&self, messages: Vec<&mut Message>) -> Result<()> {
        let mut rooms: BTreeMap<RoomId, Vec<&mut Message>> = BTreeMap::new();
        for message in messages {
            rooms.entry(message.room_id).or_default().push(message);
        }
        for (room_id, messages) in rooms {
            let seqs: Vec<Seq> = messages.iter().map(|message| message.seq).collect();
            let script = script(move |mut conn| {
                let seqs = seqs.clone();
                Box::pin(async move { reactions_to(&mut conn, room_id, &seqs).await })
            });
            let mut of = self.db().read(script).await?;
            for message in messages {
                message.reactions = of.remove(&message.seq).unwrap_or_default();
            }
        }
        Ok(())
    }
}

fn text(mut row: Row) -> Result<Text, SqlError> {
    let deleted = !row.is_null(5)?;
    Ok(Text {
        seq: row.u64(0)?,
        sender_id: row.user_id(2)?,
        created_at: row.time(3)?,
        content: row.opt_text(4)?.filter(|_| !deleted),
    })
}

fn placed(mut row: Row) -> Result<Option<(Message, FoundRoom, bool)>, SqlError> {
    if row.is_null(0)? {
        return Ok(None);
    }
    let kind = row.0.len() - 6;
    let peer = if row.is_null(kind + 2)? {
        None
    } else {
        Some(rows::summary(&mut row, kind + 2)?)
    };
    let room = FoundRoom {
        id: row.room_id(0)?,
        kind: RoomKind::from_word(row.str(kind)?)?,
        name: row.text(kind + 1)?,
        peer,
    };
    let (message, reactions) = rows::message(row)?;
    Ok(Some((message, room, reactions > 0)))
}
