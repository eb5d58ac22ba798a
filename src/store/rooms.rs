//! Rooms and their members, as they are listed. A change of a room goes through the log ([`Store::append`]).

use std::{collections::HashMap, sync::Arc};

use super::{
    Store,
    connection::{Conn, script},
    error::{Result, SqlError},
    log::messages::head,
    names::prefix_range,
    room::RoomFilter,
    rows::{self, Word},
    values::{Row, params, with_ids},
};
use crate::{
    limits,
    protocol::{
        Rev, RoomId, Seq, UserId,
        fold::sought,
        rest::{LastMessage, Member, Mine, Notify, Role, Room, RoomKind, UserSummary},
    },
};

impl Store {
    /// Stores what a member wants to be notified of. False: the user isn't a member.
    pub async fn set_notify(
        &self,
        room_id: RoomId,
        user_id: UserId,
        notify: Notify,
    ) -> Result<bool> {
        if self.standings(user_id, Some(&[room_id])).await?.is_empty() {
            return Ok(false);
        }
        let sql = "UPDATE room_members SET notify = ? WHERE room_id = ? AND user_id = ? AND left_at IS NULL";
        let params = params![notify.word(), room_id, user_id];
        self.db().execute(sql, params).await??;
        Ok(true)
    }

    /// The rooms among these that the user is in.
    pub async fn rooms_of(&self, user_id: UserId, rooms: &[RoomId]) -> Result<Vec<RoomId>> {
        let sql = "SELECT room_id FROM room_members WHERE user_id = ? AND left_at IS NULL AND room_id IN (#)";
        let mut mine = Vec::new();
        for (sql, params) in with_ids(sql, &[user_id.into()], rooms) {
            for row in self.db().query(sql, params).await? {
                mine.push(row.room_id(0)?);
            }
        }
        Ok(mine)
    }

    /// A room as `viewer` sees it, with `mine` where they are a member.
    pub async fn room(&self, room_id: RoomId, viewer: UserId) -> Result<Option<Room>> {
        let sql = format!("{} AND r.id = ?", room_select("LEFT JOIN"));
        let found = self.db().query(sql, params![viewer, room_id]).await?;
        let rooms = found
            .into_iter()
            .map(room)
            .collect::<Result<Vec<Room>, SqlError>>()?;
        Ok(self.with_marks(rooms, viewer).await?.pop())
    }

