//! What the tests share: servers that are started, killed and started again, accounts, sockets.

#![allow(dead_code, reason = "each test takes what it needs")]

mod asks;
mod database;
mod memory;
mod raw;
mod server;
mod socket;
mod sql;
pub mod token;

pub use asks::{Chain, of_room};
pub use database::{Db, each_database};
pub use memory::resident_kib;
pub use raw::{Raw, masked};
pub use server::{Account, Server};
pub use socket::{Incoming, Socket};

use std::time::Duration;

/// How long a test waits for what must come. Far beyond what it takes: a deadline, not a measure.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A fresh UUID, as clients make them for their messages.
pub fn uuid() -> String {
    uuid::Uuid::now_v7().to_string()
}
