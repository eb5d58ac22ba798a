//! One interface for both databases: single statements, scripts that read, scripts that write.

use std::sync::atomic::Ordering;

use tokio::sync::{mpsc::error::TrySendError, oneshot};

use super::{
    change::{Change, Outcome},
    connection::{Conn, Script, script},
    error::{Error, Result, SqlError},
    event::Event,
    mysql::{self, Mysql},
    queue::Memory,
    sqlite::{self, Sqlite, jobs::job},
    values::{Done, Row, Value},
};

#[derive(Clone)]
pub enum Database {
    Sqlite(Sqlite),
    Mysql(Mysql),
}

impl Database {
    /// One statement that reads.
    pub async fn query(
        &self,
        sql: impl Into<String>,
        params: Vec<Value>,
    ) -> Result<Vec<Row>, SqlError> {
        Ok(self.query_upto(sql, params, usize::MAX).await?.0)
    }

    /// As [`Database::query`], but reads no further once the rows' texts exceed `bytes_max`; the first row always comes. Returns with
    /// the rows whether some were left out.
    pub async fn query_upto(
        &self,
        sql: impl Into<String>,
        params: Vec<Value>,
        bytes_max: usize,
    ) -> Result<(Vec<Row>, bool), SqlError> {
        match self {
            Database::Sqlite(db) => db.query(sql.into(), params, bytes_max).await,
            Database::Mysql(db) => db.query(sql.into(), params, bytes_max).await,
        }
    }

    /// Statements that read, in one transaction.
    pub async fn read<T: Send + 'static>(&self, script: impl Script<T>) -> Result<T, SqlError> {
        match self {
            Database::Sqlite(db) => db.read(script).await,
            Database::Mysql(db) => db.read(script).await,
        }
    }

    /// Statements that write, in one transaction. Its events are told before the answer. The outer error: there was no transaction, or
    /// its outcome is unknown. The inner error: the script's.
    pub async fn write<T: Send + 'static>(
        &self,
        script: impl Script<(T, Vec<Event>)>,
    ) -> Result<Result<T, SqlError>> {
        match self {
            Database::Sqlite(db) => {
                let (job, ticket) = job(script);
                db.writer
                    .try_send(sqlite::writer::Command::Write(job))
                    .map_err(refused)?;
                ticket.wait().await
            }
            Database::Mysql(db) => db.write(script).await,
        }
    }

    /// One statement that writes. It is committed when this returns.
    pub async fn execute(
        &self,
        sql: &'static str,
        params: Vec<Value>,
    ) -> Result<Result<Done, SqlError>> {
        let script = script(move |mut conn: Conn<'_>| {
            let params = params.clone();
            Box::pin(async move { Ok((conn.execute(sql, params).await?, Vec::new())) })
        });
        self.write(script).await
    }

    /// Appends one change, in a transaction that it shares with others.
    pub async fn append(&self, memory: &Memory, change: Change) -> Result<Outcome> {
        let room_id = change.room_id();
        let (op, ticket) = memory.op(change)?;
        match self {
            Database::Sqlite(db) => db
                .writer
                .try_send(sqlite::writer::Command::Append(op))
                .map_err(refused)?,
            Database::Mysql(db) => db
                .writer(room_id)
                .try_send(mysql::writer::Command::Append(op))
                .map_err(refused)?,
        }
        ticket.wait().await
    }

    /// Whether what is written is stored: the writers run, and the files are those that were opened.
    pub fn stores(&self) -> Result<()> {
        match self {
            Database::Sqlite(db) => db.stores(),
            Database::Mysql(db) => {
                if db.writers.iter().any(|writer| writer.is_closed()) {
                    return Err(Error::Unavailable("the log has ended".into()));
                }
                Ok(())
            }
        }
    }

    /// Commits what waits, then closes all database connections.
    pub async fn close(&self) {
        match self {
            Database::Sqlite(db) => {
                let (done, drained) = oneshot::channel();
                if db
                    .writer
                    .send(sqlite::writer::Command::Close(done))
                    .await
                    .is_ok()
                {
                    let _ = drained.await;
                }
                db.close_readers();
            }
            Database::Mysql(db) => {
                db.closing().store(true, Ordering::Release);
                let drains = db.writers.each_ref().map(|writer| async {
                    let (done, drained) = oneshot::channel();
                    if writer
                        .send(mysql::writer::Command::Close(done))
                        .await
                        .is_ok()
                    {
                        let _ = drained.await;
                    }
                });
                futures_util::future::join_all(drains).await;
                db.close_pool().await;
            }
        }
    }
}

fn refused<T>(error: TrySendError<T>) -> Error {
    Error::Unavailable(match error {
        TrySendError::Full(_) => "too many changes wait for the log".into(),
        TrySendError::Closed(_) => "the log is closed".into(),
    })
}
