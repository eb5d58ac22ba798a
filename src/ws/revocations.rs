//! The end of log-ins on live sockets: closed with 4501, or with 4502 when the account is disabled.

use std::collections::HashSet;

use tokio::time::{self, MissedTickBehavior};

use super::Gateway;
use crate::{
    chat::Watched,
    limits::REVOCATIONS_INTERVAL,
    protocol::{UserId, close::Close, error::Refusal},
};

impl Gateway {
    /// Closes those connections of a user whose log-in has ended. Once it returns, nothing is delivered to
    /// them, and no frame of theirs is taken up.
    pub async fn enforce(&self, user_id: UserId) -> Result<(), Refusal> {
        let sessions = self.hub.sessions_of(user_id);
        if sessions.is_empty() {
            return Ok(());
        }
        let (ended, close) = self.chat.ended(user_id, &sessions).await?;
        self.hub.end(user_id, &ended, close);
        Ok(())
    }

    /// As [`Gateway::enforce`], also where the database can't be asked in time which log-ins have ended: then all of the
    /// user's connections are closed, and whoever still has a log-in comes back.
    pub async fn enforce_at_once(&self, user_id: UserId) {
        if self.enforce(user_id).await.is_err() {
            let sessions = self.hub.sessions_of(user_id);
            self.hub.end(user_id, &sessions, Close::GoingAway);
        }
    }

    /// Enforces what ends elsewhere: on other nodes, by the command line, or here in a request that did not
    /// live to see to it.
    pub async fn watch_revocations(self) {
        let mut watched = Watched::default();
        let mut users: HashSet<UserId> = HashSet::new();
        let mut interval = time::interval(REVOCATIONS_INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            // The next round asks again.
            if let Ok(revoked) = self.chat.revoked_since(&mut watched).await {
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
