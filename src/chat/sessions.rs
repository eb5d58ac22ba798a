//! Sessions: how they begin, whom an access token names, and how they end.
//!
//! Invariants: a session is a row before its tokens are given out; once its end has been answered, this node accepts no
//! request of it, and within a second no other node does.

use std::sync::Arc;

use super::{Chat, Identity, refusals::wrong_log_in};
use crate::{
    auth::tokens,
    limits::*,
    protocol::{
        SessionId, Time, UserId,
        error::{Code, Refusal},
        rest::{List, Session, Tokens, User},
    },
    store::sessions::NewSession,
};

/// Where a client gets its refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenDelivery {
    /// In the body of the answer.
    Body,
    Cookie,
}

/// Tokens of a session.
pub struct Granted {
    pub tokens: Tokens,
    /// The refresh token, if it is to be a cookie. [`Granted::tokens`] doesn't hold it then.
    pub cookie: Option<String>,
    /// Whether older sessions of the user have ended for this one, so that their connections must be closed.
    pub ended: bool,
}

impl Chat {
    /// Writes the session's row, then makes its tokens. `verified` is the hash of the password that was given.
    pub(super) async fn log_in(
        &self,
        user: User,
        verified: Option<String>,
        user_agent: &str,
        delivery: TokenDelivery,
    ) -> Result<Granted, Refusal> {
        let session_id = tokens::session_id();
        let refresh_token = tokens::refresh_token();
        let session = NewSession {
            id: session_id,
            user_id: user.id,
            verified,
            refresh_hash: tokens::hash(&refresh_token),
            user_agent: short(user_agent),
            expires_at: self.refresh_until(),
        };
        let begun = self.store.create_session(session).await?;
        let ended = begun.ok_or_else(wrong_log_in)? > 0;
        if ended {
            self.sessions.forget(user.id);
        }
        let granted = self.grant(user, session_id, refresh_token, delivery);
        Ok(Granted { ended, ..granted })
    }

    /// When a session ends that is begun or refreshed now.
    pub(super) fn refresh_until(&self) -> Time {
        Time(Time::now().0 + self.refresh_ttl.as_millis() as i64)
    }

    /// Makes an access token, and adds the refresh token to it.
    pub(super) fn grant(
        &self,
        user: User,
        session_id: SessionId,
        refresh_token: String,
        delivery: TokenDelivery,
    ) -> Granted {
        let (refresh_token, cookie) = match delivery {
            TokenDelivery::Body => (Some(refresh_token), None),
            TokenDelivery::Cookie => (None, Some(refresh_token)),
        };
        Granted {
            tokens: Tokens {
                access_token: self.tokens.issue(user.id, session_id),
                refresh_token,
                token_type: "bearer",
                expires_in: self.tokens.access_ttl().as_secs(),
                user,
            },
            cookie,
            ended: false,
        }
    }

    /// Whom the access token names. Refused with `token_expired`, `token_revoked` or `unauthorized`, and with `forbidden`
    /// if the account is disabled.
    pub async fn authenticate(&self, token: &str) -> Result<Identity, Refusal> {
        let access = self.tokens.verify(token)?;
        let user = self.session_user(access.session_id, access.user_id).await?;
        Ok(Identity {
            user,
            session_id: access.session_id,
            expires_at: access.expires_at,
        })
    }

    /// Whether an identity that was authenticated before is still valid.
    pub async fn confirm(&self, who: &Identity) -> Result<(), Refusal> {
        self.session_user(who.session_id, who.user.id).await?;
        Ok(())
    }

    /// The active user of a session that hasn't ended, if it is this user.
    async fn session_user(&self, id: SessionId, user_id: UserId) -> Result<Arc<User>, Refusal> {
        let user = match self.sessions.get(id) {
            Some(user) => user,
            None if self.sessions.has_ended(id) => return Err(revoked()),
            None => {
                let generation = self.sessions.generation(user_id);
                let Some(row) = self.store.session_user(id).await? else {
                    self.sessions.put_ended(id);
                    return Err(revoked());
                };
                let user = Arc::new(row.user);
                if user.is_active && user.id == user_id {
                    self.sessions.put(id, &user, generation);
                }
                user
            }
        };
        if user.id != user_id {
            let rule = "A valid access token is required.";
            return Err(Refusal::new(Code::Unauthorized, rule));
        }
        if !user.is_active {
            return Err(disabled());
        }
        Ok(user)
    }

    /// The asker's sessions, the most recently used first.
    pub async fn sessions(&self, who: &Identity) -> Result<List<Session>, Refusal> {
        let mut items = self.store.sessions(who.user.id).await?;
        for item in &mut items {
            item.current = item.id == who.session_id;
        }
        Ok(List {
            items,
            next: None,
            rev: None,
        })
    }

    /// Ends the session that asks.
    pub async fn log_out(&self, who: &Identity) -> Result<(), Refusal> {
        let ended = self.store.end_session(who.user.id, who.session_id).await;
        self.sessions.forget(who.user.id);
        ended?;
        Ok(())
    }

    /// Ends one of the asker's sessions.
    pub async fn end_session(&self, who: &Identity, id: SessionId) -> Result<(), Refusal> {
        self.changes.charge(who.user.id)?;
        let ended = self.store.end_session(who.user.id, id).await;
        self.sessions.forget(who.user.id);
        if ended? {
            Ok(())
        } else {
            Err(Refusal::not_found())
        }
    }

    /// Ends all of the asker's sessions, including this one.
    pub async fn log_out_everywhere(&self, who: &Identity) -> Result<(), Refusal> {
        let ended = self.store.end_sessions(who.user.id, None).await;
        self.sessions.forget(who.user.id);
        Ok(ended?)
    }

    /// Deletes the rows of sessions that ended long ago.
    pub(super) async fn prune_sessions(&self) {
        let kept = self.refresh_ttl + CLOCK_MARGIN;
        let used_before = Time(Time::now().0 - kept.as_millis() as i64);
        if let Err(error) = self.store.delete_ended(used_before).await
            && !error.was_logged()
        {
            tracing::warn!(%error, "old sessions could not be deleted");
        }
    }
}

/// A user agent as it is stored.
pub(super) fn short(user_agent: &str) -> String {
    user_agent.chars().take(USER_AGENT_CHARS_MAX).collect()
}

pub(super) fn revoked() -> Refusal {
    Refusal::new(Code::TokenRevoked, "This session has ended. Log in again.")
}

pub(super) fn disabled() -> Refusal {
    Refusal::forbidden("This account is disabled.")
}
