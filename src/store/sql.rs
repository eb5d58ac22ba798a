//! One small vocabulary for both databases: values, rows, and a connection inside a transaction.
//!
//! Invariant: values travel as parameters, never inside the text of a statement; a statement's text is
//! a constant, or a constant with a padded list of `?` ([`with_ids`]), so that few are ever prepared.

use futures_util::future::BoxFuture;
use uuid::Uuid;

use super::{Error, mysql, sqlite};
use crate::protocol::{RoomId, SessionId, Time, UserId};

/// Why a statement failed, as those who might repeat it see it.
#[derive(Debug)]
pub enum Fault {
    /// A unique index holds this key already; how the database names the index or its column.
    Unique(String),
    /// Nothing is wrong with the statement: a lock, a full disk. Repeating may help.
    Transient(String),
    /// The disk of an SQLite database takes nothing, or gives nothing: it is full, read-only or broken. Repeating helps when
    /// that is over.
    Disk(String),
    /// The files of an SQLite database were changed under the server, as the log tells.
    Moved(String),
    /// The connection was lost: repeating may help, on another one.
    Gone(String),
    /// No answer before the deadline, or beyond what the server takes at once: less of it may pass. The connection isn't
    /// used again.
    TooMuch(String),
    /// The database refuses this statement with these values; repeating gives the same.
    Refused(String),
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unique(key) => Error::Broken(format!("{key} holds this key twice")),
            Fault::Transient(cause)
            | Fault::Disk(cause)
            | Fault::Gone(cause)
            | Fault::TooMuch(cause) => Error::Unavailable(cause),
            Fault::Moved(cause) => Error::Down(cause),
            Fault::Refused(cause) => Error::Broken(cause),
        }
    }
}

impl Fault {
    /// Whether the same may succeed later.
    pub fn passes(&self) -> bool {
        !matches!(self, Fault::Unique(_) | Fault::Refused(_))
    }

    pub fn cause(self) -> String {
        match self {
            Fault::Unique(cause)
            | Fault::Transient(cause)
            | Fault::Disk(cause)
            | Fault::Moved(cause)
            | Fault::Gone(cause)
            | Fault::TooMuch(cause)
            | Fault::Refused(cause) => cause,
        }
    }
}

/// What a column holds, or a parameter gives. MySQL's text arrives as [`Value::Blob`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Null,
    Int(i64),
    Text(String),
    Blob(Vec<u8>),
}

impl Value {
    /// Bytes that the value takes beside its own struct.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Value::Null | Value::Int(_) => 0,
            Value::Text(text) => text.len(),
            Value::Blob(bytes) => bytes.len(),
        }
    }
}

macro_rules! from_int {
    ($($from:ty => $expr:expr),* $(,)?) => {
        $(impl From<$from> for Value {
            fn from(value: $from) -> Self {
                let int: fn($from) -> i64 = $expr;
                Value::Int(int(value))
            }
        })*
    };
}

// Numbers of ours stay below 2^53 (limits::ID_MAX), so none is cut off here.
from_int! {
    i64 => |int| int,
    u64 => |int| int as i64,
    usize => |int| int as i64,
    bool => i64::from,
    UserId => |id| id.0 as i64,
    RoomId => |id| id.0 as i64,
    SessionId => |id| id.0 as i64,
    Time => |time| time.0,
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text)
    }
}

impl From<Uuid> for Value {
    fn from(id: Uuid) -> Self {
        Value::Blob(id.into_bytes().to_vec())
    }
}

