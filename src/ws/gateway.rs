//! What serves sockets, and what a socket asks for when it is opened.

use std::sync::Arc;

use crate::{
    chat::Chat,
    hub::Hub,
    protocol::{RoomId, UserId},
    shutdown::Shutdown,
};

/// Serves sockets. One per process; clones share it.
#[derive(Clone)]
pub struct Gateway {
    pub(super) chat: Arc<Chat>,
    pub(super) hub: Arc<Hub>,
    pub(super) shutdown: Shutdown,
}

/// What a socket asked for when it was opened.
pub(super) struct Opening {
    /// From the query or the subprotocol; otherwise the first frame brings it.
    pub(super) token: Option<String>,
    /// The room of a room socket.
    pub(super) room_id: Option<RoomId>,
    /// Messages to play back on a room socket.
    pub(super) history: usize,
}

impl Gateway {
    pub fn new(chat: Arc<Chat>, hub: Arc<Hub>, shutdown: Shutdown) -> Self {
        Self {
            chat,
            hub,
            shutdown,
        }
    }

    /// Whether the user has a connection.
    pub fn is_online(&self, user_id: UserId) -> bool {
        self.hub.is_online(user_id)
    }

    /// Users who have a connection, by rising id: those after this one, at most `limit`.
    pub fn online_after(&self, after: UserId, limit: usize) -> Vec<UserId> {
        self.hub.online_after(after, limit)
    }
}
