//! The files of an open database: whether their names still lead to them, and whether a program other than SQLite wrote there.
//!
//! A process that has a file open goes on with it when the file is removed, renamed or replaced. What is stored then is lost with
//! the process. So names and files are compared before anything is acknowledged.
//!
//! Deliberately absent: a descriptor of these files that is ever closed. Closing one would release all locks that this process
//! has on that file (<https://sqlite.org/howtocorrupt.html>, section 2.2).

use std::{
    fs::{self, File, Metadata},
    io::{self, Read},
    mem::ManuallyDrop,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use nix::{
    fcntl::{FcntlArg, fcntl},
    libc,
};
use rusqlite::Connection;

use crate::{
    limits::FILES_DOUBT,
    store::error::{Error, unavailable},
};

/// The files of one open database, and what is wrong with them. Shared by all who read and write it.
pub struct Files {
    /// The database's own file, its write-ahead log, its shared memory.
    named: [(PathBuf, Id); 3],
    /// The shared memory, for its locks. Never closed.
    shared: ManuallyDrop<File>,
    wrong: Mutex<Option<Wrong>>,
}

/// What was found when the writer last looked.
struct Wrong {
    why: String,
    /// The pages of the file may be another program's, and not only its name: what is read can't be trusted.
    written_over: bool,
}

/// What distinguishes a file from all others that exist.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Id {
    device: u64,
    inode: u64,
}

impl Id {
    fn of(found: &Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
        }
    }
}

impl Files {
    /// The files of a connection that was just opened by this path.
    pub fn of(path: &Path, conn: &Connection) -> Result<Self, Error> {
        open_all(conn).map_err(unavailable)?;
        // The path as SQLite has it, without symbolic links: the other files are beside it.
        let whole = conn.path().unwrap_or_default();
        let beside = |suffix| PathBuf::from(format!("{whole}{suffix}"));
        let named = |name: PathBuf| {
            let found = fs::metadata(&name).map_err(|error| unavailable(away(&name, &error)))?;
            Ok::<_, Error>((name, Id::of(&found)))
        };
        let shared = ManuallyDrop::new(File::open(beside("-shm")).map_err(unavailable)?);
        Ok(Self {
            named: [
                named(path.to_owned())?,
                named(beside("-wal"))?,
                named(beside("-shm"))?,
            ],
            shared,
            wrong: Mutex::default(),
        })
    }

    /// Checks that each name leads to the file that was opened. A look costs a few microseconds.
    pub fn are_there(&self) -> Result<Metadata, String> {
        let mut own = None;
        for (name, id) in &self.named {
            let found = fs::metadata(name).map_err(|error| away(name, &error))?;
            if Id::of(&found) != *id {
                return Err(format!(
                    "{} isn't the file that was opened: another one is in its place",
                    name.display()
                ));
            }
            own.get_or_insert(found);
        }
        own.ok_or_else(|| "the database has no file".into())
    }

    fn log(&self) -> &Path {
        &self.named[1].0
    }

    /// Whether another process is making a checkpoint: then it holds `WAL_CKPT_LOCK`, a byte of the shared memory (<https://sqlite.org/walformat.html>, section 2.3).
    fn are_being_moved(&self) -> bool {
        const WAL_CKPT_LOCK: libc::off_t = 121;
        let mut lock = libc::flock {
            l_type: libc::F_WRLCK as _,
            l_whence: libc::SEEK_SET as _,
            l_start: WAL_CKPT_LOCK,
            l_len: 1,
            l_pid: 0,
        };
        let asked = fcntl(&*self.shared, FcntlArg::F_GETLK(&mut lock));
        asked.is_ok() && lock.l_type != libc::F_UNLCK as libc::c_short
    }

    /// How many pages of the log the last checkpoint was to move: `nBackfillAttempted`, in the machine's byte order
    /// (<https://sqlite.org/walformat.html>, section 2.2).
    fn pages_tried(&self) -> io::Result<u32> {
        let mut pages = [0; 4];
        self.shared.read_exact_at(&mut pages, 128)?;
        Ok(u32::from_ne_bytes(pages))
    }

