//! Deleting one's own account: the name is removed, then the user leaves all rooms. Their messages stay, by a "Deleted
//! user"; direct rooms stay with the other user.

use std::{net::IpAddr, time::Duration};

use super::{
    Chat, Identity,
    refusals::{mismatch, wrong_password},
};
use crate::{
    limits::PASSWORD_BYTES_MAX,
    protocol::{
        check::Checks,
        error::Refusal,
        rest::{Role, Room, RoomKind, User, UserSummary},
    },
    store::{Change, Outcome, Refused, users::Undeleted},
};

impl Chat {
    /// Deletes the asker's account. Rooms that they own pass to an admin, or else to another member; rooms
    /// without another member are deleted.
    pub async fn delete_me(
        &self,
        who: &Identity,
        password: Option<String>,
        address: IpAddr,
        mut checks: Checks,
    ) -> Result<(), Refusal> {
        self.changes.charge(who.user.id)?;
        if let Some(password) = &password {
            checks.bytes("current_password", password, PASSWORD_BYTES_MAX);
        }
        let password = checks.finish(password)?;
        let verified = self.confirm_password(who, password, address).await?;
        let deleted = self.store.delete_user(who.user.id, verified).await;
        self.sessions.forget(who.user.id);
        let job = deleted?.map_err(|why| match why {
            Undeleted::WrongPassword => wrong_password(),
            Undeleted::LastAdmin => Refusal::forbidden(
                "The site's last admin can't delete their account. Make another user an admin first.",
            ),
        })?;
        self.run_job(job, Duration::ZERO).await;
        Ok(())
    }

    /// Removes a user whose account is deleted from all rooms but direct ones. A room that can't be left now doesn't
    /// keep them in others.
    pub(super) async fn leave_all(&self, user: &User) -> Result<(), Refusal> {
        let mut left = Ok(());
        for room in self.rooms_of(user.id).await? {
            if room.kind != RoomKind::Direct {
                left = left.and(self.leave_for_good(&user.summary(), &room).await);
            }
        }
        left
    }

    /// The owner is succeeded by an admin, or else by the member whom the store names; a room without another member is
    /// deleted.
    async fn leave_for_good(&self, user: &UserSummary, room: &Room) -> Result<(), Refusal> {
        let room_id = room.id;
        let mine = room.mine.as_ref();
        let is_owner = mine.is_some_and(|mine| mine.role == Role::Owner);
        let heir = if is_owner {
            self.store.heir(room_id, user.id).await?
        } else {
            None
        };
        let alone = is_owner && heir.is_none();
        let leave = Change::Leave {
            room_id,
            user: user.clone(),
            heir,
        };
        match self.store.append(leave).await? {
            // An archived room can't be deleted.
            Outcome::Refused(Refused::NoHeir) if alone => {
                if room.archived_at.is_some() {
                    let unarchive = Change::Settings {
                        room_id,
                        by: user.id,
                        name: None,
                        topic: None,
                        archived: Some(false),
                    };
                    check_gone(self.store.append(unarchive).await?)?;
                }
                let by = user.id;
                let delete = Change::DeleteRoom { room_id, by };
                check_gone(self.store.append(delete).await?)
            }
            outcome => check_gone(outcome),
        }
    }
}

/// Checks a change to a room that the user is leaving. It is no error if the room is gone, or the user is no member any more.
fn check_gone(outcome: Outcome) -> Result<(), Refusal> {
    match outcome {
        Outcome::Left { .. }
        | Outcome::Set
        | Outcome::RoomDeleted
        | Outcome::Refused(Refused::NoRoom | Refused::NotMember) => Ok(()),
        // The member who was to succeed has left meanwhile: the next attempt finds another.
        Outcome::Refused(Refused::NoHeir) => Err(Refusal::unavailable()),
        Outcome::Refused(refused) => Err(refused.into()),
        outcome => Err(mismatch(outcome)),
    }
}
