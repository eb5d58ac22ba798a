//! What the tests share: servers that are started, killed and started again, accounts, connections, databases. README.md in
//! tests/ says which helper to take for what.

mod account;
pub mod api;
mod backup;
mod browser;
mod chain;
mod client;
mod command;
mod connection;
mod crowd;
mod database;
pub mod disk;
mod lines;
mod log;
mod mariadb;
mod memory;
mod nginx;
mod patience;
mod population;
mod proxy;
mod raw;
mod server;
mod socket;
mod sql;
mod tables;
pub mod token;

pub use account::Account;
pub use backup::Backup;
pub use browser::{Browser, Page};
pub use chain::{Chain, of_room};
pub use client::{Change, Client, Effect, LoadId, Room, mentions, number};
pub use connection::{Connection, Incoming};
pub use crowd::{Crowd, Progress};
pub use database::{Db, Schema, each_database, soak_each_database};
pub use disk::{Disk, SmallDisk};
pub use lines::Lines;
pub use mariadb::{MariaDb, statements};
pub use memory::resident_kib;
pub use nginx::Nginx;
pub use patience::{Moment, PATIENCE, timeout};
pub use proxy::{Fault, Proxy, Silence};
pub use raw::{Raw, masked};
pub use server::Server;
pub use socket::Socket;
pub use tables::Tables;

/// A fresh UUID, as clients make them for their messages.
pub fn uuid() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// How often a test that kills is to kill: HEARTH_TEST_KILLS, else this.
pub fn kills(default: u64) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "`make soak` tells it")]
    std::env::var("HEARTH_TEST_KILLS").map_or(default, |kills| kills.parse().expect("a number"))
}

/// The seeds of a test with random parts: as many, or HEARTH_TEST_SEED alone.
pub fn seeds(count: u64) -> Vec<u64> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a failing seed is run again by hand"
    )]
    let one = std::env::var("HEARTH_TEST_SEED").ok();
    match one {
        Some(seed) => vec![seed.parse().expect("HEARTH_TEST_SEED is a number")],
        None => (0..count).collect(),
    }
}
