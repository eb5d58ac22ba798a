//! What the log counts and measures. Names are listed here only.

use std::time::Duration;

/// Seconds of a COMMIT, and changes that shared it.
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

/// Batches that failed before their COMMIT and were tried again.
pub fn retried(log: &'static str) {
    metrics::counter!("hearth_log_retries_total", "log" => log).increment(1);
}
