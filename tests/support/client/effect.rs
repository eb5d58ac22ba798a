//! What a client wants done: frames for the socket, and REST pages to read.

use serde_json::Value;

use super::{LoadId, RoomId, Seq};

/// What the driver is to do, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Write this frame to the socket.
    Send(Value),
    /// Read the room; answer with [`Client::loaded`] or [`Client::load_failed`], as those below.
    ///
    /// [`Client::loaded`]: super::Client::loaded
    /// [`Client::load_failed`]: super::Client::load_failed
    LoadRoom { load: LoadId, room_id: RoomId },
    /// Read the last page of the room's history, or the one before a seq.
    LoadPage {
        load: LoadId,
        room_id: RoomId,
        before: Option<Seq>,
    },
    /// Read the first page of the room's members, or the one at a cursor.
    LoadMembers {
        load: LoadId,
        room_id: RoomId,
        cursor: Option<String>,
    },
}

impl Effect {
    /// For a REST request: what answers it, and its path.
    pub fn path(&self) -> Option<(LoadId, String)> {
        match self {
            Effect::Send(_) => None,
            Effect::LoadRoom { load, room_id } => {
                Some((*load, format!("/api/chat/rooms/{room_id}")))
            }
            Effect::LoadPage {
                load,
                room_id,
                before,
            } => {
                let query = before.map_or(String::new(), |seq| format!("?before={seq}"));
                Some((*load, format!("/api/chat/rooms/{room_id}/messages{query}")))
            }
            Effect::LoadMembers {
                load,
                room_id,
                cursor,
            } => {
                let query = cursor
                    .as_ref()
                    .map_or(String::new(), |cursor| format!("?cursor={cursor}"));
                Some((*load, format!("/api/chat/rooms/{room_id}/members{query}")))
            }
        }
    }
}
