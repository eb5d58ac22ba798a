//! Backups of an SQLite database, and the log's epoch. MySQL and MariaDB have programs for backups of their own.
//!
//! Invariants: a backup has its name once it is whole, was found sound, and is on the disk. A restore that was interrupted has either
//! changed nothing, or nothing opens the database before it was run again: what is new is never mixed with the
//! write-ahead log of what was there.

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
    Location, Options,
    migrate::{self, blocking, new_epoch},
    sqlite::{self, RESTORED, beside},
};
use crate::{limits::BACKUP_PAGES, protocol::Time};

/// Why there is no backup, or nothing was restored: for whoever typed the command.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Fault(String);

type Result<T> = std::result::Result<T, Fault>;

impl From<super::Error> for Fault {
    fn from(error: super::Error) -> Self {
        Self(error.to_string())
    }
}

/// What is wrong, where it isn't said of the server's own database.
fn cause(error: super::Error) -> String {
    match error {
        super::Error::Unavailable(cause) | super::Error::Schema(cause) => cause,
        other => other.to_string(),
    }
}

/// What is said about a file.
fn about(path: &Path, what: impl Display) -> Fault {
    Fault(format!("{}: {what}", path.display()))
}

/// Set when the work isn't wanted any more; it ends soon, and leaves nothing behind.
pub type Stop = Arc<AtomicBool>;

/// A copy of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    pub bytes: u64,
    pub schema: u32,
}

/// What took the database's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    pub copy: Copy,
    /// Where what was there is now.
    pub kept: Option<PathBuf>,
}

fn file_of<'a>(options: &'a Options, instead: &str) -> Result<&'a Path> {
    match &options.location {
        Location::Sqlite(path) => Ok(path),
        Location::Mysql(_) => Err(Fault(format!(
            "the database is in MySQL or MariaDB: {instead}; README.md has the steps under \"Backups\""
        ))),
    }
}

/// Copies the database, as it is at one moment, to a file that isn't there yet; a server may be writing meanwhile.
pub async fn backup(options: &Options, to: &Path, stop: Stop) -> Result<Copy> {
    let path = file_of(options, "mariadb-dump copies it")?.to_owned();
    let to = to.to_owned();
    blocking(move || Ok(write_backup(&path, &to, &stop))).await?
}

/// Puts a backup in the database's place, under another epoch, so that clients know that the log went back. What was there
/// stays beside it under another name. No server may use the database.
pub async fn restore(options: &Options, from: &Path, stop: Stop) -> Result<Restored> {
    let path = file_of(options, "mariadb reads the dump")?.to_owned();
    let from = from.to_owned();
    blocking(move || Ok(put_back(&path, &from, &stop))).await?
}

fn write_backup(path: &Path, to: &Path, stop: &Stop) -> Result<Copy> {
    let name = new_name(path, to)?;
    sqlite::whole(path)?;
    fs::metadata(path).map_err(|error| about(path, format!("no database: {error}")))?;
    let _used = sqlite::used(path)?;
    let from = sqlite::open_reader_of(path)?;
    let partial = Partial::beside(to, &name)?;
    let copy = copy(&from, &partial.path, stop)?;
    drop(from);
    partial.publish(to)?;
    Ok(copy)
}

/// The last part of a backup's path, if a backup may be there.
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

/// A file that is being written. Without its final name it is removed again.
struct Partial {
    path: PathBuf,
}

impl Partial {
    fn beside(to: &Path, name: &OsString) -> Result<Self> {
        let mut partial = name.clone();
        partial.push(format!(".partial-{}", Uuid::new_v4().simple()));
        Self::at(to.with_file_name(partial))
    }

    /// An empty file, for its user alone as all that this process makes.
    fn at(path: PathBuf) -> Result<Self> {
        File::create_new(&path).map_err(|error| about(&path, error))?;
        Ok(Self { path })
    }

