//! Backups of an SQLite database. MySQL and MariaDB have programs of their own for that.
//!
//! Invariants: a backup gets its name when it is complete, checked, and synced to the disk. A restore that was interrupted has either
//! changed nothing, or nothing opens the database before it is run again: the new database is never mixed with the write-ahead log of
//! the old one.

use std::{
    ffi::OsString,
    fmt::Display,
    fs::{self, File},
    io,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rusqlite::{
    Connection, OpenFlags,
    backup::{Backup, StepResult},
};
use url::Url;
use uuid::Uuid;

use super::{
    blocking::blocking,
    epoch::new_epoch,
    error::Error,
    migrate,
    options::{Location, Options},
    sqlite::{
        STEPS_UNWATCHED,
        files::open_all,
        locks::{self, LOCKS, beside},
        open::{RESTORED, open_reader_of, whole},
    },
};
use crate::{limits::BACKUP_PAGES, protocol::Time};

/// Why a backup or a restore failed, for the operator.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BackupError(String);

type Result<T> = std::result::Result<T, BackupError>;

impl From<Error> for BackupError {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

/// The cause alone, where the error isn't about the server's own database.
fn cause(error: Error) -> String {
    match error {
        Error::Unavailable(cause) | Error::Schema(cause) => cause,
        other => other.to_string(),
    }
}

/// An error about a file.
fn about(path: &Path, what: impl Display) -> BackupError {
    BackupError(format!("{}: {what}", path.display()))
}

/// Set to cancel the work. It ends soon, and leaves nothing behind.
pub type Stop = Arc<AtomicBool>;

/// A copy of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    pub bytes: u64,
    pub schema: u32,
}

/// A database that was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    pub copy: Copy,
    /// Where the old database is now.
    pub kept: Option<PathBuf>,
}

fn file_of<'a>(options: &'a Options, instead: &str) -> Result<&'a Path> {
    match &options.location {
        Location::Sqlite(path) => Ok(path),
        Location::Mysql(_) => Err(BackupError(format!(
            "the database is in MySQL or MariaDB: {instead}; README.md has the steps under \"Backups\""
        ))),
    }
}

/// Copies the database, as it is at one moment, to a file that doesn't exist yet. A server may write meanwhile.
pub async fn backup(options: &Options, to: &Path, stop: Stop) -> Result<Copy> {
    let path = file_of(options, "mariadb-dump copies it")?.to_owned();
    let to = to.to_owned();
    blocking(move || write_backup(&path, &to, &stop)).await?
}

/// Puts a backup in the database's place, with another epoch, so that clients know that the log went back in time. The old database
/// stays beside it under another name. No server may use the database.
pub async fn restore(options: &Options, from: &Path, stop: Stop) -> Result<Restored> {
    let path = file_of(options, "mariadb reads the dump")?.to_owned();
    let from = from.to_owned();
    blocking(move || put_back(&path, &from, &stop)).await?
}

fn write_backup(path: &Path, to: &Path, stop: &Stop) -> Result<Copy> {
    let name = new_name(path, to)?;
    whole(path)?;
    fs::metadata(path).map_err(|error| about(path, format!("no database: {error}")))?;
    let _used = locks::used(path)?;
    let from = open_reader_of(path)?;
    let partial = Partial::beside(to, &name)?;
    let copy = copy(&from, &partial.path, stop)?;
    drop(from);
    partial.publish(to)?;
    Ok(copy)
}

/// The file name of a backup's path, if a backup may be written there.
fn new_name(path: &Path, to: &Path) -> Result<OsString> {
    if to.is_dir() {
        return Err(about(
            to,
            "a directory; name a file in it that isn't there yet",
        ));
    }
    if is_there(to) {
        return Err(about(to, "is there already; name a file that isn't"));
    }
    let Some(name) = to.file_name() else {
        return Err(about(to, "no file's name"));
    };
    let directory = directory_of(to);
    let found = directory
        .canonicalize()
        .map_err(|error| about(&directory, error))?;
    let own = directory_of(path).canonicalize().ok();
    let of_it = path.file_name().is_some_and(|own| {
        name.as_encoded_bytes()
            .strip_prefix(own.as_encoded_bytes())
            .is_some_and(|rest| rest.starts_with(b"-"))
    });
    if own == Some(found) && of_it {
        return Err(about(
            to,
            "a name of the database's own files; take another one",
        ));
    }
    Ok(name.to_owned())
}

fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// A file that is being written. Unless it gets its final name it is removed.
struct Partial {
    path: PathBuf,
}

impl Partial {
    fn beside(to: &Path, name: &OsString) -> Result<Self> {
        let mut partial = name.clone();
        partial.push(format!(".partial-{}", Uuid::new_v4().simple()));
        Self::at(to.with_file_name(partial))
    }

    /// An empty file, which only its user can read, as all files that this process creates.
    fn at(path: PathBuf) -> Result<Self> {
        File::create_new(&path).map_err(|error| about(&path, error))?;
        Ok(Self { path })
    }

