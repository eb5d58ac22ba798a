//! The one thread that writes: what arrives while a commit runs shares the next one.
//!
//! Invariants: nothing is answered or told before its COMMIT returned and the files were then seen to be those that were
//! opened; a job or a change that the database refuses is undone by itself (SAVEPOINT) and fails nobody else; after a
//! COMMIT whose outcome is unknown the connection is opened anew, and the listener is told what the log shows, before
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
    CHECKPOINT_PAGES, append,
    disk::Disk,
    fault,
    files::{Content, Files},
    is_full, open_writer, run,
};
use crate::{
    limits,
    protocol::{Rev, RoomId, Time},
    store::{
        Change, Error, Event, Listener, Result,
        append::{Plan, keys, plan},
        log,
        queue::{Claim, Op, Ticket, ticket},
        sql::{Fault, Script},
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

/// A script that writes, whatever its answer.
pub trait Job: Send {
    fn take(&self) -> bool;
    fn release(&self);
    fn refuse(self: Box<Self>);
    /// Runs it; its answer waits for the commit.
    fn run(&mut self, conn: &mut Connection) -> Result<Vec<Event>, Fault>;
    /// Answers what [`Job::run`] gave, or the fault that it was undone for.
    fn answer(self: Box<Self>, fate: Result<(), Error>);
}

struct Write<T, S> {
    script: S,
    value: Option<T>,
    claim: Claim<Result<T, Fault>>,
    fault: Option<Fault>,
}

/// A script, made a job: its answer, and the events that its commit makes true.
pub fn job<T, S>(script: S) -> (Box<dyn Job>, Ticket<Result<T, Fault>>)
where
    T: Send + 'static,
    S: Script<(T, Vec<Event>)>,
{
    let (claim, ticket) = ticket(limits::APPEND_DEADLINE);
    let job = Write {
        script,
        value: None,
        claim,
        fault: None,
    };
    (Box::new(job), ticket)
}

impl<T: Send, S: Script<(T, Vec<Event>)>> Job for Write<T, S> {
    fn take(&self) -> bool {
        self.claim.take()
    }
    fn release(&self) {
        self.claim.release();
    }
    fn refuse(self: Box<Self>) {
        self.claim.refuse();
    }
    fn run(&mut self, conn: &mut Connection) -> Result<Vec<Event>, Fault> {
        (self.value, self.fault) = (None, None);
        match run(&self.script, conn) {
            Ok((value, events)) => {
                self.value = Some(value);
                Ok(events)
            }
            Err(fault) if fault.passes() => Err(fault),
            Err(refused) => {
                // Kept for the answer; the caller only needs to know that it is to be undone.
                self.fault = Some(refused);
                Err(Fault::Refused(String::new()))
            }
        }
    }
    fn answer(self: Box<Self>, fate: Result<(), Error>) {
        let answer = match (fate, self.fault, self.value) {
            (_, Some(fault), _) => Ok(Err(fault)),
            (Err(error), None, _) => Err(error),
            (Ok(()), None, Some(value)) => Ok(Ok(value)),
            (Ok(()), None, None) => Err(Error::Broken("a job without an answer".into())),
        };
        self.claim.answer(answer);
    }
}

struct Writer {
    path: PathBuf,
    conn: Connection,
    listener: Listener,
    files: Arc<Files>,
    content: Content,
    disk: Disk,
    /// Rooms, and their heads before a commit whose files were not where they belong when it was through: told when they
    /// are back.
    untold: Vec<(RoomId, Rev)>,
    /// The last try to move the log into the database failed, which was told.
    log_stays: bool,
    /// Pages of the write-ahead log after the last commit.
    log_pages: Arc<AtomicI64>,
}

pub fn spawn(
    path: PathBuf,
    conn: Connection,
    files: Arc<Files>,
    listener: Listener,
) -> Result<mpsc::Sender<Command>> {
    let (sender, queue) = mpsc::channel(limits::APPEND_QUEUE_MAX);
    let mut writer = Writer {
        path,
        content: Content::of(&files, &conn),
        conn,
        listener,
        files,
        disk: Disk::default(),
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
                crate::store::end_process();
            }
        })
        .map_err(|error| Error::Unavailable(error.to_string()))?;
    Ok(sender)
}

/// What shares one transaction.
#[derive(Default)]
struct Batch {
    ops: Vec<Op>,
    jobs: Vec<Box<dyn Job>>,
}

/// What a transaction would make true, once it has committed.
#[derive(Default)]
struct Draft {
    /// By the batch's ops; `None`: the database refused it alone.
    outcomes: Vec<Result<crate::store::Outcome, String>>,
    events: Vec<Event>,
    /// Rooms touched and their heads before.
    rooms: Vec<(RoomId, Rev)>,
}

