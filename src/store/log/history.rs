//! Pages of a room's history.

use super::{
    dense::{Dense, retried},
    messages::{head, with_reactions},
};
use crate::{
    limits::LOG_PAGE_BYTES,
    protocol::{RoomId, Seq, rest::Message},
    store::{
        connection::{Conn, Script},
        error::SqlError,
        page::{History, Range},
        rows,
        values::params,
    },
};

/// A page of at most `limit` messages; `None`: no such room.
pub fn history_script(room_id: RoomId, range: Range, limit: u64) -> impl Script<Option<History>> {
    retried(move |conn| Box::pin(history(conn, room_id, range, limit)))
}

async fn history(
    conn: &mut Conn<'_>,
    room_id: RoomId,
    range: Range,
    limit: u64,
) -> Result<Dense<Option<History>>, SqlError> {
    let Some(head) = head(conn, room_id).await? else {
        return Ok(Ok(None));
    };
    let (first, last) = (head.first_seq.max(1), head.last_seq);
    // First downwards from below the anchor, then upwards from it, so that what doesn't fit is left out at the far ends.
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
        match run_of(conn, room_id, (to, from), Order::Falling, range).await? {
            Ok(found) => messages.extend(found.into_iter().rev()),
            Err(gap) => return Ok(Err(gap)),
        }
    }
    if let Some((from, count)) = above {
        let to = from.saturating_add(count).saturating_sub(1).min(last);
        match run_of(conn, room_id, (from, to), Order::Rising, range).await? {
            Ok(found) => messages.extend(found),
            Err(gap) => return Ok(Err(gap)),
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

/// The order of `seq`, in which a page is filled until it is full.
#[derive(Clone, Copy)]
enum Order {
    Rising,
    Falling,
}

/// The messages from one `seq` to another, both included, until they exceed a page's bytes.
async fn run_of(
    conn: &mut Conn<'_>,
    room_id: RoomId,
    (low, high): (Seq, Seq),
    order: Order,
    range: Range,
) -> Result<Dense<Vec<Message>>, SqlError> {
    if low > high || high == 0 {
        return Ok(Ok(Vec::new()));
    }
    let direction = match order {
        Order::Rising => "ASC",
        Order::Falling => "DESC",
    };
    let sql = format!(
        "SELECT {} FROM messages m JOIN users u ON u.id = m.sender_id
         WHERE m.room_id = ? AND m.seq BETWEEN ? AND ? ORDER BY m.seq {direction}",
        rows::MESSAGE_COLUMNS
    );
    let bytes = match range {
        Range::Around(_) => LOG_PAGE_BYTES / 2,
        _ => LOG_PAGE_BYTES,
    };
    let params = params![room_id, low, high];
    let (found, cut) = conn.query_upto(&sql, params, bytes).await?;
    let (messages, cut) = with_reactions(conn, room_id, found, cut).await?;
    for (index, message) in (0..).zip(&messages) {
        let expected = match order {
            Order::Rising => low + index,
            Order::Falling => high - index,
        };
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
