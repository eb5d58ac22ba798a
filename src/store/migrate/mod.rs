//! The schema. It is migrated when the program starts, under a lock, so that several nodes may start at once.
//!
//! Invariants: a database is left alone if its schema is newer than this program, or if another program's tables have names of
//! Hearth's. `meta.log_epoch` is created once.

use std::{fs::File, path::Path};

use mysql_async::{Opts, Pool, prelude::Queryable};
use rusqlite::OptionalExtension;
use tokio::time::timeout;

use self::derived::{Place, Progress};
use super::{
    blocking::blocking,
    connection::{Conn, run, script},
    epoch::new_epoch,
    error::{Error, Result, unavailable},
    mysql::{self, connect},
    options::{Location, Options},
    rows::HAS_ADMIN,
    sqlite::{
        locks,
        open::{open_writer, whole},
    },
};
use crate::limits;

mod derived;

mod embedded {
    pub mod sqlite {
        refinery::embed_migrations!("migrations/sqlite");
    }
    pub mod mysql {
        refinery::embed_migrations!("migrations/mysql");
    }
}

/// Where refinery notes which migrations ran.
const HISTORY: &str = "schema_history";
/// All tables of Hearth, children before their parents.
const TABLES: [&str; 21] = [
    // The search index before version 13.
    "message_words_fts",
    "message_words",
    "search_cursors",
    "deletions",
    "pins",
    "mentions",
    "reactions",
    "messages",
    "room_members",
    "rooms",
    "pending_jobs",
    // The name of `pending_jobs` before version 12.
    "chores",
    "password_resets",
    "invites",
    "revocations",
    "used_refresh_tokens",
    "auth_sessions",
    "user_names",
    "users",
    "meta",
    HISTORY,
];

/// What a migration did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The schema's version now.
    pub version: u32,
    /// The versions that were missing, each with its name.
    pub applied: Vec<String>,
    /// The log's epoch.
    pub epoch: String,
}

/// The schema's version that this program brings.
pub fn newest() -> u32 {
    let versions = embedded::sqlite::migrations::runner();
    let versions = versions.get_migrations().iter().map(|m| m.version());
    versions.max().unwrap_or(0).cast_unsigned()
}

/// Brings the schema up to date. Creates an SQLite database where there is none.
pub async fn migrate(options: &Options) -> Result<Report> {
    match &options.location {
        Location::Sqlite(path) => {
            let path = path.clone();
            blocking(move || Locked::open(&path)?.migrate()).await?
        }
        Location::Mysql(url) => {
            let mut locked = LockedMysql::open(url).await?;
            let report = locked.migrate().await;
            locked.close().await;
            report
        }
    }
}

/// Drops all tables of Hearth, and what is in them. Nothing else in the database is touched, and nothing at all where
/// Hearth has made none.
pub async fn reset(options: &Options) -> Result<()> {
    match &options.location {
        Location::Sqlite(path) => {
            let path = path.clone();
            blocking(move || {
                let _unserved = locks::unserved(&path)?;
                Locked::open(&path)?.reset()
            })
            .await?
        }
        Location::Mysql(url) => {
            let mut locked = LockedMysql::open(url).await?;
            let done = locked.reset().await;
            locked.close().await;
            done
        }
    }
}

/// The version of the database's schema; `None`: it has none. Changes nothing.
pub async fn schema_version(options: &Options) -> Result<Option<u32>> {
    match &options.location {
        Location::Sqlite(path) => {
            let path = path.clone();
            blocking(move || {
                whole(&path)?;
                if path.try_exists().map_err(unavailable)? {
                    sqlite_version(&open_writer(&path)?)
                } else {
                    Ok(None)
                }
            })
            .await?
        }
        Location::Mysql(url) => {
            let pool = Pool::new(connect::options(url, &[])?);
            let version = mysql_version(&pool).await;
            let _ = pool.disconnect().await;
            version
        }
    }
}

