//! The thread that keeps the index in step with the log.
//!
//! It takes the events of commits as they come, and reads from the log what no event told: after a start, after a gap, after an
//! edit (whose event lacks the message's time). It commits at most once in [`INDEX_COMMIT_INTERVAL`], and with the messages the
//! `rev` up to which each room is indexed: after a kill it goes on from there. What is done twice has no further effect.
//!
//! Invariants: a room's head in the index is a `rev` up to which each of its messages is indexed as it was then or later. Nobody
//! waits for this thread but who asks for it ([`Shared::flush`]); a failure of the index is logged, tried again, and stops
//! nothing else.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fs, io,
    ops::Bound,
    os::unix::fs::DirBuilderExt,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
    thread,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use tokio::runtime::Handle;

use super::{
    index::{self, Fault, Index, Purge},
    shared::{Note, Noted, Progress, Shared, answer, lock},
};
use crate::{
    limits::{
        INDEX_COMMIT_INTERVAL, INDEX_NICENESS, INDEX_PAUSE, INDEX_REOPEN, INDEX_RETRY,
        INDEX_SWEEP_INTERVAL,
    },
    protocol::{Rev, RoomId, rest::Message},
    store::{self, Store, Text},
};

struct Follower {
    store: Store,
    runtime: Handle,
    shared: Arc<Shared>,
    directory: PathBuf,
    purge_interval: Duration,
    index: Option<Index>,
    /// The `rev` up to which each room was put into the index.
    heads: HashMap<RoomId, Rev>,
    /// Rooms whose heads aren't stored yet.
    changed: BTreeSet<RoomId>,
    /// Rooms of which the log holds more.
    behind: BTreeSet<RoomId>,
    /// The room of them that was read last.
    turn: RoomId,
    /// Rooms that can't be read, each logged once.
    unreadable: BTreeSet<RoomId>,
    /// The sum of all rooms' `rev` at the last sweep.
    total: u64,
    swept_at: Option<Instant>,
    committed_at: Instant,
    /// When the index, or the database, is tried again.
    retry_at: Option<Instant>,
    /// What was logged last of failures.
    failing: Option<String>,
    /// The next time that the index is opened, its checksums are compared.
    thorough: bool,
    purge: Option<Purge>,
}

/// Starts the thread.
pub fn start(store: Store, shared: Arc<Shared>, directory: PathBuf, purge_interval: Duration) {
    let follower = Follower {
        store,
        runtime: Handle::current(),
        shared: shared.clone(),
        directory,
        purge_interval,
        index: None,
        heads: HashMap::new(),
        changed: BTreeSet::new(),
        behind: BTreeSet::new(),
        turn: RoomId(0),
        unreadable: BTreeSet::new(),
        total: 0,
        swept_at: None,
        committed_at: Instant::now(),
        retry_at: None,
        failing: None,
        thorough: false,
        purge: None,
    };
    let started = thread::Builder::new()
        .name("search".into())
        .spawn(move || follower.run());
    if let Err(error) = started {
        tracing::error!(%error, "the search index has no thread: nothing is found");
    }
}

impl Follower {
    fn run(mut self) {
        // The threads that the index starts inherit it.
        if let Err(error) = rustix::process::setpriority_process(None, INDEX_NICENESS) {
            tracing::debug!(%error, "the search index runs at the priority of the server");
        }
        let mut flushes = Vec::new();
        loop {
            self.wait(!flushes.is_empty());
            let taken = std::mem::take(&mut *lock(&self.shared.waiting));
            flushes.extend(taken.flushes);
            if taken.suspect {
                *lock(&self.shared.view) = None;
                self.fail(&Fault::Failed("a search failed".into()));
                self.retry_at = None;
            }
            if taken.all {
                self.swept_at = None;
            }
            let end = if !taken.stops.is_empty() {
                End::Stop
            } else if !flushes.is_empty() {
                End::Flush
            } else {
                End::None
            };
            // A panic of the library's ends this turn, not the thread.
            let turn = || self.turn(taken.notes, end);
            match panic::catch_unwind(AssertUnwindSafe(turn)) {
                Ok(Ok(())) => {}
                Ok(Err(Trouble::Index(fault))) => self.fail(&fault),
                Ok(Err(Trouble::Store(error))) => self.wait_for_database(&error),
                Err(_) => self.fail(&Fault::Failed("it panicked".into())),
            }
            self.tell();
            if end == End::Stop {
                drop(self);
                taken.stops.into_iter().for_each(answer);
                return;
            }
            if self.is_complete() && self.changed.is_empty() {
                flushes.drain(..).for_each(answer);
            }
        }
    }

