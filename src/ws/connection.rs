//! A connection's loop: one task that owns the transport and all deadlines.
//!
//! It reads the next request only when the last one is done, so that a connection's frames take effect in order, and only
//! while the client reads its answers. Notices of memberships come first: a request sees what had happened before it.

use std::{
    future::Future,
    os::fd::AsRawFd,
    pin::{Pin, pin},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use nix::sys::socket::{Shutdown, shutdown};
use rand::Rng;
use tokio::time::Sleep;

use super::{
    frame,
    gateway::{Gateway, Opening},
    socket::{Socket, Text},
    worker::{Done, Worker},
};
use crate::{
    chat::Identity,
    hub::{Mailbox, PresenceNews, Registration, Wire, mailbox::Backlog},
    limits::{
        ANSWERS_BYTES_MAX, AUTH_DEADLINE, CLOSE_DEADLINE, DRAIN_CONNECTIONS, EXPIRY_SPREAD,
        HEARTBEAT, PRESENCE_INTERVAL, RECONNECT_SPREAD, STRIKES_MAX, STRIKES_WINDOW,
        WRITE_DEADLINE,
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
            let connection = Connection::new(&who, mailbox.clone(), socket);
            let worker = Box::new(Worker::new(
                &gateway,
                mailbox.clone(),
                who,
                registration,
                &opening,
            ));
            let close;
            (socket, close) = connection.run(worker).await;
            close
        }
        Err(close) => close,
    };
    Box::pin(close_socket(socket, &mailbox, close)).await;
}

/// Waits for the token, if it is to come, authenticates it, and registers the connection.
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
    let who = gateway.chat.authenticate(&token).await.map_err(close_for)?;
    gateway
        .chat
        .charge_socket(&who)
        .map_err(|_| Close::RateLimited)?;
    let max = gateway.chat.connections_max();
    let registration = gateway
        .hub
        .connect(who.user.id, who.session_id, mailbox.clone(), max)
        .ok_or(Close::TooManyConnections)?;
    // The session may have ended before the connection could be found in the registry.
    gateway.chat.confirm(&who).await.map_err(close_for)?;
    if gateway.shutdown.token.is_cancelled() {
        return Err(Close::GoingAway);
    }
    Ok((who, registration))
}

/// How a connection is closed whose token is refused.
fn close_for(refusal: Refusal) -> Close {
    match refusal.code {
        Code::TokenExpired => Close::TokenExpired,
        Code::TokenRevoked => Close::Revoked,
        Code::Forbidden => Close::Disabled,
        // The database doesn't answer: the client comes back later.
        Code::Unavailable | Code::Internal => Close::GoingAway,
        _ => Close::Unauthenticated,
    }
}

/// The token of the first frame, which must be `auth`.
async fn first_token(socket: &mut Socket) -> Result<String, Close> {
    let text = loop {
        if let Some(text) = socket.read().await? {
            break text;
        }
    };
    match Frame::decode(&text) {
        Ok(Frame {
            request: Request::Auth { token },
            ..
        }) => Ok(token),
        _ => Err(Close::Unauthenticated),
    }
}

/// When a socket closes whose token expires then: some time after it, so that not all of a server's sockets close
/// together.
fn closes_at(expires_at: Time) -> Instant {
    let valid = Duration::from_millis((expires_at.0 - Time::now().0).max(0) as u64);
    Instant::now() + valid + EXPIRY_SPREAD.mul_f64(rand::rng().random())
}

/// Work in progress. It owns the worker and gives it back.
type Work = Pin<Box<dyn Future<Output = Done> + Send>>;

enum Doing {
    Idle(Box<Worker>),
    Busy(Work),
}

struct Connection {
    mailbox: Arc<Mailbox>,
    socket: Socket,
    /// When the server last sent a ping.
    pinged: Instant,
    /// When the token expires, and when the socket closes for that reason.
    valid_until: Time,
    expires: Instant,
    /// When the recent bad frames came.
    strikes: Vec<Instant>,
    /// The server stops: until when the work in progress may end.
    leaving: Option<Instant>,
    /// The client isn't told earlier who is online.
    presence_after: Instant,
    /// A frame that was read. It waits for the notices that were there before it.
    next: Option<Text>,
}

