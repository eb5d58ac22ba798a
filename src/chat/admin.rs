//! The accounts of others: what everybody sees of them, what site admins change, and the link that sets a
//! new password.

use std::net::IpAddr;

use super::{Chat, Identity, refuse};
use crate::{
    auth::{passwords, tokens},
    protocol::{
        UserId,
        check::Checks,
        error::Refusal,
        rest::{PatchUserBody, ResetBody, User},
    },
    store::admin::{AccountChange, Unchanged},
};

impl Chat {
    /// A user; the e-mail address is for himself and for site admins.
    pub async fn user(&self, who: &Identity, id: UserId) -> Result<User, Refusal> {
        let row = self.store.user(id).await.map_err(refuse)?;
        let mut user = row.ok_or_else(Refusal::not_found)?.user;
        if id != who.user.id && !self.is_admin(who).await? {
            user.email = None;
        }
        Ok(user)
    }

    /// Disables or enables a user, or gives him another role on the site: for site admins.
    pub async fn patch_user(
        &self,
        who: &Identity,
        user_id: UserId,
        body: PatchUserBody,
    ) -> Result<User, Refusal> {
        self.changes.charge(who.user.id)?;
        let mut checks = Checks::default();
        checks.unknown(body.unknown);
        let is_active = checks.optional("is_active", body.is_active);
        let role = checks.optional("role", body.role);
        checks.done()?;
        // Judged again inside the transaction: this keeps it from those who have no business there.
        if !self.is_admin(who).await? {
            return Err(Refusal::forbidden("Only site admins may do this."));
        }
        let by = Some(who.user.id);
        let change = AccountChange {
            user_id,
            by,
            is_active,
            role,
        };
        let changed = self.store.change_account(change).await;
        self.sessions.forget(user_id);
        changed.map_err(refuse)?.map_err(|why| match why {
            Unchanged::NotAdmin => Refusal::forbidden("Only site admins may do this."),
            Unchanged::NoSuchUser => Refusal::not_found(),
            Unchanged::LastAdmin => Refusal::forbidden(
                "This is the last active admin of the site. Make somebody else an admin first.",
            ),
        })
    }

    /// Sets a new password by the code of a link, once, and ends all log-ins of its user, whom it answers.
    pub async fn reset_password(
        &self,
        body: ResetBody,
        address: IpAddr,
    ) -> Result<UserId, Refusal> {
        let mut checks = Checks::default();
        checks.unknown(body.unknown);
        let code = checks.required("code", body.code);
        let password = checks.required("new_password", body.new_password);
        if let Some(password) = &password {
            passwords::check(&mut checks, "new_password", password);
        }
        checks.done()?;
        let (Some(code), Some(password)) = (code, password) else {
            return Err(Refusal::internal());
        };
        let no_code = || {
            let rule = "this link can't be used, or not any more; ask for another one";
            Refusal::invalid_field("code", "unknown", rule)
        };
        self.guesses.charge_registration(address)?;
        let code = tokens::hash(&code);
        if !self.store.reset_lives(code).await.map_err(refuse)? {
            return Err(no_code());
        }
        let hash = self.passwords.hash(password).await?;
        match self
            .store
            .reset_password(code, hash)
            .await
            .map_err(refuse)?
        {
            Some(user_id) => {
                self.sessions.forget(user_id);
                Ok(user_id)
            }
            None => Err(no_code()),
        }
    }
}