/// Gives the log a new epoch: after a restore it may have gone back in time. No server may use the database; one that does, on MySQL or
/// MariaDB, stops by itself within seconds. False: there is no log.
pub async fn renew_epoch(options: &Options) -> Result<bool> {
    match &options.location {
        Location::Sqlite(path) => {
            let path = path.clone();
            blocking(move || {
                whole(&path)?;
                if !path.try_exists().map_err(unavailable)? {
                    return Ok(false);
                }
                let _unserved = locks::unserved(&path)?;
                let locked = Locked::open(&path)?;
                if sqlite_version(&locked.conn)?.is_none() {
                    return Ok(false);
                }
                let renewed = locked.conn.execute(RENEW, [new_epoch()]);
                renewed.map_err(unavailable)?;
                Ok(true)
            })
            .await?
        }
        Location::Mysql(url) => {
            let mut locked = LockedMysql::open(url).await?;
            let done = locked.renew_epoch().await;
            locked.close().await;
            done
        }
    }
}

const RENEW: &str = "UPDATE meta SET value = ? WHERE name = 'log_epoch'";

/// Whether the site has an admin. The schema must be this program's.
pub async fn has_admin(options: &Options) -> Result<bool> {
    Ok(number(options, HAS_ADMIN).await?.is_some())
}

/// The sum of all rooms' `rev`. The schema must be this program's.
pub async fn changes(options: &Options) -> Result<u64> {
    let sql = "SELECT CAST(COALESCE(SUM(rev), 0) AS SIGNED) FROM rooms WHERE deleted_at IS NULL";
    Ok(number(options, sql).await?.unwrap_or(0).cast_unsigned())
}

/// The whole number that a statement answers, if it answers one.
async fn number(options: &Options, sql: &'static str) -> Result<Option<i64>> {
    match &options.location {
        Location::Sqlite(path) => {
            let path = path.clone();
            blocking(move || {
                let conn = open_writer(&path)?;
                let found = conn.query_row(sql, [], |row| row.get(0)).optional();
                found.map_err(unavailable)
            })
            .await?
        }
        Location::Mysql(url) => {
            let pool = Pool::new(connect::options(url, &[])?);
            let asked = async {
                let mut conn = connection(&pool).await?;
                let found = conn.query_first::<i64, _>(sql).await;
                found.map_err(mysql::error::unavailable)
            };
            let asked = asked.await;
            let _ = pool.disconnect().await;
            asked
        }
    }
}

fn check_version(found: Option<u32>) -> Result<()> {
    let known = newest();
    match found {
        Some(found) if found > known => Err(Error::Schema(format!(
            "the database's schema is version {found}, newer than the {known} that this program knows: start the \
             newer program, or restore a backup from before it"
        ))),
        _ => Ok(()),
    }
}

/// Whether Hearth has created its tables in a database that holds these. Its history is created first and dropped last, so tables of
/// its names without the history are another program's.
fn made(mut tables: Vec<String>) -> Result<bool> {
    tables.retain(|table| TABLES.contains(&table.as_str()));
    let made = tables.iter().any(|table| table == HISTORY);
    if made || tables.is_empty() {
        return Ok(made);
    }
    Err(Error::Schema(format!(
        "the database holds tables that Hearth didn't make ({}): give it a database of its own",
        tables.join(", ")
    )))
}

fn migration_failed(error: refinery::Error) -> Error {
    Error::Schema(format!("the schema could not be migrated: {error}"))
}

fn report(applied: &refinery::Report, epoch: String) -> Report {
    Report {
        version: newest(),
        applied: applied
            .applied_migrations()
            .iter()
            .map(|migration| migration.to_string())
            .collect(),
        epoch,
    }
}

/// An SQLite database whose schema no other process changes. The lock is the operating system's, on a file beside the database's, and
/// ends with this struct or the process.
struct Locked {
    conn: rusqlite::Connection,
    _lock: File,
}

impl Locked {
    fn open(path: &Path) -> Result<Self> {
        let lock = locks::lock_file(path, locks::MIGRATE)?;
        lock.lock().map_err(unavailable)?;
        Ok(Self {
            conn: open_writer(path)?,
            _lock: lock,
        })
    }

