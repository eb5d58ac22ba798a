//! The task that appends on one connection to the rooms it owns: what arrives while a commit runs
//! shares the next one.
//!
//! Invariants: nothing is answered or told before its COMMIT was answered. When COMMIT was sent and no
//! answer came, all in the batch hear `Unknown` at once, and before anything else is appended the
//! listener is told what the log shows after the rooms' heads from before the batch. That look waits for
//! the rooms' locks, which the lost transaction holds until its outcome stands.

use std::{
    collections::VecDeque,
    panic::AssertUnwindSafe,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::FutureExt;
use mysql_async::{Opts, prelude::Queryable};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep},
};

use super::{APPENDERS, Shared, append, deadline, tell_since};
use crate::{
    limits,
    protocol::{Rev, RoomId, Time},
    store::{
        Error,
        append::{Plan, keys, plan},
        queue::Op,
        sql::Fault,
        telemetry,
    },
};

/// What other code asks of an appender.
pub enum Command {
    Append(Op),
    /// A room's making has an unknown outcome: tell what the log shows.
    TellSince(RoomId, Rev),
    /// Everything before it is committed, everything after it refused.
    Close(oneshot::Sender<()>),
}

struct Appender {
    /// For metrics.
    name: &'static str,
    opts: Opts,
    shared: Arc<Shared>,
    conn: Option<mysql_async::Conn>,
    /// A lost connection that may still hold locks.
    lost: Option<u32>,
}

pub(super) fn spawn(opts: &Opts, shared: &Arc<Shared>) -> [mpsc::Sender<Command>; APPENDERS] {
    ["even", "odd"].map(|name| {
        let (sender, queue) = mpsc::channel(limits::APPEND_QUEUE_MAX);
        let appender = Appender {
            name,
            opts: opts.clone(),
            shared: shared.clone(),
            conn: None,
            lost: None,
        };
        tokio::spawn(async move {
            let ended = AssertUnwindSafe(appender.run(queue)).catch_unwind().await;
            if ended.is_err() {
                crate::store::end_process();
            }
        });
        sender
    })
}

impl Appender {
    async fn run(mut self, mut queue: mpsc::Receiver<Command>) {
        let mut closing = None;
        while let Some(first) = queue.recv().await {
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
                if ops.len() < limits::BATCH_ROWS_MAX {
                    next = queue.try_recv().ok();
                }
            }
            telemetry::queue_depth(self.name, queue.len());
            self.tell_since(rooms).await;
            self.settle(ops).await;
        }
        if let Some(conn) = self.conn.take() {
            let _ = tokio::time::timeout(limits::STATEMENT_DEADLINE, conn.disconnect()).await;
        }
        if let Some(done) = closing {
            let _ = done.send(());
        }
    }

    /// Tries until each of the batch has an answer.
    async fn settle(&mut self, ops: Vec<Op>) {
        let mut batches = VecDeque::from([ops]);
        let mut pause = Duration::from_millis(5);
        while let Some(batch) = batches.pop_front() {
            let ops = claim(batch);
            if ops.is_empty() {
                continue;
            }
            match self.attempt(&ops).await {
                Ok(plan) => self.commit(ops, plan).await,
                Err(fault) if fault.passes() => {
                    telemetry::retried(self.name);
                    tracing::warn!(error = fault.cause(), "a batch is tried again");
                    ops.iter().for_each(|op| op.claim.release());
                    batches.push_front(ops);
                    sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_millis(500));
                }
                Err(fault) if ops.len() == 1 => {
                    let cause = fault.cause();
                    tracing::error!(error = cause, "the tables refuse a change");
                    for op in ops {
                        op.claim.answer(Err(Error::Broken(cause.clone())));
                    }
                }
                Err(fault) => {
                    // One that the tables refuse must not fail the others.
                    tracing::error!(error = fault.cause(), "a batch is run one by one");
                    ops.iter().for_each(|op| op.claim.release());
                    for op in ops.into_iter().rev() {
                        batches.push_front(vec![op]);
                    }
                }
            }
        }
    }

    /// A transaction up to its COMMIT; an error wrote nothing.
    async fn attempt(&mut self, ops: &[Op]) -> Result<Plan, Fault> {
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => deadline(mysql_async::Conn::new(self.opts.clone())).await?,
        };
        let work = async {
            let keys = keys(ops.iter().map(|op| &op.change));
            let state = append::load(&mut conn, &keys).await?;
            let plan = plan(ops.iter().map(|op| &op.change), state, Time::now());
            append::write(&mut conn, &plan).await?;
            Ok(plan)
        };
        match work.await {
            Ok(plan) => {
                self.conn = Some(conn);
                Ok(plan)
            }
            Err(fault) => {
                self.undo(conn, &fault).await;
                Err(fault)
            }
        }
    }

    /// Ends a transaction that failed: by ROLLBACK, or with its connection.
    async fn undo(&mut self, mut conn: mysql_async::Conn, fault: &Fault) {
        if let (Some(lost), true) = (self.lost, fault.passes()) {
            // Perhaps it holds what was waited for.
            self.shared.kill(lost).await;
            self.lost = None;
        }
        let usable = !matches!(fault, Fault::Gone(_));
        if usable && deadline(conn.query_drop("ROLLBACK")).await.is_ok() {
            self.conn = Some(conn);
        } else {
            self.lost = Some(conn.id());
        }
    }

    async fn commit(&mut self, ops: Vec<Op>, plan: Plan) {
        let Some(mut conn) = self.conn.take() else {
            return;
        };
        let began = Instant::now();
        let committed = deadline(conn.query_drop("COMMIT")).await;
        telemetry::committed(self.name, ops.len(), began.elapsed());
        match committed {
            Ok(()) => {
                self.conn = Some(conn);
                if !plan.events.is_empty() {
                    let _told = self.shared.beginnings.read().await;
                    (self.shared.listener)(plan.events);
                }
                for (op, outcome) in ops.into_iter().zip(plan.outcomes) {
                    op.claim.answer(Ok(outcome));
                }
            }
            Err(fault) => {
                let cause = fault.cause();
                telemetry::unknown(self.name, ops.len());
                tracing::error!(error = cause, "the outcome of a commit is unknown");
                for op in ops {
                    op.claim.answer(Err(Error::Unknown(cause.clone())));
                }
                self.lost = Some(conn.id());
                drop(conn);
                let rooms = plan.rooms.into_iter();
                self.tell_since(rooms.map(|(id, (before, _))| (id, before)).collect())
                    .await;
            }
        }
    }

    /// Tells what the log shows to have changed in these rooms, for as long as it takes: what waits
    /// in the queue expires by its own deadlines.
    async fn tell_since(&mut self, rooms: Vec<(RoomId, Rev)>) {
        for (room_id, after) in rooms {
            let mut pause = Duration::from_millis(20);
            while let Err(fault) = tell_since(&self.shared, room_id, after).await {
                if !fault.passes() {
                    // A table that is damaged must not stop all other rooms.
                    tracing::error!(?fault, "what a commit did can't be read");
                    break;
                }
                tracing::warn!(?fault, "what a commit did can't be read yet");
                if let (Some(lost), Fault::Transient(_)) = (self.lost, &fault) {
                    self.shared.kill(lost).await;
                    self.lost = None;
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

/// Takes what may still be executed, and answers the rest.
fn claim(ops: Vec<Op>) -> Vec<Op> {
    let mut taken = Vec::with_capacity(ops.len());
    for op in ops {
        if op.claim.take() {
            taken.push(op);
        } else {
            op.claim.refuse();
        }
    }
    taken
}
