//! What the server says about itself.

use std::time::Duration;

use tokio::time;

use super::{
    request::Call,
    response::{self, Outcome},
};
use crate::{
    limits::READY_DEADLINE,
    protocol::{
        error::{Code, Refusal},
        rest::{Info, Limits, Status},
    },
};

pub async fn info(call: Call) -> Outcome {
    response::ok(&Info {
        name: "hearth",
        version: env!("CARGO_PKG_VERSION"),
        registration: call.site.chat.registration(),
        limits: Limits::CURRENT,
    })
}

/// The process is alive.
pub async fn healthz(_: Call) -> Outcome {
    response::ok(&Status { status: "ok" })
}

/// The database answers and the server isn't stopping.
pub async fn readyz(call: Call) -> Outcome {
    let refuse = |message: &'static str| {
        let mut refusal = Refusal::new(Code::Unavailable, message);
        refusal.retry_after = Some(Duration::from_secs(1));
        refusal
    };
    if call.site.stopping.is_cancelled() {
        return Err(refuse("The server is stopping."));
    }
    match time::timeout(READY_DEADLINE, call.site.chat.ready()).await {
        Ok(Ok(())) => response::ok(&Status { status: "ready" }),
        _ => Err(refuse("The database doesn't answer.")),
    }
}
