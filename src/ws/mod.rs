//! The socket: the upgrade from HTTP, the transport, and the session that reads a connection's frames,
//! calls [`crate::chat`] and [`crate::hub`], and closes it. Lines over plain TCP are served by the same
//! session: they differ in how a text is read and written ([`socket`], [`frame`]), and in nothing else.
//!
//! One task per connection. Its loop ([`session`]) owns the transport and every deadline and does
//! nothing slow; what a request asks for runs beside it as one boxed piece of work ([`worker`]), so
//! that an idle connection is small and a busy one keeps draining its mailbox.
//!
//! Deliberately absent: SQL, and any rule about who may do what.

mod catch_up;
pub mod frame;
mod online;
mod revocations;
mod session;
mod socket;
mod transport;
mod upgrade;
mod worker;

use std::sync::Arc;

use bytes::Bytes;
use tokio::net::TcpStream;

use self::socket::Socket;
use crate::{
    chat::Chat,
    hub::{Hub, Wire},
    protocol::{RoomId, close::Close, server::Frame},
    shutdown::Shutdown,
};

/// Takes sockets in. One per process; clones share it.
#[derive(Clone)]
pub struct Gateway {
    chat: Arc<Chat>,
    hub: Arc<Hub>,
    shutdown: Shutdown,
}

/// What a socket asked for when it was opened.
struct Opening {
    /// From the query or the subprotocol; else the first frame brings it.
    token: Option<String>,
    /// A socket for one room.
    room_id: Option<RoomId>,
    /// Messages to play back on a room socket.
    history: usize,
}

impl Gateway {
    pub fn new(chat: Arc<Chat>, hub: Arc<Hub>, shutdown: Shutdown) -> Self {
        Self {
            chat,
            hub,
            shutdown,
        }
    }

    /// The last line of a connection that speaks lines and isn't served: its host has enough of them.
    pub fn turned_away() -> Bytes {
        let (code, reason) = Close::RateLimited.code_and_reason();
        frame::framed(&Frame::Close { code, reason }, Wire::Lines)
    }

    /// Serves a connection that speaks lines: a socket for all rooms, whose first line brings the token.
    pub async fn lines(self, stream: TcpStream) {
        let opening = Opening {
            token: None,
            room_id: None,
            history: 0,
        };
        Box::pin(session::open(self, Socket::lines(stream), opening)).await;
    }
}
