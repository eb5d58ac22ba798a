//! The commands that do one thing and end: `hearth check`, `user`, `backup`, `restore`, `epoch` and `health`. They print
//! their answer to stdout; `main` prints errors to stderr. `migrate` and `reset`, which only call the store, are in
//! `app.rs`.
//!
//! Deliberately absent: HTTP. All but `health` work on the database itself, whether a server runs or not.

pub mod backup;
pub mod check;
pub mod health;
mod password;
pub mod users;
