//! Passwords and tokens: the only place that knows Argon2, ring and JWT.
//!
//! Deliberately absent: SQL and HTTP. Who may log in is decided by `chat`.

mod hs256;
pub mod passwords;
pub mod secret;
pub mod tokens;
