//! Chores: what the change of an account has still to do in rooms. The request that makes one does it before it
//! answers; what it could not finish, because its asker hung up, the database was away or the server stopped,
//! is done by a sweep.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::{Chat, mismatch, refuse};
use crate::{
    limits::*,
    protocol::{RoomId, UserId, error::Refusal, rest::User},
    store::{
        Change, Outcome,
        pending_jobs::{PendingJob, Task},
    },
};

impl Chat {
    /// Does a chore that a sweep met so long ago; by the request that made it: just now. What fails is left to
    /// [`Chat::sweep`], and told of ever less often.
    pub(super) async fn attend(&self, chore: PendingJob, age: Duration) {
        if let Err(refusal) = self.finish(chore, age).await {
            let rounds = age.as_millis() / CHORES_INTERVAL.as_millis();
            if rounds == 0 || rounds.is_power_of_two() {
                tracing::warn!(
                    user.id = chore.user_id.0,
                    age_s = age.as_secs(),
                    refusal = %refusal.message,
                    "what an account's change does in rooms is done later"
                );
            }
        }
    }

    /// Does what was left of chores: to be called every [`CHORES_INTERVAL`]. `met`: those of the last time by id, and
    /// since when; their age is told by a clock that doesn't step.
    pub async fn sweep(&self, met: &mut HashMap<u64, Instant>) {
        let mut left = HashMap::new();
        let mut after = 0;
        loop {
            // A database that is away is told of by those who need more of it.
            let Ok(chores) = self.store.pending_jobs(after).await else {
                return;
            };
            let Some(last) = chores.last() else {
                *met = left;
                return;
            };
            after = last.id;
            for chore in chores {
                let before = met.get(&chore.id).copied();
                left.insert(chore.id, before.unwrap_or_else(Instant::now));
                // One that wasn't there before is perhaps being done by the request that made it.
                if let Some(before) = before {
                    self.attend(chore, before.elapsed()).await;
                }
            }
        }
    }

    async fn finish(&self, chore: PendingJob, age: Duration) -> Result<(), Refusal> {
        let row = self.store.user(chore.user_id).await.map_err(refuse)?;
        match (row, chore.task) {
            // Whose account is gone by now has left for good.
            (Some(row), Task::Join(..)) if row.is_deleted() => {}
            (Some(row), Task::Join(room_id, by)) => self.bring_in(&row.user, room_id, by).await?,
            (Some(row), Task::LeaveAll) => {
                // Somebody who still saw the account may have added it to a room that was looked for before.
                self.leave_all(&row.user).await?;
                if age <= DELETION_SETTLED_AFTER {
                    return Ok(());
                }
            }
            (None, _) => {}
        }
        self.store.delete_pending_job(&chore).await.map_err(refuse)
    }

    /// A room that can't be joined, because its inviter has left it or it is archived or gone, is no fault of
    /// whom he invited. Who was in it by now, and left or was removed, isn't brought back by a chore that is done
    /// again.
    async fn bring_in(&self, user: &User, room_id: RoomId, by: UserId) -> Result<(), Refusal> {
        let user = user.summary();
        let back = false;
        let change = Change::Add {
            room_id,
            by,
            user,
            back,
        };
        match self.store.append(change).await.map_err(refuse)? {
            Outcome::Joined { .. } | Outcome::Left { .. } | Outcome::Refused(_) => Ok(()),
            outcome => Err(mismatch(outcome)),
        }
    }
}
