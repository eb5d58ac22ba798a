//! Closes the connections of sessions that have ended: with 4501, or with 4502 if the account is disabled.

use std::collections::HashSet;

use tokio::time::{self, MissedTickBehavior};

use super::gateway::Gateway;
use crate::{
    chat::RevocationCursor,
    limits::REVOCATIONS_INTERVAL,
    protocol::{UserId, close::Close, error::Refusal},
};

impl Gateway {
    /// Closes those connections of a user whose session has ended. When this returns, nothing is delivered to them any
    /// more, and none of their frames is acted on.
    pub async fn enforce(&self, user_id: UserId) -> Result<(), Refusal> {
        let sessions = self.hub.sessions_of(user_id);
        if sessions.is_empty() {
            return Ok(());
        }
        let (ended, close) = self.chat.ended(user_id, &sessions).await?;
        self.hub.end(user_id, &ended, close);
        Ok(())
    }

    /// As [`Gateway::enforce`]. If the database can't say in time which sessions have ended, all of the user's connections
    /// are closed, and those whose session goes on come back.
    pub async fn enforce_at_once(&self, user_id: UserId) {
        if self.enforce(user_id).await.is_err() {
            let sessions = self.hub.sessions_of(user_id);
            self.hub.end(user_id, &sessions, Close::GoingAway);
        }
    }

    /// Enforces the end of sessions that ended elsewhere: on other nodes, by a command, or here in a request that was
    /// cancelled before it could enforce it. Runs for ever.
    pub async fn watch_revocations(self) {
        let mut cursor = RevocationCursor::default();
        let mut users: HashSet<UserId> = HashSet::new();
        let mut interval = time::interval(REVOCATIONS_INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            // After an error the next round asks again.
            if let Ok(revoked) = self.chat.revoked_since(&mut cursor).await {
                users.extend(revoked);
            }
            let mut left = HashSet::new();
            for user_id in users {
                if self.enforce(user_id).await.is_err() {
                    left.insert(user_id);
                }
            }
            users = left;
        }
    }
}
