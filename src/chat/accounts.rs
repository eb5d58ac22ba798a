//! Accounts: registering, logging in, changing one's own, and finding users.
//!
//! Invariant: an unknown name, a wrong password and a disabled account get the same answer, after the same time.

use super::{
    Chat, Device, Identity, PageOf, page,
    refusals::wrong_log_in,
    sessions::{Granted, TokenDelivery},
};
use crate::{
    auth::passwords,
    limits::*,
    protocol::{
        UserId,
        check::Checks,
        error::{Code, Refusal},
        fold::{fold, name_forms, sought_name},
        rest::{List, User, UserSummary},
    },
    store::{NewUser, Profile, UserRow},
};

/// An account as its owner asked for it.
#[derive(Debug)]
pub struct NewAccount {
    pub username: Option<String>,
    pub email: Option<String>,
    pub password: Option<String>,
    pub full_name: Option<String>,
    /// The code of an invite.
    pub invite: Option<String>,
}

impl Chat {
    /// Creates an account and logs its owner in.
    pub async fn register(
        &self,
        account: NewAccount,
        delivery: TokenDelivery,
        from: Device<'_>,
        mut checks: Checks,
    ) -> Result<Granted, Refusal> {
        let username = account
            .username
            .map(|name| checks.username("username", &name));
        if let Some(email) = &account.email {
            checks.email("email", email);
        }
        if let Some(password) = &account.password {
            passwords::check(&mut checks, "password", password);
        }
        let full_name = account
            .full_name
            .map(|name| checks.full_name("full_name", &name));
        let required = username.zip(account.email).zip(account.password);
        let ((username, email), password) = checks.finish(required)?;
        self.guesses.charge_registration(from.address)?;
        let invite = self.admitted(account.invite.as_deref()).await?;
        let user = NewUser {
            username,
            email,
            full_name: full_name.filter(|name| !name.is_empty()),
            password_hash: self.passwords.hash(password).await?,
        };
        let row = self.create_user(user, invite).await?;
        let name_key = fold(&row.user.username);
        self.guesses.succeeded(&name_key, from.address);
        self.log_in(row.user, None, from.user_agent, delivery).await
    }

    /// Checks the password and begins a session.
    pub async fn login(
        &self,
        username: Option<String>,
        password: Option<String>,
        delivery: TokenDelivery,
        from: Device<'_>,
        mut checks: Checks,
    ) -> Result<Granted, Refusal> {
        if let Some(password) = &password {
            checks.bytes("password", password, PASSWORD_BYTES_MAX);
        }
        let (username, password) = checks.finish(username.zip(password))?;
        let name_key = fold(&username);
        self.guesses.charge(&name_key, from.address)?;
        let row = self.verified(&username, &password).await?;
        self.guesses.succeeded(&name_key, from.address);
        let hash = self.renew_hash(&row, password.clone()).await;
        let granted = self.log_in(row.user, hash, from.user_agent, delivery).await;
        match granted {
            // Another log-in may have renewed the hash meanwhile. Then the password is still the same.
            Err(refusal) if refusal.code == Code::Unauthorized => {
                let row = self.verified(&username, &password).await?;
                let hash = row.password_hash;
                self.log_in(row.user, hash, from.user_agent, delivery).await
            }
            granted => granted,
        }
    }

    /// The active user of this name, if this is their password.
    async fn verified(&self, username: &str, password: &str) -> Result<UserRow, Refusal> {
        let row = self.user_named(username).await?;
        let hash = row.as_ref().and_then(|row| row.password_hash.clone());
        let verified = self.passwords.verify(hash, password.to_owned()).await?;
        row.filter(|row| verified && row.user.is_active)
            .ok_or_else(wrong_log_in)
    }

    /// Replaces a password hash of an outdated kind or cost while the password is known, and returns the hash that the user
    /// has then. If it can't be replaced, the next log-in tries again.
    async fn renew_hash(&self, row: &UserRow, password: String) -> Option<String> {
        let old = row.password_hash.as_ref()?;
        if !self.passwords.is_outdated(old) {
            return Some(old.clone());
        }
        let Ok(new) = self.passwords.hash(password).await else {
            return Some(old.clone());
        };
        match self.store.replace_hash(row.user.id, old, new.clone()).await {
            Ok(()) => Some(new),
            Err(error) => {
                tracing::warn!(%error, user.id = row.user.id.0, "an outdated password hash could not be replaced");
                Some(old.clone())
            }
        }
    }

    /// Changes the asker's own profile; an empty full name removes it.
    pub async fn patch_me(
        &self,
        who: &Identity,
        mut profile: Profile,
        mut checks: Checks,
    ) -> Result<User, Refusal> {
        self.changes.charge(who.user.id)?;
        profile.full_name = profile
            .full_name
            .map(|name| checks.full_name("full_name", &name));
        if let Some(email) = &profile.email {
            checks.email("email", email);
        }
        checks.done()?;
        let row = self.store.set_profile(who.user.id, profile).await;
        self.sessions.forget(who.user.id);
        Ok(row?.ok_or_else(Refusal::not_found)?.user)
    }

    /// Users who have a name that begins with `query` ([`sought_name`]).
    pub async fn users(&self, query: &str, at: PageOf) -> Result<List<UserSummary>, Refusal> {
        let (prefix, after) = (sought_name(query), UserId(at.after));
        let users = self.store.users(&prefix, after, at.limit + 1).await?;
        Ok(page(users, at.limit, |user| user.id.0))
    }

    /// As [`Chat::users`], but only those who are online. `online` lists users who are, by rising id: those after an id, at
    /// most so many. At most [`ONLINE_MAX`] are looked at for one page, so it may be short or empty although others follow.
    pub async fn users_online(
        &self,
        query: &str,
        at: PageOf,
        online: impl Fn(UserId, usize) -> Vec<UserId>,
    ) -> Result<List<UserSummary>, Refusal> {
        let prefix = sought_name(query);
        let mut found = Vec::new();
        let (mut after, mut left) = (UserId(at.after), ONLINE_MAX);
        while left > 0 && found.len() <= at.limit {
            let ids = online(after, LIST_ITEMS_MAX.min(left));
            let Some(last) = ids.last() else {
                return Ok(page(found, at.limit, |user: &UserSummary| user.id.0));
            };
            (after, left) = (*last, left - ids.len());
            let users = self.store.users_by_ids(&ids).await?.into_iter();
            found.extend(users.filter(|user| {
                let forms = name_forms(&user.username, user.full_name.as_deref());
                forms.iter().any(|form| form.starts_with(&prefix))
            }));
        }
        let mut list = page(found, at.limit, |user: &UserSummary| user.id.0);
        // The search stopped at its bound: the next page goes on behind the last user that was looked at.
        list.next.get_or_insert_with(|| after.to_string());
        Ok(list)
    }

    /// Those of these users who exist.
    pub async fn users_by_ids(&self, ids: &[UserId]) -> Result<List<UserSummary>, Refusal> {
        let users = self.store.users_by_ids(ids).await?;
        Ok(page(users, usize::MAX, |user| user.id.0))
    }

    /// A user by name, in any case. No user has a name that is too long.
    pub(super) async fn user_named(&self, name: &str) -> Result<Option<UserRow>, Refusal> {
        if name.chars().nth(USERNAME_CHARS_MAX).is_some() {
            return Ok(None);
        }
        Ok(self.store.user_by_name(&fold(name)).await?)
    }
}
