//! The contract with clients: every frame and every REST body as plain serde types, the error and close codes, the rules for
//! what people type.
//!
//! Deliberately absent: I/O, tokio, SQL, and anything that PROTOCOL.md doesn't say.

pub mod check;
pub mod client;
pub mod close;
pub mod emoji;
pub mod error;
pub mod fold;
pub mod frames;
pub mod names;
mod reference;
pub mod rest;
pub mod schema;
pub mod server;
mod types;

pub use reference::Ref;
pub use types::{MessageId, Rev, RoomId, Seq, SessionId, Time, UserId, Whole};

/// The protocol's version, as in `ready.protocol` and the subprotocol `hearth.v1`.
pub const VERSION: u32 = 1;
/// The WebSocket subprotocol; the token may follow as a second one, `bearer.<token>`.
pub const SUBPROTOCOL: &str = "hearth.v1";
