//! A database connection inside a transaction, and scripts: what is written once for both databases.

use futures_util::{FutureExt, future::BoxFuture};

use super::{
    error::SqlError,
    mysql::statements as mysql,
    sqlite::statements as sqlite,
    values::{Done, Row, Value},
};

/// The rows that one statement inserts at most.
const ROWS_AT_ONCE: usize = 128;

/// A database connection inside a transaction, which its owner began and will end. On SQLite its futures are ready at once,
/// so that a script runs there on a plain thread ([`run`]).
pub enum Conn<'a> {
    Sqlite(&'a mut rusqlite::Connection),
    Mysql(&'a mut mysql_async::Conn),
}

impl Conn<'_> {
    pub async fn query(&mut self, sql: &str, params: Vec<Value>) -> Result<Vec<Row>, SqlError> {
        Ok(self.query_upto(sql, params, usize::MAX).await?.0)
    }

    /// As [`Conn::query`], but reads no further once the rows' texts exceed `bytes_max`; the first row always comes. Returns
    /// with the rows whether some were left out.
    pub async fn query_upto(
        &mut self,
        sql: &str,
        params: Vec<Value>,
        bytes_max: usize,
    ) -> Result<(Vec<Row>, bool), SqlError> {
        match self {
            Conn::Sqlite(conn) => sqlite::query(conn, sql, &params, bytes_max),
            Conn::Mysql(conn) => mysql::query(*conn, sql, params, bytes_max).await,
        }
    }

    pub async fn execute(&mut self, sql: &str, params: Vec<Value>) -> Result<Done, SqlError> {
        match self {
            Conn::Sqlite(conn) => sqlite::execute(conn, sql, &params),
            Conn::Mysql(conn) => mysql::execute(*conn, sql, params).await,
        }
    }

    /// Inserts rows by few statements. `into`: the table and its columns.
    pub async fn insert<const N: usize>(
        &mut self,
        into: &str,
        rows: &[[Value; N]],
    ) -> Result<(), SqlError> {
        for rows in rows.chunks(ROWS_AT_ONCE) {
            let row = format!("({})", ["?"; N].join(", "));
            let marks = vec![&*row; rows.len()].join(", ");
            let sql = format!("INSERT INTO {into} VALUES {marks}");
            self.execute(&sql, rows.concat()).await?;
        }
        Ok(())
    }

    /// Reads rows under a shared lock, which is held to the end of the transaction. What is read after a room's row shows the
    /// room up to exactly this row's `rev`: without the lock a read on MariaDB can show change N + 1 and not N. SQLite needs
    /// no lock, because a transaction reads one snapshot.
    pub async fn query_share(
        &mut self,
        sql: &str,
        params: Vec<Value>,
    ) -> Result<Vec<Row>, SqlError> {
        match self {
            Conn::Sqlite(_) => self.query(sql, params).await,
            // MariaDB doesn't know `FOR SHARE`.
            Conn::Mysql(_) => {
                let sql = format!("{sql} LOCK IN SHARE MODE");
                self.query(&sql, params).await
            }
        }
    }

    /// Reads rows and locks them against other writers. SQLite needs no lock, because it has one writer.
    pub async fn query_update(
        &mut self,
        sql: &str,
        params: Vec<Value>,
    ) -> Result<Vec<Row>, SqlError> {
        match self {
            Conn::Sqlite(_) => self.query(sql, params).await,
            Conn::Mysql(_) => self.query(&format!("{sql} FOR UPDATE"), params).await,
        }
    }
}

/// Several statements in one transaction. It is called again when the transaction is retried.
pub trait Script<T>:
    for<'a> Fn(Conn<'a>) -> BoxFuture<'a, Result<T, SqlError>> + Send + Sync + 'static
{
}

impl<T, F> Script<T> for F where
    F: for<'a> Fn(Conn<'a>) -> BoxFuture<'a, Result<T, SqlError>> + Send + Sync + 'static
{
}

/// Gives a closure the lifetimes of a [`Script`], which its own signature can't name.
pub fn script<T, F>(script: F) -> F
where
    F: for<'a> Fn(Conn<'a>) -> BoxFuture<'a, Result<T, SqlError>> + Send + Sync + 'static,
{
    script
}

/// Runs a script on this thread: on SQLite its futures never wait.
pub fn run<T>(script: &impl Script<T>, conn: &mut rusqlite::Connection) -> Result<T, SqlError> {
    let waits = || SqlError::Refused("a script for SQLite waited".into());
    let ended = script(Conn::Sqlite(conn)).now_or_never();
    ended.ok_or_else(waits)?
}
