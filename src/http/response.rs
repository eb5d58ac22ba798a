//! Answers: JSON, problem documents (RFC 9457), and the headers that every answer carries.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{
        ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
        RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
    },
};
use http_body_util::Full;
use serde::Serialize;

use crate::{
    chat::Made,
    protocol::error::{Code, Problem, Refusal},
};

pub type Answer = Response<Full<Bytes>>;
pub type HandlerResult = Result<Answer, Refusal>;

/// A page may load nothing but what this server serves itself.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// An answer with a body of this type.
pub fn typed(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    answer.headers_mut().insert(CONTENT_TYPE, content_type);
    answer
}

pub fn json(status: StatusCode, body: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(body).expect("bodies have string keys and no fallible fields");
    typed(status, "application/json", body)
}

pub fn ok(body: &impl Serialize) -> HandlerResult {
    Ok(json(StatusCode::OK, body))
}

pub fn created(body: &impl Serialize) -> HandlerResult {
    Ok(json(StatusCode::CREATED, body))
}

/// 201 for what is new, 200 for what existed before.
pub fn made(made: Made<impl Serialize>) -> HandlerResult {
    match made {
        Made::New(body) => created(&body),
        Made::Existing(body) => ok(&body),
    }
}

pub fn no_content() -> HandlerResult {
    let mut answer = Answer::default();
    *answer.status_mut() = StatusCode::NO_CONTENT;
    Ok(answer)
}

/// The problem document of a refusal.
pub fn problem(refusal: &Refusal, request_id: &str) -> Answer {
    let problem = Problem::new(refusal, request_id);
    let status = StatusCode::from_u16(problem.status).expect("the table's status codes are valid");
    let body = serde_json::to_vec(&problem).expect("problems are plain JSON");
    let mut answer = typed(status, "application/problem+json", body);
    if status == StatusCode::UNAUTHORIZED {
        let scheme = HeaderValue::from_static("Bearer");
        answer.headers_mut().insert(WWW_AUTHENTICATE, scheme);
    }
    if status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
        // Tells a client whose encoding was refused what it may use (RFC 9110 section 12.5.3).
        let identity = HeaderValue::from_static("identity");
        answer.headers_mut().insert(ACCEPT_ENCODING, identity);
    }
    if let Some(wait) = refusal.retry_after {
        let seconds = wait.as_millis().div_ceil(1_000).max(1) as u64;
        answer.headers_mut().insert(RETRY_AFTER, seconds.into());
    } else if matches!(refusal.code, Code::RateLimited | Code::Unavailable) {
        answer.headers_mut().insert(RETRY_AFTER, 1.into());
    }
    answer
}

/// A whole answer in bytes, for a connection that is closed without reading a request.
pub fn written(refusal: &Refusal) -> Vec<u8> {
    let problem = Problem::new(refusal, "-");
    let body = serde_json::to_string(&problem).expect("problems are plain JSON");
    let wait = refusal.retry_after.unwrap_or_default().as_secs().max(1);
    format!(
        "HTTP/1.1 {} {}\r\nContent-Type: application/problem+json\r\nContent-Length: {}\r\nRetry-After: {wait}\r\n\
         Connection: close\r\n\r\n{body}",
        problem.status,
        problem.title,
        body.len()
    )
    .into_bytes()
}

/// Adds the headers of every answer. Answers that may be cached, and pages with a policy of their own, have set theirs.
pub fn finish(headers: &mut HeaderMap, request_id: &str) {
    let id = HeaderValue::from_str(request_id).expect("a UUID is a header's value");
    headers.insert(REQUEST_ID, id);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(POLICY);
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
}
