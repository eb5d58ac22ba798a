//! Passwords, tokens and codes: the only place that knows Argon2, bcrypt, ring and JWT.
//!
//! Deliberately absent: SQL and HTTP. Who may log in is decided by `chat`.

pub mod codes;
mod hs256;
pub mod passwords;
pub mod secret;
pub mod tokens;
