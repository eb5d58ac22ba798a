//! A disk that takes nothing: it is full, over its quota, read-only or broken. What would be written is refused at once, what is read goes
//! on, and the writer tries again by itself.
//!
//! Invariant: the log says once that it began and once that it is over, however many changes meet it; when it comes and goes, the
//! log is told at intervals, and always of one that lasts.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
    time::Instant,
};

use super::beside;
use crate::limits::{DISK_RETRY, DISK_TOLD_INTERVAL};

/// The disk, as the writer knows it.
#[derive(Default)]
pub struct Disk {
    /// What it said when it took nothing, and when it was tried last.
    fails: Option<(String, Instant)>,
    told: Option<Instant>,
    /// Whether this time was told.
    tells: bool,
}

impl Disk {
    /// Why nothing can be written now; `None` when it may be tried.
    pub fn fails(&self) -> Option<&str> {
        self.fails.as_ref().map(|(why, _)| why.as_str())
    }

    /// Whether it is to be tried again; it counts as tried then.
    pub fn is_due(&mut self) -> bool {
        match &mut self.fails {
            Some((_, tried)) if tried.elapsed() >= DISK_RETRY => {
                *tried = Instant::now();
                true
            }
            _ => false,
        }
    }

    /// It took nothing.
    pub fn failed(&mut self, database: &Path, error: &str) {
        if self.fails.is_none() {
            let why = match refusal(database) {
                Ok(()) => error.to_owned(),
                // The system's word says more than SQLite's.
                Err(system) => format!("{error}: {system}"),
            };
            self.tells = false;
            self.fails = Some((why, Instant::now()));
        }
        let due = self
            .told
            .is_none_or(|told| told.elapsed() >= DISK_TOLD_INTERVAL);
        if due && !self.tells {
            self.tells = true;
            self.told = Some(Instant::now());
            tracing::error!(
                path = %database.display(),
                why = self.fails(),
                "the disk takes nothing: changes are refused, what is stored can be read, and it is tried again"
            );
        }
    }

    /// It took something.
    pub fn works(&mut self) {
        if self.fails.take().is_some() && self.tells {
            tracing::warn!("the disk takes changes again");
        }
    }
}

/// What the system says to a file beside the database.
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

    /// One that comes back soon is not told, and one that comes back and lasts is.
    #[test]
    fn what_lasts_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("hearth.db");
        let mut disk = Disk::default();
        disk.failed(&database, "full");
        assert!(disk.tells);
        let told = disk.told;
        disk.works();
        for _ in 0..3 {
            disk.failed(&database, "full");
            assert!(!disk.tells && disk.fails().is_some());
        }
        assert_eq!(disk.told, told);
        disk.told = Instant::now().checked_sub(DISK_TOLD_INTERVAL);
        disk.failed(&database, "full");
        assert!(disk.tells && disk.told > told);
        disk.works();
        assert_eq!(disk.fails(), None);
    }
}
