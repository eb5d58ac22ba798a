//! A session's loop: one task that owns a connection's transport and all its deadlines.
//!
//! It reads the next request only when the last one's work is done, so that a socket's frames take
//! effect in order, and only while the client reads its answers. Membership notices come first: a
//! request sees what had happened before it.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::StreamExt;
use nix::sys::socket::{Shutdown, shutdown};
use rand::Rng;
use std::os::fd::AsRawFd;
use tokio::{net::TcpStream, time::Sleep};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error as SocketError, Message,
        protocol::{CloseFrame, Role},
    },
};

use super::{
    Gateway, Opening, frame,
    transport::{Socket, Transport, config},
    worker::Worker,
};
use crate::{
    chat::Identity,
    hub::{Mailbox, Registration, Stir},
    limits::{
        ANSWERS_BYTES_MAX, AUTH_DEADLINE, CLOSE_DEADLINE, DRAIN_SESSIONS, EXPIRY_SPREAD, HEARTBEAT,
        PRESENCE_INTERVAL, RECONNECT_SPREAD, STRIKES_MAX, STRIKES_WINDOW, WRITE_DEADLINE,
    },
    protocol::{
        Time,
        client::{Frame, Request},
        close::Close,
        error::Code,
        server,
    },
};

/// Serves a connection from its first frame to its last.
pub(super) async fn open(
    gateway: Gateway,
    stream: TcpStream,
    early: Vec<u8>,
    mut opening: Opening,
) {
    let mailbox = Arc::new(Mailbox::new(stream));
    let transport = Transport {
        mailbox: mailbox.clone(),
        heard: Instant::now(),
    };
    let mut socket =
        WebSocketStream::from_partially_read(transport, early, Role::Server, Some(config())).await;
    let close = match Box::pin(admit(&gateway, &mailbox, &mut socket, &mut opening)).await {
        Ok((who, registration)) => {
            let session = Session::new(&who, mailbox.clone(), socket);
            let worker = Box::new(Worker::new(
                &gateway,
                mailbox.clone(),
                who,
                registration,
                &opening,
            ));
            let (back, close) = session.run(worker).await;
            socket = back;
            close
        }
        Err(close) => close,
    };
    Box::pin(goodbye(socket, &mailbox, close)).await;
}

/// Waits for the token if it is to come, judges it, and takes the connection into the registry.
async fn admit(
    gateway: &Gateway,
    mailbox: &Arc<Mailbox>,
    socket: &mut Socket,
    opening: &mut Opening,
) -> Result<(Identity, Registration), Close> {
    let token = match opening.token.take() {
        Some(token) => token,
        None => tokio::select! {
            token = tokio::time::timeout(AUTH_DEADLINE, first_token(socket)) => token.map_err(|_| Close::Unauthenticated)??,
            _ = gateway.shutdown.token.cancelled() => return Err(Close::GoingAway),
        },
    };
    let who = gateway
        .chat
        .authenticate(&token)
        .await
        .map_err(|refusal| match refusal.code {
            Code::TokenExpired => Close::TokenExpired,
            Code::TokenRevoked => Close::Revoked,
            Code::Forbidden => Close::Disabled,
            // The database doesn't answer: come back later.
            Code::Unavailable | Code::Internal => Close::GoingAway,
            _ => Close::Unauthenticated,
        })?;
    gateway
        .chat
        .charge_socket(&who)
        .map_err(|_| Close::RateLimited)?;
    let max = gateway.chat.connections_max();
    let registration = gateway
        .hub
        .connect(who.user.id, mailbox.clone(), max)
        .ok_or(Close::TooManyConnections)?;
    if gateway.shutdown.token.is_cancelled() {
        return Err(Close::GoingAway);
    }
    Ok((who, registration))
}

/// The token of the first frame, which must be `auth`.
async fn first_token(socket: &mut Socket) -> Result<String, Close> {
    loop {
        match read(socket.next().await)? {
            Some(text) => match Frame::decode(&text) {
                Ok(Frame {
                    request: Request::Auth { token },
                    ..
                }) => return Ok(token),
                _ => return Err(Close::Unauthenticated),
            },
            None => continue,
        }
    }
}

