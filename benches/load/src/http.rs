//! A small HTTP client for setting a server up: one connection, one request at a time.

use std::{
    io::{Read, Write},
    net::{SocketAddrV4, TcpStream},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::wire::{self, Framing, Piece};

const PATIENCE: Duration = Duration::from_secs(60);

pub struct Client {
    address: SocketAddrV4,
    stream: Option<TcpStream>,
}

impl Client {
    pub fn new(address: SocketAddrV4) -> Self {
        Self {
            address,
            stream: None,
        }
    }

    /// Answers status and body. A connection that the server has ended meanwhile is opened anew once.
    pub fn request(
        &mut self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<(u16, Value), String> {
        let request = request(self.address, method, path, token, body);
        let response = match self.exchange(&request) {
            Err(_) => {
                self.stream = None;
                self.exchange(&request)
            }
            response => response,
        };
        let response = response.map_err(|error| format!("{method} {path}: {error}"))?;
        let status = wire::status(&response).ok_or("a response without a status")?;
        let body = serde_json::from_slice(&wire::body(&response)).unwrap_or(Value::Null);
        Ok((status, body))
    }

    /// As [`Client::request`], for a request that is to succeed.
    pub fn ask(
        &mut self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Value, String> {
        match self.request(method, path, token, body)? {
            (200..300, body) => Ok(body),
            (status, body) => Err(format!("{method} {path}: {status} {body}")),
        }
    }

    fn exchange(&mut self, request: &[u8]) -> std::io::Result<Vec<u8>> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let stream = TcpStream::connect(self.address)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                none.insert(stream)
            }
        };
        stream.write_all(request)?;
        let (mut response, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
        loop {
            let count = stream.read(&mut buffer)?;
            if count == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            response.extend_from_slice(&buffer[..count]);
            let mut whole = false;
            let cut = wire::cut(Framing::Http, &response, &mut |piece| {
                whole |= matches!(piece, Piece::Data(_));
            });
            cut.map_err(std::io::Error::other)?;
            if whole {
                return Ok(response);
            }
        }
    }
}

/// A request as it goes over the wire.
pub fn request(
    host: SocketAddrV4,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Option<&Value>,
) -> Vec<u8> {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n");
    if let Some(token) = token {
        request.push_str(&format!("Authorization: Bearer {token}\r\n"));
    }
    match body {
        Some(body) => {
            let body = body.to_string();
            let length = body.len();
            request.push_str(&format!(
                "Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
            ));
        }
        None if method == "GET" => request.push_str("\r\n"),
        None => request.push_str("Content-Length: 0\r\n\r\n"),
    }
    request.into_bytes()
}

/// Does something for each number from 0 to `count` - 1, several at once, each thread with a client of its
/// own. Answers the results in order.
pub fn each<T: Send>(
    address: SocketAddrV4,
    parallel: usize,
    count: usize,
    action: impl Fn(&mut Client, usize) -> Result<T, String> + Sync,
) -> Result<Vec<T>, String> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut client = Client::new(address);
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok(done);
            }
            done.push((number, action(&mut client, number)?));
        }
    };
    let all = thread::scope(|scope| {
        let threads: Vec<_> = (0..parallel).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| "a thread panicked".to_owned())?)
            .collect::<Result<Vec<_>, String>>()
    })?;
    let mut all: Vec<(usize, T)> = all.into_iter().flatten().collect();
    all.sort_by_key(|(number, _)| *number);
    Ok(all.into_iter().map(|(_, result)| result).collect())
}
