//! Accounts: registering, logging in, changing one's own, and finding users.
//!
//! Invariant: a name that doesn't exist, a wrong password and a disabled account are answered alike and
//! take as long.

use super::{
    Chat, Device, Identity, PageOf, page, refuse,
    sessions::{Granted, wrong_log_in},
};
use crate::{
    auth::passwords,
    limits::*,
    protocol::{
        UserId,
        check::Checks,
        error::{Code, Refusal},
        fold::{fold, sought_name},
        rest::{List, LoginBody, PatchMeBody, RegisterBody, User, UserSummary},
    },
    store::{NewUser, Profile, UserRow},
};

impl Chat {
    /// Makes an account and logs its owner in.
    pub async fn register(&self, body: RegisterBody, from: Device<'_>) -> Result<Granted, Refusal> {
        let mut checks = Checks::default();
        checks.unknown(body.unknown);
        let username = checks.required("username", body.username);
        let email = checks.required("email", body.email);
        let password = checks.required("password", body.password);
        let full_name = checks.optional("full_name", body.full_name);
        let cookie = checks.optional("cookie", body.cookie);
        let invite = checks.optional("invite", body.invite);
        let username = username.map(|name| checks.username("username", &name));
        if let Some(email) = &email {
            checks.email("email", email);
        }
        if let Some(password) = &password {
            passwords::check(&mut checks, "password", password);
        }
        let full_name = full_name.map(|name| checks.full_name("full_name", &name));
        checks.done()?;
        let (Some(username), Some(email), Some(password)) = (username, email, password) else {
            return Err(Refusal::internal());
        };
        self.guesses.charge_registration(from.address)?;
        let invite = self.admitted(invite.as_deref()).await?;
        let user = NewUser {
            username,
            email,
            full_name: full_name.filter(|name| !name.is_empty()),
            password_hash: self.passwords.hash(password).await?,
        };
        let row = self.create_user(user, invite).await?;
        let name_key = fold(&row.user.username);
        self.guesses.succeeded(&name_key, from.address);
        self.log_in(row.user, None, from.user_agent, cookie).await
    }

    /// Checks the password and begins a log-in.
    pub async fn login(&self, body: LoginBody, from: Device<'_>) -> Result<Granted, Refusal> {
        let mut checks = Checks::default();
        checks.unknown(body.unknown);
        let username = checks.required("username", body.username);
        let password = checks.required("password", body.password);
        let cookie = checks.optional("cookie", body.cookie);
        at_most(&mut checks, "password", password.as_deref());
        checks.done()?;
        let (Some(username), Some(password)) = (username, password) else {
            return Err(Refusal::internal());
        };
        let name_key = fold(&username);
        self.guesses.charge(&name_key, from.address)?;
        let row = self.verified(&username, &password).await?;
        self.guesses.succeeded(&name_key, from.address);
        let hash = self.renew_hash(&row, password.clone()).await;
        let granted = self.log_in(row.user, hash, from.user_agent, cookie).await;
        match granted {
            // Another log-in may have renewed the hash meanwhile: the password is still the same then.
            Err(refusal) if refusal.code == Code::Unauthorized => {
                let row = self.verified(&username, &password).await?;
                let hash = row.password_hash;
                self.log_in(row.user, hash, from.user_agent, cookie).await
            }
            granted => granted,
        }
    }

    /// The active user of this name, if this is his password.
    async fn verified(&self, username: &str, password: &str) -> Result<UserRow, Refusal> {
        let row = self.user_named(username).await?;
        let hash = row.as_ref().and_then(|row| row.password_hash.clone());
        let verified = self.passwords.verify(hash, password.to_owned()).await?;
        row.filter(|row| verified && row.user.is_active)
            .ok_or_else(wrong_log_in)
    }

    /// Replaces a hash of another kind or cost by one as they are made now, while the password is known; the
    /// one that the user has then. If it can't be done, the next log-in will.
    async fn renew_hash(&self, row: &UserRow, password: String) -> Option<String> {
        let old = row.password_hash.as_ref()?;
        if !self.passwords.is_outdated(old) {
            return Some(old.clone());
        }
        let Ok(new) = self.passwords.hash(password).await else {
            return Some(old.clone());
        };
        let replaced = self.store.replace_hash(row.user.id, old, new.clone());
        match replaced.await {
            Ok(()) => Some(new),
            Err(error) => {
                tracing::warn!(%error, user.id = row.user.id.0, "an old password hash stays");
                Some(old.clone())
            }
        }
    }

    /// Changes what is told of me; an empty full name takes it away.
    pub async fn patch_me(&self, who: &Identity, body: PatchMeBody) -> Result<User, Refusal> {
        self.changes.charge(who.user.id)?;
        let mut checks = Checks::default();
        checks.unknown(body.unknown);
        let full_name = checks.optional("full_name", body.full_name);
        let email = checks.optional("email", body.email);
        let full_name = full_name.map(|name| checks.full_name("full_name", &name));
        if let Some(email) = &email {
            checks.email("email", email);
        }
        checks.done()?;
        let profile = Profile { full_name, email };
        let row = self.store.set_profile(who.user.id, profile).await;
        self.sessions.forget(who.user.id);
        Ok(row.map_err(refuse)?.ok_or_else(Refusal::not_found)?.user)
    }

    /// Users one of whose names begins with `query` ([`sought_name`]).
    pub async fn users(&self, query: &str, at: PageOf) -> Result<List<UserSummary>, Refusal> {
        let users = self
            .store
            .users(&sought_name(query), UserId(at.after), at.limit + 1)
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

/// Notes a password that is longer than any may be: it isn't hashed.
pub(super) fn at_most(checks: &mut Checks, field: &'static str, password: Option<&str>) {
    if password.is_some_and(|password| password.len() > PASSWORD_BYTES_MAX) {
        let rule = format!("at most {PASSWORD_BYTES_MAX} bytes");
        checks.fail(field, "length", rule);
    }
}
