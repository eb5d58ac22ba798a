//! Accounts: creating, changing and deleting them, and finding users.
//!
//! Invariant: a username and an address are unique by their folded keys. The database's unique indexes decide, and no look
//! beforehand.

use std::sync::Arc;

use super::{
    Store,
    account::{NewUser, Profile, UserRow},
    connection::{Conn, script},
    error::{Error, Result, SqlError},
    event::Event,
    names::{insert_names, prefix_range},
    pending_jobs::{self, PendingJob, Task},
    rows::{self, Word},
    sessions,
    values::{Value, params, with_ids},
};
use crate::protocol::{
    Time, UserId,
    check::DELETED_PREFIX,
    fold::fold,
    rest::{SiteRole, User, UserKind, UserSummary},
};

/// The longest key that is stored as it is.
const KEY_BYTES_MAX: usize = 1_100;

/// A user to be created, with the keys of the unique indexes.
pub(super) struct KeyedUser {
    user: NewUser,
    username_key: String,
    email_key: String,
}

/// Writes an account's row, within a transaction.
pub(super) async fn insert(
    conn: &mut Conn<'_>,
    KeyedUser {
        user,
        username_key,
        email_key,
    }: &KeyedUser,
    role: SiteRole,
) -> Result<UserRow, SqlError> {
    let now = Time::now();
    let params = params![
        user.username.as_str(),
        username_key.as_str(),
        user.email.as_str(),
        email_key.as_str(),
        user.full_name.clone(),
        user.password_hash.as_str(),
        role.word(),
        now,
        now,
    ];
    let sql = "INSERT INTO users (username, username_key, email, email_key, full_name, password_hash, kind, role, \
               is_active, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, 'person', ?, 1, ?, ?)";
    let id = UserId(conn.execute(sql, params).await?.last_id);
    let user = UserRow {
        user: User {
            id,
            username: user.username.clone(),
            full_name: user.full_name.clone(),
            email: Some(user.email.clone()),
            kind: UserKind::Person,
            role,
            is_active: true,
            created_at: now,
        },
        password_hash: Some(user.password_hash.clone()),
    };
    insert_names(conn, &[user.user.summary()]).await?;
    Ok(user)
}

/// Maps a violation of a unique index to the field that is taken.
pub(super) fn taken(error: SqlError) -> Error {
    match error {
        SqlError::Unique(index) if index.contains("username") => Error::Taken("username"),
        SqlError::Unique(index) if index.contains("email") => Error::Taken("email"),
        error => error.into(),
    }
}

impl Store {
    /// A key that fits into an index: an address may fold to several times its length. A longer one is stored as its hash.
    pub(super) fn bounded(&self, key: String) -> String {
        if key.len() <= KEY_BYTES_MAX {
            return key;
        }
        let hash = (self.sha256)(key.as_bytes());
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        // No key that was typed has a NUL.
        format!("\0sha256:{hex}")
    }

    pub(super) fn keyed(&self, user: NewUser) -> KeyedUser {
        KeyedUser {
            username_key: self.bounded(fold(&user.username)),
            email_key: self.bounded(fold(&user.email)),
            user,
        }
    }

    /// `Error::Taken("username" | "email")`.
    pub async fn create_user(&self, user: NewUser) -> Result<UserRow> {
        self.create_account(user, SiteRole::User).await
    }

