//! Rooms and who is in them: making, listing, standings, members. What changes a room that is there
//! goes through the log ([`super::append`]).

use std::{collections::HashMap, sync::Arc};

use super::{
    Event, EventBody, MemberEvent, NewRoom, Refused, Result, RoomFilter, Standing, Store, log,
    rows::{self, Word},
    sql::{Conn, Fault, IDS_MAX, Row, params, script, with_ids},
    users::prefix_range,
};
use crate::{
    limits,
    protocol::{
        Rev, RoomId, Time, UserId,
        check::fold,
        rest::{LastMessage, Member, Mine, Notify, Role, Room, RoomKind},
    },
};

type Made = Result<RoomId, Refused>;

impl Store {
    /// Makes a room with its members, in one transaction: settings at rev 1, the owner at rev 2, …
    /// `TooManyRooms` when one of them is in as many as one may be.
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

    /// Where the user stands in these rooms (all of his rooms when `None`), by room id; rooms that
    /// he isn't in are left out. `last_read_seq` may be ahead of `last_seq` by what is just being sent.
    pub async fn standings(
        &self,
        user_id: UserId,
        rooms: Option<&[RoomId]>,
    ) -> Result<Vec<Standing>> {
        let select = "SELECT m.room_id, m.role, r.rev, r.last_seq, m.last_read_seq, m.rev
                      FROM room_members m JOIN rooms r ON r.id = m.room_id
                      WHERE m.user_id = ? AND m.left_at IS NULL";
        let statements = match rooms {
            None => vec![(format!("{select} ORDER BY m.room_id"), params![user_id])],
            Some(rooms) => {
                let mut rooms = rooms.to_vec();
                rooms.sort_unstable();
                rooms.dedup();
                let sql = format!("{select} AND m.room_id IN (#) ORDER BY m.room_id");
                with_ids(&sql, &[user_id.into()], &rooms)
            }
        };
        let mut standings = Vec::new();
        for (sql, params) in statements {
            // A plain read on MySQL may show a room at N + 1 beside a membership from before N. What
            // a second one shows is as new as all that the first has shown: heads come from the
            // first, memberships from the second.
            let heads = match self.db().has_snapshots() {
                true => None,
                false => {
                    let rows = self.db().query(sql.clone(), params.clone()).await?;
                    let heads = rows.iter().map(|row| Ok((row.u64(0)?, row.u64(2)?)));
                    Some(heads.collect::<Result<HashMap<u64, Rev>, Fault>>()?)
                }
            };
            for row in self.db().query(sql, params).await? {
                let rev = match &heads {
                    None => row.u64(2)?,
                    Some(heads) => match heads.get(&row.u64(0)?) {
                        Some(rev) => *rev,
                        None => continue,
                    },
                };
                standings.push(Standing {
                    room_id: row.room_id(0)?,
                    role: Role::from_word(row.str(1)?)?,
                    // Changed after the head was read: the membership holds as of its own rev.
                    rev: rev.max(row.u64(5)?),
                    last_seq: row.u64(3)?,
                    last_read_seq: row.u64(4)?,
                    unread_mentions: 0,
                });
            }
        }
        Ok(standings)
    }

    /// A room as `viewer` sees it: with `mine` when he is a member.
    pub async fn room(&self, room_id: RoomId, viewer: UserId) -> Result<Option<Room>> {
        let sql = format!("{} WHERE r.id = ?", room_select("LEFT JOIN"));
        let found = self.db().query(sql, params![viewer, room_id]).await?;
        Ok(found.into_iter().next().map(room).transpose()?)
    }