impl Connection {
    fn new(who: &Identity, mailbox: Arc<Mailbox>, socket: Socket) -> Self {
        let now = Instant::now();
        Self {
            mailbox,
            socket,
            pinged: now,
            valid_until: who.expires_at,
            expires: closes_at(who.expires_at),
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
        // Before the work in progress is dropped, and the worker with its leases: rooms sweep out subscribers whose
        // mailbox is closed.
        self.mailbox.close(close);
        (self.socket, close)
    }

    async fn step(&mut self, doing: &mut Doing, mut timer: Pin<&mut Sleep>) -> Result<(), Close> {
        let now = Instant::now();
        let backlog = self.mailbox.backlog();
        match (backlog.close, backlog.closing(), &doing) {
            (None, Some(_), Doing::Busy(_)) => {
                self.leaving.get_or_insert(now + DRAIN_CONNECTIONS / 2);
            }
            (_, Some(close), _) => return Err(close),
            (_, None, _) => {}
        }
        self.take_up_work(doing)?;
        self.tell_presence(doing, now);
        let backlog = self.mailbox.backlog();
        let idle = matches!(doing, Doing::Idle(_));
        let reading = idle && backlog.answer_bytes <= ANSWERS_BYTES_MAX;

        if !reading {
            // A client that isn't read can't be heard.
            self.socket.transport().heard = now;
        }
        let mut deadline = self.next_deadline(&backlog, reading);
        if idle && backlog.bytes == 0 && backlog.presence != PresenceNews::None {
            deadline = deadline.min(self.presence_after);
        }
        // The timer is moved only if it would fire too late: an early one costs little.
        if timer.deadline().into_std() > deadline {
            timer.as_mut().reset(deadline.into());
        }

        tokio::select! {
            biased;
            _ = self.mailbox.writable(), if backlog.bytes > 0 => self.mailbox.drain(),
            _ = self.mailbox.woken() => {}
            (worker, result) = async { work(doing).await }, if !idle => {
                // An `auth` frame may have brought a newer token.
                if worker.who.expires_at != self.valid_until {
                    self.valid_until = worker.who.expires_at;
                    self.expires = closes_at(self.valid_until);
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

    /// The earliest time at which [`Self::check_deadlines`] would close the connection or ping the client.
    fn next_deadline(&mut self, backlog: &Backlog, reading: bool) -> Instant {
        let mut deadline = self.expires;
        if backlog.bytes > 0 {
            deadline = deadline.min(backlog.stalled_since + WRITE_DEADLINE);
        }
        if reading {
            let heard = self.socket.transport().heard;
            let is_pinged = self.pinged > heard;
            let silence = if is_pinged { 2 * HEARTBEAT } else { HEARTBEAT };
            deadline = deadline.min(heard + silence);
        }
        if let Some(leaving) = self.leaving {
            deadline = deadline.min(leaving);
        }
        deadline
    }

    /// Acts on what waits for an idle connection: lags, then notices, then the next request. Notices are looked for after
    /// the request was read, so that those which were there before it come first.
    fn take_up_work(&mut self, doing: &mut Doing) -> Result<(), Close> {
        let Doing::Idle(worker) = doing else {
            return Ok(());
        };
        for (room_id, rev) in self.mailbox.take_lags() {
            worker.lagged(room_id, rev);
        }
        if let Some(notice) = self.mailbox.take_notice() {
            start(doing, |worker| Box::pin(worker.act_on(notice)));
        } else if let Some(text) = self.next.take() {
            self.decode(&text, doing)?;
        }
        Ok(())
    }

    /// Tells who came online and who went offline, while nothing else is to be done or written, and at most once in
    /// [`PRESENCE_INTERVAL`]. Until then the mailbox doesn't wake the connection for it.
    fn tell_presence(&mut self, doing: &mut Doing, now: Instant) {
        let Doing::Idle(worker) = doing else { return };
        let backlog = self.mailbox.backlog();
        if backlog.presence != PresenceNews::None
            && backlog.bytes == 0
            && now >= self.presence_after
            && self.mailbox.take_presence_news()
        {
            worker.tell_presence();
            self.presence_after = now + PRESENCE_INTERVAL;
        }
    }

    /// Starts a request, or says what is wrong with it. [`STRIKES_MAX`] bad frames within [`STRIKES_WINDOW`] close the
    /// connection.
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

/// Starts work, if the worker is idle.
fn start(doing: &mut Doing, work: impl FnOnce(Box<Worker>) -> Work) {
    let idle = std::mem::replace(doing, Doing::Busy(Box::pin(std::future::pending())));
    *doing = match idle {
        Doing::Idle(worker) => Doing::Busy(work(worker)),
        busy => busy,
    };
}

async fn work(doing: &mut Doing) -> Done {
    match doing {
        Doing::Busy(work) => work.await,
        Doing::Idle(_) => std::future::pending().await,
    }
}

/// Tells the client why the connection closes, and closes it so that the client can read that: the last word, the
/// client's answer if there is one, then the TCP stream, all within [`CLOSE_DEADLINE`].
async fn close_socket(mut socket: Socket, mailbox: &Mailbox, close: Close) {
    // The mailbox may have been closed before, for another reason. That one counts.
    let close = mailbox.close(close);
    let (code, reason) = close.code_and_reason();
    metrics::counter!("ws_closed_total", "code" => code.to_string()).increment(1);
    tracing::debug!(connection = mailbox.id(), code, reason, "socket closed");
    if close == Close::Gone {
        // Nothing is to be said. But answers may be on their way: to a close frame, or to a client that has sent its last
        // line and reads on.
        let _ = tokio::time::timeout(CLOSE_DEADLINE, mailbox.flush()).await;
        return;
    }
    mailbox.last_word(last_word(close, mailbox.wire()));
    let _ = tokio::time::timeout(CLOSE_DEADLINE, async {
        socket.await_close().await;
        // From here on input is discarded, and not counted.
        socket.transport().allowed = None;
        let end = async {
            mailbox.flush().await;
            let _ = shutdown(mailbox.stream().as_raw_fd(), Shutdown::Write);
        };
        // Unread input would make TCP reset the connection, and the last word would be lost.
        tokio::join!(end, socket.discard());
    })
    .await;
}

/// What the client reads last.
fn last_word(close: Close, wire: Wire) -> Bytes {
    let (code, reason) = close.code_and_reason();
    let mut bytes = Vec::new();
    if close == Close::GoingAway {
        let spread = RECONNECT_SPREAD.mul_f64(rand::rng().random());
        let going_away = server::Frame::GoingAway {
            reconnect_after_ms: spread.as_millis() as u64,
        };
        frame::append(&mut bytes, &going_away, wire);
    }
    match wire {
        Wire::WebSocket => frame::close(&mut bytes, code, reason),
        Wire::Lines => frame::append(&mut bytes, &server::Frame::Close { code, reason }, wire),
    }
    bytes.into()
}

#[cfg(test)]
mod tests;
