//! The listener for monitoring: the metrics in Prometheus' text format, and nothing else.
//!
//! Invariants: the metrics are served nowhere else, because behind a proxy on the same machine every client seems to be local;
//! connections have the deadlines and bounds of the public listener, and a small number of places of their own, so that a
//! full server can still be monitored.

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
            let permit = places.clone().acquire_owned().await;
            let place = permit.expect("the semaphore is never closed");
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
            let allow = router::ALLOW_GET;
            (PATH, service::not_allowed(allow, &begun.id))
        }
        _ => {
            let answer = response::problem(&Refusal::not_found(), &begun.id);
            (NOWHERE, answer)
        }
    };
    Ok(begun.end(route, answer))
}
