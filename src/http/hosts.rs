//! What one host may hold of the server, and all hosts together: connections, and bytes of request bodies that are being read.
//!
//! A host is an IPv4 address, or an IPv6 network of /64, as one customer has it. A trusted proxy is no host: a request through it
//! counts for the address that the proxy names, while the request is served or its socket lives.
//!
//! Invariant: everything counted is represented by a value that is dropped with it.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use dashmap::{DashMap, Entry};
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    limits::{
        BODIES_BYTES_MAX, BODIES_BYTES_OF_ONE_MAX, BODY_BYTES_FREE, HOST_RETRY, LOGGED_AGAIN_AFTER,
        SHARES_OF_CONNECTIONS,
    },
    protocol::error::Refusal,
};

/// All hosts that hold something.
pub struct Hosts {
    /// The most connections of one host.
    places_max: usize,
    /// The bytes of all bodies that are counted: those beyond [`BODY_BYTES_FREE`] of each.
    bytes: AtomicUsize,
    hosts: DashMap<IpAddr, Held>,
    /// When a host that was refused was last logged.
    logged: Mutex<Option<Instant>>,
}

/// What one host holds.
#[derive(Default)]
struct Held {
    places: usize,
    bytes: usize,
}

/// The place of a connection, or of a request that came through a proxy.
pub struct Place {
    hosts: Arc<Hosts>,
    /// `None`: a proxy's connection.
    host: Option<IpAddr>,
}

/// What a connection holds as long as it lives, also as a socket: its place under the cap on all connections, and its place
/// under that of its host.
pub struct Seat {
    _permit: OwnedSemaphorePermit,
    pub host: Place,
}

impl Seat {
    pub fn new(permit: OwnedSemaphorePermit, host: Place) -> Self {
        Self {
            _permit: permit,
            host,
        }
    }
}

/// The bytes of a body that have arrived, until all of it is there.
pub struct Load<'a> {
    place: &'a Place,
    bytes: usize,
}

impl Hosts {
    /// `of_one`: the most connections of one host; without it, a share of `connections_max`.
    pub fn new(connections_max: usize, of_one: Option<usize>) -> Arc<Self> {
        let share = connections_max.div_ceil(SHARES_OF_CONNECTIONS);
        Arc::new(Self {
            places_max: of_one.unwrap_or(share),
            bytes: AtomicUsize::new(0),
            hosts: DashMap::new(),
            logged: Mutex::default(),
        })
    }

    /// A place for a client at this address, if its host has one left. An address of `None` is a proxy's.
    pub fn place(self: &Arc<Self>, address: Option<IpAddr>) -> Option<Place> {
        let host = address.map(host_of);
        if let Some(host) = host {
            let mut held = self.hosts.entry(host).or_default();
            if held.places >= self.places_max {
                drop(held);
                metrics::counter!("connections_refused_total").increment(1);
                self.log_refused(host);
                return None;
            }
            held.places += 1;
        }
        metrics::gauge!("connections_placed").increment(1.0);
        Some(Place {
            hosts: self.clone(),
            host,
        })
    }

    /// Logs a host that was refused, but not for each connection.
    fn log_refused(&self, host: IpAddr) {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.is_none_or(|at| at.elapsed() >= LOGGED_AGAIN_AFTER) {
            *logged = Some(Instant::now());
            tracing::warn!(
                client.address = %host,
                places = self.places_max,
                "one address has more connections than allowed: if many people share it, raise \
                 HEARTH_CONNECTIONS_PER_ADDRESS; if it is a proxy, name it in HEARTH_TRUSTED_PROXIES"
            );
        }
    }

    /// Counts more bytes, if all hosts together and this one stay within their bounds.
    fn hold(&self, host: Option<IpAddr>, count: usize) -> bool {
        let before = self.bytes.fetch_add(count, Ordering::Relaxed);
        let fits = before + count <= BODIES_BYTES_MAX
            && host.is_none_or(|host| {
                let mut held = self.hosts.entry(host).or_default();
                let fits = held.bytes + count <= BODIES_BYTES_OF_ONE_MAX;
                held.bytes += if fits { count } else { 0 };
                fits
            });
        if fits {
            metrics::gauge!("body_bytes_held").increment(count as f64);
        } else {
            self.bytes.fetch_sub(count, Ordering::Relaxed);
            metrics::counter!("bodies_refused_total").increment(1);
        }
        fits
    }