    /// Adds the viewer's unread mentions, and the deleted messages above their read markers.
    async fn with_marks(&self, mut rooms: Vec<Room>, viewer: UserId) -> Result<Vec<Room>> {
        let mine = rooms.iter().filter(|room| room.mine.is_some());
        let mine: Vec<RoomId> = mine.map(|room| room.id).collect();
        let sql = "SELECT room_id, seq, n FROM
             (SELECT m.room_id, x.seq, COUNT(*) OVER (PARTITION BY m.room_id) AS n,
                     ROW_NUMBER() OVER (PARTITION BY m.room_id ORDER BY x.seq DESC) AS k
              FROM room_members m
              JOIN mentions x ON x.room_id = m.room_id AND x.user_id IN (0, ?) AND x.seq > m.last_read_seq
              WHERE m.user_id = ? AND m.left_at IS NULL AND m.room_id IN (#)) AS s
             WHERE k <= ? ORDER BY room_id, seq";
        let mut mentions: HashMap<RoomId, (u64, Vec<Seq>)> = HashMap::new();
        for (sql, mut params) in with_ids(sql, &[viewer.into(), viewer.into()], &mine) {
            params.push(limits::MENTIONED_MAX.into());
            for row in self.db().query(sql, params).await? {
                let entry = mentions.entry(row.room_id(0)?).or_default();
                entry.0 = row.u64(2)?;
                entry.1.push(row.u64(1)?);
            }
        }
        let above = |room: &Room, mine: &Mine| room.last_seq.saturating_sub(mine.last_read_seq);
        let some = rooms.iter().filter(|room| {
            let mine = room.mine.as_ref();
            mine.is_some_and(|mine| mine.unread < above(room, mine))
        });
        let some: Vec<RoomId> = some.map(|room| room.id).collect();
        let mut deleted = self.deleted(viewer, &some).await?;
        for room in &mut rooms {
            let Some(mine) = &mut room.mine else { continue };
            (mine.unread_mentions, mine.mentioned) = mentions.remove(&room.id).unwrap_or_default();
            mine.deleted = deleted.remove(&room.id).unwrap_or_default();
            let above = mine.last_read_seq + 1..=room.last_seq;
            mine.deleted.retain(|seq| above.contains(seq));
            let left = room
                .last_seq
                .saturating_sub(mine.last_read_seq)
                .saturating_sub(mine.deleted.len() as u64);
            mine.unread = mine.unread.min(left);
        }
        Ok(rooms)
    }

    /// The user's rooms and, with `public`, public rooms too (`mine: false`: only those that they aren't in), by rising id after
    /// `after`.
    pub async fn rooms(
        &self,
        filter: RoomFilter,
        after: RoomId,
        limit: usize,
    ) -> Result<Vec<Room>> {
        let (join, which) = match (filter.mine, filter.public) {
            (true, false) => ("JOIN", ""),
            (true, true) => (
                "LEFT JOIN",
                "AND (r.kind = 'public' OR m.user_id IS NOT NULL)",
            ),
            (false, true) => ("LEFT JOIN", "AND r.kind = 'public' AND m.user_id IS NULL"),
            (false, false) => return Ok(Vec::new()),
        };
        let mut params = params![filter.user_id, after];
        let mut named = "";
        if !filter.query.is_empty() {
            // Both are in the same form, so that case and diacritics don't matter. INSTR has no wildcards.
            named = "AND INSTR(r.name_key, ?) > 0";
            params.extend(params![sought(&filter.query)]);
        }
        params.extend(params![limit]);
        let sql = format!(
            "{} AND r.id > ? {which} {named} ORDER BY r.id LIMIT ?",
            room_select(join)
        );
        let found = self.db().query(sql, params).await?;
        let rooms = found
            .into_iter()
            .map(room)
            .collect::<Result<_, SqlError>>()?;
        self.with_marks(rooms, filter.user_id).await
    }

    /// The rooms that the user is in and that have at most `members_max` members.
    pub async fn rooms_upto(&self, user_id: UserId, members_max: u64) -> Result<Vec<RoomId>> {
        let sql = "SELECT r.id FROM room_members m JOIN rooms r ON r.id = m.room_id
             WHERE m.user_id = ? AND m.left_at IS NULL AND r.deleted_at IS NULL AND r.member_count <= ?";
        let found = self.db().query(sql, params![user_id, members_max]).await?;
        let rooms = found.iter().map(|row| row.room_id(0));
        Ok(rooms.collect::<Result<_, SqlError>>()?)
    }

    /// Who becomes the owner of a room whose owner deletes their account: another member, one with an active account first.
    pub async fn heir(&self, room_id: RoomId, owner: UserId) -> Result<Option<UserSummary>> {
        let sql = "SELECT u.id, u.username, u.full_name FROM room_members m JOIN users u ON u.id = m.user_id
             WHERE m.room_id = ? AND m.user_id <> ? AND m.left_at IS NULL
             ORDER BY u.is_active DESC, m.user_id LIMIT 1";
        let mut found = self.db().query(sql, params![room_id, owner]).await?;
        let heir = found.first_mut().map(|row| rows::summary(row, 0));
        Ok(heir.transpose()?)
    }

    /// Members by rising user id after `after`, and the room's `rev`, which the page is complete up to. `prefix`: of a form of their
    /// names ([`plain`](crate::protocol::fold::plain)).
    pub async fn members(
        &self,
        room_id: RoomId,
        prefix: &str,
        after: UserId,
        limit: usize,
    ) -> Result<Option<(Rev, Vec<Member>)>> {
        let prefix: Arc<str> = prefix.into();
        let script =
            script(move |conn| Box::pin(members(conn, room_id, prefix.clone(), after, limit)));
        Ok(self.db().read(script).await?)
    }
}

async fn members(
    mut conn: Conn<'_>,
    room_id: RoomId,
    prefix: Arc<str>,
    after: UserId,
    limit: usize,
) -> Result<Option<(Rev, Vec<Member>)>, SqlError> {
    let Some(head) = head(&mut conn, room_id).await? else {
        return Ok(None);
    };
    let mut params = params![room_id, after];
    let mut named = "";
    if !prefix.is_empty() {
        let (low, high) = prefix_range(&prefix);
        named = "AND EXISTS (SELECT 1 FROM user_names n WHERE n.user_id = m.user_id AND n.name >= ? AND n.name < ?)";
        params.extend(params![low, high]);
    }
    params.extend(params![limit]);
    let sql = format!(
        "SELECT {} FROM room_members m JOIN users u ON u.id = m.user_id
         WHERE m.room_id = ? AND m.user_id > ? AND m.left_at IS NULL {named} ORDER BY m.user_id LIMIT ?",
        rows::MEMBER_COLUMNS
    );
    let markers = head.member_count <= limits::MARKERS_ROOM_MAX;
    let rows = conn.query(&sql, params).await?;
    let members = rows.into_iter().map(|row| {
        let mut member = rows::member(row)?;
        member.last_read_seq = member.last_read_seq.filter(|_| markers);
        Ok(member)
    });
    Ok(Some((head.rev, members.collect::<Result<_, SqlError>>()?)))
}

/// Selects rooms with the viewer's membership and, for a member, the last message, in one statement.
fn room_select(join: &str) -> String {
    format!(
        "SELECT r.id, r.kind, r.name, r.topic, r.created_by, r.created_at, r.rev, r.last_seq, r.member_count,
                m.role, m.notify, m.last_read_seq,
                l.seq, SUBSTR(l.content, 1, {snippet}), l.created_at, u.id, u.username, u.full_name,
                r.archived_at, p.id, p.username, p.full_name,
                CASE WHEN r.deleted_seq > m.last_read_seq THEN (SELECT COUNT(*) FROM deletions d
                 WHERE d.room_id = m.room_id AND d.seq > m.last_read_seq AND d.seq <= r.last_seq) ELSE 0 END
         FROM rooms r {join} room_members m ON m.room_id = r.id AND m.user_id = ? AND m.left_at IS NULL
         LEFT JOIN messages l ON l.room_id = r.id AND l.seq = r.shown_seq AND m.user_id IS NOT NULL
         LEFT JOIN users u ON u.id = l.sender_id
         LEFT JOIN room_members o ON o.room_id = CASE r.kind WHEN 'direct' THEN m.room_id END
             AND (o.user_id <> m.user_id OR r.member_count = 1)
         LEFT JOIN users p ON p.id = o.user_id
         WHERE r.deleted_at IS NULL",
        snippet = limits::SNIPPET_CHARS
    )
}

fn room(mut row: Row) -> Result<Room, SqlError> {
    let mine = if row.is_null(9)? {
        None
    } else {
        let last_message = if row.is_null(12)? {
            None
        } else {
            Some(LastMessage {
                seq: row.u64(12)?,
                snippet: row.opt_text(13)?.unwrap_or_default(),
                created_at: row.time(14)?,
                sender: rows::summary(&mut row, 15)?,
            })
        };
        let (last_seq, last_read_seq) = (row.u64(7)?, row.u64(11)?);
        Some(Mine {
            role: Role::from_word(row.str(9)?)?,
            notify: Notify::from_word(row.str(10)?)?,
            last_read_seq,
            unread: last_seq
                .saturating_sub(last_read_seq)
                .saturating_sub(row.u64(22)?),
            unread_mentions: 0,
            mentioned: Vec::new(),
            deleted: Vec::new(),
            last_message,
            peer: if row.is_null(19)? {
                None
            } else {
                Some(rows::summary(&mut row, 19)?)
            },
        })
    };
    Ok(Room {
        id: row.room_id(0)?,
        kind: RoomKind::from_word(row.str(1)?)?,
        name: row.text(2)?,
        topic: row.text(3)?,
        created_by: row.user_id(4)?,
        created_at: row.time(5)?,
        archived_at: row.opt_time(18)?,
        rev: row.u64(6)?,
        last_seq: row.u64(7)?,
        member_count: row.u64(8)?,
        mine,
    })
}
