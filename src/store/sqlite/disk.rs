//! A disk that takes nothing: it is full, over its quota, read-only or broken. What would be written is refused at once, what is read goes
//! on, and the writer tries again by itself.
//!
//! Invariant: the log says once that it began and once that it is over, however many changes meet it.

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
        if self.fails.is_some() {
            return;
        }
        let why = match refusal(database) {
            Ok(()) => error.to_owned(),
            // The system's word says more than SQLite's.
            Err(system) => format!("{error}: {system}"),
        };
        self.tells = self
            .told
            .is_none_or(|told| told.elapsed() >= DISK_TOLD_INTERVAL);
        if self.tells {
            self.told = Some(Instant::now());
            tracing::error!(
                path = %database.display(),
                why,
                "the disk takes nothing: changes are refused, what is stored can be read, and it is tried again"
            );
        }
        self.fails = Some((why, Instant::now()));
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
