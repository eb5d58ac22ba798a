//! Rate limits by user, or by another key: one bucket for each, forgotten when it is full again.

use std::{hash::Hash, num::NonZeroU32, time::Duration};

use governor::{
    DefaultKeyedRateLimiter, Quota,
    clock::{Clock, DefaultClock},
};

use crate::protocol::{UserId, error::Refusal};

/// Whether the limits by user and by network apply. They are lifted for measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateLimits {
    Enforced,
    Lifted,
}

impl From<bool> for RateLimits {
    fn from(enforced: bool) -> Self {
        if enforced {
            Self::Enforced
        } else {
            Self::Lifted
        }
    }
}

/// The rate limit of one kind of request.
pub struct Limiter<K: Hash + Eq + Clone = UserId> {
    /// `None`: the limit is lifted.
    buckets: Option<DefaultKeyedRateLimiter<K>>,
    burst: NonZeroU32,
    clock: DefaultClock,
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    /// One request in every `interval`, and `burst` at once.
    pub fn new(interval: Duration, burst: u32, limits: RateLimits) -> Self {
        let burst = NonZeroU32::new(burst).expect("a limit is not 0");
        let quota = Quota::with_period(interval).expect("a limit's period is not 0");
        Self {
            buckets: (limits == RateLimits::Enforced)
                .then(|| DefaultKeyedRateLimiter::keyed(quota.allow_burst(burst))),
            burst,
            clock: DefaultClock::default(),
        }
    }

    /// Takes one from the bucket of this key, or refuses and says how long to wait.
    pub fn charge(&self, key: K) -> Result<(), Refusal> {
        self.charge_many(key, NonZeroU32::MIN)
    }

    /// Takes `count` at once, but at most a whole bucket, or takes none and says how long to wait.
    pub fn charge_many(&self, key: K, count: NonZeroU32) -> Result<(), Refusal> {
        let Some(buckets) = &self.buckets else {
            return Ok(());
        };
        let taken = buckets.check_key_n(&key, count.min(self.burst));
        taken.expect("a bucket holds it").map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            Refusal::rate_limited(wait.max(Duration::from_millis(1)))
        })
    }

    /// The number of buckets that are not full.
    pub fn len(&self) -> usize {
        self.buckets.as_ref().map_or(0, |buckets| buckets.len())
    }

    pub fn prune(&self) {
        if let Some(buckets) = &self.buckets {
            buckets.retain_recent();
            buckets.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_held_back_alone_and_only_when_limits_are_on() {
        let limiter = Limiter::new(Duration::from_secs(60), 3, RateLimits::Enforced);
        for _ in 0..3 {
            limiter.charge(UserId(1)).unwrap();
        }
        let wait = limiter.charge(UserId(1)).unwrap_err().retry_after.unwrap();
        assert!(wait > Duration::from_secs(50) && wait <= Duration::from_secs(60));
        limiter.charge(UserId(2)).unwrap();
        limiter.prune();
        limiter.charge(UserId(1)).unwrap_err();

        let several = Limiter::new(Duration::from_secs(60), 3, RateLimits::Enforced);
        let count = |count| NonZeroU32::new(count).unwrap();
        several.charge_many(UserId(1), count(2)).unwrap();
        // Nothing is taken if there isn't enough.
        several.charge_many(UserId(1), count(2)).unwrap_err();
        several.charge(UserId(1)).unwrap();
        several.charge_many(UserId(2), count(1_000)).unwrap();
        several.charge(UserId(2)).unwrap_err();

        let lifted = Limiter::new(Duration::from_secs(60), 1, RateLimits::Lifted);
        for _ in 0..10 {
            lifted.charge(UserId(1)).unwrap();
        }
    }
}
