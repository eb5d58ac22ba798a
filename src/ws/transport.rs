//! The stream under a socket: it reads the TCP connection, and what tungstenite itself has to write (pongs, the closing
//! handshake) goes through the mailbox like everything else.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::{
    hub::Mailbox,
    limits::{ANSWERS_BYTES_MAX, AUTH_BYTES_MAX, READ_BUFFER_BYTES, REQUEST_BYTES_MAX},
};

/// See the module's documentation.
pub struct Transport {
    pub mailbox: Arc<Mailbox>,
    /// When the client's last byte came.
    pub heard: Instant,
    /// Bytes that may come before the client is authenticated. `None`: it is, or what comes is discarded.
    pub allowed: Option<usize>,
}

impl Transport {
    pub fn new(mailbox: Mailbox) -> Self {
        Self {
            mailbox: Arc::new(mailbox),
            heard: Instant::now(),
            allowed: Some(AUTH_BYTES_MAX),
        }
    }
}

/// The limits of PROTOCOL.md, and buffers small enough for many idle connections. Nothing is kept in
/// tungstenite's write buffer, which never shrinks.
pub fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(REQUEST_BYTES_MAX)
        .max_message_size(Some(REQUEST_BYTES_MAX))
        .max_frame_size(Some(REQUEST_BYTES_MAX))
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.mailbox.stream().poll_read_ready(cx))?;
            match self.mailbox.stream().try_read(buf.initialize_unfilled()) {
                Ok(read) => {
                    match self.allowed {
                        Some(allowed) if allowed < read => {
                            return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()));
                        }
                        Some(allowed) => self.allowed = Some(allowed - read),
                        None => {}
                    }
                    buf.advance(read);
                    self.heard = Instant::now();
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Transport {
    /// Accepts whole frames or nothing, so that none is split. Waits while the client reads no answers. What a closed
    /// mailbox doesn't accept counts as written. No waker is kept: the connection polls again after each drain.
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let backlog = self.mailbox.backlog();
        if backlog.close.is_none() && backlog.answer_bytes > ANSWERS_BYTES_MAX {
            return Poll::Pending;
        }
        self.mailbox.answer(bytes.to_vec().into());
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
