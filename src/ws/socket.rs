//! The two kinds of socket: a WebSocket, and JSON lines over plain TCP. Both are read here; what is to be written goes
//! through the mailbox.

use std::{future::pending, io::ErrorKind, ops::Deref};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::{io::AsyncReadExt, net::TcpStream};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Error as SocketError, Message, Utf8Bytes, protocol::Role},
};
use tokio_util::codec::{FramedRead, LinesCodec, LinesCodecError};

use super::{
    frame,
    transport::{Transport, config},
};
use crate::{
    hub::{Mailbox, Wire},
    limits::{READ_BUFFER_BYTES, REQUEST_BYTES_MAX},
    protocol::close::Close,
};

/// See the module's documentation.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all connections are of the large variant: a box would only add to them"
)]
pub enum Socket {
    WebSocket(WebSocketStream<Transport>),
    Lines(FramedRead<Transport, LinesCodec>),
}

/// A text that was read, as its reader gave it: it isn't copied.
pub enum Text {
    Message(Utf8Bytes),
    Line(String),
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Text::Message(text) => text,
            Text::Line(line) => line,
        }
    }
}

impl Socket {
    /// A connection after its upgrade, of which `early` was read already.
    pub async fn websocket(stream: TcpStream, early: Vec<u8>) -> Self {
        let transport = Transport::new(Mailbox::new(stream, Wire::WebSocket));
        let socket =
            WebSocketStream::from_partially_read(transport, early, Role::Server, Some(config()));
        Self::WebSocket(socket.await)
    }

    pub fn lines(stream: TcpStream) -> Self {
        let transport = Transport::new(Mailbox::new(stream, Wire::Lines));
        let codec = LinesCodec::new_with_max_length(REQUEST_BYTES_MAX);
        Self::Lines(FramedRead::with_capacity(
            transport,
            codec,
            READ_BUFFER_BYTES,
        ))
    }

    pub fn transport(&mut self) -> &mut Transport {
        match self {
            Socket::WebSocket(socket) => socket.get_mut(),
            Socket::Lines(lines) => lines.get_mut(),
        }
    }

    /// What comes next, as the protocol sees it: a text, nothing of interest, or the end. Cancelling it loses nothing.
    pub async fn read(&mut self) -> Result<Option<Text>, Close> {
        match self {
            Socket::WebSocket(socket) => message(socket.next().await),
            Socket::Lines(lines) => {
                let next = lines.next().await;
                // The buffer of a long line isn't kept: many idle connections must stay small.
                if lines.read_buffer().is_empty() {
                    *lines.read_buffer_mut() = BytesMut::with_capacity(READ_BUFFER_BYTES);
                }
                line(next)
            }
        }
    }

    /// Pings a silent client. Lines have no pings of the server: there the client pings.
    pub fn ping(&mut self) {
        if let Socket::WebSocket(socket) = self {
            let mailbox = &socket.get_ref().mailbox;
            mailbox.answer(Bytes::from_static(&frame::PING));
        }
    }

    /// Waits for a WebSocket client's answer to the close frame, which is written meanwhile. Lines have no such answer.
    pub async fn await_close(&mut self) {
        let Socket::WebSocket(socket) = self else {
            return;
        };
        let mailbox = socket.get_ref().mailbox.clone();
        let writing = async {
            mailbox.flush().await;
            pending::<()>().await;
        };
        // tungstenite ends the stream after the client's close frame. The closed mailbox doesn't accept what tungstenite
        // would answer.
        let answer = async { while let Some(Ok(_)) = socket.next().await {} };
        tokio::select! {
            () = writing => {}
            () = answer => {}
        }
    }

    /// Reads what the client sends to its end, and discards it.
    pub async fn discard(&mut self) {
        let mut scratch = [0; 1024];
        while matches!(self.transport().read(&mut scratch).await, Ok(read) if read > 0) {}
    }
}

fn message(message: Option<Result<Message, SocketError>>) -> Result<Option<Text>, Close> {
    match message {
        Some(Ok(Message::Text(text))) => Ok(Some(Text::Message(text))),
        Some(Ok(Message::Binary(_))) => Err(Close::Unsupported),
        // tungstenite answers pings, and ends the stream after a close frame.
        Some(Ok(_)) => Ok(None),
        Some(Err(SocketError::Capacity(_))) => Err(Close::TooLarge),
        Some(Err(SocketError::Utf8(_))) => Err(Close::InvalidText),
        Some(Err(SocketError::Protocol(_))) => Err(Close::ProtocolError),
        Some(Err(SocketError::Io(error))) if error.kind() == ErrorKind::QuotaExceeded => {
            Err(Close::TooLarge)
        }
        Some(Err(_)) | None => Err(Close::Gone),
    }
}

fn line(line: Option<Result<String, LinesCodecError>>) -> Result<Option<Text>, Close> {
    match line {
        Some(Ok(line)) if line.is_empty() => Ok(None),
        Some(Ok(line)) => Ok(Some(Text::Line(line))),
        Some(Err(LinesCodecError::MaxLineLengthExceeded)) => Err(Close::TooLarge),
        // The codec's error for bytes that aren't UTF-8. A socket's own errors are of other kinds.
        Some(Err(LinesCodecError::Io(error))) if error.kind() == ErrorKind::InvalidData => {
            Err(Close::InvalidText)
        }
        Some(Err(LinesCodecError::Io(error))) if error.kind() == ErrorKind::QuotaExceeded => {
            Err(Close::TooLarge)
        }
        Some(Err(_)) | None => Err(Close::Gone),
    }
}