/// What was read, as the protocol sees it: a text, nothing of interest, or the end.
fn read(message: Option<Result<Message, SocketError>>) -> Result<Option<String>, Close> {
    match message {
        Some(Ok(Message::Text(text))) => Ok(Some(text.as_str().to_owned())),
        Some(Ok(Message::Binary(_))) => Err(Close::Unsupported),
        // Pings are answered by tungstenite; after a close frame it ends the stream itself.
        Some(Ok(_)) => Ok(None),
        Some(Err(SocketError::Capacity(_))) => Err(Close::TooLarge),
        Some(Err(SocketError::Utf8(_))) => Err(Close::InvalidText),
        Some(Err(SocketError::Protocol(_))) => Err(Close::ProtocolError),
        Some(Err(_)) | None => Err(Close::Gone),
    }
}

/// Work in progress: it owns the worker and gives it back.
type Work = Pin<Box<dyn Future<Output = (Box<Worker>, Result<(), Close>)> + Send>>;

enum Doing {
    Idle(Box<Worker>),
    Busy(Work),
}

struct Session {
    mailbox: Arc<Mailbox>,
    socket: Socket,
    /// When the last ping of ours went out.
    pinged: Instant,
    /// When the socket closes for its token's sake.
    expires: Instant,
    /// Bad frames of late.
    strikes: Vec<Instant>,
    /// The server goes away: the work in progress may end until then.
    leaving: Option<Instant>,
    /// Not earlier the client is told again who is online.
    presence_after: Instant,
}

impl Session {
    fn new(who: &Identity, mailbox: Arc<Mailbox>, socket: Socket) -> Self {
        let valid = Duration::from_millis((who.expires_at.0 - Time::now().0).max(0) as u64);
        let spread = EXPIRY_SPREAD.mul_f64(rand::rng().random());
        let now = Instant::now();
        Self {
            mailbox,
            socket,
            pinged: now,
            expires: now + valid + spread,
            strikes: Vec::new(),
            leaving: None,
            presence_after: now,
        }
    }

    /// Runs until there is a reason to close.
    async fn run(mut self, worker: Box<Worker>) -> (Socket, Close) {
        let mut doing = Doing::Busy(Box::pin(worker.open()));
        let mut timer = pin!(tokio::time::sleep(HEARTBEAT));
        let close = loop {
            if let Err(close) = self.step(&mut doing, timer.as_mut()).await {
                break close;
            }
        };
        // Before the worker drops its leases: rooms sweep out listeners whose mailbox is closed.
        self.mailbox.close(close);
        (self.socket, close)
    }

    async fn step(&mut self, doing: &mut Doing, mut timer: Pin<&mut Sleep>) -> Result<(), Close> {
        let now = Instant::now();
        match self.mailbox.backlog().close {
            Some(Close::GoingAway) if matches!(doing, Doing::Busy(_)) => {
                self.leaving.get_or_insert(now + DRAIN_SESSIONS / 2);
            }
            Some(close) => return Err(close),
            None => {}
        }
        self.take_up_work(doing);
        self.tell_presence(doing, now);
        let backlog = self.mailbox.backlog();
        let idle = matches!(doing, Doing::Idle(_));
        let reading = idle && backlog.answer_bytes <= ANSWERS_BYTES_MAX;

        let mut deadline = self.expires;
        if backlog.bytes > 0 {
            deadline = deadline.min(backlog.stalled_since + WRITE_DEADLINE);
        }
        if reading {
            let heard = self.socket.get_ref().heard;
            let next = if self.pinged > heard {
                heard + 2 * HEARTBEAT
            } else {
                heard + HEARTBEAT
            };
            deadline = deadline.min(next);
        } else {
            // Whoever isn't read can't be heard.
            self.socket.get_mut().heard = now;
        }
        if let Some(leaving) = self.leaving {
            deadline = deadline.min(leaving);
        }
        if idle && backlog.bytes == 0 && backlog.stir != Stir::Quiet {
            deadline = deadline.min(self.presence_after);
        }
        // Moved only when it would fire too late: firing early costs one look.
        if timer.deadline().into_std() > deadline {
            timer.as_mut().reset(deadline.into());
        }

        tokio::select! {
            // In this order: a notice that was there before a frame came is acted on first.
            biased;
            _ = self.mailbox.writable(), if backlog.bytes > 0 => self.mailbox.drain(),
            _ = self.mailbox.woken() => {}
            (worker, result) = async { work(doing).await }, if !idle => {
                *doing = Doing::Idle(worker);
                result?;
            }
            _ = timer.as_mut() => {
                timer.as_mut().reset((Instant::now() + HEARTBEAT).into());
                self.check_deadlines(reading)?;
            }
            message = self.socket.next(), if reading => {
                if let Some(text) = read(message)? {
                    self.decode(&text, doing)?;
                }
            }
        }
        Ok(())
    }

