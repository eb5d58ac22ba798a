//! The one thread that writes: what arrives while a commit runs shares the next one.
//!
//! Invariants: nothing is answered or told before its COMMIT returned; a job or a change that the
//! database refuses is undone by itself (SAVEPOINT) and fails nobody else; after a COMMIT that failed the
//! connection is opened anew, and the listener is told what the log shows, before anything else is done.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::{append, fault, open_writer, run};
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
}

pub fn spawn(path: PathBuf, conn: Connection, listener: Listener) -> Result<mpsc::Sender<Command>> {
    let (sender, queue) = mpsc::channel(limits::APPEND_QUEUE_MAX);
    let mut writer = Writer {
        path,
        conn,
        listener,
    };
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
        // The log moved into the database file. No statistics for the planner: those of a small database mislead it when it has grown.
        let tidied = self.conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
        if let Err(error) = tidied {
            tracing::warn!(%error, "the database was closed without being tidied");
        }
        if let Some(done) = closing {
            let _ = done.send(());
        }
    }

    /// Tries until each of the batch has an answer.
    fn settle(&mut self, mut batch: Batch) {
        let mut pause = Duration::from_millis(5);
        loop {
            batch.claim();
            if batch.ops.is_empty() && batch.jobs.is_empty() {
                return;
            }
            match self.attempt(&mut batch) {
                Ok(draft) => return self.commit(batch, draft),
                Err(cause) => {
                    let rolled_back = self.conn.execute_batch("ROLLBACK");
                    if !self.conn.is_autocommit() {
                        tracing::error!(error = ?rolled_back.err(), "a transaction can't be ended");
                        self.reopen();
                    }
                    tracing::warn!(error = %cause, "a batch is tried again");
                    batch.release();
                    sleep(pause);
                    pause = (pause * 2).min(Duration::from_millis(500));
                }
            }
        }
    }

    /// One transaction up to its COMMIT; an error wrote nothing and may pass.
    fn attempt(&mut self, batch: &mut Batch) -> Result<Draft, String> {
        let mut draft = Draft::default();
        self.begin("BEGIN IMMEDIATE").map_err(Fault::cause)?;
        for job in &mut batch.jobs {
            self.begin("SAVEPOINT one").map_err(Fault::cause)?;
            match job.run(&mut self.conn) {
                Ok(events) => {
                    self.begin("RELEASE one").map_err(Fault::cause)?;
                    draft
                        .rooms
                        .extend(events.first().map(|event| (event.room_id, event.prev)));
                    draft.events.extend(events);
                }
                Err(fault) if fault.passes() => return Err(fault.cause()),
                Err(_) => self
                    .begin("ROLLBACK TO one; RELEASE one")
                    .map_err(Fault::cause)?,
            }
        }
        let now = Time::now();
        let changes: Vec<&Change> = batch.ops.iter().map(|op| &op.change).collect();
        match self.append(&changes, now, batch.jobs.is_empty()) {
            Ok(plan) => draft.add(plan),
            Err(fault) if fault.passes() => return Err(fault.cause()),
            Err(fault) => {
                // One that the tables refuse must not fail the others.
                tracing::error!(?fault, "a batch is run one by one");
                for change in changes {
                    match self.append(&[change], now, false) {
                        Ok(plan) => draft.add(plan),
                        Err(fault) if fault.passes() => return Err(fault.cause()),
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
                self.begin(undo)?;
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
        match committed {
            Ok(()) => {
                if !draft.events.is_empty() {
                    (self.listener)(draft.events);
                }
                for job in batch.jobs {
                    job.answer(Ok(()));
                }
                for (op, outcome) in batch.ops.into_iter().zip(draft.outcomes) {
                    op.claim.answer(outcome.map_err(Error::Broken));
                }
            }
            Err(error) => {
                telemetry::unknown("sqlite", batch.ops.len());
                tracing::error!(%error, "the outcome of a commit is unknown");
                for job in batch.jobs {
                    job.answer(Err(Error::Unknown(error.to_string())));
                }
                for op in batch.ops {
                    op.claim.answer(Err(Error::Unknown(error.to_string())));
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
        loop {
            match open_writer(&self.path) {
                Ok(conn) => {
                    self.conn = conn;
                    return;
                }
                Err(error) => {
                    tracing::error!(%error, "the database can't be opened again");
                    sleep(pause);
                    pause = (pause * 2).min(Duration::from_secs(1));
                }
            }
        }
    }

    /// Tells what the log shows to have changed in these rooms.
    fn tell_since(&mut self, rooms: Vec<(RoomId, Rev)>) {
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
                        tracing::error!(?fault, "what a commit did can't be read");
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
