//! MySQL 8 and MariaDB from 10.6: two connections that append ([`appender`]), each owning the rooms of
//! one parity, and a pool for everything else.
//!
//! Invariants: no statement and no connect waits without a deadline; every session runs at READ
//! COMMITTED, where a statement after a lock was granted sees all that was committed before; a COMMIT
//! without an answer is never taken for a failure; a client that vanishes holds no lock for longer than the server is told
//! to wait for it.

use std::{
    sync::{Arc, Weak, atomic::AtomicBool},
    time::Duration,
};

use mysql_async::{Opts, OptsBuilder, PoolConstraints, PoolOpts, prelude::Queryable};
use tokio::{
    sync::{RwLock, mpsc},
    time::{Instant, sleep, timeout},
};

use super::{
    Error, Event, Listener, Result,
    sql::{Conn, Done, Fault, Row, Script, Value, params},
};
use crate::{
    limits::{
        APPEND_DEADLINE, LOCK_WAIT, SESSION_REST, SESSION_WAIT, STATEMENT_DEADLINE,
        TRANSACTION_WAIT,
    },
    protocol::{Rev, RoomId},
    store::telemetry,
};

mod append;
pub mod appender;
mod fault;
pub mod lists;
mod pool;
mod session;
pub mod settings;

pub use self::fault::fault;
use self::pool::{Lent, Pool};

/// Connections that append. A room belongs to the one of its id's remainder, so that its changes
/// keep their order and two transactions of this process never wait for each other's rooms.
pub const APPENDERS: usize = 2;
/// Prepared statements that a connection keeps.
const STATEMENTS_MAX: usize = 128;
/// How often a read is tried before its fault is told.
const READS_MAX: usize = 3;

#[derive(Clone)]
pub struct Mysql {
    shared: Arc<Shared>,
    pub appenders: [mpsc::Sender<appender::Command>; APPENDERS],
}

struct Shared {
    pool: Pool,
    listener: Listener,
    /// Held exclusively from a new room's COMMIT until its events are told: appenders tell under a
    /// shared hold, so that nothing is told of a room before its beginning.
    beginnings: RwLock<()>,
    closing: AtomicBool,
}

/// Options from the URL, with what Hearth relies on. `init` comes on top of the session's settings.
pub fn options(url: &str, init: &[&str]) -> Result<OptsBuilder> {
    let bad = |error: mysql_async::UrlError| Error::Unavailable(format!("database URL: {error}"));
    let mut statements = vec![
        "SET NAMES utf8mb4 COLLATE utf8mb4_bin".to_owned(),
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED".to_owned(),
        format!(
            "SET SESSION innodb_lock_wait_timeout = {}, time_zone = '+00:00', wait_timeout = {}, \
             sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO' \
             /*M! , idle_transaction_timeout = {} */",
            LOCK_WAIT.as_secs(),
            SESSION_WAIT.as_secs(),
            TRANSACTION_WAIT.as_secs(),
        ),
    ];
    statements.extend(init.iter().map(|statement| (*statement).to_owned()));
    // For the migrations: one connection, which keeps its locks.
    let pool = PoolOpts::new()
        .with_constraints(PoolConstraints::new(1, 1).unwrap_or_default())
        .with_reset_connection(false);
    Ok(OptsBuilder::from_opts(Opts::from_url(url).map_err(bad)?)
        .init(statements)
        .pool_opts(pool)
        .stmt_cache_size(STATEMENTS_MAX)
        .tcp_keepalive(Some(Duration::from_secs(30)))
        // Else a TCP connection to this machine silently becomes one to a socket file.
        .prefer_socket(false))
}

impl Mysql {
    /// Connects to a database that is migrated, and starts the appenders.
    pub fn open(url: &str, connections: usize, listener: Listener) -> Result<Self> {
        let opts = Opts::from(options(url, &[])?);
        let shared = Arc::new(Shared {
            pool: Pool::new(opts, connections as u32),
            listener,
            beginnings: RwLock::new(()),
            closing: AtomicBool::new(false),
        });
        // Without autocommit a transaction begins with its first statement: one round trip less.
        let opts = Opts::from(options(url, &["SET SESSION autocommit = 0"])?);
        let appenders = appender::spawn(&opts, &shared);
        tokio::spawn(prune(Arc::downgrade(&shared)));
        Ok(Self { shared, appenders })
    }

    pub fn appender(&self, room_id: RoomId) -> &mpsc::Sender<appender::Command> {
        &self.appenders[(room_id.0 % APPENDERS as u64) as usize]
    }

    pub async fn query(
        &self,
        sql: String,
        params: Vec<Value>,
        bytes_max: usize,
    ) -> Result<(Vec<Row>, bool), Fault> {
        let mut tries = 0;
        loop {
            tries += 1;
            let answer = async {
                let mut conn = self.shared.pool.lend().await?;
                let found = query(&mut *conn, &sql, params.clone(), bytes_max).await;
                conn.after(found)
            };
            match answer.await {
                Err(Fault::Gone(_)) if tries < READS_MAX => {}
                answer => return answer,
            }
        }
    }

