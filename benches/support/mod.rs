//! What the benchmarks and the probe share.

#![allow(dead_code, reason = "each benchmark takes what it needs")]

pub mod readers;
pub mod wire;

use hearth::{
    protocol::{
        Rev, RoomId, Time, UserId,
        rest::{Message, MessageKind, UserSummary},
    },
    store::{Event, EventBody},
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Lets this process, and those that it starts, open as many files as the system allows.
pub fn raise_file_limit() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("there is such a limit");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("the soft limit may be raised");
}

/// Whether the benchmarks run beside a MariaDB (`scripts/with-mariadb`).
pub fn mariadb_is_there() -> bool {
    std::env::var_os("HEARTH_TEST_MYSQL").is_some()
}

pub fn user(id: u64) -> UserSummary {
    UserSummary {
        id: UserId(id),
        username: format!("member{id:05}"),
        full_name: None,
    }
}

/// A room whose only changes are messages.
pub fn message(room_id: RoomId, rev: Rev, content: &str) -> Event {
    Event {
        room_id,
        prev: rev - 1,
        rev,
        body: EventBody::Message(
            Message {
                room_id,
                seq: rev,
                rev,
                id: uuid::Uuid::now_v7(),
                kind: MessageKind::Text,
                sender: user(1),
                content: Some(content.to_owned()),
                created_at: Time::now(),
                edited_at: None,
                deleted_at: None,
                reply_to: None,
                pinned_at: None,
                mentions: Default::default(),
                reactions: Vec::new(),
            }
            .into(),
        ),
    }
}

/// A text of this many characters, of which some need more than one byte.
pub fn prose(chars: usize) -> String {
    "Grüße aus der Küche, \"Hearth\": 👍 "
        .chars()
        .cycle()
        .take(chars)
        .collect()
}

/// A text of this many bytes, as most people type.
pub fn ascii(bytes: usize) -> String {
    "The kettle is on, come in. "
        .chars()
        .cycle()
        .take(bytes)
        .collect()
}
