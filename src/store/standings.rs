//! Standings: a user's memberships, and what is unread in them.

use std::collections::HashMap;

use super::{
    Store,
    error::Result,
    room::Standing,
    rows::Word,
    values::{Value, with_ids},
};
use crate::{
    limits,
    protocol::{RoomId, Seq, UserId, rest::Role},
};

impl Store {
    /// The user's standings in these rooms (`None`: in all of their rooms), by room id. Rooms that they aren't in are left out.
    /// `last_read_seq` may be ahead of `last_seq` by what is just being sent.
    ///
    /// A plain read on MySQL may show a room at N + 1 beside a membership from before N, while both are being committed. So a
    /// membership is as new as what was known before this was called, and not as new as the `rev` that comes with it.
    pub async fn standings(
        &self,
        user_id: UserId,
        rooms: Option<&[RoomId]>,
    ) -> Result<Vec<Standing>> {
        // A row for each unread mention; a room without one has one row. The deleted messages above the marker are
        // counted once for each room, where there may be any.
        let select = "SELECT room_id, role, rev, last_seq, last_read_seq, seq, n,
                 CASE WHEN k = 1 AND deleted_seq > last_read_seq THEN (SELECT COUNT(*) FROM deletions d
                  WHERE d.room_id = s.room_id AND d.seq > s.last_read_seq AND d.seq <= s.last_seq) END
             FROM
             (SELECT m.room_id, m.role, r.rev, r.last_seq, r.deleted_seq, m.last_read_seq, x.seq,
                     COUNT(x.seq) OVER (PARTITION BY m.room_id) AS n,
                     ROW_NUMBER() OVER (PARTITION BY m.room_id ORDER BY x.seq DESC) AS k
              FROM room_members m JOIN rooms r ON r.id = m.room_id
              LEFT JOIN mentions x ON x.room_id = m.room_id AND x.user_id IN (0, ?) AND x.seq > m.last_read_seq
              WHERE m.user_id = ? AND m.left_at IS NULL(and)) AS s
             WHERE k <= ? ORDER BY room_id, seq";
        let before = [Value::from(user_id), Value::from(user_id)];
        let statements = match rooms {
            None => vec![(select.replacen("(and)", "", 1), before.to_vec())],
            Some(rooms) => {
                let mut rooms = rooms.to_vec();
                rooms.sort_unstable();
                rooms.dedup();
                let sql = select.replacen("(and)", " AND m.room_id IN (#)", 1);
                with_ids(&sql, &before, &rooms)
            }
        };
        let mut standings: Vec<Standing> = Vec::new();
        for (sql, mut params) in statements {
            params.push(limits::MENTIONED_MAX.into());
            for row in self.db().query(sql, params).await? {
                let (room_id, seq, deletions) = (
                    row.room_id(0)?,
                    row.opt_u64(5)?,
                    row.opt_u64(7)?.unwrap_or(0),
                );
                if let Some(last) = standings.last_mut()
                    && last.room_id == room_id
                {
                    last.mentioned.extend(seq);
                    last.deletions += deletions;
                    continue;
                }
                standings.push(Standing {
                    room_id,
                    role: Role::from_word(row.str(1)?)?,
                    rev: row.u64(2)?,
                    last_seq: row.u64(3)?,
                    last_read_seq: row.u64(4)?,
                    unread_mentions: row.u64(6)?,
                    mentioned: seq.into_iter().collect(),
                    deletions,
                    deleted: Vec::new(),
                });
            }
        }
        self.add_deletions(user_id, &mut standings).await?;
        Ok(standings)
    }

    /// Adds the seqs of the deleted messages above the read markers, where there are any.
    async fn add_deletions(&self, user_id: UserId, standings: &mut [Standing]) -> Result<()> {
        let some = standings.iter().filter(|standing| standing.deletions > 0);
        let some: Vec<RoomId> = some.map(|standing| standing.room_id).collect();
        let mut deleted = self.deleted(user_id, &some).await?;
        for standing in standings {
            standing.deleted = deleted.remove(&standing.room_id).unwrap_or_default();
            let above = standing.last_read_seq + 1..=standing.last_seq;
            standing.deleted.retain(|seq| above.contains(seq));
            // Another one may have been deleted since they were counted.
            let listed = standing.deleted.len() as u64;
            standing.deletions = standing.deletions.max(listed);
        }
        Ok(())
    }

    /// The deleted messages above the user's read markers in these rooms, rising: the newest [`limits::MENTIONED_MAX`] of each.
    pub(super) async fn deleted(
        &self,
        user_id: UserId,
        rooms: &[RoomId],
    ) -> Result<HashMap<RoomId, Vec<Seq>>> {
        let sql = "SELECT room_id, seq FROM
             (SELECT m.room_id, d.seq, ROW_NUMBER() OVER (PARTITION BY m.room_id ORDER BY d.seq DESC) AS k
              FROM room_members m JOIN deletions d ON d.room_id = m.room_id AND d.seq > m.last_read_seq
              WHERE m.user_id = ? AND m.room_id IN (#)) AS s
             WHERE k <= ? ORDER BY room_id, seq";
        let mut deleted: HashMap<RoomId, Vec<Seq>> = HashMap::new();
        for (sql, mut params) in with_ids(sql, &[user_id.into()], rooms) {
            params.push(limits::MENTIONED_MAX.into());
            for row in self.db().query(sql, params).await? {
                let of_room = deleted.entry(row.room_id(0)?).or_default();
                of_room.push(row.u64(1)?);
            }
        }
        Ok(deleted)
    }
}
