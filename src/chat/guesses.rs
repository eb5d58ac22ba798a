//! Limits on guessing passwords (OWASP ASVS 5.0, 6.3.1), charged before anything is computed, so that concurrent guesses are
//! all counted.
//!
//! Guesses are limited by network, for all networks together, for an account from one network, and for an account from all
//! networks together. The limits that count all networks don't apply to networks from which the account's owner has logged
//! in (its homes): an attacker elsewhere can't lock the owner out there. A correct password gives its network new guesses,
//! once in [`GUESSES_RENEWED_AFTER`]. Nothing is locked permanently. Unknown names are counted like known ones.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    num::NonZeroU32,
    time::{Duration, Instant},
};

use governor::{DefaultDirectRateLimiter, Quota, clock::Clock};
use quick_cache::sync::Cache;

use super::limiter::{Limiter, RateLimits};
use crate::{limits::*, protocol::error::Refusal};

/// The network of a client: of IPv4 the /24, of IPv6 the /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Network {
    V4([u8; 3]),
    V6([u8; 8]),
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                Network::V4([a, b, c])
            }
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Network::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

/// The hash of a name, so that long names take no more memory.
type Account = u64;

/// How often a correct password renewed the guesses from a network, and when it last did.
#[derive(Clone, Copy, Default)]
struct Home {
    renewed: u32,
    at: Option<Instant>,
}

pub struct Guesses {
    hasher: RandomState,
    networks: Limiter<Network>,
    /// The number is how often the guesses were renewed.
    pairs: Limiter<(Account, Network, u32)>,
    accounts: Limiter<Account>,
    registrations: Limiter<Network>,
    all: Total,
    /// The networks from which accounts were logged in to.
    homes: Cache<(Account, Network), Home>,
}

impl Guesses {
    pub fn new(limits: RateLimits) -> Self {
        Self {
            hasher: RandomState::new(),
            networks: Limiter::new(NETWORK_GUESS_INTERVAL, NETWORK_GUESSES, limits),
            pairs: Limiter::new(PAIR_GUESS_INTERVAL, PAIR_GUESSES, limits),
            accounts: Limiter::new(ACCOUNT_GUESS_INTERVAL, ACCOUNT_GUESSES, limits),
            registrations: Limiter::new(REGISTRATION_INTERVAL, REGISTRATIONS, limits),
            all: Total::new(ALL_GUESSES_INTERVAL, ALL_GUESSES, limits),
            homes: Cache::new(HOMES_MAX),
        }
    }

    /// Takes one guess at the password of this name, given in its folded form, or refuses and says how long to wait.
    pub fn charge(&self, name_key: &str, address: IpAddr) -> Result<(), Refusal> {
        let (account, network) = (self.hasher.hash_one(name_key), address.into());
        let found = self.homes.get(&(account, network));
        let home = found.is_some();
        let renewed = found.unwrap_or_default().renewed;
        // A guess that the account's limit refuses isn't charged to the network, and one that the network's limit refuses
        // isn't charged to all. When a flood of names or of networks fills the memory, the wider limit comes first instead.
        let many_networks = self.networks.len() >= GUESS_KEYS_MAX;
        let many_names = self.pairs.len() >= GUESS_KEYS_MAX;
        if many_networks && !home {
            self.all.charge()?;
        }
        if many_names {
            self.networks.charge(network)?;
        }
        self.pairs.charge((account, network, renewed))?;
        if !home {
            self.accounts.charge(account)?;
        }
        if !many_names {
            self.networks.charge(network)?;
        }
        if !many_networks && !home {
            self.all.charge()?;
        }
        Ok(())
    }

    /// Notes that the password was correct, or that the account was created from there.
    pub fn succeeded(&self, name_key: &str, address: IpAddr) {
        let key = (self.hasher.hash_one(name_key), address.into());
        let home = self.homes.get(&key).unwrap_or_default();
        if home
            .at
            .is_none_or(|at| at.elapsed() >= GUESSES_RENEWED_AFTER)
        {
            let renewed = home.renewed.wrapping_add(1);
            let at = Some(Instant::now());
            self.homes.insert(key, Home { renewed, at });
        }
    }

    /// Notes that a session of this account was refreshed from there.
    pub fn at_home(&self, name_key: &str, address: IpAddr) {
        let key = (self.hasher.hash_one(name_key), address.into());
        if self.homes.get(&key).is_none() {
            self.homes.insert(key, Home::default());
        }
    }

    /// Takes one registration.
    pub fn charge_registration(&self, address: IpAddr) -> Result<(), Refusal> {
        let many_networks = self.registrations.len() >= GUESS_KEYS_MAX;
        if many_networks {
            self.all.charge()?;
        }
        self.registrations.charge(address.into())?;
        if !many_networks {
            self.all.charge()?;
        }
        Ok(())
    }

    pub fn prune(&self) {
        self.networks.prune();
        self.pairs.prune();
        self.accounts.prune();
        self.registrations.prune();
    }
}

/// One limit for all clients together.
struct Total {
    bucket: Option<DefaultDirectRateLimiter>,
}

impl Total {
    fn new(interval: Duration, burst: u32, limits: RateLimits) -> Self {
        let burst = NonZeroU32::new(burst).expect("a limit is not 0");
        let quota = Quota::with_period(interval).expect("a limit's period is not 0");
        Self {
            bucket: (limits == RateLimits::Enforced)
                .then(|| DefaultDirectRateLimiter::direct(quota.allow_burst(burst))),
        }
    }

