//! The deletion of one's own account: without a name, then out of every room. What was written stays, by a
//! "Deleted user"; direct rooms stay with the other one.

use std::net::IpAddr;

use super::{Chat, Identity, judged, mismatch, refuse};
use crate::{
    protocol::{
        error::Refusal,
        rest::{DeleteMeBody, Role, Room, RoomKind, User, UserSummary},
    },
    store::{Change, Outcome, Refused},
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
        self.confirmed(who, body, address).await?;
        let deleted = self.store.delete_user(who.user.id).await;
        self.sessions.forget(who.user.id);
        let chore = deleted.map_err(refuse)?.ok_or_else(|| {
            Refusal::forbidden(
                "The last admin's account can't be deleted: make somebody else admin first.",
            )
        })?;
        self.attend(chore).await;
        Ok(())
    }

    /// Takes a user whose account is gone out of all rooms but direct ones.
    pub(super) async fn leave_all(&self, user: &User) -> Result<(), Refusal> {
        for room in self.rooms_of(user.id).await? {
            if room.kind != RoomKind::Direct {
                self.leave_for_good(&user.summary(), &room).await?;
            }
        }
        Ok(())
    }

    async fn leave_for_good(&self, user: &UserSummary, room: &Room) -> Result<(), Refusal> {
        let room_id = room.id;
        let leave = Change::Leave {
            room_id,
            user: user.clone(),
        };
        if !self.without_heir(leave.clone()).await? {
            return Ok(());
        }
        // The owner, and no admin to follow him. Only what isn't archived can change hands, or go.
        let archive = |archived: bool| Change::Settings {
            room_id,
            by: user.id,
            name: None,
            topic: None,
            archived: Some(archived),
        };
        if room.archived_at.is_some() {
            self.change_if_there(archive(false)).await?;
        }
        let heir = self.store.heir(room_id, user.id).await.map_err(refuse)?;
        let Some(heir) = heir else {
            let change = Change::DeleteRoom {
                room_id,
                by: user.id,
            };
            return self.change_if_there(change).await;
        };
        self.change_if_there(Change::SetRole {
            room_id,
            by: user.clone(),
            user: heir,
            role: Role::Owner,
        })
        .await?;
        if room.archived_at.is_some() {
            self.change_if_there(archive(true)).await?;
        }
        self.change_if_there(leave).await
    }

    /// Leaves the room; whether that was refused for want of an heir.
    async fn without_heir(&self, leave: Change) -> Result<bool, Refusal> {
        match self.store.append(leave).await.map_err(refuse)? {
            Outcome::Refused(Refused::NoHeir) => Ok(true),
            outcome => settled(outcome).map(|()| false),
        }
    }

    async fn change_if_there(&self, change: Change) -> Result<(), Refusal> {
        settled(self.store.append(change).await.map_err(refuse)?)
    }
}

/// A change of a room that one wants to leave: if it is gone, or one isn't in it any more, all is well.
fn settled(outcome: Outcome) -> Result<(), Refusal> {
    match outcome {
        Outcome::Left { .. }
        | Outcome::Set
        | Outcome::Joined { .. }
        | Outcome::RoomDeleted
        | Outcome::Refused(Refused::NoRoom | Refused::NotMember | Refused::NoSuchMember) => Ok(()),
        Outcome::Refused(refused) => Err(judged(refused)),
        outcome => Err(mismatch(outcome)),
    }
}
