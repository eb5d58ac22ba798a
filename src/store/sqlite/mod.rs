//! SQLite: one thread that writes ([`writer`]), and connections that only read, as many as the pool
//! allows, each used by one blocking task at a time.
//!
//! Invariant: WAL with `synchronous=FULL`, read back after opening: with NORMAL a power cut takes
//! acknowledged messages along.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use rusqlite::{
    Connection, ErrorCode, OpenFlags,
    types::{ToSqlOutput, ValueRef},
};
use tokio::sync::{Semaphore, mpsc};

use super::{
    Error, Listener,
    migrate::unavailable,
    sql::{Conn, Done, Fault, Row, Script, Value},
};
use crate::limits;

mod append;
pub mod writer;

/// Prepared statements that a connection keeps.
const STATEMENTS_MAX: usize = 128;
/// Pages after which a commit moves the write-ahead log into the database: 64 MiB, so that a page that many
/// commits change is written once. A start after a crash reads as much.
const CHECKPOINT_PAGES: u32 = 16_000;
const CACHE_KIB: u32 = 32 * 1_024;
/// Steps of SQLite's machine between two looks at the clock: less than a millisecond.
const STEPS_UNWATCHED: i32 = 10_000;
/// How long a lock of another process (a migration, a backup) is waited for.
const BUSY: Duration = limits::LOCK_WAIT;

#[derive(Clone)]
pub struct Sqlite {
    readers: Arc<Readers>,
    pub writer: mpsc::Sender<writer::Command>,
}

struct Readers {
    path: PathBuf,
    /// Shared with commands that use this file: while one is up, nobody deletes it all.
    served: File,
    /// Those that nobody reads by now; opened on demand.
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

/// A file beside the database's, whose lock tells who uses it.
fn lock_file(path: &Path, suffix: &str) -> Result<File, Error> {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(name);
    file.map_err(unavailable)
}

/// Takes a lock for as long as the answer lives.
fn locked(path: &Path, suffix: &str, held: &str) -> Result<File, Error> {
    let file = lock_file(path, suffix)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => Err(Error::Unavailable(held.into())),
    }
}

/// Makes sure that no server uses the database, for as long as the answer lives.
pub fn unserved(path: &Path) -> Result<File, Error> {
    locked(path, USED, "a server uses this database: stop it first")
}

/// Makes sure that no other server uses the database: what one commits, the other's connections would hear
/// late.
pub fn only_server(path: &Path) -> Result<File, Error> {
    let held = "another server uses this file: stop it first, or keep the data in MySQL or MariaDB, which serve several";
    locked(path, SERVER, held)
}

/// Locked by all who use the database, and by its one server.
const USED: &str = "-served";
const SERVER: &str = "-server";

impl Sqlite {
    /// Opens a database that is migrated, and starts the writer.
    pub fn open(path: &Path, readers: usize, listener: Listener) -> Result<Self, Error> {
        let served = lock_file(path, USED)?;
        served.lock_shared().map_err(unavailable)?;
        let conn = open_writer(path)?;
        let writer = writer::spawn(path.to_owned(), conn, listener)?;
        let readers = Readers {
            path: path.to_owned(),
            served,
            idle: Mutex::new(Vec::new()),
            permits: Arc::new(Semaphore::new(readers.max(1))),
        };
        Ok(Self {
            readers: Arc::new(readers),
            writer,
        })
    }

    /// Runs a script on one snapshot of the database.
    pub async fn read<T: Send + 'static>(&self, script: impl Script<T>) -> Result<T, Fault> {
        self.with_reader(move |conn| {
            conn.execute_batch("BEGIN").map_err(fault)?;
            let answer = run(&script, conn);
            // Nothing was written: however it ends, the next BEGIN must find no transaction.
            conn.execute_batch("ROLLBACK").map_err(fault)?;
            answer
        })
        .await
    }

    pub async fn query(
        &self,
        sql: String,
        params: Vec<Value>,
        bytes_max: usize,
    ) -> Result<(Vec<Row>, bool), Fault> {
        self.with_reader(move |conn| query(conn, &sql, &params, bytes_max))
            .await
    }

    async fn with_reader<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let closed = |_| Fault::Transient("the database is closed".into());
        let permit = self.readers.permits.clone().acquire_owned();
        let permit = permit.await.map_err(closed)?;
        let readers = self.readers.clone();
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let mut conn = match readers.idle().pop() {
                Some(conn) => conn,
                None => open_reader(&readers.path)?,
            };
            set_deadline(&mut conn)?;
            let answer = work(&mut conn);
            if conn.is_autocommit() {
                readers.idle().push(conn);
            }
            answer
        });
        task.await
            .unwrap_or_else(|error| Err(Fault::Refused(error.to_string())))
    }

    /// Ends the readers; the writer ends by itself when its queue is closed.
    pub fn close_readers(&self) {
        self.readers.permits.close();
        self.readers.idle().clear();
        // A lock that can't be given up ends with the process.
        let _ = self.readers.served.unlock();
    }
}

