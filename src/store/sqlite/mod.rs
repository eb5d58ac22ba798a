//! SQLite: one thread that writes ([`writer`]), and a pool of database connections that only read, each used by one blocking task at a
//! time.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use rusqlite::Connection;
use tokio::{
    sync::{Semaphore, mpsc},
    time::timeout,
};

use self::{
    error::sql_error,
    files::Files,
    open::{open_reader, open_writer},
};
use super::{
    connection::{Script, run},
    error::{Error, SqlError},
    event::CommitHook,
    values::{Row, Value},
};
use crate::limits;

mod batch;
mod disk;
mod error;
pub mod files;
pub mod jobs;
pub mod locks;
pub mod open;
pub mod statements;
pub mod writer;

/// Steps of SQLite's virtual machine between two looks at the clock: less than a millisecond.
pub const STEPS_UNWATCHED: i32 = 10_000;

#[derive(Clone)]
pub struct Sqlite {
    readers: Arc<Readers>,
    pub writer: mpsc::Sender<writer::Command>,
    files: Arc<Files>,
}

struct Readers {
    path: PathBuf,
    files: Arc<Files>,
    /// The lock that keeps the database in its place.
    used: File,
    /// Connections that nobody uses now. All are opened at the start: a file that has lost its name can be read by those alone.
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Sqlite {
    /// Opens a database that is migrated, and starts the writer. `used`: the lock of [`locks::used`], taken before the migration.
    pub fn open(
        path: &Path,
        used: File,
        readers: usize,
        commit_hook: CommitHook,
    ) -> Result<Self, Error> {
        let conn = open_writer(path)?;
        let files = Arc::new(Files::of(path, &conn)?);
        let writer = writer::spawn(path.to_owned(), conn, files.clone(), commit_hook)?;
        let count = readers.max(1);
        let readers = Readers {
            path: path.to_owned(),
            files: files.clone(),
            used,
            idle: Mutex::new(Vec::new()),
            permits: Arc::new(Semaphore::new(count)),
        };
        for _ in 0..count {
            let conn = readers.open()?;
            readers.idle().push(conn);
        }
        Ok(Self {
            readers: Arc::new(readers),
            writer,
            files,
        })
    }

    /// Whether the writer runs, and the files are those that were opened.
    pub fn stores(&self) -> Result<(), Error> {
        if self.writer.is_closed() {
            return Err(Error::Unavailable("the log has ended".into()));
        }
        if let Some(why) = self.files.wrong() {
            return Err(Error::Down(why));
        }
        self.files.are_there().map(drop).map_err(Error::Down)
    }

    /// Has the writer look at the database's files. A writer that is at work does so by itself.
    pub fn look(&self) {
        if self.writer.capacity() == self.writer.max_capacity() {
            let _ = self.writer.try_send(writer::Command::Look);
        }
    }

    /// Runs a script on one snapshot of the database.
    pub async fn read<T: Send + 'static>(&self, script: impl Script<T>) -> Result<T, SqlError> {
        self.with_reader(move |conn| {
            conn.execute_batch("BEGIN").map_err(sql_error)?;
            let answer = run(&script, conn);
            // Nothing was written. The next BEGIN must find no transaction, however this one ends.
            conn.execute_batch("ROLLBACK").map_err(sql_error)?;
            answer
        })
        .await
    }

    pub async fn query(
        &self,
        sql: String,
        params: Vec<Value>,
        bytes_max: usize,
    ) -> Result<(Vec<Row>, bool), SqlError> {
        self.with_reader(move |conn| statements::query(conn, &sql, &params, bytes_max))
            .await
    }

    async fn with_reader<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, SqlError> + Send + 'static,
    ) -> Result<T, SqlError> {
        self.files.are_readable().map_err(SqlError::Moved)?;
        let closed = |_| SqlError::Transient("the database is closed".into());
        let late = |_| SqlError::Transient("no connection before the deadline".into());
        let permit = self.readers.permits.clone().acquire_owned();
        let permit = timeout(limits::STATEMENT_DEADLINE, permit)
            .await
            .map_err(late)?
            .map_err(closed)?;
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
            .unwrap_or_else(|error| Err(SqlError::Refused(error.to_string())))
    }

    /// Closes the connections that read. The writer ends by itself when its queue is closed.
    pub fn close_readers(&self) {
        self.readers.permits.close();
        self.readers.idle().clear();
        // A lock that can't be released ends with the process.
        let _ = self.readers.used.unlock();
    }
}

impl Readers {
    /// Opens a connection, to the file that was opened first. Another file that has its name now may be another database, or
    /// lack its log.
    fn open(&self) -> Result<Connection, SqlError> {
        let conn = open_reader(&self.path)?;
        files::open_all(&conn).map_err(sql_error)?;
        self.files.are_there().map_err(SqlError::Moved)?;
        Ok(conn)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads from now on end at [`limits::STATEMENT_DEADLINE`] with an error that is retryable.
fn set_deadline(conn: &mut Connection) -> Result<(), SqlError> {
    let end = Instant::now() + limits::STATEMENT_DEADLINE;
    let late = move || Instant::now() >= end;
    conn.progress_handler(STEPS_UNWATCHED, Some(late))
        .map_err(sql_error)
}
