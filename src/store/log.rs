//! Reading the log: what changed after a `rev`, pages of history, heads.
//!
//! Invariants: a page is read in one transaction whose first statement locks the room's row against
//! writers (SQLite: one snapshot), so it is complete up to the `rev` found there; it is cut only where
//! everything below the cut is in it; what has a hole is read again, and is an error after the third time.

use std::{collections::HashMap, sync::Arc};

use futures_util::future::BoxFuture;
use uuid::Uuid;

use super::{
    Event, EventBody, History, MemberEvent, Outcome, Page, Range, Result, Store,
    rows::{self, Head, Word},
    sql::{Conn, Fault, Row, Script, params, script, with_ids},
};
use crate::{
    limits,
    protocol::{
        Rev, RoomId, Seq, UserId,
        rest::{Message, Reaction, Role, RoomKind},
    },
};

/// Text held at once for one page, a row more may come on top: 500 ordinary messages fit, and a session
/// that reads slowly holds [`limits::SYNC_PARALLEL`] pages.
pub const PAGE_BYTES: usize = 128 * 1024;
/// Reactions that are listed by one page, those of a message more may come on top; and of one message at most.
const PAGE_REACTIONS: u64 = 10_000;
const LISTED_MAX: u64 = (limits::REACTION_KINDS_MAX * limits::REACTION_USERS_MAX) as u64;
/// How often a page with a hole is read before that is an error.
const READS_MAX: usize = 3;

impl Store {
    /// What changed after `after`, at most [`limits::SYNC_PAGE_ROWS`] rows. `None`: no such room.
    pub async fn changes(&self, room_id: RoomId, after: Rev) -> Result<Option<Page>> {
        Ok(self.db().read(changes_script(room_id, after)).await?)
    }

    /// A page of at most `limit` messages; `None`: no such room.
    pub async fn history(
        &self,
        room_id: RoomId,
        range: Range,
        limit: usize,
    ) -> Result<Option<History>> {
        let limit = limit as u64;
        let script = retried(move |conn| Box::pin(history(conn, room_id, range, limit)));
        Ok(self.db().read(script).await?)
    }

    /// The end of a room that was deleted.
    pub async fn end_of(&self, room_id: RoomId) -> Result<Option<Event>> {
        let script = script(move |mut conn: Conn<'_>| {
            Box::pin(async move { deletion(&mut conn, room_id, 0).await })
        });
        let page = self.db().read(script).await?;
        Ok(page.and_then(|page| page.events.into_iter().next()))
    }

    /// One message as it is now.
    pub async fn message(&self, room_id: RoomId, seq: Seq) -> Result<Option<Message>> {
        let script = script(move |conn| Box::pin(message(conn, room_id, seq)));
        Ok(self.db().read(script).await?)
    }

    /// The message that this author stored in the room under this id, as an append answers it when
    /// it is sent again.
    pub async fn sent(
        &self,
        room_id: RoomId,
        sender_id: UserId,
        id: Uuid,
    ) -> Result<Option<Outcome>> {
        let sql = "SELECT seq, rev, created_at FROM messages WHERE room_id = ? AND sender_id = ? AND id = ?";
        let found = self
            .db()
            .query(sql.to_owned(), params![room_id, sender_id, id])
            .await?;
        let Some(row) = found.first() else {
            return Ok(None);
        };
        Ok(Some(Outcome::Sent {
            seq: row.u64(0)?,
            rev: row.u64(1)?,
            created_at: row.time(2)?,
            duplicate: true,
        }))
    }

    /// The present `rev` of these rooms, at most [`limits::HEADS_PER_STATEMENT`] a statement, and whether
    /// they were deleted.
    pub async fn heads(&self, rooms: &[RoomId]) -> Result<Vec<(RoomId, Rev, bool)>> {
        let mut heads = Vec::with_capacity(rooms.len());
        let sql = "SELECT id, rev, deleted_at FROM rooms WHERE id IN (#)";
        for (sql, params) in with_ids(sql, &[], rooms) {
            for row in self.db().query(sql, params).await? {
                heads.push((row.room_id(0)?, row.u64(1)?, !row.is_null(2)?));
            }
        }
        Ok(heads)
    }
}

/// What a script gives that found a hole.
type Dense<T> = Result<T, String>;

