//! What a link does to a frame on its way to a client. On an ordered stream frames are neither lost nor
//! late; rule 1 withstands it all the same.

use rand::{Rng, rngs::SmallRng};
use serde_json::Value;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fate {
    Arrives,
    /// The next frame shows it.
    Lost,
    /// It comes beyond whatever comes now.
    Late,
    Doubled,
    /// It comes now and again later.
    DoubledLate,
}

pub fn fate(rng: &mut SmallRng, frame: &Value) -> Fate {
    let kind = frame["type"].as_str().unwrap();
    let durable = ["message", "member", "room"].contains(&kind);
    // The higher rev wins.
    let comparable = kind == "added" || (kind == "removed" && frame["rev"].is_u64());
    match rng.random_range(0..20) {
        0 if durable => Fate::Lost,
        1 | 2 if durable || comparable => Fate::Late,
        3 if kind != "removed" => Fate::Doubled,
        4 if durable || comparable => Fate::DoubledLate,
        _ => Fate::Arrives,
    }
}
