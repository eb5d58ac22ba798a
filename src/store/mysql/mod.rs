//! MySQL 8 and MariaDB from 10.6: two database connections that write the log ([`writer`]), each for the rooms of one parity, and a pool
//! for everything else.
//!
//! Invariants: no statement and no connect waits without a deadline. Every connection runs at READ COMMITTED, where a
//! statement after a lock was granted sees all that was committed before. A COMMIT without an answer is never taken for a
//! failure. A client that vanishes holds no lock for longer than the server is told to wait for it.

use std::{
    sync::{Arc, Weak, atomic::AtomicBool},
    time::Duration,
};

use mysql_async::{Opts, prelude::Queryable};
use tokio::{
    sync::{RwLock, mpsc},
    time::{Instant, sleep},
};

use self::{
    pool::{Lent, Pool},
    shared::{Shared, undone},
    statements::deadline,
    writer::WRITERS,
};
use super::{
    connection::{Conn, Script},
    error::{Error, Result, SqlError},
    event::{CommitHook, Event},
    telemetry,
    values::{Row, Value},
};
use crate::{
    limits::{APPEND_DEADLINE, DB_IDLE_MAX, READ_TRIES_MAX},
    protocol::RoomId,
};

mod batch;
pub mod connect;
mod connection;
pub mod error;
pub mod lists;
mod pool;
pub mod settings;
mod shared;
pub mod statements;
pub mod writer;

#[derive(Clone)]
pub struct Mysql {
    shared: Arc<Shared>,
    pub writers: [mpsc::Sender<writer::Command>; WRITERS],
}

impl Mysql {
    /// Connects to a database that is migrated, and starts the writers.
    pub fn open(url: &str, connections: usize, commit_hook: CommitHook) -> Result<Self> {
        let opts = Opts::from(connect::options(url, &[])?);
        let shared = Arc::new(Shared {
            pool: Pool::new(opts, connections as u32),
            commit_hook,
            beginnings: RwLock::new(()),
            closing: AtomicBool::new(false),
        });
        // Without autocommit a transaction begins with its first statement: one round trip less.
        let opts = Opts::from(connect::options(url, &["SET SESSION autocommit = 0"])?);
        let writers = writer::spawn(&opts, &shared);
        tokio::spawn(prune(Arc::downgrade(&shared)));
        Ok(Self { shared, writers })
    }

    pub fn writer(&self, room_id: RoomId) -> &mpsc::Sender<writer::Command> {
        &self.writers[(room_id.0 % WRITERS as u64) as usize]
    }

    pub async fn query(
        &self,
        sql: String,
        params: Vec<Value>,
        bytes_max: usize,
    ) -> Result<(Vec<Row>, bool), SqlError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let answer = async {
                let mut conn = self.shared.pool.lend().await?;
                let found = statements::query(&mut *conn, &sql, params.clone(), bytes_max).await;
                conn.after(found)
            };
            match answer.await {
                Err(SqlError::Gone(_)) if tries < READ_TRIES_MAX => {}
                answer => return answer,
            }
        }
    }

    /// Runs a script that only reads in a transaction of its own.
    pub async fn read<T: Send + 'static>(&self, script: impl Script<T>) -> Result<T, SqlError> {
        self.shared.read(&script).await
    }

    /// Runs a script that writes, then tells its events. It goes on when its caller is dropped, since what was committed must be
    /// told.
    pub async fn write<T: Send + 'static>(
        &self,
        script: impl Script<(T, Vec<Event>)>,
    ) -> Result<Result<T, SqlError>> {
        let this = self.clone();
        let task = tokio::spawn(async move { this.write_to_end(script).await });
        task.await
            .unwrap_or_else(|error| Err(Error::Unknown(error.to_string())))
    }

    async fn write_to_end<T: Send + 'static>(
        &self,
        script: impl Script<(T, Vec<Event>)>,
    ) -> Result<Result<T, SqlError>> {
        let end = Instant::now() + APPEND_DEADLINE;
        let mut pause = Duration::from_millis(5);
        loop {
            let attempt = async {
                let mut conn = self.shared.begin().await?;
                match script(Conn::Mysql(&mut conn)).await {
                    Ok(written) => Ok((conn, written)),
                    Err(error) => undone(conn, error).await,
                }
            };
            match attempt.await {
                Ok((conn, (value, events))) => return self.commit(conn, value, events).await,
                Err(error) if error.is_retryable() => {
                    let late = Instant::now() + pause >= end;
                    if late || matches!(error, SqlError::TooMuch(_)) {
                        return Err(error.into());
                    }
                    telemetry::retried("pool");
                    sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_millis(500));
                }
                Err(error) => return Ok(Err(error)),
            }
        }
    }

    async fn commit<T>(
        &self,
        mut conn: Lent<'_>,
        value: T,
        events: Vec<Event>,
    ) -> Result<Result<T, SqlError>> {
        let _beginning = if events.is_empty() {
            None
        } else {
            Some(self.shared.beginnings.write().await)
        };
        let committed = deadline(conn.query_drop("COMMIT")).await;
        match conn.after(committed) {
            Ok(()) => {
                if !events.is_empty() {
                    (self.shared.commit_hook)(events);
                }
                Ok(Ok(value))
            }
            Err(error) => {
                let cause = error.cause();
                telemetry::unknown("pool", 1);
                tracing::error!(error = cause, "the outcome of a commit is unknown");
                if let Some(first) = events.first() {
                    let lost = writer::Command::TellSince(first.room_id, first.prev);
                    let writer = self.writer(first.room_id).clone();
                    tokio::spawn(async move { writer.send(lost).await });
                }
                Err(Error::Unknown(cause))
            }
        }
    }

    /// Set before the writers are closed. From then on none waits for a database that is away.
    pub fn closing(&self) -> &AtomicBool {
        &self.shared.closing
    }

    pub async fn close_pool(&self) {
        self.shared.pool.close().await;
    }
}

/// Closes database connections that were idle for long, as long as the database is open.
async fn prune(shared: Weak<Shared>) {
    loop {
        sleep(DB_IDLE_MAX / 2).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        shared.pool.prune();
    }
}
