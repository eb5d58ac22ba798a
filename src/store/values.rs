//! Parameters and rows of statements, alike for both databases.
//!
//! Invariant: a value is a parameter, never a part of a statement's text. The text is a constant, or a constant with a list
//! of `?` of one of few lengths ([`with_ids`]), so that few statements are ever prepared.

use uuid::Uuid;

use super::error::SqlError;
use crate::protocol::{RoomId, SessionId, Time, UserId};

/// The value of a column or of a parameter. MySQL's texts arrive as [`Value::Blob`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Null,
    Int(i64),
    Text(String),
    Blob(Vec<u8>),
}

impl Value {
    /// The bytes that it takes beside its own struct.
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

// All numbers stay below 2^53 (limits::ID_MAX), so none is truncated here.
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
    ($($value:expr),* $(,)?) => { vec![$($crate::store::values::Value::from($value)),*] };
}
pub(super) use params;

/// A row of a result, read by position. The getters fail where the column holds another type.
#[derive(Clone, Debug)]
pub struct Row(pub Vec<Value>);

impl Row {
    fn value(&self, column: usize) -> Result<&Value, SqlError> {
        let missing = || SqlError::Refused(format!("column {column} is missing"));
        self.0.get(column).ok_or_else(missing)
    }

    fn ill_typed(column: usize) -> SqlError {
        SqlError::Refused(format!("column {column} has another type"))
    }

    pub fn is_null(&self, column: usize) -> Result<bool, SqlError> {
        Ok(*self.value(column)? == Value::Null)
    }

    pub fn i64(&self, column: usize) -> Result<i64, SqlError> {
        match self.value(column)? {
            Value::Int(int) => Ok(*int),
            _ => Err(Self::ill_typed(column)),
        }
    }

    pub fn u64(&self, column: usize) -> Result<u64, SqlError> {
        u64::try_from(self.i64(column)?).map_err(|_| Self::ill_typed(column))
    }

    pub fn opt_u64(&self, column: usize) -> Result<Option<u64>, SqlError> {
        if self.is_null(column)? {
            return Ok(None);
        }
        self.u64(column).map(Some)
    }

    pub fn time(&self, column: usize) -> Result<Time, SqlError> {
        self.i64(column).map(Time)
    }

    pub fn opt_time(&self, column: usize) -> Result<Option<Time>, SqlError> {
        if self.is_null(column)? {
            return Ok(None);
        }
        self.time(column).map(Some)
    }

    pub fn user_id(&self, column: usize) -> Result<UserId, SqlError> {
        self.u64(column).map(UserId)
    }

    pub fn room_id(&self, column: usize) -> Result<RoomId, SqlError> {
        self.u64(column).map(RoomId)
    }

    pub fn str(&self, column: usize) -> Result<&str, SqlError> {
        match self.value(column)? {
            Value::Text(text) => Ok(text),
            Value::Blob(bytes) => std::str::from_utf8(bytes).map_err(|_| Self::ill_typed(column)),
            _ => Err(Self::ill_typed(column)),
        }
    }

    /// Moves the text out of the row.
    pub fn text(&mut self, column: usize) -> Result<String, SqlError> {
        self.value(column)?;
        match std::mem::replace(&mut self.0[column], Value::Null) {
            Value::Text(text) => Ok(text),
            Value::Blob(bytes) => String::from_utf8(bytes).map_err(|_| Self::ill_typed(column)),
            _ => Err(Self::ill_typed(column)),
        }
    }

    /// Moves the text out of the row.
    pub fn opt_text(&mut self, column: usize) -> Result<Option<String>, SqlError> {
        if self.is_null(column)? {
            return Ok(None);
        }
        self.text(column).map(Some)
    }

    pub fn opt_str(&self, column: usize) -> Result<Option<&str>, SqlError> {
        if self.is_null(column)? {
            return Ok(None);
        }
        self.str(column).map(Some)
    }

    pub fn bytes(&self, column: usize) -> Result<&[u8], SqlError> {
        match self.value(column)? {
            Value::Blob(bytes) => Ok(bytes),
            _ => Err(Self::ill_typed(column)),
        }
    }

    pub fn uuid(&self, column: usize) -> Result<Uuid, SqlError> {
        match self.value(column)? {
            Value::Blob(bytes) => Uuid::from_slice(bytes).map_err(|_| Self::ill_typed(column)),
            _ => Err(Self::ill_typed(column)),
        }
    }
}

/// The result of a statement that returns no rows.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    /// The id that AUTO_INCREMENT or AUTOINCREMENT gave; where several rows were inserted, one of theirs.
    pub last_id: u64,
}

/// How many ids one statement takes at most.
pub const IDS_MAX: usize = 1_000;

/// Statements that together hold all ids. `(#)` in `sql` becomes a list of 1, 8, 64, 512 or 1,000 placeholders, filled up by
/// repeating the last id. `before`: the parameters left of the list.
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
