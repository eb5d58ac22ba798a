//! The API's documents, made from the code: `/api/openapi.json`, `/api/protocol.json`, and two pages to
//! read the first of them in. Everything comes from the binary.

mod openapi;
mod operation;
mod routes;

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

use super::{
    request::Call,
    response::{self, Answer, Outcome},
};
use crate::protocol::{error::Refusal, frames};

pub use openapi::document;

/// Swagger UI needs no more than the site does, and sends no forms.
const DOCS_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
/// ReDoc makes style sheets in the page, and searches in a worker.
const REDOC_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src 'self' data:; \
     connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
const DAY: Duration = Duration::from_secs(24 * 3_600);
/// Assets change with the server's version only.
const KEPT: HeaderValue = HeaderValue::from_static("public, max-age=3600");

/// Made anew once a day: an example in it says when an invite ends.
pub async fn openapi(_: Call) -> Outcome {
    static DOCUMENT: Mutex<Option<(Instant, Bytes)>> = Mutex::new(None);
    let mut kept = DOCUMENT.lock().unwrap_or_else(PoisonError::into_inner);
    let (_, text) = match kept.take() {
        Some(young) if young.0.elapsed() < DAY => kept.insert(young),
        _ => kept.insert((Instant::now(), text(&document()))),
    };
    Ok(response::typed(
        StatusCode::OK,
        "application/json",
        text.clone(),
    ))
}

/// The JSON Schema of every frame of the socket.
pub async fn protocol(_: Call) -> Outcome {
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

/// Where the pages are, for who asks for them as for directories.
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

pub async fn docs(_: Call) -> Outcome {
    page(include_str!("assets/docs.html"), DOCS_POLICY)
}

pub async fn redoc(_: Call) -> Outcome {
    page(include_str!("assets/redoc.html"), REDOC_POLICY)
}

fn page(html: &'static str, policy: HeaderValue) -> Outcome {
    let mut answer = response::typed(StatusCode::OK, "text/html; charset=utf-8", html);
    answer.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    Ok(answer)
}

/// What the pages load. Kept gzipped, and sent so to everybody: there is no browser that doesn't take it.
pub async fn asset(call: Call) -> Outcome {
    const JS: &str = "text/javascript; charset=utf-8";
    const CSS: &str = "text/css; charset=utf-8";
    let (content_type, gzipped, bytes): (_, _, &'static [u8]) = match call.head.uri.path() {
        "/api/docs/docs.js" => (JS, false, include_bytes!("assets/docs.js")),
        "/api/docs/docs.css" => (CSS, false, include_bytes!("assets/docs.css")),
        "/api/docs/swagger-ui-bundle.js" => {
            (JS, true, include_bytes!("assets/swagger-ui-bundle.js.gz"))
        }
        "/api/docs/swagger-ui.css" => (CSS, true, include_bytes!("assets/swagger-ui.css.gz")),
        "/api/redoc/redoc.standalone.js" => {
            (JS, true, include_bytes!("assets/redoc.standalone.js.gz"))
        }
        _ => return Err(Refusal::not_found()),
    };
    let mut answer = response::typed(StatusCode::OK, content_type, bytes);
    let headers = answer.headers_mut();
    headers.insert(CACHE_CONTROL, KEPT);
    if gzipped {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(answer)
}
