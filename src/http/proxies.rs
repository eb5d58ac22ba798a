//! Who is at the other end, where proxies stand between.

use std::net::IpAddr;

use http::HeaderMap;
use ipnet::IpNet;

const FORWARDED: &str = "x-forwarded-for";

/// The address of the TCP connection that a request came by: an extension of the request.
#[derive(Clone, Copy)]
pub struct Peer(pub IpAddr);

/// The proxies whose word is taken.
pub struct Proxies(Vec<IpNet>);

impl Proxies {
    pub fn new(trusted: Vec<IpNet>) -> Self {
        Self(trusted)
    }

    /// The nearest address that is no trusted proxy: `X-Forwarded-For` is read from its end, each proxy's word
    /// about who came to it, for as long as that is a proxy itself.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        let lines = headers.get_all(FORWARDED).iter().rev();
        let names = lines.flat_map(|line| line.to_str().unwrap_or("").rsplit(','));
        for name in names {
            if !self.trusts(client) {
                break;
            }
            match name.trim().parse::<IpAddr>() {
                Ok(next) => client = next.to_canonical(),
                // Nothing before what isn't an address can be believed.
                Err(_) => break,
            }
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|trusted| trusted.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_proxies_are_believed() {
        let proxies = Proxies::new(vec![
            "127.0.0.1/32".parse().unwrap(),
            "10.0.0.0/8".parse().unwrap(),
        ]);
        for (peer, lines, client) in [
            ("192.0.2.1", &[][..], "192.0.2.1"),
            ("192.0.2.1", &["198.51.100.7"], "192.0.2.1"),
            ("127.0.0.1", &[], "127.0.0.1"),
            ("127.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            ("::ffff:127.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            ("127.0.0.1", &["203.0.113.5, 198.51.100.7"], "198.51.100.7"),
            (
                "127.0.0.1",
                &["203.0.113.5, 198.51.100.7, 10.1.2.3"],
                "198.51.100.7",
            ),
            (
                "127.0.0.1",
                &["203.0.113.5", "198.51.100.7", "10.1.2.3"],
                "198.51.100.7",
            ),
            (
                "127.0.0.1",
                &["203.0.113.5, nonsense, 10.1.2.3"],
                "10.1.2.3",
            ),
            ("127.0.0.1", &[""], "127.0.0.1"),
            ("127.0.0.1", &["2001:db8::1"], "2001:db8::1"),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(FORWARDED, line.parse().unwrap());
            }
            let found = proxies.client(peer.parse().unwrap(), &headers);
            assert_eq!(found, client.parse::<IpAddr>().unwrap(), "{peer} {lines:?}");
        }
    }
}