    /// What was found wrong when the writer last looked.
    pub fn wrong(&self) -> Option<String> {
        self.state().as_ref().map(|wrong| wrong.why.clone())
    }

    /// Checks that what is read is what was stored. Files that have lost their names are readable for as long as they are open.
    pub fn are_readable(&self) -> Result<(), String> {
        match &*self.state() {
            Some(wrong) if wrong.written_over => Err(wrong.why.clone()),
            _ => Ok(()),
        }
    }

    /// Notes what was found, in the names or in the content, and logs it where it is new. True when something has just gone wrong.
    pub fn note(&self, found: &Result<(), String>, written_over: bool) -> bool {
        let mut wrong = self.state();
        match (&*wrong, found) {
            (None, Err(why)) => {
                tracing::error!(
                    why,
                    "the database's files were changed under the server: nothing is stored any more; stop it, put the \
                     file back or restore a backup (`hearth restore`), and start it again"
                );
                let why = why.clone();
                *wrong = Some(Wrong { why, written_over });
                true
            }
            (Some(_), Ok(())) => {
                tracing::warn!(
                    "the database's files are those that were opened again: the server goes on"
                );
                *wrong = None;
                false
            }
            _ => false,
        }
    }

    fn state(&self) -> MutexGuard<'_, Option<Wrong>> {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has SQLite open the files beside the database: it opens them only for a read.
pub fn open_all(conn: &Connection) -> rusqlite::Result<()> {
    conn.query_row("SELECT COUNT(*) FROM sqlite_schema", [], |_| Ok(()))
}

fn away(name: &Path, error: &io::Error) -> String {
    let name = name.display();
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            format!("{name} isn't there any more: it was removed or renamed")
        }
        _ => format!("{name} can't be looked at: {error}"),
    }
}

/// The content of the database's file, as far as its time and size tell. With a write-ahead log only checkpoints write there, so
/// that any other write, as by `cp` onto the file, is recognized.
pub struct Content {
    seen: Option<Stamp>,
    moved: Moved,
    doubted: Option<Instant>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    /// In seconds: on some file systems the precision of a time is lower when it is read again later.
    changed: i64,
}

impl Content {
    /// The content as it is now.
    pub fn of(files: &Files, conn: &Connection) -> Self {
        let own = files.are_there().ok();
        Self {
            seen: own.map(|found| Stamp::of(&found)),
            moved: Moved::now(files, conn).unwrap_or_default(),
            doubted: None,
        }
    }

    /// Something was committed.
    pub fn committed(&mut self, files: &Files) {
        if self.moved.log.is_none() {
            self.moved = Moved {
                log: begun_anew(files.log()),
                ..Moved::default()
            };
        }
    }

    /// Whether there was a write that didn't look like a checkpoint.
    pub fn is_doubted(&self) -> bool {
        self.doubted.is_some()
    }

    /// Checks that only checkpoints have written into the file that was found. `is_malformed`: what is read there isn't what was written.
    pub fn look(
        &mut self,
        found: &Metadata,
        files: &Files,
        conn: &Connection,
        is_malformed: bool,
    ) -> Result<(), String> {
        let stamp = Stamp::of(found);
        if self.seen == Some(stamp) {
            self.doubted = None;
            return Ok(());
        }
        // Another process may make a checkpoint too (a command, sqlite3). It holds a lock meanwhile, notes what it tries when it
        // begins, and what it has done when it ends. The lock is looked at first: if it is released after that, the end is noted.
        let moving = files.are_being_moved();
        let moved = Moved::now(files, conn).unwrap_or(self.moved);
        if self.seen.is_none() || moving || moved.is_beyond(&self.moved) {
            (self.seen, self.moved, self.doubted) = (Some(stamp), moved, None);
            return Ok(());
        }
        let mut doubted = *self.doubted.get_or_insert_with(Instant::now);
        if is_malformed {
            // No doubt is left.
            doubted = doubted.checked_sub(FILES_DOUBT).unwrap_or(doubted);
            self.doubted = Some(doubted);
        }
        if doubted.elapsed() < FILES_DOUBT {
            return Ok(());
        }
        Err(String::from(
            "another program has written into the database's file, as `cp` onto it does; what it wrote and the \
             write-ahead log may not belong together; a start looks at it anew, and `hearth restore` puts both aside",
        ))
    }
}

