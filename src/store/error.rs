//! Errors: [`SqlError`] says why a statement failed, [`Error`] why the store gave its caller no answer.

use std::fmt::Display;

use super::telemetry;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the store gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing was written; the same call may succeed later.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// As [`Error::Unavailable`], for a cause that lasts and was logged when it began.
    #[error("the database is unavailable: {0}")]
    Down(String),
    /// COMMIT was sent and no answer came. Only the log knows whether the change was written.
    #[error("the outcome of a commit is unknown: {0}")]
    Unknown(String),
    /// A unique key is taken; the field that it belongs to.
    #[error("{0} is taken")]
    Taken(&'static str),
    /// The database and this program disagree: a bug, or a table that was changed by hand.
    #[error("the database gave an unexpected answer: {0}")]
    Broken(String),
    /// This program can't use the database's schema.
    #[error("{0}")]
    Schema(String),
}

impl Error {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Error::Unavailable(_) | Error::Down(_) | Error::Unknown(_)
        )
    }

    /// Logs why the store gave no answer, unless the store has logged it already. Each cause is logged once in a while,
    /// not for each request that fails because of it.
    pub fn log_once(&self) {
        if !self.was_logged() && telemetry::due(&self.to_string()) {
            tracing::warn!(error = %self, "the store gave no answer");
        }
    }

    /// Whether the store has logged it, once for all requests that fail because of it.
    pub fn was_logged(&self) -> bool {
        matches!(self, Error::Down(_) | Error::Unknown(_))
    }
}

/// An error of a file, a lock or a driver outside of any statement.
pub fn unavailable(error: impl Display) -> Error {
    Error::Unavailable(error.to_string())
}

/// Why a statement failed, sorted by what the caller can do about it.
#[derive(Debug)]
pub enum SqlError {
    /// A unique index holds this key already. The database's name of the index or its column.
    Unique(String),
    /// The statement is fine, but a lock or a limit stood in its way. A repetition may succeed.
    Transient(String),
    /// The disk of an SQLite database is full, read-only or broken. A repetition succeeds when it works again.
    Disk(String),
    /// The file of an SQLite database holds something else than it should: it is damaged, or another program has written over it.
    Malformed(String),
    /// The files of an SQLite database were changed under the server, which was logged.
    Moved(String),
    /// The database connection was lost. A repetition on another one may succeed.
    Gone(String),
    /// No answer before the deadline, or more than the server takes at once. Less of it may succeed. The database
    /// connection isn't used again.
    TooMuch(String),
    /// The database refuses this statement with these values; a repetition gives the same.
    Refused(String),
}

impl From<SqlError> for Error {
    fn from(error: SqlError) -> Self {
        match error {
            SqlError::Unique(key) => Error::Broken(format!("{key} holds this key twice")),
            SqlError::Transient(cause)
            | SqlError::Disk(cause)
            | SqlError::Malformed(cause)
            | SqlError::Gone(cause)
            | SqlError::TooMuch(cause) => Error::Unavailable(cause),
            SqlError::Moved(cause) => Error::Down(cause),
            SqlError::Refused(cause) => Error::Broken(cause),
        }
    }
}

impl SqlError {
    /// Whether the same may succeed later.
    pub fn is_retryable(&self) -> bool {
        !matches!(self, SqlError::Unique(_) | SqlError::Refused(_))
    }

    pub fn cause(self) -> String {
        match self {
            SqlError::Unique(cause)
            | SqlError::Transient(cause)
            | SqlError::Disk(cause)
            | SqlError::Malformed(cause)
            | SqlError::Moved(cause)
            | SqlError::Gone(cause)
            | SqlError::TooMuch(cause)
            | SqlError::Refused(cause) => cause,
        }
    }
}

/// Ends the process after a writer of the log has panicked, which was logged. A server that can't write is of no use;
/// its supervisor starts it again. No acknowledged message is lost.
pub fn abort_without_writer() -> ! {
    tracing::error!("the log's writer has died; the process ends");
    std::process::abort()
}
