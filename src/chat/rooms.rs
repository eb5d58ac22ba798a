//! Rooms: who may see, create, change and delete them, and what a user wants to be notified of.

use super::{
    Chat, Identity, Made, PageOf, page,
    refusals::{mismatch, not_member},
};
use crate::{
    limits::*,
    protocol::{
        RoomId, UserId,
        check::Checks,
        error::Refusal,
        rest::{List, Notify, Room, RoomKind},
    },
    store::{Change, NewRoom, Outcome, RoomFilter, Standing},
};

/// Which rooms a list is limited to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MembershipFilter {
    /// Rooms that the user is a member of.
    Mine,
    /// Public rooms that the user isn't a member of.
    Public,
    Both,
}

/// A room as it was asked for.
#[derive(Debug)]
pub struct RoomRequest {
    pub name: Option<String>,
    pub kind: Option<RoomKind>,
    pub topic: Option<String>,
    pub members: Option<Vec<UserId>>,
}

/// New settings of a room. `None` leaves one as it is.
#[derive(Debug)]
pub struct RoomSettings {
    pub name: Option<String>,
    pub topic: Option<String>,
    pub archived: Option<bool>,
}

impl Chat {
    /// Creates a room with these members. The asker is its owner.
    pub async fn create_room(
        &self,
        who: &Identity,
        request: RoomRequest,
        mut checks: Checks,
    ) -> Result<Room, Refusal> {
        self.changes.charge(who.user.id)?;
        let topic = request.topic.unwrap_or_default();
        let mut ids = request.members.unwrap_or_default();
        if let Some(name) = &request.name {
            checks.line("name", name, 1, ROOM_NAME_CHARS_MAX);
        }
        checks.line("topic", &topic, 0, TOPIC_CHARS_MAX);
        if request.kind == Some(RoomKind::Direct) {
            checks.fail("kind", "type", "must be public or private");
        }
        if ids.len() > IDS_PER_REQUEST_MAX {
            let rule = format!("at most {IDS_PER_REQUEST_MAX} ids");
            checks.fail("members", "length", rule);
        }
        let (name, kind) = checks.finish(request.name.zip(request.kind))?;
        ids.sort_unstable();
        ids.dedup();
        ids.retain(|id| *id != who.user.id);
        let members = self.store.active_users(&ids).await?;
        ids.retain(|id| members.binary_search_by_key(id, |user| user.id).is_err());
        if !ids.is_empty() {
            return Err(no_such_users("members", &ids));
        }
        let room = NewRoom {
            kind,
            name,
            topic,
            owner: who.user.summary(),
            members,
        };
        let room_id = self.store.create_room(room).await??;
        self.room(who, room_id).await
    }

    /// The direct room with a user, or with oneself. With a user who isn't active any more, only an existing one.
    pub async fn direct(
        &self,
        who: &Identity,
        user_id: Option<UserId>,
        checks: Checks,
    ) -> Result<Made<Room>, Refusal> {
        self.changes.charge(who.user.id)?;
        let user_id = checks.finish(user_id)?;
        let row = self.store.user(user_id).await?;
        let Some(row) = row.filter(|row| row.user.is_active) else {
            let found = self.store.direct_between(who.user.id, user_id).await?;
            let room_id = found.ok_or_else(|| no_such_users("user_id", &[user_id]))?;
            return Ok(Made::Existing(self.room(who, room_id).await?));
        };
        let direct = self
            .store
            .direct_room(who.user.summary(), row.user.summary())
            .await??;
        let room = self.room(who, direct.room_id).await?;
        Ok(Made::of(room, direct.new))
    }

    /// Changes the room's settings.
    pub async fn patch_room(
        &self,
        who: &Identity,
        room_id: RoomId,
        settings: RoomSettings,
        mut checks: Checks,
    ) -> Result<Room, Refusal> {
        self.changes.charge(who.user.id)?;
        if let Some(name) = &settings.name {
            checks.line("name", name, 1, ROOM_NAME_CHARS_MAX);
        }
        if let Some(topic) = &settings.topic {
            checks.line("topic", topic, 0, TOPIC_CHARS_MAX);
        }
        checks.done()?;
        let change = Change::Settings {
            room_id,
            by: who.user.id,
            name: settings.name,
            topic: settings.topic,
            archived: settings.archived,
        };
        match self.store.append(change).await? {
            Outcome::Set => self.room(who, room_id).await,
            Outcome::Refused(refused) => Err(refused.into()),
            outcome => Err(mismatch(outcome)),
        }
    }

