//! Where the database is and how it is used: the part of the configuration that is the store's.

use std::{fmt, path::PathBuf};

#[derive(Clone, Debug)]
pub struct Options {
    pub location: Location,
    /// Database connections beside those of the log's writers. SQLite: those that read.
    pub pool: usize,
    /// SHA-256, which shortens keys that are too long for an index.
    pub sha256: fn(&[u8]) -> [u8; 32],
}

impl Options {
    pub fn new(location: Location, pool: usize, sha256: fn(&[u8]) -> [u8; 32]) -> Self {
        Self {
            location,
            pool,
            sha256,
        }
    }
}

#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    Sqlite(PathBuf),
    /// `mysql://USER:PASSWORD@HOST[:PORT]/NAME`
    Mysql(String),
}

/// Without the URL, which holds a password.
impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Sqlite(path) => f.debug_tuple("Sqlite").field(path).finish(),
            Location::Mysql(_) => f.write_str("Mysql(…)"),
        }
    }
}

/// A setting or a state of the database that breaks one of Hearth's promises, and what its operator does about it.
#[derive(Clone, Debug)]
pub struct Weakness {
    pub what: String,
    pub remedy: String,
}