/// Repeats a script that finds a hole: rows read under a lock never have one, so that the third hole
/// is the table's.
fn retried<T: Send + 'static>(
    script: impl for<'a> Fn(&'a mut Conn<'_>) -> BoxFuture<'a, Result<Dense<T>, Fault>>
    + Copy
    + Send
    + Sync
    + 'static,
) -> impl Script<T> {
    move |mut conn: Conn<'_>| {
        Box::pin(async move {
            let mut hole = String::new();
            for _ in 0..READS_MAX {
                match script(&mut conn).await? {
                    Ok(answer) => return Ok(answer),
                    Err(found) => hole = found,
                }
                tracing::warn!(hole, "a page is read again");
            }
            Err(Fault::Refused(hole))
        })
    }
}

/// [`Store::changes`], to be run in a transaction of its own.
fn changes_script(room_id: RoomId, after: Rev) -> impl Script<Option<Page>> {
    retried(move |conn| Box::pin(changes(conn, room_id, after)))
}

/// As [`changes_script`], to tell what a commit did whose answer was lost: that the room was deleted, too.
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

/// A page that holds nothing but the room's end.
async fn deletion(conn: &mut Conn<'_>, room_id: RoomId, after: Rev) -> Result<Option<Page>, Fault> {
    let sql =
        "SELECT rev, deleted_at FROM rooms WHERE id = ? AND deleted_at IS NOT NULL AND rev > ?";
    let found = conn.query(sql, params![room_id, after]).await?;
    let Some(row) = found.first() else {
        return Ok(None);
    };
    let (rev, deleted_at) = (row.u64(0)?, row.time(1)?);
    let sql = "SELECT user_id FROM room_members WHERE room_id = ? AND left_at = ?";
    let members = conn.query(sql, params![room_id, deleted_at]).await?;
    let members = members.iter().map(|row| row.user_id(0));
    let members = members.collect::<Result<_, Fault>>()?;
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

/// A changed row on its way into a page.
struct Changed {
    rev: Rev,
    body: EventBody,
}

async fn changes(
    conn: &mut Conn<'_>,
    room_id: RoomId,
    after: Rev,
) -> Result<Dense<Option<Page>>, Fault> {
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
    // One row more than a page takes tells whether there are more.
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
        if let (true, Some(last)) = (cut, rows.last()) {
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
    let mut prev = after;
    for Changed { rev, body } in changed {
        if rev <= prev {
            return Ok(Err(format!("room {room_id} holds rev {rev} twice")));
        }
        page.events.push(Event {
            room_id,
            prev,
            rev,
            body,
        });
        prev = rev;
    }
    if prev != page.upto {
        return Ok(Err(format!(
            "room {room_id} is at rev {}, but its newest row found has {prev}",
            page.upto
        )));
    }
    Ok(Ok(Some(page)))
}

fn settings(row: &mut Row, head: &Head) -> Result<Changed, Fault> {
    let rev = row.u64(5)?;
    let room = crate::protocol::rest::Room {
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

/// Rows by rising `rev`, and whether more were left.
async fn messages_after(
    conn: &mut Conn<'_>,
    room_id: RoomId,
    after: Rev,
    rows_max: usize,
) -> Result<(Vec<Changed>, bool), Fault> {
    let sql = format!(
        "SELECT {} FROM messages m JOIN users u ON u.id = m.sender_id
         WHERE m.room_id = ? AND m.rev > ? ORDER BY m.rev LIMIT ?",
        rows::MESSAGE_COLUMNS
    );
    let params = params![room_id, after, rows_max];
    let (rows, cut) = conn.query_upto(&sql, params, PAGE_BYTES).await?;
    let cut = cut || rows.len() == rows_max;
    let (messages, cut) = with_reactions(conn, room_id, rows, cut).await?;
    let changed = messages.into_iter().map(|message| Changed {
        rev: message.rev,
        body: EventBody::Message(Arc::new(message)),
    });
    Ok((changed.collect(), cut))
}

/// Messages of one room with their reactions, which are asked for only where there are any, until these are
/// [`PAGE_REACTIONS`]; and whether some were left, here or (`cut`) before.
pub async fn with_reactions(
    conn: &mut Conn<'_>,
    room_id: RoomId,
    rows: Vec<Row>,
    mut cut: bool,
) -> Result<(Vec<Message>, bool), Fault> {
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
) -> Result<HashMap<Seq, Vec<Reaction>>, Fault> {
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

async fn message(mut conn: Conn<'_>, room_id: RoomId, seq: Seq) -> Result<Option<Message>, Fault> {
    let sql = format!(
        "SELECT {} FROM messages m JOIN users u ON u.id = m.sender_id WHERE m.room_id = ? AND m.seq = ?",
        rows::MESSAGE_COLUMNS
    );
    let found = conn.query(&sql, params![room_id, seq]).await?;
    let (mut messages, _) = with_reactions(&mut conn, room_id, found, false).await?;
    Ok(messages.pop())
}

/// As [`messages_after`], of memberships, those that ended too.
async fn members_after(
    conn: &mut Conn<'_>,
    head: &Head,
    after: Rev,
    rows_max: usize,
) -> Result<(Vec<Changed>, bool), Fault> {
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
    Ok((changed.collect::<Result<_, Fault>>()?, cut))
}

/// The room's row, locked against writers.
pub async fn head(conn: &mut Conn<'_>, room_id: RoomId) -> Result<Option<Head>, Fault> {
    let sql = "SELECT r.id, r.rev, r.last_seq, r.first_seq, r.member_count FROM rooms r
         WHERE r.id = ? AND r.deleted_at IS NULL";
    let found = conn.query_share(sql, params![room_id]).await?;
    found.first().map(rows::head).transpose()
}

async fn history(
    conn: &mut Conn<'_>,
    room_id: RoomId,
    range: Range,
    limit: u64,
) -> Result<Dense<Option<History>>, Fault> {
    let Some(head) = head(conn, room_id).await? else {
        return Ok(Ok(None));
    };
    let (first, last) = (head.first_seq.max(1), head.last_seq);
    // Below the anchor downwards, then from it upwards: what doesn't fit is left out at the far ends.
    let (below, above) = match range {
        Range::Latest => (Some((last, limit)), None),
        Range::Before(seq) => (Some((seq.saturating_sub(1).min(last), limit)), None),
        Range::After(seq) => (None, Some((seq.saturating_add(1).max(first), limit))),
        Range::Around(seq) => {
            let seq = seq.clamp(first, last.max(first));
            let half = limit / 2;
            (
                Some((seq.saturating_sub(1), half)),
                Some((seq, limit - half)),
            )
        }
    };
    let mut messages = Vec::new();
    if let Some((from, count)) = below {
        let to = (from + 1).saturating_sub(count).max(first);
        match run_of(conn, room_id, (to, from), true, range).await? {
            Ok(found) => messages.extend(found.into_iter().rev()),
            Err(hole) => return Ok(Err(hole)),
        }
    }
    if let Some((from, count)) = above {
        let to = from.saturating_add(count).saturating_sub(1).min(last);
        match run_of(conn, room_id, (from, to), false, range).await? {
            Ok(found) => messages.extend(found),
            Err(hole) => return Ok(Err(hole)),
        }
    }
    let edges = messages.first().zip(messages.last());
    let (older, newer) = match (edges, range) {
        (Some((oldest, newest)), _) => (oldest.seq > first, newest.seq < last),
        (None, Range::Before(seq)) => (false, last >= first && seq <= last),
        (None, Range::After(seq)) => (last >= first && seq >= first, false),
        (None, _) => (false, false),
    };
    Ok(Ok(Some(History {
        rev: head.rev,
        messages,
        older,
        newer,
    })))
}

/// The messages of a range of `seq`, both ends in it, until they exceed a page's bytes.
async fn run_of(
    conn: &mut Conn<'_>,
    room_id: RoomId,
    (low, high): (Seq, Seq),
    falling: bool,
    range: Range,
) -> Result<Dense<Vec<Message>>, Fault> {
    if low > high || high == 0 {
        return Ok(Ok(Vec::new()));
    }
    let order = if falling { "DESC" } else { "ASC" };
    let sql = format!(
        "SELECT {} FROM messages m JOIN users u ON u.id = m.sender_id
         WHERE m.room_id = ? AND m.seq BETWEEN ? AND ? ORDER BY m.seq {order}",
        rows::MESSAGE_COLUMNS
    );
    let bytes = match range {
        Range::Around(_) => PAGE_BYTES / 2,
        _ => PAGE_BYTES,
    };
    let params = params![room_id, low, high];
    let (found, cut) = conn.query_upto(&sql, params, bytes).await?;
    let (messages, cut) = with_reactions(conn, room_id, found, cut).await?;
    for (index, message) in (0..).zip(&messages) {
        let expected = if falling { high - index } else { low + index };
        if message.seq != expected {
            return Ok(Err(format!(
                "room {room_id} shows message {} for {expected}",
                message.seq
            )));
        }
    }
    if !cut && messages.len() as u64 != high - low + 1 {
        return Ok(Err(format!(
            "room {room_id} shows {} of the messages {low} to {high}",
            messages.len()
        )));
    }
    Ok(Ok(messages))
}
