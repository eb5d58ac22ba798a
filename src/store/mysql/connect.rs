//! How Hearth connects to a MySQL or MariaDB server.

use std::time::Duration;

use mysql_async::{Opts, OptsBuilder, PoolConstraints, PoolOpts};

use crate::{
    limits::{DB_IDLE_WAIT, LOCK_WAIT, STATEMENTS_CACHED, TRANSACTION_WAIT},
    store::error::{Error, Result},
};

/// Options from the URL, with the settings that Hearth relies on. `init`: statements that each database connection begins with, after
/// those for the settings.
pub fn options(url: &str, init: &[&str]) -> Result<OptsBuilder> {
    let bad = |error: mysql_async::UrlError| Error::Unavailable(format!("database URL: {error}"));
    let mut statements = vec![
        "SET NAMES utf8mb4 COLLATE utf8mb4_bin".to_owned(),
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED".to_owned(),
        format!(
            "SET SESSION innodb_lock_wait_timeout = {}, time_zone = '+00:00', wait_timeout = {}, \
             sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO' \
             /*M! , idle_transaction_timeout = {} */",
            LOCK_WAIT.as_secs(),
            DB_IDLE_WAIT.as_secs(),
            TRANSACTION_WAIT.as_secs(),
        ),
    ];
    statements.extend(init.iter().map(|statement| (*statement).to_owned()));
    // The pool is for the migrations: one connection, which keeps its locks.
    let pool = PoolOpts::new()
        .with_constraints(PoolConstraints::new(1, 1).unwrap_or_default())
        .with_reset_connection(false);
    Ok(OptsBuilder::from_opts(Opts::from_url(url).map_err(bad)?)
        .init(statements)
        .pool_opts(pool)
        .stmt_cache_size(STATEMENTS_CACHED)
        .tcp_keepalive(Some(Duration::from_secs(30)))
        // Otherwise a TCP connection to this machine silently becomes one to a socket file.
        .prefer_socket(false))
}
