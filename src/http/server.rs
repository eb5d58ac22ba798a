//! The accept loop, for HTTP and for lines over plain TCP, and one task per connection.
//!
//! Invariants: at most so many connections are open, of both kinds together, more wait in the kernel's
//! queue; a fault of accept() never ends the loop; a connection on which nothing moves is closed.

use std::{
    convert::Infallible,
    io::{self, ErrorKind},
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
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Site,
    pace::{Pace, Paced},
    proxies::Peer,
    response::Answer,
    service,
};
use crate::{limits::ACCEPT_PAUSE, ws::Gateway};

/// Where clients connect.
pub struct Listeners {
    pub http: TcpListener,
    /// Those who speak lines, if the operator wants them.
    pub lines: Option<TcpListener>,
}

/// A new connection, by what it speaks.
enum Arrival {
    Http(TcpStream),
    Lines(TcpStream),
}

impl Listeners {
    /// The next connection of either kind. Nothing is lost when it is cancelled.
    async fn accept(&self) -> io::Result<Arrival> {
        let lines = async {
            match &self.lines {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            accepted = self.http.accept() => accepted.map(|(stream, _)| Arrival::Http(stream)),
            accepted = lines => accepted.map(|(stream, _)| Arrival::Lines(stream)),
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
    let accept = async {
        loop {
            let place = places.clone().acquire_owned().await;
            let place = place.expect("the semaphore is never closed");
            match next(|| listeners.accept()).await {
                Arrival::Http(stream) => {
                    let connection = connection(stream, site.clone(), place, stopping.clone());
                    tasks.spawn(connection);
                }
                Arrival::Lines(stream) => {
                    tasks.spawn(lines(stream, site.gateway.clone(), place));
                }
            }
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

async fn connection(
    stream: TcpStream,
    site: Arc<Site>,
    place: OwnedSemaphorePermit,
    stopping: CancellationToken,
) {
    let Ok(peer) = stream.peer_addr().map(|address| Peer(address.ip())) else {
        return;
    };
    metrics::gauge!("http_connections").increment(1.0);
    // A request that becomes a socket takes the place along.
    let place = Arc::new(place);
    let answer = move |mut request: Request<Incoming>| {
        let extensions = request.extensions_mut();
        extensions.insert(place.clone());
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

async fn lines(stream: TcpStream, gateway: Gateway, _place: OwnedSemaphorePermit) {
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
        use crate::limits::{CLOSE_DEADLINE, WRITE_DEADLINE};
        use nix::sys::socket::{setsockopt, sockopt::TcpUserTimeout};
        let deadline = WRITE_DEADLINE + CLOSE_DEADLINE;
        setsockopt(stream, TcpUserTimeout, &(deadline.as_millis() as u32))?;
    }
    Ok(())
}
