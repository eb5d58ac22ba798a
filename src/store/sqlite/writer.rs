//! The thread that owns the database connection that writes. What arrives while a commit runs shares the next transaction.
//!
//! Invariants: nothing is answered or told before its COMMIT has returned and the files were then seen to be those that were
//! opened. A job or a change that the database refuses is undone by itself (SAVEPOINT), and fails no other. After a COMMIT
//! whose outcome is unknown the connection is opened anew, and the commit hook is called with what the log shows, before
//! anything else is done.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use rusqlite::{Connection, config::DbConfig};
use tokio::sync::{mpsc, oneshot};

use super::{
    batch,
    disk::Disk,
    error::{is_full, sql_error},
    files::{Content, Files},
    jobs::{Batch, Job},
    open::{CHECKPOINT_PAGES, open_writer},
};
use crate::{
    limits,
    protocol::{Rev, RoomId, Time},
    store::{
        change::{Change, Outcome},
        connection::run,
        error::{Error, Result, SqlError, abort_without_writer},
        event::{CommitHook, Event},
        judge::{Keys, Plan, plan},
        log::changes::told_script,
        pace::Pace,
        queue::Op,
        telemetry,
    },
};

/// What other code asks of the writer.
pub enum Command {
    Append(Op),
    Write(Box<dyn Job>),
    /// Looks at the database's files, though nothing is to be written.
    Look,
    /// Everything before it is committed, everything after it refused.
    Close(oneshot::Sender<()>),
}

struct Writer {
    path: PathBuf,
    conn: Connection,
    commit_hook: CommitHook,
    files: Arc<Files>,
    content: Content,
    disk: Disk,
    pace: Pace,
    /// Rooms of a commit after which the files were not in their place, with their heads before it. They are told when the files
    /// are back.
    untold: Vec<(RoomId, Rev)>,
    /// The last checkpoint failed, which was logged.
    log_stays: bool,
    /// Pages of the write-ahead log after the last commit.
    log_pages: Arc<AtomicI64>,
}

pub fn spawn(
    path: PathBuf,
    conn: Connection,
    files: Arc<Files>,
    commit_hook: CommitHook,
) -> Result<mpsc::Sender<Command>> {
    let (sender, queue) = mpsc::channel(limits::APPEND_QUEUE_MAX);
    let mut writer = Writer {
        path,
        content: Content::of(&files, &conn),
        conn,
        commit_hook,
        files,
        disk: Disk::default(),
        pace: Pace::new(),
        untold: Vec::new(),
        log_stays: false,
        log_pages: Arc::default(),
    };
    writer.count_pages()?;
    std::thread::Builder::new()
        .name("sqlite-writer".into())
        .spawn(move || {
            let ended = catch_unwind(AssertUnwindSafe(|| writer.run(queue)));
            if ended.is_err() {
                abort_without_writer();
            }
        })
        .map_err(|error| Error::Unavailable(error.to_string()))?;
    Ok(sender)
}

/// What a transaction makes true once it has committed.
#[derive(Default)]
struct Draft {
    /// In the order of the batch's changes. `Err`: the database refused this change.
    outcomes: Vec<Result<Outcome, String>>,
    events: Vec<Event>,
    /// The rooms that change, and their heads before.
    rooms: Vec<(RoomId, Rev)>,
}

/// How changes that the database refuses are undone.
#[derive(Clone, Copy)]
enum Undo {
    /// With the whole transaction, which holds nothing else.
    Transaction,
    /// By a savepoint, for which SQLite copies each page before its first change.
    Savepoint,
}

impl Writer {
    fn run(&mut self, mut queue: mpsc::Receiver<Command>) {
        let mut closing = None;
        while let Some(first) = queue.blocking_recv() {
            sleep(self.pace.wait(Instant::now()));
            let mut batch = Batch::default();
            let mut next = Some(first);
            while let Some(command) = next.take() {
                match command {
                    Command::Append(op) => batch.ops.push(op),
                    Command::Write(job) => batch.jobs.push(job),
                    Command::Look => {
                        // They log what they find.
                        let _ = self.look(false);
                        let _ = self.works();
                    }
                    Command::Close(done) => {
                        queue.close();
                        closing = Some(done);
                    }
                }
                if batch.len() < limits::BATCH_ROWS_MAX {
                    next = queue.try_recv().ok();
                }
            }
            telemetry::queue_depth("sqlite", queue.len());
            self.pace.began(Instant::now(), batch.len());
            self.write(batch);
        }
        self.tidy();
        if let Some(done) = closing {
            let _ = done.send(());
        }
    }

