//! The task that indexes what was committed. It is told of rooms, reads what changed in them after their cursors, cuts the texts,
//! and writes words and cursor in one transaction.
//!
//! Invariants: words are written only while the message's row is locked and is unchanged since it was read, so that the commit of a
//! deletion is final. A cursor moves only over what an earlier statement knew to be committed. A room that fails is retried, and
//! stops no other.
//!
//! All nodes take locks in one order: the cursor, the messages by rising seq (as the writers of the log do), their words. The room's
//! row is never locked, so no send waits for the index.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::future::join_all;
use tokio::{
    sync::Notify,
    time::{Instant, MissedTickBehavior, interval, sleep},
};

use super::tokens;
use crate::{
    limits::*,
    protocol::{Rev, RoomId, Seq, Time, UserId},
    store::{
        Store,
        blocking::blocking,
        connection::{Conn, script},
        database::Database,
        error::{Result, SqlError},
        event::Event,
        mysql::{
            lists::{fits, lists},
            statements,
        },
        rows::ERASE_WORDS,
        telemetry,
        values::{Row, params, with_ids},
    },
};

/// See the module's documentation. There is one in each process, shared with the commit hook.
#[derive(Default)]
pub struct Indexer {
    waiting: Mutex<Waiting>,
    woken: Notify,
}

/// The rooms that may be behind.
#[derive(Default)]
struct Waiting {
    rooms: BTreeSet<RoomId>,
    /// All rooms may be behind: more than are noted, or unknown ones.
    all: bool,
}

/// A message as it was read, and its words: none where it is deleted.
struct Cut {
    seq: Seq,
    rev: Rev,
    sender_id: UserId,
    created_at: Time,
    tokens: String,
}

impl Indexer {
    /// Notes the rooms of committed events. Doesn't wait.
    pub fn note(&self, events: &[Event]) {
        let mut waiting = self.waiting();
        for event in events {
            waiting.add(event.room_id);
        }
        drop(waiting);
        self.woken.notify_one();
    }

    /// Indexes for ever, first what was left undone before.
    pub async fn run(self: Arc<Self>, store: Store) {
        let mut sweep = interval(INDEX_SWEEP_INTERVAL);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut waits = false;
        loop {
            tokio::select! {
                () = self.woken.notified() => sleep(INDEX_PAUSE).await,
                _ = sweep.tick() => self.waiting().all = true,
            }
            let waiting = std::mem::take(&mut *self.waiting());
            let indexed = self.index(&store, waiting).await;
            let waited = std::mem::replace(&mut waits, indexed.is_err());
            if let Err(error) = indexed {
                if !waited && !error.was_told() {
                    tracing::warn!(%error, "the search index waits for the database");
                }
                sleep(INDEX_RETRY).await;
                self.woken.notify_one();
            }
        }
    }

    /// Indexes all that is committed and not indexed yet.
    pub async fn sweep(&self, store: &Store) -> Result<()> {
        let mut waiting = std::mem::take(&mut *self.waiting());
        waiting.all = true;
        self.index(store, waiting).await
    }

    /// On an error, what wasn't done is noted again.
    async fn index(&self, store: &Store, waiting: Waiting) -> Result<()> {
        let mut queue = VecDeque::from_iter(waiting.rooms);
        let mut failed = Ok(());
        if waiting.all {
            match behind(store).await {
                Ok(rooms) => queue.extend(rooms),
                Err(error) => {
                    self.waiting().all = true;
                    failed = Err(error);
                }
            }
        }
        let mut taken = Instant::now();
        while failed.is_ok() && !queue.is_empty() {
            let some: Vec<RoomId> = queue.drain(..INDEX_PARALLEL.min(queue.len())).collect();
            failed = self.index_some(store, some, &mut queue).await;
            // A page each, and what was just committed comes before what is long behind.
            if taken.elapsed() >= INDEX_PAUSE {
                let rooms = std::mem::take(&mut self.waiting().rooms);
                rooms
                    .into_iter()
                    .for_each(|room_id| queue.push_front(room_id));
                taken = Instant::now();
            }
        }
        let mut waiting = self.waiting();
        queue.into_iter().for_each(|room_id| waiting.add(room_id));
        failed
    }

