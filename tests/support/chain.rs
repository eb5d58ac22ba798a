//! The rule of positions (PROTOCOL.md section 3.1), as an assertion.

use serde_json::Value;

/// The frames of this room.
pub fn of_room(frames: &[Value], room_id: u64) -> Vec<&Value> {
    let ours = frames.iter().filter(|frame| frame["room_id"] == room_id);
    ours.collect()
}

/// A client's position in one room: every frame must continue the one before.
pub struct Chain(pub u64);

impl Chain {
    /// Takes a durable frame or `synced`; panics where a client would have to drop it or has it already.
    pub fn take(&mut self, frame: &Value) {
        let rev = frame["rev"].as_u64().expect("a durable frame has its rev");
        let prev = frame["prev"].as_u64();
        let (prev, new) = match &frame["type"] {
            // Brings no change of its own.
            kind if *kind == "synced" => (prev.expect("`synced` has `prev`"), rev >= self.0),
            _ => (prev.unwrap_or(rev - 1), rev > self.0),
        };
        assert!(
            prev <= self.0 && new,
            "at {}: {} of rev {rev}, prev {prev}",
            self.0,
            frame["type"]
        );
        self.0 = rev;
    }

    /// Takes catch-up: as [`Chain::take`], and every frame has `prev` and neither `by` nor `at`.
    pub fn take_caught_up(&mut self, frames: &[Value]) {
        for frame in frames {
            assert!(frame["prev"].is_u64(), "catch-up has `prev`: {frame}");
            assert!(
                frame.get("by").is_none() && frame.get("at").is_none(),
                "{frame}"
            );
            self.take(frame);
        }
    }
}
