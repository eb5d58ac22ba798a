//! The accept loop and one task per connection.
//!
//! Invariants: at most so many connections are open, more wait in the kernel's queue; a fault of
//! accept() never ends the loop; a connection on which nothing moves is closed.

use std::{
    io::{self, ErrorKind},
    pin::pin,
    sync::Arc,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Site, service};
use crate::limits::{ACCEPT_PAUSE, HEADER_DEADLINE, HTTP_BUFFER_BYTES_MAX};

/// Accepts connections until `stopping` is cancelled. Each is a task of `tasks`.
pub async fn serve(
    listener: TcpListener,
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
            match listener.accept().await {
                Ok((stream, _)) => {
                    let connection = connection(stream, site.clone(), place, stopping.clone());
                    tasks.spawn(connection);
                }
                // The client's affair: it has gone already.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    metrics::counter!("accept_errors_total").increment(1);
                    tracing::warn!(%error, "no connection could be accepted");
                    time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    stopping.run_until_cancelled(accept).await;
}

async fn connection(
    stream: TcpStream,
    site: Arc<Site>,
    place: OwnedSemaphorePermit,
    stopping: CancellationToken,
) {
    if let Err(error) = prepare(&stream) {
        tracing::debug!(%error, "a connection was gone before it was served");
        return;
    }
    metrics::gauge!("http_connections").increment(1.0);
    // A request that becomes a socket takes the place along.
    let place = Arc::new(place);
    let service = service_fn(move |mut request| {
        request.extensions_mut().insert(place.clone());
        service::answer(site.clone(), request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_DEADLINE)
        .max_buf_size(HTTP_BUFFER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
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
    metrics::gauge!("http_connections").decrement(1.0);
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
