//! Hearth.
pub mod app;
pub mod auth;
pub mod chat;
pub mod check;
pub mod config;
pub mod http;
pub mod limits;
pub mod protocol;
pub mod shutdown;
pub mod store;
pub mod telemetry;
pub mod ws;
