//! Creating rooms.

use std::sync::Arc;

use super::{
    Store,
    change::Refused,
    connection::{Conn, script},
    error::{Result, SqlError},
    event::{Event, EventBody, MemberEvent},
    room::{Direct, NewRoom},
    rows::Word,
    values::{IDS_MAX, params, with_ids},
};
use crate::{
    limits,
    protocol::{
        RoomId, Time, UserId,
        fold::plain,
        rest::{Role, Room, RoomKind, UserSummary},
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
                Err(error) => return Err(error.into()),
            }
        }
    }
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
