//! Passwords, tokens and codes. Only this part uses Argon2, bcrypt, ring and JWT.
//!
//! Deliberately absent: SQL and HTTP. `chat` decides who may log in.

pub mod codes;
mod hs256;
pub mod passwords;
pub mod secret;
pub mod tokens;
