//! The line socket: one JSON object a line over plain TCP.

use std::{io, net::SocketAddr};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use super::{Account, Connection, Incoming, Server, connection::Wire};

pub type Lines = Connection<LineStream>;

/// The stream, and what has come of a line that isn't whole yet.
pub struct LineStream {
    stream: BufReader<TcpStream>,
    begun: Vec<u8>,
}

impl Lines {
    pub async fn connect(server: &Server) -> Self {
        Self::on(TcpStream::connect(server.tcp_address()).await.unwrap())
    }

    pub fn on(stream: TcpStream) -> Self {
        Self::new(LineStream {
            stream: BufReader::new(stream),
            begun: Vec::new(),
        })
    }

    /// A connection of this account's, its `ready` read.
    pub async fn open(server: &Server, account: &Account) -> Self {
        Self::connect(server).await.login(account).await
    }

    pub async fn login(mut self, account: &Account) -> Self {
        self.send(json!({"type": "auth", "token": account.token}))
            .await;
        self.ready = self.expect("ready").await;
        self
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        self.try_write(bytes).await.expect("the server reads");
    }

    pub async fn try_write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.wire.stream.get_mut().write_all(bytes).await
    }

    /// Says that nothing more is sent; what comes is still read.
    pub async fn end(&mut self) {
        self.wire.stream.get_mut().shutdown().await.unwrap();
    }
}

impl LineStream {
    /// A whole line, or nothing at the end.
    async fn line(&mut self) -> Option<String> {
        match self.stream.read_until(b'\n', &mut self.begun).await {
            Err(_) => return None,
            Ok(0) if self.begun.is_empty() => return None,
            Ok(_) => {}
        }
        let line = String::from_utf8(std::mem::take(&mut self.begun)).expect("a line in UTF-8");
        assert!(line.ends_with('\n'), "a whole line: {line}");
        Some(line)
    }
}

impl Wire for LineStream {
    async fn write(&mut self, frame: &Value) -> io::Result<()> {
        let line = format!("{frame}\n");
        self.stream.get_mut().write_all(line.as_bytes()).await
    }

    /// A closing line is the last one.
    async fn read(&mut self) -> Incoming {
        let Some(line) = self.line().await else {
            return Incoming::Broken;
        };
        let frame: Value = serde_json::from_str(&line).unwrap();
        if frame["type"] != "close" {
            return Incoming::Frame(frame);
        }
        let code = frame["code"].as_u64().unwrap();
        let reason = frame["reason"].as_str().unwrap().to_owned();
        let after = self.stream.read_to_end(&mut self.begun).await;
        assert_eq!(after.unwrap(), 0, "after {code} {reason}: {:?}", self.begun);
        Incoming::Closed(code as u16, reason)
    }
}

impl Server {
    /// A server that speaks lines, too.
    pub async fn with_lines(db: super::Db) -> Self {
        Self::start_with(db, &[("HEARTH_LISTEN_TCP", "127.0.0.1:0")]).await
    }

    /// Where lines are spoken in the process's present life.
    pub fn tcp_address(&self) -> SocketAddr {
        self.listens("listen.tcp").expect("lines are switched on")
    }
}
