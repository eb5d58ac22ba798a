//! The administration of accounts: by site admins over REST, and by the operator's commands.
//!
//! Invariants: an admin's right is checked in the transaction that uses it. Over REST the last active admin stays one. A user who
//! is disabled or gets another password has no session left, and a row of `revocations` tells every node.

use super::{
    Store,
    account::UserRow,
    connection::{Conn, script},
    error::{Result, SqlError},
    rows::{self, HAS_ADMIN, Word},
    sessions,
    values::params,
};
use crate::protocol::{
    Time, UserId,
    rest::{SiteRole, User},
};

/// A change of an account. What is `None` stays.
#[derive(Clone, Copy, Debug)]
pub struct AccountChange {
    pub user_id: UserId,
    /// The admin who asks; `None`: the operator, who may do anything.
    pub by: Option<UserId>,
    pub is_active: Option<bool>,
    pub role: Option<SiteRole>,
}

/// Why an account was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unchanged {
    /// The user who asks isn't an active admin.
    NotAdmin,
    NoSuchUser,
    /// The site would have no admin.
    LastAdmin,
}

impl Store {
    /// Changes an account, and returns it as it is then.
    pub async fn change_account(
        &self,
        change: AccountChange,
    ) -> Result<std::result::Result<User, Unchanged>> {
        let script = script(move |mut conn: Conn<'_>| {
            Box::pin(async move { Ok((apply(&mut conn, change).await?, Vec::new())) })
        });
        Ok(self.db().write(script).await??)
    }

    /// Whether the site has an admin.
    pub async fn has_admin(&self) -> Result<bool> {
        Ok(!self.db().query(HAS_ADMIN, params![]).await?.is_empty())
    }

    /// All accounts, disabled and deleted ones too, by rising id after `after`.
    pub async fn accounts(&self, after: UserId, limit: usize) -> Result<Vec<UserRow>> {
        let sql = format!(
            "SELECT {} FROM users u WHERE u.id > ? ORDER BY u.id LIMIT ?",
            rows::USER_COLUMNS
        );
        let found = self.db().query(sql, params![after, limit]).await?;
        let users = found.into_iter().map(rows::user);
        Ok(users.collect::<Result<_, SqlError>>()?)
    }

    /// Stores the hash of the code with which a user may set a new password. An older code is revoked.
    pub async fn allow_reset(
        &self,
        user_id: UserId,
        code_hash: [u8; 32],
        expires_at: Time,
    ) -> Result<()> {
        let sql = "REPLACE INTO password_resets (user_id, code_hash, expires_at) VALUES (?, ?, ?)";
        let values = params![user_id, code_hash, expires_at];
        self.db().execute(sql, values).await??;
        Ok(())
    }

    /// Whether this code is valid: asked before anything costly is done for it.
    pub async fn reset_is_valid(&self, code_hash: [u8; 32]) -> Result<bool> {
        let sql = "SELECT 1 FROM password_resets WHERE code_hash = ? AND expires_at > ?";
        let found = self
            .db()
            .query(sql, params![code_hash, Time::now()])
            .await?;
        Ok(!found.is_empty())
    }

    /// Sets a new password and ends all of the user's sessions, once for each code. `None`: there is no such code, it has expired, or
    /// its user is disabled.
    pub async fn reset_password(
        &self,
        code_hash: [u8; 32],
        password_hash: String,
    ) -> Result<Option<UserId>> {
        let script = script(move |mut conn: Conn<'_>| {
            let password_hash = password_hash.clone();
            Box::pin(async move {
                let reset = reset(&mut conn, code_hash, password_hash).await?;
                Ok((reset, Vec::new()))
            })
        });
        Ok(self.db().write(script).await??)
    }
}

async fn apply(
    conn: &mut Conn<'_>,
    change: AccountChange,
) -> Result<std::result::Result<User, Unchanged>, SqlError> {
    // All rows that decide are locked: the admins by rising id, then the account itself.
    let columns = rows::USER_COLUMNS;
    let sql = format!(
        "SELECT {columns} FROM users u WHERE u.role = 'admin' AND u.is_active = 1 ORDER BY u.id"
    );
    let found = conn.query_update(&sql, params![]).await?;
    let admins = found.into_iter().map(|row| Ok(rows::user(row)?.user));
    let admins = admins.collect::<Result<Vec<User>, SqlError>>()?;
    if let Some(by) = change.by
        && !admins.iter().any(|admin| admin.id == by)
    {
        return Ok(Err(Unchanged::NotAdmin));
    }
    let sql = format!("SELECT {columns} FROM users u WHERE u.id = ?");
    let found = conn.query_update(&sql, params![change.user_id]).await?;
    let target = found.into_iter().next().map(rows::user).transpose()?;
    // A deleted account can't be restored.
    let target = target.filter(|row| !row.is_deleted());
    let Some(before) = target.map(|row| row.user) else {
        return Ok(Err(Unchanged::NoSuchUser));
    };
    let mut user = before.clone();
    user.is_active = change.is_active.unwrap_or(user.is_active);
    user.role = change.role.unwrap_or(user.role);
    let rules = |user: &User| user.is_active && user.role == SiteRole::Admin;
    let alone = admins.iter().all(|admin| admin.id == user.id);
    if change.by.is_some() && rules(&before) && !rules(&user) && alone {
        return Ok(Err(Unchanged::LastAdmin));
    }
    if (user.is_active, user.role) == (before.is_active, before.role) {
        return Ok(Ok(user));
    }
    let now = Time::now();
    let sql = "UPDATE users SET is_active = ?, role = ?, updated_at = ? WHERE id = ?";
    let role = user.role.word();
    conn.execute(sql, params![user.is_active, role, now, user.id])
        .await?;
    if user.is_active {
        sessions::note(conn, user.id, None, now).await?;
    } else {
        let sql = "DELETE FROM password_resets WHERE user_id = ?";
        conn.execute(sql, params![user.id]).await?;
        sessions::end_all(conn, user.id, None, now).await?;
    }
    Ok(Ok(user))
}

async fn reset(
    conn: &mut Conn<'_>,
    code_hash: [u8; 32],
    password_hash: String,
) -> Result<Option<UserId>, SqlError> {
    let now = Time::now();
    let sql = "SELECT user_id FROM password_resets WHERE code_hash = ? AND expires_at > ?";
    let found = conn.query_update(sql, params![code_hash, now]).await?;
    let Some(user_id) = found.first().map(|row| row.user_id(0)).transpose()? else {
        return Ok(None);
    };
    let sql = "SELECT id FROM users WHERE id = ? AND is_active = 1";
    if conn.query_update(sql, params![user_id]).await?.is_empty() {
        return Ok(None);
    }
    let sql = "DELETE FROM password_resets WHERE user_id = ?";
    conn.execute(sql, params![user_id]).await?;
    let sql = "UPDATE users SET password_hash = ?, updated_at = ? WHERE id = ?";
    conn.execute(sql, params![password_hash, now, user_id])
        .await?;
    sessions::end_all(conn, user_id, None, now).await?;
    Ok(Some(user_id))
}