    fn release(&self, host: Option<IpAddr>, count: usize) {
        if let Some(host) = host
            && let Some(mut held) = self.hosts.get_mut(&host)
        {
            held.bytes -= count;
        }
        self.bytes.fetch_sub(count, Ordering::Relaxed);
        metrics::gauge!("body_bytes_held").decrement(count as f64);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        metrics::gauge!("connections_placed").decrement(1.0);
        let Some(host) = self.host else { return };
        if let Entry::Occupied(mut held) = self.hosts.hosts.entry(host) {
            held.get_mut().places -= 1;
            // No load is left, because each borrows a place.
            if held.get().places == 0 {
                held.remove();
            }
        }
    }
}

impl<'a> Load<'a> {
    pub fn new(place: &'a Place) -> Self {
        Self { place, bytes: 0 }
    }

    /// Counts bytes that have arrived. False: they would be too many, and must not be kept.
    pub fn grow(&mut self, count: usize) -> bool {
        let more = counted(self.bytes + count) - counted(self.bytes);
        let held = more == 0 || self.place.hosts.hold(self.place.host, more);
        self.bytes += if held { count } else { 0 };
        held
    }
}

impl Drop for Load<'_> {
    fn drop(&mut self) {
        let counted = counted(self.bytes);
        if counted > 0 {
            self.place.hosts.release(self.place.host, counted);
        }
    }
}

fn counted(bytes: usize) -> usize {
    bytes.saturating_sub(BODY_BYTES_FREE)
}

/// The refusal while too many large bodies are being read.
pub fn full() -> Refusal {
    Refusal::unavailable_because("The server is reading too many large requests. Try again.")
}

/// The refusal of a host that has all its places in use.
pub fn too_many() -> Refusal {
    let mut refusal = Refusal::rate_limited(HOST_RETRY);
    refusal.message = "Too many connections from this address. Try again later.".into();
    refusal
}

/// The host of an address.
fn host_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => {
            let network = u128::from(v6) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> Option<IpAddr> {
        Some(address.parse().unwrap())
    }

    #[test]
    fn a_host_has_its_share_of_the_places() {
        let hosts = Hosts::new(8, None);
        for (addresses, other) in [
            (["192.0.2.1", "192.0.2.1", "::ffff:192.0.2.1"], "192.0.2.2"),
            (
                ["2001:db8::1", "2001:db8::2", "2001:db8::ffff:1"],
                "2001:db8:0:1::1",
            ),
        ] {
            let first = hosts.place(at(addresses[0])).unwrap();
            let _second = hosts.place(at(addresses[1])).unwrap();
            assert!(hosts.place(at(addresses[2])).is_none());
            let _other = hosts.place(at(other)).unwrap();
            drop(first);
            let _third = hosts.place(at(addresses[2])).unwrap();
            assert!(hosts.place(at(addresses[0])).is_none());
        }
        assert!(hosts.hosts.is_empty(), "no host is kept");
        let proxies: Vec<_> = (0..100).map(|_| hosts.place(None).unwrap()).collect();
        assert!(proxies.iter().all(|place| place.host.is_none()));
        assert!(Hosts::new(8, Some(1)).place(at("::1")).is_some());
        let hosts = Hosts::new(1, None);
        assert!(hosts.place(at("::1")).is_some());
    }

    #[test]
    fn bytes_are_bounded_for_each_host_and_for_all() {
        let hosts = Hosts::new(100, None);
        let place = |address| hosts.place(address).unwrap();
        let whole = BODIES_BYTES_OF_ONE_MAX + BODY_BYTES_FREE;
        let (one, other) = (place(at("192.0.2.1")), place(at("192.0.2.9")));
        let proxy = place(None);
        let mut first = Load::new(&one);
        assert!(first.grow(whole) && !first.grow(1), "its host's bound");
        let mut second = Load::new(&one);
        assert!(second.grow(BODY_BYTES_FREE), "small ones are always read");
        assert!(!second.grow(1));
        let places: Vec<_> = (2..=4)
            .map(|n| place(at(&format!("192.0.2.{n}"))))
            .collect();
        let mut loads: Vec<_> = places.iter().map(Load::new).collect();
        assert!(loads.iter_mut().all(|load| load.grow(whole)));
        let (mut proxied, mut late) = (Load::new(&proxy), Load::new(&other));
        for load in [&mut proxied, &mut late] {
            assert!(
                load.grow(BODY_BYTES_FREE) && !load.grow(1),
                "the bound of all"
            );
        }
        drop(first);
        assert!(second.grow(1) && proxied.grow(1));
        drop((second, loads, proxied, late));
        drop((one, other, proxy, places));
        assert_eq!(hosts.bytes.load(Ordering::Relaxed), 0);
        assert!(hosts.hosts.is_empty());
    }
}
