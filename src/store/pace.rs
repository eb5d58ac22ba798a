//! When a busy writer begins its next transaction. Pure.
//!
//! A transaction costs nearly as much for one change as for ten, and so does what follows it in each room: a task that is woken, a
//! write to each socket. Where many changes arrive, a writer therefore begins one transaction at most every
//! [`COMMIT_INTERVAL`]. Where few arrive, nothing waits.

use std::time::{Duration, Instant};

use crate::limits::{COMMIT_INTERVAL, PACED_CHANGES};

/// About how far the rate looks back.
const WINDOW: Duration = Duration::from_millis(100);

/// The pace of one writer.
pub struct Pace {
    /// When its last transaction began.
    began: Option<Instant>,
    /// Changes of about the last [`WINDOW`], the older ones counting less.
    recent: f64,
}

impl Pace {
    pub const fn new() -> Self {
        Self {
            began: None,
            recent: 0.0,
        }
    }

    /// How long the next transaction waits for more changes.
    pub fn wait(&self, now: Instant) -> Duration {
        let Some(began) = self.began else {
            return Duration::ZERO;
        };
        if self.recent < PACED_CHANGES * WINDOW.as_secs_f64() {
            return Duration::ZERO;
        }
        (began + COMMIT_INTERVAL).saturating_duration_since(now)
    }

    /// A transaction of so many changes begins.
    pub fn began(&mut self, now: Instant, changes: usize) {
        let past = self.began.map_or(Duration::MAX, |began| now - began);
        self.recent *= (-past.div_duration_f64(WINDOW)).exp();
        self.recent += changes as f64;
        self.began = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The waits of transactions where a change arrives every `interval`, for a second. Each takes what has arrived.
    fn waits(interval: Duration) -> Vec<Duration> {
        let start = Instant::now();
        let (mut pace, mut waits, mut taken) = (Pace::new(), Vec::new(), 0);
        let mut now = start;
        while now < start + Duration::from_secs(1) {
            now = now.max(start + interval * (taken + 1));
            let wait = pace.wait(now);
            now += wait;
            let arrived = (now - start).div_duration_f64(interval) as u32;
            pace.began(now, (arrived - taken) as usize);
            taken = arrived;
            waits.push(wait);
        }
        waits
    }

    #[test]
    fn only_where_many_arrive_they_wait() {
        for rate in [1, 10, 100, 300] {
            let waits = waits(Duration::from_secs(1) / rate);
            assert!(waits.iter().all(Duration::is_zero), "{rate}: {waits:?}");
        }
        for rate in [1_000, 2_000, 20_000] {
            let waits = waits(Duration::from_secs(1) / rate);
            let most = 1.1 / COMMIT_INTERVAL.as_secs_f64();
            assert!(waits.len() < most as usize + 60, "{rate}: {}", waits.len());
            assert!(waits.iter().all(|wait| *wait <= COMMIT_INTERVAL));
        }
    }

    #[test]
    fn after_a_busy_time_a_lone_change_does_not_wait() {
        let mut now = Instant::now();
        let mut pace = Pace::new();
        for _ in 0..1_000 {
            now += COMMIT_INTERVAL;
            pace.began(now, 256);
        }
        assert!(pace.wait(now) > Duration::ZERO);
        assert_eq!(pace.wait(now + COMMIT_INTERVAL), Duration::ZERO);
        now += Duration::from_secs(2);
        pace.began(now, 1);
        assert_eq!(pace.wait(now), Duration::ZERO);
    }
}