    /// Moves the write-ahead log into the database's file. Makes no statistics for the planner: those of a small database mislead
    /// it when the database has grown.
    fn tidy(&mut self) {
        let _ = self.look(false);
        let tidied = match self.files.are_there() {
            Ok(_) if self.content.is_doubted() => {
                // Another program has written there: the pages of two databases must not be mixed.
                let keep = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
                self.conn.set_db_config(keep, true).map(drop)
            }
            // A file that was renamed gets its own pages. The log is left empty, since it might be read with the file that is in
            // the renamed one's place now.
            _ => self.move_log("TRUNCATE"),
        };
        if let Err(error) = tidied {
            tracing::warn!(%error, "the database was closed without being tidied");
        }
    }

    /// Has SQLite tell after each commit how long its log is, in place of moving it by itself.
    fn count_pages(&mut self) -> Result<()> {
        let log_pages = self.log_pages.clone();
        let count = move |_: &mut rusqlite::hooks::Wal, pages| {
            log_pages.store(i64::from(pages), Ordering::Relaxed);
            Ok(())
        };
        Ok(self.conn.wal_hook(Some(count)).map_err(sql_error)?)
    }

    /// Moves the write-ahead log into the database's file, unless another program has written there.
    fn move_log(&mut self, how: &str) -> rusqlite::Result<()> {
        if self.content.is_doubted() {
            return Ok(());
        }
        let checkpoint = format!("PRAGMA wal_checkpoint({how})");
        let moved = self.conn.execute_batch(&checkpoint);
        self.content = Content::of(&self.files, &self.conn);
        moved
    }

    /// Checks that what is stored is in the files that have the database's names. `is_malformed`: what was read there isn't what was
    /// written.
    fn look(&mut self, is_malformed: bool) -> Result<(), String> {
        let there = self.files.are_there();
        let moved = there.is_err();
        let found = there.and_then(|found| {
            self.content
                .look(&found, &self.files, &self.conn, is_malformed)
        });
        if self.files.note(&found, !moved) && moved {
            // Then what was acknowledged is in the database's own file, whatever its name is now. If only the log was removed,
            // nothing is lost.
            if let Err(error) = self.move_log("PASSIVE") {
                tracing::error!(%error, "what was acknowledged last can't be saved");
            }
        }
        if found.is_ok() && !self.untold.is_empty() {
            let untold = std::mem::take(&mut self.untold);
            self.tell_since(untold);
        }
        found
    }

    /// Checks that a change can be tried: the files are those that were opened, and the disk takes writes.
    fn works(&mut self) -> Result<(), String> {
        if self.files.wrong().is_some() {
            self.look(false)?;
        }
        if self.disk.is_due() {
            match self.try_disk() {
                Ok(()) => self.disk.works(),
                Err(error) => self.disk.failed(&self.path, &error.to_string()),
            }
        }
        self.disk.fails().map_or(Ok(()), |why| Err(why.to_owned()))
    }

    fn try_disk(&mut self) -> rusqlite::Result<()> {
        // A checkpoint lets SQLite reuse the log, so that a write may need no more space.
        let _ = self.move_log("PASSIVE");
        let now = Time::now().0.to_string();
        let something = "INSERT OR REPLACE INTO meta (name, value) VALUES ('disk_tried', ?)";
        self.conn.execute(something, [now]).map(drop)
    }

