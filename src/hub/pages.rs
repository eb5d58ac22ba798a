//! Catch-up pages, encoded and shared: when many connections sync one room at the same time, the log is read once for each
//! wire that they speak. A page that had both forms would take twice the memory for all.

use std::sync::Arc;

use bytes::Bytes;
use dashmap::DashMap;
use tokio::sync::OnceCell;

use super::{
    encode::{PrevField, frame_of},
    wire::{self, Framing, Wire},
};
use crate::{
    limits::CATCH_UP_CHUNK_BYTES,
    protocol::{Rev, RoomId, Seq},
    store::{self, Store},
};

/// A page of catch-up as it travels over one wire: whole frames with `prev`, in chunks of about
/// [`CATCH_UP_CHUNK_BYTES`].
#[derive(Debug)]
pub struct CatchUp {
    /// The page is complete up to this `rev`.
    pub upto: Rev,
    /// `upto` is the head, and `last_seq` was the room's last message then.
    pub last: bool,
    pub last_seq: Seq,
    pub chunks: Vec<Bytes>,
}

type Key = (RoomId, Rev, Wire);
type Cell = Arc<OnceCell<Option<Arc<CatchUp>>>>;

/// The reads that are under way.
#[derive(Default)]
pub(super) struct Pages(DashMap<Key, Cell>);

impl Pages {
    pub(super) async fn read(
        &self,
        store: &Store,
        framing: Framing,
        key: Key,
    ) -> store::Result<Option<Arc<CatchUp>>> {
        let (room_id, after, wire) = key;
        let cell = self.0.entry(key).or_default().clone();
        let forget = Forget {
            pages: self,
            key,
            cell: &cell,
        };
        let page = cell
            .get_or_try_init(|| async {
                let page = store.changes(room_id, after).await?;
                Ok(page.map(|page| Arc::new(encode(page, framing, wire))))
            })
            .await
            .cloned();
        drop(forget);
        page
    }
}

/// Ends the sharing when it is dropped, also because the reader was cancelled. Later callers read anew.
struct Forget<'a> {
    pages: &'a Pages,
    key: Key,
    cell: &'a Cell,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.pages.0.remove_if(&self.key, |_, found| {
            // If this reader was cancelled before the end, others may still wait for the same read.
            Arc::ptr_eq(found, self.cell)
                && (self.cell.initialized() || Arc::strong_count(self.cell) <= 2)
        });
    }
}

fn encode(page: store::Page, framing: Framing, wire: Wire) -> CatchUp {
    let mut chunks = Vec::new();
    let mut chunk = Vec::new();
    for event in &page.events {
        let Some(frame) = frame_of(event, PrevField::Always) else {
            continue;
        };
        let before = chunk.len();
        wire::append(&mut chunk, &frame, framing, wire);
        if before > 0 && chunk.len() > CATCH_UP_CHUNK_BYTES {
            let next = chunk.split_off(before);
            chunks.push(Bytes::from(std::mem::replace(&mut chunk, next)));
        }
    }
    if !chunk.is_empty() {
        chunks.push(chunk.into());
    }
    CatchUp {
        upto: page.upto,
        last: page.last,
        last_seq: page.last_seq,
        chunks,
    }
}
