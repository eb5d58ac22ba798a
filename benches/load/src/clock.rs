//! Time as the harness counts it: microseconds since it started.

use std::{
    sync::OnceLock,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

pub type Micros = u64;

pub const SECOND: Micros = 1_000_000;

static START: OnceLock<(Instant, u64)> = OnceLock::new();

fn start() -> &'static (Instant, u64) {
    START.get_or_init(|| {
        let unix = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |unix| unix.as_millis() as u64);
        (Instant::now(), unix)
    })
}

/// Microseconds since the first call.
pub fn now() -> Micros {
    start().0.elapsed().as_micros() as Micros
}

/// The milliseconds since 1970 at a moment, for identifiers that grow with time.
pub fn unix_ms(at: Micros) -> u64 {
    start().1 + at / 1000
}
