//! A socket as a client holds it: JSON in, JSON out.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Error, Message},
};

use super::{PATIENCE, timeout, uuid};

/// What comes out of a socket.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    Frame(Value),
    /// The server's close frame.
    Closed(u16, String),
    /// The connection broke without one.
    Broken,
}

pub struct Socket {
    pub stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// The `ready` frame, once it was read.
    pub ready: Value,
    /// Whether hints come out, too: who is online, who types, others' markers.
    pub hints: bool,
}

impl Socket {
    pub async fn open(url: &str) -> Self {
        Self::try_open(url).await.expect("the server upgrades")
    }

    pub async fn try_open(url: &str) -> Result<Self, Error> {
        let (stream, _) = timeout(PATIENCE, tokio_tungstenite::connect_async(url))
            .await
            .expect("the server answers in time")?;
        Ok(Self {
            stream,
            ready: Value::Null,
            hints: false,
        })
    }

    pub async fn send(&mut self, frame: Value) {
        self.try_send(frame).await.expect("the socket is open");
    }

    pub async fn try_send(&mut self, frame: Value) -> Result<(), Error> {
        self.stream.send(Message::text(frame.to_string())).await
    }

    /// The next frame or the end; pings and pongs are passed over, and hints unless they are wanted.
    pub async fn next(&mut self) -> Incoming {
        timeout(PATIENCE, self.wait())
            .await
            .expect("something comes in time")
    }

    /// As [`Socket::next`], for as long as it takes. Nothing is lost when it is cancelled.
    pub async fn wait(&mut self) -> Incoming {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => {
                    let frame = serde_json::from_str(&text).unwrap();
                    if self.hints || !is_hint(&frame) {
                        return Incoming::Frame(frame);
                    }
                }
                Some(Ok(Message::Close(Some(close)))) => {
                    return Incoming::Closed(close.code.into(), close.reason.to_string());
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(other)) => panic!("the server doesn't send {other:?}"),
                Some(Err(_)) | None => return Incoming::Broken,
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

    /// The next frame of this type; all before it are passed over.
    pub async fn expect(&mut self, kind: &str) -> Value {
        let mut passed = Vec::new();
        loop {
            match self.next().await {
                Incoming::Frame(frame) if frame["type"] == kind => return frame,
                Incoming::Frame(frame) => passed.push(frame),
                end => panic!("`{kind}` was expected: {end:?} after {passed:?}"),
            }
        }
    }

    /// The close code; frames before it are passed over.
    pub async fn closed(&mut self) -> u16 {
        loop {
            match self.next().await {
                Incoming::Frame(_) => {}
                Incoming::Closed(code, _) => return code,
                Incoming::Broken => panic!("a close frame was expected"),
            }
        }
    }

    /// Sends a message and reads on to its ack. Live frames that come before it are passed over.
    pub async fn say(&mut self, room_id: u64, content: &str) -> Value {
        let id = uuid();
        self.send(json!({"type": "message", "room_id": room_id, "id": id, "content": content}))
            .await;
        let ack = self.expect("ack").await;
        assert_eq!(ack["id"], id, "{ack}");
        ack
    }
}

/// What comes at any time, and may be dropped.
pub(super) fn is_hint(frame: &Value) -> bool {
    match frame["type"].as_str() {
        Some("presence" | "typing") => true,
        // One's own has a count.
        Some("read") => frame.get("unread_mentions").is_none(),
        _ => false,
    }
}
