//! Hearth.
pub mod chat;
pub mod limits;
pub mod protocol;
pub mod store;
pub mod ws;
