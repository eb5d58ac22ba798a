//! How long a client may take to send a request's head, and how long its connection may be idle between two requests.
//!
//! hyper has one deadline for both, which begins when hyper starts to wait for a head. A [`Pace`] is the timer that hyper uses
//! for this deadline, and a [`Paced`] stream notes in it when bytes arrive, so that it can tell an idle connection from one whose
//! head has begun.
//!
//! Invariants: the first head of a connection must be complete within [`HEADER_DEADLINE`], and each later one within the same
//! time after its first byte, even if that byte came with the previous request; a connection may be idle for
//! [`KEPT_DEADLINE`].

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use hyper::{
    rt::{Sleep, Timer},
    server::conn::http1,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{self, Instant},
};

use crate::limits::{HEADER_DEADLINE, HTTP_BUFFER_BYTES_MAX, KEPT_DEADLINE};

/// The pace of one connection. Clones share it.
#[derive(Clone, Default)]
pub struct Pace(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Whether a request came before.
    kept: bool,
    /// Whether hyper holds bytes that it may not have parsed yet. It reads more only after it has parsed all that it has.
    holding: bool,
    /// When the first byte of the awaited head arrived.
    begun: Option<Instant>,
    /// Whether the current request has a body that hasn't been read to its end.
    body_unread: bool,
}

impl Pace {
    /// hyper's settings for a connection of this pace.
    pub fn builder(&self) -> http1::Builder {
        let mut builder = http1::Builder::new();
        builder
            .timer(self.clone())
            .header_read_timeout(HEADER_DEADLINE)
            .max_buf_size(HTTP_BUFFER_BYTES_MAX);
        builder
    }

    /// Notes that a request's head is complete.
    pub fn request(&self, has_body: bool) {
        self.state().body_unread = has_body;
    }

    /// Notes that the request's body was read to its end.
    pub fn body_read(&self) {
        self.state().body_unread = false;
    }

    /// Whether a part of the request's body may still arrive, or be in hyper's buffer. Then the start of the next request is
    /// unknown, and the connection must end with the answer.
    pub fn is_body_unread(&self) -> bool {
        self.state().body_unread
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// hyper uses the timer only when it begins to wait for a head.
impl Timer for Pace {
    fn sleep(&self, _: Duration) -> Pin<Box<dyn Sleep>> {
        let mut state = self.state();
        state.begun = state.holding.then(Instant::now);
        let kept = std::mem::replace(&mut state.kept, true);
        let deadline = if kept { KEPT_DEADLINE } else { HEADER_DEADLINE };
        Box::pin(Wait {
            pace: self.clone(),
            idle: kept,
            deadline: Box::pin(time::sleep(deadline)),
        })
    }

    fn sleep_until(&self, _: std::time::Instant) -> Pin<Box<dyn Sleep>> {
        self.sleep(HEADER_DEADLINE)
    }
}

/// The deadline of one head. hyper polls it whenever it has read all that has arrived.
struct Wait {
    pace: Pace,
    /// Whether no byte of the head has arrived yet.
    idle: bool,
    deadline: Pin<Box<time::Sleep>>,
}

impl Sleep for Wait {}

impl Future for Wait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.idle {
            let begun = self.pace.state().begun;
            if let Some(begun) = begun {
                self.idle = false;
                self.deadline.as_mut().reset(begun + HEADER_DEADLINE);
            }
        }
        self.deadline.as_mut().poll(cx)
    }
}

/// A connection's stream. It notes in the pace what hyper reads.
pub struct Paced<S> {
    stream: S,
    pace: Pace,
}

impl<S> Paced<S> {
    pub fn new(stream: S, pace: Pace) -> Self {
        Self { stream, pace }
    }

    pub fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let mut state = self.pace.state();
        state.holding = buf.filled().len() > before;
        if state.holding {
            state.begun.get_or_insert_with(Instant::now);
        }
        drop(state);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use http::{Request, Response};
    use http_body_util::{BodyExt, Full};
    use hyper::{body::Incoming, service::service_fn};
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;

    const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    const HEAD: &str = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
    const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}";
    const CHUNKED: &str =
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    const HALF: &str = "GET / HTTP/1.1\r\nHo";

    async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let body = request.into_body().collect().await;
        Ok(Response::new(Full::new(
            body.map_or_else(|_| Bytes::new(), |body| body.to_bytes()),
        )))
    }

    /// A client's end of a connection that is served.
    fn connect() -> DuplexStream {
        let (client, server) = tokio::io::duplex(64 * 1024);
        let pace = Pace::default();
        let stream = TokioIo::new(Paced::new(server, pace.clone()));
        let connection = pace.builder().serve_connection(stream, service_fn(answer));
        tokio::spawn(connection);
        client
    }

    /// Writes these texts, each after a pause in seconds. Returns how many answers came, and after how many seconds the
    /// connection ended.
    async fn told(texts: &[(u64, &str)]) -> (usize, u64) {
        let started = Instant::now();
        let (mut reader, mut writer) = tokio::io::split(connect());
        let writing = async {
            for (pause, text) in texts {
                time::sleep(Duration::from_secs(*pause)).await;
                // The connection may have ended.
                let _ = writer.write_all(text.as_bytes()).await;
            }
        };
        let mut answers = Vec::new();
        let reading = async {
            let _ = reader.read_to_end(&mut answers).await;
            started.elapsed().as_secs()
        };
        let (ended, ()) = tokio::join!(reading, writing);
        let answers = String::from_utf8(answers).unwrap();
        (answers.matches("HTTP/1.1 200").count(), ended)
    }

    #[tokio::test(start_paused = true)]
    async fn connections_rest_and_heads_do_not() {
        let both = |first: &str, second: &str| format!("{first}{second}");
        for (texts, expected) in [
            // A new connection has one deadline, whenever its first byte arrives.
            (&[][..], (0, 10)),
            (&[(0, HALF)], (0, 10)),
            (&[(9, HALF)], (0, 10)),
            (&[(9, "G"), (2, &GET[1..])], (0, 10)),
            // A connection that has served a request may be idle.
            (&[(9, GET)], (1, 84)),
            (&[(0, GET), (11, GET), (60, GET), (74, GET)], (4, 220)),
            (&[(0, HEAD), (74, GET)], (2, 149)),
            (&[(0, POST), (74, POST)], (2, 149)),
            (&[(0, CHUNKED), (74, CHUNKED)], (2, 149)),
            (
                &[(0, &POST[..POST.len() - 1]), (11, "}"), (74, GET)],
                (2, 160),
            ),
            (&[(0, GET), (76, GET)], (1, 75)),
            // A head that has begun has its own deadline, from its first byte.
            (&[(0, GET), (11, HALF)], (1, 21)),
            (&[(0, GET), (70, HALF)], (1, 80)),
            (&[(0, GET), (70, HALF), (9, &GET[HALF.len()..])], (2, 154)),
            (
                &[(0, GET), (11, "G"), (4, "E"), (4, "T"), (4, " ")],
                (1, 21),
            ),
            (&[(0, POST), (1, "\r\n")], (1, 11)),
            // The first byte came with the previous request.
            (&[(0, &both(GET, GET))], (2, 75)),
            (&[(0, &both(GET, HALF))], (1, 10)),
            (&[(0, &both(HEAD, HALF))], (1, 10)),
            (&[(0, &both(POST, HALF))], (1, 10)),
            (&[(0, &both(CHUNKED, HALF))], (1, 10)),
            (&[(0, &both(POST, "P")), (9, &POST[1..])], (2, 84)),
        ] {
            assert_eq!(told(texts).await, expected, "{texts:?}");
        }
    }
}
