//! Rooms: settings, roles, deletion, direct rooms (PROTOCOL.md section 7.8).

mod direct;
mod groups;
mod roles;
mod settings;

use serde_json::{Value, json};

use crate::support::{Account, Socket};

async fn patch(account: &Account, path: &str, body: Value) -> (u16, Value) {
    account.request("PATCH", path, Some(&body)).await
}

async fn set_role(by: &Account, room: u64, of: &Account, role: &str) -> (u16, Value) {
    let path = format!("/api/chat/rooms/{room}/members/{}", of.id);
    patch(by, &path, json!({"role": role})).await
}

/// Reads on to a frame of this type that is about the room.
async fn told(socket: &mut Socket, kind: &str, room: u64) -> Value {
    loop {
        let frame = socket.expect(kind).await;
        if frame["room_id"] == room || frame["id"] == room || frame["room"]["id"] == room {
            return frame;
        }
    }
}