    /// What waits for an idle session before its next request: lags to tell, notices to act on.
    fn take_up_work(&mut self, doing: &mut Doing) {
        let Doing::Idle(worker) = doing else { return };
        for (room_id, rev) in self.mailbox.take_lags() {
            worker.lagged(room_id, rev);
        }
        if let Some(notice) = self.mailbox.take_notice() {
            start(doing, |worker| Box::pin(worker.notice(notice)));
        }
    }

    /// Tells who came online and who went: while nothing else is to be done or written, and so often at
    /// most. Until then the mailbox wakes nobody for it.
    fn tell_presence(&mut self, doing: &mut Doing, now: Instant) {
        let Doing::Idle(worker) = doing else { return };
        let backlog = self.mailbox.backlog();
        if backlog.stir != Stir::Quiet
            && backlog.bytes == 0
            && now >= self.presence_after
            && self.mailbox.look()
        {
            worker.tell_presence();
            self.presence_after = now + PRESENCE_INTERVAL;
        }
    }

    /// Takes up a request, or tells what is wrong with it: the third bad frame within a minute closes.
    fn decode(&mut self, text: &str, doing: &mut Doing) -> Result<(), Close> {
        match Frame::decode(text) {
            Ok(frame) => start(doing, |worker| Box::pin(worker.request(frame))),
            Err(bad) => {
                let Doing::Idle(worker) = doing else {
                    return Ok(());
                };
                worker.bad_frame(bad);
                let now = Instant::now();
                self.strikes.retain(|strike| now - *strike < STRIKES_WINDOW);
                self.strikes.push(now);
                if self.strikes.len() >= STRIKES_MAX {
                    return Err(Close::Violation);
                }
            }
        }
        Ok(())
    }

    fn check_deadlines(&mut self, reading: bool) -> Result<(), Close> {
        let now = Instant::now();
        let backlog = self.mailbox.backlog();
        if self.leaving.is_some_and(|leaving| now >= leaving) {
            return Err(Close::GoingAway);
        }
        if now >= self.expires {
            return Err(Close::TokenExpired);
        }
        if backlog.bytes > 0 && now >= backlog.stalled_since + WRITE_DEADLINE {
            return Err(Close::TooSlow);
        }
        let heard = self.socket.get_ref().heard;
        if reading && now >= heard + 2 * HEARTBEAT {
            return Err(Close::HeartbeatMissed);
        }
        if reading && now >= heard + HEARTBEAT && self.pinged <= heard {
            self.pinged = now;
            self.mailbox.answer(Bytes::from_static(&frame::PING));
        }
        Ok(())
    }
}

/// Turns an idle worker into work.
fn start(doing: &mut Doing, work: impl FnOnce(Box<Worker>) -> Work) {
    let idle = std::mem::replace(doing, Doing::Busy(Box::pin(std::future::pending())));
    *doing = match idle {
        Doing::Idle(worker) => Doing::Busy(work(worker)),
        busy => busy,
    };
}

async fn work(doing: &mut Doing) -> (Box<Worker>, Result<(), Close>) {
    match doing {
        Doing::Busy(work) => work.await,
        Doing::Idle(_) => std::future::pending().await,
    }
}

