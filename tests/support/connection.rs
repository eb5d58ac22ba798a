//! A connection as a client holds it, JSON in and JSON out: a [`Socket`](super::Socket) over a WebSocket, or
//! [`Lines`](super::Lines) over plain TCP.

use std::io;

use serde_json::{Value, json};

use super::{PATIENCE, timeout, uuid};

/// What comes out of a connection.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    Frame(Value),
    /// The server's close frame, or its closing line.
    Closed(u16, String),
    /// The connection ended without one.
    Broken,
}

/// How frames travel on a stream.
pub trait Wire {
    fn write(&mut self, frame: &Value) -> impl Future<Output = io::Result<()>> + Send;

    /// The next frame or the end. Nothing is lost when it is cancelled.
    fn read(&mut self) -> impl Future<Output = Incoming> + Send;
}

/// See the module's documentation. `wire` is the stream itself, for what these methods don't offer.
pub struct Connection<W> {
    pub wire: W,
    /// The `ready` frame, once it was read.
    pub ready: Value,
    /// Whether ephemeral frames are returned, too: presence, typing, others' markers. They come at any time.
    pub ephemeral: bool,
}

impl<W: Wire> Connection<W> {
    pub fn new(wire: W) -> Self {
        Self {
            wire,
            ready: Value::Null,
            ephemeral: false,
        }
    }

    pub async fn send(&mut self, frame: Value) {
        self.try_send(frame).await.expect("the connection is open");
    }

    pub async fn try_send(&mut self, frame: Value) -> io::Result<()> {
        self.wire.write(&frame).await
    }

    /// The next frame or the end.
    pub async fn next(&mut self) -> Incoming {
        timeout(PATIENCE, self.wait())
            .await
            .expect("something comes in time")
    }

    /// As [`Connection::next`], for as long as it takes. Nothing is lost when it is cancelled.
    pub async fn wait(&mut self) -> Incoming {
        loop {
            match self.wire.read().await {
                Incoming::Frame(frame) if !self.ephemeral && is_ephemeral(&frame) => {}
                incoming => return incoming,
            }
        }
    }

    /// The next frame.
    pub async fn frame(&mut self) -> Value {
        match self.next().await {
            Incoming::Frame(frame) => frame,
            end => panic!("a frame was expected: {end:?}"),
        }
    }

    /// The next frame of this type; those before it are skipped.
    pub async fn expect(&mut self, kind: &str) -> Value {
        let mut skipped = Vec::new();
        loop {
            match self.next().await {
                Incoming::Frame(frame) if frame["type"] == kind => return frame,
                Incoming::Frame(frame) => skipped.push(frame),
                end => panic!("`{kind}` was expected: {end:?} after {skipped:?}"),
            }
        }
    }

    /// The close code; frames before it are skipped.
    pub async fn closed(&mut self) -> u16 {
        loop {
            match self.next().await {
                Incoming::Frame(_) => {}
                Incoming::Closed(code, _) => return code,
                Incoming::Broken => panic!("a close code was expected"),
            }
        }
    }

    /// Sends the frame with a `ref` of its own and returns the answer that repeats it.
    pub async fn ask(&mut self, frame: Value) -> Value {
        self.ask_through(frame).await.1
    }

    /// As [`Connection::ask`], with the frames that came before the answer.
    pub async fn ask_through(&mut self, mut frame: Value) -> (Vec<Value>, Value) {
        let reference = uuid();
        frame["ref"] = reference.as_str().into();
        self.send(frame).await;
        let mut before = Vec::new();
        loop {
            let frame = self.frame().await;
            if frame["ref"] == reference.as_str() {
                return (before, frame);
            }
            before.push(frame);
        }
    }

    /// All that has come up to now: the answer to a ping ends it.
    pub async fn fence(&mut self) -> Vec<Value> {
        let (before, pong) = self.ask_through(json!({"type": "ping"})).await;
        assert_eq!(pong["type"], "pong");
        before
    }

    /// Sends a message and returns its ack. Live frames that come before it are skipped.
    pub async fn say(&mut self, room_id: u64, content: &str) -> Value {
        let id = uuid();
        self.send(json!({"type": "message", "room_id": room_id, "id": id, "content": content}))
            .await;
        let ack = self.expect("ack").await;
        assert_eq!(ack["id"], id, "{ack}");
        ack
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

    /// Reads on to the frame of this room that brings it to `rev` or beyond: all that came, including that one.
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

fn is_ephemeral(frame: &Value) -> bool {
    match frame["type"].as_str() {
        Some("presence" | "typing") => true,
        // One's own has a count.
        Some("read") => frame.get("unread_mentions").is_none(),
        _ => false,
    }
}