    /// Deletes the room: it has no members and can't be found any more. Its rows stay in the database.
    pub async fn delete_room(&self, who: &Identity, room_id: RoomId) -> Result<(), Refusal> {
        self.changes.charge(who.user.id)?;
        let by = who.user.id;
        match self
            .store
            .append(Change::DeleteRoom { room_id, by })
            .await?
        {
            Outcome::RoomDeleted => Ok(()),
            Outcome::Refused(refused) => Err(refused.into()),
            outcome => Err(mismatch(outcome)),
        }
    }

    /// Stores what the asker wants to be notified of in this room; `None` leaves it as it is.
    pub async fn patch_mine(
        &self,
        who: &Identity,
        room_id: RoomId,
        notify: Option<Notify>,
        checks: Checks,
    ) -> Result<Room, Refusal> {
        self.changes.charge(who.user.id)?;
        checks.done()?;
        self.member(who, room_id).await?;
        if let Some(notify) = notify
            && !self.store.set_notify(room_id, who.user.id, notify).await?
        {
            return Err(Refusal::not_found());
        }
        self.room(who, room_id).await
    }

    /// One room as the user sees it. For those who aren't members, a private room doesn't exist.
    pub async fn room(&self, who: &Identity, room_id: RoomId) -> Result<Room, Refusal> {
        let room = self.store.room(room_id, who.user.id).await?;
        room.filter(|room| room.kind == RoomKind::Public || room.mine.is_some())
            .ok_or_else(Refusal::not_found)
    }

    /// Rooms whose name contains `query`, in any case.
    pub async fn rooms(
        &self,
        who: &Identity,
        filter: MembershipFilter,
        query: String,
        at: PageOf,
    ) -> Result<List<Room>, Refusal> {
        let filter = RoomFilter {
            user_id: who.user.id,
            mine: filter != MembershipFilter::Public,
            public: filter != MembershipFilter::Mine,
            query,
        };
        let after = RoomId(at.after);
        let rooms = self.store.rooms(filter, after, at.limit + 1).await?;
        Ok(page(rooms, at.limit, |room| room.id.0))
    }

    /// All of the user's rooms, as in `ready`.
    pub async fn my_rooms(&self, who: &Identity) -> Result<Vec<Room>, Refusal> {
        self.rooms_of(who.user.id).await
    }

    /// All rooms that a user is a member of.
    pub(super) async fn rooms_of(&self, user_id: UserId) -> Result<Vec<Room>, Refusal> {
        let filter = RoomFilter {
            user_id,
            mine: true,
            public: false,
            query: String::new(),
        };
        let after = RoomId(0);
        Ok(self.store.rooms(filter, after, ROOMS_PER_USER_MAX).await?)
    }

    /// The user's rooms that are small enough for presence.
    pub async fn small_rooms(&self, who: &Identity) -> Result<Vec<RoomId>, Refusal> {
        let rooms = self.store.rooms_upto(who.user.id, PRESENCE_ROOM_MAX);
        Ok(rooms.await?)
    }

    /// The user's standing in those of these rooms that they are a member of.
    pub async fn standings(
        &self,
        who: &Identity,
        rooms: &[RoomId],
    ) -> Result<Vec<Standing>, Refusal> {
        Ok(self.store.standings(who.user.id, Some(rooms)).await?)
    }

    pub(super) async fn is_member(&self, who: &Identity, room_id: RoomId) -> Result<bool, Refusal> {
        let mine = self.store.rooms_of(who.user.id, &[room_id]).await?;
        Ok(!mine.is_empty())
    }

    /// Refuses a user who isn't a member: with `forbidden` in a public room, with `not_found` otherwise.
    pub(super) async fn member(&self, who: &Identity, room_id: RoomId) -> Result<(), Refusal> {
        if self.is_member(who, room_id).await? {
            Ok(())
        } else {
            Err(self.no_member(who, room_id).await)
        }
    }

    /// A member's standing in the room. Others are refused as by [`Chat::member`].
    pub(super) async fn standing(
        &self,
        who: &Identity,
        room_id: RoomId,
    ) -> Result<Standing, Refusal> {
        match self.standings(who, &[room_id]).await?.pop() {
            Some(standing) => Ok(standing),
            None => Err(self.no_member(who, room_id).await),
        }
    }

    async fn no_member(&self, who: &Identity, room_id: RoomId) -> Refusal {
        let room = self.room(who, room_id).await;
        room.err().unwrap_or_else(not_member)
    }
}

/// The refusal of ids that no active user has. It names them.
fn no_such_users(field: &'static str, ids: &[UserId]) -> Refusal {
    let named: Vec<String> = ids.iter().map(UserId::to_string).collect();
    let message = format!("no active user has this id: {}", named.join(", "));
    Refusal::invalid_field(field, "unknown", message)
}
