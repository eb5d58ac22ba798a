//! `hearth health`: asks whether the server of these settings answers, for whatever starts and stops it (such as a
//! container's health check). It needs only the address that the server listens on, and asks as any client would.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time,
};

use crate::limits::{HEALTH_DEADLINE, HEALTH_LINE_BYTES_MAX};

/// Why the server isn't healthy.
#[derive(Debug)]
pub struct HealthError {
    address: SocketAddr,
    why: String,
}

impl fmt::Display for HealthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no healthy server at {}: {}", self.address, self.why)
    }
}

impl std::error::Error for HealthError {}

/// Asks the server that listens on `listen` whether it is alive. Returns the address that answered.
pub async fn run(listen: SocketAddr) -> Result<SocketAddr, HealthError> {
    let mut failed = None;
    for address in reached(listen) {
        let asked = if address.port() == 0 {
            Err("port 0 is another one at each start: set HEARTH_LISTEN to the right one".into())
        } else {
            let asked = time::timeout(HEALTH_DEADLINE, ask(address)).await;
            asked.unwrap_or_else(|_| Err(format!("no answer in {} s", HEALTH_DEADLINE.as_secs())))
        };
        match asked {
            Ok(()) => return Ok(address),
            Err(why) => failed = failed.or(Some(HealthError { address, why })),
        }
    }
    Err(failed.expect("there is at least one address"))
}

/// The addresses by which a server is reached from its own machine. A server that listens on all addresses is reached by
/// a loopback address: of IPv6 first where it listens on both, then of IPv4, in case the machine has no other.
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
        let mut answer = BufReader::new(&mut stream).take(HEALTH_LINE_BYTES_MAX);
        answer.read_until(b'\n', &mut line).await
    };
    asked.await.map_err(|error| error.to_string())?;
    let line = String::from_utf8_lossy(&line);
    if line.starts_with("HTTP/1.1 200 ") {
        Ok(())
    } else {
        // Escaped: what another program answers must not control the terminal that shows it.
        Err(format!("it answers {:?}", line.trim_end()))
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