impl From<[u8; 32]> for Value {
    fn from(bytes: [u8; 32]) -> Self {
        Value::Blob(bytes.to_vec())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// The parameters of a statement, in the order of its `?`.
macro_rules! params {
    ($($value:expr),* $(,)?) => { vec![$($crate::store::sql::Value::from($value)),*] };
}
pub(super) use params;

/// A row of an answer, read by position. The getters fail where the column holds another type.
#[derive(Clone, Debug)]
pub struct Row(pub Vec<Value>);

impl Row {
    fn value(&self, column: usize) -> Result<&Value, Fault> {
        let missing = || Fault::Refused(format!("column {column} is missing"));
        self.0.get(column).ok_or_else(missing)
    }

    fn ill_typed(column: usize) -> Fault {
        Fault::Refused(format!("column {column} has another type"))
    }

    pub fn is_null(&self, column: usize) -> Result<bool, Fault> {
        Ok(*self.value(column)? == Value::Null)
    }

    pub fn i64(&self, column: usize) -> Result<i64, Fault> {
        match self.value(column)? {
            Value::Int(int) => Ok(*int),
            _ => Err(Self::ill_typed(column)),
        }
    }

    pub fn u64(&self, column: usize) -> Result<u64, Fault> {
        u64::try_from(self.i64(column)?).map_err(|_| Self::ill_typed(column))
    }

    pub fn opt_u64(&self, column: usize) -> Result<Option<u64>, Fault> {
        if self.is_null(column)? {
            return Ok(None);
        }
        self.u64(column).map(Some)
    }

    pub fn time(&self, column: usize) -> Result<Time, Fault> {
        self.i64(column).map(Time)
    }

    pub fn opt_time(&self, column: usize) -> Result<Option<Time>, Fault> {
        if self.is_null(column)? {
            return Ok(None);
        }
        self.time(column).map(Some)
    }

    pub fn user_id(&self, column: usize) -> Result<UserId, Fault> {
        self.u64(column).map(UserId)
    }

    pub fn room_id(&self, column: usize) -> Result<RoomId, Fault> {
        self.u64(column).map(RoomId)
    }

    pub fn str(&self, column: usize) -> Result<&str, Fault> {
        match self.value(column)? {
            Value::Text(text) => Ok(text),
            Value::Blob(bytes) => std::str::from_utf8(bytes).map_err(|_| Self::ill_typed(column)),
            _ => Err(Self::ill_typed(column)),
        }
    }

    /// Takes the text out of the row.
    pub fn text(&mut self, column: usize) -> Result<String, Fault> {
        self.value(column)?;
        match std::mem::replace(&mut self.0[column], Value::Null) {
            Value::Text(text) => Ok(text),
            Value::Blob(bytes) => String::from_utf8(bytes).map_err(|_| Self::ill_typed(column)),
            _ => Err(Self::ill_typed(column)),
        }
    }

    /// Takes the text out of the row.
    pub fn opt_text(&mut self, column: usize) -> Result<Option<String>, Fault> {
        if self.is_null(column)? {
            return Ok(None);
        }
        self.text(column).map(Some)
    }

    pub fn bytes(&self, column: usize) -> Result<&[u8], Fault> {
        match self.value(column)? {
            Value::Blob(bytes) => Ok(bytes),
            _ => Err(Self::ill_typed(column)),
        }
    }

    pub fn uuid(&self, column: usize) -> Result<Uuid, Fault> {
        match self.value(column)? {
            Value::Blob(bytes) => Uuid::from_slice(bytes).map_err(|_| Self::ill_typed(column)),
            _ => Err(Self::ill_typed(column)),
        }
    }
}

/// What a statement that returns no rows did.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    /// The id that AUTO_INCREMENT or AUTOINCREMENT gave; of many rows, one of them.
    pub last_id: u64,
}

/// Rows that a statement inserts at most.
const ROWS_AT_ONCE: usize = 128;

/// A connection inside a transaction that somebody else began and will end. On SQLite its futures are
/// ready at once, so that a script for both runs there in a plain thread ([`sqlite::run`]).
pub enum Conn<'a> {
    Sqlite(&'a mut rusqlite::Connection),
    Mysql(&'a mut mysql_async::Conn),
}

impl Conn<'_> {
    pub async fn query(&mut self, sql: &str, params: Vec<Value>) -> Result<Vec<Row>, Fault> {
        Ok(self.query_upto(sql, params, usize::MAX).await?.0)
    }

    /// As [`Conn::query`], but reads no further once the rows' texts exceed `bytes_max`: the first
    /// row always comes. Whether rows were left out.
    pub async fn query_upto(
        &mut self,
        sql: &str,
        params: Vec<Value>,
        bytes_max: usize,
    ) -> Result<(Vec<Row>, bool), Fault> {
        match self {
            Conn::Sqlite(conn) => sqlite::query(conn, sql, &params, bytes_max),
            Conn::Mysql(conn) => mysql::query(*conn, sql, params, bytes_max).await,
        }
    }

    pub async fn execute(&mut self, sql: &str, params: Vec<Value>) -> Result<Done, Fault> {
        match self {
            Conn::Sqlite(conn) => sqlite::execute(conn, sql, &params),
            Conn::Mysql(conn) => mysql::execute(*conn, sql, params).await,
        }
    }

    /// Inserts rows of `N` values each, by few statements. `into`: the table and its columns.
    pub async fn insert<const N: usize>(
        &mut self,
        into: &str,
        rows: &[[Value; N]],
    ) -> Result<(), Fault> {
        for rows in rows.chunks(ROWS_AT_ONCE) {
            let row = format!("({})", ["?"; N].join(", "));
            let marks = vec![&*row; rows.len()].join(", ");
            let sql = format!("INSERT INTO {into} VALUES {marks}");
            self.execute(&sql, rows.concat()).await?;
        }
        Ok(())
    }

    /// Reads rows under a lock that lets other readers in and no writer, held to the end of the
    /// transaction: what is read after a room's row shows the room up to exactly this row's `rev`. SQLite
    /// needs none: a transaction reads one snapshot.
    ///
    /// The lock is there because a plain read on MariaDB can show change N + 1 and not N.
    pub async fn query_share(&mut self, sql: &str, params: Vec<Value>) -> Result<Vec<Row>, Fault> {
        match self {
            Conn::Sqlite(_) => self.query(sql, params).await,
            // `FOR SHARE` is unknown to MariaDB.
            Conn::Mysql(_) => {
                let sql = format!("{sql} LOCK IN SHARE MODE");
                self.query(&sql, params).await
            }
        }
    }

    /// Locks a row against other writers, where the database doesn't have but one.
    pub async fn query_update(&mut self, sql: &str, params: Vec<Value>) -> Result<Vec<Row>, Fault> {
        match self {
            Conn::Sqlite(_) => self.query(sql, params).await,
            Conn::Mysql(_) => self.query(&format!("{sql} FOR UPDATE"), params).await,
        }
    }
}

/// Several statements in one transaction; called again when the database asks for a repetition.
pub trait Script<T>:
    for<'a> Fn(Conn<'a>) -> BoxFuture<'a, Result<T, Fault>> + Send + Sync + 'static
{
}

