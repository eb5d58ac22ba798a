//! Why the store gave no answer, as those who asked it see it.

use super::telemetry;

/// Why the store gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing was written; the same call may succeed later.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// As [`Error::Unavailable`], for a reason that lasts, and that the log told when it began.
    #[error("the database is unavailable: {0}")]
    Down(String),
    /// COMMIT was sent and no answer came: written or not, only the log knows.
    #[error("the outcome of a commit is unknown: {0}")]
    Unknown(String),
    /// A unique key is taken; the field that it is about.
    #[error("{0} is taken")]
    Taken(&'static str),
    /// The database and this program disagree: a bug, or a table changed by hand.
    #[error("the database answered what it never should: {0}")]
    Broken(String),
    /// The database's schema can't be used by this program.
    #[error("{0}")]
    Schema(String),
}

impl Error {
    /// Whether the same call may succeed later.
    pub fn passes(&self) -> bool {
        matches!(
            self,
            Error::Unavailable(_) | Error::Down(_) | Error::Unknown(_)
        )
    }

    /// Tells the log why the store gave no answer, unless the store told it: each cause once in a while, not for each
    /// request that fails of it.
    pub fn tell(&self) {
        if !self.was_told() && telemetry::due(&self.to_string()) {
            tracing::warn!(error = %self, "the store gave no answer");
        }
    }

    /// Whether the log tells of it already, once for all who meet it.
    pub fn was_told(&self) -> bool {
        matches!(self, Error::Down(_) | Error::Unknown(_))
    }
}

pub type Result<T, E = Error> = std::result::Result<T, E>;
