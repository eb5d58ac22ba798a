//! The handlers of the route table: each decodes its request, calls `chat`, and encodes the answer.

pub mod accounts;
pub mod docs;
pub mod invites;
pub mod messages;
pub mod rooms;
pub mod search;
pub mod server;
pub mod sessions;
pub mod socket;
