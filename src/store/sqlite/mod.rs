//! SQLite: one thread that writes ([`writer`]), and connections that only read, as many as the pool
//! allows, each used by one blocking task at a time.
//!
//! Invariant: WAL with `synchronous=FULL`, read back after opening: with NORMAL a power cut takes
//! acknowledged messages along.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, fcntl},
    libc,
};
use rusqlite::{
    Connection, ErrorCode, OpenFlags,
    types::{ToSqlOutput, ValueRef},
};
use tokio::{
    sync::{Semaphore, mpsc},
    time::timeout,
};

use self::files::Files;
use super::{
    Error, Listener,
    migrate::unavailable,
    sql::{Conn, Done, Fault, Row, Script, Value},
};
use crate::limits;

mod append;
mod disk;
mod files;
pub mod writer;

pub use files::open_all;

/// Prepared statements that a connection keeps.
const STATEMENTS_MAX: usize = 128;
/// Pages after which a commit moves the write-ahead log into the database: 64 MiB, so that a page that many
/// commits change is written once. A start after a crash reads as much.
const CHECKPOINT_PAGES: u32 = 16_000;
const CACHE_KIB: u32 = 32 * 1_024;
/// Steps of SQLite's machine between two looks at the clock: less than a millisecond.
pub const STEPS_UNWATCHED: i32 = 10_000;
/// How long a lock of another process (a migration, a backup) is waited for.
const BUSY: Duration = limits::LOCK_WAIT;

#[derive(Clone)]
pub struct Sqlite {
    readers: Arc<Readers>,
    pub writer: mpsc::Sender<writer::Command>,
    files: Arc<Files>,
}

struct Readers {
    path: PathBuf,
    files: Arc<Files>,
    /// Shared with commands that use this file: while one is up, nobody deletes it all.
    used: File,
    /// Those that nobody reads by now; opened on demand.
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

/// The name of a file that belongs to another one, as `hearth.db-wal` does to `hearth.db`.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The file that a path leads to, or would: by whatever name it is reached, it is one.
fn resolved(path: &Path) -> PathBuf {
    let whole = path.canonicalize().ok().or_else(|| {
        let directory = path.parent()?.canonicalize().ok()?;
        Some(directory.join(path.file_name()?))
    });
    whole.unwrap_or_else(|| path.to_owned())
}

/// A file beside the database's, whose lock tells who uses it.
pub fn lock_file(path: &Path, suffix: &str) -> Result<File, Error> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(unavailable)?;
    }
    let name = beside(&resolved(path), suffix);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&name);
    let file = file.map_err(unavailable)?;
    // SQLite locks in this way, and would call it "locked" where there are no locks.
    let whole = libc::flock {
        l_type: libc::F_WRLCK as _,
        l_whence: libc::SEEK_SET as _,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    match fcntl(&file, FcntlArg::F_SETLK(&whole)) {
        Ok(_) | Err(Errno::EAGAIN | Errno::EACCES | Errno::EINTR) => Ok(file),
        Err(error) => Err(no_locks(path, error)),
    }
}

fn no_locks(path: &Path, error: impl std::fmt::Display) -> Error {
    let directory = path.parent().unwrap_or(path).display();
    Error::Unavailable(format!(
        "the file system of {directory} has no locks ({error}), without which two programs may write at once: keep the \
         database on a local disk, or in MariaDB or MySQL"
    ))
}

/// Fails where the file system that the database is on, or will be, has no locks.
pub fn lockable(path: &Path) -> Result<(), Error> {
    let name = "-tried";
    let tried = locked(path, name, "somebody tries the locks just now");
    // What can't be removed says what it is.
    let _ = std::fs::remove_file(beside(path, name));
    tried.map(drop)
}

/// Takes a lock for as long as the answer lives.
fn locked(path: &Path, suffix: &str, held: &str) -> Result<File, Error> {
    let file = lock_file(path, suffix)?;
    taken(path, file.try_lock(), held)?;
    Ok(file)
}

