//! Pending jobs: room changes that follow from an account change and aren't finished. An invited user joins a room; a user whose
//! account was deleted leaves all rooms.
//!
//! Invariant: a job is written by the transaction that changes the account, so that it is done even if the request was aborted or
//! the server was stopped. Doing it again changes nothing.

use super::{
    Store,
    connection::Conn,
    error::{Result, SqlError},
    values::params,
};
use crate::{
    limits::PENDING_JOBS_PAGE,
    protocol::{RoomId, Time, UserId},
};

/// A row of `pending_jobs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingJob {
    pub id: u64,
    pub user_id: UserId,
    pub task: Task,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// The user joins this room, added by this user.
    Join(RoomId, UserId),
    /// The user leaves all of their rooms.
    LeaveAll,
}

impl Store {
    /// Pending jobs by rising id after `after`: at most [`PENDING_JOBS_PAGE`].
    pub async fn pending_jobs(&self, after: u64) -> Result<Vec<PendingJob>> {
        let sql = "SELECT id, user_id, room_id, added_by FROM pending_jobs WHERE id > ? ORDER BY id LIMIT ?";
        let found = self.db().query(sql, params![after, PENDING_JOBS_PAGE]);
        let jobs = found.await?.into_iter().map(|row| {
            let (room_id, added_by) = (row.opt_u64(2)?, row.opt_u64(3)?);
            Ok(PendingJob {
                id: row.u64(0)?,
                user_id: row.user_id(1)?,
                task: match room_id.zip(added_by) {
                    Some((room_id, by)) => Task::Join(RoomId(room_id), UserId(by)),
                    None => Task::LeaveAll,
                },
            })
        });
        Ok(jobs.collect::<Result<_, SqlError>>()?)
    }

    /// Deletes a job that is done.
    pub async fn delete_pending_job(&self, job: &PendingJob) -> Result<()> {
        let sql = "DELETE FROM pending_jobs WHERE id = ?";
        self.db().execute(sql, params![job.id]).await??;
        Ok(())
    }
}

/// Writes a job, within the transaction that changes the account.
pub(super) async fn insert(
    conn: &mut Conn<'_>,
    user_id: UserId,
    task: Task,
) -> Result<PendingJob, SqlError> {
    let created_at = Time::now();
    let (room_id, added_by) = match task {
        Task::Join(room_id, by) => (Some(room_id), Some(by)),
        Task::LeaveAll => (None, None),
    };
    let sql =
        "INSERT INTO pending_jobs (user_id, room_id, added_by, created_at) VALUES (?, ?, ?, ?)";
    let values = params![user_id, room_id, added_by, created_at];
    let done = conn.execute(sql, values).await?;
    Ok(PendingJob {
        id: done.last_id,
        user_id,
        task,
    })
}
