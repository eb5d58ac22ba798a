//! Limits by user: a bucket each, forgotten when it is full again.

use std::{num::NonZeroU32, time::Duration};

use governor::{
    DefaultKeyedRateLimiter, Quota,
    clock::{Clock, DefaultClock},
};

use crate::protocol::{UserId, error::Refusal};

/// One kind of thing that a user may do so and so often.
pub struct Limiter {
    /// `None`: lifted.
    buckets: Option<DefaultKeyedRateLimiter<UserId>>,
    clock: DefaultClock,
}

impl Limiter {
    /// One in every `interval`, and `burst` at once.
    pub fn new(interval: Duration, burst: u32, enabled: bool) -> Self {
        let burst = NonZeroU32::new(burst).expect("a limit is not 0");
        let quota = Quota::with_period(interval).expect("a limit's period is not 0");
        Self {
            buckets: enabled.then(|| DefaultKeyedRateLimiter::keyed(quota.allow_burst(burst))),
            clock: DefaultClock::default(),
        }
    }

    /// Takes one from the user's bucket, or says how long to wait.
    pub fn charge(&self, user_id: UserId) -> Result<(), Refusal> {
        let Some(buckets) = &self.buckets else {
            return Ok(());
        };
        buckets.check_key(&user_id).map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            Refusal::rate_limited(wait.max(Duration::from_millis(1)))
        })
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
        let limiter = Limiter::new(Duration::from_secs(60), 3, true);
        for _ in 0..3 {
            limiter.charge(UserId(1)).unwrap();
        }
        let wait = limiter.charge(UserId(1)).unwrap_err().retry_after.unwrap();
        assert!(wait > Duration::from_secs(50) && wait <= Duration::from_secs(60));
        limiter.charge(UserId(2)).unwrap();
        limiter.prune();
        limiter.charge(UserId(1)).unwrap_err();

        let lifted = Limiter::new(Duration::from_secs(60), 1, false);
        for _ in 0..10 {
            lifted.charge(UserId(1)).unwrap();
        }
    }
}
