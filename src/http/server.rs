//! The accept loop, for HTTP and for lines over plain TCP, and one task per connection.
//!
//! Invariants: at most so many connections are open, of both kinds together, more wait in the kernel's
//! queue; no host has more than its share of them; a fault of accept() never ends the loop; a connection on
//! which nothing moves is closed.

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
    sync::{OwnedSemaphorePermit, Semaphore},
    time,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Site,
    hosts::{self, Place},
    pace::{Pace, Paced},
    proxies::Peer,
    response::{self, Answer},
    service,
};
use crate::{
    limits::{ACCEPT_PAUSE, CLOSE_DEADLINE, TURNED_AWAY_MAX},
    ws::Gateway,
};

/// Where clients connect.
pub struct Listeners {
    pub http: TcpListener,
    /// Those who speak lines, if the operator wants them.
    pub lines: Option<TcpListener>,
}

/// What a connection speaks.
#[derive(Clone, Copy)]
enum Speech {
    Http,
    Lines,
}

/// What a connection holds as long as it lives, also as a socket: its place under the cap on connections, and that
/// of its host's share.
pub struct Seat {
    _all: OwnedSemaphorePermit,
    pub host: Place,
}

impl Listeners {
    /// The next connection of either kind. Nothing is lost when it is cancelled.
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
            let place = places.clone().acquire_owned().await;
            let place = place.expect("the semaphore is never closed");
            let (speech, stream, from) = next(|| listeners.accept()).await;
            let peer = from.ip().to_canonical();
            let host = (!site.proxies.trusts(peer)).then_some(peer);
            let Some(host) = site.hosts.place(host) else {
                if let Ok(few) = turned_away.clone().try_acquire_owned() {
                    tasks.spawn(turn_away(stream, speech, (place, few)));
                }
                continue;
            };
            let seat = Seat { _all: place, host };
            let (site, stopping) = (site.clone(), stopping.clone());
            match speech {
                Speech::Http => tasks.spawn(connection(stream, Peer(peer), site, seat, stopping)),
                Speech::Lines => tasks.spawn(lines(stream, site.gateway.clone(), seat)),
            };
        }
    };
    stopping.run_until_cancelled(accept).await;
}

/// The next connection that can be accepted, whatever faults come before it.
pub async fn next<T, F>(accept: impl Fn() -> F) -> T
where
    F: Future<Output = io::Result<T>>,
{
    loop {
        match accept().await {
            Ok(accepted) => return accepted,
            // The client's affair: it has gone already.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
            Err(error) => {
                metrics::counter!("accept_errors_total").increment(1);
                tracing::warn!(%error, "no connection could be accepted");
                time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Tells a client why it isn't served, and ends the connection so that it can read that.
async fn turn_away(mut stream: TcpStream, speech: Speech, _places: impl Send) {
    let word = match speech {
        Speech::Http => response::written(&hosts::too_many()).into(),
        Speech::Lines => Gateway::turned_away(),
    };
    let telling = async {
        stream.write_all(&word).await?;
        stream.shutdown().await?;
        // What still comes is thrown away, or the word would be lost with a TCP reset.
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
    // A request that becomes a socket takes the seat along.
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

/// Serves the requests of one connection until it ends, or until `stopping` is cancelled and the present one is
/// answered. Each carries the connection's [`Pace`].
pub async fn converse<F>(
    stream: TcpStream,
    stopping: CancellationToken,
    answer: impl Fn(Request<Incoming>) -> F,
) where
    F: Future<Output = Result<Answer, Infallible>>,
{
    if let Err(error) = prepare(&stream) {
        tracing::debug!(%error, "a connection was gone before it was served");
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
        Err(error) => tracing::debug!(%error, "a connection was gone before it was served"),
    }
}

/// hyper has no deadline for what a client doesn't read: the kernel keeps it.
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
