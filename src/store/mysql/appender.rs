//! The task that appends on one connection to the rooms it owns: what arrives while a commit runs
//! shares the next one.
//!
//! Invariants: nothing is answered or told before its COMMIT was answered. When COMMIT was sent and no
//! answer came, all in the batch hear `Unknown` at once, and before anything else is appended the
//! listener is told what the log shows after the rooms' heads from before the batch. That look waits for
//! the rooms' locks, which the lost transaction holds until its outcome stands.
//!
//! A batch that was too much for the server is tried again in halves; a change that is too much by itself is answered
//! `Unavailable`. What keeps failing is told in the log once.

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

use super::{APPENDERS, Shared, append, session::Session, tell_since};
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
    session: Option<Session>,
    /// The name of a lost session that may still hold locks.
    lost: Option<String>,
    share: Share,
    /// The log has been told that changes are tried again.
    told: bool,
}

/// How many changes share a transaction: half as many after one that was too much, and twice as many after each that wasn't.
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

pub(super) fn spawn(opts: &Opts, shared: &Arc<Shared>) -> [mpsc::Sender<Command>; APPENDERS] {
    ["even", "odd"].map(|name| {
        let (sender, queue) = mpsc::channel(limits::APPEND_QUEUE_MAX);
        let appender = Appender {
            name,
            opts: opts.clone(),
            shared: shared.clone(),
            session: None,
            lost: None,
            share: Share::MOST,
            told: false,
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
                if ops.len() < self.share.0 {
                    next = queue.try_recv().ok();
                }
            }
            telemetry::queue_depth(self.name, queue.len());
            self.tell_since(rooms).await;
            self.settle(ops).await;
        }
        if let Some(session) = self.session.take() {
            session.close().await;
        }
        if let Some(done) = closing {
            let _ = done.send(());
        }
    }

    /// Tries until each of the changes has an answer.
    async fn settle(&mut self, ops: Vec<Op>) {
        let mut waiting = VecDeque::from(ops);
        // So many of them go one by one.
        let mut alone = 0_usize;
        let mut pause = Duration::from_millis(5);
        while !waiting.is_empty() {
            let most = if alone > 0 { 1 } else { self.share.0 };
            alone = alone.saturating_sub(1);
            let ops = claim(waiting.drain(..most.min(waiting.len())));
            if ops.is_empty() {
                continue;
            }
            match self.attempt(&ops).await {
                Ok(plan) => self.commit(ops, plan).await,
                Err(fault @ Fault::TooMuch(_)) if ops.len() == 1 => {
                    self.tell_retry(&fault);
                    let cause = fault.cause();
                    for op in ops {
                        op.claim.answer(Err(Error::Unavailable(cause.clone())));
                    }
                }
                Err(fault) if fault.passes() => {
                    telemetry::retried(self.name);
                    self.tell_retry(&fault);
                    if matches!(fault, Fault::TooMuch(_)) {
                        self.share.was_too_much(ops.len());
                    }
                    release(ops, &mut waiting);
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
                    alone = ops.len();
                    release(ops, &mut waiting);
                }
            }
        }
    }

    fn tell_retry(&mut self, fault: &Fault) {
        if telemetry::due(&format!("{} {fault:?}", self.name)) {
            tracing::warn!(?fault, log = self.name, "a batch is tried again");
            self.told = true;
        }
    }

    /// A transaction up to its COMMIT; an error wrote nothing.
    async fn attempt(&mut self, ops: &[Op]) -> Result<Plan, Fault> {
        let mut session = match self.session.take() {
            Some(session) if !session.rested() => session,
            _ => Session::connect(&self.opts).await?,
        };
        let work = async {
            let keys = keys(ops.iter().map(|op| &op.change));
            let state = append::load(&mut session, &keys).await?;
            let plan = plan(ops.iter().map(|op| &op.change), state, Time::now());
            append::write(&mut session, &plan).await?;
            Ok(plan)
        };
        match work.await {
            Ok(plan) => {
                self.session = Some(session);
                Ok(plan)
            }
            Err(fault) => {
                self.undo(session, &fault).await;
                Err(fault)
            }
        }
    }

    /// Ends a transaction that failed: by ROLLBACK, or with its session.
    async fn undo(&mut self, mut session: Session, fault: &Fault) {
        if fault.passes() {
            // Perhaps it holds what was waited for.
            self.kill_lost().await;
        }
        let usable = !matches!(fault, Fault::Gone(_) | Fault::TooMuch(_));
        if usable && session.end("ROLLBACK").await.is_ok() {
            self.session = Some(session);
        } else {
            self.lost = Some(session.into_name());
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
        let Some(mut session) = self.session.take() else {
            return;
        };
        let began = Instant::now();
        let committed = session.end("COMMIT").await;
        telemetry::committed(self.name, ops.len(), began.elapsed());
        match committed {
            Ok(()) => {
                self.session = Some(session);
                self.share.was_done();
                if std::mem::take(&mut self.told) {
                    tracing::info!(log = self.name, "changes are committed again");
                }
                if !plan.events.is_empty() {
                    let _told = self.shared.beginnings.read().await;
                    (self.shared.listener)(plan.events);
                }
                for (op, outcome) in ops.into_iter().zip(plan.outcomes) {
                    op.claim.answer(Ok(outcome));
                }
            }
            Err(fault) => {
                if matches!(fault, Fault::TooMuch(_)) {
                    self.share.was_too_much(ops.len());
                }
                let cause = fault.cause();
                telemetry::unknown(self.name, ops.len());
                tracing::error!(error = cause, "the outcome of a commit is unknown");
                for op in ops {
                    op.claim.answer(Err(Error::Unknown(cause.clone())));
                }
                self.lost = Some(session.into_name());
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
                if telemetry::due(&format!("{} reads {fault:?}", self.name)) {
                    tracing::warn!(?fault, "what a commit did can't be read yet");
                }
                if matches!(fault, Fault::Transient(_)) {
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

/// Takes what may still be executed, and answers the rest.
fn claim(ops: impl Iterator<Item = Op>) -> Vec<Op> {
    let mut taken = Vec::new();
    for op in ops {
        if op.claim.take() {
            taken.push(op);
        } else {
            op.claim.refuse();
        }
    }
    taken
}

/// Puts changes back before those that wait.
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
