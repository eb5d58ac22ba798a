//! Accounts of other users: what everyone may see of them, and what site admins may change.

use super::{Chat, Identity};
use crate::{
    protocol::{
        UserId,
        check::Checks,
        error::Refusal,
        rest::{SiteRole, User},
    },
    store::admin::{AccountChange, Unchanged},
};

impl Chat {
    /// A user. Only they themselves and site admins see the e-mail address.
    pub async fn user(&self, who: &Identity, id: UserId) -> Result<User, Refusal> {
        let row = self.store.user(id).await?;
        let mut user = row.ok_or_else(Refusal::not_found)?.user;
        if id != who.user.id && !self.is_admin(who).await? {
            user.email = None;
        }
        Ok(user)
    }

    /// Disables or enables a user, or changes their role on the site. Only site admins may.
    pub async fn patch_user(
        &self,
        who: &Identity,
        user_id: UserId,
        is_active: Option<bool>,
        role: Option<SiteRole>,
        checks: Checks,
    ) -> Result<User, Refusal> {
        self.changes.charge(who.user.id)?;
        checks.done()?;
        // The transaction checks this again. Here it keeps others from starting one.
        if !self.is_admin(who).await? {
            return Err(not_admin());
        }
        let change = AccountChange {
            user_id,
            by: Some(who.user.id),
            is_active,
            role,
        };
        let changed = self.store.change_account(change).await;
        self.sessions.forget(user_id);
        changed?.map_err(|why| match why {
            Unchanged::NotAdmin => not_admin(),
            Unchanged::NoSuchUser => Refusal::not_found(),
            Unchanged::LastAdmin => Refusal::forbidden(
                "This is the site's last active admin. Make another user an admin first.",
            ),
        })
    }

    /// Whether the asker is a site admin now, read from the database.
    pub(super) async fn is_admin(&self, who: &Identity) -> Result<bool, Refusal> {
        let row = self.store.user(who.user.id).await?;
        Ok(row.is_some_and(|row| row.user.is_active && row.user.role == SiteRole::Admin))
    }
}

fn not_admin() -> Refusal {
    Refusal::forbidden("Only site admins may do this.")
}
