//! What tests ask of a socket: one answer for one frame, and all that came before it.

use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use super::{Account, Socket, uuid};

impl Socket {
    /// Sends the frame with a `ref` of its own and reads on to the answer that repeats it.
    pub async fn ask(&mut self, frame: Value) -> Value {
        self.ask_through(frame).await.1
    }

    /// As [`Socket::ask`], with the frames that came before the answer.
    pub async fn ask_through(&mut self, mut frame: Value) -> (Vec<Value>, Value) {
        let reference = uuid();
        frame["ref"] = reference.as_str().into();
        self.send(frame).await;
        let mut passed = Vec::new();
        loop {
            let frame = self.frame().await;
            if frame["ref"] == reference.as_str() {
                return (passed, frame);
            }
            passed.push(frame);
        }
    }

    /// All that has come up to now: the answer to a ping ends it.
    pub async fn fence(&mut self) -> Vec<Value> {
        let (passed, pong) = self.ask_through(json!({"type": "ping"})).await;
        assert_eq!(pong["type"], "pong");
        passed
    }

    /// Live delivery of a room from now on.
    pub async fn join(&mut self, room_id: u64) -> Value {
        let synced = self.ask(json!({"type": "join", "room_id": room_id})).await;
        assert_eq!(synced["type"], "synced", "{synced}");
        synced
    }

    /// Live delivery of a room after catching up from `rev`: what was missed, and `synced`.
    pub async fn join_from(&mut self, room_id: u64, rev: u64) -> (Vec<Value>, Value) {
        let join = json!({"type": "join", "room_id": room_id, "rev": rev});
        let (frames, synced) = self.ask_through(join).await;
        assert_eq!(synced["type"], "synced", "{synced}");
        (frames, synced)
    }

    /// Reads on to the frame of this room that brings it to `rev` or beyond; all that came, it included.
    pub async fn read_to(&mut self, room_id: u64, rev: u64) -> Vec<Value> {
        let mut frames = Vec::new();
        loop {
            let frame = self.frame().await;
            let there =
                frame["room_id"] == room_id && frame["rev"].as_u64().is_some_and(|at| at >= rev);
            frames.push(frame);
            if there {
                return frames;
            }
        }
    }
}

impl Account {
    /// A POST without a body, as joining and leaving are.
    pub async fn act(&self, path: &str) -> (u16, Value) {
        self.request("POST", path, None).await
    }

    /// Posts `count` messages, some at a time: `text 1` … in no certain order.
    pub async fn post_many(&self, room_id: u64, count: u64) {
        let path = format!("/api/chat/rooms/{room_id}/messages");
        stream::iter(1..=count)
            .map(|number| {
                let (path, body) = (path.as_str(), json!({"content": format!("text {number}")}));
                async move {
                    let (status, message) = self.post(path, body).await;
                    (status == 201).then_some(()).ok_or(message)
                }
            })
            .buffer_unordered(32)
            .try_collect::<()>()
            .await
            .unwrap();
    }
}

/// The frames of this room.
pub fn of_room(frames: &[Value], room_id: u64) -> Vec<&Value> {
    let ours = frames.iter().filter(|frame| frame["room_id"] == room_id);
    ours.collect()
}

/// A client's position in one room by PROTOCOL.md section 3.1: every frame must follow on the one before.
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
