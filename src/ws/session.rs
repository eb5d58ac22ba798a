//! A session's loop: one task that owns a connection's transport and all its deadlines.
//!
//! It reads the next request only when the last one's work is done, so that a socket's frames take
//! effect in order, and only while the client reads its answers. Membership notices come first: a
//! request sees what had happened before it.

use std::{
    future::Future,
    os::fd::AsRawFd,
    pin::{Pin, pin},
    sync::Arc,
    time::{Duration, Instant},
};

use nix::sys::socket::{Shutdown, shutdown};
use rand::Rng;
use tokio::time::Sleep;

use super::{Gateway, Opening, frame, socket::Socket, worker::Worker};
use crate::{
    chat::Identity,
    hub::{Mailbox, Registration, Stir, Wire},
    limits::{
        ANSWERS_BYTES_MAX, AUTH_DEADLINE, CLOSE_DEADLINE, DRAIN_SESSIONS, EXPIRY_SPREAD, HEARTBEAT,
        PRESENCE_INTERVAL, RECONNECT_SPREAD, STRIKES_MAX, STRIKES_WINDOW, WRITE_DEADLINE,
    },
    protocol::{
        Time,
        client::{Frame, Request},
        close::Close,
        error::{Code, Refusal},
        server,
    },
};

/// Serves a connection from its first frame to its last.
pub(super) async fn open(gateway: Gateway, mut socket: Socket, mut opening: Opening) {
    let mailbox = socket.transport().mailbox.clone();
    let close = match Box::pin(admit(&gateway, &mailbox, &mut socket, &mut opening)).await {
        Ok((who, registration)) => {
            socket.transport().allowed = None;
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
    let who = gateway.chat.authenticate(&token).await.map_err(no_entry)?;
    gateway
        .chat
        .charge_socket(&who)
        .map_err(|_| Close::RateLimited)?;
    let max = gateway.chat.connections_max();
    let registration = gateway
        .hub
        .connect(who.user.id, who.session_id, mailbox.clone(), max)
        .ok_or(Close::TooManyConnections)?;
    // A log-in that ended before the connection could be found by it.
    gateway.chat.confirm(&who).await.map_err(no_entry)?;
    if gateway.shutdown.token.is_cancelled() {
        return Err(Close::GoingAway);
    }
    Ok((who, registration))
}

/// How a connection is closed whose token is refused.
fn no_entry(refusal: Refusal) -> Close {
    match refusal.code {
        Code::TokenExpired => Close::TokenExpired,
        Code::TokenRevoked => Close::Revoked,
        Code::Forbidden => Close::Disabled,
        // The database doesn't answer: come back later.
        Code::Unavailable | Code::Internal => Close::GoingAway,
        _ => Close::Unauthenticated,
    }
}

/// The token of the first frame, which must be `auth`.
async fn first_token(socket: &mut Socket) -> Result<String, Close> {
    loop {
        match socket.read().await? {
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

/// When a socket closes whose token ends then: some time after it, so that not all of a server's sockets
/// close together.
fn closes_for(token_end: Time) -> Instant {
    let valid = Duration::from_millis((token_end.0 - Time::now().0).max(0) as u64);
    Instant::now() + valid + EXPIRY_SPREAD.mul_f64(rand::rng().random())
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
    /// The token's end, and when the socket closes for its sake.
    valid_until: Time,
    expires: Instant,
    /// Bad frames of late.
    strikes: Vec<Instant>,
    /// The server goes away: the work in progress may end until then.
    leaving: Option<Instant>,
    /// Not earlier the client is told again who is online.
    presence_after: Instant,
    /// A frame that was read, and waits until the notices are acted on that were there before it.
    next: Option<String>,
}

impl Session {
    fn new(who: &Identity, mailbox: Arc<Mailbox>, socket: Socket) -> Self {
        let now = Instant::now();
        Self {
            mailbox,
            socket,
            pinged: now,
            valid_until: who.expires_at,
            expires: closes_for(who.expires_at),
            strikes: Vec::new(),
            leaving: None,
            presence_after: now,
            next: None,
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
        // Before the work in progress is dropped, and the worker with its leases: rooms sweep out listeners
        // whose mailbox is closed.
        self.mailbox.close(close);
        (self.socket, close)
    }

    async fn step(&mut self, doing: &mut Doing, mut timer: Pin<&mut Sleep>) -> Result<(), Close> {
        let now = Instant::now();
        let backlog = self.mailbox.backlog();
        match (backlog.close, backlog.closing(), &doing) {
            (None, Some(_), Doing::Busy(_)) => {
                self.leaving.get_or_insert(now + DRAIN_SESSIONS / 2);
            }
            (_, Some(close), _) => return Err(close),
            (_, None, _) => {}
        }
        self.take_up_work(doing)?;
        self.tell_presence(doing, now);
        let backlog = self.mailbox.backlog();
        let idle = matches!(doing, Doing::Idle(_));
        let reading = idle && backlog.answer_bytes <= ANSWERS_BYTES_MAX;

        let mut deadline = self.expires;
        if backlog.bytes > 0 {
            deadline = deadline.min(backlog.stalled_since + WRITE_DEADLINE);
        }
        if reading {
            let heard = self.socket.transport().heard;
            let next = if self.pinged > heard {
                heard + 2 * HEARTBEAT
            } else {
                heard + HEARTBEAT
            };
            deadline = deadline.min(next);
        } else {
            // Whoever isn't read can't be heard.
            self.socket.transport().heard = now;
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
            biased;
            _ = self.mailbox.writable(), if backlog.bytes > 0 => self.mailbox.drain(),
            _ = self.mailbox.woken() => {}
            (worker, result) = async { work(doing).await }, if !idle => {
                // `auth` may have brought a newer token.
                if worker.who.expires_at != self.valid_until {
                    self.valid_until = worker.who.expires_at;
                    self.expires = closes_for(self.valid_until);
                }
                *doing = Doing::Idle(worker);
                result?;
            }
            _ = timer.as_mut() => {
                timer.as_mut().reset((Instant::now() + HEARTBEAT).into());
                self.check_deadlines(reading)?;
            }
            text = self.socket.read(), if reading => self.next = text?,
        }
        Ok(())
    }

    /// What waits for an idle session: lags to tell, notices to act on, then its next request. A notice that was there
    /// before the request came is looked for after the request was read.
    fn take_up_work(&mut self, doing: &mut Doing) -> Result<(), Close> {
        let Doing::Idle(worker) = doing else {
            return Ok(());
        };
        for (room_id, rev) in self.mailbox.take_lags() {
            worker.lagged(room_id, rev);
        }
        if let Some(notice) = self.mailbox.take_notice() {
            start(doing, |worker| Box::pin(worker.notice(notice)));
        } else if let Some(text) = self.next.take() {
            self.decode(&text, doing)?;
        }
        Ok(())
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
        let heard = self.socket.transport().heard;
        if reading && now >= heard + 2 * HEARTBEAT {
            return Err(Close::HeartbeatMissed);
        }
        if reading && now >= heard + HEARTBEAT && self.pinged <= heard {
            self.pinged = now;
            self.socket.ping();
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

/// Tells the client why, and ends the connection so that it can read it: the last word, its answer if
/// there is one, then the TCP stream, all within [`CLOSE_DEADLINE`].
async fn goodbye(mut socket: Socket, mailbox: &Mailbox, close: Close) {
    // What ended the session may be less than what closed the mailbox before it.
    let close = mailbox.close(close);
    let (code, reason) = close.code_and_reason();
    metrics::counter!("ws_closed_total", "code" => code.to_string()).increment(1);
    tracing::debug!(connection = mailbox.id(), code, reason, "socket closed");
    if close == Close::Gone {
        // Nothing to say, but answers may be on their way: to a close frame, or to one who has sent his
        // last line and reads on.
        let _ = tokio::time::timeout(CLOSE_DEADLINE, mailbox.flush()).await;
        return;
    }
    let wire = mailbox.wire();
    let mut last_word = Vec::new();
    if close == Close::GoingAway {
        let spread = RECONNECT_SPREAD.mul_f64(rand::rng().random());
        let going_away = server::Frame::GoingAway {
            reconnect_after_ms: spread.as_millis() as u64,
        };
        frame::append(&mut last_word, &going_away, wire);
    }
    match wire {
        Wire::WebSocket => frame::close(&mut last_word, code, reason),
        Wire::Lines => {
            frame::append(&mut last_word, &server::Frame::Close { code, reason }, wire);
        }
    }
    mailbox.last_word(last_word.into());
    let _ = tokio::time::timeout(CLOSE_DEADLINE, async {
        socket.hear_out().await;
        // From here on input is discarded, not stored.
        socket.transport().allowed = None;
        let end = async {
            mailbox.flush().await;
            let _ = shutdown(mailbox.stream().as_raw_fd(), Shutdown::Write);
        };
        // What still comes is thrown away, or the last word would be lost with a TCP reset.
        tokio::join!(end, socket.discard());
    })
    .await;
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::AsyncReadExt,
        net::{TcpListener, TcpStream},
    };

    use super::*;

    /// More than the kernel takes while nobody reads.
    const BACKLOG: usize = 16 * 1024 * 1024;

    /// Both kinds of socket, each with much that waits, and its client.
    async fn waiting() -> [(Socket, Arc<Mailbox>, TcpStream); 2] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut clients = Vec::new();
        let mut streams = Vec::new();
        for _ in 0..2 {
            let client = TcpStream::connect(listener.local_addr().unwrap()).await;
            clients.push(client.unwrap());
            streams.push(listener.accept().await.unwrap().0);
        }
        let sockets = [
            Socket::lines(streams.pop().unwrap()),
            Socket::websocket(streams.pop().unwrap(), Vec::new()).await,
        ];
        sockets.map(|mut socket| {
            let mailbox = socket.transport().mailbox.clone();
            mailbox.answer(vec![b' '; BACKLOG].into());
            assert!(mailbox.backlog().answer_bytes > ANSWERS_BYTES_MAX);
            (socket, mailbox, clients.pop().unwrap())
        })
    }

    /// The close code comes after all that waits, however much: a client in the middle of a catch-up
    /// learns why the connection ends.
    #[tokio::test]
    async fn goodbye_follows_what_still_waits() {
        let (code, reason) = Close::TokenExpired.code_and_reason();
        for (socket, mailbox, mut client) in waiting().await {
            let last = match mailbox.wire() {
                Wire::WebSocket => {
                    let mut last = Vec::new();
                    frame::close(&mut last, code, reason);
                    last
                }
                Wire::Lines => br#"{"type":"close","code":4004,"reason":"token expired"}"#
                    .iter()
                    .chain(b"\n")
                    .copied()
                    .collect(),
            };
            let reader = async {
                let mut bytes = vec![0; BACKLOG + last.len()];
                client.read_exact(&mut bytes).await.unwrap();
                drop(client);
                assert_eq!(bytes[BACKLOG..], last[..]);
            };
            let ended =
                async { tokio::join!(reader, goodbye(socket, &mailbox, Close::TokenExpired)) };
            let ended = tokio::time::timeout(5 * CLOSE_DEADLINE, ended).await;
            assert!(ended.is_ok(), "the last word never comes");
        }
    }

    /// Who has sent his last line reads on, at his own pace.
    #[tokio::test]
    async fn goodbye_leaves_nothing_unsaid() {
        for (socket, mailbox, mut client) in waiting().await {
            let mut bytes = Vec::new();
            let reader = client.read_to_end(&mut bytes);
            let goodbye = async {
                goodbye(socket, &mailbox, Close::Gone).await;
                drop(mailbox);
            };
            let (read, ()) = tokio::join!(reader, goodbye);
            assert_eq!(read.unwrap(), BACKLOG);
        }
    }

    /// It doesn't wait for a client that cuts the connection rather than read.
    #[tokio::test]
    async fn goodbye_ends_with_the_connection() {
        for (socket, mailbox, client) in waiting().await {
            let goodbye = goodbye(socket, &mailbox, Close::TooSlow);
            let cut = async {
                tokio::task::yield_now().await;
                drop(client);
            };
            let ended =
                tokio::time::timeout(CLOSE_DEADLINE / 2, async { tokio::join!(goodbye, cut) });
            assert!(ended.await.is_ok(), "it goes on after the connection's end");
        }
    }
}
