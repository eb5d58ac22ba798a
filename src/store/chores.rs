//! What the change of an account has still to do in rooms: an invited user's joining, a deleted one's leaving.
//!
//! Invariant: a chore is written by the transaction that changes the account, so that it is done even if
//! whoever asked for the change, or the server, is gone by then. Doing it again changes nothing.

use super::{
    Result, Store,
    sql::{Conn, Fault, params},
};
use crate::{
    limits::CHORES_PAGE,
    protocol::{RoomId, Time, UserId},
};

/// A row of `chores`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chore {
    pub id: u64,
    pub user_id: UserId,
    pub task: Task,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// The user joins this room, added by this one.
    Join(RoomId, UserId),
    /// The user leaves all rooms that he is in.
    LeaveAll,
}

impl Store {
    /// Chores by rising id after `after`: at most [`CHORES_PAGE`].
    pub async fn chores(&self, after: u64) -> Result<Vec<Chore>> {
        let sql =
            "SELECT id, user_id, room_id, added_by FROM chores WHERE id > ? ORDER BY id LIMIT ?";
        let found = self.db().query(sql, params![after, CHORES_PAGE]);
        let chores = found.await?.into_iter().map(|row| {
            let (room_id, added_by) = (row.opt_u64(2)?, row.opt_u64(3)?);
            Ok(Chore {
                id: row.u64(0)?,
                user_id: row.user_id(1)?,
                task: match room_id.zip(added_by) {
                    Some((room_id, by)) => Task::Join(RoomId(room_id), UserId(by)),
                    None => Task::LeaveAll,
                },
            })
        });
        Ok(chores.collect::<Result<_, Fault>>()?)
    }

    /// Forgets a chore that was done.
    pub async fn done(&self, chore: &Chore) -> Result<()> {
        let sql = "DELETE FROM chores WHERE id = ?";
        self.db().execute(sql, params![chore.id]).await??;
        Ok(())
    }
}

/// Writes a chore, within the transaction that makes it one.
pub(super) async fn insert(
    conn: &mut Conn<'_>,
    user_id: UserId,
    task: Task,
) -> Result<Chore, Fault> {
    let created_at = Time::now();
    let (room_id, added_by) = match task {
        Task::Join(room_id, by) => (Some(room_id), Some(by)),
        Task::LeaveAll => (None, None),
    };
    let sql = "INSERT INTO chores (user_id, room_id, added_by, created_at) VALUES (?, ?, ?, ?)";
    let values = params![user_id, room_id, added_by, created_at];
    let done = conn.execute(sql, values).await?;
    Ok(Chore {
        id: done.last_id,
        user_id,
        task,
    })
}
