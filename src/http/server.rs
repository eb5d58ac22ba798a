//! The accept loop, for HTTP and for lines over plain TCP, and one task per connection.
//!
//! Invariants: the number of open connections, of both kinds together, is bounded, and more wait in the kernel's queue; no host
//! has more than its share of them; an error of accept() never ends the loop; a connection that makes no progress is closed.

use std::{
    convert::Infallible,
    io::{self, ErrorKind},
    net::SocketAddr,
    pin::pin,
    sync::Arc,
};

use http::Request;
use hyper::{
    body::{Body, Incoming},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    hosts::{self, Seat},
    pace::{Pace, Paced},
    proxies::Peer,
    response::{self, Answer},
    service,
    site::Site,
};
use crate::{
    limits::{ACCEPT_PAUSE, CLOSE_DEADLINE, TURNED_AWAY_MAX},
    ws::Gateway,
};

/// Where clients connect.
pub struct Listeners {
    pub http: TcpListener,
    /// For connections that speak lines, if the operator wants them.
    pub lines: Option<TcpListener>,
}

/// What a connection speaks.
#[derive(Clone, Copy)]
enum Speech {
    Http,
    Lines,
}

impl Listeners {
    /// The next connection of either kind. Cancelling it loses no connection.
    async fn accept(&self) -> io::Result<(Speech, TcpStream, SocketAddr)> {
        let lines = async {
            match &self.lines {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            accepted = self.http.accept() => accepted.map(|(stream, from)| (Speech::Http, stream, from)),
            accepted = lines => accepted.map(|(stream, from)| (Speech::Lines, stream, from)),
        }
    }
}

/// Accepts connections until `stopping` is cancelled. Each is a task of `tasks`.
pub async fn serve(
    listeners: Listeners,
    site: Arc<Site>,
    connections_max: usize,
    stopping: CancellationToken,
    tasks: TaskTracker,
) {
    let places = Arc::new(Semaphore::new(connections_max));
    let few = TURNED_AWAY_MAX.min(connections_max / 8);
    let turned_away = Arc::new(Semaphore::new(few));
    let accept = async {
        loop {
            let permit = places.clone().acquire_owned().await;
            let place = permit.expect("the semaphore is never closed");
            let (speech, stream, from) = next(|| listeners.accept()).await;
            let peer = from.ip().to_canonical();
            let host = (!site.proxies.trusts(peer)).then_some(peer);
            let Some(host) = site.hosts.place(host) else {
                if let Ok(few) = turned_away.clone().try_acquire_owned() {
                    tasks.spawn(turn_away(stream, speech, (place, few)));
                }
                continue;
            };
            let seat = Seat::new(place, host);
            let (site, stopping) = (site.clone(), stopping.clone());
            match speech {
                Speech::Http => tasks.spawn(connection(stream, Peer(peer), site, seat, stopping)),
                Speech::Lines => tasks.spawn(lines(stream, site.gateway.clone(), seat)),
            };
        }
    };
    stopping.run_until_cancelled(accept).await;
}

/// The next connection that can be accepted. Errors before it are counted and logged.
pub async fn next<T, F>(accept: impl Fn() -> F) -> T
where
    F: Future<Output = io::Result<T>>,
{
    loop {
        match accept().await {
            Ok(accepted) => return accepted,
            // The client has closed it already.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
            Err(error) => {
                metrics::counter!("accept_errors_total").increment(1);
                tracing::warn!(%error, "accepting a connection failed");
                time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Tells a client why it isn't served, and ends the connection in such a way that it can read this.
async fn turn_away(mut stream: TcpStream, speech: Speech, _places: impl Send) {
    let answer = match speech {
        Speech::Http => response::written(&hosts::too_many()).into(),
        Speech::Lines => Gateway::turned_away(),
    };
    let telling = async {
        stream.write_all(&answer).await?;
        stream.shutdown().await?;
        // Unread bytes would cause a TCP reset, and with it the answer could be lost.
        let mut scratch = [0; 1024];
        while stream.read(&mut scratch).await? > 0 {}
        io::Result::Ok(())
    };
    // The client may be gone already.
    let _ = time::timeout(CLOSE_DEADLINE, telling).await;
}

async fn connection(
    stream: TcpStream,
    peer: Peer,
    site: Arc<Site>,
    seat: Seat,
    stopping: CancellationToken,
) {
    metrics::gauge!("http_connections").increment(1.0);
    // A request that becomes a socket keeps the seat.
    let seat = Arc::new(seat);
    let answer = move |mut request: Request<Incoming>| {
        let extensions = request.extensions_mut();
        extensions.insert(seat.clone());
        extensions.insert(peer);
        service::answer(site.clone(), request)
    };
    converse(stream, stopping, answer).await;
    metrics::gauge!("http_connections").decrement(1.0);
}

/// Serves the requests of one connection until it ends, or until `stopping` is cancelled and the current one is answered. Each
/// carries the connection's [`Pace`] as an extension.
pub async fn converse<F>(
    stream: TcpStream,
    stopping: CancellationToken,
    answer: impl Fn(Request<Incoming>) -> F,
) where
    F: Future<Output = Result<Answer, Infallible>>,
{
    if let Err(error) = prepare(&stream) {
        tracing::debug!(%error, "a connection was closed before it was served");
        return;
    }
    let pace = Pace::default();
    let builder = pace.builder();
    let stream = TokioIo::new(Paced::new(stream, pace.clone()));
    let service = service_fn(|mut request: Request<Incoming>| {
        pace.request(!request.body().is_end_stream());
        request.extensions_mut().insert(pace.clone());
        answer(request)
    });
    let connection = builder.serve_connection(stream, service).with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

async fn lines(stream: TcpStream, gateway: Gateway, _seat: Seat) {
    match prepare(&stream) {
        Ok(()) => gateway.lines(stream).await,
        Err(error) => tracing::debug!(%error, "a connection was closed before it was served"),
    }
}

/// hyper has no deadline for a client that doesn't read, so the kernel gets one.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    {
        use crate::limits::WRITE_DEADLINE;
        use nix::sys::socket::{setsockopt, sockopt::TcpUserTimeout};
        let deadline = WRITE_DEADLINE + CLOSE_DEADLINE;
        setsockopt(stream, TcpUserTimeout, &(deadline.as_millis() as u32))?;
    }
    Ok(())
}
