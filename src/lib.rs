//! Hearth: a self-hosted chat server that never loses, doubles or reorders a message.
//!
//! The map, the invariants and what is deliberately absent stand in ARCHITECTURE.md; each module opens
//! with its own. Who may know whom, from left to right, never back:
//!
//! ```text
//! main -> app -> http -> ws -> chat, hub -> store -> protocol, limits        auth beside store
//! ```

pub mod app;
pub mod auth;
pub mod backup;
pub mod chat;
pub mod check;
pub mod config;
pub mod health;
pub mod http;
pub mod hub;
pub mod limits;
pub mod protocol;
pub mod shutdown;
pub mod store;
pub mod telemetry;
pub mod users;
pub mod ws;
