//! A connection that appends.

use mysql_async::{Conn, Opts, prelude::Queryable};
use serde::Serialize;
use tokio::time::Instant;
use uuid::Uuid;

use super::{connection, deadline, execute, lists::lists, packet, query};
use crate::{
    limits::SESSION_REST,
    store::sql::{Fault, Row, params},
};

pub struct Session {
    conn: Conn,
    /// Of the lock that it holds for as long as the server knows it: by this it is found when it is lost. Its number
    /// wouldn't do: a server that was started again gives the same one to somebody else.
    name: String,
    /// The largest packet that the server takes from it, in bytes.
    packet: usize,
    used: Instant,
}

impl Session {
    pub async fn connect(opts: &Opts) -> Result<Self, Fault> {
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

    /// Whether it has rested for so long that the server may be ending it.
    pub fn rested(&self) -> bool {
        self.used.elapsed() > SESSION_REST
    }

    pub fn into_name(self) -> String {
        self.name
    }

    /// COMMIT or ROLLBACK.
    pub async fn end(&mut self, sql: &'static str) -> Result<(), Fault> {
        self.used = Instant::now();
        deadline(self.conn.query_drop(sql)).await
    }

    pub async fn close(self) {
        let _ = deadline(self.conn.disconnect()).await;
    }

    /// All rows that a statement finds for a list.
    pub async fn read<T: Serialize>(
        &mut self,
        sql: &str,
        list: impl IntoIterator<Item = T>,
    ) -> Result<Vec<Row>, Fault> {
        let mut found = Vec::new();
        for list in lists(list, self.packet) {
            found.extend(
                query(&mut self.conn, sql, params![list], usize::MAX)
                    .await?
                    .0,
            );
        }
        Ok(found)
    }

    /// Executes a statement that writes a list.
    pub async fn write<T: Serialize>(
        &mut self,
        sql: &str,
        list: impl IntoIterator<Item = T>,
    ) -> Result<(), Fault> {
        for list in lists(list, self.packet) {
            execute(&mut self.conn, sql, params![list]).await?;
        }
        Ok(())
    }
}
