//! Passwords: changing one's own, resetting one by the code of a link, and confirming one before an account is deleted.

use std::net::IpAddr;

use super::{Chat, Identity, refusals::wrong_password};
use crate::{
    auth::{passwords, tokens},
    limits::PASSWORD_BYTES_MAX,
    protocol::{UserId, check::Checks, error::Refusal, fold::fold},
};

impl Chat {
    /// Sets a new password. All other sessions of the asker end.
    pub async fn change_password(
        &self,
        who: &Identity,
        current: Option<String>,
        new: Option<String>,
        address: IpAddr,
        mut checks: Checks,
    ) -> Result<(), Refusal> {
        if let Some(current) = &current {
            checks.bytes("current_password", current, PASSWORD_BYTES_MAX);
        }
        if let Some(new) = &new {
            passwords::check(&mut checks, "new_password", new);
        }
        let (current, new) = checks.finish(current.zip(new))?;
        let from = self.confirm_password(who, current, address).await?;
        let to = self.passwords.hash(new).await?;
        let changed = self
            .store
            .change_password(who.user.id, from, to, who.session_id)
            .await;
        self.sessions.forget(who.user.id);
        if changed? {
            Ok(())
        } else {
            Err(wrong_password())
        }
    }

    /// Sets a new password by the code of a link, which works once, and ends all sessions of its user. Returns the user.
    pub async fn reset_password(
        &self,
        code: Option<String>,
        password: Option<String>,
        address: IpAddr,
        mut checks: Checks,
    ) -> Result<UserId, Refusal> {
        if let Some(password) = &password {
            passwords::check(&mut checks, "new_password", password);
        }
        let (code, password) = checks.finish(code.zip(password))?;
        self.guesses.charge_registration(address)?;
        let code = tokens::hash(&code);
        if !self.store.reset_is_valid(code).await? {
            return Err(no_code());
        }
        let hash = self.passwords.hash(password).await?;
        let reset = self.store.reset_password(code, hash).await?;
        let user_id = reset.ok_or_else(no_code)?;
        self.sessions.forget(user_id);
        Ok(user_id)
    }

    /// The hash of the asker's own password, if `password` is that.
    pub(super) async fn confirm_password(
        &self,
        who: &Identity,
        password: String,
        address: IpAddr,
    ) -> Result<String, Refusal> {
        let name_key = fold(&who.user.username);
        self.guesses.charge(&name_key, address)?;
        let row = self.store.user(who.user.id).await?;
        let hash = row.and_then(|row| row.password_hash);
        if !self.passwords.verify(hash.clone(), password).await? {
            return Err(wrong_password());
        }
        let hash = hash.ok_or_else(wrong_password)?;
        self.guesses.succeeded(&name_key, address);
        Ok(hash)
    }
}

fn no_code() -> Refusal {
    let rule = "this link is invalid, expired or already used; ask for a new one";
    Refusal::invalid_field("code", "unknown", rule)
}