/// Tells the client why, and ends the connection so that it can read it: close frame, the client's
/// answer to it, then the TCP stream, all within [`CLOSE_DEADLINE`].
async fn goodbye(mut socket: Socket, mailbox: &Mailbox, close: Close) {
    mailbox.close(close);
    let (code, reason) = close.code_and_reason();
    metrics::counter!("ws_closed_total", "code" => code.to_string()).increment(1);
    tracing::debug!(connection = mailbox.id(), code, reason, "socket closed");
    if close == Close::Gone {
        // Nothing to say, but the answer to the client's close frame may be on its way.
        mailbox.drain();
        return;
    }
    if close == Close::GoingAway {
        let spread = RECONNECT_SPREAD.mul_f64(rand::rng().random());
        let going_away = server::Frame::GoingAway {
            reconnect_after_ms: spread.as_millis() as u64,
        };
        mailbox.answer(frame::framed(&going_away));
    }
    let _ = tokio::time::timeout(CLOSE_DEADLINE, async {
        let last = CloseFrame {
            code: code.into(),
            reason: reason.into(),
        };
        if say_close(&mut socket, mailbox, last).await.is_err() {
            // tungstenite says nothing more after an error of the client's: it is said for it.
            mailbox.answer(frame::close(code, reason));
        }
        loop {
            if mailbox.backlog().bytes > 0 {
                tokio::select! {
                    _ = mailbox.writable() => mailbox.drain(),
                    message = socket.next() => if message.is_none() { break },
                }
            } else if !matches!(socket.next().await, Some(Ok(_))) {
                break;
            }
        }
        while mailbox.backlog().bytes > 0 {
            mailbox.writable().await;
            mailbox.drain();
        }
        // What still comes is thrown away, or the close frame would be lost with a TCP reset.
        let stream = mailbox.stream();
        let _ = shutdown(stream.as_raw_fd(), Shutdown::Write);
        let mut scratch = [0; 1024];
        while stream.readable().await.is_ok() {
            match stream.try_read(&mut scratch) {
                Ok(0) => break,
                Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => break,
                _ => {}
            }
        }
    })
    .await;
}

/// Hands the close frame to tungstenite. While many answers wait the transport takes nothing, and nobody
/// else drains them any more.
async fn say_close(
    socket: &mut Socket,
    mailbox: &Mailbox,
    last: CloseFrame,
) -> Result<(), SocketError> {
    let mut closing = pin!(socket.close(Some(last)));
    loop {
        tokio::select! {
            closed = closing.as_mut() => return closed,
            _ = mailbox.writable(), if mailbox.backlog().bytes > 0 => mailbox.drain(),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncReadExt, net::TcpListener};

    use super::*;

    /// The close code comes after all that waits, however much: a client in the middle of a catch-up
    /// learns why the connection ends.
    #[tokio::test]
    async fn goodbye_follows_what_still_waits() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let mailbox = Arc::new(Mailbox::new(listener.accept().await.unwrap().0));
        let transport = Transport {
            mailbox: mailbox.clone(),
            heard: Instant::now(),
        };
        let socket =
            WebSocketStream::from_raw_socket(transport, Role::Server, Some(config())).await;
        // More than the kernel takes while nobody reads.
        let waiting = vec![b' '; 16 * 1024 * 1024];
        mailbox.answer(waiting.clone().into());
        assert!(mailbox.backlog().answer_bytes > ANSWERS_BYTES_MAX);
        let (code, reason) = Close::TokenExpired.code_and_reason();
        let last = frame::close(code, reason);
        let reader = async {
            let mut bytes = vec![0; waiting.len() + last.len()];
            client.read_exact(&mut bytes).await.unwrap();
            drop(client);
            assert_eq!(bytes[waiting.len()..], last[..]);
        };
        let ended = async {
            tokio::join!(reader, goodbye(socket, &mailbox, Close::TokenExpired));
        };
        let ended = tokio::time::timeout(5 * CLOSE_DEADLINE, ended).await;
        assert!(ended.is_ok(), "the close frame never comes");
    }
}
