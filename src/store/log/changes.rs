//! Pages of what changed in a room after a `rev`.

use std::sync::Arc;

use super::{
    dense::{Dense, retried},
    messages::with_reactions,
};
use crate::{
    limits,
    protocol::{
        Rev, RoomId,
        rest::{Role, Room, RoomKind},
    },
    store::{
        connection::{Conn, Script},
        error::SqlError,
        event::{Event, EventBody, MemberEvent},
        page::Page,
        rows::{self, Head, Word},
        values::{Row, params},
    },
};

/// What changed after `after`, at most [`limits::SYNC_PAGE_ROWS`] rows; `None`: no such room.
pub fn changes_script(room_id: RoomId, after: Rev) -> impl Script<Option<Page>> {
    retried(move |conn| Box::pin(changes(conn, room_id, after)))
}

/// As [`changes_script`], with the deletion of the room: what a commit whose answer was lost may have done.
pub fn told_script(room_id: RoomId, after: Rev) -> impl Script<Option<Page>> {
    retried(move |conn| {
        Box::pin(async move {
            let found = changes(conn, room_id, after).await?;
            match found {
                Ok(None) => Ok(Ok(deletion(conn, room_id, after).await?)),
                found => Ok(found),
            }
        })
    })
}

/// A page that holds nothing but the room's deletion, where it was deleted after `after`.
pub async fn deletion(
    conn: &mut Conn<'_>,
    room_id: RoomId,
    after: Rev,
) -> Result<Option<Page>, SqlError> {
    let sql =
        "SELECT rev, deleted_at FROM rooms WHERE id = ? AND deleted_at IS NOT NULL AND rev > ?";
    let found = conn.query(sql, params![room_id, after]).await?;
    let Some(row) = found.first() else {
        return Ok(None);
    };
    let (rev, deleted_at) = (row.u64(0)?, row.time(1)?);
    let sql = "SELECT user_id FROM room_members WHERE room_id = ? AND left_at = ?";
    let members = conn.query(sql, params![room_id, deleted_at]).await?;
    let members = members
        .iter()
        .map(|row| row.user_id(0))
        .collect::<Result<_, SqlError>>()?;
    Ok(Some(Page {
        upto: rev,
        last: true,
        head: rev,
        last_seq: 0,
        events: vec![Event {
            room_id,
            prev: after,
            rev,
            body: EventBody::Deleted { members },
        }],
    }))
}

/// A row that changed.
struct Changed {
    rev: Rev,
    body: EventBody,
}

async fn changes(
    conn: &mut Conn<'_>,
    room_id: RoomId,
    after: Rev,
) -> Result<Dense<Option<Page>>, SqlError> {
    let sql = "SELECT r.id, r.rev, r.last_seq, r.first_seq, r.member_count, r.settings_rev, r.kind, r.name, r.topic, \
               r.created_by, r.created_at, r.archived_at FROM rooms r WHERE r.id = ? AND r.deleted_at IS NULL";
    let Some(mut row) = conn.query_share(sql, params![room_id]).await?.pop() else {
        return Ok(Ok(None));
    };
    let head = rows::head(&row)?;
    let mut page = Page {
        upto: head.rev,
        last: true,
        head: head.rev,
        last_seq: head.last_seq,
        events: Vec::new(),
    };
    if after >= head.rev {
        return Ok(Ok(Some(page)));
    }
    // One row more than a page holds tells whether there are more.
    let rows_max = limits::SYNC_PAGE_ROWS + 1;
    let mut changed = Vec::new();
    let mut complete_to = head.rev;
    if row.u64(5)? > after {
        changed.push(settings(&mut row, &head)?);
    }
    for (rows, cut) in [
        messages_after(conn, room_id, after, rows_max).await?,
        members_after(conn, &head, after, rows_max).await?,
    ] {
        if let Some(last) = rows.last()
            && cut
        {
            complete_to = complete_to.min(last.rev);
        }
        changed.extend(rows);
    }
    changed.sort_by_key(|changed| changed.rev);
    changed.retain(|changed| changed.rev <= complete_to);
    if changed.len() > limits::SYNC_PAGE_ROWS {
        changed.truncate(limits::SYNC_PAGE_ROWS);
        complete_to = changed.last().map_or(after, |changed| changed.rev);
    }
    page.upto = complete_to;
    page.last = complete_to == head.rev;
    Ok(chain(room_id, after, page.upto, changed).map(|events| Some(Page { events, ..page })))
}