    /// As [`Store::create_user`], with a role on the site.
    pub async fn create_account(&self, user: NewUser, role: SiteRole) -> Result<UserRow> {
        let user = Arc::new(self.keyed(user));
        let script = script(move |mut conn: Conn<'_>| {
            let user = user.clone();
            Box::pin(async move { Ok((insert(&mut conn, &user, role).await?, Vec::new())) })
        });
        self.db().write(script).await?.map_err(taken)
    }

    /// Replaces the hash of a password by another hash of it, unless the password was changed meanwhile.
    pub async fn replace_hash(&self, id: UserId, old: &str, new: String) -> Result<()> {
        let sql = "UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ?";
        self.db().execute(sql, params![new, id, old]).await??;
        Ok(())
    }

    /// `Error::Taken("email")`. `None`: there is no such user.
    pub async fn set_profile(&self, id: UserId, profile: Profile) -> Result<Option<UserRow>> {
        let email_key = profile.email.as_deref();
        let email_key = email_key.map(|email| self.bounded(fold(email)));
        let named = profile.full_name.is_some();
        let full_name = profile.full_name.filter(|name| !name.is_empty());
        let params = params![named, full_name, profile.email, email_key, Time::now(), id];
        let script = script(move |conn| Box::pin(set_profile(conn, id, named, params.clone())));
        self.db().write(script).await?.map_err(taken)
    }

    /// Removes a user's name, address and password, and ends their sessions. What they wrote stays, by a "Deleted user".
    /// `verified`: the hash of the password that they gave. Returns the pending job that leaves their rooms, or why nothing was
    /// done.
    pub async fn delete_user(
        &self,
        id: UserId,
        verified: String,
    ) -> Result<std::result::Result<PendingJob, Undeleted>> {
        let script = script(move |conn| Box::pin(delete(conn, id, verified.clone())));
        Ok(self.db().write(script).await??)
    }

    pub(super) async fn one_user(&self, sql: &str, params: Vec<Value>) -> Result<Option<UserRow>> {
        let sql = sql.replacen("(#)", rows::USER_COLUMNS, 1);
        let mut found = self.db().query(sql, params).await?;
        Ok(found.pop().map(rows::user).transpose()?)
    }

    pub async fn user(&self, id: UserId) -> Result<Option<UserRow>> {
        self.one_user("SELECT (#) FROM users u WHERE u.id = ?", params![id])
            .await
    }

    /// By the folded username.
    pub async fn user_by_name(&self, username_key: &str) -> Result<Option<UserRow>> {
        let key = self.bounded(username_key.to_owned());
        self.one_user(
            "SELECT (#) FROM users u WHERE u.username_key = ?",
            params![key],
        )
        .await
    }

    /// The users among these who exist, by rising id.
    pub async fn users_by_ids(&self, ids: &[UserId]) -> Result<Vec<UserSummary>> {
        let sql =
            "SELECT u.id, u.username, u.full_name FROM users u WHERE u.id IN (#) ORDER BY u.id";
        self.summaries(sql, ids).await
    }

    /// The users among these who are active, by rising id.
    pub async fn active_users(&self, ids: &[UserId]) -> Result<Vec<UserSummary>> {
        let sql = "SELECT u.id, u.username, u.full_name FROM users u WHERE u.id IN (#) AND u.is_active = 1 \
                   ORDER BY u.id";
        self.summaries(sql, ids).await
    }

    async fn summaries(&self, sql: &str, ids: &[UserId]) -> Result<Vec<UserSummary>> {
        let mut users = Vec::with_capacity(ids.len());
        for (sql, params) in with_ids(sql, &[], ids) {
            for mut row in self.db().query(sql, params).await? {
                users.push(rows::summary(&mut row, 0)?);
            }
        }
        Ok(users)
    }

    /// Active users with a form of their names that begins with `prefix`, by rising id after `after`.
    pub async fn users(
        &self,
        prefix: &str,
        after: UserId,
        limit: usize,
    ) -> Result<Vec<UserSummary>> {
        let (sql, mut params) = if prefix.is_empty() {
            ("", params![after])
        } else {
            let (low, high) = prefix_range(prefix);
            (
                "AND u.id IN (SELECT n.user_id FROM user_names n WHERE n.name >= ? AND n.name < ?)",
                params![after, low, high],
            )
        };
        params.extend(params![limit]);
        let sql = format!(
            "SELECT u.id, u.username, u.full_name FROM users u WHERE u.id > ? AND u.is_active = 1 {sql} \
             ORDER BY u.id LIMIT ?"
        );
        let found = self.db().query(sql, params).await?;
        let users = found.into_iter().map(|mut row| rows::summary(&mut row, 0));
        Ok(users.collect::<Result<_, SqlError>>()?)
    }
}