fn taken(path: &Path, lock: Result<(), TryLockError>, held: &str) -> Result<(), Error> {
    match lock {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(Error::Unavailable(held.into())),
        Err(TryLockError::Error(error)) => Err(no_locks(path, error)),
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

/// Makes sure that nobody changes the database's schema, for as long as the answer lives.
pub fn unmigrated(path: &Path) -> Result<File, Error> {
    let held = "the database is being migrated: wait until that is done";
    locked(path, MIGRATE, held)
}

/// Keeps the database in its place for as long as the answer lives: whoever would replace it or delete it all is refused.
pub fn used(path: &Path) -> Result<File, Error> {
    let file = lock_file(path, USED)?;
    let held = "the database is being reset or restored: wait until that is done";
    taken(path, file.try_lock_shared(), held)?;
    Ok(file)
}

/// Locked by all who use the database, by its one server, and by who migrates it.
const USED: &str = "-served";
const SERVER: &str = "-server";
pub const MIGRATE: &str = "-migrate";
/// The files beside a database that are there for their locks.
pub const LOCKS: [&str; 3] = [USED, SERVER, MIGRATE];
/// What is about to take the database's place. While it is there, so that a restore was interrupted, nothing is opened.
pub const RESTORED: &str = "-restored";

impl Sqlite {
    /// Opens a database that is migrated, and starts the writer. `used`: since before it was migrated.
    pub fn open(
        path: &Path,
        used: File,
        readers: usize,
        listener: Listener,
    ) -> Result<Self, Error> {
        let conn = open_writer(path)?;
        let files = Arc::new(Files::of(path, &conn)?);
        let writer = writer::spawn(path.to_owned(), conn, files.clone(), listener)?;
        let readers = Readers {
            path: path.to_owned(),
            files: files.clone(),
            used,
            idle: Mutex::new(Vec::new()),
            permits: Arc::new(Semaphore::new(readers.max(1))),
        };
        Ok(Self {
            readers: Arc::new(readers),
            writer,
            files,
        })
    }

    /// Whether what is written is stored.
    pub fn stores(&self) -> Result<(), Error> {
        if self.writer.is_closed() {
            return Err(Error::Unavailable("the log has ended".into()));
        }
        let why = self.files.wrong().map_or(Ok(()), Err);
        let why = why.and_then(|()| self.files.are_there().map(drop));
        why.map_err(Error::Down)
    }

    /// Has the writer look at the database's files. One that is at work does so by itself.
    pub fn look(&self) {
        if self.writer.capacity() == self.writer.max_capacity() {
            let _ = self.writer.try_send(writer::Command::Look);
        }
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
        self.files.are_readable().map_err(Fault::Moved)?;
        let closed = |_| Fault::Transient("the database is closed".into());
        let late = |_| Fault::Transient("no connection before the deadline".into());
        let permit = self.readers.permits.clone().acquire_owned();
        let permit = timeout(limits::STATEMENT_DEADLINE, permit)
            .await
            .map_err(late)?;
        let permit = permit.map_err(closed)?;
        let readers = self.readers.clone();
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let mut conn = match readers.idle().pop() {
                Some(conn) => conn,
                None => readers.open()?,
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
        let _ = self.readers.used.unlock();
    }
}

impl Readers {
    /// One more reader. It is of the file that was opened, or none: what has its name now may be another database, or lack
    /// its log.
    fn open(&self) -> Result<Connection, Fault> {
        let conn = open_reader(&self.path)?;
        files::open_all(&conn).map_err(fault)?;
        self.files.are_there().map_err(Fault::Moved)?;
        Ok(conn)
    }

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

/// Fails where a restore was interrupted after it had begun to replace files.
pub fn whole(path: &Path) -> Result<(), Error> {
    match beside(path, RESTORED).symlink_metadata() {
        Err(_) => Ok(()),
        Ok(_) => Err(Error::Unavailable(format!(
            "a restore of {} was interrupted: run `hearth restore` again",
            path.display()
        ))),
    }
}

/// The connection that writes, its durability asserted.
pub fn open_writer(path: &Path) -> Result<Connection, Error> {
    whole(path)?;
    let unavailable = |error: rusqlite::Error| {
        let busy = error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy);
        match lockable(path) {
            Err(no_locks) if busy => no_locks,
            _ => Error::Unavailable(format!("{}: {error}", path.display())),
        }
    };
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

/// A connection that only reads, of a database that may be in use.
pub fn open_reader_of(path: &Path) -> Result<Connection, Error> {
    whole(path)?;
    Ok(open_reader(path)?)
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

/// A write that found no room: what it belonged to isn't stored, for sure.
pub fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
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
        | ErrorCode::SchemaChanged => Fault::Transient(error.to_string()),
        ErrorCode::ReadOnly
        | ErrorCode::SystemIoFailure
        | ErrorCode::DiskFull
        | ErrorCode::CannotOpen => Fault::Disk(format!("{error} ({})", code.extended_code)),
        _ => Fault::Refused(error.to_string()),
    }
}
