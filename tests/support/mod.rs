//! What the tests share: servers that are started, killed and started again, accounts, sockets.

#![allow(dead_code, reason = "each test takes what it needs")]

mod client;
mod database;
mod server;
mod socket;

pub use client::{Client, Effect, LoadId};
pub use database::{Db, each_database};
#[allow(unused_imports, reason = "for those that come")]
pub use server::{Account, Server};
pub use socket::Socket;

use std::time::Duration;

/// How long a test waits for what must come. Far beyond what it takes: a deadline, not a measure.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A fresh UUID, as clients make them for their messages.
pub fn uuid() -> String {
    uuid::Uuid::now_v7().to_string()
}
