//! Membership: joining and leaving, adding and removing others, and roles.

use super::{Chat, Identity, Made, PageOf, page, refusals::mismatch};
use crate::{
    limits::MARKERS_ROOM_MAX,
    protocol::{
        RoomId, UserId,
        check::Checks,
        error::Refusal,
        fold::sought_name,
        rest::{List, Member, Role, Room, UserSummary},
    },
    store::{Change, Outcome},
};

impl Chat {
    /// Makes the asker a member of a public room.
    pub async fn join(&self, who: &Identity, room_id: RoomId) -> Result<Room, Refusal> {
        self.changes.charge(who.user.id)?;
        let user = who.user.summary();
        match self.store.append(Change::Join { room_id, user }).await? {
            Outcome::Joined { .. } => self.room(who, room_id).await,
            Outcome::Refused(refused) => Err(refused.into()),
            outcome => Err(mismatch(outcome)),
        }
    }

    /// Ends the asker's membership. An owner is succeeded by an admin, and must stay if there is none.
    pub async fn leave(&self, who: &Identity, room_id: RoomId) -> Result<(), Refusal> {
        self.changes.charge(who.user.id)?;
        let user = who.user.summary();
        self.end_membership(Change::Leave {
            room_id,
            user,
            heir: None,
        })
        .await
    }

    /// The room's members who have a name that begins with `query` ([`sought_name`]), by rising id. Only members may list them.
    pub async fn members(
        &self,
        who: &Identity,
        room_id: RoomId,
        query: &str,
        at: PageOf,
    ) -> Result<List<Member>, Refusal> {
        self.member(who, room_id).await?;
        let (prefix, after) = (sought_name(query), UserId(at.after));
        let members = self
            .store
            .members(room_id, &prefix, after, at.limit + 1)
            .await?;
        let (rev, members) = members.ok_or_else(Refusal::not_found)?;
        self.member(who, room_id).await?;
        let list = page(members, at.limit, |member| member.user.id.0);
        Ok(List {
            rev: Some(rev),
            ..list
        })
    }

    /// Adds a user, given by id or by name, to the room. Any member may.
    pub async fn add_member(
        &self,
        who: &Identity,
        room_id: RoomId,
        user_id: Option<UserId>,
        username: Option<String>,
        checks: Checks,
    ) -> Result<Made<Member>, Refusal> {
        self.changes.charge(who.user.id)?;
        checks.done()?;
        self.member(who, room_id).await?;
        let (field, row) = match (user_id, username) {
            (Some(id), None) => ("user_id", self.store.user(id).await?),
            (None, Some(name)) => ("username", self.user_named(&name).await?),
            (None, None) => {
                let rule = "user_id or username is required";
                return Err(Refusal::invalid_field("user_id", "missing", rule));
            }
            (Some(_), Some(_)) => {
                let rule = "give user_id or username, not both";
                return Err(Refusal::invalid_field("username", "conflict", rule));
            }
        };
        let Some(row) = row.filter(|row| row.user.is_active) else {
            let rule = "there is no such user, or the account is disabled";
            return Err(Refusal::invalid_field(field, "unknown", rule));
        };
        let user = row.user.summary();
        let change = Change::Add {
            room_id,
            by: who.user.id,
            user: user.clone(),
            back: true,
        };
        let (member, is_new) = self.set_member(who, user, change).await?;
        Ok(Made::of(member, is_new))
    }

    /// Changes a member's role.
    pub async fn patch_member(
        &self,
        who: &Identity,
        room_id: RoomId,
        user_id: UserId,
        role: Option<Role>,
        checks: Checks,
    ) -> Result<Member, Refusal> {
        self.changes.charge(who.user.id)?;
        let role = checks.finish(role)?;
        self.member(who, room_id).await?;
        let user = self.summary(user_id).await?;
        let change = Change::SetRole {
            room_id,
            by: who.user.summary(),
            user: user.clone(),
            role,
        };
        let (member, _) = self.set_member(who, user, change).await?;
        Ok(member)
    }

    /// Makes or changes a membership. Returns the member, and whether anything was changed.
    async fn set_member(
        &self,
        who: &Identity,
        user: UserSummary,
        change: Change,
    ) -> Result<(Member, bool), Refusal> {
        let room_id = change.room_id();
        match self.store.append(change).await? {
            Outcome::Joined {
                rev,
                role,
                joined_at,
                last_read_seq,
                changed,
            } => {
                let room = self.room(who, room_id).await?;
                let small = room.member_count <= MARKERS_ROOM_MAX;
                let member = Member {
                    user,
                    role,
                    joined_at,
                    rev,
                    last_read_seq: small.then_some(last_read_seq),
                };
                Ok((member, changed))
            }
            Outcome::Refused(refused) => Err(refused.into()),
            outcome => Err(mismatch(outcome)),
        }
    }

    /// Removes a member. For oneself, it is [`Chat::leave`].
    pub async fn remove_member(
        &self,
        who: &Identity,
        room_id: RoomId,
        user_id: UserId,
    ) -> Result<(), Refusal> {
        self.changes.charge(who.user.id)?;
        self.member(who, room_id).await?;
        if user_id == who.user.id {
            return self.leave(who, room_id).await;
        }
        let user = self.summary(user_id).await?;
        let by = who.user.id;
        self.end_membership(Change::Remove { room_id, by, user })
            .await
    }

    async fn summary(&self, user_id: UserId) -> Result<UserSummary, Refusal> {
        let users = self.store.users_by_ids(&[user_id]).await?;
        users.into_iter().next().ok_or_else(Refusal::not_found)
    }

    async fn end_membership(&self, change: Change) -> Result<(), Refusal> {
        match self.store.append(change).await? {
            Outcome::Left { .. } => Ok(()),
            Outcome::Refused(refused) => Err(refused.into()),
            outcome => Err(mismatch(outcome)),
        }
    }
}
