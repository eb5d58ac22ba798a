//! A disk that takes no writes: it is full, over its quota, read-only or broken. Changes are refused at once, reads go on, and the
//! writer tries again by itself.
//!
//! Invariant: the beginning and the end are logged once, however many changes fail. A state that comes and goes is logged at
//! intervals, and one that lasts is always logged.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
    time::Instant,
};

use super::locks::beside;
use crate::limits::{DISK_LOG_INTERVAL, DISK_RETRY};

/// The state of the disk.
#[derive(Default)]
pub struct Disk {
    /// Its error, and when it was tried last. `None`: it works.
    fails: Option<(String, Instant)>,
    /// When a failure was last logged.
    logged_at: Option<Instant>,
    /// Whether the present failure was logged.
    is_logged: bool,
}

impl Disk {
    /// Why nothing can be written now. `None`: a write may be tried.
    pub fn fails(&self) -> Option<&str> {
        self.fails.as_ref().map(|(why, _)| why.as_str())
    }

    /// Whether it is to be tried again. Then it counts as tried.
    pub fn is_due(&mut self) -> bool {
        match &mut self.fails {
            Some((_, tried)) if tried.elapsed() >= DISK_RETRY => {
                *tried = Instant::now();
                true
            }
            _ => false,
        }
    }

    /// A write failed.
    pub fn failed(&mut self, database: &Path, error: &str) {
        if self.fails.is_none() {
            let why = match refusal(database) {
                Ok(()) => error.to_owned(),
                // The system's error says more than SQLite's.
                Err(system) => format!("{error}: {system}"),
            };
            self.is_logged = false;
            self.fails = Some((why, Instant::now()));
        }
        let due = self
            .logged_at
            .is_none_or(|at| at.elapsed() >= DISK_LOG_INTERVAL);
        if due && !self.is_logged {
            self.is_logged = true;
            self.logged_at = Some(Instant::now());
            tracing::error!(
                path = %database.display(),
                why = self.fails(),
                "the disk takes nothing: changes are refused, what is stored can be read, and it is tried again"
            );
        }
    }

    /// A write succeeded.
    pub fn works(&mut self) {
        if self.fails.take().is_some() && self.is_logged {
            tracing::warn!("the disk takes changes again");
        }
    }
}

/// Tries to write a file beside the database, for the system's error.
fn refusal(database: &Path) -> io::Result<()> {
    let path = beside(database, "-tried");
    let tried = File::create(&path).and_then(|mut file| {
        file.write_all(&[0; 4_096])?;
        file.sync_all()
    });
    let _ = fs::remove_file(&path);
    tried
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A failure that comes back soon isn't logged; one that comes back and lasts is.
    #[test]
    fn what_lasts_is_logged() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("hearth.db");
        let mut disk = Disk::default();
        disk.failed(&database, "full");
        assert!(disk.is_logged);
        let logged_at = disk.logged_at;
        disk.works();
        for _ in 0..3 {
            disk.failed(&database, "full");
            assert!(!disk.is_logged && disk.fails().is_some());
        }
        assert_eq!(disk.logged_at, logged_at);
        disk.logged_at = Instant::now().checked_sub(DISK_LOG_INTERVAL);
        disk.failed(&database, "full");
        assert!(disk.is_logged && disk.logged_at > logged_at);
        disk.works();
        assert_eq!(disk.fails(), None);
    }
}
