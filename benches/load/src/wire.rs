//! How the bytes of a connection are cut into frames, and how frames are written. Frames are handed over
//! where they lie in the buffer.

use std::str;

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// How a server's connections delimit what they carry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Framing {
    /// RFC 6455, as a client.
    WebSocket,
    /// Frames of this many bytes.
    Fixed(usize),
    /// HTTP/1.1 responses, whole with their heads.
    Http,
}

/// What a server sent.
#[derive(Debug, Eq, PartialEq)]
pub enum Piece<'a> {
    Data(&'a [u8]),
    Ping(&'a [u8]),
    Close(String),
}

/// Hands over each whole piece, and answers how many bytes they took.
pub fn cut(
    framing: Framing,
    bytes: &[u8],
    each: &mut impl FnMut(Piece<'_>),
) -> Result<usize, String> {
    match framing {
        Framing::WebSocket => cut_websocket(bytes, each),
        Framing::Fixed(length) => {
            let whole = bytes.chunks_exact(length);
            let used = bytes.len() - whole.remainder().len();
            whole.for_each(|frame| each(Piece::Data(frame)));
            Ok(used)
        }
        Framing::Http => {
            let mut used = 0;
            while let Some(length) = response_length(&bytes[used..])? {
                each(Piece::Data(&bytes[used..used + length]));
                used += length;
            }
            Ok(used)
        }
    }
}

fn cut_websocket(bytes: &[u8], each: &mut impl FnMut(Piece<'_>)) -> Result<usize, String> {
    let mut used = 0;
    while let [first, second, tail @ ..] = &bytes[used..] {
        let (length, head) = match (second & 0x7f, tail) {
            (126, [a, b, ..]) => (usize::from(u16::from_be_bytes([*a, *b])), 4),
            (127, [a, b, c, d, e, f, g, h, ..]) => {
                let length = u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]);
                (length as usize, 10)
            }
            (126 | 127, _) => break,
            (short, _) => (usize::from(short), 2),
        };
        let Some(payload) = bytes.get(used + head..used + head + length) else {
            break;
        };
        match (first & 0x80 != 0, first & 0x0f) {
            (true, CLOSE) => each(Piece::Close(reason(payload))),
            (true, PING) => each(Piece::Ping(payload)),
            (true, PONG) => {}
            (true, 1 | 2) => each(Piece::Data(payload)),
            _ => return Err(format!("a frame begins with {first:#04x}")),
        }
        used += head + length;
    }
    Ok(used)
}

fn reason(payload: &[u8]) -> String {
    match payload {
        [a, b, reason @ ..] => {
            let code = u16::from_be_bytes([*a, *b]);
            format!("closed with {code} {}", String::from_utf8_lossy(reason))
        }
        _ => "closed without a code".to_owned(),
    }
}

/// The length of the response at the beginning, once it is whole.
fn response_length(bytes: &[u8]) -> Result<Option<usize>, String> {
    let Some(head) = head_length(bytes) else {
        return Ok(None);
    };
    let text = str::from_utf8(&bytes[..head]).map_err(|error| error.to_string())?;
    let field = |wanted: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(':'));
        lines.find_map(|(name, value)| name.eq_ignore_ascii_case(wanted).then_some(value.trim()))
    };
    if let Some(length) = field("content-length") {
        let length: usize = length.parse().map_err(|_| "a bad Content-Length")?;
        return Ok((bytes.len() >= head + length).then_some(head + length));
    }
    if field("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        return chunks_length(&bytes[head..]).map(|length| length.map(|length| head + length));
    }
    Ok(Some(head))
}

