//! Work that blocks its thread: files, locks, long texts.

use super::error::{Error, Result};

/// Runs it on a thread for blocking work.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::Broken(error.to_string()))
}
