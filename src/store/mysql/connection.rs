//! A database connection that writes the log.

use mysql_async::{Conn, Opts, prelude::Queryable};
use serde::Serialize;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    lists::lists,
    statements::{connection, deadline, execute, packet, query},
};
use crate::{
    limits::DB_IDLE_MAX,
    store::{
        error::SqlError,
        values::{Row, params},
    },
};

pub struct WriterConnection {
    conn: Conn,
    /// The name of a lock that it holds for as long as the server knows the connection. By this it is found when it is lost. Its
    /// number wouldn't do: a server that was started again gives the same one to another connection.
    name: String,
    /// The largest packet that the server accepts from it, in bytes.
    packet: usize,
    used: Instant,
}

impl WriterConnection {
    pub async fn connect(opts: &Opts) -> Result<Self, SqlError> {
        let name = format!("hearth {}", Uuid::new_v4().simple());
        let mut conn = connection(Conn::new(opts.clone())).await?;
        let sql = "DO GET_LOCK(?, 0)";
        execute(&mut conn, sql, params![name.as_str()]).await?;
        let packet = packet(&mut conn).await?;
        Ok(Self {
            conn,
            name,
            packet,
            used: Instant::now(),
        })
    }

    /// Whether it was idle for so long that the server may be closing it.
    pub fn is_stale(&self) -> bool {
        self.used.elapsed() > DB_IDLE_MAX
    }

    pub fn into_name(self) -> String {
        self.name
    }

    /// COMMIT or ROLLBACK.
    pub async fn end(&mut self, sql: &'static str) -> Result<(), SqlError> {
        self.used = Instant::now();
        deadline(self.conn.query_drop(sql)).await
    }

    pub async fn close(self) {
        let _ = deadline(self.conn.disconnect()).await;
    }

    /// All rows that a statement finds for a list of keys.
    pub async fn read<T: Serialize>(
        &mut self,
        sql: &str,
        list: impl IntoIterator<Item = T>,
    ) -> Result<Vec<Row>, SqlError> {
        let mut found = Vec::new();
        for list in lists(list, self.packet) {
            let (rows, _) = query(&mut self.conn, sql, params![list], usize::MAX).await?;
            found.extend(rows);
        }
        Ok(found)
    }

    /// Executes a statement that writes a list of rows.
    pub async fn write<T: Serialize>(
        &mut self,
        sql: &str,
        list: impl IntoIterator<Item = T>,
    ) -> Result<(), SqlError> {
        for list in lists(list, self.packet) {
            execute(&mut self.conn, sql, params![list]).await?;
        }
        Ok(())
    }
}
