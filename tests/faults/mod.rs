//! What holds when something fails or comes at the worst moment: killed processes, lost power, commits without an answer,
//! readers that stop reading, clocks that step, floods and races.

mod clock;
mod kills;
mod mariadb;
mod missed_events;
mod overload;
mod power;
mod races;
mod search_files;
mod slow_readers;
mod sqlite_files;
mod unknown_outcomes;
