//! Changes to messages that exist: edits, deletions, reactions and pins, by REST and by the socket (PROTOCOL.md sections
//! 5 and 7.3).

mod emoji;
mod frames;
mod mentions;
mod rules;
mod unread;

use serde_json::Value;

use crate::support::{Account, Socket};

/// A frame or a body with what no test can foretell made plain: times become `T`, a message's id `ID`.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let fields = object.iter().map(|(name, value)| {
                let value = match (name.as_str(), value) {
                    (name, Value::String(_)) if name == "at" || name.ends_with("_at") => "T".into(),
                    ("id", Value::String(_)) => "ID".into(),
                    (_, value) => plain(value),
                };
                (name.clone(), value)
            });
            Value::Object(fields.collect())
        }
        Value::Array(items) => items.iter().map(plain).collect(),
        other => other.clone(),
    }
}

/// An emoji as a part of a path.
fn encoded(emoji: &str) -> String {
    emoji.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

async fn reaction(account: &Account, on: bool, room: u64, seq: u64, emoji: &str) -> (u16, Value) {
    let method = if on { "PUT" } else { "DELETE" };
    let path = format!(
        "/api/chat/rooms/{room}/messages/{seq}/reactions/{}",
        encoded(emoji)
    );
    account.request(method, &path, None).await
}

/// The next frame of the room, which the ack or the answer of whoever made it may have overtaken.
async fn next_of(socket: &mut Socket, room: u64) -> Value {
    loop {
        let frame = socket.frame().await;
        if frame["room_id"] == room && frame["type"] != "ack" {
            return frame;
        }
    }
}
