//! Messages as they are read from the log, with their reactions.

use std::collections::HashMap;

use crate::{
    limits,
    protocol::{
        RoomId, Seq,
        rest::{Message, Reaction},
    },
    store::{
        connection::Conn,
        error::SqlError,
        rows::{self, Head},
        values::{Row, params, with_ids},
    },
};

/// The reactions that one page lists; those of a message more may come on top.
const PAGE_REACTIONS: u64 = 10_000;
/// The reactions that are listed of one message at most.
const LISTED_MAX: u64 = (limits::REACTION_KINDS_MAX * limits::REACTION_USERS_MAX) as u64;

/// Reads messages of one room, with their reactions where there are any, until these are [`PAGE_REACTIONS`]. Returns with the
/// messages whether some were left out, here or before (`cut`).
pub async fn with_reactions(
    conn: &mut Conn<'_>,
    room_id: RoomId,
    rows: Vec<Row>,
    mut cut: bool,
) -> Result<(Vec<Message>, bool), SqlError> {
    let mut messages = Vec::with_capacity(rows.len());
    let (mut reacted, mut listed) = (Vec::new(), 0);
    for row in rows {
        if listed > PAGE_REACTIONS {
            cut = true;
            break;
        }
        let (message, reactions) = rows::message(row)?;
        if reactions > 0 {
            reacted.push(message.seq);
        }
        listed += reactions.min(LISTED_MAX);
        messages.push(message);
    }
    let mut of = reactions_to(conn, room_id, &reacted).await?;
    for message in &mut messages {
        message.reactions = of.remove(&message.seq).unwrap_or_default();
    }
    Ok((messages, cut))
}

/// The reactions to these messages, as they are shown.
pub async fn reactions_to(
    conn: &mut Conn<'_>,
    room_id: RoomId,
    seqs: &[Seq],
) -> Result<HashMap<Seq, Vec<Reaction>>, SqlError> {
    let sql = "SELECT seq, emoji, user_id, n FROM
                  (SELECT seq, emoji, user_id, COUNT(*) OVER (PARTITION BY seq, emoji) AS n,
                          MIN(rev) OVER (PARTITION BY seq, emoji) AS first,
                          ROW_NUMBER() OVER (PARTITION BY seq, emoji ORDER BY rev, user_id) AS k
                   FROM reactions WHERE room_id = ? AND seq IN (#)) AS r
               WHERE k <= ? ORDER BY seq, first, emoji, k";
    let mut of: HashMap<Seq, Vec<Reaction>> = HashMap::new();
    for (sql, mut params) in with_ids(sql, &[room_id.into()], seqs) {
        params.push(limits::REACTION_USERS_MAX.into());
        for mut row in conn.query(&sql, params).await? {
            let (seq, reaction) = rows::reaction(&mut row)?;
            let reactions = of.entry(seq).or_default();
            match reactions.last_mut() {
                Some(last) if last.emoji == reaction.emoji => {
                    last.user_ids.extend(reaction.user_ids);
                }
                _ => reactions.push(reaction),
            }
        }
    }
    Ok(of)
}

/// One message as it is now.
pub async fn message(
    mut conn: Conn<'_>,
    room_id: RoomId,
    seq: Seq,
) -> Result<Option<Message>, SqlError> {
    let sql = format!(
        "SELECT {} FROM messages m JOIN users u ON u.id = m.sender_id WHERE m.room_id = ? AND m.seq = ?",
        rows::MESSAGE_COLUMNS
    );
    let found = conn.query(&sql, params![room_id, seq]).await?;
    let (mut messages, _) = with_reactions(&mut conn, room_id, found, false).await?;
    Ok(messages.pop())
}

/// Reads the room's row, and locks it against writers.
pub async fn head(conn: &mut Conn<'_>, room_id: RoomId) -> Result<Option<Head>, SqlError> {
    let sql = "SELECT r.id, r.rev, r.last_seq, r.first_seq, r.member_count FROM rooms r
         WHERE r.id = ? AND r.deleted_at IS NULL";
    let found = conn.query_share(sql, params![room_id]).await?;
    found.first().map(rows::head).transpose()
}