    /// Runs a script that only reads in a transaction of its own.
    pub async fn read<T: Send + 'static>(&self, script: impl Script<T>) -> Result<T, Fault> {
        self.shared.read(&script).await
    }

    /// Runs a script that writes, then tells its events. It goes on when the asker goes away: what
    /// was committed must be told.
    pub async fn write<T: Send + 'static>(
        &self,
        script: impl Script<(T, Vec<Event>)>,
    ) -> Result<Result<T, Fault>> {
        let this = self.clone();
        let task = tokio::spawn(async move { this.write_to_end(script).await });
        task.await
            .unwrap_or_else(|error| Err(Error::Unknown(error.to_string())))
    }

    async fn write_to_end<T: Send + 'static>(
        &self,
        script: impl Script<(T, Vec<Event>)>,
    ) -> Result<Result<T, Fault>> {
        let end = Instant::now() + APPEND_DEADLINE;
        let mut pause = Duration::from_millis(5);
        loop {
            let attempt = async {
                let mut conn = self.shared.begin().await?;
                match script(Conn::Mysql(&mut conn)).await {
                    Ok(written) => Ok((conn, written)),
                    Err(fault) => undone(conn, fault).await,
                }
            };
            match attempt.await {
                Ok((conn, (value, events))) => return self.commit(conn, value, events).await,
                Err(fault) if fault.passes() => {
                    let late = Instant::now() + pause >= end;
                    if late || matches!(fault, Fault::TooMuch(_)) {
                        return Err(fault.into());
                    }
                    telemetry::retried("pool");
                    sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_millis(500));
                }
                Err(fault) => return Ok(Err(fault)),
            }
        }
    }

    async fn commit<T>(
        &self,
        mut conn: Lent<'_>,
        value: T,
        events: Vec<Event>,
    ) -> Result<Result<T, Fault>> {
        let _beginning = match events.is_empty() {
            true => None,
            false => Some(self.shared.beginnings.write().await),
        };
        let committed = deadline(conn.query_drop("COMMIT")).await;
        match conn.after(committed) {
            Ok(()) => {
                if !events.is_empty() {
                    (self.shared.listener)(events);
                }
                Ok(Ok(value))
            }
            Err(fault) => {
                let cause = fault.cause();
                telemetry::unknown("pool", 1);
                tracing::error!(error = cause, "the outcome of a commit is unknown");
                if let Some(first) = events.first() {
                    let lost = appender::Command::TellSince(first.room_id, first.prev);
                    let appender = self.appender(first.room_id).clone();
                    tokio::spawn(async move { appender.send(lost).await });
                }
                Err(Error::Unknown(cause))
            }
        }
    }

    /// Set before the appenders are closed: from then on none waits for a database that is away.
    pub fn closing(&self) -> &AtomicBool {
        &self.shared.closing
    }

    pub async fn close_pool(&self) {
        self.shared.pool.close().await;
    }
}

/// Closes connections that rest, for as long as the database is open.
async fn prune(shared: Weak<Shared>) {
    loop {
        sleep(SESSION_REST / 2).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        shared.pool.prune();
    }
}

impl Shared {
    /// A connection in a transaction.
    async fn begin(&self) -> Result<Lent<'_>, Fault> {
        let mut conn = self.pool.lend().await?;
        match connection(conn.query_drop("START TRANSACTION")).await {
            Ok(()) => Ok(conn),
            Err(fault) => conn.after(Err(fault)),
        }
    }

    async fn read<T>(&self, script: &impl Script<T>) -> Result<T, Fault> {
        let mut tries = 0;
        loop {
            tries += 1;
            let answer = match self.begin().await {
                Ok(conn) => read_once(conn, script).await,
                // There was no connection before the deadline. A repetition would wait as long again.
                Err(late @ Fault::Transient(_)) => return Err(late),
                Err(fault) => Err(fault),
            };
            match answer {
                Err(Fault::Transient(_) | Fault::Gone(_)) if tries < READS_MAX => {
                    sleep(Duration::from_millis(5)).await;
                }
                answer => return answer,
            }
        }
    }

    /// Ends a session that may hold locks although its other end is gone: the one that holds the lock of this name, so
    /// that nobody else is hit. Whether the server was asked.
    async fn kill(&self, name: &str) -> bool {
        let killed = async {
            let mut conn = self.pool.lend().await?;
            let sql = "SELECT CAST(IS_USED_LOCK(?) AS SIGNED)";
            let found = query(&mut *conn, sql, params![name], usize::MAX).await?.0;
            let id = found.first().map(|row| row.opt_u64(0)).transpose()?;
            let killed = match id.flatten() {
                // KILL takes no parameters; this one is the server's number.
                Some(id) => deadline(conn.query_drop(format!("KILL {id}"))).await,
                None => Ok(()),
            };
            conn.after(killed)
        };
        let killed = killed.await;
        if let Err(fault) = &killed {
            tracing::debug!(?fault, "a lost connection couldn't be killed");
        }
        killed.is_ok()
    }
}