impl Stamp {
    fn of(found: &Metadata) -> Self {
        Self {
            bytes: found.size(),
            changed: found.mtime(),
        }
    }
}

/// How far checkpoints have come, of this process and of others.
#[derive(Clone, Copy, Default)]
struct Moved {
    /// Counts how often the write-ahead log was begun anew. `None`: it is empty.
    log: Option<u32>,
    /// The pages of the log that are in the database's file.
    pages: i64,
    /// How many pages the last checkpoint was to move, even if it was interrupted.
    tried: u32,
    /// All pages are there, so that the next write begins the log anew.
    all: bool,
}

impl Moved {
    /// Reads the present state, and moves nothing.
    fn now(files: &Files, conn: &Connection) -> rusqlite::Result<Self> {
        let sql = "PRAGMA wal_checkpoint(NOOP)";
        let (written, pages): (i64, i64) =
            conn.query_row(sql, [], |row| Ok((row.get(1)?, row.get(2)?)))?;
        Ok(Self {
            log: begun_anew(files.log()),
            pages,
            tried: files.pages_tried().unwrap_or_default(),
            all: written == pages,
        })
    }

    /// Whether a checkpoint was made since.
    fn is_beyond(&self, before: &Self) -> bool {
        let (log, log_before) = match (self.log, before.log) {
            (Some(log), Some(before)) => (log, before),
            // Only a checkpoint cuts it to nothing.
            (None, before) => return before.is_some(),
            (Some(log), None) => (log, log),
        };
        let begun = log.wrapping_sub(log_before);
        let (pages, tried) = match begun {
            0 => (before.pages, before.tried),
            _ => (0, 0),
        };
        begun > u32::from(before.all) || self.pages > pages || self.tried > tried
    }
}

/// A number in a write-ahead log's head that rises by one whenever it is begun anew
/// (<https://sqlite.org/fileformat2.html>, "Salt-1"). SQLite holds no locks on this file.
fn begun_anew(log: &Path) -> Option<u32> {
    let mut head = [0; 20];
    let mut file = File::open(log).ok()?;
    file.read_exact(&mut head).ok()?;
    head.last_chunk().map(|salt| u32::from_be_bytes(*salt))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_are_told_from_other_writers() {
        let tried = |log, pages, tried, all| Moved {
            log,
            pages,
            tried,
            all,
        };
        let moved = |log, pages, all| tried(log, pages, pages as u32, all);
        for (before, now, beyond) in [
            // Nothing happened, or messages were written.
            (moved(None, 0, true), moved(None, 0, true), false),
            (moved(None, 0, true), moved(Some(7), 0, false), false),
            (moved(Some(7), 0, false), moved(Some(7), 0, false), false),
            (moved(Some(7), 9, false), moved(Some(7), 9, false), false),
            // After one's own checkpoint of all the next commit begins the log anew.
            (moved(Some(7), 9, true), moved(Some(8), 0, false), false),
            (
                moved(Some(u32::MAX), 9, true),
                moved(Some(0), 0, false),
                false,
            ),
            // Another process moved some, or all, or cut the log.
            (moved(Some(7), 0, false), moved(Some(7), 5, false), true),
            (moved(Some(7), 5, false), moved(Some(7), 9, true), true),
            (moved(Some(7), 5, false), moved(Some(8), 0, false), true),
            (moved(Some(7), 9, true), moved(Some(8), 3, false), true),
            (moved(Some(7), 9, true), moved(Some(9), 0, false), true),
            (moved(Some(7), 9, false), moved(None, 0, true), true),
            // It was interrupted before it had moved all that it was to move.
            (moved(Some(7), 0, false), tried(Some(7), 0, 9, false), true),
            (
                tried(Some(7), 0, 9, false),
                tried(Some(7), 0, 9, false),
                false,
            ),
        ] {
            assert_eq!(
                now.is_beyond(&before),
                beyond,
                "{:?} {:?}",
                (before.log, before.pages, before.all),
                (now.log, now.pages, now.all)
            );
        }
    }
}
