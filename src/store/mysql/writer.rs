//! The tasks that own the database connections that write the log, each for the rooms of one parity. What arrives while a commit runs
//! shares the next transaction.
//!
//! Invariants: nothing is answered or told before its COMMIT was answered. When COMMIT was sent and no answer came, the whole
//! batch hears `Unknown` at once, and before anything else is written the commit hook is called with what the log shows after
//! the rooms' heads from before the batch. That look waits for the rooms' locks, which the lost transaction holds until its
//! outcome is decided.
//!
//! A batch that was too much for the server is retried in halves. A change that is too much by itself is answered
//! `Unavailable`. What keeps failing is logged once.

use std::{
    collections::VecDeque,
    panic::AssertUnwindSafe,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::FutureExt;
use mysql_async::Opts;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep},
};

use super::{batch, connection::WriterConnection, shared::Shared};
use crate::{
    limits,
    protocol::{Rev, RoomId, Time},
    store::{
        error::{Error, SqlError, abort_without_writer},
        judge::{Keys, Plan, plan},
        loader::load,
        pace::Pace,
        queue::Op,
        telemetry,
    },
};

/// Connections that write the log. A room belongs to the one of its id's remainder, so that its changes keep their order and two
/// transactions of this process never wait for each other's rooms.
pub const WRITERS: usize = 2;

/// What other code asks of a writer.
pub enum Command {
    Append(Op),
    /// The creation of a room has an unknown outcome: tell what the log shows.
    TellSince(RoomId, Rev),
    /// Everything before it is committed, everything after it refused.
    Close(oneshot::Sender<()>),
}

struct Writer {
    /// For metrics.
    name: &'static str,
    opts: Opts,
    shared: Arc<Shared>,
    conn: Option<WriterConnection>,
    /// The name of a lost database connection that may still hold locks.
    lost: Option<String>,
    share: Share,
    pace: Pace,
    /// It was logged that changes are retried.
    logged: bool,
}

/// How many changes share a transaction at most: half as many after one that was too much, twice as many after each that
/// wasn't.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Share(usize);

impl Share {
    const MOST: Self = Self(limits::BATCH_ROWS_MAX);

    fn was_too_much(&mut self, changes: usize) {
        self.0 = (changes / 2).max(1);
    }

    fn was_done(&mut self) {
        self.0 = (self.0 * 2).min(Self::MOST.0);
    }
}

pub(super) fn spawn(opts: &Opts, shared: &Arc<Shared>) -> [mpsc::Sender<Command>; WRITERS] {
    ["even", "odd"].map(|name| {
        let (sender, queue) = mpsc::channel(limits::APPEND_QUEUE_MAX);
        let writer = Writer {
            name,
            opts: opts.clone(),
            shared: shared.clone(),
            conn: None,
            lost: None,
            share: Share::MOST,
            pace: Pace::new(),
            logged: false,
        };
        tokio::spawn(async move {
            let ended = AssertUnwindSafe(writer.run(queue)).catch_unwind().await;
            if ended.is_err() {
                abort_without_writer();
            }
        });
        sender
    })
}

impl Writer {
    async fn run(mut self, mut queue: mpsc::Receiver<Command>) {
        let mut closing = None;
        while let Some(first) = queue.recv().await {
            let wait = self.pace.wait(Instant::now().into_std());
            if !wait.is_zero() {
                sleep(wait).await;
            }
            let (mut ops, mut rooms) = (Vec::new(), Vec::new());
            let mut next = Some(first);
            while let Some(command) = next.take() {
                match command {
                    Command::Append(op) => ops.push(op),
                    Command::TellSince(room_id, rev) => rooms.push((room_id, rev)),
                    Command::Close(done) => {
                        queue.close();
                        closing = Some(done);
                    }
                }
                if ops.len() < self.share.0 {
                    next = queue.try_recv().ok();
                }
            }
            telemetry::queue_depth(self.name, queue.len());
            self.pace.began(Instant::now().into_std(), ops.len());
            self.tell_since(rooms).await;
            self.write(ops).await;
        }
        if let Some(conn) = self.conn.take() {
            conn.close().await;
        }
        if let Some(done) = closing {
            let _ = done.send(());
        }
    }

