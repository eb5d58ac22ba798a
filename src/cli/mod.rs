//! The commands that do one thing and end: `hearth check`, `user`, `backup`, `restore`, `epoch` and `health`. They print
//! their answer to stdout, which for `check` includes what it found wrong. Why a command failed is printed to stderr by `main`.
//! `migrate` and `reset`, which only call the store, are in `app.rs`.
//!
//! They work on the database itself, whether a server runs or not. Only `health` asks the running server, by one HTTP request.

pub mod backup;
pub mod check;
pub mod health;
mod password;
pub mod users;
