//! Statements on SQLite, with the values of both databases.

use rusqlite::{
    Connection, params_from_iter,
    types::{ToSqlOutput, ValueRef},
};

use super::error::sql_error;
use crate::store::{
    error::SqlError,
    values::{Done, Row, Value},
};

/// Reads rows until their texts exceed `bytes_max`, and returns with them whether more were left.
pub fn query(
    conn: &Connection,
    sql: &str,
    params: &[Value],
    bytes_max: usize,
) -> Result<(Vec<Row>, bool), SqlError> {
    let mut statement = conn.prepare_cached(sql).map_err(sql_error)?;
    let params = params_from_iter(params);
    let mut answer = statement.query(params).map_err(sql_error)?;
    let (mut rows, mut bytes) = (Vec::new(), 0);
    while let Some(found) = answer.next().map_err(sql_error)? {
        if bytes > bytes_max {
            return Ok((rows, true));
        }
        let row = row(found)?;
        bytes += row.0.iter().map(Value::heap_bytes).sum::<usize>();
        rows.push(row);
    }
    Ok((rows, false))
}

pub fn row(row: &rusqlite::Row<'_>) -> Result<Row, SqlError> {
    let columns = row.as_ref().column_count();
    let mut values = Vec::with_capacity(columns);
    for column in 0..columns {
        values.push(value(row.get_ref(column).map_err(sql_error)?)?);
    }
    Ok(Row(values))
}

pub fn execute(conn: &Connection, sql: &str, params: &[Value]) -> Result<Done, SqlError> {
    let mut statement = conn.prepare_cached(sql).map_err(sql_error)?;
    let params = params_from_iter(params);
    statement.execute(params).map_err(sql_error)?;
    Ok(Done {
        last_id: u64::try_from(conn.last_insert_rowid()).unwrap_or(0),
    })
}

fn value(value: ValueRef<'_>) -> Result<Value, SqlError> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(int) => Value::Int(int),
        ValueRef::Text(text) => Value::Text(
            String::from_utf8(text.to_vec())
                .map_err(|_| SqlError::Refused("a text isn't UTF-8".into()))?,
        ),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
        ValueRef::Real(_) => return Err(SqlError::Refused("a column holds a float".into())),
    })
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Int(int) => ValueRef::Integer(*int),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}
