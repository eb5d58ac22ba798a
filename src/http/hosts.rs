//! What one host may hold of the server, and all of them together: connections, and bytes of bodies that are not whole
//! yet.
//!
//! A host is an IPv4 address, or a network of IPv6 of /64, as one customer has it. A proxy whose word is taken is none: what
//! comes by it counts for the address that it notes, while the request is served or its socket lives.
//!
//! Invariant: what is counted is counted by a value that lives as long as what it stands for.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use dashmap::{DashMap, Entry};

use crate::{
    limits::{
        BODIES_BYTES_MAX, BODIES_BYTES_OF_ONE_MAX, BODY_BYTES_FREE, SHARES_OF_CONNECTIONS,
        TOLD_AGAIN_AFTER,
    },
    protocol::error::{Code, Refusal},
};

/// All hosts that hold something.
pub struct Hosts {
    /// Connections of one host.
    places_max: usize,
    /// Of all bodies, beyond what each has for nothing.
    bytes: AtomicUsize,
    hosts: DashMap<IpAddr, Held>,
    /// When the log was told of one that wants more.
    told: Mutex<Option<Instant>>,
}

/// What one host holds.
#[derive(Default)]
struct Held {
    places: usize,
    bytes: usize,
}

/// A connection's place, or that of what came by a proxy.
pub struct Place {
    hosts: Arc<Hosts>,
    /// `None`: a proxy's connection.
    host: Option<IpAddr>,
}

/// What has come of a body, until it is whole.
pub struct Load<'a> {
    place: &'a Place,
    bytes: usize,
}

impl Hosts {
    /// `of_one`: connections of one host at most; else its share of `connections_max`.
    pub fn new(connections_max: usize, of_one: Option<usize>) -> Arc<Self> {
        let share = connections_max.div_ceil(SHARES_OF_CONNECTIONS);
        Arc::new(Self {
            places_max: of_one.unwrap_or(share),
            bytes: AtomicUsize::new(0),
            hosts: DashMap::new(),
            told: Mutex::default(),
        })
    }

    /// A place for who is at this address, if their host has one left; `None`: for a proxy.
    pub fn place(self: &Arc<Self>, address: Option<IpAddr>) -> Option<Place> {
        let host = address.map(host_of);
        if let Some(host) = host {
            let mut held = self.hosts.entry(host).or_default();
            if held.places >= self.places_max {
                drop(held);
                metrics::counter!("connections_refused_total").increment(1);
                self.tell(host);
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

    /// Once in a while, not for each connection.
    fn tell(&self, host: IpAddr) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|at| at.elapsed() >= TOLD_AGAIN_AFTER) {
            *told = Some(Instant::now());
            tracing::warn!(
                client.address = %host,
                places = self.places_max,
                "more connections come from one address than it may have: HEARTH_CONNECTIONS_PER_ADDRESS is for many people \
                 behind one, HEARTH_TRUSTED_PROXIES for a proxy"
            );
        }
    }

    /// Counts more bytes, if all together and this host stay within their bounds.
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
            // Its loads have ended: each borrows its place.
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

    /// Counts what has come. False: it isn't counted, and is not to be kept.
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

/// What is heard while too much is held of others' bodies.
pub fn full() -> Refusal {
    let rule = "The server holds too many large requests at the moment. Try again.";
    let mut refusal = Refusal::new(Code::Unavailable, rule);
    refusal.retry_after = Some(Duration::from_secs(1));
    refusal
}

/// What is heard whose host has all its places.
pub fn too_many() -> Refusal {
    let mut refusal = Refusal::rate_limited(Duration::from_secs(5));
    refusal.message = "Too many connections come from this address. Try again later.".into();
    refusal
}

/// Whom an address belongs to.
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
        assert!(hosts.hosts.is_empty(), "all are forgotten");
        let proxies: Vec<_> = (0..100).map(|_| hosts.place(None).unwrap()).collect();
        assert!(proxies.iter().all(|place| place.host.is_none()));
        assert!(Hosts::new(8, Some(1)).place(at("::1")).is_some());
        let hosts = Hosts::new(1, None);
        assert!(hosts.place(at("::1")).is_some());
    }

    #[test]
    fn bytes_have_a_bound_for_each_host_and_for_all() {
        let hosts = Hosts::new(100, None);
        let place = |address| hosts.place(address).unwrap();
        let whole = BODIES_BYTES_OF_ONE_MAX + BODY_BYTES_FREE;
        let (one, other) = (place(at("192.0.2.1")), place(at("192.0.2.9")));
        let proxy = place(None);
        let mut first = Load::new(&one);
        assert!(first.grow(whole) && !first.grow(1), "its host's bound");
        let mut second = Load::new(&one);
        assert!(second.grow(BODY_BYTES_FREE), "small ones are always taken");
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
