//! Pages without a gap.

use futures_util::future::BoxFuture;

use crate::store::{
    connection::{Conn, Script},
    error::SqlError,
};

/// How often a page with a gap is read before that is an error.
const READS_MAX: usize = 3;

/// The result of a script, or the gap that it found.
pub type Dense<T> = Result<T, String>;

/// Repeats a script that finds a gap. Rows that are read under a lock have none, so a gap that remains is in the table.
pub fn retried<T: Send + 'static>(
    script: impl for<'a> Fn(&'a mut Conn<'_>) -> BoxFuture<'a, Result<Dense<T>, SqlError>>
    + Copy
    + Send
    + Sync
    + 'static,
) -> impl Script<T> {
    move |mut conn: Conn<'_>| {
        Box::pin(async move {
            let mut gap = String::new();
            for _ in 0..READS_MAX {
                match script(&mut conn).await? {
                    Ok(answer) => return Ok(answer),
                    Err(found) => gap = found,
                }
                tracing::warn!(gap, "a page is read again");
            }
            Err(SqlError::Refused(gap))
        })
    }
}
