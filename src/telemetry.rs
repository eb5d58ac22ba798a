//! Logs and metrics.
//!
//! Logs go to stderr, as text or as one JSON object a line. They never contain a token, a password, a message's text or a
//! query string.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::{IsTerminal, stderr},
    panic::{self, PanicHookInfo},
};

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Libraries that log their payloads at levels below `warn`. Their level is fixed.
const LOGS_PAYLOADS: [&str; 4] = ["tungstenite", "tokio_tungstenite", "hyper", "mysql_async"];

/// Starts logging for the whole process. `filter` must be valid.
pub fn start_logs(filter: &str, format: LogFormat) {
    // The store logs what a migration did. A filter that names refinery brings refinery's own lines back.
    let mut filter = EnvFilter::try_new(format!("refinery_core=warn,{filter}"))
        .unwrap_or_else(|_| EnvFilter::new("info"));
    for library in LOGS_PAYLOADS {
        if let Ok(directive) = format!("{library}=warn").parse() {
            filter = filter.add_directive(directive);
        }
    }
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        // If a line can't be written, as to a file on a full disk, an error about it would panic.
        .log_internal_errors(false)
        .with_ansi(stderr().is_terminal());
    let started = match format {
        LogFormat::Text => logs.try_init(),
        LogFormat::Json => logs.json().with_span_list(false).try_init(),
    };
    if let Err(error) = started {
        tracing::warn!(%error, "logs were started before");
    }
    panic::set_hook(Box::new(log_panic));
}

/// Logs where a panic happened. Its message is logged only if it is a constant: a formatted one may contain a user's text.
fn log_panic(panic: &PanicHookInfo) {
    let location = panic.location().map(tracing::field::display);
    let message = panic.payload().downcast_ref::<&'static str>();
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured)
        .then(|| tracing::field::display(backtrace));
    tracing::error!(location, panic = message, backtrace, "panicked");
}

/// Starts the recorder of metrics. The handle renders them; its `run_upkeep` must be called every few seconds.
pub fn start_metrics() -> Result<PrometheusHandle, BuildError> {
    let seconds = [
        0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
        10.0, 30.0,
    ];
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &seconds)?
        .install_recorder()
}
