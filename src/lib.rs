//! Hearth.
pub mod chat;
pub mod hub;
pub mod limits;
pub mod protocol;
pub mod store;
pub mod ws;
