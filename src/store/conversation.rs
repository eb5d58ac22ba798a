//! Pins, reactions, and the users whom a text names.
//!
//! Invariant: a page of pins is read under the room's lock, so that it is complete up to the `rev` that it gives.

use std::collections::HashMap;

use super::{
    Store,
    connection::{Conn, script},
    error::{Result, SqlError},
    log::messages::{head, with_reactions},
    rows,
    values::{params, with_ids},
};
use crate::{
    limits::LOG_PAGE_BYTES,
    protocol::{
        Rev, RoomId, Seq, UserId,
        rest::{Message, ReactionOf},
    },
};

impl Store {
    /// Pinned messages by rising `seq` after `after`, the room's `rev`, and whether there are more.
    /// `None`: no such room.
    pub async fn pins(
        &self,
        room_id: RoomId,
        after: Seq,
        limit: usize,
    ) -> Result<Option<(Rev, Vec<Message>, bool)>> {
        let script = script(move |conn| Box::pin(pins(conn, room_id, after, limit)));
        Ok(self.db().read(script).await?)
    }

    /// The reactions to a message, by emoji and user after `after`.
    pub async fn reactions(
        &self,
        room_id: RoomId,
        seq: Seq,
        after: (&str, UserId),
        limit: usize,
    ) -> Result<Vec<ReactionOf>> {
        let sql = "SELECT u.id, u.username, u.full_name, r.emoji FROM reactions r JOIN users u ON u.id = r.user_id
                   WHERE r.room_id = ? AND r.seq = ? AND (r.emoji > ? OR (r.emoji = ? AND r.user_id > ?))
                   ORDER BY r.emoji, r.user_id LIMIT ?";
        let params = params![room_id, seq, after.0, after.0, after.1, limit];
        let found = self.db().query(sql, params).await?;
        let reactions = found.into_iter().map(|mut row| {
            Ok(ReactionOf {
                emoji: row.text(3)?,
                user: rows::summary(&mut row, 0)?,
            })
        });
        Ok(reactions.collect::<Result<_, SqlError>>()?)
    }

    /// The user's own reactions to these messages of a room.
    pub async fn reactions_of(
        &self,
        user_id: UserId,
        room_id: RoomId,
        seqs: &[Seq],
    ) -> Result<Vec<(Seq, String)>> {
        let sql =
            "SELECT seq, emoji FROM reactions WHERE user_id = ? AND room_id = ? AND seq IN (#)";
        let mut reactions = Vec::new();
        for (sql, params) in with_ids(sql, &[user_id.into(), room_id.into()], seqs) {
            for mut row in self.db().query(sql, params).await? {
                reactions.push((row.u64(0)?, row.text(1)?));
            }
        }
        Ok(reactions)
    }

    /// The users with these folded usernames ([`crate::protocol::fold::fold`]).
    pub async fn users_by_names(&self, names: &[String]) -> Result<HashMap<String, UserId>> {
        let keys = names.iter().cloned().map(|name| self.bounded(name));
        let keys: Vec<String> = keys.collect();
        let of_key: HashMap<&str, &str> = keys
            .iter()
            .zip(names)
            .map(|(key, name)| (key.as_str(), name.as_str()))
            .collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let sql = "SELECT username_key, id FROM users WHERE username_key IN (#)";
        let mut users = HashMap::new();
        for (sql, params) in with_ids(sql, &[], &keys) {
            for mut row in self.db().query(sql, params).await? {
                let id = row.user_id(1)?;
                if let Some(name) = of_key.get(row.text(0)?.as_str()) {
                    users.insert((*name).to_owned(), id);
                }
            }
        }
        Ok(users)
    }
}

async fn pins(
    mut conn: Conn<'_>,
    room_id: RoomId,
    after: Seq,
    limit: usize,
) -> Result<Option<(Rev, Vec<Message>, bool)>, SqlError> {
    let Some(head) = head(&mut conn, room_id).await? else {
        return Ok(None);
    };
    let sql = format!(
        "SELECT {} FROM pins p JOIN messages m ON m.room_id = p.room_id AND m.seq = p.seq
         JOIN users u ON u.id = m.sender_id WHERE p.room_id = ? AND p.seq > ? ORDER BY p.seq LIMIT ?",
        rows::MESSAGE_COLUMNS
    );
    let params = params![room_id, after, limit + 1];
    let (mut found, cut) = conn.query_upto(&sql, params, LOG_PAGE_BYTES).await?;
    let more = cut || found.len() > limit;
    found.truncate(limit);
    let (messages, more) = with_reactions(&mut conn, room_id, found, more).await?;
    Ok(Some((head.rev, messages, more)))
}
