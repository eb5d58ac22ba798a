//! The socket: the upgrade from HTTP, the transport, and the session that reads a connection's frames,
//! calls [`crate::chat`] and [`crate::hub`], and closes it.
//!
//! One task per connection. Its loop ([`session`]) owns the transport and every deadline and does
//! nothing slow; what a request asks for runs beside it as one boxed piece of work ([`worker`]), so
//! that an idle connection is small and a busy one keeps draining its mailbox.
//!
//! Deliberately absent: SQL, and any rule about who may do what.

mod catch_up;
pub mod frame;
mod session;
mod transport;
mod upgrade;
mod worker;

use std::sync::Arc;

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    chat::Chat,
    hub::Hub,
    limits::DRAIN_SESSIONS,
    protocol::{RoomId, close::Close},
};

/// Takes sockets in. One per process; clones share it.
#[derive(Clone)]
pub struct Gateway {
    chat: Arc<Chat>,
    hub: Arc<Hub>,
    sessions: TaskTracker,
    closing: CancellationToken,
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
    pub fn new(chat: Arc<Chat>, hub: Arc<Hub>) -> Self {
        Self {
            chat,
            hub,
            sessions: TaskTracker::new(),
            closing: CancellationToken::new(),
        }
    }

    /// Tells every socket that the server goes away, and waits for them to end, at most
    /// [`DRAIN_SESSIONS`]. Answers how many were left.
    pub async fn close(&self) -> usize {
        self.closing.cancel();
        self.hub.close_all(Close::GoingAway);
        self.sessions.close();
        let _ = tokio::time::timeout(DRAIN_SESSIONS, self.sessions.wait()).await;
        self.sessions.len()
    }
}
