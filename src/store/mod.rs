//! The log and the tables, on SQLite or on MySQL and MariaDB.
//!
//! Invariants: a change exists once its transaction has committed. Only then is it answered, and only then is it told. A
//! room's `seq` and `rev` are given inside that transaction, under the lock of the room's row. So the order of allocation is
//! the order of commits, and neither has a gap.
//!
//! Deliberately absent: frames, HTTP, and rules about what users may do, but those that must be checked inside the transaction:
//! in a room by [`judge`], of accounts and invites by [`admin`], [`users`] and [`invites`].
//!
//! Each file imports only from files further to the right or down in this list, so that no two need each other:
//! - the areas of the tables, each an `impl Store`: `invites`, `users`, `admin`, `sessions`, `pending_jobs`, `log`, `rooms`,
//!   `new_rooms`, `standings`, `conversation`, `texts`
//! - this file: [`Store`]
//! - `backup`, `migrate`, `checks`; `database`: one of the two databases
//! - `sqlite` and `mysql`, each with `writer` (owns the database connection that writes the log) and `batch` (the SQL that loads
//!   a batch's state and writes its plan)
//! - `log/changes`, `log/history`, `log/messages`, `log/dense`: read the log inside a transaction
//! - `loader`: reads the rows of a batch for the judge, on both databases
//! - [`judge`]: decides and numbers changes, without I/O
//! - `queue`: what waits for a transaction; `pace`: when a busy writer begins the next one; `names`: the forms of users' names
//! - `connection`: a database connection of either kind, on `sqlite/statements` and `mysql/statements` with their `error`
//! - `rows`: columns and types
//! - the vocabulary: `page`, `change`, `event`, `room`, `account`, `options`
//! - `blocking`, `values`, `error`, `telemetry`, `epoch`

use std::sync::Arc;

pub use self::{
    account::{NewUser, Profile, UserRow},
    change::{Change, EVERYONE, Named, Outcome, Refused},
    checks::{lockable, only_server, weaknesses},
    error::{Error, Result},
    event::{CommitHook, Event, EventBody, MemberEvent, Update, What},
    options::{Location, Options, Weakness},
    page::{History, Page, Range},
    room::{Direct, NewRoom, RoomFilter, Standing},
    texts::{Text, Texts},
};
use self::{database::Database, mysql::Mysql, queue::Memory, sqlite::Sqlite};

mod account;
pub mod admin;
pub mod backup;
mod blocking;
mod change;
mod checks;
mod connection;
mod conversation;
mod database;
mod epoch;
mod error;
mod event;
pub mod invites;
mod judge;
mod loader;
mod log;
pub mod migrate;
mod mysql;
mod names;
mod new_rooms;
mod options;
mod pace;
mod page;
pub mod pending_jobs;
mod queue;
mod room;
mod rooms;
mod rows;
pub mod sessions;
mod sqlite;
mod standings;
mod telemetry;
mod texts;
pub mod users;
mod values;

/// A handle on the database; clones share it.
#[derive(Clone)]
pub struct Store {
    db: Database,
    epoch: Arc<str>,
    memory: Memory,
    sha256: fn(&[u8]) -> [u8; 32],
}

impl Store {
    /// Opens the database, migrates it under a lock, and starts the log.
    pub async fn open(options: &Options, commit_hook: CommitHook) -> Result<Self> {
        let (report, db) = match &options.location {
            Location::Sqlite(path) => {
                let used = sqlite::locks::used(path)?;
                let report = migrate::migrate(options).await?;
                let db = Sqlite::open(path, used, options.pool, commit_hook)?;
                (report, Database::Sqlite(db))
            }
            Location::Mysql(url) => {
                let report = migrate::migrate(options).await?;
                let db = Mysql::open(url, options.pool, commit_hook)?;
                (report, Database::Mysql(db))
            }
        };
        let store = Self {
            db,
            epoch: report.epoch.into(),
            memory: Memory::new(),
            sha256: options.sha256,
        };
        for Weakness { what, remedy } in weaknesses(options).await? {
            tracing::error!(what, remedy, "the database isn't as Hearth needs it");
        }
        Ok(store)
    }

    /// Whether the log is still the one that was opened. A reset or a restore under a running server makes it another one,
    /// whose ids and numbers mean other things.
    pub async fn same_epoch(&self) -> Result<bool> {
        let sql = "SELECT value FROM meta WHERE name = 'log_epoch'";
        let rows = self.db.query(sql, Vec::new()).await?;
        match rows.first() {
            Some(row) => Ok(row.str(0)? == &*self.epoch),
            None => Ok(false),
        }
    }

    /// Commits the changes that wait, then closes all database connections.
    pub async fn close(&self) {
        self.db.close().await;
    }

    /// Whether the database answers and the log runs: for `/readyz`.
    pub async fn ping(&self) -> Result<()> {
        self.db.stores()?;
        self.db.query("SELECT 1 FROM meta", Vec::new()).await?;
        Ok(())
    }

    /// Looks whether the files of an SQLite database were changed under this process. Called every
    /// [`limits::FILES_INTERVAL`].
    ///
    /// [`limits::FILES_INTERVAL`]: crate::limits::FILES_INTERVAL
    pub fn look_at_files(&self) {
        if let Database::Sqlite(db) = &self.db {
            db.look();
        }
    }

    /// The log's epoch. It changes when the log may have gone back in time.
    pub fn epoch(&self) -> Arc<str> {
        self.epoch.clone()
    }

    /// Appends one change, and answers after its commit. `Unavailable`: it never happened. `Unknown`: repeating it with the
    /// same `id` tells.
    pub async fn append(&self, change: Change) -> Result<Outcome> {
        self.db.append(&self.memory, change).await
    }

    fn db(&self) -> &Database {
        &self.db
    }
}
