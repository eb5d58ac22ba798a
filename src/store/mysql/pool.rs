//! The pool of database connections, for everything but the writers of the log.
//!
//! The driver's own pool isn't used. When a caller that waits in it is dropped while it is woken, or while an idle connection is
//! checked for it, that wake-up or that connection is lost, and the next caller waits for ever.
//!
//! Invariants: the number of database connections that are lent is bounded. They are lent in the order in which they were asked for, and
//! none is lost when a caller is dropped. A connection comes back only with the result of its last statement; one that is
//! dropped in the middle of anything is closed within a deadline.

use std::{
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use futures_util::future::join_all;
use mysql_async::{Conn, Opts};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::error::sql_error;
use crate::{
    limits::{DB_IDLE_MAX, STATEMENT_DEADLINE},
    store::error::SqlError,
};

pub struct Pool {
    opts: Opts,
    size: u32,
    places: Arc<Semaphore>,
    /// Those that aren't lent, the one that was used last at the end.
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    conn: Conn,
    since: Instant,
}

/// A database connection until it is given back or dropped.
pub struct Lent<'a> {
    /// `None`: given back, with its place.
    conn: Option<Conn>,
    pool: &'a Pool,
    place: Option<OwnedSemaphorePermit>,
}

impl Pool {
    /// Connects to nothing yet.
    pub fn new(opts: Opts, size: u32) -> Self {
        Self {
            opts,
            size,
            places: Arc::new(Semaphore::new(size as usize)),
            idle: Mutex::default(),
        }
    }

    /// An idle connection or a new one, within [`STATEMENT_DEADLINE`].
    pub async fn lend(&self) -> Result<Lent<'_>, SqlError> {
        let lending = async {
            let closed = |_| SqlError::Gone("the server stops".into());
            let place = self.places.clone().acquire_owned().await.map_err(closed)?;
            let conn = match self.last_used() {
                Some(conn) => conn,
                None => Conn::new(self.opts.clone()).await.map_err(sql_error)?,
            };
            Ok(Lent {
                conn: Some(conn),
                pool: self,
                place: Some(place),
            })
        };
        // Not `Gone`: a read would be retried at once, and wait at the end of the queue again.
        let late = |_| SqlError::Transient("no connection before the deadline".into());
        timeout(STATEMENT_DEADLINE, lending).await.map_err(late)?
    }

    /// The connection that was used last, if the server isn't about to close it.
    fn last_used(&self) -> Option<Conn> {
        let last = self.idle().pop()?;
        (last.since.elapsed() < DB_IDLE_MAX).then_some(last.conn)
    }

    /// Closes the connections that the server would close soon.
    pub fn prune(&self) {
        let mut idle = self.idle();
        let stale = idle.partition_point(|idle| idle.since.elapsed() >= DB_IDLE_MAX);
        idle.drain(..stale);
    }

    /// Waits for all that are lent and closes them, within [`STATEMENT_DEADLINE`]. Lends none any more.
    pub async fn close(&self) {
        let closing = async {
            let _all = self.places.acquire_many(self.size).await;
            let idle = std::mem::take(&mut *self.idle());
            join_all(idle.into_iter().map(|idle| idle.conn.disconnect())).await;
        };
        if timeout(STATEMENT_DEADLINE, closing).await.is_err() {
            tracing::warn!("some of the database's connections were cut, not closed");
        }
        self.places.close();
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lent<'_> {
    /// Gives the connection back after its last statement, or closes it where the result shows that it must not be used again. When
    /// it was lost, the idle ones are closed too.
    pub fn after<T>(mut self, answer: Result<T, SqlError>) -> Result<T, SqlError> {
        match answer {
            Err(SqlError::TooMuch(_)) => {}
            Err(SqlError::Gone(_)) => self.pool.idle().clear(),
            _ if self.pool.places.is_closed() => {}
            _ => {
                let since = Instant::now();
                let conn = self.conn.take().map(|conn| Idle { conn, since });
                self.pool.idle().extend(conn);
            }
        }
        answer
    }
}

impl Deref for Lent<'_> {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        self.conn
            .as_ref()
            .expect("a connection that isn't given back yet")
    }
}

impl DerefMut for Lent<'_> {
    fn deref_mut(&mut self) -> &mut Conn {
        self.conn
            .as_mut()
            .expect("a connection that isn't given back yet")
    }
}

impl Drop for Lent<'_> {
    /// Closes the connection. Its place is free after that.
    fn drop(&mut self) {
        if let (Some(conn), Some(place), Ok(runtime)) =
            (self.conn.take(), self.place.take(), Handle::try_current())
        {
            runtime.spawn(async move {
                let _place = place;
                timeout(STATEMENT_DEADLINE, conn.disconnect()).await
            });
        }
    }
}
