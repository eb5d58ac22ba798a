//! Limits on what is read for one user, by REST and by sockets that catch up: rows by time, and reads at once.
//!
//! A read takes its rows from a bucket before it begins, and holds a turn while the database works, so that no user has more
//! than a small part of a node's database connections. Users who have used up their rows are slowed, then refused.

use std::{
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant},
};

use dashmap::DashMap;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};

use super::limiter::{Limiter, RateLimits};
use crate::{
    limits::{
        READ_PATIENCE, READ_PAUSE, READ_ROWS, READ_ROWS_BURST, READ_ROWS_PER_SECOND, READS_AT_ONCE,
        READS_AT_ONCE_POOL, READS_RETRY, READS_WAITING_MAX, STATEMENT_DEADLINE,
    },
    protocol::{UserId, error::Refusal},
};

/// The budgets of all users.
pub struct Reads {
    rows: Limiter,
    /// The turns of each user who reads or waits, and perhaps of others. `None`: the limit is lifted.
    turns: Option<DashMap<UserId, Arc<Semaphore>>>,
    at_once: usize,
}

/// One of a user's turns. It ends when this is dropped.
#[must_use]
pub struct Turn(#[expect(dead_code, reason = "held to be dropped")] Option<OwnedSemaphorePermit>);

impl Reads {
    pub fn new(pool: usize, limits: RateLimits) -> Self {
        let interval = Duration::from_secs(1) / READ_ROWS_PER_SECOND;
        Self {
            rows: Limiter::new(interval, READ_ROWS_BURST, limits),
            turns: (limits == RateLimits::Enforced).then(DashMap::new),
            at_once: (READS_AT_ONCE * pool / READS_AT_ONCE_POOL).clamp(1, READS_AT_ONCE),
        }
    }

    /// Charges a read of `rows` rows to the user, and waits for missing ones, at most [`READ_PATIENCE`].
    pub async fn pay(&self, user_id: UserId, rows: usize) -> Result<(), Refusal> {
        let rows = u32::try_from(rows).unwrap_or(READ_ROWS_BURST);
        let price = NonZeroU32::MIN.saturating_add(READ_ROWS - 1 + rows.min(READ_ROWS_BURST));
        self.take(user_id, price).await
    }

    async fn take(&self, user_id: UserId, rows: NonZeroU32) -> Result<(), Refusal> {
        metrics::counter!("reads_rows_total").increment(rows.get().into());
        let end = Instant::now() + READ_PATIENCE;
        loop {
            let Err(refusal) = self.rows.charge_many(user_id, rows) else {
                return Ok(());
            };
            let wait = refusal.retry_after.unwrap_or_default().max(READ_PAUSE);
            if Instant::now() + wait > end {
                return Err(limited(refusal));
            }
            sleep(wait).await;
        }
    }

    /// Waits for a turn of the user. Turns are given in the order in which they were asked for.
    pub async fn turn(&self, user_id: UserId) -> Result<Turn, Refusal> {
        let Some(turns) = &self.turns else {
            return Ok(Turn(None));
        };
        let new = || Arc::new(Semaphore::new(self.at_once));
        let turns = turns.entry(user_id).or_insert_with(new).clone();
        // All clones but the map's and this one belong to reads that run or wait.
        if Arc::strong_count(&turns) - 2 >= self.at_once + READS_WAITING_MAX {
            return Err(limited(Refusal::rate_limited(READS_RETRY)));
        }
        match timeout(STATEMENT_DEADLINE, turns.acquire_owned()).await {
            Ok(Ok(turn)) => Ok(Turn(Some(turn))),
            // Turns that don't end show that the database is slow.
            _ => Err(Refusal::unavailable()),
        }
    }

    /// Forgets users who have been inactive.
    pub fn prune(&self) {
        self.rows.prune();
        if let Some(turns) = &self.turns {
            turns.retain(|_, turns| Arc::strong_count(turns) > 1);
        }
    }
}

fn limited(refusal: Refusal) -> Refusal {
    metrics::counter!("reads_limited_total").increment(1);
    refusal
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: UserId = UserId(1);
    const BOB: UserId = UserId(2);

    fn rows(rows: u32) -> NonZeroU32 {
        NonZeroU32::new(rows).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_user_has_few_turns_at_once_and_no_one_else_waits_for_them() {
        let reads = Reads::new(8, RateLimits::Enforced);
        let first = reads.turn(ADA).await.unwrap();
        let second = reads.turn(ADA).await.unwrap();
        // The third waits until its deadline. Another user doesn't wait.
        let (third, other) = tokio::join!(reads.turn(ADA), reads.turn(BOB));
        assert!(third.is_err_and(|refusal| refusal.code.retryable()));
        drop(other.unwrap());
        drop(first);
        let third = reads.turn(ADA).await.unwrap();
        // A read that gives up waiting takes no turn.
        assert!(reads.turn(ADA).await.is_err());
        drop((second, third));
        reads.prune();
        assert!(
            reads.turns.as_ref().unwrap().is_empty(),
            "all are forgotten"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn small_pools_give_one_turn_and_lifted_limits_any_number() {
        for (pool, at_once) in [(1, 1), (4, 1), (7, 1), (8, 2), (1_000, 2)] {
            assert_eq!(
                Reads::new(pool, RateLimits::Enforced).at_once,
                at_once,
                "{pool}"
            );
        }
        let lifted = Reads::new(1, RateLimits::Lifted);
        let mut turns = Vec::new();
        for _ in 0..100 {
            turns.push(lifted.turn(ADA).await.unwrap());
        }
    }

    #[tokio::test]
    async fn who_has_used_up_their_rows_is_slowed_and_then_refused() {
        let reads = Reads::new(8, RateLimits::Enforced);
        reads.take(ADA, rows(READ_ROWS_BURST)).await.unwrap();
        // Rows that come back soon enough are waited for.
        reads
            .take(ADA, rows(READ_ROWS_PER_SECOND / 5))
            .await
            .unwrap();
        let refusal = reads.take(ADA, rows(READ_ROWS_BURST)).await.unwrap_err();
        assert!(refusal.code.retryable() && refusal.retry_after > Some(READ_PATIENCE));
        reads.take(BOB, rows(READ_ROWS_BURST)).await.unwrap();
    }
}
