//! One request from its head to its answer: its id, its route, its deadline, one line of log and one count.

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use http::{
    HeaderMap, HeaderValue, Method, Request, StatusCode, Version,
    header::{ALLOW, CONNECTION, HOST},
    request::Parts,
    uri::Authority,
};
use hyper::body::Incoming;
use tokio::time;
use tracing::{Instrument, field};
use uuid::Uuid;

use super::{
    files, handlers, hosts,
    pace::Pace,
    path::Parameters,
    proxies::Peer,
    query::Query,
    request::Call,
    response::{self, Answer, HandlerResult},
    route::Route,
    router::{self, Found},
    site::Site,
};
use crate::{
    limits::{BODY_DEADLINE, REQUEST_DEADLINE},
    protocol::error::{Code, Refusal},
};

/// The routes that logs and metrics name for paths of files, and for unknown paths.
const FILE: &str = "/{file}";
pub const NOWHERE: &str = "-";

/// Answers a request. It never fails: every error is an answer.
pub async fn answer(site: Arc<Site>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let begun = Begun::with(&request);
    let span = tracing::info_span!("request", request.id = %begun.id, user.id = field::Empty);
    let sharing = if request.uri().path().starts_with("/api/") {
        site.origins.sharing(request.headers())
    } else {
        HeaderMap::new()
    };
    let (route, mut answer) = routed(&site, request, &begun.id)
        .instrument(span.clone())
        .await;
    answer.headers_mut().extend(sharing);
    Ok(span.in_scope(|| begun.end(route, answer)))
}

/// The answer, and the route that logs and metrics name for it.
async fn routed(
    site: &Arc<Site>,
    request: Request<Incoming>,
    request_id: &str,
) -> (&'static str, Answer) {
    let (head, body) = request.into_parts();
    match find(&head) {
        Routed::BadHost => (NOWHERE, bad_host(request_id)),
        Routed::Answer(route, result) => (route, finish(result, request_id)),
        Routed::NotAllowed(route, allow) => {
            let preflight = site.origins.preflight(&head.headers, &allow);
            if let Some(methods) = preflight.filter(|_| head.method == Method::OPTIONS) {
                let mut answer = Answer::default();
                *answer.status_mut() = StatusCode::NO_CONTENT;
                answer.headers_mut().extend(methods);
                return (route, answer);
            }
            (route, not_allowed(allow, request_id))
        }
        Routed::Route(route, query, parameters) => {
            let peer = head
                .extensions
                .get::<Peer>()
                .expect("the accept loop adds it");
            let address = site.proxies.client(peer.0, &head.headers);
            // A client that connects directly has the place of its connection.
            let place = if address == peer.0.to_canonical() {
                None
            } else {
                match site.hosts.place(Some(address)) {
                    Some(place) => Some(place),
                    None => {
                        let answer = response::problem(&hosts::too_many(), request_id);
                        return (route.pattern, answer);
                    }
                }
            };
            let call = Call {
                site: site.clone(),
                address,
                head,
                body,
                query,
                parameters,
                asker: Arc::default(),
                place,
                turn: None,
            };
            // In a task of its own, so that a client that hangs up doesn't end the handler: the database would continue its
            // work, while the client's turn would be free again.
            let handled = tokio::spawn(handle(route, call).in_current_span()).await;
            let result = handled.unwrap_or_else(|_| Err(Refusal::internal()));
            (route.pattern, finish(result, request_id))
        }
    }
}

/// A request that is being answered: the parts of it that are needed at the end.
pub struct Begun {
    pub id: String,
    method: Method,
    pace: Pace,
    started: Instant,
}

impl Begun {
    pub fn with(request: &Request<Incoming>) -> Self {
        let pace = request.extensions().get::<Pace>();
        Self {
            id: Uuid::now_v7().to_string(),
            method: request.method().clone(),
            pace: pace.expect("the accept loop adds it").clone(),
            started: Instant::now(),
        }
    }

    /// Adds the headers of every answer to this one, and logs and counts it.
    pub fn end(self, route: &'static str, mut answer: Answer) -> Answer {
        // A body that wasn't read to its end ends the connection, and the client is told so.
        if self.pace.is_body_unread() && answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            close(&mut answer);
        }
        response::finish(answer.headers_mut(), &self.id);
        record(&self.method, route, answer.status(), self.started.elapsed());
        answer
    }
}

/// The answer to a head without a single well-formed host. The connection ends with it.
pub fn bad_host(request_id: &str) -> Answer {
    let rule = "exactly one well-formed Host header is required";
    let refusal = Refusal::invalid_field("Host", "format", rule);
    let mut answer = response::problem(&refusal, request_id);
    close(&mut answer);
    answer
}

/// The answer to a method that the path doesn't have. It names those that it has.
pub fn not_allowed(allow: HeaderValue, request_id: &str) -> Answer {
    let refusal = Refusal::new(
        Code::MethodNotAllowed,
        "This path doesn't have this method. The Allow header names those that it has.",
    );
    let mut answer = response::problem(&refusal, request_id);
    answer.headers_mut().insert(ALLOW, allow);
    answer
}

