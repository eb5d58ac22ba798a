//! Catch-up pages, framed and shared: many who sync one room after a storm read the log once for each
//! wire they speak. A page that had both forms would weigh twice as much for everybody.

use std::sync::Arc;

use bytes::Bytes;
use dashmap::DashMap;
use tokio::sync::OnceCell;

use super::encode::{Framing, Wire, encode};
use crate::{
    protocol::{Rev, RoomId, Seq},
    store::{self, Store},
};

/// Bytes that a session writes before it waits for its socket.
const CHUNK_BYTES: usize = 64 * 1024;

/// A page of catch-up as it travels over one wire: whole frames with `prev`, in chunks of about [`CHUNK_BYTES`].
#[derive(Debug)]
pub struct CatchUp {
    /// Complete up to here.
    pub upto: Rev,
    /// `upto` is the head, and `last_seq` the room's last message then.
    pub last: bool,
    pub last_seq: Seq,
    pub chunks: Vec<Bytes>,
}

type Key = (RoomId, Rev, Wire);
type Cell = Arc<OnceCell<Option<Arc<CatchUp>>>>;

/// Reads that are under way.
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
                Ok(page.map(|page| Arc::new(frame(page, framing, wire))))
            })
            .await
            .cloned();
        drop(forget);
        page
    }
}

/// Ends the sharing, also when the reader is cancelled: who comes later reads anew.
struct Forget<'a> {
    pages: &'a Pages,
    key: Key,
    cell: &'a Cell,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.pages.0.remove_if(&self.key, |_, found| {
            // Others still wait for this read when it was cancelled before its end.
            Arc::ptr_eq(found, self.cell)
                && (self.cell.initialized() || Arc::strong_count(self.cell) <= 2)
        });
    }
}

fn frame(page: store::Page, framing: Framing, wire: Wire) -> CatchUp {
    let mut chunks = Vec::new();
    let mut chunk = Vec::new();
    for event in &page.events {
        let bytes = encode(event, framing, true).bytes.over(wire);
        if !chunk.is_empty() && chunk.len() + bytes.len() > CHUNK_BYTES {
            chunks.push(Bytes::from(std::mem::take(&mut chunk)));
        }
        chunk.extend_from_slice(&bytes);
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
