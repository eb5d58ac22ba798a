//! Rooms and their members: creating and listing rooms, standings, members. Changes of a room that exists go through the log
//! ([`Store::append`]).

use std::{collections::HashMap, sync::Arc};

use super::{
    Store,
    change::Refused,
    connection::{Conn, script},
    error::{Result, SqlError},
    event::{Event, EventBody, MemberEvent},
    log::messages::head,
    names::prefix_range,
    room::{Direct, NewRoom, RoomFilter, Standing},
    rows::{self, Word},
    values::{IDS_MAX, Row, Value, params, with_ids},
};
use crate::{
    limits,
    protocol::{
        Rev, RoomId, Seq, Time, UserId,
        fold::{plain, sought},
        rest::{LastMessage, Member, Mine, Notify, Role, Room, RoomKind, UserSummary},
    },
};

type Made = Result<RoomId, Refused>;

impl Store {
    /// Creates a room with its members, in one transaction: its settings at rev 1, the owner at rev 2, and so on. `TooManyRooms`: one
    /// of them is in the greatest number of rooms.
    pub async fn create_room(&self, mut room: NewRoom) -> Result<Made> {
        let owner = room.owner.id;
        room.members.sort_by_key(|user| user.id);
        room.members.dedup_by_key(|user| user.id);
        room.members.retain(|user| user.id != owner);
        let room = Arc::new(room);
        let now = Time::now();
        let script = script(move |conn| Box::pin(create(conn, room.clone(), now)));
        Ok(self.db().write(script).await??)
    }

    /// The direct room of two users, if there is one.
    pub async fn direct_between(&self, one: UserId, other: UserId) -> Result<Option<RoomId>> {
        let sql = "SELECT id FROM rooms WHERE direct_key = ?";
        let key = direct_key(one, other);
        let found = self.db().query(sql, params![key]).await?;
        Ok(found.first().map(|row| row.room_id(0)).transpose()?)
    }

    /// Finds or creates the direct room of two users. Two requests at the same moment get the same room.
    pub async fn direct_room(
        &self,
        by: UserSummary,
        with: UserSummary,
    ) -> Result<Result<Direct, Refused>> {
        // If another request has created the room meanwhile, it is found.
        loop {
            if let Some(room_id) = self.direct_between(by.id, with.id).await? {
                return Ok(Ok(Direct {
                    room_id,
                    new: false,
                }));
            }
            let members = Vec::from_iter((with.id != by.id).then(|| with.clone()));
            let room = Arc::new(NewRoom {
                kind: RoomKind::Direct,
                name: String::new(),
                topic: String::new(),
                owner: by.clone(),
                members,
            });
            let now = Time::now();
            let script = script(move |conn| Box::pin(create(conn, room.clone(), now)));
            match self.db().write(script).await? {
                Ok(made) => return Ok(made.map(|room_id| Direct { room_id, new: true })),
                Err(SqlError::Unique(index)) if index.contains("direct") => {}
                Err(fault) => return Err(fault.into()),
            }
        }
    }

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
    async fn deleted(
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
    /// names ([`plain`]).
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

async fn create(
    mut conn: Conn<'_>,
    new: Arc<NewRoom>,
    now: Time,
) -> Result<(Made, Vec<Event>), SqlError> {
    let users: Vec<&UserSummary> = std::iter::once(&new.owner).chain(&new.members).collect();
    let ids: Vec<UserId> = users.iter().map(|user| user.id).collect();
    if full(&mut conn, &ids).await? {
        return Ok((Err(Refused::TooManyRooms), Vec::new()));
    }
    let room_id = insert_room(&mut conn, &new, &ids, now).await?;
    let room = Room {
        id: room_id,
        kind: new.kind,
        name: new.name.clone(),
        topic: new.topic.clone(),
        created_by: new.owner.id,
        created_at: now,
        archived_at: None,
        rev: 1,
        last_seq: 0,
        member_count: 0,
        mine: None,
    };
    let mut events = vec![Event {
        room_id,
        prev: 0,
        rev: 1,
        body: EventBody::Room(Arc::new(room)),
    }];
    let mut rows = Vec::new();
    for (rev, user) in (2..).zip(users) {
        let role = match rev {
            2 if new.kind != RoomKind::Direct => Role::Owner,
            _ => Role::Member,
        };
        rows.push([
            room_id.into(),
            user.id.into(),
            role.word().into(),
            now.into(),
            0_u64.into(),
            rev.into(),
            0_u64.into(),
            rev.into(),
        ]);
        events.push(Event {
            room_id,
            prev: rev - 1,
            rev,
            body: EventBody::Member(MemberEvent {
                user: user.clone(),
                role: Some(role),
                joined_rev: rev,
                by: Some(new.owner.id),
                at: Some(now),
                member_count: rev - 1,
            }),
        });
    }
    let into = "room_members (room_id, user_id, role, joined_at, joined_seq, joined_rev, last_read_seq, rev)";
    conn.insert(into, &rows).await?;
    Ok((Ok(room_id), events))
}

/// Inserts the row of a room that begins with these members, the owner first: each takes a `rev`, after that of the settings.
async fn insert_room(
    conn: &mut Conn<'_>,
    new: &NewRoom,
    members: &[UserId],
    now: Time,
) -> Result<RoomId, SqlError> {
    let direct_key = match new.kind {
        RoomKind::Direct => Some(direct_key(members[0], members[members.len() - 1])),
        RoomKind::Public | RoomKind::Private => None,
    };
    let sql = "INSERT INTO rooms (kind, name, name_key, topic, direct_key, created_by, created_at, last_seq, rev, \
               settings_rev, member_count) VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, 1, ?)";
    let params = params![
        new.kind.word(),
        new.name.as_str(),
        plain(&new.name),
        new.topic.as_str(),
        direct_key,
        new.owner.id,
        now,
        members.len() + 1,
        members.len(),
    ];
    Ok(RoomId(conn.execute(sql, params).await?.last_id))
}

/// A key that is the same for both orders of two users.
fn direct_key(one: UserId, other: UserId) -> String {
    format!("{}:{}", one.min(other), one.max(other))
}

/// Whether one of these users is in the greatest number of rooms. Locks their rows in the order of ids, as every transaction that adds
/// members does, so that two can't both take the last place.
async fn full(conn: &mut Conn<'_>, users: &[UserId]) -> Result<bool, SqlError> {
    let mut users = users.to_vec();
    users.sort_unstable();
    for chunk in users.chunks(IDS_MAX) {
        for (sql, params) in with_ids(
            "SELECT id FROM users WHERE id IN (#) ORDER BY id",
            &[],
            chunk,
        ) {
            conn.query_update(&sql, params).await?;
        }
        let sql = "SELECT user_id, COUNT(*) FROM room_members WHERE left_at IS NULL AND user_id IN (#) GROUP BY user_id";
        for (sql, params) in with_ids(sql, &[], chunk) {
            for row in conn.query(&sql, params).await? {
                if row.u64(1)? >= limits::ROOMS_PER_USER_MAX as u64 {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}