    /// Retries until everything in the batch has an answer.
    fn write(&mut self, mut batch: Batch) {
        let mut pause = Duration::from_millis(5);
        let mut logged = false;
        loop {
            batch.start();
            if batch.is_empty() {
                return;
            }
            if let Err(why) = self.works() {
                return batch.fail(|| Error::Down(why.clone()));
            }
            match self.attempt(&mut batch) {
                Ok(draft) => return self.commit(batch, draft),
                Err(error) => {
                    self.roll_back();
                    if let SqlError::Disk(why) | SqlError::Malformed(why) = &error {
                        let is_malformed = matches!(error, SqlError::Malformed(_));
                        let why = self.look(is_malformed).err().unwrap_or_else(|| {
                            self.disk.failed(&self.path, why);
                            why.clone()
                        });
                        return batch.fail(|| Error::Down(why.clone()));
                    }
                    if !std::mem::replace(&mut logged, true) {
                        tracing::warn!(error = error.cause(), "a batch is tried again");
                    }
                    batch.release();
                    sleep(pause);
                    pause = (pause * 2).min(Duration::from_millis(500));
                }
            }
        }
    }

    fn roll_back(&mut self) {
        let rolled_back = self.conn.execute_batch("ROLLBACK");
        if !self.conn.is_autocommit() {
            tracing::error!(error = ?rolled_back.err(), "a transaction can't be ended");
            self.reopen();
        }
    }

    /// One transaction without its COMMIT. After an error nothing is written, and the transaction may be retried.
    fn attempt(&mut self, batch: &mut Batch) -> Result<Draft, SqlError> {
        let mut draft = Draft::default();
        self.begin("BEGIN IMMEDIATE")?;
        for job in &mut batch.jobs {
            self.begin("SAVEPOINT one")?;
            match job.run(&mut self.conn) {
                Ok(events) => {
                    self.begin("RELEASE one")?;
                    draft
                        .rooms
                        .extend(events.first().map(|event| (event.room_id, event.prev)));
                    draft.events.extend(events);
                }
                Err(error) if error.is_retryable() => return Err(error),
                Err(_) => self.begin("ROLLBACK TO one; RELEASE one")?,
            }
        }
        let now = Time::now();
        let changes: Vec<&Change> = batch.ops.iter().map(|op| &op.change).collect();
        let undo = if batch.jobs.is_empty() {
            Undo::Transaction
        } else {
            Undo::Savepoint
        };
        match self.append(&changes, now, undo) {
            Ok(plan) => draft.add(plan),
            Err(error) if error.is_retryable() => return Err(error),
            Err(error) => {
                // A change that the database refuses must not fail the others.
                tracing::error!(?error, "the changes of a batch are written one by one");
                for change in changes {
                    match self.append(&[change], now, Undo::Savepoint) {
                        Ok(plan) => draft.add(plan),
                        Err(error) if error.is_retryable() => return Err(error),
                        Err(error) => draft.outcomes.push(Err(error.cause())),
                    }
                }
            }
        }
        Ok(draft)
    }

    /// Judges and writes changes, all or none.
    fn append(&mut self, changes: &[&Change], now: Time, undo: Undo) -> Result<Plan, SqlError> {
        let keys = Keys::of(changes.iter().copied());
        let state = batch::load(&self.conn, &keys)?;
        let plan = plan(changes.iter().copied(), &keys, state, now);
        let (set, release, undo) = match undo {
            Undo::Transaction => ("", "", "ROLLBACK; BEGIN IMMEDIATE"),
            Undo::Savepoint => (
                "SAVEPOINT changes",
                "RELEASE changes",
                "ROLLBACK TO changes; RELEASE changes",
            ),
        };
        self.begin(set)?;
        match batch::write(&self.conn, &plan) {
            Ok(()) => self.begin(release)?,
            Err(error) => {
                // After a retryable error the whole transaction is undone, which SQLite may have done by itself.
                if !error.is_retryable() {
                    self.begin(undo)?;
                }
                return Err(error);
            }
        }
        Ok(plan)
    }

    fn begin(&self, sql: &'static str) -> Result<(), SqlError> {
        self.conn.execute_batch(sql).map_err(sql_error)
    }