    fn migrate(mut self) -> Result<Report> {
        check_version(sqlite_version(&self.conn)?)?;
        let mut runner = embedded::sqlite::migrations::runner();
        runner.set_migration_table_name(HISTORY);
        let applied = runner.run(&mut self.conn).map_err(migration_failed)?;
        let (mut place, mut progress) = (Some(Place::Begin), Progress::default());
        while let Some(at) = place {
            progress.log(&at);
            place = self.derive(at)?;
        }
        progress.end();
        let conn = &self.conn;
        conn.execute(
            "INSERT OR IGNORE INTO meta (name, value) VALUES ('log_epoch', ?)",
            [new_epoch()],
        )
        .map_err(unavailable)?;
        let epoch = conn
            .query_row(
                "SELECT value FROM meta WHERE name = 'log_epoch'",
                [],
                |row| row.get(0),
            )
            .map_err(unavailable)?;
        Ok(report(&applied, epoch))
    }

    /// One step of [`derived`] in a transaction.
    fn derive(&mut self, at: Place) -> Result<Option<Place>> {
        let begun = self.conn.execute_batch("BEGIN IMMEDIATE");
        begun.map_err(unavailable)?;
        let step = script(move |conn| Box::pin(derived::step(conn, at.clone())));
        let done = run(&step, &mut self.conn);
        let end = match done {
            Ok(_) => "COMMIT",
            Err(_) => "ROLLBACK",
        };
        self.conn.execute_batch(end).map_err(unavailable)?;
        Ok(done?)
    }

    fn reset(self) -> Result<()> {
        sqlite_version(&self.conn)?;
        let drops: String = TABLES.map(drop_table).concat();
        self.conn
            .execute_batch(&format!("BEGIN IMMEDIATE; {drops} COMMIT; VACUUM"))
            .map_err(unavailable)
    }
}

fn drop_table(table: &str) -> String {
    format!("DROP TABLE IF EXISTS {table};")
}

/// The version of a database's schema, if this program knows it; `None`: it has none.
pub(super) fn known_schema(conn: &rusqlite::Connection) -> Result<Option<u32>> {
    let found = sqlite_version(conn)?;
    check_version(found)?;
    Ok(found)
}

fn sqlite_version(conn: &rusqlite::Connection) -> Result<Option<u32>> {
    let sql = "SELECT lower(name) FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY name";
    let mut asked = conn.prepare(sql).map_err(unavailable)?;
    let tables = asked.query_map([], |row| row.get(0)).map_err(unavailable)?;
    let tables = tables.collect::<Result<Vec<String>, _>>();
    if !made(tables.map_err(unavailable)?)? {
        return Ok(None);
    }
    conn.query_row(&format!("SELECT MAX(version) FROM {HISTORY}"), [], |row| {
        row.get(0)
    })
    .map_err(unavailable)
}

/// A MySQL database whose schema no other process changes. Its pool has one database connection, which holds GET_LOCK for as long as it lives and
/// isn't reset between its uses.
struct LockedMysql {
    pool: Pool,
    connection: u32,
}

/// The lock's name, at most 64 characters. It names the database, because locks are the server's.
const LOCK_NAME: &str = "CONCAT('hearth ', LEFT(SHA2(DATABASE(), 256), 40))";

impl LockedMysql {
    async fn open(url: &str) -> Result<Self> {
        let opts = Opts::from(connect::options(url, &[])?);
        if opts.db_name().is_none() {
            return Err(Error::Unavailable(
                "the database URL names no database".into(),
            ));
        }
        let pool = Pool::new(opts);
        let mut conn = connection(&pool).await?;
        let wait = limits::MIGRATION_LOCK_WAIT.as_secs();
        let locked: Option<Option<i64>> = conn
            .query_first(format!("SELECT GET_LOCK({LOCK_NAME}, {wait})"))
            .await
            .map_err(mysql::error::unavailable)?;
        if locked.flatten() != Some(1) {
            return Err(Error::Unavailable(format!(
                "another node has been migrating the database for {wait} s"
            )));
        }
        let connection = conn.id();
        drop(conn);
        Ok(Self { pool, connection })
    }

