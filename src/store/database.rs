//! The two databases behind one face: single statements, scripts that read, scripts that write.

use std::sync::atomic::Ordering;

use tokio::sync::{mpsc::error::TrySendError, oneshot};

use super::{
    Change, Error, Event, Outcome, Result,
    mysql::{Mysql, appender},
    queue::Memory,
    sql::{Conn, Done, Fault, Row, Script, Value, script},
    sqlite::{Sqlite, writer},
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
    ) -> Result<Vec<Row>, Fault> {
        Ok(self.query_upto(sql, params, usize::MAX).await?.0)
    }

    /// As [`Database::query`], but no further once the rows' texts exceed `bytes_max`: the first row
    /// always comes. Whether rows were left out.
    pub async fn query_upto(
        &self,
        sql: impl Into<String>,
        params: Vec<Value>,
        bytes_max: usize,
    ) -> Result<(Vec<Row>, bool), Fault> {
        match self {
            Database::Sqlite(db) => db.query(sql.into(), params, bytes_max).await,
            Database::Mysql(db) => db.query(sql.into(), params, bytes_max).await,
        }
    }

    /// Statements that read, in one transaction.
    pub async fn read<T: Send + 'static>(&self, script: impl Script<T>) -> Result<T, Fault> {
        match self {
            Database::Sqlite(db) => db.read(script).await,
            Database::Mysql(db) => db.read(script).await,
        }
    }

    /// Statements that write, in one transaction. Its events are told before the answer. The outer
    /// error: no transaction, or an unknown outcome; the inner one: what the script met.
    pub async fn write<T: Send + 'static>(
        &self,
        script: impl Script<(T, Vec<Event>)>,
    ) -> Result<Result<T, Fault>> {
        match self {
            Database::Sqlite(db) => {
                let (job, ticket) = writer::job(script);
                db.writer
                    .try_send(writer::Command::Write(job))
                    .map_err(refused)?;
                ticket.wait().await
            }
            Database::Mysql(db) => db.write(script).await,
        }
    }

    /// One statement that writes, committed when it answers.
    pub async fn execute(
        &self,
        sql: &'static str,
        params: Vec<Value>,
    ) -> Result<Result<Done, Fault>> {
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
                .try_send(writer::Command::Append(op))
                .map_err(refused)?,
            Database::Mysql(db) => db
                .appender(room_id)
                .try_send(appender::Command::Append(op))
                .map_err(refused)?,
        }
        ticket.wait().await
    }

    /// Whether what is written is stored: those that write still run, and the files are those that were opened.
    pub fn stores(&self) -> Result<()> {
        match self {
            Database::Sqlite(db) => db.stores(),
            Database::Mysql(db) => match db.appenders.iter().any(|appender| appender.is_closed()) {
                true => Err(Error::Unavailable("the log has ended".into())),
                false => Ok(()),
            },
        }
    }

    /// Drains what waits, then closes all connections.
    pub async fn close(&self) {
        match self {
            Database::Sqlite(db) => {
                let (done, drained) = oneshot::channel();
                if db.writer.send(writer::Command::Close(done)).await.is_ok() {
                    let _ = drained.await;
                }
                db.close_readers();
            }
            Database::Mysql(db) => {
                db.closing().store(true, Ordering::Release);
                let drains = db.appenders.each_ref().map(|appender| async {
                    let (done, drained) = oneshot::channel();
                    if appender.send(appender::Command::Close(done)).await.is_ok() {
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
