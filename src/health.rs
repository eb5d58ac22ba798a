//! `hearth health`: whether the server of these settings answers, for whoever starts and stops it (the container's health
//! check). It needs nothing but the address to listen on, and asks as any client would.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time,
};

use crate::limits::HEALTH_DEADLINE;

/// Longer than the first line of any answer of ours.
const LINE_BYTES_MAX: u64 = 256;

/// Why the server isn't well.
#[derive(Debug)]
pub struct Fault {
    address: SocketAddr,
    why: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no healthy server at {}: {}", self.address, self.why)
    }
}

impl std::error::Error for Fault {}

/// Asks the server that listens on `listen` whether it is alive; where it was asked.
pub async fn run(listen: SocketAddr) -> Result<SocketAddr, Fault> {
    let mut failed = None;
    for address in reached(listen) {
        let asked = match address.port() {
            0 => Err(
                "port 0 is another one at each start: set HEARTH_LISTEN to the right one".into(),
            ),
            _ => match time::timeout(HEALTH_DEADLINE, ask(address)).await {
                Ok(asked) => asked,
                Err(_) => Err(format!("no answer in {} s", HEALTH_DEADLINE.as_secs())),
            },
        };
        match asked {
            Ok(()) => return Ok(address),
            Err(why) => failed = failed.or(Some(Fault { address, why })),
        }
    }
    Err(failed.expect("a server is reached somewhere"))
}

/// Where a server is reached from its own machine: one that listens on all addresses by a loopback one, of IPv6 first
/// where it listens on both, and of IPv4 where the machine has no other.
fn reached(listen: SocketAddr) -> Vec<SocketAddr> {
    let ips: &[IpAddr] = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => &[Ipv4Addr::LOCALHOST.into()],
        IpAddr::V6(ip) if ip.is_unspecified() => {
            &[Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()]
        }
        ip => &[ip],
    };
    let addresses = ips.iter().map(|ip| SocketAddr::new(*ip, listen.port()));
    addresses.collect()
}

async fn ask(address: SocketAddr) -> Result<(), String> {
    let mut stream = TcpStream::connect(address)
        .await
        .map_err(|error| error.to_string())?;
    let request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut line = Vec::new();
    let asked = async {
        stream.write_all(request.as_bytes()).await?;
        let mut answer = BufReader::new(&mut stream).take(LINE_BYTES_MAX);
        answer.read_until(b'\n', &mut line).await
    };
    asked.await.map_err(|error| error.to_string())?;
    let line = String::from_utf8_lossy(&line);
    match line.starts_with("HTTP/1.1 200 ") {
        true => Ok(()),
        // What others answer is not to change the terminal that shows it.
        false => Err(format!("it answers {:?}", line.trim_end())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_asked_where_it_listens() {
        for (listen, address) in [
            ("127.0.0.1:8000", "127.0.0.1:8000"),
            ("192.0.2.7:80", "192.0.2.7:80"),
            ("0.0.0.0:8000", "127.0.0.1:8000"),
            ("[::]:9000", "[::1]:9000, 127.0.0.1:9000"),
            ("[::1]:8000", "[::1]:8000"),
            ("[2001:db8::1]:8000", "[2001:db8::1]:8000"),
        ] {
            let reached = reached(listen.parse().unwrap());
            let reached: Vec<_> = reached.iter().map(SocketAddr::to_string).collect();
            assert_eq!(reached.join(", "), address);
        }
    }
}
