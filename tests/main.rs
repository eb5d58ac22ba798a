//! Hearth's promises, tested through the front door: a real server on a real port, a real database.
//! tests/README.md lists promise, test, and what it said when the promise was broken on purpose.

mod support;

mod changes;
mod cli;
mod client;
mod clock;
mod deadlines;
mod documents;
mod files;
mod flood;
mod hints;
mod hosts;
mod hot_spots;
mod kills;
mod lines;
mod many_rooms;
mod mariadb_faults;
mod markers;
mod metrics;
mod model;
mod policy;
mod power;
mod python;
mod races;
mod repeats;
mod rest;
mod rights;
mod rooms;
mod sessions;
mod slow;
mod socket;
mod terminal;
mod thread;
mod unknown;
mod unseen;
