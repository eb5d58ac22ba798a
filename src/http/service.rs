//! One request from its head to its answer: a name for it, its route, its deadline, one line of log
//! and one count.

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
    Site, docs, files, hosts,
    pace::Pace,
    proxies::Peer,
    query::Query,
    request::Call,
    response::{self, Answer, Outcome},
    router::{self, Endpoint, Found, Parameters},
};
use crate::{
    limits::{BODY_DEADLINE, REQUEST_DEADLINE},
    protocol::error::{Code, Refusal},
};

/// What logs and metrics call paths that lead to a file, or nowhere.
const FILE: &str = "/{file}";
pub const NOWHERE: &str = "-";

/// Answers a request. It never fails: a fault is an answer.
pub async fn answer(site: Arc<Site>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let begun = Begun::with(&request);
    let id = &begun.id;
    let span = tracing::info_span!("request", request.id = %id, user.id = field::Empty);
    let sharing = match request.uri().path().starts_with("/api/") {
        true => site.origins.sharing(request.headers()),
        false => HeaderMap::new(),
    };
    let (route, mut answer) = async {
        let (head, body) = request.into_parts();
        match route(&site, &head) {
            Routed::BadHost => (NOWHERE, bad_host(id)),
            Routed::Answer(route, outcome) => (route, finish(outcome, id)),
            Routed::NotAllowed(route, allow) => {
                if head.method == Method::OPTIONS
                    && let Some(methods) = site.origins.preflight(&head.headers, &allow)
                {
                    let mut answer = Answer::default();
                    *answer.status_mut() = StatusCode::NO_CONTENT;
                    answer.headers_mut().extend(methods);
                    return (route, answer);
                }
                (route, not_allowed(allow, id))
            }
            Routed::Endpoint(endpoint, query, parameters) => {
                let peer = head
                    .extensions
                    .get::<Peer>()
                    .expect("the accept loop notes it");
                let address = site.proxies.client(peer.0, &head.headers);
                // A connection of its own has its place already.
                let proxied = address != peer.0.to_canonical();
                let place = proxied.then(|| site.hosts.place(Some(address)));
                if let Some(None) = place {
                    let answer = response::problem(&hosts::too_many(), id);
                    return (endpoint.pattern, answer);
                }
                let call = Call {
                    site: site.clone(),
                    address,
                    head,
                    body,
                    query,
                    parameters,
                    asker: Arc::default(),
                    place: place.flatten(),
                    turn: None,
                };
                // In a task of its own: who hangs up doesn't end what is done for them. The database would go on with it,
                // and their turn would be free.
                let handled = tokio::spawn(handle(endpoint, call).in_current_span());
                let outcome = handled.await.unwrap_or_else(|_| Err(Refusal::internal()));
                (endpoint.pattern, finish(outcome, id))
            }
        }
    }
    .instrument(span.clone())
    .await;
    answer.headers_mut().extend(sharing);
    Ok(span.in_scope(|| begun.end(route, answer)))
}

/// A request that is being answered: what is needed of it in the end.
pub struct Begun {
    pub id: String,
    method: Method,
    pace: Pace,
    started: Instant,
}

impl Begun {
    /// With this request.
    pub fn with(request: &Request<Incoming>) -> Self {
        let pace = request.extensions().get::<Pace>().cloned();
        Self {
            id: Uuid::now_v7().to_string(),
            method: request.method().clone(),
            pace: pace.expect("the accept loop notes it"),
            started: Instant::now(),
        }
    }

    /// The answer with the headers that each has, logged and counted.
    pub fn end(self, route: &'static str, mut answer: Answer) -> Answer {
        // What is unread of a body ends the connection, and the client is told.
        if self.pace.is_body_unread() && answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            close(&mut answer);
        }
        response::finish(answer.headers_mut(), &self.id);
        record(&self.method, route, answer.status(), self.started.elapsed());
        answer
    }
}

/// The answer to a head whose host isn't well-formed: the connection ends with it.
pub fn bad_host(request_id: &str) -> Answer {
    let rule = "one Host header, well-formed";
    let refusal = Refusal::invalid_field("Host", "format", rule);
    let mut answer = response::problem(&refusal, request_id);
    close(&mut answer);
    answer
}

