//! The client's address, behind proxies too.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Once,
};

use http::{HeaderMap, header::FORWARDED};
use ipnet::IpNet;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The address at the other end of a request's TCP connection: an extension of the request.
#[derive(Clone, Copy)]
pub struct Peer(pub IpAddr);

/// The trusted proxies.
pub struct Proxies {
    trusted: Vec<IpNet>,
    /// So that a proxy that may be missing from the settings is logged once.
    logged: Once,
}

impl Proxies {
    pub fn new(trusted: Vec<IpNet>) -> Self {
        Self {
            trusted,
            logged: Once::new(),
        }
    }

    /// The nearest address that is no trusted proxy. `X-Forwarded-For` is read from its end: each proxy has added the address
    /// that connected to it, and the next entry is believed only if that address is a trusted proxy as well.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        if self.trusted.is_empty() && is_near(client) && is_forwarded(headers) {
            self.logged.call_once(|| {
                tracing::warn!(
                    peer = %client,
                    "requests seem to come through a proxy: name it in HEARTH_TRUSTED_PROXIES, or all its clients share \
                     one limit on password guesses"
                );
            });
        }
        let lines = headers.get_all(FORWARDED_FOR).iter().rev();
        let names = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        for name in names {
            if !self.trusts(client) {
                break;
            }
            // An entry that is no address ends the chain: nothing before it can be believed.
            let Some(next) = std::str::from_utf8(name).ok().and_then(address) else {
                break;
            };
            client = next;
        }
        client
    }

    /// Whether this is a trusted proxy, and so no client itself.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.trusted
            .iter()
            .any(|trusted| trusted.contains(&address))
    }
}

/// The address in an entry, in any of the forms that proxies write: with or without a port, IPv6 with or without brackets
/// (RFC 7239 section 6, with or without its quotes). `None` for `unknown`, for made-up names such as `_hidden`, and for nothing.
fn address(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim();
    let quoted = entry
        .strip_prefix('"')
        .and_then(|entry| entry.strip_suffix('"'));
    let name = quoted.unwrap_or(entry);
    let is_port = |port: &str| {
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        digits && port.parse::<u16>().is_ok()
    };
    let address = match name.strip_prefix('[') {
        Some(bracketed) => {
            let (address, rest) = bracketed.split_once(']')?;
            let whole = rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
            IpAddr::V6(v6(address).filter(|_| whole)?)
        }
        None => match name.split_once(':') {
            None => IpAddr::V4(name.parse().ok()?),
            Some((address, port)) if is_port(port) && address.contains('.') => {
                IpAddr::V4(address.parse().ok()?)
            }
            Some(_) => IpAddr::V6(v6(name)?),
        },
    };
    Some(address.to_canonical())
}

/// An IPv6 address with or without a zone (RFC 4007 section 11), which names only an interface of the proxy.
fn v6(text: &str) -> Option<Ipv6Addr> {
    let address = text.split_once('%').map_or(text, |(address, _)| address);
    address.parse().ok()
}

fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.contains_key(FORWARDED_FOR) || headers.contains_key(FORWARDED)
}

/// Whether an address is local or in a private network, as that of a proxy in front of this server is.
fn is_near(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            v4.is_loopback() || v4.is_private() || v4.is_link_local() || is_shared(v4)
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// 100.64.0.0/10 (RFC 6598), which clouds and overlay networks use.
fn is_shared(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    first == 100 && second & 0b1100_0000 == 64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_and_private_addresses_are_near() {
        for (address, near) in [
            ("127.0.0.1", true),
            ("172.17.0.1", true),
            ("10.1.2.3", true),
            ("169.254.0.7", true),
            ("100.64.0.1", true),
            ("100.127.255.255", true),
            ("100.63.255.255", false),
            ("100.128.0.0", false),
            ("::1", true),
            ("fd00::1", true),
            ("fe80::1", true),
            ("198.51.100.7", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_near(address.parse().unwrap()), near, "{address}");
        }
    }

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
            // In forms that some proxies write.
            ("127.0.0.1", &["198.51.100.7:5678"], "198.51.100.7"),
            ("127.0.0.1", &["[2001:db8::1]:443"], "2001:db8::1"),
            ("127.0.0.1", &["[2001:db8::1]"], "2001:db8::1"),
            ("127.0.0.1", &["\"[2001:db8::1]:443\""], "2001:db8::1"),
            ("127.0.0.1", &["::ffff:198.51.100.7"], "198.51.100.7"),
            ("127.0.0.1", &["[::ffff:198.51.100.7]:80"], "198.51.100.7"),
            ("127.0.0.1", &["fe80::1%eth0"], "fe80::1"),
            ("127.0.0.1", &["\t198.51.100.7 \t"], "198.51.100.7"),
            (
                "127.0.0.1",
                &["203.0.113.5,198.51.100.7:1 ,\t10.1.2.3:2"],
                "198.51.100.7",
            ),
            (
                "127.0.0.1",
                &["198.51.100.7", "[::ffff:10.1.2.3]:80, 127.0.0.1:9"],
                "198.51.100.7",
            ),
            ("127.0.0.1", &["198.51.100.7", "", "10.1.2.3"], "10.1.2.3"),
            ("127.0.0.1", &["198.51.100.7, unknown"], "127.0.0.1"),
            (
                "127.0.0.1",
                &["198.51.100.7, unknown, 10.1.2.3"],
                "10.1.2.3",
            ),
            ("127.0.0.1", &["198.51.100.7, _hidden"], "127.0.0.1"),
            ("127.0.0.1", &["198.51.100.7, unix:"], "127.0.0.1"),
            ("127.0.0.1", &["198.51.100.7,"], "127.0.0.1"),
            ("127.0.0.1", &["198.51.100.7, , 10.1.2.3"], "10.1.2.3"),
            ("127.0.0.1", &["unknown, 198.51.100.7"], "198.51.100.7"),
            ("127.0.0.1", &["é, 198.51.100.7"], "198.51.100.7"),
            ("127.0.0.1", &["198.51.100.7, é"], "127.0.0.1"),
            ("127.0.0.1", &["198.51.100.7:"], "127.0.0.1"),
            ("127.0.0.1", &["198.51.100.7:+80"], "127.0.0.1"),
            ("127.0.0.1", &["198.51.100.7:65536"], "127.0.0.1"),
            ("127.0.0.1", &["198.51.100.7:80:80"], "127.0.0.1"),
            ("127.0.0.1", &["[198.51.100.7]:80"], "127.0.0.1"),
            ("127.0.0.1", &["[2001:db8::1]443"], "127.0.0.1"),
            ("127.0.0.1", &["[2001:db8::1"], "127.0.0.1"),
            ("127.0.0.1", &["198.51.100.7/32"], "127.0.0.1"),
            ("127.0.0.1", &["198.51.100.07"], "127.0.0.1"),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                let line = http::HeaderValue::from_bytes(line.as_bytes());
                headers.append(FORWARDED_FOR, line.unwrap());
            }
            let found = proxies.client(peer.parse().unwrap(), &headers);
            assert_eq!(found, client.parse::<IpAddr>().unwrap(), "{peer} {lines:?}");
        }
    }
}
