//! The API's documents: `/api/openapi.json`, `/api/protocol.json`, and two pages that show the first of them. Everything comes
//! from the binary.

use std::{
    sync::{LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{
    HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, LOCATION},
};
use serde_json::Value;

use crate::{
    http::{
        docs::assets,
        request::Call,
        response::{self, Answer, HandlerResult},
    },
    protocol::{error::Refusal, frames},
};

/// Swagger UI needs no more than the site does, and sends no forms.
const SWAGGER_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
/// ReDoc creates style sheets in the page, and searches in a worker.
const REDOC_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src 'self' data:; \
     connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
const DAY: Duration = Duration::from_secs(24 * 3_600);
/// Assets change only with the server's version.
const CACHEABLE: HeaderValue = HeaderValue::from_static("public, max-age=3600");

/// The OpenAPI document. It is made again once a day, because an example in it says when an invite expires.
pub fn openapi(make: fn() -> Value) -> HandlerResult {
    static DOCUMENT: Mutex<Option<(Instant, Bytes)>> = Mutex::new(None);
    let mut cached = DOCUMENT.lock().unwrap_or_else(PoisonError::into_inner);
    let (_, text) = match cached.take() {
        Some(young) if young.0.elapsed() < DAY => cached.insert(young),
        _ => cached.insert((Instant::now(), text(&make()))),
    };
    Ok(response::typed(
        StatusCode::OK,
        "application/json",
        text.clone(),
    ))
}

/// The JSON Schema of all frames of the socket.
pub async fn protocol(_: Call) -> HandlerResult {
    static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| text(&frames::schema()));
    Ok(response::typed(
        StatusCode::OK,
        "application/schema+json",
        DOCUMENT.clone(),
    ))
}

fn text(document: &Value) -> Bytes {
    serde_json::to_vec(document)
        .expect("a value is always JSON")
        .into()
}

/// The redirect to a page for a path that ends with a slash.
pub fn moved(path: &str) -> Option<Answer> {
    let to = match path {
        "/api/docs/" => "/api/docs",
        "/api/redoc/" => "/api/redoc",
        _ => return None,
    };
    let mut answer = Answer::default();
    *answer.status_mut() = StatusCode::PERMANENT_REDIRECT;
    let headers = answer.headers_mut();
    headers.insert(LOCATION, HeaderValue::from_static(to));
    Some(answer)
}

pub async fn swagger_ui(_: Call) -> HandlerResult {
    page(assets::DOCS_HTML, SWAGGER_POLICY)
}

pub async fn redoc(_: Call) -> HandlerResult {
    page(assets::REDOC_HTML, REDOC_POLICY)
}

fn page(html: &'static str, policy: HeaderValue) -> HandlerResult {
    let mut answer = response::typed(StatusCode::OK, "text/html; charset=utf-8", html);
    answer.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    Ok(answer)
}

/// A file that a page loads. Gzipped ones are sent so to everyone: all browsers accept it.
pub async fn asset(call: Call) -> HandlerResult {
    let asset = assets::find(call.head.uri.path()).ok_or_else(Refusal::not_found)?;
    let mut answer = response::typed(StatusCode::OK, asset.content_type, asset.bytes);
    let headers = answer.headers_mut();
    headers.insert(CACHE_CONTROL, CACHEABLE);
    if asset.gzipped {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(answer)
}