fn close(answer: &mut Answer) {
    let close = HeaderValue::from_static("close");
    answer.headers_mut().insert(CONNECTION, close);
}

fn finish(result: HandlerResult, request_id: &str) -> Answer {
    result.unwrap_or_else(|refusal| response::problem(&refusal, request_id))
}

/// What follows from the head of a request.
enum Routed {
    /// A proxy before us may have seen another request than we do, so nothing more is read.
    BadHost,
    Answer(&'static str, HandlerResult),
    NotAllowed(&'static str, HeaderValue),
    Route(&'static Route, Query, Parameters),
}

fn find(head: &Parts) -> Routed {
    if !has_one_host(head) {
        return Routed::BadHost;
    }
    let path = head.uri.path();
    if let Method::TRACE | Method::CONNECT = head.method {
        return Routed::NotAllowed(NOWHERE, router::ALLOW_GET);
    }
    match router::find(&head.method, path) {
        Found::Route(route, parameters) => {
            // Outside /api, the handler reads the query by itself.
            let query = if route.pattern.starts_with("/api/") {
                Query::parse(head.uri.query(), route.query)
            } else {
                Ok(Query::default())
            };
            match query {
                Ok(query) => Routed::Route(route, query, parameters),
                Err(refusal) => Routed::Answer(route.pattern, Err(refusal)),
            }
        }
        Found::OtherMethods { pattern, allow } => Routed::NotAllowed(pattern, allow),
        Found::Nothing => find_file(head),
    }
}

fn find_file(head: &Parts) -> Routed {
    let (path, headers) = (head.uri.path(), &head.headers);
    let is_read = matches!(head.method, Method::GET | Method::HEAD);
    match handlers::docs::moved(path).or_else(|| files::find(path, headers)) {
        Some(answer) if is_read => Routed::Answer(FILE, Ok(answer)),
        Some(_) => Routed::NotAllowed(FILE, router::ALLOW_GET),
        None => {
            let page = files::missing(path, headers).filter(|_| is_read);
            Routed::Answer(NOWHERE, page.ok_or_else(Refusal::not_found))
        }
    }
}

/// Whether the request has exactly one Host, or at most one in HTTP/1.0, that is an authority (RFC 9112 section 3.2): a proxy
/// before us must never see another host than we do.
pub fn has_one_host(head: &Parts) -> bool {
    let mut hosts = head.headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => head.version == Version::HTTP_10,
        (Some(host), None) => host
            .to_str()
            .is_ok_and(|host| !host.contains('@') && host.parse::<Authority>().is_ok()),
        _ => false,
    }
}

/// Runs the handler within its deadline. A panic in it fails only its request. If the asker's session ended meanwhile, what was
/// read isn't answered.
async fn handle(route: &Route, call: Call) -> HandlerResult {
    let (site, asker) = (call.site.clone(), call.asker.clone());
    let reads = matches!(call.head.method, Method::GET | Method::HEAD);
    let handler = async move {
        let answer = (route.handler)(call).await?;
        if let Some(who) = asker.get().filter(|_| reads) {
            site.chat.confirm(who).await?;
        }
        Ok(answer)
    };
    let handler = AssertUnwindSafe(handler).catch_unwind();
    match time::timeout(BODY_DEADLINE + REQUEST_DEADLINE, handler).await {
        Ok(Ok(result)) => result,
        Ok(Err(_panic)) => {
            metrics::counter!("http_panics_total").increment(1);
            tracing::error!(http.route = route.pattern, "the handler panicked");
            Err(Refusal::internal())
        }
        Err(_) => {
            tracing::warn!(http.route = route.pattern, "the handler ran out of time");
            Err(Refusal::unavailable())
        }
    }
}

/// Writes one line of log, at level debug for frequent requests of little interest, and counts the request.
fn record(method: &Method, route: &'static str, status: StatusCode, duration: Duration) {
    let method = known(method);
    let code = status.as_str().to_owned();
    metrics::counter!("http_requests_total", "route" => route, "method" => method, "status" => code)
        .increment(1);
    metrics::histogram!("http_request_duration_seconds", "route" => route)
        .record(duration.as_secs_f64());
    let duration_ms = duration.as_micros() as f64 / 1_000.0;
    let status = status.as_u16();
    if route.starts_with("/api/") || route.starts_with("/ws") || status >= 500 {
        tracing::info!(
            http.method = method,
            http.route = route,
            http.status = status,
            duration_ms,
            "request"
        );
    } else {
        tracing::debug!(
            http.method = method,
            http.route = route,
            http.status = status,
            duration_ms,
            "request"
        );
    }
}

/// The method, or `other`: clients must not be able to add values to a label.
fn known(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] = [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT",
    ];
    let known = KNOWN.iter().find(|known| **known == method.as_str());
    known.copied().unwrap_or("other")
}