    /// Gives it a name that no file has. It is complete and on the disk.
    fn publish(self, to: &Path) -> Result<()> {
        let named = match fs::hard_link(&self.path, to) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
            // Some file systems have no hard links.
            Err(_) if !is_there(to) => fs::rename(&self.path, to),
            done => done,
        };
        named.map_err(|error| about(to, error))?;
        drop(self);
        sync_directory(to)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Some of these don't exist. One that can't be removed tells by its name what it is.
        for suffix in ["", "-journal", "-wal", "-shm"] {
            let _ = fs::remove_file(beside(&self.path, suffix));
        }
    }
}

fn sync_directory(path: &Path) -> Result<()> {
    let directory = directory_of(path);
    let synced = File::open(&directory).and_then(|directory| directory.sync_all());
    synced.map_err(|error| about(&directory, error))
}

/// Copies one snapshot of a database into an empty file, checks it, and syncs it to the disk.
fn copy(from: &Connection, to: &Path, stop: &Stop) -> Result<Copy> {
    let failed = |error: rusqlite::Error| {
        if stop.load(Ordering::Relaxed) {
            BackupError("stopped before it was done: nothing was changed".into())
        } else {
            about(to, error)
        }
    };
    let mut copy = Connection::open(to).map_err(failed)?;
    // The file is of no use before it is complete. It is synced once, below.
    let quickly = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF";
    copy.execute_batch(quickly).map_err(failed)?;
    let wanted = stop.clone();
    let stopped = move || wanted.load(Ordering::Relaxed);
    copy.progress_handler(STEPS_UNWATCHED, Some(stopped))
        .map_err(failed)?;
    // In a read transaction all pages are of one moment, and commits meanwhile don't restart the copy.
    from.execute_batch("BEGIN").map_err(failed)?;
    open_all(from).map_err(failed)?;
    {
        let pages = Backup::new(from, &mut copy).map_err(failed)?;
        loop {
            match pages.step(BACKUP_PAGES).map_err(failed)? {
                StepResult::Done => break,
                StepResult::More if !stop.load(Ordering::Relaxed) => {}
                StepResult::More => return Err(failed(rusqlite::Error::InvalidQuery)),
                _ => return Err(about(to, "the database is locked by another program")),
            }
        }
    }
    from.execute_batch("ROLLBACK").map_err(failed)?;
    // The copy is one file, which needs no log beside it.
    let mode = "PRAGMA journal_mode = DELETE";
    copy.query_row(mode, [], |_| Ok(())).map_err(failed)?;
    let found: String = copy
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(failed)?;
    if found != "ok" {
        return Err(BackupError(format!(
            "the database is damaged, and so would be its copy: {}",
            // It often has several lines.
            found.replace('\n', " ")
        )));
    }
    let schema = migrate::known_schema(&copy)?;
    let schema = schema
        .ok_or_else(|| BackupError("the database isn't Hearth's: it has no tables".into()))?;
    copy.close().map_err(|(_, error)| failed(error))?;
    let bytes = sync(to)?;
    Ok(Copy { bytes, schema })
}

/// Syncs a file to the disk, and returns its size.
fn sync(path: &Path) -> Result<u64> {
    let synced = File::open(path).and_then(|file| {
        file.sync_all()?;
        Ok(file.metadata()?.len())
    });
    synced.map_err(|error| about(path, error))
}

fn put_back(path: &Path, from: &Path, stop: &Stop) -> Result<Restored> {
    let source = open_backup(path, from)?;
    // With these locks nothing opens the database before this function ends.
    let _server = locks::only_server(path)?;
    let _unserved = locks::unserved(path)?;
    let _unmigrated = locks::unmigrated(path)?;
    let new = beside(path, "-restoring");
    for suffix in ["", "-journal", "-wal", "-shm"] {
        // Left over from a restore that was killed.
        let _ = fs::remove_file(beside(&new, suffix));
    }
    let partial = Partial::at(new)?;
    let mut copy = copy(&source, &partial.path, stop)
        .map_err(|error| BackupError(format!("{} can't be restored: {error}", from.display())))?;
    drop(source);
    renew_in(&partial.path)?;
    copy.bytes = sync(&partial.path)?;
    owned_alike(&partial.path, path)?;
    let again = whole(path).is_err();
    // From here on nothing opens the database until the restore is done.
    let ready = beside(path, RESTORED);
    rename(&partial.path, &ready)?;
    drop(partial);
    let done = put_aside(path, again).and_then(|kept| rename(&ready, path).map(|()| kept));
    let kept = done.map_err(|error| {
        BackupError(format!("{error}; the restore is half done, and nothing opens the database before it was run again"))
    })?;
    // The lock files may be new too.
    for suffix in LOCKS {
        owned_alike(&beside(path, suffix), path)?;
    }
    Ok(Restored { copy, kept })
}

