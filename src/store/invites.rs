//! Invites: creating, listing and revoking them, and creating the account that uses one.
//!
//! Invariants: an invite is used in the transaction that creates the account, under the lock of the invite's row. So it creates at
//! most `max_uses` accounts, and a name that is taken uses nothing. What an invite allows depends on its creator when it is used:
//! it is invalid if they are disabled, and an invite without a room is invalid if they aren't an admin any more.

use std::sync::Arc;

use super::{
    Store,
    account::{NewUser, UserRow},
    connection::{Conn, script},
    error::{Result, SqlError},
    pending_jobs::{self, PendingJob, Task},
    rows::Word,
    users,
    values::{Row, params},
};
use crate::{
    limits::INVITES_PER_USER_MAX,
    protocol::{
        RoomId, Time, UserId,
        rest::{Invite, SiteRole},
    },
};

/// An invite to be created.
#[derive(Clone, Debug)]
pub struct NewInvite {
    pub code_hash: [u8; 32],
    pub room_id: Option<RoomId>,
    pub created_by: UserId,
    pub max_uses: u64,
    pub expires_at: Time,
}

const COLUMNS: &str = "id, room_id, created_by, max_uses, uses, created_at, expires_at";

fn invite(row: &Row) -> Result<Invite, SqlError> {
    Ok(Invite {
        id: row.u64(0)?,
        room_id: row.opt_u64(1)?.map(RoomId),
        created_by: row.user_id(2)?,
        max_uses: row.u64(3)?,
        uses: row.u64(4)?,
        created_at: row.time(5)?,
        expires_at: row.time(6)?,
    })
}

impl Store {
    /// Creates an invite, and deletes those of its creator that are used up or expired. `None`: they have the greatest number.
    pub async fn create_invite(&self, new: NewInvite) -> Result<Option<Invite>> {
        let script = script(move |conn| {
            let new = new.clone();
            Box::pin(async move { Ok((create(conn, &new).await?, Vec::new())) })
        });
        Ok(self.db().write(script).await??)
    }

    /// Valid invites by rising id after `after`: all of them, or those of one creator.
    pub async fn invites(
        &self,
        created_by: Option<UserId>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Invite>> {
        let valid = "uses < max_uses AND expires_at > ? AND id > ?";
        let (of, mut params) = match created_by {
            Some(user_id) => (" AND created_by = ?", params![Time::now(), after, user_id]),
            None => ("", params![Time::now(), after]),
        };
        params.extend(params![limit]);
        let sql = format!("SELECT {COLUMNS} FROM invites WHERE {valid}{of} ORDER BY id LIMIT ?");
        let found = self.db().query(sql, params).await?;
        let invites = found.iter().map(invite);
        Ok(invites.collect::<Result<_, SqlError>>()?)
    }

    /// Revokes an invite; with `created_by` only one of that user. Returns whether there was one.
    pub async fn delete_invite(&self, id: u64, created_by: Option<UserId>) -> Result<bool> {
        let script = script(move |mut conn: Conn<'_>| {
            Box::pin(async move {
                let sql = "SELECT created_by FROM invites WHERE id = ?";
                let found = conn.query_update(sql, params![id]).await?;
                let maker = found.first().map(|row| row.user_id(0)).transpose()?;
                let found = maker.is_some_and(|maker| created_by.is_none_or(|by| by == maker));
                if found {
                    let sql = "DELETE FROM invites WHERE id = ?";
                    conn.execute(sql, params![id]).await?;
                }
                Ok((found, Vec::new()))
            })
        });
        Ok(self.db().write(script).await??)
    }

    /// Whether this code is an invite's that could be used now: asked before anything costly is done for it.
    pub async fn invite_is_valid(&self, code_hash: [u8; 32]) -> Result<bool> {
        let sql =
            "SELECT 1 FROM invites WHERE code_hash = ? AND uses < max_uses AND expires_at > ?";
        let found = self
            .db()
            .query(sql, params![code_hash, Time::now()])
            .await?;
        Ok(!found.is_empty())
    }

    /// Creates an account that uses an invite, and the pending job that adds it to the invite's room. `None`: there is no valid invite
    /// of this code. `Error::Taken` as [`Store::create_user`]; the invite isn't used then.
    pub async fn create_invited_user(
        &self,
        user: NewUser,
        code_hash: [u8; 32],
    ) -> Result<Option<(UserRow, Option<PendingJob>)>> {
        let user = Arc::new(self.keyed(user));
        let script = script(move |mut conn: Conn<'_>| {
            let user = user.clone();
            Box::pin(async move {
                let Some(invite) = use_invite(&mut conn, code_hash).await? else {
                    return Ok((None, Vec::new()));
                };
                let row = users::insert(&mut conn, &user, SiteRole::User).await?;
                let joining = match invite.room_id {
                    Some(room_id) => {
                        let task = Task::Join(room_id, invite.created_by);
                        Some(pending_jobs::insert(&mut conn, row.user.id, task).await?)
                    }
                    None => None,
                };
                Ok((Some((row, joining)), Vec::new()))
            })
        });
        self.db().write(script).await?.map_err(users::taken)
    }
}

async fn create(mut conn: Conn<'_>, new: &NewInvite) -> Result<Option<Invite>, SqlError> {
    let (now, by) = (Time::now(), new.created_by);
    // Locked, so that two requests can't both take the last place.
    let sql = "SELECT id FROM users WHERE id = ?";
    conn.query_update(sql, params![by]).await?;
    let sql = "DELETE FROM invites WHERE created_by = ? AND (uses >= max_uses OR expires_at <= ?)";
    conn.execute(sql, params![by, now]).await?;
    let sql = "SELECT COUNT(*) FROM invites WHERE created_by = ?";
    let found = conn.query(sql, params![by]).await?;
    let valid = found.first().map(|row| row.u64(0)).transpose()?;
    if valid.unwrap_or(0) >= INVITES_PER_USER_MAX as u64 {
        return Ok(None);
    }
    let sql = "INSERT INTO invites (code_hash, room_id, created_by, max_uses, uses, created_at, expires_at) \
               VALUES (?, ?, ?, ?, 0, ?, ?)";
    let values = params![
        new.code_hash,
        new.room_id,
        by,
        new.max_uses,
        now,
        new.expires_at
    ];
    let done = conn.execute(sql, values).await?;
    Ok(Some(Invite {
        id: done.last_id,
        room_id: new.room_id,
        created_by: by,
        max_uses: new.max_uses,
        uses: 0,
        created_at: now,
        expires_at: new.expires_at,
    }))
}

/// Uses a valid invite once, within the transaction that creates the account.
async fn use_invite(conn: &mut Conn<'_>, code_hash: [u8; 32]) -> Result<Option<Invite>, SqlError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM invites WHERE code_hash = ? AND uses < max_uses AND expires_at > ?"
    );
    let found = conn
        .query_update(&sql, params![code_hash, Time::now()])
        .await?;
    let Some(invite) = found.first().map(invite).transpose()? else {
        return Ok(None);
    };
    let sql = "SELECT role, is_active FROM users WHERE id = ?";
    let maker = conn.query_share(sql, params![invite.created_by]).await?;
    let Some(maker) = maker.first() else {
        return Ok(None);
    };
    let admin = SiteRole::from_word(maker.str(0)?)? == SiteRole::Admin;
    if maker.i64(1)? == 0 || (invite.room_id.is_none() && !admin) {
        return Ok(None);
    }
    let sql = "UPDATE invites SET uses = uses + 1 WHERE id = ?";
    conn.execute(sql, params![invite.id]).await?;
    Ok(Some(invite))
}
