//! Sessions: rows of `auth_sessions`, the exchange of their refresh tokens, and their end.
//!
//! Invariants: a refresh token is exchanged under the lock of its session's row, so that a session has one valid token. What ends
//! a session writes a row of `revocations` in the same transaction, and every node reads those
//! ([`Store::revocations_after`]).

use std::{sync::Arc, time::Duration};

use super::{
    Store,
    account::UserRow,
    connection::{Conn, script},
    error::{Result, SqlError},
    event::Event,
    rows,
    values::{params, with_ids},
};
use crate::{
    limits::{
        CLOCK_MARGIN, DELETED_AT_ONCE, DELETION_ROUNDS, REFRESH_GRACE, REVOCATIONS_KEPT,
        REVOCATIONS_PAGE, SESSIONS_PER_USER_MAX,
    },
    protocol::{SessionId, Time, UserId, rest::Session},
};

/// SHA-256 of a token or a code. Nothing else is stored of it.
pub type Hash = [u8; 32];

/// A session to be created.
#[derive(Clone, Debug)]
pub struct NewSession {
    pub id: SessionId,
    pub user_id: UserId,
    /// The hash of the password that was verified. If it isn't the user's any more, no session is created.
    pub verified: Option<String>,
    pub refresh_hash: Hash,
    pub user_agent: String,
    pub expires_at: Time,
}

/// A refresh token that is to be exchanged for its successor.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub shown: Hash,
    pub successor: Hash,
    pub user_agent: String,
    /// Whether a token that was exchanged before ends its session. Not where it is shown together with tokens of active sessions: then
    /// a browser still has it, and it doesn't point to a thief.
    pub reuse_ends: bool,
    /// How long ago this node exchanged it, if it did and remembers it, by a monotonic clock.
    pub ago: Option<Duration>,
    /// When the session expires unless it is refreshed again.
    pub expires_at: Time,
}

/// What became of an exchange.
#[derive(Debug)]
pub enum Exchanged {
    /// The successor is the session's token now.
    Successor(SessionId, Box<UserRow>),
    /// The successor is the session's token already: the same device exchanged the same token a moment ago. It may not have received
    /// the answer.
    Again(SessionId, Box<UserRow>),
    /// An old token was shown again. Its session, of this user, was ended just now.
    Reused(UserId, SessionId),
    /// Its session has ended; or the token was exchanged before, and its session goes on ([`Exchange::reuse_ends`]).
    Ended,
    /// No session ever had it.
    Unknown,
}

/// A row of `revocations`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Rises, but not in the order of commits.
    pub id: u64,
    pub user_id: UserId,
}

impl Store {
    /// Creates a session. Sessions of the user that expired long ago are deleted, and beyond [`SESSIONS_PER_USER_MAX`] active ones the
    /// least recently used end. Returns how many ended. `None`: the user's password was changed, or the account was disabled, since
    /// it was verified.
    pub async fn create_session(&self, session: NewSession) -> Result<Option<usize>> {
        let session = Arc::new(session);
        let script = script(move |conn| Box::pin(create(conn, session.clone())));
        Ok(self.db().write(script).await??)
    }

    /// The user of a session that is neither revoked nor expired; of any session, where the user isn't active.
    pub async fn session_user(&self, id: SessionId) -> Result<Option<UserRow>> {
        self.one_user(
            "SELECT (#) FROM auth_sessions s JOIN users u ON u.id = s.user_id
             WHERE s.id = ? AND (s.revoked_at IS NULL AND s.expires_at > ? OR u.is_active = 0)",
            params![id, Time::now()],
        )
        .await
    }

    /// The user of the session that has, or had, this refresh token. With the session, where it was revoked or has expired.
    pub async fn refreshed(
        &self,
        refresh_hash: Hash,
    ) -> Result<Option<(UserId, Option<SessionId>)>> {
        let sql =
            "SELECT user_id, id, revoked_at, expires_at FROM auth_sessions WHERE refresh_hash = ?
             UNION ALL SELECT s.user_id, s.id, s.revoked_at, s.expires_at FROM used_refresh_tokens t
             JOIN auth_sessions s ON s.id = t.session_id WHERE t.hash = ? LIMIT 1";
        let found = self.db().query(sql, params![refresh_hash, refresh_hash]);
        let found = found.await?;
        let whose = found.first().map(|row| {
            let id = SessionId(row.u64(1)?);
            let ended = row.opt_u64(2)?.is_some() || row.time(3)? <= Time::now();
            Ok::<_, SqlError>((row.user_id(0)?, ended.then_some(id)))
        });
        Ok(whose.transpose()?)
    }

    /// Exchanges a refresh token.
    pub async fn exchange(&self, exchange: Exchange) -> Result<Exchanged> {
        let exchange = Arc::new(exchange);
        let script = script(move |conn| Box::pin(swap(conn, exchange.clone())));
        Ok(self.db().write(script).await??)
    }

