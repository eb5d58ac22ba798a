//! What the writers and all other users of a MySQL database share: the pool of database connections, and the commit hook.

use std::{sync::atomic::AtomicBool, time::Duration};

use mysql_async::prelude::Queryable;
use tokio::{sync::RwLock, time::sleep};

use super::{
    pool::{Lent, Pool},
    statements::{connection, deadline, query},
};
use crate::{
    limits::READ_TRIES_MAX,
    protocol::{Rev, RoomId},
    store::{
        connection::{Conn, Script},
        error::SqlError,
        event::{CommitHook, Event},
        log::changes::told_script,
        values::params,
    },
};

pub struct Shared {
    pub pool: Pool,
    pub commit_hook: CommitHook,
    /// Held for writing from the COMMIT of a new room until its events are told. Writers of the log tell theirs while they hold it
    /// for reading, so that nothing is told of a room before its beginning.
    pub beginnings: RwLock<()>,
    pub closing: AtomicBool,
}

impl Shared {
    /// A database connection in a transaction.
    pub async fn begin(&self) -> Result<Lent<'_>, SqlError> {
        let mut conn = self.pool.lend().await?;
        match connection(conn.query_drop("START TRANSACTION")).await {
            Ok(()) => Ok(conn),
            Err(error) => conn.after(Err(error)),
        }
    }

    pub async fn read<T>(&self, script: &impl Script<T>) -> Result<T, SqlError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let answer = match self.begin().await {
                Ok(conn) => read_once(conn, script).await,
                // There was no connection before the deadline. A retry would wait as long again.
                Err(late @ SqlError::Transient(_)) => return Err(late),
                Err(error) => Err(error),
            };
            match answer {
                Err(SqlError::Transient(_) | SqlError::Gone(_)) if tries < READ_TRIES_MAX => {
                    sleep(Duration::from_millis(5)).await;
                }
                answer => return answer,
            }
        }
    }

    /// Ends a lost database connection that may still hold locks. It is found by the named lock that it holds, so that no other
    /// one is ended. Returns whether the server was asked.
    pub async fn kill(&self, name: &str) -> bool {
        let killed = async {
            let mut conn = self.pool.lend().await?;
            let sql = "SELECT CAST(IS_USED_LOCK(?) AS SIGNED)";
            let found = query(&mut *conn, sql, params![name], usize::MAX).await?.0;
            let id = found.first().map(|row| row.opt_u64(0)).transpose()?;
            let killed = match id.flatten() {
                // KILL takes no parameters. This number comes from the server.
                Some(id) => deadline(conn.query_drop(format!("KILL {id}"))).await,
                None => Ok(()),
            };
            conn.after(killed)
        };
        let killed = killed.await;
        if let Err(error) = &killed {
            tracing::debug!(?error, "a lost database connection couldn't be killed");
        }
        killed.is_ok()
    }

    /// Calls the commit hook with what the log shows to have changed in a room after this `rev`.
    pub async fn tell_since(&self, room_id: RoomId, mut after: Rev) -> Result<(), SqlError> {
        loop {
            let script = told_script(room_id, after);
            let Some(page) = read_once(self.begin().await?, &script).await? else {
                return Ok(());
            };
            self.tell(page.events).await;
            if page.last {
                return Ok(());
            }
            after = page.upto;
        }
    }

    /// Calls the commit hook, after the beginnings of all rooms that are being created were told.
    pub async fn tell(&self, events: Vec<Event>) {
        if !events.is_empty() {
            let _told = self.beginnings.read().await;
            (self.commit_hook)(events);
        }
    }
}

/// Runs a script that only reads on a database connection in a transaction.
async fn read_once<T>(mut conn: Lent<'_>, script: &impl Script<T>) -> Result<T, SqlError> {
    match script(Conn::Mysql(&mut conn)).await {
        Ok(answer) => {
            let committed = deadline(conn.query_drop("COMMIT")).await;
            conn.after(committed.map(|()| answer))
        }
        Err(error) => undone(conn, error).await,
    }
}

/// Ends the transaction of a script that failed, with its connection where another one may do better.
pub async fn undone<T>(mut conn: Lent<'_>, error: SqlError) -> Result<T, SqlError> {
    if let SqlError::Gone(_) | SqlError::TooMuch(_) = error {
        return conn.after(Err(error));
    }
    let undone = deadline(conn.query_drop("ROLLBACK")).await;
    let _ = conn.after(undone);
    Err(error)
}
