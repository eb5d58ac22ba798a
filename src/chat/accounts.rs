//! Accounts: registering, logging in, who a token names, and finding users.
//!
//! Invariants: a log-in is a row before its tokens are given away; a name that doesn't exist, a wrong
//! password and a disabled account are answered alike and take as long.

use std::{sync::Arc, time::Instant};

use quick_cache::sync::Cache;

use super::{Chat, Identity, PageOf, page, refuse};
use crate::{
    auth::{passwords, tokens},
    limits::*,
    protocol::{
        SessionId, Time, UserId,
        check::{Checks, fold},
        error::{Code, Refusal},
        rest::{List, LoginBody, RegisterBody, Tokens, User, UserSummary},
    },
    store::{NewSession, NewUser, UserRow},
};

/// The users of recent log-ins, so that a request needn't read them: bounded in number and in age.
pub struct Sessions(Cache<SessionId, (Instant, Arc<User>)>);

impl Sessions {
    pub fn new() -> Self {
        Self(Cache::new(SESSIONS_CACHED))
    }

    fn get(&self, id: SessionId) -> Option<Arc<User>> {
        let (since, user) = self.0.get(&id)?;
        (since.elapsed() < SESSION_CACHED_FOR).then_some(user)
    }

    fn put(&self, id: SessionId, user: &Arc<User>) {
        self.0.insert(id, (Instant::now(), user.clone()));
    }
}

impl Chat {
    /// Makes an account and logs its owner in.
    pub async fn register(&self, body: RegisterBody, user_agent: &str) -> Result<Tokens, Refusal> {
        let mut checks = Checks::default();
        checks.unknown(body.unknown);
        let username = checks.required("username", body.username);
        let email = checks.required("email", body.email);
        let password = checks.required("password", body.password);
        let full_name = checks.optional("full_name", body.full_name);
        let invite = checks.optional("invite", body.invite);
        if let Some(username) = &username {
            checks.username("username", username);
        }
        if let Some(email) = &email {
            checks.email("email", email);
        }
        if let Some(password) = &password {
            passwords::check(&mut checks, "password", password);
        }
        if let Some(full_name) = &full_name {
            checks.line("full_name", full_name, 0, FULL_NAME_CHARS_MAX);
        }
        checks.done()?;
        let (Some(username), Some(email), Some(password)) = (username, email, password) else {
            return Err(Refusal::internal());
        };
        let invite = self.admitted(invite.as_deref()).await?;
        let user = NewUser {
            username,
            email,
            full_name: full_name.filter(|name| !name.is_empty()),
            password_hash: self.passwords.hash(password).await?,
        };
        let row = self.create_user(user, invite).await?;
        self.log_in(row.user, user_agent).await
    }

    /// Checks the password and begins a log-in.
    pub async fn login(&self, body: LoginBody, user_agent: &str) -> Result<Tokens, Refusal> {
        let mut checks = Checks::default();
        checks.unknown(body.unknown);
        let username = checks.required("username", body.username);
        let password = checks.required("password", body.password);
        if password
            .as_ref()
            .is_some_and(|p| p.len() > PASSWORD_BYTES_MAX)
        {
            let rule = format!("at most {PASSWORD_BYTES_MAX} bytes");
            checks.fail("password", "length", rule);
        }
        checks.done()?;
        let (Some(username), Some(password)) = (username, password) else {
            return Err(Refusal::internal());
        };
        let row = self.user_named(&username).await?;
        let hash = row.as_ref().and_then(|row| row.password_hash.clone());
        let verified = self.passwords.verify(hash, password.clone()).await?;
        if verified && let Some(row) = &row {
            self.renew_hash(row, password).await;
        }
        match row {
            Some(row) if verified && row.user.is_active => self.log_in(row.user, user_agent).await,
            _ => Err(Refusal::new(
                Code::Unauthorized,
                "The username or the password is wrong.",
            )),
        }
    }

    /// Replaces a hash of another kind or cost by one as they are made now, while the password is known. If it
    /// can't be done, the next log-in will.
    async fn renew_hash(&self, row: &UserRow, password: String) {
        let Some(old) = &row.password_hash else {
            return;
        };
        if !self.passwords.is_outdated(old) {
            return;
        }
        if let Ok(new) = self.passwords.hash(password).await
            && let Err(error) = self.store.replace_hash(row.user.id, old, new).await
        {
            tracing::warn!(%error, user.id = row.user.id.0, "an old password hash stays");
        }
    }

    /// Writes the log-in's row, then makes its tokens.
    async fn log_in(&self, user: User, user_agent: &str) -> Result<Tokens, Refusal> {
        let session_id = tokens::session_id();
        let (refresh_token, refresh_hash) = tokens::refresh_token();
        let session = NewSession {
            id: session_id,
            user_id: user.id,
            refresh_hash,
            user_agent: user_agent.chars().take(USER_AGENT_CHARS_MAX).collect(),
            expires_at: Time(Time::now().0 + self.refresh_ttl.as_millis() as i64),
        };
        self.store.create_session(session).await.map_err(refuse)?;
        Ok(Tokens {
            access_token: self.tokens.issue(user.id, session_id),
            refresh_token,
            token_type: "bearer",
            expires_in: self.tokens.access_ttl().as_secs(),
            user,
        })
    }

    /// Who the access token names: `token_expired`, `token_revoked` or `unauthorized` otherwise, and
    /// `forbidden` when the account is disabled.
    pub async fn authenticate(&self, token: &str) -> Result<Identity, Refusal> {
        let access = self.tokens.verify(token)?;
        let user = match self.sessions.get(access.session_id) {
            Some(user) => user,
            None => {
                let row = self.store.session_user(access.session_id).await;
                let row = row.map_err(refuse)?.ok_or_else(|| {
                    Refusal::new(Code::TokenRevoked, "This log-in has ended. Log in again.")
                })?;
                let user = Arc::new(row.user);
                self.sessions.put(access.session_id, &user);
                user
            }
        };
        if user.id != access.user_id {
            return Err(Refusal::new(
                Code::Unauthorized,
                "A valid access token is needed.",
            ));
        }
        if !user.is_active {
            return Err(Refusal::forbidden("This account is disabled."));
        }
        Ok(Identity {
            user,
            session_id: access.session_id,
            expires_at: access.expires_at,
        })
    }

    /// Users whose name begins with `query`, in any case.
    pub async fn users(&self, query: &str, at: PageOf) -> Result<List<UserSummary>, Refusal> {
        let users = self
            .store
            .users(&fold(query), UserId(at.after), at.limit + 1)
            .await
            .map_err(refuse)?;
        Ok(page(users, at.limit, |user| user.id.0))
    }

    /// Those of these users who exist.
    pub async fn users_by_ids(&self, ids: &[UserId]) -> Result<List<UserSummary>, Refusal> {
        let users = self.store.users_by_ids(ids).await.map_err(refuse)?;
        Ok(page(users, usize::MAX, |user| user.id.0))
    }

    /// A user by name, in any case. What is too long to be a name is nobody's.
    pub(super) async fn user_named(&self, name: &str) -> Result<Option<UserRow>, Refusal> {
        if name.chars().nth(USERNAME_CHARS_MAX).is_some() {
            return Ok(None);
        }
        self.store.user_by_name(&fold(name)).await.map_err(refuse)
    }
}
