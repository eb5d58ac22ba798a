//! Frames of ours as the server writes them: WebSocket frames (RFC 6455 section 5.2), never masked, never
//! fragmented, or lines.

use bytes::Bytes;

use crate::{hub::Wire, protocol::server::Frame};

/// FIN and the opcode of a text frame.
const TEXT: u8 = 0x81;
/// FIN and the opcode of a close frame.
const CLOSE: u8 = 0x88;
/// An empty ping.
pub const PING: [u8; 2] = [0x89, 0];

/// Appends a text as one WebSocket frame.
pub fn text(buffer: &mut Vec<u8>, text: &[u8]) {
    buffer.push(TEXT);
    match text.len() {
        length @ 0..126 => buffer.push(length as u8),
        length @ 126..0x1_0000 => {
            buffer.push(126);
            buffer.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            buffer.push(127);
            buffer.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    buffer.extend_from_slice(text);
}

/// Appends a frame of ours as it travels over this wire.
pub fn append(buffer: &mut Vec<u8>, frame: &Frame<'_>, wire: Wire) {
    let json = frame.to_json();
    buffer.reserve(json.len() + 10);
    match wire {
        Wire::WebSocket => text(buffer, &json),
        Wire::Lines => buffer.extend_from_slice(&json),
    }
}

/// A frame of ours, alone.
pub fn framed(frame: &Frame<'_>, wire: Wire) -> Bytes {
    let mut buffer = Vec::new();
    append(&mut buffer, frame, wire);
    buffer.into()
}

/// Appends a close frame: the code and at most 123 bytes of reason (RFC 6455 section 5.5.1).
pub fn close(buffer: &mut Vec<u8>, code: u16, reason: &str) {
    buffer.extend_from_slice(&[CLOSE, reason.len() as u8 + 2]);
    buffer.extend_from_slice(&code.to_be_bytes());
    buffer.extend_from_slice(reason.as_bytes());
}

#[cfg(test)]
mod tests {
    use tokio_tungstenite::tungstenite::protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    };

    use super::*;
    use crate::{
        hub::encode::{encode, gather},
        protocol::{RoomId, UserId, rest::UserSummary},
        store::{Event, EventBody, MemberEvent},
    };

    /// Byte for byte what tungstenite writes, at every change of the length's form.
    #[test]
    fn text_frames_are_those_of_rfc_6455() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
            let payload = vec![b'x'; length];
            let mut ours = Vec::new();
            text(&mut ours, &payload);
            let mut theirs = Vec::new();
            Frame::message(payload, OpCode::Data(Data::Text), true)
                .format(&mut theirs)
                .unwrap();
            assert_eq!(ours, theirs, "{length}");
        }
    }

    /// An event is encoded once for everybody: a line is a part of the WebSocket frame, not a copy.
    #[test]
    fn a_line_is_the_end_of_the_websocket_frame() {
        let event = |rev| Event {
            room_id: RoomId(1),
            prev: rev - 1,
            rev,
            body: EventBody::Member(MemberEvent {
                user: UserSummary {
                    id: UserId(1),
                    username: "ada".into(),
                    full_name: None,
                },
                role: None,
                joined_rev: 2,
                by: None,
                at: None,
                member_count: 0,
            }),
        };
        let encoded = encode(&event(7), text, true);
        let (frame, line) = (
            encoded.bytes.over(Wire::WebSocket),
            encoded.bytes.over(Wire::Lines),
        );
        let header = frame.len() - line.len();
        assert_eq!(line.as_ptr(), frame[header..].as_ptr(), "one allocation");
        assert_eq!(
            gather([&encoded].into_iter(), Wire::Lines).as_ptr(),
            line.as_ptr()
        );
        let ends = line.iter().filter(|byte| **byte == b'\n').count();
        assert!(ends == 1 && line.ends_with(b"}\n"), "one line");
        let mut framed = Vec::new();
        text(&mut framed, &line);
        assert_eq!(framed, frame);

        let next = encode(&event(8), text, true);
        for (wire, first) in [(Wire::WebSocket, frame), (Wire::Lines, line)] {
            let both = [&first[..], &next.bytes.over(wire)].concat();
            assert_eq!(gather([&encoded, &next].into_iter(), wire), both);
        }
    }
}
