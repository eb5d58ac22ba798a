//! What SQLite's errors mean to those who might repeat a statement (<https://sqlite.org/rescode.html>).

use rusqlite::ErrorCode;

use crate::store::error::SqlError;

/// Whether a write found the disk full. Then nothing of its transaction is stored.
pub fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

/// Sorts an error by what the caller can do about it.
pub fn sql_error(error: rusqlite::Error) -> SqlError {
    let rusqlite::Error::SqliteFailure(code, message) = &error else {
        return SqlError::Refused(error.to_string());
    };
    if code.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE {
        // "UNIQUE constraint failed: users.username_key": it holds names of the schema, and no values.
        return SqlError::Unique(message.clone().unwrap_or_default());
    }
    match code.code {
        ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::OperationInterrupted
        | ErrorCode::OperationAborted
        | ErrorCode::OutOfMemory
        | ErrorCode::SchemaChanged => SqlError::Transient(error.to_string()),
        ErrorCode::ReadOnly
        | ErrorCode::SystemIoFailure
        | ErrorCode::DiskFull
        | ErrorCode::CannotOpen => SqlError::Disk(format!("{error} ({})", code.extended_code)),
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
            SqlError::Malformed(format!("{error} ({})", code.extended_code))
        }
        _ => SqlError::Refused(error.to_string()),
    }
}