/// The answer to a method that the path doesn't have, with those that it has.
pub fn not_allowed(allow: HeaderValue, request_id: &str) -> Answer {
    let refusal = Refusal::new(Code::MethodNotAllowed, "This path has other methods.");
    let mut answer = response::problem(&refusal, request_id);
    answer.headers_mut().insert(ALLOW, allow);
    answer
}

fn close(answer: &mut Answer) {
    let close = HeaderValue::from_static("close");
    answer.headers_mut().insert(CONNECTION, close);
}

fn finish(outcome: Outcome, request_id: &str) -> Answer {
    outcome.unwrap_or_else(|refusal| response::problem(&refusal, request_id))
}

/// What the head of a request alone decides.
enum Routed {
    /// Who stands before us may have seen another request than we do: nothing more is read.
    BadHost,
    Answer(&'static str, Outcome),
    NotAllowed(&'static str, HeaderValue),
    Endpoint(Endpoint, Query, Parameters),
}

fn route(site: &Site, head: &Parts) -> Routed {
    if !has_one_host(head) {
        return Routed::BadHost;
    }
    let path = head.uri.path();
    if let Method::TRACE | Method::CONNECT = head.method {
        return Routed::NotAllowed(NOWHERE, HeaderValue::from_static("GET, HEAD"));
    }
    match site.routes.find(&head.method, path) {
        Found::Endpoint(endpoint, parameters) => {
            // Elsewhere than under /api a query's parameters are the handler's own affair.
            let query = match endpoint.pattern.starts_with("/api/") {
                true => Query::parse(head.uri.query(), endpoint.parameters),
                false => Ok(Query::default()),
            };
            match query {
                Ok(query) => Routed::Endpoint(endpoint, query, parameters),
                Err(refusal) => Routed::Answer(endpoint.pattern, Err(refusal)),
            }
        }
        Found::OtherMethods { pattern, allow } => Routed::NotAllowed(pattern, allow),
        Found::Nothing => match docs::moved(path).or_else(|| files::find(path, &head.headers)) {
            Some(answer) if matches!(head.method, Method::GET | Method::HEAD) => {
                Routed::Answer(FILE, Ok(answer))
            }
            Some(_) => Routed::NotAllowed(FILE, router::allow([Method::GET].iter(), true)),
            None => {
                let page = files::missing(path, &head.headers)
                    .filter(|_| matches!(head.method, Method::GET | Method::HEAD));
                Routed::Answer(NOWHERE, page.ok_or_else(Refusal::not_found))
            }
        },
    }
}

/// Exactly one Host in HTTP/1.1, at most one in HTTP/1.0, and an authority (RFC 9112 section 3.2):
/// what lies before us must never see another host than we do.
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

/// Runs the handler within its deadline; a panic in it is a fault of its request alone. What was read for a
/// log-in that has ended meanwhile is told to nobody.
async fn handle(endpoint: Endpoint, call: Call) -> Outcome {
    let (site, asker) = (call.site.clone(), call.asker.clone());
    let reads = matches!(call.head.method, Method::GET | Method::HEAD);
    let handler = async move {
        let answer = (endpoint.handler)(call).await?;
        if let Some(who) = asker.get().filter(|_| reads) {
            site.chat.confirm(who).await?;
        }
        Ok(answer)
    };
    let handler = AssertUnwindSafe(handler).catch_unwind();
    match time::timeout(BODY_DEADLINE + REQUEST_DEADLINE, handler).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_panic)) => {
            metrics::counter!("http_panics_total").increment(1);
            tracing::error!(http.route = endpoint.pattern, "the handler panicked");
            Err(Refusal::internal())
        }
        Err(_) => {
            tracing::warn!(http.route = endpoint.pattern, "the handler ran out of time");
            Err(Refusal::unavailable())
        }
    }
}

/// One line, at debug for what is asked all the time and says little, and one count.
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

/// The method, or `other`: clients must not be able to make up values of a label.
fn known(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] = [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT",
    ];
    let known = KNOWN.iter().find(|known| **known == method.as_str());
    known.copied().unwrap_or("other")
}
