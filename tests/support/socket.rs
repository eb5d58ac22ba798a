//! The WebSocket, by tokio-tungstenite.

use std::io;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Error, Message},
};

use super::{Connection, Incoming, PATIENCE, connection::Wire, timeout};

pub type Socket = Connection<WebSocketStream<MaybeTlsStream<TcpStream>>>;

impl Socket {
    pub async fn open(url: &str) -> Self {
        Self::try_open(url).await.expect("the server upgrades")
    }

    pub async fn try_open(url: &str) -> Result<Self, Error> {
        let (stream, _) = timeout(PATIENCE, tokio_tungstenite::connect_async(url))
            .await
            .expect("the server answers in time")?;
        Ok(Self::new(stream))
    }
}

impl Wire for WebSocketStream<MaybeTlsStream<TcpStream>> {
    async fn write(&mut self, frame: &Value) -> io::Result<()> {
        let sent = SinkExt::send(self, Message::text(frame.to_string())).await;
        sent.map_err(io::Error::other)
    }

    async fn read(&mut self) -> Incoming {
        loop {
            match StreamExt::next(self).await {
                Some(Ok(Message::Text(text))) => {
                    return Incoming::Frame(serde_json::from_str(&text).unwrap());
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
}
