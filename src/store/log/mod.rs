//! Reading the log: what changed after a `rev`, pages of history, heads.
//!
//! Invariants: a page is read in one transaction. Its first statement locks the room's row against writers (SQLite: one
//! snapshot), so that the page is complete up to the `rev` found there. It is cut only where everything below the cut is in it.
//! A page with a gap is read again; a gap that remains is an error.

use uuid::Uuid;

use super::{
    Store,
    change::Outcome,
    connection::{Conn, script},
    error::Result,
    event::Event,
    page::{History, Page, Range},
    values::{params, with_ids},
};
use crate::protocol::{Rev, RoomId, Seq, UserId, rest::Message};

pub mod changes;
mod dense;
mod history;
pub mod messages;

impl Store {
    /// What changed after `after`, at most [`SYNC_PAGE_ROWS`] rows; `None`: no such room.
    ///
    /// [`SYNC_PAGE_ROWS`]: crate::limits::SYNC_PAGE_ROWS
    pub async fn changes(&self, room_id: RoomId, after: Rev) -> Result<Option<Page>> {
        Ok(self
            .db()
            .read(changes::changes_script(room_id, after))
            .await?)
    }

    /// A page of at most `limit` messages; `None`: no such room.
    pub async fn history(
        &self,
        room_id: RoomId,
        range: Range,
        limit: usize,
    ) -> Result<Option<History>> {
        let limit = limit as u64;
        let script = history::history_script(room_id, range, limit);
        Ok(self.db().read(script).await?)
    }

    /// The event of the room's deletion, where it was deleted.
    pub async fn end_of(&self, room_id: RoomId) -> Result<Option<Event>> {
        let script = script(move |mut conn: Conn<'_>| {
            Box::pin(async move { changes::deletion(&mut conn, room_id, 0).await })
        });
        let page = self.db().read(script).await?;
        Ok(page.and_then(|page| page.events.into_iter().next()))
    }

    /// One message as it is now.
    pub async fn message(&self, room_id: RoomId, seq: Seq) -> Result<Option<Message>> {
        let script = script(move |conn| Box::pin(messages::message(conn, room_id, seq)));
        Ok(self.db().read(script).await?)
    }

    /// The message that its author stored in the room under this id, as [`Store::append`] answers when it is sent again.
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

    /// The present `rev` of these rooms, and whether they were deleted.
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