    /// A page of each of these rooms; those with more go to the queue's end. A room that the database refuses
    /// is left to the next sweep; an error is the database's that is away.
    async fn index_some(
        &self,
        store: &Store,
        rooms: Vec<RoomId>,
        queue: &mut VecDeque<RoomId>,
    ) -> Result<()> {
        let pages = rooms.iter().map(|room_id| index_page(store, *room_id));
        let mut away = Ok(());
        for (room_id, done) in rooms.iter().zip(join_all(pages).await) {
            match done {
                Ok(false) => {}
                Ok(true) => queue.push_back(*room_id),
                Err(error) if error.is_retryable() => {
                    queue.push_back(*room_id);
                    away = Err(error);
                }
                Err(error) if telemetry::due(&format!("room {room_id}: {error}")) => {
                    tracing::error!(%error, %room_id, "a room can't be indexed");
                }
                Err(_) => {}
            }
        }
        away
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn add(&mut self, room_id: RoomId) {
        if self.rooms.len() < INDEX_ROOMS_MAX {
            self.rooms.insert(room_id);
        } else {
            self.all |= !self.rooms.contains(&room_id);
        }
    }
}

/// Rooms whose cursor is behind, by rising id.
async fn behind(store: &Store) -> Result<Vec<RoomId>> {
    let sql = "SELECT r.id FROM rooms r LEFT JOIN search_cursors c ON c.room_id = r.id
               WHERE r.id > ? AND r.rev > COALESCE(c.rev, 0) AND r.deleted_at IS NULL ORDER BY r.id LIMIT ?";
    let (mut rooms, mut after) = (Vec::new(), RoomId(0));
    loop {
        let params = params![after, HEADS_PER_STATEMENT];
        let found = store.db().query(sql, params).await?;
        for row in &found {
            rooms.push(row.room_id(0)?);
        }
        match rooms.last() {
            Some(last) if found.len() == HEADS_PER_STATEMENT => after = *last,
            _ => return Ok(rooms),
        }
    }
}

/// Indexes some of what a room's cursor has before it; whether there is more.
async fn index_page(store: &Store, room_id: RoomId) -> Result<bool> {
    let sql = "SELECT r.rev, c.rev FROM rooms r LEFT JOIN search_cursors c ON c.room_id = r.id
               WHERE r.id = ? AND r.deleted_at IS NULL";
    let heads = store.db().query(sql, params![room_id]).await?;
    let Some(row) = heads.first() else {
        return Ok(false);
    };
    let (head, cursor) = (row.u64(0)?, row.opt_u64(1)?);
    if head <= cursor.unwrap_or(0) {
        return Ok(false);
    }
    if cursor.is_none() {
        make_cursor(store, room_id).await?;
    }
    // A statement of its own, begun after the one that has shown the head: on MariaDB a plain read may show a
    // commit and not the one before it, but not when an earlier read has shown both done.
    let sql = "SELECT seq, rev, sender_id, created_at, content, deleted_at FROM messages
               WHERE room_id = ? AND rev > ? AND rev <= ? ORDER BY rev LIMIT ?";
    let params = params![room_id, cursor.unwrap_or(0), head, INDEX_PAGE_ROWS];
    let (rows, cut) = store.db().query_upto(sql, params, INDEX_PAGE_BYTES).await?;
    let full = cut || rows.len() == INDEX_PAGE_ROWS;
    let cuts = blocking(move || {
        rows.into_iter()
            .map(cut_row)
            .collect::<Result<Vec<Cut>, SqlError>>()
    });
    let mut cuts = cuts.await??;
    let upto = match cuts.last() {
        Some(last) if full => last.rev,
        _ => head,
    };
    cuts.sort_by_key(|cut| cut.seq);
    let cuts = Arc::new(cuts);
    let script = script(move |conn| Box::pin(write(conn, room_id, cuts.clone(), upto)));
    store.db().write(script).await??;
    Ok(full)
}

fn cut_row(mut row: Row) -> Result<Cut, SqlError> {
    let deleted = !row.is_null(5)?;
    let text = row.opt_text(4)?.filter(|_| !deleted).unwrap_or_default();
    let codes = tokens::tokens(&text)
        .into_iter()
        .map(|token| tokens::code(&token.text));
    Ok(Cut {
        seq: row.u64(0)?,
        rev: row.u64(1)?,
        sender_id: row.user_id(2)?,
        created_at: row.time(3)?,
        tokens: codes.collect::<Vec<_>>().join(" "),
    })
}

/// In a transaction of its own. Otherwise two nodes would lock the same gap and wait for each other.
async fn make_cursor(store: &Store, room_id: RoomId) -> Result<()> {
    let sql = match store.db() {
        Database::Sqlite(_) => "INSERT OR IGNORE INTO search_cursors (room_id, rev) VALUES (?, 0)",
        Database::Mysql(_) => "INSERT IGNORE INTO search_cursors (room_id, rev) VALUES (?, 0)",
    };
    store.db().execute(sql, params![room_id]).await??;
    Ok(())
}

/// Inserts words of messages that had none, by rising seq.
async fn insert(conn: &mut Conn<'_>, room_id: RoomId, cuts: &[&Cut]) -> Result<(), SqlError> {
    let Conn::Mysql(tx) = conn else {
        let sql = "INSERT INTO message_words (room_id, seq, sender_id, created_at, tokens) VALUES (?, ?, ?, ?, ?)";
        for cut in cuts {
            let tokens = cut.tokens.as_str();
            let params = params![room_id, cut.seq, cut.sender_id, cut.created_at, tokens];
            conn.execute(sql, params).await?;
        }
        return Ok(());
    };
    if cuts.is_empty() {
        return Ok(());
    }
    // In one statement, as in store/mysql/batch.rs.
    let packet = statements::packet(*tx).await?;
    let rows = cuts
        .iter()
        .map(|cut| (cut.seq, cut.sender_id, cut.created_at.0, &cut.tokens));
    let sql = "INSERT INTO message_words (room_id, seq, sender_id, created_at, tokens)
               SELECT ?, k.seq, k.sender_id, k.created_at, k.tokens
               FROM JSON_TABLE(CONVERT(? USING utf8mb4), '$[*]' COLUMNS (seq BIGINT PATH '$[0]',
                    sender_id BIGINT PATH '$[1]', created_at BIGINT PATH '$[2]', tokens MEDIUMTEXT PATH '$[3]')) k";
    for list in lists(rows, packet) {
        // Its room is indexed when the limit is raised.
        if !fits(list.len(), packet) {
            let cause = format!("max_allowed_packet ({packet}) is too small for a text's words");
            return Err(SqlError::Refused(cause));
        }
        statements::execute(*tx, sql, params![room_id, list]).await?;
    }
    Ok(())
}

/// The transaction, without its COMMIT.
async fn write(
    mut conn: Conn<'_>,
    room_id: RoomId,
    cuts: Arc<Vec<Cut>>,
    upto: Rev,
) -> Result<((), Vec<Event>), SqlError> {
    let sql = "SELECT rev FROM search_cursors WHERE room_id = ?";
    let cursor = conn.query_update(sql, params![room_id]).await?;
    let cursor = cursor.first().map(|row| row.u64(0)).transpose()?;
    // It was created anew, or moved by another node.
    if cursor.is_none_or(|rev| rev >= upto) {
        return Ok(((), Vec::new()));
    }
    let seqs: Vec<Seq> = cuts.iter().map(|cut| cut.seq).collect();
    // The index is named so that no other row is locked on the way, and the rows in their order.
    let primary = match conn {
        Conn::Sqlite(_) => "",
        Conn::Mysql(_) => "FORCE INDEX (PRIMARY)",
    };
    let sql = format!(
        "SELECT seq, rev FROM messages {primary} WHERE room_id = ? AND seq IN (#) ORDER BY seq"
    );
    let mut present = Vec::new();
    for (sql, params) in with_ids(&sql, &[room_id.into()], &seqs) {
        for row in conn.query_share(&sql, params).await? {
            present.push((row.u64(0)?, row.u64(1)?));
        }
    }
    let sql = format!(
        "SELECT seq, tokens FROM message_words {primary} WHERE room_id = ? AND seq IN (#) ORDER BY seq"
    );
    let mut known = Vec::new();
    for (sql, params) in with_ids(&sql, &[room_id.into()], &seqs) {
        for mut row in conn.query_update(&sql, params).await? {
            known.push((row.u64(0)?, row.text(1)?));
        }
    }
    let mut new = Vec::new();
    for cut in cuts.iter() {
        if present.binary_search(&(cut.seq, cut.rev)).is_err() {
            // It has changed since then: its higher rev is still to be indexed.
            continue;
        }
        let at = known.binary_search_by_key(&cut.seq, |(seq, _)| *seq);
        let known = at.ok().map(|at| &known[at].1);
        match known {
            None if cut.tokens.is_empty() => {}
            // A reaction, or a pin.
            Some(tokens) if *tokens == cut.tokens => {}
            Some(_) if cut.tokens.is_empty() => {
                conn.execute(ERASE_WORDS, params![room_id, cut.seq]).await?;
            }
            Some(_) => {
                let sql = "UPDATE message_words SET tokens = ? WHERE room_id = ? AND seq = ?";
                let params = params![cut.tokens.as_str(), room_id, cut.seq];
                conn.execute(sql, params).await?;
            }
            None => new.push(cut),
        }
    }
    insert(&mut conn, room_id, &new).await?;
    let sql = "UPDATE search_cursors SET rev = ? WHERE room_id = ?";
    conn.execute(sql, params![upto, room_id]).await?;
    Ok(((), Vec::new()))
}