    /// A user's active sessions, the last used first.
    pub async fn sessions(&self, user_id: UserId) -> Result<Vec<Session>> {
        let sql = "SELECT id, user_agent, created_at, last_used_at FROM auth_sessions
             WHERE user_id = ? AND revoked_at IS NULL AND expires_at > ? ORDER BY last_used_at DESC, id LIMIT ?";
        let params = params![user_id, Time::now(), SESSIONS_PER_USER_MAX];
        let found = self.db().query(sql, params).await?;
        let sessions = found.into_iter().map(|mut row| {
            Ok(Session {
                id: SessionId(row.u64(0)?),
                user_agent: row.text(1)?,
                created_at: row.time(2)?,
                last_used_at: row.time(3)?,
                current: false,
            })
        });
        Ok(sessions.collect::<Result<_, SqlError>>()?)
    }

    /// The sessions among these that aren't revoked, and whether the user is active.
    pub async fn unrevoked_sessions(
        &self,
        user_id: UserId,
        sessions: &[SessionId],
    ) -> Result<(Vec<SessionId>, bool)> {
        let mut unrevoked = Vec::new();
        let sql = "SELECT id FROM auth_sessions WHERE id IN (#) AND revoked_at IS NULL";
        for (sql, params) in with_ids(sql, &[], sessions) {
            for row in self.db().query(sql, params).await? {
                unrevoked.push(SessionId(row.u64(0)?));
            }
        }
        // Read after the sessions: where these ended because the account was disabled, it is known to be disabled.
        let active = self
            .user(user_id)
            .await?
            .is_some_and(|row| row.user.is_active);
        Ok((unrevoked, active))
    }

    /// Ends one session of this user. Returns whether it was active.
    pub async fn end_session(&self, user_id: UserId, id: SessionId) -> Result<bool> {
        let script = script(move |conn| Box::pin(end(conn, user_id, id)));
        Ok(self.db().write(script).await??)
    }

    /// Ends all sessions of this user, except one if given.
    pub async fn end_sessions(&self, user_id: UserId, but: Option<SessionId>) -> Result<()> {
        let script = script(move |mut conn: Conn<'_>| {
            Box::pin(async move {
                end_all(&mut conn, user_id, but, Time::now()).await?;
                Ok(((), Vec::new()))
            })
        });
        Ok(self.db().write(script).await??)
    }

    /// Replaces the password with this hash, ends all sessions but one, and revokes any link that would set yet another password.
    /// Returns whether the password was still that one.
    pub async fn change_password(
        &self,
        user_id: UserId,
        from: String,
        to: String,
        but: SessionId,
    ) -> Result<bool> {
        let hashes = Arc::new((from, to));
        let script =
            script(move |conn| Box::pin(change_password(conn, user_id, hashes.clone(), but)));
        Ok(self.db().write(script).await??)
    }

    /// The revocations after this id, by rising id: at most [`REVOCATIONS_PAGE`].
    pub async fn revocations_after(&self, id: u64) -> Result<Vec<Revocation>> {
        let sql = "SELECT id, user_id FROM revocations WHERE id > ? ORDER BY id LIMIT ?";
        let found = self.db().query(sql, params![id, REVOCATIONS_PAGE]).await?;
        let revocations = found.into_iter().map(|row| {
            Ok(Revocation {
                id: row.u64(0)?,
                user_id: row.user_id(1)?,
            })
        });
        Ok(revocations.collect::<Result<_, SqlError>>()?)
    }

    /// The id of the newest row of `revocations`.
    pub async fn last_revocation(&self) -> Result<u64> {
        let sql = "SELECT MAX(id) FROM revocations";
        let found = self.db().query(sql, params![]).await?;
        let last = found.first().map(|row| row.opt_u64(0)).transpose()?;
        Ok(last.flatten().unwrap_or(0))
    }

    /// Deletes what isn't needed any more, a part at a time: revocations that every node has read, used tokens that would have
    /// expired, and sessions, invites and links that expired [`CLOCK_MARGIN`] ago.
    pub async fn delete_ended(&self, used_before: Time) -> Result<()> {
        let now = Time::now();
        let read = Time(now.0 - REVOCATIONS_KEPT.as_millis() as i64);
        let over = Time(now.0 - CLOCK_MARGIN.as_millis() as i64);
        for (table, at, before) in [
            ("revocations", "revoked_at", read),
            ("used_refresh_tokens", "used_at", used_before),
            ("auth_sessions", "expires_at", over),
            ("invites", "expires_at", over),
            ("password_resets", "expires_at", over),
        ] {
            for _ in 0..DELETION_ROUNDS {
                let script = script(move |conn| Box::pin(delete_oldest(conn, table, at, before)));
                if !self.db().write(script).await?? {
                    break;
                }
            }
        }
        Ok(())
    }
}

