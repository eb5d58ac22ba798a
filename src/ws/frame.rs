//! WebSocket frames as the server writes them (RFC 6455 section 5.2): never masked, never fragmented.

/// FIN and the opcode of a text frame.
const TEXT: u8 = 0x81;
/// An empty ping.
pub const PING: [u8; 2] = [0x89, 0];

/// Appends a text as one frame.
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

/// A close frame: the code and at most 123 bytes of reason (RFC 6455 section 5.5.1).
pub fn close(code: u16, reason: &str) -> bytes::Bytes {
    let mut buffer = vec![0x88, reason.len() as u8 + 2];
    buffer.extend_from_slice(&code.to_be_bytes());
    buffer.extend_from_slice(reason.as_bytes());
    buffer.into()
}

/// A frame of ours, framed.
pub fn framed(frame: &crate::protocol::server::Frame<'_>) -> bytes::Bytes {
    let json = frame.to_json();
    let mut buffer = Vec::with_capacity(json.len() + 10);
    text(&mut buffer, &json);
    buffer.into()
}

#[cfg(test)]
mod tests {
    use tokio_tungstenite::tungstenite::protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    };

    /// Byte for byte what tungstenite writes, at every change of the length's form.
    #[test]
    fn text_frames_are_those_of_rfc_6455() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
            let payload = vec![b'x'; length];
            let mut ours = Vec::new();
            super::text(&mut ours, &payload);
            let mut theirs = Vec::new();
            Frame::message(payload, OpCode::Data(Data::Text), true)
                .format(&mut theirs)
                .unwrap();
            assert_eq!(ours, theirs, "{length}");
        }
    }
}