impl Writer {
    fn run(&mut self, mut queue: mpsc::Receiver<Command>) {
        let mut closing = None;
        while let Some(first) = queue.blocking_recv() {
            let mut batch = Batch::default();
            let mut next = Some(first);
            while let Some(command) = next.take() {
                match command {
                    Command::Append(op) => batch.ops.push(op),
                    Command::Write(job) => batch.jobs.push(job),
                    Command::Look => {
                        // What they find is told there.
                        let _ = self.look();
                        let _ = self.works();
                    }
                    Command::Close(done) => {
                        queue.close();
                        closing = Some(done);
                    }
                }
                if batch.ops.len() + batch.jobs.len() < limits::BATCH_ROWS_MAX {
                    next = queue.try_recv().ok();
                }
            }
            telemetry::queue_depth("sqlite", queue.len());
            self.settle(batch);
        }
        self.tidy();
        if let Some(done) = closing {
            let _ = done.send(());
        }
    }

    /// The write-ahead log goes into the database's file. No statistics for the planner: those of a small database mislead it
    /// when it has grown.
    fn tidy(&mut self) {
        let _ = self.look();
        let tidied = match self.files.are_there() {
            Ok(_) if self.content.is_doubted() => {
                // Another program has written there: the pages of two databases are not to be mixed.
                let keep = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
                self.conn.set_db_config(keep, true).map(drop)
            }
            // A file that was renamed gets its own pages, and the log is left empty: it might be read with what is in
            // that file's place now.
            _ => self.move_log("TRUNCATE"),
        };
        if let Err(error) = tidied {
            tracing::warn!(%error, "the database was closed without being tidied");
        }
    }

    /// Lets SQLite tell after each commit how long its log is, in place of moving it by itself.
    fn count_pages(&mut self) -> Result<()> {
        let log_pages = self.log_pages.clone();
        let count = move |_: &mut rusqlite::hooks::Wal, pages| {
            log_pages.store(i64::from(pages), Ordering::Relaxed);
            Ok(())
        };
        Ok(self.conn.wal_hook(Some(count)).map_err(fault)?)
    }

    /// Moves the write-ahead log into the database's file: nothing else writes there, and where somebody has it isn't mixed
    /// with that.
    fn move_log(&mut self, how: &str) -> rusqlite::Result<()> {
        if self.content.is_doubted() {
            return Ok(());
        }
        let checkpoint = format!("PRAGMA wal_checkpoint({how})");
        let moved = self.conn.execute_batch(&checkpoint);
        self.content = Content::of(&self.files, &self.conn);
        moved
    }

