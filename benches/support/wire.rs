//! A WebSocket as a frugal client holds it. It must cost little, for it shares the machine with what is
//! measured: one buffer for all sockets of a thread, no copy of what is read whole, no JSON parser.

use std::{
    cell::RefCell,
    collections::VecDeque,
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 * 1024]);
}

/// Cuts what a server sends into frames.
#[derive(Default)]
pub struct Splitter {
    /// The beginning of a frame whose end hasn't come yet.
    rest: Vec<u8>,
}

impl Splitter {
    /// Hands over each whole frame: its opcode and its payload.
    pub fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(u8, &[u8])) {
        if self.rest.is_empty() {
            let used = cut(bytes, &mut each);
            self.rest.extend_from_slice(&bytes[used..]);
        } else {
            self.rest.extend_from_slice(bytes);
            let used = cut(&self.rest, &mut each);
            self.rest.drain(..used);
            if self.rest.is_empty() {
                self.rest = Vec::new();
            }
        }
    }
}

fn cut(bytes: &[u8], each: &mut impl FnMut(u8, &[u8])) -> usize {
    let mut used = 0;
    while let [first, second, tail @ ..] = &bytes[used..] {
        let (length, header) = match (second & 0x7f, tail) {
            (126, [a, b, ..]) => (usize::from(u16::from_be_bytes([*a, *b])), 4),
            (127, [a, b, c, d, e, f, g, h, ..]) => (
                u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]) as usize,
                10,
            ),
            (126 | 127, _) => break,
            (short, _) => (usize::from(short), 2),
        };
        let Some(payload) = bytes.get(used + header..used + header + length) else {
            break;
        };
        each(first & 0x0f, payload);
        used += header + length;
    }
    used
}

/// A client's frame. Masked with zeros, which costs the server as much as any other mask.
pub fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        length @ 0..126 => frame.push(0x80 | length as u8),
        length @ 126..0x1_0000 => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// A client's text frame.
pub fn text(payload: &str) -> Vec<u8> {
    masked(TEXT, payload.as_bytes())
}

/// Whether a frame is of this type: the server writes `type` first.
pub fn is(frame: &[u8], kind: &str) -> bool {
    frame
        .strip_prefix(b"{\"type\":\"")
        .and_then(|rest| rest.strip_prefix(kind.as_bytes()))
        .is_some_and(|rest| rest.first() == Some(&b'"'))
}

/// What stands behind `"key":` where it first occurs.
fn after<'a>(frame: &'a [u8], key: &str) -> Option<&'a [u8]> {
    let key = key.as_bytes();
    let ends = frame.windows(key.len() + 3).position(|window| {
        window[0] == b'"' && &window[1..=key.len()] == key && window.ends_with(b"\":")
    })?;
    Some(&frame[ends + key.len() + 3..])
}

/// A field's number.
pub fn number(frame: &[u8], key: &str) -> Option<u64> {
    let digits = after(frame, key)?;
    let end = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}

/// A field's text, as it stands in JSON.
pub fn string<'a>(frame: &'a [u8], key: &str) -> Option<&'a [u8]> {
    let text = after(frame, key)?.strip_prefix(b"\"")?;
    let end = text.iter().position(|byte| *byte == b'"')?;
    Some(&text[..end])
}

/// One socket.
pub struct Socket {
    read: OwnedReadHalf,
    write: Writer,
    splitter: Splitter,
    /// Frames that came together with one that was waited for.
    early: VecDeque<Vec<u8>>,
}

/// The half that sends.
pub struct Writer(OwnedWriteHalf);

impl Writer {
    /// Sends a whole frame at once: what a client has in flight always fits the socket's buffer.
    pub fn send(&self, frame: &[u8]) {
        let written = self.0.try_write(frame).expect("the socket takes a frame");
        assert_eq!(written, frame.len(), "the socket takes a whole frame");
    }
}

impl Socket {
    /// A connection without a handshake.
    pub async fn plain(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (read, write) = stream.into_split();
        Ok(Self {
            read,
            write: Writer(write),
            splitter: Splitter::default(),
            early: VecDeque::new(),
        })
    }

    /// A socket for all rooms; `ready` comes next.
    pub async fn open(address: SocketAddr, token: &str) -> io::Result<Self> {
        let mut socket = Self::plain(address).await?;
        let request = format!(
            "GET /ws HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: hearth.v1, bearer.{token}\r\n\r\n"
        );
        socket.write.0.write_all(request.as_bytes()).await?;
        let mut head = Vec::new();
        let end = loop {
            if socket.read.read_buf(&mut head).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
        };
        if !head.starts_with(b"HTTP/1.1 101") {
            return Err(io::Error::other(
                String::from_utf8_lossy(&head).into_owned(),
            ));
        }
        let Self {
            splitter, early, ..
        } = &mut socket;
        splitter.feed(&head[end..], |_, payload| early.push_back(payload.to_vec()));
        Ok(socket)
    }

    pub fn writer(&self) -> &Writer {
        &self.write
    }

    pub fn send(&self, frame: &[u8]) {
        self.write.send(frame);
    }

    /// Reads until a frame of this type comes, and gives it; those before it are passed over.
    pub async fn expect(&mut self, kind: &str) -> io::Result<Vec<u8>> {
        loop {
            while let Some(frame) = self.early.pop_front() {
                if is(&frame, kind) {
                    return Ok(frame);
                }
            }
            let mut early = std::mem::take(&mut self.early);
            let read = self.read(|_, frame| early.push_back(frame.to_vec())).await;
            self.early = early;
            read?;
        }
    }

    /// As [`Socket::expect`], for at most half a minute.
    pub async fn wait_for(&mut self, kind: &str) -> Vec<u8> {
        tokio::time::timeout(Duration::from_secs(30), self.expect(kind))
            .await
            .unwrap_or_else(|_| panic!("no `{kind}` came"))
            .unwrap_or_else(|error| panic!("no `{kind}` came: {error}"))
    }

    /// Waits for bytes and hands over the text frames that they complete. Pings are answered.
    pub async fn read(&mut self, mut each: impl FnMut(&Writer, &[u8])) -> io::Result<()> {
        let Self {
            read,
            write,
            splitter,
            early,
        } = self;
        for frame in early.drain(..) {
            each(write, &frame);
        }
        poll_fn(|cx| {
            BUFFER.with_borrow_mut(|buffer| {
                let mut buffer = ReadBuf::new(buffer);
                ready!(Pin::new(&mut *read).poll_read(cx, &mut buffer))?;
                if buffer.filled().is_empty() {
                    return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                }
                let mut closed = None;
                splitter.feed(buffer.filled(), |opcode, payload| match opcode {
                    TEXT => each(write, payload),
                    PING => write.send(&masked(PONG, payload)),
                    CLOSE => closed = Some(payload.to_vec()),
                    _ => {}
                });
                Poll::Ready(match closed {
                    Some(why) => Err(io::Error::other(format!(
                        "closed with {} {}",
                        why.get(..2)
                            .map_or(0, |code| u16::from_be_bytes([code[0], code[1]])),
                        String::from_utf8_lossy(why.get(2..).unwrap_or_default())
                    ))),
                    None => Ok(()),
                })
            })
        })
        .await
    }
}