/// For those who don't repeat a statement, however it failed.
pub fn unavailable(error: mysql_async::Error) -> Error {
    Error::Unavailable(fault(error).cause())
}

/// Runs a script that only reads on a connection in a transaction.
async fn read_once<T>(mut conn: Lent<'_>, script: &impl Script<T>) -> Result<T, Fault> {
    match script(Conn::Mysql(&mut conn)).await {
        Ok(answer) => {
            let committed = deadline(conn.query_drop("COMMIT")).await;
            conn.after(committed.map(|()| answer))
        }
        Err(fault) => undone(conn, fault).await,
    }
}

/// Gives up the transaction of a script that failed, and its connection where another one may do better.
async fn undone<T>(mut conn: Lent<'_>, fault: Fault) -> Result<T, Fault> {
    if let Fault::Gone(_) | Fault::TooMuch(_) = fault {
        return conn.after(Err(fault));
    }
    let undone = deadline(conn.query_drop("ROLLBACK")).await;
    let _ = conn.after(undone);
    Err(fault)
}

/// A call of the driver, with its error sorted and under the statement's deadline.
async fn deadline<T>(call: impl Future<Output = mysql_async::Result<T>>) -> Result<T, Fault> {
    match timeout(STATEMENT_DEADLINE, call).await {
        Ok(answer) => answer.map_err(fault),
        Err(_) => Err(Fault::TooMuch("no answer before the deadline".into())),
    }
}

/// As [`deadline`], for what gives a connection: when none comes in time, it isn't because too much was asked.
async fn connection<T>(call: impl Future<Output = mysql_async::Result<T>>) -> Result<T, Fault> {
    deadline(call).await.map_err(|fault| match fault {
        Fault::TooMuch(cause) => Fault::Gone(cause),
        fault => fault,
    })
}

/// Rows, until their texts exceed `bytes_max`, and whether more were left.
pub async fn query(
    conn: &mut impl Queryable,
    sql: &str,
    params: Vec<Value>,
    bytes_max: usize,
) -> Result<(Vec<Row>, bool), Fault> {
    let (mut rows, mut bytes, mut cut) = (Vec::new(), 0, false);
    deadline(async {
        let mut answer = conn.exec_iter(sql, parameters(params)).await?;
        while let Some(row) = answer.next().await? {
            if bytes > bytes_max {
                cut = true;
                break;
            }
            let row: Vec<Value> = row.unwrap().into_iter().map(value).collect();
            bytes += row.iter().map(Value::heap_bytes).sum::<usize>();
            rows.push(Row(row));
        }
        // What is left is read and thrown away, a row at a time.
        answer.drop_result().await
    })
    .await?;
    Ok((rows, cut))
}

/// The largest packet that the server takes from this connection, in bytes.
pub async fn packet(conn: &mut impl Queryable) -> Result<usize, Fault> {
    let sql = "SELECT CAST(@@max_allowed_packet AS SIGNED)";
    let found = query(conn, sql, Vec::new(), usize::MAX).await?.0;
    let none = || Fault::Refused("no variables".into());
    Ok(found.first().ok_or_else(none)?.u64(0)? as usize)
}

pub async fn execute(
    conn: &mut impl Queryable,
    sql: &str,
    params: Vec<Value>,
) -> Result<Done, Fault> {
    let last_id = deadline(async {
        let answer = conn.exec_iter(sql, parameters(params)).await?;
        let last_id = answer.last_insert_id();
        answer.drop_result().await?;
        Ok(last_id)
    })
    .await?;
    Ok(Done {
        last_id: last_id.unwrap_or(0),
    })
}

fn parameters(params: Vec<Value>) -> mysql_async::Params {
    if params.is_empty() {
        return mysql_async::Params::Empty;
    }
    let value = |value| match value {
        Value::Null => mysql_async::Value::NULL,
        Value::Int(int) => mysql_async::Value::Int(int),
        Value::Text(text) => mysql_async::Value::Bytes(text.into_bytes()),
        Value::Blob(bytes) => mysql_async::Value::Bytes(bytes),
    };
    mysql_async::Params::Positional(params.into_iter().map(value).collect())
}

/// Text comes as bytes; what no table of ours holds (floats, dates) is shown as text.
fn value(value: mysql_async::Value) -> Value {
    match value {
        mysql_async::Value::NULL => Value::Null,
        mysql_async::Value::Bytes(bytes) => Value::Blob(bytes),
        mysql_async::Value::Int(int) => Value::Int(int),
        mysql_async::Value::UInt(int) => Value::Int(int.cast_signed()),
        other => Value::Text(other.as_sql(true)),
    }
}

/// What the log shows after a head, told page by page.
async fn tell_since(shared: &Shared, room_id: RoomId, mut after: Rev) -> Result<(), Fault> {
    loop {
        let script = super::log::told_script(room_id, after);
        let Some(page) = read_once(shared.begin().await?, &script).await? else {
            return Ok(());
        };
        if !page.events.is_empty() {
            let _told = shared.beginnings.read().await;
            (shared.listener)(page.events);
        }
        if page.last {
            return Ok(());
        }
        after = page.upto;
    }
}