/// An active admin other than this user.
const ADMIN_BESIDE: &str =
    "SELECT id FROM users WHERE role = 'admin' AND is_active = 1 AND id <> ? ORDER BY id LIMIT 1";

/// Why an account was not deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undeleted {
    /// The password was changed since it was verified.
    WrongPassword,
    /// The site would have no admin.
    LastAdmin,
}

/// Writes the profile of an active user. `params` are those of the UPDATE; `named` says whether the full name is set.
async fn set_profile(
    mut conn: Conn<'_>,
    id: UserId,
    named: bool,
    params: Vec<Value>,
) -> Result<(Option<UserRow>, Vec<Event>), SqlError> {
    let sql = "UPDATE users SET full_name = CASE WHEN ? = 1 THEN ? ELSE full_name END, email = COALESCE(?, email), \
               email_key = COALESCE(?, email_key), updated_at = ? WHERE id = ? AND is_active = 1";
    conn.execute(sql, params).await?;
    let sql = format!("SELECT {} FROM users u WHERE u.id = ?", rows::USER_COLUMNS);
    let Some(row) = conn.query(&sql, params![id]).await?.pop() else {
        return Ok((None, Vec::new()));
    };
    let row = rows::user(row)?;
    if named && row.user.is_active {
        let sql = "DELETE FROM user_names WHERE user_id = ?";
        conn.execute(sql, params![id]).await?;
        insert_names(&mut conn, &[row.user.summary()]).await?;
    }
    Ok((Some(row), Vec::new()))
}

type Deleted = std::result::Result<PendingJob, Undeleted>;

async fn delete(
    mut conn: Conn<'_>,
    id: UserId,
    verified: String,
) -> Result<(Deleted, Vec<Event>), SqlError> {
    let sql = "SELECT role, password_hash FROM users WHERE id = ?";
    let mut found = conn.query_update(sql, params![id]).await?;
    // A user's row is never deleted.
    let row = found
        .first_mut()
        .ok_or_else(|| SqlError::Refused("a session's user is gone".into()))?;
    if row.opt_text(1)? != Some(verified) {
        return Ok((Err(Undeleted::WrongPassword), Vec::new()));
    }
    if row.str(0)? == "admin"
        && conn
            .query_update(ADMIN_BESIDE, params![id])
            .await?
            .is_empty()
    {
        return Ok((Err(Undeleted::LastAdmin), Vec::new()));
    }
    let now = Time::now();
    // No key that was typed has a NUL.
    let key = format!("\0deleted:{id}");
    let params = params![
        format!("{DELETED_PREFIX}{id}"),
        key.as_str(),
        "",
        key.as_str(),
        DELETED_NAME,
        now,
        id
    ];
    let sql = "UPDATE users SET username = ?, username_key = ?, email = ?, email_key = ?, full_name = ?, \
               password_hash = NULL, role = 'user', is_active = 0, updated_at = ? WHERE id = ?";
    conn.execute(sql, params).await?;
    for sql in [
        "DELETE FROM user_names WHERE user_id = ?",
        "DELETE FROM password_resets WHERE user_id = ?",
        "DELETE FROM invites WHERE created_by = ?",
    ] {
        conn.execute(sql, params![id]).await?;
    }
    sessions::end_all(&mut conn, id, None, now).await?;
    let job = pending_jobs::insert(&mut conn, id, Task::LeaveAll).await?;
    Ok((Ok(job), Vec::new()))
}

/// The full name of a deleted account.
const DELETED_NAME: &str = "Deleted user";
