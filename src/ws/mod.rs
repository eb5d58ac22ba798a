//! The socket: the upgrade from HTTP, the transport, and the connection that reads a client's frames, calls
//! [`crate::chat`] and [`crate::hub`], and closes it. Lines over plain TCP are served by the same code. They differ only in
//! how a text is read and written ([`socket`], [`frame`]).
//!
//! One task per connection. Its loop ([`connection`]) owns the transport and every deadline, and does nothing slow. What a
//! request asks for runs beside it as one boxed future ([`requests`]), so that an idle connection is small and a busy one
//! keeps draining its mailbox.
//!
//! Deliberately absent: SQL, and any rule about who may do what.

mod catch_up;
mod connection;
pub mod frame;
mod gateway;
mod lines;
mod notices;
mod opening;
mod requests;
mod revocations;
mod socket;
mod transport;
mod upgrade;
mod worker;

pub use self::gateway::Gateway;
