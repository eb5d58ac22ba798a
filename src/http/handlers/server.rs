//! What the server says about itself: `/api/info`, `/healthz`, `/readyz`.

use tokio::time;

use crate::{
    http::{
        request::Call,
        response::{self, HandlerResult},
    },
    limits::READY_DEADLINE,
    protocol::{
        error::Refusal,
        rest::{Info, Limits, Status},
    },
};

pub async fn info(call: Call) -> HandlerResult {
    response::ok(&Info {
        name: "hearth",
        version: env!("CARGO_PKG_VERSION"),
        registration: call.site.chat.registration(),
        limits: Limits::CURRENT,
    })
}

/// The process is alive.
pub async fn healthz(_: Call) -> HandlerResult {
    response::ok(&Status { status: "ok" })
}

/// The database answers and the server isn't stopping.
pub async fn readyz(call: Call) -> HandlerResult {
    if call.site.stopping.is_cancelled() {
        return Err(Refusal::unavailable_because("The server is stopping."));
    }
    match time::timeout(READY_DEADLINE, call.site.chat.ready()).await {
        Ok(Ok(())) => response::ok(&Status { status: "ready" }),
        _ => Err(Refusal::unavailable_because("The database doesn't answer.")),
    }
}
