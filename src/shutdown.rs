//! How the process ends: the signals that ask for it, and the tasks that it waits for.
//!
//! Invariants: every task that serves clients is counted by one tracker and sees one token; a second signal ends the
//! process at once.

use std::{io, process, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    time,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The token and the tracker of all tasks that serve clients. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    /// Cancelled when the server stops: from then on nothing new is accepted, and what runs comes to its end.
    pub token: CancellationToken,
    /// Counts every task that must end before the log is closed.
    pub tasks: TaskTracker,
}

impl Shutdown {
    /// Starts a task that is dropped, at its next await, when the server stops.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let task = self.token.clone().run_until_cancelled_owned(task);
        self.tasks.spawn(task);
    }

    /// Tells all tasks to end and waits for them. Returns whether they ended before the deadline.
    pub async fn drain(&self, deadline: Duration) -> bool {
        self.token.cancel();
        self.tasks.close();
        time::timeout(deadline, self.tasks.wait()).await.is_ok()
    }
}

/// Waits for SIGTERM or SIGINT and returns its name. From then on a second one ends the process at once, with exit
/// code 130.
pub async fn requested() -> io::Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let name = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        process::exit(130);
    });
    Ok(name)
}

/// Waits for any signal by which a terminal or an operator ends a command. Returns its number.
pub async fn stopped() -> io::Result<u8> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut quit = signal(SignalKind::quit())?;
    let kind = tokio::select! {
        _ = interrupt.recv() => SignalKind::interrupt(),
        _ = terminate.recv() => SignalKind::terminate(),
        _ = hangup.recv() => SignalKind::hangup(),
        _ = quit.recv() => SignalKind::quit(),
    };
    Ok(kind.as_raw_value() as u8)
}