impl<T, F> Script<T> for F where
    F: for<'a> Fn(Conn<'a>) -> BoxFuture<'a, Result<T, Fault>> + Send + Sync + 'static
{
}

/// Names a closure's lifetimes, which its own signature can't.
pub fn script<T, F>(script: F) -> F
where
    F: for<'a> Fn(Conn<'a>) -> BoxFuture<'a, Result<T, Fault>> + Send + Sync + 'static,
{
    script
}

/// How many ids one statement takes at most.
pub const IDS_MAX: usize = 1_000;

/// Statements that together hold all ids: `(#)` in `sql` becomes a list of 1, 8, 64, 512 or 1,000
/// placeholders, filled up by repeating the last id. `before` are the parameters left of the list.
pub fn with_ids<T: Copy + Into<Value>>(
    sql: &str,
    before: &[Value],
    ids: &[T],
) -> Vec<(String, Vec<Value>)> {
    ids.chunks(IDS_MAX)
        .map(|chunk| {
            let padded = [1, 8, 64, 512, IDS_MAX]
                .into_iter()
                .find(|size| *size >= chunk.len())
                .unwrap_or(IDS_MAX);
            let marks = format!("({}?)", "?,".repeat(padded - 1));
            let last = chunk[chunk.len() - 1];
            let mut params = before.to_vec();
            params.extend(chunk.iter().map(|id| (*id).into()));
            params.extend(std::iter::repeat_n(last, padded - chunk.len()).map(Into::into));
            (sql.replacen("(#)", &marks, 1), params)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_ids_are_padded_to_few_sizes() {
        for (count, sizes) in [
            (0, vec![]),
            (1, vec![1]),
            (2, vec![8]),
            (9, vec![64]),
            (513, vec![1_000]),
            (1_001, vec![1_000, 1]),
        ] {
            let ids: Vec<u64> = (1..=count).collect();
            let statements = with_ids("SELECT 1 WHERE ? AND id IN (#)", &[7u64.into()], &ids);
            let marks: Vec<usize> = statements
                .iter()
                .map(|(sql, params)| {
                    assert_eq!(sql.matches('?').count(), params.len());
                    params.len() - 1
                })
                .collect();
            assert_eq!(marks, sizes, "{count} ids");
            if let Some((_, params)) = statements.last() {
                assert_eq!(params.last(), Some(&Value::from(count)));
            }
        }
    }
}
