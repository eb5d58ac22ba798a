//! Frames as the server writes them: lines, or WebSocket frames (RFC 6455 section 5.2), which are never masked and never
//! fragmented.

use bytes::Bytes;

use crate::{
    hub::wire::{self, HEADER_BYTES_MAX, Wire},
    protocol::server::Frame,
};

/// FIN and the opcode of a text frame.
const TEXT: u8 = 0x81;
/// FIN and the opcode of a close frame.
const CLOSE: u8 = 0x88;
/// An empty ping.
pub const PING: [u8; 2] = [0x89, 0];

/// Writes the header of a text frame, and returns its length: what [`crate::hub::Framing`] is.
pub fn header(text_bytes: usize, space: &mut [u8; HEADER_BYTES_MAX]) -> usize {
    space[0] = TEXT;
    match text_bytes {
        length @ 0..126 => {
            space[1] = length as u8;
            2
        }
        length @ 126..0x1_0000 => {
            space[1] = 126;
            space[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            4
        }
        length => {
            space[1] = 127;
            space[2..].copy_from_slice(&(length as u64).to_be_bytes());
            HEADER_BYTES_MAX
        }
    }
}

/// Appends a frame as it travels over this wire.
pub fn append(buffer: &mut Vec<u8>, frame: &Frame<'_>, wire: Wire) {
    wire::append(buffer, frame, header, wire);
}

/// A single frame as it travels over this wire.
pub fn framed(frame: &Frame<'_>, wire: Wire) -> Bytes {
    /// Most answers are shorter.
    const USUAL_BYTES: usize = 160;
    let mut buffer = Vec::with_capacity(USUAL_BYTES);
    append(&mut buffer, frame, wire);
    // It may wait in a mailbox, which counts only what is in it.
    buffer.shrink_to_fit();
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
        Frame as Theirs,
        coding::{Data, OpCode},
    };

    use super::*;
    use crate::{
        hub::encode::{PrevField, encode, gather},
        protocol::{RoomId, UserId, rest::UserSummary},
        store::{Event, EventBody, MemberEvent},
    };

    /// Byte for byte what tungstenite writes.
    fn theirs(text: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        Theirs::message(text.to_vec(), OpCode::Data(Data::Text), true)
            .format(&mut frame)
            .unwrap();
        frame
    }

    /// At every change of the length's form.
    #[test]
    fn text_frames_are_those_of_rfc_6455() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
            let text = vec![b'x'; length];
            let mut space = [0; HEADER_BYTES_MAX];
            let header = header(length, &mut space);
            let ours = [&space[..header], &text].concat();
            assert_eq!(ours, theirs(&text), "{length}");
        }
    }

    /// Whatever stands before it in the buffer, and whatever its header's length is.
    #[test]
    fn a_frame_is_appended_as_one_with_its_text() {
        for length in [0, 40, 100, 200, 60_000, 70_000] {
            let reason = "x".repeat(length);
            let frame = Frame::Close {
                code: 4000,
                reason: &reason,
            };
            let mut line = b"before".to_vec();
            append(&mut line, &frame, Wire::Lines);
            let text = &line[b"before".len()..];
            let mut ours = b"before".to_vec();
            append(&mut ours, &frame, Wire::WebSocket);
            assert_eq!(ours, [b"before", &theirs(text)[..]].concat(), "{length}");
            assert_eq!(framed(&frame, Wire::WebSocket), theirs(text), "{length}");
            assert_eq!(framed(&frame, Wire::Lines), text, "{length}");
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
        let encoded = encode(&event(7), header, PrevField::Always);
        let (frame, line) = (
            encoded.bytes.over(Wire::WebSocket),
            encoded.bytes.over(Wire::Lines),
        );
        let text = frame.len() - line.len();
        assert_eq!(line.as_ptr(), frame[text..].as_ptr(), "one allocation");
        assert_eq!(
            gather([&encoded].into_iter(), Wire::Lines).as_ptr(),
            line.as_ptr()
        );
        let ends = line.iter().filter(|byte| **byte == b'\n').count();
        assert!(ends == 1 && line.ends_with(b"}\n"), "one line");
        assert_eq!(frame, theirs(&line));

        let next = encode(&event(8), header, PrevField::Always);
        for (wire, first) in [(Wire::WebSocket, frame), (Wire::Lines, line)] {
            let both = [&first[..], &next.bytes.over(wire)].concat();
            assert_eq!(gather([&encoded, &next].into_iter(), wire), both);
        }
    }
}
