//! Statements on MySQL and MariaDB, with the values of both databases, each under a deadline.

use mysql_async::prelude::Queryable;
use tokio::time::timeout;

use super::error::sql_error;
use crate::{
    limits::STATEMENT_DEADLINE,
    store::{
        error::SqlError,
        values::{Done, Row, Value},
    },
};

/// A call of the driver under the statement's deadline, with its error sorted.
pub async fn deadline<T>(
    call: impl Future<Output = mysql_async::Result<T>>,
) -> Result<T, SqlError> {
    match timeout(STATEMENT_DEADLINE, call).await {
        Ok(answer) => answer.map_err(sql_error),
        Err(_) => Err(SqlError::TooMuch("no answer before the deadline".into())),
    }
}

/// As [`deadline`], for calls that give a connection. One that is late was not asked for too much, but is gone.
pub async fn connection<T>(
    call: impl Future<Output = mysql_async::Result<T>>,
) -> Result<T, SqlError> {
    deadline(call).await.map_err(|error| match error {
        SqlError::TooMuch(cause) => SqlError::Gone(cause),
        error => error,
    })
}

/// Reads rows until their texts exceed `bytes_max`, and returns with them whether more were left.
pub async fn query(
    conn: &mut impl Queryable,
    sql: &str,
    params: Vec<Value>,
    bytes_max: usize,
) -> Result<(Vec<Row>, bool), SqlError> {
    let (mut rows, mut bytes, mut cut) = (Vec::new(), 0, false);
    deadline(async {
        let mut answer = conn.exec_iter(sql, parameters(params)).await?;
        while let Some(row) = answer.next().await? {
            if bytes > bytes_max {
                cut = true;
                break;
            }
            let row: Vec<Value> = row.unwrap().into_iter().map(value).collect();
            bytes += row.iter().map(Value::heap_bytes).sum::<usize>();
            rows.push(Row(row));
        }
        // The rest is read and dropped, a row at a time.
        answer.drop_result().await
    })
    .await?;
    Ok((rows, cut))
}

/// The largest packet that the server accepts from this connection, in bytes.
pub async fn packet(conn: &mut impl Queryable) -> Result<usize, SqlError> {
    let sql = "SELECT CAST(@@max_allowed_packet AS SIGNED)";
    let found = query(conn, sql, Vec::new(), usize::MAX).await?.0;
    let none = || SqlError::Refused("no variables".into());
    Ok(found.first().ok_or_else(none)?.u64(0)? as usize)
}

pub async fn execute(
    conn: &mut impl Queryable,
    sql: &str,
    params: Vec<Value>,
) -> Result<Done, SqlError> {
    let last_id = deadline(async {
        let answer = conn.exec_iter(sql, parameters(params)).await?;
        let last_id = answer.last_insert_id();
        answer.drop_result().await?;
        Ok(last_id)
    })
    .await?;
    Ok(Done {
        last_id: last_id.unwrap_or(0),
    })
}

fn parameters(params: Vec<Value>) -> mysql_async::Params {
    if params.is_empty() {
        return mysql_async::Params::Empty;
    }
    let value = |value| match value {
        Value::Null => mysql_async::Value::NULL,
        Value::Int(int) => mysql_async::Value::Int(int),
        Value::Text(text) => mysql_async::Value::Bytes(text.into_bytes()),
        Value::Blob(bytes) => mysql_async::Value::Bytes(bytes),
    };
    mysql_async::Params::Positional(params.into_iter().map(value).collect())
}

/// Texts come as bytes. Types that no table has (floats, dates) become texts.
fn value(value: mysql_async::Value) -> Value {
    match value {
        mysql_async::Value::NULL => Value::Null,
        mysql_async::Value::Bytes(bytes) => Value::Blob(bytes),
        mysql_async::Value::Int(int) => Value::Int(int),
        mysql_async::Value::UInt(int) => Value::Int(int.cast_signed()),
        other => Value::Text(other.as_sql(true)),
    }
}
