//! The store's metrics, whose names are only here, and how often a cause is logged.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::limits::LOGGED_AGAIN_AFTER;

/// The time of a COMMIT, and how many changes shared it.
pub fn committed(log: &'static str, changes: usize, took: Duration) {
    metrics::histogram!("hearth_log_commit_seconds", "log" => log).record(took.as_secs_f64());
    metrics::histogram!("hearth_log_batch_changes", "log" => log).record(changes as f64);
}

/// Commits without an answer, and the changes in them.
pub fn unknown(log: &'static str, changes: usize) {
    metrics::counter!("hearth_log_unknown_commits_total", "log" => log).increment(1);
    metrics::counter!("hearth_log_unknown_changes_total", "log" => log).increment(changes as u64);
}

/// Changes that wait for a transaction.
pub fn queue_depth(log: &'static str, waiting: usize) {
    metrics::gauge!("hearth_log_queue", "log" => log).set(waiting as f64);
}

/// Batches that failed before their COMMIT and were retried.
pub fn retried(log: &'static str) {
    metrics::counter!("hearth_log_retries_total", "log" => log).increment(1);
}

/// A limit or a state of the database server stood in the way of a statement. It is logged once in [`LOGGED_AGAIN_AFTER`], however many
/// requests fail because of it.
pub fn limit_met(variable: &'static str, cause: &str) {
    metrics::counter!("hearth_database_limits_total", "variable" => variable).increment(1);
    static LOGGED: Mutex<Logged> = Mutex::new(Logged::new());
    // Apart from other causes, which could fill the map. There are few variables.
    if first(&LOGGED, variable) {
        tracing::error!(
            variable,
            cause,
            "the database server refuses: ask `hearth check`"
        );
    }
}

/// How many causes are remembered at most.
const CAUSES_MAX: usize = 100;

/// Whether this is to be logged: not if the same was logged less than [`LOGGED_AGAIN_AFTER`] ago.
pub fn due(cause: &str) -> bool {
    static LOGGED: Mutex<Logged> = Mutex::new(Logged::new());
    first(&LOGGED, cause)
}

/// The causes that were logged, and when.
type Logged = BTreeMap<String, Instant>;

fn first(logged: &Mutex<Logged>, cause: &str) -> bool {
    let now = Instant::now();
    let mut logged = logged.lock().unwrap_or_else(PoisonError::into_inner);
    logged.retain(|_, at| now - *at < LOGGED_AGAIN_AFTER);
    if logged.contains_key(cause) || logged.len() >= CAUSES_MAX {
        return false;
    }
    logged.insert(cause.to_owned(), now);
    true
}
