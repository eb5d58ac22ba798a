//! Connections that are lent: one to each who reads, or writes anything but an append.
//!
//! The driver's own pool isn't used: when who waits in it goes away while they are woken, or while a resting connection is
//! checked for them, that wake or that connection is lost, and whoever asks next waits for ever.
//!
//! Invariants: at most so many connections are lent; they are given in the order in which they were asked for, and
//! nothing is lost when who asks goes away; one comes back only from who says what its last statement gave, and is
//! closed, within a deadline, when it is dropped in the middle of anything.

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

use super::fault;
use crate::{
    limits::{SESSION_REST, STATEMENT_DEADLINE},
    store::sql::Fault,
};

pub struct Pool {
    opts: Opts,
    size: u32,
    places: Arc<Semaphore>,
    /// The one that was used last stands last.
    resting: Mutex<Vec<Resting>>,
}

struct Resting {
    conn: Conn,
    since: Instant,
}

/// A connection, until it is given back or dropped.
pub struct Lent<'a> {
    /// `None`: given back, its place, too.
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
            resting: Mutex::default(),
        }
    }

    /// A connection that rests, or a new one, within [`STATEMENT_DEADLINE`].
    pub async fn lend(&self) -> Result<Lent<'_>, Fault> {
        let lending = async {
            let closed = |_| Fault::Gone("the server stops".into());
            let place = self.places.clone().acquire_owned().await.map_err(closed)?;
            let conn = match self.rested() {
                Some(conn) => conn,
                None => Conn::new(self.opts.clone()).await.map_err(fault)?,
            };
            Ok(Lent {
                conn: Some(conn),
                pool: self,
                place: Some(place),
            })
        };
        // Not `Gone`: a read would be repeated at once, and wait at the end of the queue again.
        let late = |_| Fault::Transient("no connection before the deadline".into());
        timeout(STATEMENT_DEADLINE, lending).await.map_err(late)?
    }

    /// The one that was used last, if the server isn't about to end it.
    fn rested(&self) -> Option<Conn> {
        let last = self.resting().pop()?;
        (last.since.elapsed() < SESSION_REST).then_some(last.conn)
    }

    /// Closes those that the server would end soon.
    pub fn prune(&self) {
        let mut resting = self.resting();
        let rested = resting.partition_point(|resting| resting.since.elapsed() >= SESSION_REST);
        resting.drain(..rested);
    }

    /// Waits for all that are lent, then closes them, all within [`STATEMENT_DEADLINE`]; lends none any more.
    pub async fn close(&self) {
        let closing = async {
            let _all = self.places.acquire_many(self.size).await;
            let resting = std::mem::take(&mut *self.resting());
            join_all(resting.into_iter().map(|rests| rests.conn.disconnect())).await;
        };
        if timeout(STATEMENT_DEADLINE, closing).await.is_err() {
            tracing::warn!("some of the database's connections were cut, not closed");
        }
        self.places.close();
    }

    fn resting(&self) -> MutexGuard<'_, Vec<Resting>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lent<'_> {
    /// Gives the connection back after its last statement, or closes it where that shows that it isn't to be used
    /// again. When it is gone, those that rest are not trusted either.
    pub fn after<T>(mut self, answer: Result<T, Fault>) -> Result<T, Fault> {
        match answer {
            Err(Fault::TooMuch(_)) => {}
            Err(Fault::Gone(_)) => self.pool.resting().clear(),
            _ if self.pool.places.is_closed() => {}
            _ => {
                let since = Instant::now();
                let conn = self.conn.take().map(|conn| Resting { conn, since });
                self.pool.resting().extend(conn);
            }
        }
        answer
    }
}

impl Deref for Lent<'_> {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        self.conn.as_ref().expect("it isn't given back yet")
    }
}

impl DerefMut for Lent<'_> {
    fn deref_mut(&mut self) -> &mut Conn {
        self.conn.as_mut().expect("it isn't given back yet")
    }
}

impl Drop for Lent<'_> {
    /// Its place is free when it is closed.
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
