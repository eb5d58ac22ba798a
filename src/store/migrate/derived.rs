//! What the program derives from texts and keeps in tables, made anew after its rules have changed: keys for
//! searches, and the form of reactions. A migration can't say it in SQL.
//!
//! Invariants: a step is a transaction, and all of them done twice change nothing more; whoever changes a message without a
//! `rev` changes the log's epoch with it, so that clients read the room anew.

use std::collections::{BTreeMap, BTreeSet};

use super::new_epoch;
use crate::{
    protocol::{RoomId, Seq, UserId, emoji::qualified, fold::plain},
    store::{
        rows::Extra,
        sql::{Conn, Fault, params},
    },
};

/// The version of the rules, noted in `meta` when all is made by them.
const RULES: &str = "8";
/// Rows that a step reads.
const STEP_ROWS: usize = 1_000;

/// Where the next step goes on.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    Begin,
    Users(UserId),
    Rooms(RoomId),
    /// After this message.
    Reactions(RoomId, Seq),
}

/// One step, but for its COMMIT; `None` when all is done.
pub async fn step(mut conn: Conn<'_>, at: Place) -> Result<Option<Place>, Fault> {
    match at {
        Place::Begin => begin(&mut conn).await,
        Place::Users(after) => users(&mut conn, after).await,
        Place::Rooms(after) => rooms(&mut conn, after).await,
        Place::Reactions(room_id, after) => reactions(&mut conn, room_id, after).await,
    }
}

async fn begin(conn: &mut Conn<'_>) -> Result<Option<Place>, Fault> {
    let sql = "SELECT value FROM meta WHERE name = 'derived'";
    let known = conn.query(sql, Vec::new()).await?;
    let done = known.first().map(|row| row.str(0)).transpose()? == Some(RULES);
    Ok((!done).then_some(Place::Users(UserId(0))))
}

async fn users(conn: &mut Conn<'_>, after: UserId) -> Result<Option<Place>, Fault> {
    let sql = "SELECT id, username, search_key FROM users WHERE id > ? ORDER BY id LIMIT ?";
    let mut rows = conn.query(sql, params![after, STEP_ROWS]).await?;
    let mut last = None;
    for row in &mut rows {
        let (id, username) = (row.user_id(0)?, row.text(1)?);
        last = Some(Place::Users(id));
        let key = plain(&username);
        if row.str(2)? != key {
            // The account may be deleted meanwhile.
            let sql = "UPDATE users SET search_key = ? WHERE id = ? AND username = ?";
            conn.execute(sql, params![key, id, username]).await?;
        }
    }
    Ok(last.or(Some(Place::Rooms(RoomId(0)))))
}

async fn rooms(conn: &mut Conn<'_>, after: RoomId) -> Result<Option<Place>, Fault> {
    let sql = "SELECT id, name, name_key FROM rooms WHERE id > ? ORDER BY id LIMIT ?";
    let mut rows = conn.query(sql, params![after, STEP_ROWS]).await?;
    let mut last = None;
    for row in &mut rows {
        let (id, name) = (row.room_id(0)?, row.text(1)?);
        last = Some(Place::Rooms(id));
        let key = plain(&name);
        if row.str(2)? != key {
            let sql = "UPDATE rooms SET name_key = ? WHERE id = ? AND name = ?";
            conn.execute(sql, params![key, id, name]).await?;
        }
    }
    Ok(last.or(Some(Place::Reactions(RoomId(0), 0))))
}

async fn reactions(
    conn: &mut Conn<'_>,
    room_id: RoomId,
    after: Seq,
) -> Result<Option<Place>, Fault> {
    let sql = "SELECT DISTINCT seq, emoji FROM reactions WHERE room_id = ? AND seq > ? ORDER BY seq, emoji LIMIT ?";
    let rows = conn.query(sql, params![room_id, after, STEP_ROWS]).await?;
    let mut stale = BTreeSet::new();
    for row in &rows {
        let emoji = row.str(1)?;
        if qualified(emoji) != emoji {
            stale.insert(row.u64(0)?);
        }
    }
    if !stale.is_empty() {
        // As all writers of a room do.
        let sql = "SELECT rev FROM rooms WHERE id = ?";
        conn.query_update(sql, params![room_id]).await?;
        let sql = "UPDATE meta SET value = ? WHERE name = 'log_epoch'";
        conn.execute(sql, params![new_epoch()]).await?;
    }
    for seq in stale {
        join(conn, room_id, seq).await?;
    }
    if let Some(last) = rows.last().filter(|_| rows.len() == STEP_ROWS) {
        // The last message may have more kinds: it is looked at again, unless it is the only one.
        let last = last.u64(0)?;
        let upto = if last > after + 1 { last - 1 } else { last };
        return Ok(Some(Place::Reactions(room_id, upto)));
    }
    let sql = "SELECT MIN(room_id) FROM reactions WHERE room_id > ?";
    let next = conn.query(sql, params![room_id]).await?;
    let next = next.first().map(|row| row.opt_u64(0)).transpose()?;
    if let Some(next) = next.flatten() {
        return Ok(Some(Place::Reactions(RoomId(next), 0)));
    }
    conn.execute("DELETE FROM meta WHERE name = 'derived'", Vec::new())
        .await?;
    let sql = "INSERT INTO meta (name, value) VALUES ('derived', ?)";
    conn.execute(sql, params![RULES]).await?;
    Ok(None)
}

/// Gives a message's reactions their one form: of a user's that become the same the earliest stays.
async fn join(conn: &mut Conn<'_>, room_id: RoomId, seq: Seq) -> Result<(), Fault> {
    let sql = "SELECT emoji, user_id, created_at FROM reactions WHERE room_id = ? AND seq = ?";
    let mut rows = conn.query_update(sql, params![room_id, seq]).await?;
    let mut stale = Vec::new();
    let mut kept = BTreeMap::new();
    for row in &mut rows {
        let (emoji, user_id, at) = (row.text(0)?, row.user_id(1)?, row.time(2)?);
        let form = qualified(&emoji);
        if form == emoji {
            kept.insert((form, user_id), at);
        } else {
            stale.push((emoji, form, user_id, at));
        }
    }
    for (emoji, form, user_id, at) in stale {
        let key = (form, user_id);
        let sql =
            "DELETE FROM reactions WHERE room_id = ? AND seq = ? AND emoji = ? AND user_id = ?";
        conn.execute(sql, params![room_id, seq, emoji, user_id])
            .await?;
        let earliest = kept.get(&key).is_none_or(|known| at < *known);
        if !earliest {
            continue;
        }
        let sql = match kept.insert(key.clone(), at) {
            None => {
                "INSERT INTO reactions (created_at, room_id, seq, emoji, user_id) VALUES (?, ?, ?, ?, ?)"
            }
            Some(_) => {
                "UPDATE reactions SET created_at = ? WHERE room_id = ? AND seq = ? AND emoji = ? AND user_id = ?"
            }
        };
        conn.execute(sql, params![at, room_id, seq, key.0, user_id])
            .await?;
    }
    let sql = "SELECT extra FROM messages WHERE room_id = ? AND seq = ?";
    let mut found = conn.query_update(sql, params![room_id, seq]).await?;
    let Some(row) = found.first_mut() else {
        return Ok(());
    };
    let mut extra = Extra::from_column(row.opt_text(0)?.as_deref())?;
    extra.reactions = kept.len() as u64;
    let sql = "UPDATE messages SET extra = ? WHERE room_id = ? AND seq = ?";
    let params = params![extra.to_column(), room_id, seq];
    conn.execute(sql, params).await.map(drop)
}
