//! The exchange of a refresh token for its successor and an access token.

use super::{
    Chat, Device,
    sessions::{Granted, TokenDelivery, disabled, revoked, short},
};
use crate::{
    auth::tokens,
    limits::TOKEN_BYTES_MAX,
    protocol::{
        UserId,
        error::{Code, Refusal},
        fold::fold,
    },
    store::sessions::{Exchange, Exchanged},
};

/// Why a refresh was refused.
pub struct RefreshRefused {
    pub refusal: Refusal,
    /// A user of whom a session has ended because of it, so that its connections must be closed.
    pub ended: Option<UserId>,
}

impl From<Refusal> for RefreshRefused {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            ended: None,
        }
    }
}

impl RefreshRefused {
    /// Which of several refusals is told: first the one after which the same token may work later, last the one that says
    /// nothing of a token.
    fn weight(&self) -> u8 {
        match self.refusal.code {
            Code::Unauthorized => 0,
            Code::TokenRevoked => 1,
            Code::Forbidden => 2,
            _ => 3,
        }
    }
}

impl Chat {
    /// Exchanges a refresh token. One that was exchanged before ends its session (RFC 9700 section 4.14.2), unless the same
    /// device sends it again within [`REFRESH_GRACE`](crate::limits::REFRESH_GRACE).
    ///
    /// `shown`: a browser may send several tokens, if cookies of the same name were set for different paths or hosts. The first
    /// valid one is exchanged. If tokens of several active sessions are sent, one that was exchanged before is a leftover and
    /// ends nothing. Unknown tokens, and those of sessions that have ended, don't count for this.
    pub async fn refresh(
        &self,
        shown: &[&str],
        from: Device<'_>,
        delivery: TokenDelivery,
    ) -> Result<Granted, RefreshRefused> {
        let mut known = Vec::new();
        for token in shown.iter().filter(|token| token.len() <= TOKEN_BYTES_MAX) {
            self.lookups.charge(from.address.into())?;
            // An unknown token starts no transaction that writes.
            let found = self.store.refreshed(tokens::hash(token)).await;
            let found = found.map_err(Refusal::from)?;
            known.extend(found.map(|owner| (*token, owner)));
        }
        let of_active = known.iter().filter(|(_, (_, ended))| ended.is_none());
        let reuse_ends = of_active.count() == 1;
        let mut refused = RefreshRefused::from(unknown());
        for (token, owner) in known {
            // The limit of a session that has ended is its own, so that its old tokens use up nothing of the user's.
            let exchanged = match self.refreshes.charge(owner) {
                Ok(()) => self.exchange(token, from, delivery, reuse_ends).await,
                Err(spent) => Err(spent.into()),
            };
            match exchanged {
                // Another token would get the same answer.
                Err(away) if away.refusal.code == Code::Unavailable => return Err(away),
                Err(other) if other.weight() >= refused.weight() => refused = other,
                Err(_) => {}
                granted => return granted,
            }
        }
        Err(refused)
    }

    async fn exchange(
        &self,
        refresh_token: &str,
        from: Device<'_>,
        delivery: TokenDelivery,
        reuse_ends: bool,
    ) -> Result<Granted, RefreshRefused> {
        let successor = self.tokens.successor(refresh_token);
        let shown = tokens::hash(refresh_token);
        let exchange = Exchange {
            shown,
            successor: tokens::hash(&successor),
            user_agent: short(from.user_agent),
            reuse_ends,
            ago: self.sessions.exchanged_ago(&shown),
            expires_at: self.refresh_until(),
        };
        let exchanged = self.store.exchange(exchange).await;
        let exchanged = exchanged.map_err(Refusal::from)?;
        if matches!(exchanged, Exchanged::Successor(..)) {
            self.sessions.put_exchanged(shown);
        }
        match exchanged {
            Exchanged::Successor(_, row) | Exchanged::Again(_, row) if !row.user.is_active => {
                Err(disabled().into())
            }
            Exchanged::Successor(id, row) | Exchanged::Again(id, row) => {
                let name_key = fold(&row.user.username);
                self.guesses.at_home(&name_key, from.address);
                Ok(self.grant(row.user, id, successor, delivery))
            }
            Exchanged::Ended => Err(revoked().into()),
            Exchanged::Unknown => Err(unknown().into()),
            Exchanged::Reused(user_id, session_id) => {
                self.sessions.forget(user_id);
                metrics::counter!("refresh_tokens_reused_total").increment(1);
                tracing::warn!(
                    user.id = user_id.0,
                    session.id = session_id.0,
                    "a refresh token was used twice: its session was ended"
                );
                Err(RefreshRefused {
                    refusal: revoked(),
                    ended: Some(user_id),
                })
            }
        }
    }

    /// Whether this refresh token is, or was, that of a session that hasn't ended.
    pub async fn may_refresh(&self, refresh_token: &str) -> Result<bool, Refusal> {
        if refresh_token.len() > TOKEN_BYTES_MAX {
            return Ok(false);
        }
        let found = self.store.refreshed(tokens::hash(refresh_token)).await?;
        Ok(matches!(found, Some((_, None))))
    }
}

fn unknown() -> Refusal {
    Refusal::new(Code::Unauthorized, "A valid refresh token is required.")
}
