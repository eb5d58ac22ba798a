//! Locks on files beside an SQLite database's: by them servers and commands know of each other.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, fcntl},
    libc,
};

use crate::store::error::{Error, unavailable};

/// Locked by everyone who uses the database, by its one server, and by whoever migrates it.
const USED: &str = "-served";
const SERVER: &str = "-server";
pub const MIGRATE: &str = "-migrate";
/// The files beside a database that are there for their locks.
pub const LOCKS: [&str; 3] = [USED, SERVER, MIGRATE];

/// The name of a file that belongs to another one, as `hearth.db-wal` does to `hearth.db`.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The file that a path leads to, or would lead to. It is the same by whatever name it is reached.
fn resolved(path: &Path) -> PathBuf {
    let whole = path.canonicalize().ok().or_else(|| {
        let directory = path.parent()?.canonicalize().ok()?;
        Some(directory.join(path.file_name()?))
    });
    whole.unwrap_or_else(|| path.to_owned())
}

/// Opens a file beside the database's whose lock tells who uses it.
pub fn lock_file(path: &Path, suffix: &str) -> Result<File, Error> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(unavailable)?;
    }
    let name = beside(&resolved(path), suffix);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&name)
        .map_err(unavailable)?;
    // SQLite locks in this way too. On a file system without locks its own error would only say "locked".
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

/// Fails where the file system that the database is on, or will be on, has no locks.
pub fn lockable(path: &Path) -> Result<(), Error> {
    let name = "-tried";
    let tried = locked(path, name, "another process is trying the locks");
    // What can't be removed tells by its name what it is.
    let _ = std::fs::remove_file(beside(path, name));
    tried.map(drop)
}

/// Takes a lock for as long as the returned file lives.
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

/// Makes sure that no server uses the database, for as long as the returned file lives.
pub fn unserved(path: &Path) -> Result<File, Error> {
    locked(path, USED, "a server uses this database: stop it first")
}

/// Makes sure that no other server uses the database: the connections of one would hear late what the other commits.
pub fn only_server(path: &Path) -> Result<File, Error> {
    let held = "another server uses this file: stop it first, or keep the data in MySQL or MariaDB, which serve several";
    locked(path, SERVER, held)
}

/// Makes sure that nobody changes the database's schema, for as long as the returned file lives.
pub fn unmigrated(path: &Path) -> Result<File, Error> {
    let held = "the database is being migrated: wait until that is done";
    locked(path, MIGRATE, held)
}

/// Keeps the database in its place for as long as the returned file lives: commands that would replace or delete it fail.
pub fn used(path: &Path) -> Result<File, Error> {
    let file = lock_file(path, USED)?;
    let held = "the database is being reset or restored: wait until that is done";
    taken(path, file.try_lock_shared(), held)?;
    Ok(file)
}