    fn charge(&self) -> Result<(), Refusal> {
        let Some(bucket) = &self.bucket else {
            return Ok(());
        };
        bucket.check().map_err(|until| {
            let wait = until.wait_time_from(bucket.clock().now());
            Refusal::rate_limited(wait.max(Duration::from_millis(1)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn guesses(guesses: &Guesses, name: &str, from: &str, tries: u32) -> u32 {
        let taken = (0..tries).filter(|_| guesses.charge(name, address(from)).is_ok());
        taken.count() as u32
    }

    #[test]
    fn networks_are_told_apart() {
        let same = |a: &str, b: &str| Network::from(address(a)) == Network::from(address(b));
        assert!(same("192.0.2.1", "192.0.2.200"));
        assert!(same("192.0.2.1", "::ffff:192.0.2.77"));
        assert!(!same("192.0.2.1", "192.0.3.1"));
        assert!(same("2001:db8::1", "2001:db8::ffff:1"));
        assert!(!same("2001:db8::1", "2001:db8:0:1::1"));
    }

    #[test]
    fn an_account_is_guessed_at_from_one_network_so_often() {
        let limits = Guesses::new(RateLimits::Enforced);
        assert_eq!(guesses(&limits, "ada", "192.0.2.1", 100), PAIR_GUESSES);
        assert_eq!(guesses(&limits, "ada", "192.0.2.9", 100), 0);
        // Another account can still be logged in to from the same network.
        assert_eq!(guesses(&limits, "bob", "192.0.2.1", 1), 1);
    }

    #[test]
    fn an_account_is_guessed_at_from_everywhere_so_often_and_its_owner_comes_home() {
        let limits = Guesses::new(RateLimits::Enforced);
        limits.succeeded("ada", address("192.0.2.1"));
        let mut taken = 0;
        for network in 0..50 {
            taken += guesses(&limits, "ada", &format!("198.51.{network}.1"), 5);
        }
        assert_eq!(taken, ACCOUNT_GUESSES);
        assert_eq!(guesses(&limits, "ada", "203.0.113.1", 1), 0);
        assert_eq!(guesses(&limits, "ada", "192.0.2.44", 1), 1);
    }

    #[test]
    fn a_right_password_gives_its_network_new_guesses() {
        let limits = Guesses::new(RateLimits::Enforced);
        assert_eq!(guesses(&limits, "ada", "192.0.2.1", 100), PAIR_GUESSES);
        limits.succeeded("ada", address("192.0.2.7"));
        assert_eq!(guesses(&limits, "ada", "192.0.2.1", 100), PAIR_GUESSES);
        // Not every time, or someone in the same network could guess as often as the owner's script logs in.
        limits.succeeded("ada", address("192.0.2.7"));
        assert_eq!(guesses(&limits, "ada", "192.0.2.1", 100), 0);
    }

    #[test]
    fn who_refreshes_is_at_home_and_gets_no_new_guesses() {
        let limits = Guesses::new(RateLimits::Enforced);
        for network in 0..50 {
            guesses(&limits, "ada", &format!("198.51.{network}.1"), 5);
        }
        assert_eq!(guesses(&limits, "ada", "192.0.2.1", 1), 0);
        limits.at_home("ada", address("192.0.2.1"));
        assert_eq!(guesses(&limits, "ada", "192.0.2.1", 4), 4);
        limits.at_home("ada", address("192.0.2.1"));
        assert!(guesses(&limits, "ada", "192.0.2.1", 100) <= PAIR_GUESSES - 4);
    }

    /// Guesses from many networks don't fill the memory, and the owner can still log in from home.
    #[test]
    fn networks_fill_no_memory() {
        let limits = Guesses::new(RateLimits::Enforced);
        limits.succeeded("ada", address("192.0.2.1"));
        for at in 0..3 * GUESS_KEYS_MAX {
            let network = format!("2001:db8:{:x}:{:x}::1", at >> 16, at & 0xffff);
            let _ = limits.charge(&at.to_string(), address(&network));
            let _ = limits.charge_registration(address(&network));
        }
        for keys in [
            limits.pairs.len(),
            limits.networks.len(),
            limits.registrations.len(),
        ] {
            assert!(keys < GUESS_KEYS_MAX + 2 * ALL_GUESSES as usize, "{keys}");
        }
        limits.charge("ada", address("192.0.2.1")).unwrap();
    }

    #[test]
    fn a_network_guesses_so_often() {
        let limits = Guesses::new(RateLimits::Enforced);
        let names = (0..1_000).map(|name| name.to_string());
        let taken = names.filter(|name| limits.charge(name, address("192.0.2.1")).is_ok());
        assert_eq!(taken.count() as u32, NETWORK_GUESSES);
    }

    #[test]
    fn names_fill_no_memory() {
        let limits = Guesses::new(RateLimits::Enforced);
        for name in 0..3 * GUESS_KEYS_MAX {
            let _ = limits.charge(&name.to_string(), address("192.0.2.1"));
        }
        let keys = limits.pairs.len();
        assert!(
            keys < GUESS_KEYS_MAX + 2 * NETWORK_GUESSES as usize,
            "{keys}"
        );
    }

    #[test]
    fn all_together_guess_so_often() {
        let limits = Guesses::new(RateLimits::Enforced);
        let mut taken = 0;
        for network in 0..250 {
            taken += guesses(
                &limits,
                &network.to_string(),
                &format!("198.51.{network}.1"),
                5,
            );
        }
        // Some time passes during the loop.
        assert!((ALL_GUESSES..ALL_GUESSES + 50).contains(&taken), "{taken}");
        // A home isn't limited by them.
        limits.succeeded("ada", address("192.0.2.1"));
        assert_eq!(guesses(&limits, "ada", "192.0.2.1", 100), PAIR_GUESSES);
        assert_eq!(
            guesses(&Guesses::new(RateLimits::Lifted), "ada", "192.0.2.1", 2_000),
            2_000
        );
    }
}