/// The length of a body in chunks, once it is whole.
fn chunks_length(bytes: &[u8]) -> Result<Option<usize>, String> {
    let mut at = 0;
    while let Some(end) = memchr::memmem::find(&bytes[at..], b"\r\n") {
        let size = str::from_utf8(&bytes[at..at + end]).unwrap_or_default();
        let size = size.split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(size.trim(), 16).map_err(|_| "a bad chunk")?;
        at += end + 2 + size + 2;
        if at > bytes.len() {
            return Ok(None);
        }
        if size == 0 {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

/// The length of the head of HTTP at the beginning, its empty line included.
pub fn head_length(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, b"\r\n\r\n").map(|end| end + 4)
}

/// The status of a response, or of an upgrade's answer.
pub fn status(head: &[u8]) -> Option<u16> {
    str::from_utf8(head.get(9..12)?).ok()?.parse().ok()
}

/// The body of a whole response, chunks joined.
pub fn body(response: &[u8]) -> Vec<u8> {
    let Some(head) = head_length(response) else {
        return Vec::new();
    };
    let (head, mut rest) = response.split_at(head);
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    if !head.contains("transfer-encoding: chunked") {
        return rest.to_vec();
    }
    let mut body = Vec::new();
    while let Some(end) = memchr::memmem::find(rest, b"\r\n") {
        let size = str::from_utf8(&rest[..end]).unwrap_or_default();
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 || rest.len() < end + 4 + size {
            break;
        }
        body.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 4 + size..];
    }
    body
}

/// Appends a client's text frame.
pub fn text(out: &mut Vec<u8>, payload: &[u8]) {
    masked(out, TEXT, payload);
}

/// Appends the answer to a ping.
pub fn pong(out: &mut Vec<u8>, payload: &[u8]) {
    masked(out, PONG, payload);
}

fn masked(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.push(0x80 | opcode);
    match payload.len() {
        length @ 0..126 => out.push(0x80 | length as u8),
        length @ 126..0x1_0000 => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    // Nobody on the way has to be kept from guessing the mask; the server's work is the same with any.
    let mask = [0x5a, payload.len() as u8 | 1, 0xc3, 0x17];
    out.extend_from_slice(&mask);
    let begin = out.len();
    out.extend_from_slice(payload);
    for chunk in out[begin..].chunks_mut(4) {
        for (byte, mask) in chunk.iter_mut().zip(mask) {
            *byte ^= mask;
        }
    }
}

/// The request that opens a WebSocket.
pub fn upgrade(host: impl std::fmt::Display, path: &str, headers: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(framing: Framing, bytes: &[u8]) -> (usize, Vec<String>) {
        let mut found = Vec::new();
        let used = cut(framing, bytes, &mut |piece| {
            found.push(format!("{piece:?}"))
        })
        .unwrap();
        (used, found)
    }

    #[test]
    fn websocket_frames_are_cut_at_any_place() {
        let mut bytes = vec![
            0x81, 2, b'h', b'i', 0x89, 0, 0x88, 2, 0x0f, 0xa0, 0x82, 126, 0, 200,
        ];
        bytes.extend([b'x'; 200]);
        let (used, all) = pieces(Framing::WebSocket, &bytes);
        assert_eq!((used, all.len()), (bytes.len(), 4));
        assert!(all[2].contains("4000"));
        for end in 0..bytes.len() {
            let (used, first) = pieces(Framing::WebSocket, &bytes[..end]);
            let (_, rest) = pieces(Framing::WebSocket, &bytes[used..]);
            assert_eq!([first, rest].concat(), all);
        }
        assert!(cut(Framing::WebSocket, &[0x01, 0], &mut |_| {}).is_err());
    }

    #[test]
    fn responses_end_where_they_say() {
        let plain = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        let chunked = b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n";
        let both = [&plain[..], &chunked[..]].concat();
        assert_eq!(pieces(Framing::Http, &both).1.len(), 2);
        for end in 0..both.len() {
            let count = usize::from(end >= plain.len());
            assert_eq!(pieces(Framing::Http, &both[..end]).1.len(), count);
        }
        assert_eq!((status(plain), body(plain)), (Some(200), b"{}".to_vec()));
        assert_eq!(
            (status(chunked), body(chunked)),
            (Some(201), b"{}".to_vec())
        );
    }

    #[test]
    fn a_clients_frame_is_masked() {
        let mut frame = Vec::new();
        text(&mut frame, b"hello");
        assert_eq!(frame[..2], [0x81, 0x85]);
        let mask = &frame[2..6];
        let plain: Vec<u8> = (frame[6..].iter().zip(mask.iter().cycle()))
            .map(|(byte, mask)| byte ^ mask)
            .collect();
        assert_eq!(plain, b"hello");
    }
}