impl Readers {
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a script in this thread: on SQLite its futures never wait.
pub fn run<T>(script: &impl Script<T>, conn: &mut Connection) -> Result<T, Fault> {
    let waits = || Fault::Refused("a script for SQLite waited".into());
    script(Conn::Sqlite(conn))
        .now_or_never()
        .ok_or_else(waits)?
}

/// The connection that writes, its durability asserted.
pub fn open_writer(path: &Path) -> Result<Connection, Error> {
    let unavailable = |error| Error::Unavailable(format!("{}: {error}", path.display()));
    let conn = Connection::open(path).map_err(unavailable)?;
    conn.busy_timeout(BUSY).map_err(unavailable)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    let mode: String = conn
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
        .map_err(unavailable)?;
    // fullfsync: where fsync alone doesn't reach the disk (macOS); elsewhere it does nothing.
    conn.execute_batch(&format!(
        "PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON;
         PRAGMA secure_delete = ON; PRAGMA foreign_keys = ON; PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES};
         PRAGMA cache_size = -{CACHE_KIB}; PRAGMA journal_size_limit = 67108864;"
    ))
    .map_err(unavailable)?;
    let pragma = |name: &str| conn.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0));
    let synchronous: i64 = pragma("synchronous").map_err(unavailable)?;
    let foreign_keys: i64 = pragma("foreign_keys").map_err(unavailable)?;
    // What is deleted is overwritten, not only unlinked: a deleted text isn't in the file any more.
    let secure_delete: i64 = pragma("secure_delete").map_err(unavailable)?;
    if mode != "wal" || synchronous != 2 || foreign_keys != 1 || secure_delete != 1 {
        return Err(Error::Broken(format!(
            "{}: journal_mode is {mode}, synchronous {synchronous}, foreign_keys {foreign_keys}, secure_delete \
             {secure_delete}, where wal, 2, 1 and 1 are needed to keep what was acknowledged and nothing else",
            path.display()
        )));
    }
    Ok(conn)
}

fn open_reader(path: &Path) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(fault)?;
    conn.busy_timeout(BUSY).map_err(fault)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    conn.execute_batch("PRAGMA query_only = ON")
        .map_err(fault)?;
    Ok(conn)
}

/// What is read from now on ends at [`limits::STATEMENT_DEADLINE`] with a fault that passes.
fn set_deadline(conn: &mut Connection) -> Result<(), Fault> {
    let end = Instant::now() + limits::STATEMENT_DEADLINE;
    let late = move || Instant::now() >= end;
    conn.progress_handler(STEPS_UNWATCHED, Some(late))
        .map_err(fault)
}

/// Rows, until their texts exceed `bytes_max`, and whether more were left.
pub fn query(
    conn: &Connection,
    sql: &str,
    params: &[Value],
    bytes_max: usize,
) -> Result<(Vec<Row>, bool), Fault> {
    let mut statement = conn.prepare_cached(sql).map_err(fault)?;
    let columns = statement.column_count();
    let params = rusqlite::params_from_iter(params);
    let mut answer = statement.query(params).map_err(fault)?;
    let (mut rows, mut bytes) = (Vec::new(), 0);
    while let Some(row) = answer.next().map_err(fault)? {
        if bytes > bytes_max {
            return Ok((rows, true));
        }
        let mut values = Vec::with_capacity(columns);
        for column in 0..columns {
            values.push(value(row.get_ref(column).map_err(fault)?)?);
        }
        bytes += values.iter().map(Value::heap_bytes).sum::<usize>();
        rows.push(Row(values));
    }
    Ok((rows, false))
}

pub fn execute(conn: &Connection, sql: &str, params: &[Value]) -> Result<Done, Fault> {
    let mut statement = conn.prepare_cached(sql).map_err(fault)?;
    let params = rusqlite::params_from_iter(params);
    statement.execute(params).map_err(fault)?;
    Ok(Done {
        last_id: u64::try_from(conn.last_insert_rowid()).unwrap_or(0),
    })
}

fn value(value: ValueRef<'_>) -> Result<Value, Fault> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(int) => Value::Int(int),
        ValueRef::Text(text) => Value::Text(
            String::from_utf8(text.to_vec())
                .map_err(|_| Fault::Refused("a text isn't UTF-8".into()))?,
        ),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
        ValueRef::Real(_) => return Err(Fault::Refused("a column holds a float".into())),
    })
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Int(int) => ValueRef::Integer(*int),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// Sorts SQLite's errors by what the caller can do (<https://sqlite.org/rescode.html>).
pub fn fault(error: rusqlite::Error) -> Fault {
    let rusqlite::Error::SqliteFailure(code, message) = &error else {
        return Fault::Refused(error.to_string());
    };
    if code.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE {
        // "UNIQUE constraint failed: users.username_key": names of ours, not values.
        return Fault::Unique(message.clone().unwrap_or_default());
    }
    match code.code {
        ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::OperationInterrupted
        | ErrorCode::OperationAborted
        | ErrorCode::OutOfMemory
        | ErrorCode::ReadOnly
        | ErrorCode::SystemIoFailure
        | ErrorCode::DiskFull
        | ErrorCode::CannotOpen
        | ErrorCode::SchemaChanged => Fault::Transient(error.to_string()),
        _ => Fault::Refused(error.to_string()),
    }
}
