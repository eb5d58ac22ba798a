//! What a link does to a frame on its way to a client. On an ordered stream frames are neither lost nor late; the rule of
//! positions (PROTOCOL.md section 3.1) withstands it all the same.

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

/// It has a `rev`, and moves the position.
pub fn is_durable(frame: &Value) -> bool {
    let kind = frame["type"].as_str().unwrap();
    ["message", "message_updated", "member", "room"].contains(&kind)
}

/// `me`: the user at the link's end.
pub fn fate(rng: &mut SmallRng, frame: &Value, me: u64) -> Fate {
    let kind = frame["type"].as_str().unwrap();
    let durable = is_durable(frame);
    // The higher rev wins.
    let comparable = kind == "added" || (kind == "removed" && frame["rev"].is_u64());
    let own_read = kind == "read" && frame["user_id"] == me;
    let ephemeral = ["presence", "typing", "read"].contains(&kind) && !own_read;
    let may_be_late = durable || comparable || own_read || ephemeral;
    match rng.random_range(0..20) {
        0 if durable || ephemeral => Fate::Lost,
        1 | 2 if may_be_late => Fate::Late,
        3 if kind != "removed" => Fate::Doubled,
        4 if may_be_late => Fate::DoubledLate,
        _ => Fate::Arrives,
    }
}

/// No later frame would tell a client that this one preceded an `added` that is late.
pub fn must_follow(frame: &Value, me: u64) -> bool {
    match frame["type"].as_str().unwrap() {
        "lagged" => true,
        "removed" => frame["rev"].is_null() && frame["ref"].is_null(),
        "read" => frame["user_id"] == me,
        _ => false,
    }
}
