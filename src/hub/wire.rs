//! Frames as the bytes that travel. A frame's text is one line of JSON, and a WebSocket frame is a header and the same
//! text: so one allocation serves both kinds of connection.

use std::ops::Deref;

use bytes::{Buf, Bytes};

use crate::protocol::server::Frame;

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wire {
    WebSocket,
    /// JSON lines over plain TCP.
    Lines,
}

impl Wire {
    pub const COUNT: usize = 2;
}

/// Bytes of the longest header of a WebSocket frame (RFC 6455 section 5.2).
pub const HEADER_BYTES_MAX: usize = 10;
/// Bytes of the header of most frames: those with a text of 126 to 65,535 bytes.
const HEADER_BYTES_USUAL: usize = 4;

/// Writes the header of a WebSocket frame whose text has this length to the beginning of the space, and returns the
/// header's length. The hub knows no framing of its own.
pub type Framing = fn(usize, &mut [u8; HEADER_BYTES_MAX]) -> usize;

/// A WebSocket frame that knows where its text, the line, begins.
#[derive(Clone, Debug, Default)]
pub struct Framed {
    frame: Bytes,
    line: usize,
}

impl Framed {
    /// Encodes a frame. `text_bytes` is about the length of its text: a good guess saves allocations.
    pub fn new(frame: &Frame<'_>, framing: Framing, text_bytes: usize) -> Self {
        // The text is written behind the space for the longest header, so that it is never moved.
        let mut buffer = Vec::with_capacity(HEADER_BYTES_MAX + text_bytes);
        buffer.resize(HEADER_BYTES_MAX, 0);
        frame.write_json(&mut buffer);
        let mut header = [0; HEADER_BYTES_MAX];
        let line = framing(buffer.len() - HEADER_BYTES_MAX, &mut header);
        let start = HEADER_BYTES_MAX - line;
        buffer[start..HEADER_BYTES_MAX].copy_from_slice(&header[..line]);
        buffer.shrink_to_fit();
        let mut frame = Bytes::from(buffer);
        frame.advance(start);
        Self { frame, line }
    }

    /// The bytes for this wire, shared.
    pub fn over(&self, wire: Wire) -> Bytes {
        match wire {
            Wire::WebSocket => self.frame.clone(),
            Wire::Lines => self.frame.slice(self.line..),
        }
    }

    /// The bytes for this wire, borrowed.
    pub fn slice(&self, wire: Wire) -> &[u8] {
        match wire {
            Wire::WebSocket => &self.frame,
            Wire::Lines => &self.frame[self.line..],
        }
    }
}

impl Deref for Framed {
    type Target = Bytes;

    fn deref(&self) -> &Bytes {
        &self.frame
    }
}

/// A text without a header, as tests and their model make it.
impl From<Vec<u8>> for Framed {
    fn from(text: Vec<u8>) -> Self {
        Self {
            frame: text.into(),
            line: 0,
        }
    }
}

/// Appends a frame to a buffer, as it travels over this wire.
pub fn append(buffer: &mut Vec<u8>, frame: &Frame<'_>, framing: Framing, wire: Wire) {
    if wire == Wire::Lines {
        return frame.write_json(buffer);
    }
    let start = buffer.len();
    let text = start + HEADER_BYTES_USUAL;
    buffer.resize(text, 0);
    frame.write_json(buffer);
    let mut header = [0; HEADER_BYTES_MAX];
    let length = framing(buffer.len() - text, &mut header);
    if length == HEADER_BYTES_USUAL {
        buffer[start..text].copy_from_slice(&header[..length]);
    } else {
        // A short text, or a very long one, is moved.
        buffer.splice(start..text, header[..length].iter().copied());
    }
}
