//! The dialect of Socket.IO 4 over WebSocket (Engine.IO 4).

use std::{fmt::Write, net::SocketAddrV4};

use super::{Dialect, Heard, Seat, plain};
use crate::{
    text::Key,
    wire::{self, Framing},
};

pub struct SocketIo {
    pub address: SocketAddrV4,
    pub scratch: String,
}

/// The number of the acknowledgement that answers `join`. That of a message is its reference and 1.
const JOINED: u32 = 0;

impl Dialect for SocketIo {
    fn framing(&self) -> Framing {
        Framing::WebSocket
    }

    fn hello(&self, _: &Seat) -> Vec<u8> {
        wire::upgrade(self.address, "/socket.io/?EIO=4&transport=websocket", "")
    }

    fn frame(&mut self, seat: &mut Seat, frame: &[u8], out: &mut Vec<u8>) -> Heard {
        match frame {
            // The transport is open: connect to the default namespace.
            [b'0', ..] => wire::text(out, b"40"),
            // A ping.
            b"2" => wire::text(out, b"3"),
            [b'4', b'0', ..] => {
                let join = format!("42{JOINED}[\"join\",[{}]]", plain::rooms(seat));
                wire::text(out, join.as_bytes());
            }
            [b'4', b'2', ..] => match Key::find(frame) {
                Some(key) => return Heard::Message { key, seq: None },
                None => return Heard::Fault(String::from_utf8_lossy(frame).into_owned()),
            },
            [b'4', b'3', rest @ ..] => {
                let end = rest
                    .iter()
                    .position(|byte| !byte.is_ascii_digit())
                    .unwrap_or(rest.len());
                let number = std::str::from_utf8(&rest[..end])
                    .ok()
                    .and_then(|it| it.parse().ok());
                return match number {
                    Some(JOINED) => Heard::Live,
                    Some(number) => Heard::Ack(number - 1),
                    None => Heard::Fault(String::from_utf8_lossy(frame).into_owned()),
                };
            }
            _ => return Heard::Fault(String::from_utf8_lossy(frame).into_owned()),
        }
        Heard::Other
    }

    fn say(&mut self, _: &Seat, reference: u32, key: &Key, text: &str, out: &mut Vec<u8>) {
        self.scratch.clear();
        let (number, room) = (reference + 1, key.room);
        let _ = write!(
            self.scratch,
            r#"42{number}["message",{{"room":{room},"content":"{text}"}}]"#
        );
        wire::text(out, self.scratch.as_bytes());
    }
}