type Written<T> = Result<(T, Vec<Event>), SqlError>;

async fn create(mut conn: Conn<'_>, session: Arc<NewSession>) -> Written<Option<usize>> {
    let now = Time::now();
    let user_id = session.user_id;
    if let Some(verified) = &session.verified {
        let sql = "SELECT password_hash FROM users WHERE id = ? AND is_active = 1";
        let mut found = conn.query_share(sql, params![user_id]).await?;
        let hash = found.pop().map(|mut row| row.opt_text(0)).transpose()?;
        if hash.flatten().as_ref() != Some(verified) {
            return Ok((None, Vec::new()));
        }
    }
    let sql = "DELETE FROM auth_sessions WHERE user_id = ? AND expires_at < ?";
    let over = Time(now.0 - CLOCK_MARGIN.as_millis() as i64);
    conn.execute(sql, params![user_id, over]).await?;
    let sql = "SELECT id, last_used_at FROM auth_sessions WHERE user_id = ? AND revoked_at IS NULL
         ORDER BY last_used_at DESC, id LIMIT ?";
    let active = conn
        .query(sql, params![user_id, 2 * SESSIONS_PER_USER_MAX])
        .await?;
    let least_used = active.get(SESSIONS_PER_USER_MAX - 1..).unwrap_or_default();
    for row in least_used {
        let id = SessionId(row.u64(0)?);
        end_one(&mut conn, user_id, id, now).await?;
    }
    // Even if the clock was set back, the new session is the last used one.
    let last = active.first().map(|row| row.time(1)).transpose()?;
    let used = last.map_or(now, |last| now.max(Time(last.0 + 1)));
    let params = params![
        session.id,
        user_id,
        session.refresh_hash,
        session.user_agent.as_str(),
        now,
        used,
        session.expires_at,
    ];
    let sql = "INSERT INTO auth_sessions (id, user_id, refresh_hash, user_agent, created_at, last_used_at, \
               expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)";
    conn.execute(sql, params).await?;
    Ok((Some(least_used.len()), Vec::new()))
}

/// Deletes the oldest rows of a table, of those from before this time. Returns whether there may be more.
async fn delete_oldest(mut conn: Conn<'_>, table: &str, at: &str, before: Time) -> Written<bool> {
    // MySQL, MariaDB and SQLite share no DELETE with a limit that uses an index.
    let sql = format!("SELECT {at} FROM {table} WHERE {at} < ? ORDER BY {at} LIMIT 1 OFFSET ?");
    let found = conn.query(&sql, params![before, DELETED_AT_ONCE]).await?;
    let next = found.first().map(|row| row.time(0)).transpose()?;
    let sql = format!("DELETE FROM {table} WHERE {at} < ?");
    // With all rows of the same moment, however many they are.
    let before = next.map_or(before, |next| Time(next.0 + 1));
    conn.execute(&sql, params![before]).await?;
    Ok((next.is_some(), Vec::new()))
}

async fn swap(mut conn: Conn<'_>, exchange: Arc<Exchange>) -> Written<Exchanged> {
    let exchanged = exchange_token(&mut conn, &exchange).await?;
    Ok((exchanged, Vec::new()))
}

/// Exchanges a token under the lock of its session's row, so that two requests with the same token come one after the other.
async fn exchange_token(conn: &mut Conn<'_>, exchange: &Exchange) -> Result<Exchanged, SqlError> {
    let now = Time::now();
    let sql = "SELECT id FROM auth_sessions WHERE refresh_hash = ?";
    let found = conn.query_update(sql, params![exchange.shown]).await?;
    if let Some(row) = found.first() {
        let id = SessionId(row.u64(0)?);
        let Some(user) = session_user(conn, id, now).await? else {
            return Ok(Exchanged::Ended);
        };
        if user.user.is_active {
            let sql =
                "INSERT INTO used_refresh_tokens (hash, session_id, used_at) VALUES (?, ?, ?)";
            conn.execute(sql, params![exchange.shown, id, now]).await?;
            let sql = "UPDATE auth_sessions SET refresh_hash = ?, user_agent = ?, last_used_at = ?, expires_at = ?
                 WHERE id = ?";
            let params = params![
                exchange.successor,
                exchange.user_agent.as_str(),
                now,
                exchange.expires_at,
                id
            ];
            conn.execute(sql, params).await?;
        }
        return Ok(Exchanged::Successor(id, Box::new(user)));
    }

    let sql = "SELECT session_id, used_at FROM used_refresh_tokens WHERE hash = ?";
    let found = conn.query(sql, params![exchange.shown]).await?;
    let Some(row) = found.first() else {
        return Ok(Exchanged::Unknown);
    };
    let (id, used_at) = (SessionId(row.u64(0)?), row.time(1)?);
    let sql = "SELECT user_id, refresh_hash, user_agent FROM auth_sessions WHERE id = ?";
    let found = conn.query_update(sql, params![id]).await?;
    let Some(row) = found.first() else {
        return Ok(Exchanged::Ended);
    };
    let user_id = row.user_id(0)?;
    let same_device = row.str(2)? == exchange.user_agent;
    let current = row.bytes(1)? == exchange.successor;
    let Some(user) = session_user(conn, id, now).await? else {
        return Ok(Exchanged::Ended);
    };
    // For an exchange by another node, or from before a restart, only the clock tells. A time that lies ahead counts as now.
    let by_the_clock = Duration::from_millis((now.0 - used_at.0).max(0) as u64);
    let in_time = exchange.ago.unwrap_or(by_the_clock) <= REFRESH_GRACE;
    if in_time && same_device && current {
        return Ok(Exchanged::Again(id, Box::new(user)));
    }
    if !exchange.reuse_ends {
        return Ok(Exchanged::Ended);
    }
    end_one(conn, user_id, id, now).await?;
    Ok(Exchanged::Reused(user_id, id))
}

