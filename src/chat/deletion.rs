//! The deletion of one's own account: without a name, then out of every room. What was written stays, by a
//! "Deleted user"; direct rooms stay with the other one.

use std::{net::IpAddr, time::Duration};

use super::{Chat, Identity, judged, mismatch, refuse, sessions::wrong_password};
use crate::{
    protocol::{
        error::Refusal,
        rest::{DeleteMeBody, Role, Room, RoomKind, User, UserSummary},
    },
    store::{Change, Outcome, Refused, users::Undeleted},
};

impl Chat {
    /// Deletes the asker's account. Rooms that he owns go to an admin, or else to another member; those
    /// that he is alone in are deleted.
    pub async fn delete_me(
        &self,
        who: &Identity,
        body: DeleteMeBody,
        address: IpAddr,
    ) -> Result<(), Refusal> {
        self.changes.charge(who.user.id)?;
        let verified = self.confirmed(who, body, address).await?;
        let deleted = self.store.delete_user(who.user.id, verified).await;
        self.sessions.forget(who.user.id);
        let chore = deleted.map_err(refuse)?.map_err(|why| match why {
            Undeleted::WrongPassword => wrong_password(),
            Undeleted::LastAdmin => Refusal::forbidden(
                "The last admin's account can't be deleted: make somebody else admin first.",
            ),
        })?;
        self.attend(chore, Duration::ZERO).await;
        Ok(())
    }

    /// Takes a user whose account is gone out of all rooms but direct ones: those that can't be left now keep him
    /// in no other.
    pub(super) async fn leave_all(&self, user: &User) -> Result<(), Refusal> {
        let mut left = Ok(());
        for room in self.rooms_of(user.id).await? {
            if room.kind != RoomKind::Direct {
                left = left.and(self.leave_for_good(&user.summary(), &room).await);
            }
        }
        left
    }

    /// The owner's place goes to an admin, else to whoever has been found to follow him; a room without anybody else
    /// is deleted.
    async fn leave_for_good(&self, user: &UserSummary, room: &Room) -> Result<(), Refusal> {
        let room_id = room.id;
        let owner = room
            .mine
            .as_ref()
            .is_some_and(|mine| mine.role == Role::Owner);
        let heir = match owner {
            true => self.store.heir(room_id, user.id).await.map_err(refuse)?,
            false => None,
        };
        let alone = owner && heir.is_none();
        let leave = Change::Leave {
            room_id,
            user: user.clone(),
            heir,
        };
        match self.store.append(leave).await.map_err(refuse)? {
            // Only what isn't archived can go.
            Outcome::Refused(Refused::NoHeir) if alone => {
                if room.archived_at.is_some() {
                    let open = Change::Settings {
                        room_id,
                        by: user.id,
                        name: None,
                        topic: None,
                        archived: Some(false),
                    };
                    settled(self.store.append(open).await.map_err(refuse)?)?;
                }
                let by = user.id;
                let delete = Change::DeleteRoom { room_id, by };
                settled(self.store.append(delete).await.map_err(refuse)?)
            }
            outcome => settled(outcome),
        }
    }
}

/// A change of a room that one wants to leave: if it is gone, or one isn't in it any more, all is well.
fn settled(outcome: Outcome) -> Result<(), Refusal> {
    match outcome {
        Outcome::Left { .. }
        | Outcome::Set
        | Outcome::RoomDeleted
        | Outcome::Refused(Refused::NoRoom | Refused::NotMember) => Ok(()),
        // Who was to follow has left meanwhile: another one is found when it is done again.
        Outcome::Refused(Refused::NoHeir) => Err(Refusal::unavailable()),
        Outcome::Refused(refused) => Err(judged(refused)),
        outcome => Err(mismatch(outcome)),
    }
}
