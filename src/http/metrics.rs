//! The listener of those who watch the server: its metrics in Prometheus' text format, and nothing else.
//!
//! Invariants: the metrics are served nowhere else, for behind a proxy on the same machine every stranger seems to be on
//! it; connections have the deadlines and bounds of the public listener, and a small number of them places of their own,
//! so that a server that is full can still be watched.

use std::{convert::Infallible, future, sync::Arc};

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    response::{self, Answer},
    router, server,
    service::{self, Begun, NOWHERE},
};
use crate::{limits::METRICS_CONNECTIONS_MAX, protocol::error::Refusal};

const PATH: &str = "/metrics";

/// Accepts connections until `stopping` is cancelled. Each is a task of `tasks`.
pub async fn serve(
    listener: TcpListener,
    metrics: PrometheusHandle,
    stopping: CancellationToken,
    tasks: TaskTracker,
) {
    let places = Arc::new(Semaphore::new(METRICS_CONNECTIONS_MAX));
    let accept = async {
        loop {
            let place = places.clone().acquire_owned().await;
            let place = place.expect("the semaphore is never closed");
            let (stream, _) = server::next(|| listener.accept()).await;
            let (metrics, stopping) = (metrics.clone(), stopping.clone());
            tasks.spawn(async move {
                let _place = place;
                let answer = |request| future::ready(answer(&metrics, request));
                server::converse(stream, stopping, answer).await;
            });
        }
    };
    stopping.run_until_cancelled(accept).await;
}

fn answer(metrics: &PrometheusHandle, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let begun = Begun::with(&request);
    let (head, _) = request.into_parts();
    let (route, answer) = match (head.uri.path(), &head.method) {
        _ if !service::has_one_host(&head) => (NOWHERE, service::bad_host(&begun.id)),
        (PATH, &Method::GET | &Method::HEAD) => {
            let content_type = "text/plain; version=0.0.4; charset=utf-8";
            let text = metrics.render();
            (PATH, response::typed(StatusCode::OK, content_type, text))
        }
        (PATH, _) => {
            let allow = router::allow([Method::GET].iter(), true);
            (PATH, service::not_allowed(allow, &begun.id))
        }
        _ => {
            let answer = response::problem(&Refusal::not_found(), &begun.id);
            (NOWHERE, answer)
        }
    };
    Ok(begun.end(route, answer))
}