    /// Whether what is stored is in the files that have the database's names.
    fn look(&mut self) -> Result<(), String> {
        let there = self.files.are_there();
        let moved = there.is_err();
        let found = there.and_then(|found| self.content.look(&found, &self.files, &self.conn));
        if self.files.note(&found, !moved) && moved {
            // What was acknowledged is in the database's own file then, whatever its name is now, and if only its log was
            // removed nothing is lost.
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

    /// Whether it is worth while to try a change: the files are those that were opened, and the disk takes something.
    fn works(&mut self) -> Result<(), String> {
        if self.files.wrong().is_some() {
            self.look()?;
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
        // What nobody reads any more of the log is used anew then, so that there may be room without any more.
        let _ = self.move_log("PASSIVE");
        let now = Time::now().0.to_string();
        let something = "INSERT OR REPLACE INTO meta (name, value) VALUES ('disk_tried', ?)";
        self.conn.execute(something, [now]).map(drop)
    }

    /// Tries until each of the batch has an answer.
    fn settle(&mut self, mut batch: Batch) {
        let mut pause = Duration::from_millis(5);
        let mut told = false;
        loop {
            batch.claim();
            if batch.ops.is_empty() && batch.jobs.is_empty() {
                return;
            }
            if let Err(why) = self.works() {
                return batch.fail(|| Error::Down(why.clone()));
            }
            match self.attempt(&mut batch) {
                Ok(draft) => return self.commit(batch, draft),
                Err(fault) => {
                    self.roll_back();
                    if let Fault::Disk(why) = fault {
                        self.disk.failed(&self.path, &why);
                        return batch.fail(|| Error::Down(why.clone()));
                    }
                    if !std::mem::replace(&mut told, true) {
                        tracing::warn!(error = fault.cause(), "a batch is tried again");
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

    /// One transaction up to its COMMIT; an error wrote nothing and may pass.
    fn attempt(&mut self, batch: &mut Batch) -> Result<Draft, Fault> {
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
                Err(fault) if fault.passes() => return Err(fault),
                Err(_) => self.begin("ROLLBACK TO one; RELEASE one")?,
            }
        }
        let now = Time::now();
        let changes: Vec<&Change> = batch.ops.iter().map(|op| &op.change).collect();
        match self.append(&changes, now, batch.jobs.is_empty()) {
            Ok(plan) => draft.add(plan),
            Err(fault) if fault.passes() => return Err(fault),
            Err(fault) => {
                // One that the tables refuse must not fail the others.
                tracing::error!(?fault, "a batch is run one by one");
                for change in changes {
                    match self.append(&[change], now, false) {
                        Ok(plan) => draft.add(plan),
                        Err(fault) if fault.passes() => return Err(fault),
                        Err(fault) => draft.outcomes.push(Err(fault.cause())),
                    }
                }
            }
        }
        Ok(draft)
    }

    /// Judges and executes changes, all or none. `alone`: nothing else was written in this transaction,
    /// so that all of it may be undone. Else a savepoint is needed, for which SQLite copies each page
    /// before its first change.
    fn append(&mut self, changes: &[&Change], now: Time, alone: bool) -> Result<Plan, Fault> {
        let keys = keys(changes.iter().copied());
        let state = append::load(&self.conn, &keys)?;
        let plan = plan(changes.iter().copied(), state, now);
        let (set, release, undo) = if alone {
            ("", "", "ROLLBACK; BEGIN IMMEDIATE")
        } else {
            let undo = "ROLLBACK TO changes; RELEASE changes";
            ("SAVEPOINT changes", "RELEASE changes", undo)
        };
        self.begin(set)?;
        match append::execute(&self.conn, &plan) {
            Ok(()) => self.begin(release)?,
            Err(fault) => {
                // What passes undoes the whole transaction, which SQLite may have done by itself.
                if !fault.passes() {
                    self.begin(undo)?;
                }
                return Err(fault);
            }
        }
        Ok(plan)
    }

    fn begin(&self, sql: &'static str) -> Result<(), Fault> {
        self.conn.execute_batch(sql).map_err(fault)
    }

    fn commit(&mut self, batch: Batch, draft: Draft) {
        let began = Instant::now();
        let committed = self.conn.execute_batch("COMMIT");
        telemetry::committed("sqlite", batch.ops.len(), began.elapsed());
        self.content.committed(&self.files);
        match committed.map(|()| self.look()) {
            // It is there for as long as the process lives, and perhaps longer.
            Ok(Err(why)) => {
                batch.fail(|| Error::Unknown(why.clone()));
                self.untold.extend(draft.rooms);
            }
            Ok(Ok(())) => {
                if !draft.events.is_empty() {
                    (self.listener)(draft.events);
                }
                for job in batch.jobs {
                    job.answer(Ok(()));
                }
                for (op, outcome) in batch.ops.into_iter().zip(draft.outcomes) {
                    op.claim.answer(outcome.map_err(Error::Broken));
                }
                if self.log_pages.load(Ordering::Relaxed) >= i64::from(CHECKPOINT_PAGES) {
                    let moved = self.move_log("PASSIVE");
                    let stayed = std::mem::replace(&mut self.log_stays, moved.is_err());
                    if let Err(error) = moved
                        && !stayed
                    {
                        tracing::warn!(%error, "the write-ahead log grows: it can't be moved into the database");
                    }
                }
            }
            // The mark of a commit is what is written last.
            Err(error) if is_full(&error) => {
                let why = fault(error).cause();
                self.roll_back();
                self.disk.failed(&self.path, &why);
                batch.fail(|| Error::Down(why.clone()));
            }
            Err(error) => {
                telemetry::unknown("sqlite", batch.ops.len());
                batch.fail(|| Error::Unknown(error.to_string()));
                match fault(error) {
                    Fault::Disk(why) => self.disk.failed(&self.path, &why),
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

    /// A new connection in the old one's place, for as long as it takes: what waits in the queue
    /// expires by its own deadlines.
    fn reopen(&mut self) {
        let mut pause = Duration::from_millis(20);
        let mut told = false;
        loop {
            match self.open_again() {
                Ok(()) => return,
                Err(error) => {
                    if !std::mem::replace(&mut told, true) {
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

    /// Tells what the log shows to have changed in these rooms.
    fn tell_since(&mut self, rooms: Vec<(RoomId, Rev)>) {
        let mut told = false;
        for (room_id, mut after) in rooms {
            loop {
                let script = log::told_script(room_id, after);
                let page = self
                    .begin("BEGIN")
                    .and_then(|()| run(&script, &mut self.conn));
                let _ = self.conn.execute_batch("ROLLBACK");
                match page {
                    Ok(Some(page)) => {
                        let (upto, last) = (page.upto, page.last);
                        if !page.events.is_empty() {
                            (self.listener)(page.events);
                        }
                        if last {
                            break;
                        }
                        after = upto;
                    }
                    Ok(None) => break,
                    Err(fault) => {
                        if !std::mem::replace(&mut told, true) {
                            tracing::error!(?fault, "what a commit did can't be read");
                        }
                        if !fault.passes() {
                            // A table that is damaged must not stop all other rooms.
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

impl Batch {
    /// Takes what may still be executed, and answers the rest.
    fn claim(&mut self) {
        for op in std::mem::take(&mut self.ops) {
            if op.claim.take() {
                self.ops.push(op);
            } else {
                op.claim.refuse();
            }
        }
        for job in std::mem::take(&mut self.jobs) {
            if job.take() {
                self.jobs.push(job);
            } else {
                job.refuse();
            }
        }
    }

    /// Answers all with this error.
    fn fail(self, error: impl Fn() -> Error) {
        for job in self.jobs {
            job.answer(Err(error()));
        }
        for op in self.ops {
            op.claim.answer(Err(error()));
        }
    }

    fn release(&self) {
        self.ops.iter().for_each(|op| op.claim.release());
        self.jobs.iter().for_each(|job| job.release());
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
