//! A connection as its session holds it: a WebSocket, or JSON lines over plain TCP. Both are read here;
//! what is to be written goes through the mailbox.

use std::{future::pending, io::ErrorKind};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::{io::AsyncReadExt, net::TcpStream};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Error as SocketError, Message, protocol::Role},
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
    reason = "nearly all connections are of the large one: a box would only add to them"
)]
pub enum Socket {
    WebSocket(WebSocketStream<Transport>),
    Lines(FramedRead<Transport, LinesCodec>),
}

impl Socket {
    /// A connection after its upgrade; `early` was read from it already.
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

    /// What comes next, as the protocol sees it: a text, nothing of interest, or the end. Nothing is
    /// lost when it is cancelled.
    pub async fn read(&mut self) -> Result<Option<String>, Close> {
        match self {
            Socket::WebSocket(socket) => message(socket.next().await),
            Socket::Lines(lines) => {
                let next = lines.next().await;
                // Room for a long line isn't kept: many idle connections must stay small.
                if lines.read_buffer().is_empty() {
                    *lines.read_buffer_mut() = BytesMut::with_capacity(READ_BUFFER_BYTES);
                }
                line(next)
            }
        }
    }

    /// Asks a silent client for a sign of life. Lines have none to ask for: there it is the client's to
    /// ping.
    pub fn ping(&mut self) {
        if let Socket::WebSocket(socket) = self {
            let mailbox = &socket.get_ref().mailbox;
            mailbox.answer(Bytes::from_static(&frame::PING));
        }
    }

    /// Waits for a WebSocket client's answer to the close frame, which is written meanwhile. On lines there
    /// is none.
    pub async fn hear_out(&mut self) {
        let Socket::WebSocket(socket) = self else {
            return;
        };
        let mailbox = socket.get_ref().mailbox.clone();
        let writing = async {
            mailbox.flush().await;
            pending::<()>().await;
        };
        // tungstenite ends the stream after the client's close frame; what it would say to it the closed
        // mailbox doesn't take.
        let answer = async { while let Some(Ok(_)) = socket.next().await {} };
        tokio::select! {
            () = writing => {}
            () = answer => {}
        }
    }

    /// Reads to the end of what the client sends, and throws it away.
    pub async fn discard(&mut self) {
        let mut scratch = [0; 1024];
        while matches!(self.transport().read(&mut scratch).await, Ok(read) if read > 0) {}
    }
}

fn message(message: Option<Result<Message, SocketError>>) -> Result<Option<String>, Close> {
    match message {
        Some(Ok(Message::Text(text))) => Ok(Some(text.as_str().to_owned())),
        Some(Ok(Message::Binary(_))) => Err(Close::Unsupported),
        // Pings are answered by tungstenite; after a close frame it ends the stream itself.
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

fn line(line: Option<Result<String, LinesCodecError>>) -> Result<Option<String>, Close> {
    match line {
        Some(Ok(line)) => Ok(Some(line).filter(|line| !line.is_empty())),
        Some(Err(LinesCodecError::MaxLineLengthExceeded)) => Err(Close::TooLarge),
        // What the codec says of bytes that aren't UTF-8; a socket's own errors are of other kinds.
        Some(Err(LinesCodecError::Io(error))) if error.kind() == ErrorKind::InvalidData => {
            Err(Close::InvalidText)
        }
        Some(Err(LinesCodecError::Io(error))) if error.kind() == ErrorKind::QuotaExceeded => {
            Err(Close::TooLarge)
        }
        Some(Err(_)) | None => Err(Close::Gone),
    }
}
