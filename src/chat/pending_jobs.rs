//! Pending jobs: room changes that follow from an account change and were not finished with it. The request that changes the
//! account runs its job before it answers. A job that stays, because the client hung up, the database was away or the server
//! stopped, is run by [`Chat::run_pending_jobs`].

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::{Chat, refusals::mismatch};
use crate::{
    limits::*,
    protocol::{RoomId, UserId, error::Refusal, rest::User},
    store::{
        Change, Outcome,
        pending_jobs::{PendingJob, Task},
    },
};

impl Chat {
    /// Runs a job. `age`: how long ago it was first seen pending, zero for the request that made it. A failed job stays
    /// pending; the log says so ever less often.
    pub(super) async fn run_job(&self, job: PendingJob, age: Duration) {
        if let Err(refusal) = self.finish_job(job, age).await {
            let rounds = age.as_millis() / PENDING_JOBS_INTERVAL.as_millis();
            if rounds == 0 || rounds.is_power_of_two() {
                tracing::warn!(
                    user.id = job.user_id.0,
                    age_s = age.as_secs(),
                    refusal = %refusal.message,
                    "a room change after an account change stays pending"
                );
            }
        }
    }

    /// Runs pending jobs. Call it every [`PENDING_JOBS_INTERVAL`]. `seen`: the jobs of the last call by id, and since when they are
    /// pending, by a monotonic clock.
    pub async fn run_pending_jobs(&self, seen: &mut HashMap<u64, Instant>) {
        let mut pending = HashMap::new();
        let mut after = 0;
        loop {
            // An unavailable database is logged by those who need it more.
            let Ok(jobs) = self.store.pending_jobs(after).await else {
                return;
            };
            let Some(last) = jobs.last() else {
                *seen = pending;
                return;
            };
            after = last.id;
            for job in jobs {
                let since = seen.get(&job.id).copied();
                pending.insert(job.id, since.unwrap_or_else(Instant::now));
                // A new job may still be run by the request that made it.
                if let Some(since) = since {
                    self.run_job(job, since.elapsed()).await;
                }
            }
        }
    }

    async fn finish_job(&self, job: PendingJob, age: Duration) -> Result<(), Refusal> {
        match (self.store.user(job.user_id).await?, job.task) {
            // A deleted account joins no room.
            (Some(row), Task::Join(..)) if row.is_deleted() => {}
            (Some(row), Task::Join(room_id, by)) => self.join_by(&row.user, room_id, by).await?,
            (Some(row), Task::LeaveAll) => {
                self.leave_all(&row.user).await?;
                // A request that read the account before it was deleted may still add it to a room.
                if age <= DELETION_SETTLED_AFTER {
                    return Ok(());
                }
            }
            (None, _) => {}
        }
        Ok(self.store.delete_pending_job(&job).await?)
    }

    /// Adds an invited user to the invite's room. It is no error if the room can't be joined, because the inviter has left
    /// it or it is archived or deleted. A user who has been a member, and left or was removed, isn't added again.
    async fn join_by(&self, user: &User, room_id: RoomId, by: UserId) -> Result<(), Refusal> {
        let change = Change::Add {
            room_id,
            by,
            user: user.summary(),
            back: false,
        };
        match self.store.append(change).await? {
            Outcome::Joined { .. } | Outcome::Left { .. } | Outcome::Refused(_) => Ok(()),
            outcome => Err(mismatch(outcome)),
        }
    }
}
