//! Accounts and log-ins.
//!
//! Invariant: a name and an address are unique by their folded keys, and the database's unique indexes
//! decide, not a look beforehand.

use std::{borrow::Cow, sync::Arc};

use super::{
    Error, Event, NewUser, Profile, Result, Store, UserRow,
    chores::{self, Chore, Task},
    rows::{self, Word},
    sessions,
    sql::{Conn, Fault, Value, params, script, with_ids},
};
use crate::protocol::{
    Time, UserId,
    check::DELETED_PREFIX,
    fold::{fold, name_forms},
    rest::{SiteRole, User, UserKind, UserSummary},
};

/// The longest key that is stored as it is; what folds to more is stored as its hash.
const KEY_BYTES_MAX: usize = 1_100;

/// An address may fold to several times its length, and indexes are bounded.
pub fn bounded(key: String) -> Cow<'static, str> {
    if key.len() <= KEY_BYTES_MAX {
        return key.into();
    }
    let digest = ring::digest::digest(&ring::digest::SHA256, key.as_bytes());
    let hex: String = digest.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    // NUL is in no key that was typed.
    format!("\0sha256:{hex}").into()
}

/// Writes an account's row, within a transaction.
pub(super) async fn insert(
    conn: &mut Conn<'_>,
    user: &NewUser,
    role: SiteRole,
) -> Result<UserRow, Fault> {
    let now = Time::now();
    let username_key = bounded(fold(&user.username)).into_owned();
    let email_key = bounded(fold(&user.email)).into_owned();
    let params = params![
        user.username.as_str(),
        username_key,
        user.email.as_str(),
        email_key,
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

/// Inserts the forms by which users are found ([`name_forms`]), of their usernames and full names. They have none yet.
pub(super) async fn insert_names(conn: &mut Conn<'_>, users: &[UserSummary]) -> Result<(), Fault> {
    let mut rows = Vec::new();
    for user in users {
        let forms = name_forms(&user.username, user.full_name.as_deref());
        rows.extend(forms.into_iter().map(|form| [form.into(), user.id.into()]));
    }
    conn.insert("user_names (name, user_id)", &rows).await
}

/// A unique index of the accounts' that holds the key already, as the field that it is about.
pub(super) fn taken(fault: Fault) -> Error {
    match fault {
        Fault::Unique(index) if index.contains("username") => Error::Taken("username"),
        Fault::Unique(index) if index.contains("email") => Error::Taken("email"),
        fault => fault.into(),
    }
}

impl Store {
    /// `Error::Taken("username" | "email")`.
    pub async fn create_user(&self, user: NewUser) -> Result<UserRow> {
        self.create_account(user, SiteRole::User).await
    }

    /// As [`Store::create_user`], with a role on the site.
    pub async fn create_account(&self, user: NewUser, role: SiteRole) -> Result<UserRow> {
        let user = Arc::new(user);
        let script = script(move |mut conn: Conn<'_>| {
            let user = user.clone();
            Box::pin(async move { Ok((insert(&mut conn, &user, role).await?, Vec::new())) })
        });
        self.db().write(script).await?.map_err(taken)
    }

    /// Sets another hash of the same password, unless it was changed meanwhile.
    pub async fn replace_hash(&self, id: UserId, old: &str, new: String) -> Result<()> {
        let sql = "UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ?";
        self.db().execute(sql, params![new, id, old]).await??;
        Ok(())
    }

    /// `Error::Taken("email")`; `None` when the user is gone.
    pub async fn set_profile(&self, id: UserId, profile: Profile) -> Result<Option<UserRow>> {
        let email_key = profile.email.as_deref();
        let email_key = email_key.map(|email| bounded(fold(email)).into_owned());
        let named = profile.full_name.is_some();
        let full_name = profile.full_name.filter(|name| !name.is_empty());
        let params = params![named, full_name, profile.email, email_key, Time::now(), id];
        let script = script(move |conn| Box::pin(set_profile(conn, id, named, params.clone())));
        self.db().write(script).await?.map_err(taken)
    }

    /// Takes a user's name, address and password away and ends his log-ins: what he wrote stays, by a
    /// "Deleted user". `verified` is the hash of the password that he gave. The chore of leaving his rooms, or
    /// why nothing was done.
    pub async fn delete_user(
        &self,
        id: UserId,
        verified: String,
    ) -> Result<std::result::Result<Chore, Undeleted>> {
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

    /// By folded key.
    pub async fn user_by_name(&self, username_key: &str) -> Result<Option<UserRow>> {
        let key = bounded(username_key.to_owned()).into_owned();
        self.one_user(
            "SELECT (#) FROM users u WHERE u.username_key = ?",
            params![key],
        )
        .await
    }

    /// Those of these users who exist, by rising id.
    pub async fn users_by_ids(&self, ids: &[UserId]) -> Result<Vec<UserSummary>> {
        let sql =
            "SELECT u.id, u.username, u.full_name FROM users u WHERE u.id IN (#) ORDER BY u.id";
        self.summaries(sql, ids).await
    }

    /// Those of these users who are active, by rising id.
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

    /// Active users one of whose names begins with `prefix` ([`name_forms`]), by rising id after `after`.
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
        Ok(users.collect::<Result<_, Fault>>()?)
    }
}

/// Admins besides one user, the row of each locked when it is asked so.
const ADMIN_BESIDE: &str =
    "SELECT id FROM users WHERE role = 'admin' AND is_active = 1 AND id <> ? ORDER BY id LIMIT 1";

/// Why an account was not deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undeleted {
    /// The password was changed since it was verified.
    WrongPassword,
    /// Nobody would be left to administer the site.
    LastAdmin,
}

/// Writes the profile of an active user. `params` are those of the UPDATE; `named` says whether the full name is set.
async fn set_profile(
    mut conn: Conn<'_>,
    id: UserId,
    named: bool,
    params: Vec<Value>,
) -> Result<(Option<UserRow>, Vec<Event>), Fault> {
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

type Deleted = std::result::Result<Chore, Undeleted>;

async fn delete(
    mut conn: Conn<'_>,
    id: UserId,
    verified: String,
) -> Result<(Deleted, Vec<Event>), Fault> {
    let sql = "SELECT role, password_hash FROM users WHERE id = ?";
    let mut found = conn.query_update(sql, params![id]).await?;
    // Nobody takes a user's row away.
    let row = found
        .first_mut()
        .ok_or_else(|| Fault::Refused("a log-in's user is gone".into()))?;
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
    // NUL is in no key that was typed.
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
    let chore = chores::insert(&mut conn, id, Task::LeaveAll).await?;
    Ok((Ok(chore), Vec::new()))
}

/// The full name of who deleted his account.
const DELETED_NAME: &str = "Deleted user";

/// Keys that begin with `prefix` are at least the first and below the second, byte by byte.
pub fn prefix_range(prefix: &str) -> (String, String) {
    (prefix.to_owned(), format!("{prefix}\u{10FFFF}"))
}