/// The user of a session that is neither revoked nor expired, or whose user is disabled.
async fn session_user(
    conn: &mut Conn<'_>,
    id: SessionId,
    now: Time,
) -> Result<Option<UserRow>, SqlError> {
    let sql = format!(
        "SELECT {} FROM auth_sessions s JOIN users u ON u.id = s.user_id
         WHERE s.id = ? AND (s.revoked_at IS NULL AND s.expires_at > ? OR u.is_active = 0)",
        rows::USER_COLUMNS
    );
    let mut found = conn.query_share(&sql, params![id, now]).await?;
    found.pop().map(rows::user).transpose()
}

async fn end(mut conn: Conn<'_>, user_id: UserId, id: SessionId) -> Written<bool> {
    let sql = "SELECT id FROM auth_sessions WHERE id = ? AND user_id = ? AND revoked_at IS NULL";
    let was_active = !conn
        .query_update(sql, params![id, user_id])
        .await?
        .is_empty();
    if was_active {
        end_one(&mut conn, user_id, id, Time::now()).await?;
    }
    Ok((was_active, Vec::new()))
}

async fn end_one(
    conn: &mut Conn<'_>,
    user_id: UserId,
    id: SessionId,
    now: Time,
) -> Result<(), SqlError> {
    let sql = "UPDATE auth_sessions SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL";
    conn.execute(sql, params![now, id]).await?;
    note(conn, user_id, Some(id), now).await
}

/// Ends all sessions of a user, except one if given, within a transaction.
pub(super) async fn end_all(
    conn: &mut Conn<'_>,
    user_id: UserId,
    but: Option<SessionId>,
    now: Time,
) -> Result<(), SqlError> {
    // No session has the id 0.
    let but = but.unwrap_or(SessionId(0));
    let sql = "UPDATE auth_sessions SET revoked_at = ? WHERE user_id = ? AND id <> ? AND revoked_at IS NULL";
    conn.execute(sql, params![now, user_id, but]).await?;
    note(conn, user_id, None, now).await
}

/// Has every node look at this user's connections once the transaction has committed.
pub(super) async fn note(
    conn: &mut Conn<'_>,
    user_id: UserId,
    session_id: Option<SessionId>,
    now: Time,
) -> Result<(), SqlError> {
    let sql = "INSERT INTO revocations (user_id, session_id, revoked_at) VALUES (?, ?, ?)";
    conn.execute(sql, params![user_id, session_id, now])
        .await
        .map(drop)
}

async fn change_password(
    mut conn: Conn<'_>,
    user_id: UserId,
    hashes: Arc<(String, String)>,
    but: SessionId,
) -> Written<bool> {
    let (from, to) = &*hashes;
    let sql = "SELECT password_hash FROM users WHERE id = ? AND is_active = 1";
    let mut found = conn.query_update(sql, params![user_id]).await?;
    let now_is = found.pop().map(|mut row| row.opt_text(0)).transpose()?;
    if now_is.flatten().as_deref() != Some(from) {
        return Ok((false, Vec::new()));
    }
    let now = Time::now();
    let sql = "UPDATE users SET password_hash = ?, updated_at = ? WHERE id = ?";
    conn.execute(sql, params![to.as_str(), now, user_id])
        .await?;
    let sql = "DELETE FROM password_resets WHERE user_id = ?";
    conn.execute(sql, params![user_id]).await?;
    end_all(&mut conn, user_id, Some(but), now).await?;
    Ok((true, Vec::new()))
}
