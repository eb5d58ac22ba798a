//! What the tests share: servers that are started, killed and started again, accounts, sockets.

#![allow(dead_code, unused_imports, reason = "each test takes what it needs")]

mod asks;
mod backup;
mod browser;
mod changes;
mod client;
mod command;
mod crowd;
mod database;
mod deeds;
pub mod disk;
mod ledger;
mod lines;
mod live;
mod log;
mod mariadb;
mod memory;
mod nginx;
mod outbox;
mod patience;
mod population;
mod proxy;
mod raw;
mod server;
mod socket;
mod sql;
pub mod token;
mod truth;
mod verdict;

pub use asks::{Chain, of_room};
pub use backup::Backup;
pub use browser::{Browser, Page};
pub use client::{Change, Client, Effect, LoadId, Room, mentions, number};
pub use command::Ran;
pub use crowd::Crowd;
pub use database::{Db, Schema, each_database};
pub use disk::Disk;
pub use lines::Lines;
pub use mariadb::{MariaDb, statements};
pub use memory::resident_kib;
pub use nginx::Nginx;
pub use patience::{Moment, PATIENCE, timeout};
pub use proxy::{Fault, Proxy, Silence};
pub use raw::{Raw, masked};
pub use server::{Account, Server};
pub use socket::{Incoming, Socket};
pub use truth::Tables;
pub use verdict::{Checked, judge};

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