/// Opens a backup to read it. Nothing is created beside it, unless it has a write-ahead log.
fn open_backup(path: &Path, from: &Path) -> Result<Connection> {
    let found = fs::metadata(from).map_err(|error| about(from, error))?;
    if !found.is_file() {
        return Err(about(from, "no file"));
    }
    if path.is_symlink() {
        return Err(about(
            path,
            "a symbolic link, which a restore would replace; set HEARTH_DATABASE_URL to the file itself",
        ));
    }
    let own = fs::metadata(path).ok();
    if own.is_some_and(|own| (own.dev(), own.ino()) == (found.dev(), found.ino())) {
        return Err(about(from, "the database itself, and no backup of it"));
    }
    let whole = from.canonicalize().map_err(|error| about(from, error))?;
    let no_url = || about(from, "a path that can't be opened");
    let mut url = Url::from_file_path(&whole).map_err(|()| no_url())?;
    let logged = |suffix| fs::metadata(beside(&whole, suffix)).is_ok_and(|log| log.len() > 0);
    if !logged("-wal") && !logged("-journal") {
        url.set_query(Some("immutable=1"));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn =
        Connection::open_with_flags(url.as_str(), flags).map_err(|error| about(from, error))?;
    match migrate::known_schema(&conn) {
        Ok(Some(_)) => Ok(conn),
        Ok(None) => Err(about(
            from,
            "no backup of Hearth: it has no tables of Hearth's",
        )),
        Err(error) => Err(about(
            from,
            format!("no backup that can be restored: {}", cause(error)),
        )),
    }
}

/// Renames the old database, its log first. `again`: a restore that was interrupted may have begun with it.
fn put_aside(path: &Path, again: bool) -> Result<Option<PathBuf>> {
    const LOGS: [&str; 2] = ["-wal", "-journal"];
    // It is an index of a log that isn't there any more. SQLite creates it anew.
    let _ = fs::remove_file(beside(path, "-shm"));
    if !is_there(path) {
        // A log that is left would be read with the new database, and may belong to a database that was moved away.
        let mut left = None;
        for suffix in LOGS {
            let log = beside(path, suffix);
            if is_there(&log) {
                let kept = beside(&new_aside(path, LEFT)?, suffix);
                rename(&log, &kept)?;
                left = Some(kept);
            }
        }
        return Ok(left);
    }
    let begun = if again { begun_aside(path) } else { None };
    let kept = match begun {
        Some(kept) => kept,
        None => new_aside(path, ASIDE)?,
    };
    for suffix in LOGS.into_iter().chain([""]) {
        let old = beside(path, suffix);
        if is_there(&old) {
            rename(&old, &beside(&kept, suffix))?;
        }
    }
    Ok(Some(kept))
}

/// Gives a file to the owner of the one that it replaces, or else of the directory: the server may run as another user than the one who
/// restores. A user who may not change owners keeps it.
fn owned_alike(new: &Path, old: &Path) -> Result<()> {
    let model = fs::metadata(old)
        .or_else(|_| fs::metadata(directory_of(old)))
        .map_err(|error| about(old, error))?;
    let now = fs::metadata(new).map_err(|error| about(new, error))?;
    if (now.uid(), now.gid()) == (model.uid(), model.gid()) {
        return Ok(());
    }
    match chown(new, Some(model.uid()), Some(model.gid())) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        given => given.map_err(|error| about(new, error)),
    }
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

const ASIDE: &str = "-replaced-";
/// For a log whose database isn't there.
const LEFT: &str = "-left-";

/// A name with the time, and a number where there is one of the same second.
fn new_aside(path: &Path, aside: &str) -> Result<PathBuf> {
    let now = Time::now().to_string();
    let digits = now.chars().filter(char::is_ascii_digit).take(14);
    let name = beside(path, &format!("{aside}{}", digits.collect::<String>()));
    let numbered = (2..100).map(|number| beside(&name, &format!(".{number}")));
    let free = |kept: &PathBuf| {
        !["", "-wal", "-journal"]
            .iter()
            .any(|suffix| is_there(&beside(kept, suffix)))
    };
    let kept = [name.clone()].into_iter().chain(numbered).find(free);
    kept.ok_or_else(|| about(&name, "is there already"))
}

/// The new name of a log whose database was not renamed yet.
fn begun_aside(path: &Path) -> Option<PathBuf> {
    let prefix = beside(path, ASIDE);
    let prefix = prefix.file_name()?.to_str()?.to_owned();
    let files = fs::read_dir(directory_of(path)).ok()?;
    let logs = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
    let mut begun = logs.filter_map(|name| {
        let kept = name
            .strip_suffix("-wal")
            .or(name.strip_suffix("-journal"))?;
        let kept = path.with_file_name(kept);
        (name.starts_with(&prefix) && !is_there(&kept)).then_some(kept)
    });
    begun.next()
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|error| about(to, error))?;
    sync_directory(to)
}

fn renew_in(path: &Path) -> Result<()> {
    let failed = |error: rusqlite::Error| about(path, error);
    let conn = Connection::open(path).map_err(failed)?;
    let sql = "INSERT OR REPLACE INTO meta (name, value) VALUES ('log_epoch', ?)";
    conn.execute(sql, [new_epoch()]).map_err(failed)?;
    conn.close().map_err(|(_, error)| failed(error))
}
