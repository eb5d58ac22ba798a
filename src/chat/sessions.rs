//! Log-ins: their tokens, who a token names, the exchange of refresh tokens, and their end.
//!
//! Invariants: a log-in is a row before its tokens are given away; once the end of a log-in is answered,
//! no request of it is let in on this node, and within a second on no other.

use std::{
    collections::{HashSet, VecDeque},
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use quick_cache::sync::Cache;

use super::{Chat, Device, Identity, accounts::at_most, refuse};
use crate::{
    auth::{passwords, tokens},
    limits::*,
    protocol::{
        SessionId, Time, UserId,
        check::Checks,
        close::Close,
        error::{Code, Refusal},
        fold::fold,
        rest::{DeleteMeBody, List, LogIn, PasswordBody, Tokens, User},
    },
    store::sessions::{Exchange, Exchanged, Hash, NewSession},
};

/// The users of recent log-ins, so that a request needn't read them: bounded in number and in age.
///
/// Whatever ends a log-in of a user, or changes him, makes him be read again, what is being read at that
/// moment too. It is noted in one of a few places that users share, so that nothing has to be kept of each;
/// who shares his is read again as well.
pub struct Sessions {
    users: Cache<SessionId, Remembered>,
    generations: Box<[AtomicU64]>,
    /// Log-ins that had ended when they were looked up.
    ended: Cache<SessionId, Instant>,
    /// When refresh tokens were exchanged here, by their hash.
    exchanges: Cache<Hash, Instant>,
}

#[derive(Clone)]
struct Remembered {
    user: Arc<User>,
    since: Instant,
    generation: u64,
}

impl Sessions {
    pub fn new() -> Self {
        Self {
            users: Cache::new(SESSIONS_CACHED),
            generations: (0..SESSION_GENERATIONS)
                .map(|_| AtomicU64::new(0))
                .collect(),
            ended: Cache::new(SESSIONS_CACHED),
            exchanges: Cache::new(EXCHANGES_REMEMBERED),
        }
    }

    fn slot(&self, user_id: UserId) -> &AtomicU64 {
        &self.generations[user_id.0 as usize % SESSION_GENERATIONS]
    }

    /// The present generation of a user: take it before reading what is to be [`Sessions::put`].
    fn generation(&self, user_id: UserId) -> u64 {
        self.slot(user_id).load(Ordering::SeqCst)
    }

    fn get(&self, id: SessionId) -> Option<Arc<User>> {
        let found = self.users.get(&id)?;
        let fresh = found.generation == self.generation(found.user.id)
            && found.since.elapsed() < SESSION_CACHED_FOR;
        fresh.then_some(found.user)
    }

    fn has_ended(&self, id: SessionId) -> bool {
        let seen = self.ended.get(&id);
        seen.is_some_and(|at| at.elapsed() < SESSION_CACHED_FOR)
    }

    fn put(&self, id: SessionId, user: &Arc<User>, generation: u64) {
        let remembered = Remembered {
            user: user.clone(),
            since: Instant::now(),
            generation,
        };
        self.users.insert(id, remembered);
    }

    pub fn forget(&self, user_id: UserId) {
        self.slot(user_id).fetch_add(1, Ordering::SeqCst);
    }
}

/// Tokens of a log-in, and how the refresh token is to travel.
pub struct Granted {
    pub tokens: Tokens,
    /// The refresh token, which is not in [`Granted::tokens`] then.
    pub cookie: Option<String>,
    /// Whether older log-ins of the user ended for this one: their connections are to be looked at.
    pub ended: bool,
}

/// What a node has read of the revocations.
#[derive(Default)]
pub struct Watched {
    /// The newest ids, each with when it was read: an older transaction may still commit a lower one.
    heads: VecDeque<(Instant, u64)>,
    /// Those above the oldest of `heads` that were acted upon.
    seen: HashSet<u64>,
}

impl Chat {
    /// Writes the log-in's row, then makes its tokens. `verified` is the hash of the password that was given.
    pub(super) async fn log_in(
        &self,
        user: User,
        verified: Option<String>,
        user_agent: &str,
        cookie: Option<bool>,
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
        let begun = self.store.create_session(session).await.map_err(refuse)?;
        let ended = begun.ok_or_else(wrong_log_in)? > 0;
        if ended {
            self.sessions.forget(user.id);
        }
        let mut granted = self.grant(user, session_id, refresh_token, cookie == Some(true));
        granted.ended = ended;
        Ok(granted)
    }

    fn refresh_until(&self) -> Time {
        Time(Time::now().0 + self.refresh_ttl.as_millis() as i64)
    }

    fn grant(
        &self,
        user: User,
        session_id: SessionId,
        refresh_token: String,
        cookie: bool,
    ) -> Granted {
        let (refresh_token, cookie) = match cookie {
            true => (None, Some(refresh_token)),
            false => (Some(refresh_token), None),
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

    /// Exchanges a refresh token for its successor and an access token. One that was exchanged before ends
    /// its log-in (RFC 9700 section 4.14.2), unless the same device shows it again within
    /// [`REFRESH_GRACE`]. [`Refresh::ended`] tells whose connections are to be looked at then.
    ///
    /// A browser may show several, of cookies that have one name and were set for other paths or hosts: the first
    /// that lives counts. Where several are of log-ins that haven't ended, one that was exchanged before is left over,
    /// and ends nothing; beside tokens that say nothing it is as good as alone.
    pub async fn refresh(
        &self,
        shown: &[&str],
        from: Device<'_>,
        cookie: bool,
    ) -> Result<Granted, Refresh> {
        /// What the client is told of several refusals: that a token may work later, before that none does.
        fn weight(refused: &Refresh) -> u8 {
            match refused.refusal.code {
                Code::Unauthorized => 0,
                Code::TokenRevoked => 1,
                Code::Forbidden => 2,
                _ => 3,
            }
        }
        let mut known = Vec::new();
        for token in shown.iter().filter(|token| token.len() <= TOKEN_BYTES_MAX) {
            self.lookups.charge(from.address.into())?;
            // What never was a token doesn't reach those who write.
            let whose = self.store.refreshed(tokens::hash(token)).await;
            known.extend(whose.map_err(refuse)?.map(|whose| (*token, whose)));
        }
        let of_living = known.iter().filter(|(_, (_, ended))| ended.is_none());
        let reuse_ends = of_living.count() == 1;
        let mut refused = Refresh::from(unknown());
        for (token, whose) in known {
            // What was one does so often at most, for it is kept as long as the log-in might live. A log-in that was
            // ended uses up nothing of its user's.
            let exchanged = match self.refreshes.charge(whose) {
                Ok(()) => self.exchange(token, from, cookie, reuse_ends).await,
                Err(spent) => Err(spent.into()),
            };
            match exchanged {
                // Another token wouldn't be answered sooner.
                Err(away) if away.refusal.code == Code::Unavailable => return Err(away),
                Err(other) if weight(&other) >= weight(&refused) => refused = other,
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
        cookie: bool,
        reuse_ends: bool,
    ) -> Result<Granted, Refresh> {
        let successor = self.tokens.successor(refresh_token);
        let shown = tokens::hash(refresh_token);
        let exchange = Exchange {
            shown,
            successor: tokens::hash(&successor),
            user_agent: short(from.user_agent),
            reuse_ends,
            ago: self.sessions.exchanges.get(&shown).map(|at| at.elapsed()),
            expires_at: self.refresh_until(),
        };
        let exchanged = self.store.exchange(exchange).await.map_err(refuse)?;
        if matches!(exchanged, Exchanged::Successor(..)) {
            self.sessions.exchanges.insert(shown, Instant::now());
        }
        match exchanged {
            Exchanged::Successor(_, row) | Exchanged::Again(_, row) if !row.user.is_active => {
                Err(disabled().into())
            }
            Exchanged::Successor(id, row) | Exchanged::Again(id, row) => {
                let name_key = fold(&row.user.username);
                self.guesses.at_home(&name_key, from.address);
                Ok(self.grant(row.user, id, successor, cookie))
            }
            Exchanged::Ended => Err(revoked().into()),
            Exchanged::Unknown => Err(unknown().into()),
            Exchanged::Reused(user_id, session_id) => {
                self.sessions.forget(user_id);
                metrics::counter!("refresh_tokens_reused_total").increment(1);
                tracing::warn!(
                    user.id = user_id.0,
                    session.id = session_id.0,
                    "an old refresh token was shown again: its log-in was ended"
                );
                Err(Refresh {
                    refusal: revoked(),
                    ended: Some(user_id),
                })
            }
        }
    }

    /// Whether this refresh token is, or was, that of a log-in that hasn't been ended.
    pub async fn may_refresh(&self, refresh_token: &str) -> Result<bool, Refusal> {
        if refresh_token.len() > TOKEN_BYTES_MAX {
            return Ok(false);
        }
        let whose = self.store.refreshed(tokens::hash(refresh_token)).await;
        Ok(matches!(whose.map_err(refuse)?, Some((_, None))))
    }

    /// Who the access token names: `token_expired`, `token_revoked` or `unauthorized` otherwise, and
    /// `forbidden` when the account is disabled.
    pub async fn authenticate(&self, token: &str) -> Result<Identity, Refusal> {
        let access = self.tokens.verify(token)?;
        let user = self.session_user(access.session_id, access.user_id);
        let user = user.await?;
        Ok(Identity {
            user,
            session_id: access.session_id,
            expires_at: access.expires_at,
        })
    }

    /// Whether an identity that was authenticated a moment ago still holds.
    pub async fn confirm(&self, who: &Identity) -> Result<(), Refusal> {
        let user = self.session_user(who.session_id, who.user.id);
        user.await.map(drop)
    }

    /// The active user of a living log-in, if it is this one.
    async fn session_user(&self, id: SessionId, user_id: UserId) -> Result<Arc<User>, Refusal> {
        let user = match self.sessions.get(id) {
            Some(user) => user,
            None if self.sessions.has_ended(id) => return Err(revoked()),
            None => {
                let generation = self.sessions.generation(user_id);
                let Some(row) = self.store.session_user(id).await.map_err(refuse)? else {
                    self.sessions.ended.insert(id, Instant::now());
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
            let rule = "A valid access token is needed.";
            return Err(Refusal::new(Code::Unauthorized, rule));
        }
        match user.is_active {
            true => Ok(user),
            false => Err(disabled()),
        }
    }

    /// My log-ins, the last used first.
    pub async fn log_ins(&self, who: &Identity) -> Result<List<LogIn>, Refusal> {
        let mut items = self.store.sessions(who.user.id).await.map_err(refuse)?;
        for item in &mut items {
            item.current = item.id == who.session_id;
        }
        Ok(List {
            items,
            next: None,
            rev: None,
        })
    }

    /// Ends this log-in.
    pub async fn log_out(&self, who: &Identity) -> Result<(), Refusal> {
        let ended = self.store.end_session(who.user.id, who.session_id).await;
        self.sessions.forget(who.user.id);
        ended.map(drop).map_err(refuse)
    }

    /// Ends one of my log-ins.
    pub async fn end_log_in(&self, who: &Identity, id: SessionId) -> Result<(), Refusal> {
        self.changes.charge(who.user.id)?;
        let ended = self.store.end_session(who.user.id, id).await;
        self.sessions.forget(who.user.id);
        match ended.map_err(refuse)? {
            true => Ok(()),
            false => Err(Refusal::not_found()),
        }
    }

    /// Ends all of my log-ins, this one too.
    pub async fn log_out_everywhere(&self, who: &Identity) -> Result<(), Refusal> {
        let ended = self.store.end_sessions(who.user.id, None).await;
        self.sessions.forget(who.user.id);
        ended.map_err(refuse)
    }

    /// Sets a new password; all of my other log-ins end.
    pub async fn change_password(
        &self,
        who: &Identity,
        body: PasswordBody,
        address: IpAddr,
    ) -> Result<(), Refusal> {
        let mut checks = Checks::default();
        checks.unknown(body.unknown);
        let current = checks.required("current_password", body.current_password);
        let new = checks.required("new_password", body.new_password);
        at_most(&mut checks, "current_password", current.as_deref());
        if let Some(new) = &new {
            passwords::check(&mut checks, "new_password", new);
        }
        checks.done()?;
        let (Some(current), Some(new)) = (current, new) else {
            return Err(Refusal::internal());
        };
        let from = self.confirm_password(who, current, address).await?;
        let to = self.passwords.hash(new).await?;
        let (user_id, but) = (who.user.id, who.session_id);
        let changed = self.store.change_password(user_id, from, to, but).await;
        self.sessions.forget(user_id);
        match changed.map_err(refuse)? {
            true => Ok(()),
            false => Err(wrong_password()),
        }
    }

    /// The hash of the password that a body must bring to delete one's account.
    pub(super) async fn confirmed(
        &self,
        who: &Identity,
        body: DeleteMeBody,
        address: IpAddr,
    ) -> Result<String, Refusal> {
        let mut checks = Checks::default();
        checks.unknown(body.unknown);
        let current = checks.required("current_password", body.current_password);
        at_most(&mut checks, "current_password", current.as_deref());
        checks.done()?;
        let current = current.ok_or_else(Refusal::internal)?;
        self.confirm_password(who, current, address).await
    }

    /// The hash of one's own password, if this is it.
    async fn confirm_password(
        &self,
        who: &Identity,
        password: String,
        address: IpAddr,
    ) -> Result<String, Refusal> {
        let name_key = fold(&who.user.username);
        self.guesses.charge(&name_key, address)?;
        let row = self.store.user(who.user.id).await.map_err(refuse)?;
        let hash = row.and_then(|row| row.password_hash);
        let verified = self.passwords.verify(hash.clone(), password).await?;
        let hash = hash.filter(|_| verified).ok_or_else(wrong_password)?;
        self.guesses.succeeded(&name_key, address);
        Ok(hash)
    }

    /// Of these log-ins of a user, those that have ended, and how their connections are to be closed.
    pub async fn ended(
        &self,
        user_id: UserId,
        sessions: &[SessionId],
    ) -> Result<(Vec<SessionId>, Close), Refusal> {
        let living = self.store.living(user_id, sessions).await;
        let (living, active) = living.map_err(refuse)?;
        let lives = |id: &SessionId| active && living.contains(id);
        let ended = sessions.iter().copied().filter(|id| !lives(id)).collect();
        let close = match active {
            true => Close::Revoked,
            false => Close::Disabled,
        };
        Ok((ended, close))
    }

    /// Users of whose log-ins some ended since this was asked before, here or on another node.
    pub async fn revoked_since(&self, watched: &mut Watched) -> Result<HashSet<UserId>, Refusal> {
        // Asked all the time: a database that is away is told of by those who need more of it.
        let silent = |_| Refusal::unavailable();
        if watched.heads.is_empty() {
            // Some of the last ones may not have committed yet.
            let last = self.store.last_revocation().await.map_err(silent)?;
            let floor = last.saturating_sub(REVOCATIONS_PAGE as u64);
            watched.heads.push_back((Instant::now(), floor));
        }
        while watched.heads.len() > 1 && watched.heads[1].0.elapsed() > REVOCATIONS_WINDOW {
            watched.heads.pop_front();
        }
        let floor = watched.heads[0].1;
        watched.seen.retain(|id| *id > floor);
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
        let fresh = all.into_iter().filter(|row| watched.seen.insert(row.id));
        let users: HashSet<UserId> = fresh.map(|row| row.user_id).collect();
        if watched.heads.back().is_none_or(|head| head.1 < newest) {
            watched.heads.push_back((Instant::now(), newest));
        }
        for user_id in &users {
            self.sessions.forget(*user_id);
        }
        Ok(users)
    }

    /// Forgets what has ended long ago.
    pub(super) async fn prune_sessions(&self) {
        let kept = self.refresh_ttl + CLOCK_MARGIN;
        let used_before = Time(Time::now().0 - kept.as_millis() as i64);
        if let Err(error) = self.store.forget_ended(used_before).await
            && !error.was_told()
        {
            tracing::warn!(%error, "old log-ins can't be forgotten");
        }
    }
}

/// A refresh that was refused, and whose connections are to be looked at because of it.
pub struct Refresh {
    pub refusal: Refusal,
    pub ended: Option<UserId>,
}

impl From<Refusal> for Refresh {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            ended: None,
        }
    }
}

fn short(user_agent: &str) -> String {
    user_agent.chars().take(USER_AGENT_CHARS_MAX).collect()
}

fn unknown() -> Refusal {
    Refusal::new(Code::Unauthorized, "A valid refresh token is needed.")
}

fn revoked() -> Refusal {
    Refusal::new(Code::TokenRevoked, "This log-in has ended. Log in again.")
}

fn disabled() -> Refusal {
    Refusal::forbidden("This account is disabled.")
}

pub(super) fn wrong_log_in() -> Refusal {
    Refusal::new(Code::Unauthorized, "The username or the password is wrong.")
}

pub(super) fn wrong_password() -> Refusal {
    Refusal::invalid_field("current_password", "wrong", "this isn't your password")
}