    /// Rooms of the user and, with `public`, public rooms too (`mine: false`: only those he isn't
    /// in), by rising id after `after`.
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
            // Both sides folded: found whatever their case. INSTR takes no wildcards.
            named = "AND INSTR(r.name_key, ?) > 0";
            params.extend(params![fold(&filter.query)]);
        }
        params.extend(params![limit]);
        let sql = format!(
            "{} WHERE r.id > ? {which} {named} ORDER BY r.id LIMIT ?",
            room_select(join)
        );
        let found = self.db().query(sql, params).await?;
        Ok(found.into_iter().map(room).collect::<Result<_, Fault>>()?)
    }

    /// Present members by rising user id after `after`, and the room's `rev` that the page is
    /// complete to. `prefix` is a folded prefix of the username.
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
) -> Result<Option<(Rev, Vec<Member>)>, Fault> {
    let Some(head) = log::head(&mut conn, room_id).await? else {
        return Ok(None);
    };
    let mut params = params![room_id, after];
    let mut named = "";
    if !prefix.is_empty() {
        let (low, high) = prefix_range(&prefix);
        named = "AND u.username_key >= ? AND u.username_key < ?";
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
    Ok(Some((head.rev, members.collect::<Result<_, Fault>>()?)))
}

/// Rooms with the viewer's membership and, for a member, the last message: one statement for a list.
fn room_select(join: &str) -> String {
    format!(
        "SELECT r.id, r.kind, r.name, r.topic, r.created_by, r.created_at, r.rev, r.last_seq, r.member_count,
                m.role, m.notify, m.last_read_seq,
                l.seq, SUBSTR(l.content, 1, {snippet}), l.created_at, u.id, u.username, u.full_name
         FROM rooms r {join} room_members m ON m.room_id = r.id AND m.user_id = ? AND m.left_at IS NULL
         LEFT JOIN messages l ON l.room_id = r.id AND l.seq = r.last_seq AND m.user_id IS NOT NULL
         LEFT JOIN users u ON u.id = l.sender_id",
        snippet = limits::SNIPPET_CHARS
    )
}

fn room(mut row: Row) -> Result<Room, Fault> {
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
        Some(Mine {
            role: Role::from_word(row.str(9)?)?,
            notify: Notify::from_word(row.str(10)?)?,
            last_read_seq: row.u64(11)?,
            unread_mentions: 0,
            last_message,
        })
    };
    Ok(Room {
        id: row.room_id(0)?,
        kind: RoomKind::from_word(row.str(1)?)?,
        name: row.text(2)?,
        topic: row.text(3)?,
        created_by: row.user_id(4)?,
        created_at: row.time(5)?,
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
) -> Result<(Made, Vec<Event>), Fault> {
    let everybody: Vec<_> = std::iter::once(&new.owner).chain(&new.members).collect();
    let ids: Vec<UserId> = everybody.iter().map(|user| user.id).collect();
    if full(&mut conn, &ids).await? {
        return Ok((Err(Refused::TooManyRooms), Vec::new()));
    }
    let count = everybody.len() as u64;
    let done = conn
        .execute(
            "INSERT INTO rooms (kind, name, name_key, topic, created_by, created_at, last_seq, rev, settings_rev, \
             member_count) VALUES (?, ?, ?, ?, ?, ?, 0, ?, 1, ?)",
            params![
                new.kind.word(),
                new.name.as_str(),
                fold(&new.name),
                new.topic.as_str(),
                new.owner.id,
                now,
                count + 1,
                count,
            ],
        )
        .await?;
    let room_id = RoomId(done.last_id);
    let room = Room {
        id: room_id,
        kind: new.kind,
        name: new.name.clone(),
        topic: new.topic.clone(),
        created_by: new.owner.id,
        created_at: now,
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
    for (rev, user) in (2..).zip(everybody) {
        let role = match rev {
            2 => Role::Owner,
            _ => Role::Member,
        };
        conn.execute(
            "INSERT INTO room_members (room_id, user_id, role, joined_at, joined_seq, joined_rev, last_read_seq, rev) \
             VALUES (?, ?, ?, ?, 0, ?, 0, ?)",
            params![room_id, user.id, role.word(), now, rev, rev],
        )
        .await?;
        events.push(Event {
            room_id,
            prev: rev - 1,
            rev,
            body: EventBody::Member(MemberEvent {
                user: user.clone(),
                role: Some(role),
                by: Some(new.owner.id),
                at: Some(now),
                member_count: rev - 1,
            }),
        });
    }
    Ok((Ok(room_id), events))
}

/// Whether one of these users is in as many rooms as one may be. Locks their rows in the order of
/// ids, as every transaction that makes members does, so that two can't both take the last place.
async fn full(conn: &mut Conn<'_>, users: &[UserId]) -> Result<bool, Fault> {
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
