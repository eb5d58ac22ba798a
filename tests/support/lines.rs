//! A connection that speaks lines over plain TCP, as whoever sits at `nc` does.

use std::{io::ErrorKind, net::SocketAddr};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use super::{Account, Incoming, PATIENCE, Server, socket::is_hint, timeout, uuid};

pub struct Lines {
    stream: BufReader<TcpStream>,
    /// The `ready` frame, once it was read.
    pub ready: Value,
}

impl Lines {
    pub async fn connect(server: &Server) -> Self {
        Self::on(TcpStream::connect(server.tcp_address()).await.unwrap())
    }

    pub fn on(stream: TcpStream) -> Self {
        Self {
            stream: BufReader::new(stream),
            ready: Value::Null,
        }
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

    pub async fn try_write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.get_mut().write_all(bytes).await
    }

    /// Says that nothing more is sent; what comes is read on.
    pub async fn end(&mut self) {
        self.stream.get_mut().shutdown().await.unwrap();
    }

    pub async fn send(&mut self, frame: Value) {
        self.write(format!("{frame}\n").as_bytes()).await;
    }

    /// The next line, or the end; a closing line is the last one.
    pub async fn next(&mut self) -> Incoming {
        timeout(PATIENCE, self.wait())
            .await
            .expect("something comes in time")
    }

    /// As [`Lines::next`], for as long as it takes. Hints, which come at any time, are passed over.
    pub async fn wait(&mut self) -> Incoming {
        let mut line = String::new();
        let frame = loop {
            line.clear();
            match self.stream.read_line(&mut line).await {
                Err(error) if error.kind() == ErrorKind::InvalidData => {
                    panic!("a line in UTF-8: {error}")
                }
                Ok(0) | Err(_) => return Incoming::Broken,
                Ok(_) => assert!(line.ends_with('\n'), "a whole line: {line}"),
            }
            let frame: Value = serde_json::from_str(&line).unwrap();
            if !is_hint(&frame) {
                break frame;
            }
        };
        if frame["type"] != "close" {
            return Incoming::Frame(frame);
        }
        let code = frame["code"].as_u64().unwrap();
        let reason = frame["reason"].as_str().unwrap().to_owned();
        line.clear();
        let end = self.stream.read_line(&mut line).await;
        assert_eq!(end.unwrap(), 0, "after {code} {reason}: {line}");
        Incoming::Closed(code as u16, reason)
    }

    pub async fn frame(&mut self) -> Value {
        match self.next().await {
            Incoming::Frame(frame) => frame,
            end => panic!("a frame was expected: {end:?}"),
        }
    }

    /// The next frame of this type; all before it are passed over.
    pub async fn expect(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.frame().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// The close code; frames before it are passed over.
    pub async fn closed(&mut self) -> u16 {
        loop {
            match self.next().await {
                Incoming::Frame(_) => {}
                Incoming::Closed(code, _) => return code,
                Incoming::Broken => panic!("a closing line was expected"),
            }
        }
    }

    /// Sends the frame with a `ref` of its own and reads on to the answer that repeats it; what came
    /// before, and the answer.
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
}

impl Server {
    /// A server that speaks lines, too.
    pub async fn with_lines(db: super::Db) -> Self {
        Self::start_with(db, &[("HEARTH_LISTEN_TCP", "127.0.0.1:0")]).await
    }

    /// Where lines are spoken in the process' present life.
    pub fn tcp_address(&self) -> SocketAddr {
        self.listens("listen.tcp").expect("lines are switched on")
    }
}
