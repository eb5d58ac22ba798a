//! A bare TCP connection, for what no well-behaved client sends.

use std::{io, net::SocketAddr, time::Duration};

use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

use super::{Account, PATIENCE, Server, timeout};

pub struct Raw<S = TcpStream> {
    pub stream: S,
    /// Bytes that were read and not yet asked for.
    early: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    pub fn on(stream: S) -> Self {
        Self {
            stream,
            early: BytesMut::new(),
        }
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        self.stream
            .write_all(bytes)
            .await
            .expect("the server reads");
    }

    /// At least one byte more; false at the end of the stream.
    async fn more(&mut self, patience: Duration) -> bool {
        let mut buffer = [0; 16 * 1024];
        match timeout(patience, self.stream.read(&mut buffer)).await {
            Ok(Ok(0)) | Ok(Err(_)) => false,
            Ok(Ok(read)) => {
                self.early.extend_from_slice(&buffer[..read]);
                true
            }
            Err(_) => panic!("nothing came in {patience:?}"),
        }
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        self.early.split_to(count).into()
    }

    /// The head of an HTTP answer, up to and with its empty line.
    pub async fn head(&mut self) -> String {
        loop {
            let end = self.early.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                return String::from_utf8(self.take(end + 4)).unwrap();
            }
            assert!(
                self.more(PATIENCE).await,
                "the stream ended before an answer's head did"
            );
        }
    }

    /// Status and body of an HTTP answer that has a Content-Length.
    pub async fn answer(&mut self) -> (u16, String) {
        let (head, body) = self.whole("GET").await;
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body)
    }

    /// Head and body of an HTTP answer to this method that has a Content-Length; to HEAD there is no body.
    pub async fn whole(&mut self, method: &str) -> (String, String) {
        let head = self.head().await;
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse().unwrap())
        });
        let length: usize = length.filter(|_| method != "HEAD").unwrap_or(0);
        while self.early.len() < length {
            assert!(
                self.more(PATIENCE).await,
                "the stream ended before an answer's body did"
            );
        }
        (head, String::from_utf8(self.take(length)).unwrap())
    }

    /// All that comes until the stream ends.
    pub async fn rest(&mut self, patience: Duration) -> String {
        while self.more(patience).await {}
        String::from_utf8_lossy(&self.early).into_owned()
    }
}

impl Raw {
    pub async fn connect(address: SocketAddr) -> Self {
        Self::on(TcpStream::connect(address).await.unwrap())
    }

    /// A WebSocket of this account's, its `ready` unread.
    pub async fn socket(server: &Server, account: &Account) -> Self {
        Self::upgrade(server, &format!("/ws?token={}", account.token)).await
    }

    pub async fn upgrade(server: &Server, path: &str) -> Self {
        let mut raw = Self::connect(server.address()).await;
        raw.handshake(path).await;
        raw
    }

    /// Asks for a WebSocket and reads the answer, which must be 101.
    pub async fn handshake(&mut self, path: &str) {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: hearth\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        self.write(request.as_bytes()).await;
        let head = self.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    }

    /// One masked frame with this first byte (FIN, RSV and opcode).
    pub async fn frame(&mut self, first: u8, payload: &[u8]) {
        self.write(&masked(first, payload)).await;
    }

    pub async fn text(&mut self, text: &str) {
        self.frame(0x81, text.as_bytes()).await;
    }

    /// First byte and payload of the next WebSocket frame; `None` at the end of the stream.
    pub async fn next_frame(&mut self, patience: Duration) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some((header, length)) = lengths(&self.early)
                && self.early.len() >= header + length
            {
                let frame = self.take(header + length);
                return Some((frame[0], frame[header..].to_vec()));
            }
            if !self.more(patience).await {
                return None;
            }
        }
    }

    /// The close code; all frames before it are passed over.
    pub async fn closed(&mut self) -> u16 {
        self.closed_within(PATIENCE).await
    }

    pub async fn closed_within(&mut self, patience: Duration) -> u16 {
        loop {
            match self.next_frame(patience).await {
                Some((0x88, payload)) => return u16::from_be_bytes([payload[0], payload[1]]),
                Some(_) => {}
                None => panic!("a close frame was expected"),
            }
        }
    }

    /// Reads to the end of the stream, and throws it away.
    pub async fn discard(mut self) {
        let mut scratch = vec![0; 64 * 1024];
        while matches!(self.stream.read(&mut scratch).await, Ok(read) if read > 0) {}
    }

    /// The next text as JSON.
    pub async fn json(&mut self) -> serde_json::Value {
        loop {
            match self.next_frame(PATIENCE).await {
                Some((0x81, payload)) => return serde_json::from_slice(&payload).unwrap(),
                Some((0x88, payload)) => panic!("a text was expected: closed, {payload:?}"),
                Some(_) => {}
                None => panic!("a text was expected"),
            }
        }
    }

    /// Writes as much as the server takes: ends early when it takes nothing for this long. How much went out.
    pub async fn write_until_stalled(&mut self, bytes: &[u8], patience: Duration) -> usize {
        let mut written = 0;
        while written < bytes.len() {
            let writing = self.stream.write(&bytes[written..]);
            match timeout(patience, writing).await {
                Ok(result) => written += result.expect("the server takes bytes"),
                Err(_) => break,
            }
        }
        written
    }

    /// Writes on while reading is going on: for what is larger than all buffers between the two.
    pub async fn write_beside(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (mut reader, mut writer) = self.stream.split();
        let mut buffer = [0; 16 * 1024];
        let mut written = 0;
        while written < bytes.len() {
            tokio::select! {
                wrote = writer.write(&bytes[written..]) => written += wrote?,
                read = reader.read(&mut buffer) => {
                    let read = read?;
                    if read == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    self.early.extend_from_slice(&buffer[..read]);
                }
            }
        }
        Ok(())
    }
}

/// Header's and payload's length of the frame that begins here, once they can be read.
fn lengths(bytes: &[u8]) -> Option<(usize, usize)> {
    Some(match *bytes.get(1)? {
        126 => (
            4,
            u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?).into(),
        ),
        127 => (
            10,
            u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize,
        ),
        length => (2, length.into()),
    })
}

/// A client's frame: its mask is all zeros, so that the payload stands as it is.
pub fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
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
