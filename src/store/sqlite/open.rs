//! Opens connections to an SQLite database.
//!
//! Invariant: the connection that writes runs in WAL mode with `synchronous=FULL`, which is read back after opening. With NORMAL a
//! power failure would lose acknowledged messages.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{
    error::sql_error,
    locks::{beside, lockable},
};
use crate::{
    limits,
    store::error::{Error, SqlError},
};

/// Pages of the write-ahead log after which a commit moves them into the database: 64 MiB, so that a page that many commits
/// change is written once. A start after a crash reads as much.
pub const CHECKPOINT_PAGES: u32 = 16_000;
const CACHE_KIB: u32 = 32 * 1_024;
/// How long a lock of another process (a migration, a backup) is waited for.
const BUSY: Duration = limits::LOCK_WAIT;

/// The suffix of a file that is about to take the database's place. While it exists, a restore was interrupted, and nothing is
/// opened.
pub const RESTORED: &str = "-restored";

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

/// Opens a connection that writes, and checks its durability.
pub fn open_writer(path: &Path) -> Result<Connection, Error> {
    whole(path)?;
    let unavailable = |error: rusqlite::Error| {
        let busy = error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy);
        let no_locks = busy.then(|| lockable(path).err()).flatten();
        no_locks.unwrap_or_else(|| Error::Unavailable(format!("{}: {error}", path.display())))
    };
    let conn = Connection::open(path).map_err(unavailable)?;
    conn.busy_timeout(BUSY).map_err(unavailable)?;
    conn.set_prepared_statement_cache_capacity(limits::STATEMENTS_CACHED);
    let mode: String = conn
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
        .map_err(unavailable)?;
    // fullfsync: on macOS fsync alone doesn't reach the disk; elsewhere it does nothing.
    conn.execute_batch(&format!(
        "PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON;
         PRAGMA secure_delete = ON; PRAGMA foreign_keys = ON; PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES};
         PRAGMA cache_size = -{CACHE_KIB}; PRAGMA journal_size_limit = 67108864;"
    ))
    .map_err(unavailable)?;
    let pragma = |name: &str| conn.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0));
    let synchronous: i64 = pragma("synchronous").map_err(unavailable)?;
    let foreign_keys: i64 = pragma("foreign_keys").map_err(unavailable)?;
    // With secure_delete a deleted text is overwritten, so that it isn't in the file any more.
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

/// Opens a connection that only reads, of a database that may be in use.
pub fn open_reader_of(path: &Path) -> Result<Connection, Error> {
    whole(path)?;
    Ok(open_reader(path)?)
}

/// As [`open_reader_of`], where no restore can have been interrupted.
pub fn open_reader(path: &Path) -> Result<Connection, SqlError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(sql_error)?;
    conn.busy_timeout(BUSY).map_err(sql_error)?;
    conn.set_prepared_statement_cache_capacity(limits::STATEMENTS_CACHED);
    conn.execute_batch("PRAGMA query_only = ON")
        .map_err(sql_error)?;
    Ok(conn)
}
