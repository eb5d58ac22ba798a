//! The commands that do one thing and end: `hearth check`, `user`, `backup`, `restore`, `epoch` and `health`. They print
//! their answer to stdout; what went wrong is told on stderr by `main`.
//!
//! Deliberately absent: HTTP. What they do, they do on the database itself, whether a server runs or not.

pub mod backup;
pub mod check;
pub mod health;
mod password;
pub mod users;