    /// Fails if the database connection that holds the lock was lost meanwhile.
    async fn still_locked(&self) -> Result<()> {
        let conn = connection(&self.pool).await?;
        if conn.id() == self.connection {
            return Ok(());
        }
        Err(Error::Unavailable(
            "the database connection that held the migration's lock was lost".into(),
        ))
    }

    async fn migrate(&mut self) -> Result<Report> {
        check_version(mysql_version(&self.pool).await?)?;
        let mut runner = embedded::mysql::migrations::runner();
        runner.set_migration_table_name(HISTORY);
        let applied = runner
            .run_async(&mut self.pool)
            .await
            .map_err(migration_failed)?;
        self.still_locked().await?;
        let (mut place, mut progress) = (Some(Place::Begin), Progress::default());
        while let Some(at) = place {
            progress.log(&at);
            place = self.derive(at).await?;
        }
        progress.end();
        let mut conn = connection(&self.pool).await?;
        conn.exec_drop(
            "INSERT IGNORE INTO meta (name, value) VALUES ('log_epoch', ?)",
            (new_epoch(),),
        )
        .await
        .map_err(mysql::error::unavailable)?;
        let epoch: Option<String> = conn
            .query_first("SELECT value FROM meta WHERE name = 'log_epoch'")
            .await
            .map_err(mysql::error::unavailable)?;
        let epoch = epoch.ok_or_else(|| Error::Broken("the log has no epoch".into()))?;
        Ok(report(&applied, epoch))
    }

    /// One step of [`derived`] in a transaction.
    async fn derive(&self, at: Place) -> Result<Option<Place>> {
        let mut conn = connection(&self.pool).await?;
        let begun = conn.query_drop("START TRANSACTION").await;
        begun.map_err(mysql::error::unavailable)?;
        // A step that fails ends the migration, and the connection ends the transaction.
        let next = derived::step(Conn::Mysql(&mut conn), at).await?;
        let committed = conn.query_drop("COMMIT").await;
        committed.map_err(mysql::error::unavailable)?;
        drop(conn);
        self.still_locked().await?;
        Ok(next)
    }

    async fn reset(&mut self) -> Result<()> {
        mysql_version(&self.pool).await?;
        let mut conn = connection(&self.pool).await?;
        for table in TABLES {
            conn.query_drop(drop_table(table))
                .await
                .map_err(mysql::error::unavailable)?;
        }
        Ok(())
    }

    async fn renew_epoch(&mut self) -> Result<bool> {
        if mysql_version(&self.pool).await?.is_none() {
            return Ok(false);
        }
        let mut conn = connection(&self.pool).await?;
        let renewed = conn.exec_drop(RENEW, (new_epoch(),)).await;
        renewed.map_err(unavailable)?;
        Ok(true)
    }

    async fn close(self) {
        // The lock ends with its connection.
        let _ = self.pool.disconnect().await;
    }
}

/// Connects under a deadline, so that a start says what it waits for.
async fn connection(pool: &Pool) -> Result<mysql_async::Conn> {
    let connected = timeout(limits::STATEMENT_DEADLINE, pool.get_conn()).await;
    connected
        .map_err(|_| Error::Unavailable("the database server can't be reached".into()))?
        .map_err(mysql::error::unavailable)
}

async fn mysql_version(pool: &Pool) -> Result<Option<u32>> {
    let mut conn = connection(pool).await?;
    let sql = "SELECT LOWER(table_name) FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY 1";
    let tables: Vec<String> = conn.query(sql).await.map_err(mysql::error::unavailable)?;
    if !made(tables)? {
        return Ok(None);
    }
    let version: Option<Option<u32>> = conn
        .query_first(format!("SELECT MAX(version) FROM {HISTORY}"))
        .await
        .map_err(mysql::error::unavailable)?;
    Ok(version.flatten())
}