    /// Waits until there is something to do.
    fn wait(&self, urgent: bool) {
        let now = Instant::now();
        let due = match self.retry_at {
            Some(at) => at,
            None if self.index.is_none() || !self.behind.is_empty() || urgent => return,
            None => {
                let mut due = self.swept_at.map_or(now, |at| at + INDEX_SWEEP_INTERVAL);
                if !self.changed.is_empty() {
                    due = due.min(self.committed_at + INDEX_COMMIT_INTERVAL);
                }
                if self.purge.is_some() {
                    due = due.min(now + INDEX_PAUSE);
                }
                due.min(now + self.purge_interval)
            }
        };
        let waiting = lock(&self.shared.waiting);
        let due = due.saturating_duration_since(now);
        let woken = &self.shared.woken;
        let waited = woken.wait_timeout_while(waiting, due, |waiting| waiting.is_empty());
        let (waiting, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if !timeout.timed_out() {
            // Others may follow soon.
            let more =
                woken.wait_timeout_while(waiting, INDEX_PAUSE, |waiting| !waiting.is_urgent());
            drop(more);
        }
    }

    /// Puts what is known to have changed, for a while, and commits when it is time.
    fn turn(&mut self, notes: Vec<Note>, end: End) -> Result<(), Trouble> {
        if self.index.is_none() {
            if self.retry_at.is_some_and(|at| Instant::now() < at) {
                return Ok(());
            }
            self.open()?;
        }
        self.retry_at = None;
        self.apply(notes)?;
        if end != End::Stop {
            let swept = self.swept_at;
            let due = swept.is_none_or(|at| at.elapsed() >= INDEX_SWEEP_INTERVAL);
            if due || end == End::Flush {
                self.sweep()?;
            }
            self.catch_up()?;
        }
        let due = match end {
            End::None => self.committed_at.elapsed() >= INDEX_COMMIT_INTERVAL,
            End::Flush => self.behind.is_empty(),
            End::Stop => true,
        };
        if due && !self.changed.is_empty() {
            self.commit()?;
        }
        self.failing = None;
        self.purge()
    }

    fn index(&self) -> Result<&Index, Fault> {
        let closed = || Fault::Failed("it isn't open".into());
        self.index.as_ref().ok_or_else(closed)
    }

    fn index_mut(&mut self) -> Result<&mut Index, Fault> {
        let closed = || Fault::Failed("it isn't open".into());
        self.index.as_mut().ok_or_else(closed)
    }

    fn open(&mut self) -> Result<(), Fault> {
        // For the server's user alone, as the database. Where the data directory is gone, it isn't made: it may come back.
        match fs::DirBuilder::new().mode(0o700).create(&self.directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
            _ => {}
        }
        let name = index::name(&self.store.epoch());
        index::delete_others(&self.directory, &name)?;
        let path = self.directory.join(&name);
        let index = match Index::open(&path, self.thorough) {
            Err(Fault::Damaged(cause)) => {
                tracing::warn!(cause, "the search index is made anew");
                *lock(&self.shared.view) = None;
                self.close();
                delete(&path)?;
                Index::open(&path, false)?
            }
            opened => opened?,
        };
        self.heads = index.heads()?;
        *lock(&self.shared.view) = Some(index.view());
        self.index = Some(index);
        self.thorough = false;
        self.swept_at = None;
        Ok(())
    }

    /// Forgets everything but what is in the files. Searches go on with what they have.
    fn close(&mut self) {
        *lock(&self.shared.progress) = None;
        self.purge = None;
        self.index = None;
        self.heads.clear();
        self.changed.clear();
        self.behind.clear();
    }

    /// After a failure of the index: it is opened again after a while, and examined.
    fn fail(&mut self, fault: &Fault) {
        let cause = fault.to_string();
        if self.failing.as_ref() != Some(&cause) {
            tracing::error!(%cause, "the search index can't be written, and is opened again; messages are sent as before");
            self.failing = Some(cause);
        }
        self.close();
        self.thorough = true;
        self.retry_at = Some(Instant::now() + INDEX_REOPEN);
    }

    fn wait_for_database(&mut self, error: &store::Error) {
        let cause = error.to_string();
        if self.failing.is_none() && !error.was_logged() {
            tracing::warn!(%error, "the search index waits for the database");
        }
        self.failing = Some(cause);
        self.retry_at = Some(Instant::now() + INDEX_RETRY);
    }

    fn apply(&mut self, notes: Vec<Note>) -> Result<(), Fault> {
        for Note {
            room_id,
            prev,
            rev,
            what,
        } in notes
        {
            if let Noted::RoomDeleted = what {
                self.forget(room_id)?;
                continue;
            }
            let head = self.heads.get(&room_id).copied().unwrap_or(0);
            if rev <= head || self.behind.contains(&room_id) {
                continue;
            }
            match what {
                _ if prev != head => {
                    self.behind.insert(room_id);
                    continue;
                }
                Noted::Edited => {
                    self.behind.insert(room_id);
                    continue;
                }
                Noted::Sent(message) => self.put(room_id, &text_of(&message))?,
                Noted::Erased(seq) => self.index()?.erase(room_id, seq),
                Noted::Other | Noted::RoomDeleted => {}
            }
            self.advance(room_id, rev);
        }
        Ok(())
    }

    fn put(&self, room_id: RoomId, text: &Text) -> Result<(), Fault> {
        metrics::counter!("hearth_search_messages_total").increment(1);
        self.index()?.put(room_id, text)
    }

    fn advance(&mut self, room_id: RoomId, rev: Rev) {
        self.heads.insert(room_id, rev);
        self.changed.insert(room_id);
    }

    fn forget(&mut self, room_id: RoomId) -> Result<(), Fault> {
        self.index()?.erase_room(room_id);
        self.heads.remove(&room_id);
        self.behind.remove(&room_id);
        // The next commit is due, and has no head to store.
        self.changed.insert(room_id);
        Ok(())
    }

    /// Compares the heads of all rooms.
    fn sweep(&mut self) -> Result<(), Trouble> {
        let mut gone: HashSet<RoomId> = self.heads.keys().copied().collect();
        let (mut total, mut after) = (0, RoomId(0));
        loop {
            let page = self.runtime.block_on(self.store.all_heads(after))?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            for (room_id, rev) in page {
                gone.remove(&room_id);
                total += rev;
                if self.heads.get(&room_id).copied().unwrap_or(0) < rev {
                    self.behind.insert(room_id);
                }
            }
        }
        for room_id in gone {
            self.forget(room_id)?;
        }
        self.total = total;
        self.swept_at = Some(Instant::now());
        Ok(())
    }

    /// Reads from the log, for a while, what changed in the rooms that are behind: a page of each in turn.
    fn catch_up(&mut self) -> Result<(), Trouble> {
        let began = Instant::now();
        while began.elapsed() < INDEX_PAUSE {
            let later = (Bound::Excluded(self.turn), Bound::Unbounded);
            let next = self.behind.range(later).next().or(self.behind.first());
            let Some(room_id) = next.copied() else { break };
            self.turn = room_id;
            let head = self.heads.get(&room_id).copied().unwrap_or(0);
            let page = match self.runtime.block_on(self.store.texts(room_id, head)) {
                Err(error) if error.is_retryable() => return Err(error.into()),
                Err(error) => {
                    if self.unreadable.insert(room_id) {
                        tracing::error!(%error, %room_id, "a room can't be indexed");
                    }
                    self.behind.remove(&room_id);
                    continue;
                }
                Ok(page) => page,
            };
            let Some(page) = page else {
                self.forget(room_id)?;
                continue;
            };
            for text in &page.texts {
                self.put(room_id, text)?;
            }
            if page.upto > head {
                self.advance(room_id, page.upto);
            }
            if page.upto == page.head {
                self.behind.remove(&room_id);
            }
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), Fault> {
        let began = Instant::now();
        let index = self.index()?;
        for room_id in &self.changed {
            if let Some(rev) = self.heads.get(room_id) {
                index.set_head(*room_id, *rev)?;
            }
        }
        self.index_mut()?.commit()?;
        self.changed.clear();
        self.committed_at = Instant::now();
        metrics::histogram!("hearth_search_commit_seconds").record(began.elapsed().as_secs_f64());
        Ok(())
    }

    /// Has words that were erased leave the files, when it is time.
    fn purge(&mut self) -> Result<(), Trouble> {
        let interval = self.purge_interval;
        if let Some(purge) = &mut self.purge {
            if purge.now_or_never().is_some() {
                self.purge = None;
                self.index_mut()?.purged()?;
            }
        } else if self.index()?.since_purge() >= interval {
            let purge = self.index_mut()?.purge()?;
            self.purge = Some(purge);
        }
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.index.is_some()
            && self.swept_at.is_some()
            && self.behind.is_empty()
            && self.retry_at.is_none()
    }

    fn tell(&self) {
        metrics::gauge!("hearth_search_rooms_behind").set(self.behind.len() as f64);
        let mut progress = lock(&self.shared.progress);
        let was_complete = progress.is_some_and(|progress| progress.complete);
        // Messages that were sent a moment ago are behind all the time; a start, a failure and an outage aren't over
        // before all of them were found once.
        let complete = match self.retry_at {
            Some(_) => false,
            None => was_complete || (self.is_complete() && self.changed.is_empty()),
        };
        let share = if complete {
            1.0
        } else {
            let indexed: u64 = self.heads.values().sum();
            (indexed as f64 / self.total.max(1) as f64).min(1.0)
        };
        *progress = Some(Progress { complete, share });
    }
}

fn text_of(message: &Message) -> Text {
    Text {
        seq: message.seq,
        sender_id: message.sender.id,
        created_at: message.created_at,
        content: message.content.clone(),
    }
}

/// Deletes a directory. It has another name first, so that a kill leaves no half of it.
fn delete(path: &Path) -> Result<(), Fault> {
    let aside = path.with_extension("damaged");
    fs::rename(path, &aside)?;
    fs::remove_dir_all(&aside)?;
    Ok(())
}

/// Who waits for the end of a turn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// Nobody.
    None,
    /// Those who want to find all that is committed.
    Flush,
    /// The process, which ends: what the thread has is stored, and nothing is read any more.
    Stop,
}

/// Why a turn ended early.
enum Trouble {
    Index(Fault),
    Store(store::Error),
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Trouble::Index(fault)
    }
}

impl From<store::Error> for Trouble {
    fn from(error: store::Error) -> Self {
        Trouble::Store(error)
    }
}