    /// Retries until each of the changes has an answer.
    async fn write(&mut self, ops: Vec<Op>) {
        let mut waiting = VecDeque::from(ops);
        // As many of them are written one by one.
        let mut alone = 0_usize;
        let mut pause = Duration::from_millis(5);
        while !waiting.is_empty() {
            let most = if alone > 0 { 1 } else { self.share.0 };
            alone = alone.saturating_sub(1);
            let ops = start(waiting.drain(..most.min(waiting.len())));
            if ops.is_empty() {
                continue;
            }
            match self.attempt(&ops).await {
                Ok(plan) => self.commit(ops, plan).await,
                Err(error @ SqlError::TooMuch(_)) if ops.len() == 1 => {
                    self.log_retry(&error);
                    let cause = error.cause();
                    for op in ops {
                        op.claim.answer(Err(Error::Unavailable(cause.clone())));
                    }
                }
                Err(error) if error.is_retryable() => {
                    telemetry::retried(self.name);
                    self.log_retry(&error);
                    if matches!(error, SqlError::TooMuch(_)) {
                        self.share.was_too_much(ops.len());
                    }
                    release(ops, &mut waiting);
                    sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_millis(500));
                }
                Err(error) if ops.len() == 1 => {
                    let cause = error.cause();
                    tracing::error!(error = cause, "the database refuses a change");
                    for op in ops {
                        op.claim.answer(Err(Error::Broken(cause.clone())));
                    }
                }
                Err(error) => {
                    // A change that the database refuses must not fail the others.
                    tracing::error!(
                        error = error.cause(),
                        "the changes of a batch are written one by one"
                    );
                    alone = ops.len();
                    release(ops, &mut waiting);
                }
            }
        }
    }

    fn log_retry(&mut self, error: &SqlError) {
        if telemetry::due(&format!("{} {error:?}", self.name)) {
            tracing::warn!(?error, log = self.name, "a batch is tried again");
            self.logged = true;
        }
    }

    /// One transaction without its COMMIT. After an error nothing is written.
    async fn attempt(&mut self, ops: &[Op]) -> Result<Plan, SqlError> {
        let mut conn = match self.conn.take() {
            Some(conn) if !conn.is_stale() => conn,
            _ => WriterConnection::connect(&self.opts).await?,
        };
        let work = async {
            let changes = ops.iter().map(|op| &op.change);
            let keys = Keys::of(changes.clone());
            let state = load(&mut conn, &keys).await?;
            let plan = plan(changes, &keys, state, Time::now());
            batch::write(&mut conn, &plan).await?;
            Ok(plan)
        };
        match work.await {
            Ok(plan) => {
                self.conn = Some(conn);
                Ok(plan)
            }
            Err(error) => {
                self.undo(conn, &error).await;
                Err(error)
            }
        }
    }

    /// Ends a transaction that failed: by ROLLBACK, or with its connection.
    async fn undo(&mut self, mut conn: WriterConnection, error: &SqlError) {
        if error.is_retryable() {
            // It may hold the lock that was waited for.
            self.kill_lost().await;
        }
        let usable = !matches!(error, SqlError::Gone(_) | SqlError::TooMuch(_));
        if usable && conn.end("ROLLBACK").await.is_ok() {
            self.conn = Some(conn);
        } else {
            self.lost = Some(conn.into_name());
        }
    }

    async fn kill_lost(&mut self) {
        if let Some(lost) = &self.lost
            && self.shared.kill(lost).await
        {
            self.lost = None;
        }
    }

    async fn commit(&mut self, ops: Vec<Op>, plan: Plan) {
        let Some(mut conn) = self.conn.take() else {
            return;
        };
        let began = Instant::now();
        let committed = conn.end("COMMIT").await;
        telemetry::committed(self.name, ops.len(), began.elapsed());
        match committed {
            Ok(()) => {
                self.conn = Some(conn);
                self.share.was_done();
                if std::mem::take(&mut self.logged) {
                    tracing::info!(log = self.name, "changes are committed again");
                }
                self.shared.tell(plan.events).await;
                for (op, outcome) in ops.into_iter().zip(plan.outcomes) {
                    op.claim.answer(Ok(outcome));
                }
            }
            Err(error) => {
                if matches!(error, SqlError::TooMuch(_)) {
                    self.share.was_too_much(ops.len());
                }
                let cause = error.cause();
                telemetry::unknown(self.name, ops.len());
                tracing::error!(error = cause, "the outcome of a commit is unknown");
                for op in ops {
                    op.claim.answer(Err(Error::Unknown(cause.clone())));
                }
                self.lost = Some(conn.into_name());
                let rooms = plan.rooms.into_iter();
                self.tell_since(rooms.map(|(id, (before, _))| (id, before)).collect())
                    .await;
            }
        }
    }

    /// Calls the commit hook with what the log shows to have changed in these rooms, however long that takes. What waits in the
    /// queue expires by its own deadlines.
    async fn tell_since(&mut self, rooms: Vec<(RoomId, Rev)>) {
        for (room_id, after) in rooms {
            let mut pause = Duration::from_millis(20);
            while let Err(error) = self.shared.tell_since(room_id, after).await {
                if !error.is_retryable() {
                    // A damaged table must not stop all other rooms.
                    tracing::error!(?error, "what a commit did can't be read");
                    break;
                }
                if telemetry::due(&format!("{} reads {error:?}", self.name)) {
                    tracing::warn!(?error, "what a commit did can't be read yet");
                }
                if matches!(error, SqlError::Transient(_)) {
                    self.kill_lost().await;
                }
                if self.shared.closing.load(Ordering::Acquire) {
                    return;
                }
                sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(1));
            }
        }
    }
}

/// Returns what may still be executed, and answers the rest.
fn start(ops: impl Iterator<Item = Op>) -> Vec<Op> {
    let mut started = Vec::new();
    for op in ops {
        if op.claim.start() {
            started.push(op);
        } else {
            op.claim.refuse();
        }
    }
    started
}

/// Puts changes back at the head of those that wait.
fn release(ops: Vec<Op>, waiting: &mut VecDeque<Op>) {
    for op in ops.into_iter().rev() {
        op.claim.release();
        waiting.push_front(op);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_share_a_transaction_after_one_that_was_too_much() {
        let mut share = Share::MOST;
        let mut shares = Vec::new();
        for _ in 0..9 {
            share.was_too_much(share.0);
            shares.push(share.0);
        }
        assert_eq!(shares, [128, 64, 32, 16, 8, 4, 2, 1, 1]);
        // Of a batch that wasn't full.
        share = Share::MOST;
        share.was_too_much(7);
        assert_eq!(share, Share(3));
        for most in [6, 12, 24, 48, 96, 192, 256, 256] {
            share.was_done();
            assert_eq!(share, Share(most));
        }
    }
}
