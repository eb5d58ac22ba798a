//! The dialect of small chat servers: JSON in WebSocket frames, with `ready`, and `message` in both directions.

use std::{fmt::Write, net::SocketAddrV4};

use super::{Dialect, Heard, Seat};
use crate::{
    text::Key,
    wire::{self, Framing},
};

pub struct Plain {
    pub address: SocketAddrV4,
    pub scratch: String,
}

/// The rooms of a seat, separated by commas.
pub fn rooms(seat: &Seat) -> String {
    let rooms: Vec<String> = seat
        .places
        .iter()
        .map(|place| place.room.to_string())
        .collect();
    rooms.join(",")
}

impl Dialect for Plain {
    fn framing(&self) -> Framing {
        Framing::WebSocket
    }

    fn hello(&self, seat: &Seat) -> Vec<u8> {
        let path = format!("/ws?user={}&rooms={}", seat.user, rooms(seat));
        wire::upgrade(self.address, &path, "")
    }

    fn frame(&mut self, _: &mut Seat, frame: &[u8], _: &mut Vec<u8>) -> Heard {
        if let Some(key) = Key::find(frame) {
            Heard::Message { key, seq: None }
        } else if memchr::memmem::find(frame, b"\"ready\"").is_some() {
            Heard::Live
        } else {
            Heard::Fault(String::from_utf8_lossy(frame).into_owned())
        }
    }

    fn say(&mut self, _: &Seat, _: u32, key: &Key, text: &str, out: &mut Vec<u8>) {
        self.scratch.clear();
        let room = key.room;
        let _ = write!(
            self.scratch,
            r#"{{"type":"message","room":{room},"content":"{text}"}}"#
        );
        wire::text(out, self.scratch.as_bytes());
    }
}
