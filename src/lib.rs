//! Hearth: a self-hosted chat server that never loses, doubles or reorders a message.
//!
//! ARCHITECTURE.md has the map, the invariants and what is deliberately absent; each module opens with its own. A part
//! may use what stands to its right, never what stands to its left:
//!
//! ```text
//! main -> app -> http -> ws -> chat, hub -> search -> store -> protocol, limits
//!           \--> cli --> config --------------------/        auth beside store
//! ```

#![forbid(unsafe_code)]
// Each connection holds its futures: an idle one must be small.
#![warn(clippy::large_futures)]

pub mod app;
pub mod auth;
pub mod chat;
pub mod cli;
pub mod config;
pub mod http;
pub mod hub;
pub mod limits;
pub mod protocol;
pub mod search;
pub mod shutdown;
pub mod store;
pub mod telemetry;
pub mod ws;
