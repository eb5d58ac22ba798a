//! Hearth.
pub mod auth;
pub mod chat;
pub mod config;
pub mod limits;
pub mod protocol;
pub mod shutdown;
pub mod store;
pub mod telemetry;
pub mod ws;
