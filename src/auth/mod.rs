//! Passwords and tokens: the only place that knows Argon2, ring and JWT.
//!
//! Deliberately absent: SQL and HTTP. Who may log in is decided by `chat`.

pub mod passwords;
pub mod secret;
pub mod tokens;
