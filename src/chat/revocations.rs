//! Which sessions have ended, so that their connections can be closed: on this node, and by what other nodes have written.

use std::{
    collections::{HashSet, VecDeque},
    time::Instant,
};

use super::Chat;
use crate::{
    limits::{REVOCATIONS_PAGE, REVOCATIONS_WINDOW},
    protocol::{SessionId, UserId, close::Close, error::Refusal},
    store,
};

/// How far a node has read the revocations.
#[derive(Default)]
pub struct RevocationCursor {
    /// The newest ids, each with when it was read. An older transaction may still commit a lower id.
    heads: VecDeque<(Instant, u64)>,
    /// Ids above the oldest of `heads` that were read already.
    seen: HashSet<u64>,
}

impl Chat {
    /// Which of these sessions of a user have ended, and the code with which their connections are closed.
    pub async fn ended(
        &self,
        user_id: UserId,
        sessions: &[SessionId],
    ) -> Result<(Vec<SessionId>, Close), Refusal> {
        let (unrevoked, active) = self.store.unrevoked_sessions(user_id, sessions).await?;
        let goes_on = |id: &SessionId| active && unrevoked.contains(id);
        let ended = sessions.iter().copied().filter(|id| !goes_on(id));
        let ended = ended.collect();
        let close = if active {
            Close::Revoked
        } else {
            Close::Disabled
        };
        Ok((ended, close))
    }

    /// Users of whom sessions have ended since the last call, on any node. Ids are not in commit order, so each call reads
    /// the last [`REVOCATIONS_WINDOW`] again, which is longer than any transaction can run.
    pub async fn revoked_since(
        &self,
        cursor: &mut RevocationCursor,
    ) -> Result<HashSet<UserId>, Refusal> {
        // This is asked all the time: an unavailable database is logged by those who need it more.
        let silent = |_: store::Error| Refusal::unavailable();
        if cursor.heads.is_empty() {
            // Some of the newest ones may not have committed yet.
            let last = self.store.last_revocation().await.map_err(silent)?;
            let floor = last.saturating_sub(REVOCATIONS_PAGE as u64);
            cursor.heads.push_back((Instant::now(), floor));
        }
        while cursor.heads.len() > 1 && cursor.heads[1].0.elapsed() > REVOCATIONS_WINDOW {
            cursor.heads.pop_front();
        }
        let floor = cursor.heads[0].1;
        cursor.seen.retain(|id| *id > floor);
        let mut newest = floor;
        let mut all = Vec::new();
        loop {
            let rows = self.store.revocations_after(newest).await.map_err(silent)?;
            let more = rows.len() == REVOCATIONS_PAGE;
            newest = rows.last().map_or(newest, |row| row.id);
            all.extend(rows);
            if !more {
                break;
            }
        }
        let fresh = all.into_iter().filter(|row| cursor.seen.insert(row.id));
        let users: HashSet<UserId> = fresh.map(|row| row.user_id).collect();
        if cursor.heads.back().is_none_or(|head| head.1 < newest) {
            cursor.heads.push_back((Instant::now(), newest));
        }
        for user_id in &users {
            self.sessions.forget(*user_id);
        }
        Ok(users)
    }
}