    /// Gives it a name that nothing has: a whole file, and on the disk.
    fn publish(self, to: &Path) -> Result<()> {
        let named = match fs::hard_link(&self.path, to) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
            // Some file systems have no second names.
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
        // What isn't there need not be removed, and what can't be has a name that tells what it is.
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

/// Copies one snapshot of a database into an empty file, looks it through, and writes it to the disk.
fn copy(from: &Connection, to: &Path, stop: &Stop) -> Result<Copy> {
    let failed = |error: rusqlite::Error| match stop.load(Ordering::Relaxed) {
        true => Fault("stopped before it was done: nothing was changed".into()),
        false => about(to, error),
    };
    let mut copy = Connection::open(to).map_err(failed)?;
    // The file is of no use before it is whole: it is synced once, below.
    let quickly = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF";
    copy.execute_batch(quickly).map_err(failed)?;
    let wanted = stop.clone();
    let stopped = move || wanted.load(Ordering::Relaxed);
    copy.progress_handler(sqlite::STEPS_UNWATCHED, Some(stopped))
        .map_err(failed)?;
    // One moment's state for all pages: what is committed meanwhile doesn't begin the copy anew.
    from.execute_batch("BEGIN").map_err(failed)?;
    sqlite::open_all(from).map_err(failed)?;
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
    // One file, which needs no log beside it.
    let mode = "PRAGMA journal_mode = DELETE";
    copy.query_row(mode, [], |_| Ok(())).map_err(failed)?;
    let sound = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
    let sound = copy.query_row("PRAGMA integrity_check(1)", [], sound);
    let sound = sound.map_err(failed)?;
    if sound != "ok" {
        // Of several lines, often.
        let sound = sound.replace('\n', " ");
        return Err(Fault(format!(
            "the database is damaged, and so would be its copy: {sound}"
        )));
    }
    let schema = migrate::known_schema(&copy)?;
    let schema =
        schema.ok_or_else(|| Fault("the database isn't Hearth's: it has no tables".into()))?;
    copy.close().map_err(|(_, error)| failed(error))?;
    let bytes = sync(to)?;
    Ok(Copy { bytes, schema })
}

/// Its size then.
fn sync(path: &Path) -> Result<u64> {
    let synced = File::open(path).and_then(|file| {
        file.sync_all()?;
        Ok(file.metadata()?.len())
    });
    synced.map_err(|error| about(path, error))
}

fn put_back(path: &Path, from: &Path, stop: &Stop) -> Result<Restored> {
    let source = open_backup(path, from)?;
    // Nobody opens the database before this function ends; what was being opened is through.
    let _server = sqlite::only_server(path)?;
    let _unserved = sqlite::unserved(path)?;
    let _unmigrated = sqlite::unmigrated(path)?;
    let new = beside(path, "-restoring");
    for suffix in ["", "-journal", "-wal", "-shm"] {
        // Of one that was killed.
        let _ = fs::remove_file(beside(&new, suffix));
    }
    let partial = Partial::at(new)?;
    let mut copy = copy(&source, &partial.path, stop)
        .map_err(|fault| Fault(format!("{} can't be restored: {fault}", from.display())))?;
    drop(source);
    renew_in(&partial.path)?;
    copy.bytes = sync(&partial.path)?;
    owned_alike(&partial.path, path)?;
    let again = sqlite::whole(path).is_err();
    // From here on nothing opens the database until it is done.
    let ready = beside(path, RESTORED);
    rename(&partial.path, &ready)?;
    drop(partial);
    let done = put_aside(path, again).and_then(|kept| rename(&ready, path).map(|()| kept));
    let kept = done.map_err(|fault| {
        Fault(format!("{fault}; the restore is half done, and nothing opens the database before it was run again"))
    })?;
    // The locks that were taken here may be new, too.
    for suffix in sqlite::LOCKS {
        owned_alike(&beside(path, suffix), path)?;
    }
    Ok(Restored { copy, kept })
}

/// A backup, read as it is: nothing is made beside it, unless it has a write-ahead log.
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
    let conn = Connection::open_with_flags(url.as_str(), flags);
    let conn = conn.map_err(|error| about(from, error))?;
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

/// What stands at the database's path gets another name, its log before it. `again`: one that was interrupted may have
/// begun with it.
fn put_aside(path: &Path, again: bool) -> Result<Option<PathBuf>> {
    const LOGS: [&str; 2] = ["-wal", "-journal"];
    // It says where pages are in a log that isn't there any more; SQLite makes it anew.
    let _ = fs::remove_file(beside(path, "-shm"));
    if !is_there(path) {
        // It would be read with what comes, and may be of a database that was moved away.
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

/// Gives a file to the owner of the one that it replaces, or else of the directory: the server may run as another user
/// than the one who restores. Whoever may not give files away keeps it.
fn owned_alike(new: &Path, old: &Path) -> Result<()> {
    let model = fs::metadata(old).or_else(|_| fs::metadata(directory_of(old)));
    let model = model.map_err(|error| about(old, error))?;
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
/// Of a log whose database isn't there.
const LEFT: &str = "-left-";

/// By the time, and a number where there is one of the same second.
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

/// Where a log was put whose database didn't follow yet.
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