/// The events of rows that changed, by rising `rev`, from `after` to `upto`.
fn chain(room_id: RoomId, after: Rev, upto: Rev, changed: Vec<Changed>) -> Dense<Vec<Event>> {
    let mut events = Vec::with_capacity(changed.len());
    let mut prev = after;
    for Changed { rev, body } in changed {
        if rev <= prev {
            return Err(format!("room {room_id} holds rev {rev} twice"));
        }
        events.push(Event {
            room_id,
            prev,
            rev,
            body,
        });
        prev = rev;
    }
    if prev != upto {
        return Err(format!(
            "room {room_id} is at rev {upto}, but its newest row found has {prev}"
        ));
    }
    Ok(events)
}

fn settings(row: &mut Row, head: &Head) -> Result<Changed, SqlError> {
    let rev = row.u64(5)?;
    let room = Room {
        id: head.id,
        kind: RoomKind::from_word(row.str(6)?)?,
        name: row.text(7)?,
        topic: row.text(8)?,
        created_by: row.user_id(9)?,
        created_at: row.time(10)?,
        archived_at: row.opt_time(11)?,
        rev,
        last_seq: head.last_seq,
        member_count: head.member_count,
        mine: None,
    };
    Ok(Changed {
        rev,
        body: EventBody::Room(Arc::new(room)),
    })
}

/// Messages by rising `rev`, and whether more were left.
async fn messages_after(
    conn: &mut Conn<'_>,
    room_id: RoomId,
    after: Rev,
    rows_max: usize,
) -> Result<(Vec<Changed>, bool), SqlError> {
    let sql = format!(
        "SELECT {} FROM messages m JOIN users u ON u.id = m.sender_id
         WHERE m.room_id = ? AND m.rev > ? ORDER BY m.rev LIMIT ?",
        rows::MESSAGE_COLUMNS
    );
    let params = params![room_id, after, rows_max];
    let (rows, cut) = conn
        .query_upto(&sql, params, limits::LOG_PAGE_BYTES)
        .await?;
    let cut = cut || rows.len() == rows_max;
    let (messages, cut) = with_reactions(conn, room_id, rows, cut).await?;
    let changed = messages.into_iter().map(|message| Changed {
        rev: message.rev,
        body: EventBody::Message(Arc::new(message)),
    });
    Ok((changed.collect(), cut))
}

/// As [`messages_after`], for memberships, with those that ended.
async fn members_after(
    conn: &mut Conn<'_>,
    head: &Head,
    after: Rev,
    rows_max: usize,
) -> Result<(Vec<Changed>, bool), SqlError> {
    let sql = "SELECT u.id, u.username, u.full_name, m.role, m.left_at, m.rev, m.joined_rev
               FROM room_members m JOIN users u ON u.id = m.user_id
               WHERE m.room_id = ? AND m.rev > ? ORDER BY m.rev LIMIT ?";
    let rows = conn.query(sql, params![head.id, after, rows_max]).await?;
    let cut = rows.len() == rows_max;
    let changed = rows.into_iter().map(|mut row| {
        let role = Role::from_word(row.str(3)?)?;
        let event = MemberEvent {
            user: rows::summary(&mut row, 0)?,
            role: row.is_null(4)?.then_some(role),
            joined_rev: row.u64(6)?,
            by: None,
            at: None,
            member_count: head.member_count,
        };
        Ok(Changed {
            rev: row.u64(5)?,
            body: EventBody::Member(event),
        })
    });
    Ok((changed.collect::<Result<_, SqlError>>()?, cut))
}