    fn commit(&mut self, batch: Batch, draft: Draft) {
        let began = Instant::now();
        let committed = self.conn.execute_batch("COMMIT");
        telemetry::committed("sqlite", batch.ops.len(), began.elapsed());
        self.content.committed(&self.files);
        match committed.map(|()| self.look(false)) {
            // The commit lasts as long as the process lives, and perhaps longer.
            Ok(Err(why)) => {
                batch.fail(|| Error::Unknown(why.clone()));
                self.untold.extend(draft.rooms);
            }
            Ok(Ok(())) => {
                if !draft.events.is_empty() {
                    (self.commit_hook)(draft.events);
                }
                for job in batch.jobs {
                    job.answer(Ok(()));
                }
                for (op, outcome) in batch.ops.into_iter().zip(draft.outcomes) {
                    op.claim.answer(outcome.map_err(Error::Broken));
                }
                if self.log_pages.load(Ordering::Relaxed) >= i64::from(CHECKPOINT_PAGES) {
                    self.checkpoint();
                }
            }
            // The commit record is written last, so the commit didn't happen.
            Err(error) if is_full(&error) => {
                let why = sql_error(error).cause();
                self.roll_back();
                self.disk.failed(&self.path, &why);
                batch.fail(|| Error::Down(why.clone()));
            }
            Err(error) => {
                telemetry::unknown("sqlite", batch.ops.len());
                batch.fail(|| Error::Unknown(error.to_string()));
                match sql_error(error) {
                    SqlError::Disk(why) => self.disk.failed(&self.path, &why),
                    other => {
                        let error = other.cause();
                        tracing::error!(error, "the outcome of a commit is unknown");
                    }
                }
                let _ = self.conn.execute_batch("ROLLBACK");
                self.reopen();
                self.tell_since(draft.rooms);
            }
        }
    }

    fn checkpoint(&mut self) {
        let moved = self.move_log("PASSIVE");
        let stayed = std::mem::replace(&mut self.log_stays, moved.is_err());
        if let Err(error) = moved
            && !stayed
        {
            tracing::warn!(%error, "the write-ahead log grows: it can't be moved into the database");
        }
    }

    /// Opens a new connection in the old one's place, however long that takes. What waits in the queue expires by its own
    /// deadlines.
    fn reopen(&mut self) {
        let mut pause = Duration::from_millis(20);
        let mut logged = false;
        loop {
            match self.open_again() {
                Ok(()) => return,
                Err(error) => {
                    if !std::mem::replace(&mut logged, true) {
                        tracing::error!(%error, "the database can't be opened again");
                    }
                    sleep(pause);
                    pause = (pause * 2).min(Duration::from_secs(1));
                }
            }
        }
    }

    fn open_again(&mut self) -> Result<()> {
        let there = || self.files.are_there().map_err(Error::Unavailable);
        there()?;
        let conn = open_writer(&self.path)?;
        there()?;
        self.conn = conn;
        self.count_pages()
    }

    /// Calls the commit hook with what the log shows to have changed in these rooms.
    fn tell_since(&mut self, rooms: Vec<(RoomId, Rev)>) {
        let mut logged = false;
        for (room_id, mut after) in rooms {
            loop {
                let script = told_script(room_id, after);
                let page = self
                    .begin("BEGIN")
                    .and_then(|()| run(&script, &mut self.conn));
                let _ = self.conn.execute_batch("ROLLBACK");
                match page {
                    Ok(Some(page)) => {
                        let (upto, last) = (page.upto, page.last);
                        if !page.events.is_empty() {
                            (self.commit_hook)(page.events);
                        }
                        if last {
                            break;
                        }
                        after = upto;
                    }
                    Ok(None) => break,
                    Err(error) => {
                        if !std::mem::replace(&mut logged, true) {
                            tracing::error!(?error, "what a commit did can't be read");
                        }
                        if !error.is_retryable() {
                            // A damaged table must not stop all other rooms.
                            break;
                        }
                        sleep(Duration::from_millis(200));
                        self.reopen();
                    }
                }
            }
        }
    }
}

impl Draft {
    fn add(&mut self, plan: Plan) {
        self.outcomes.extend(plan.outcomes.into_iter().map(Ok));
        self.events.extend(plan.events);
        for (room_id, (before, _)) in plan.rooms {
            if !self.rooms.iter().any(|(known, _)| *known == room_id) {
                self.rooms.push((room_id, before));
            }
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a thread of its own, not an async one"
)]
fn sleep(pause: Duration) {
    std::thread::sleep(pause);
}

#[cfg(test)]
mod tests;
