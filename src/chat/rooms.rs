//! Rooms and membership: who may see a room, come in, bring others, and go.

use super::{Chat, Identity, PageOf, judged, mismatch, not_member, page, refuse};
use crate::{
    limits::*,
    protocol::{
        RoomId, UserId,
        check::Checks,
        error::Refusal,
        fold::sought_name,
        rest::{
            AddMemberBody, CreateRoomBody, DirectBody, List, Member, PatchMemberBody,
            PatchMineBody, PatchRoomBody, Room, RoomKind, UserSummary,
        },
    },
    store::{Change, NewRoom, Outcome, RoomFilter, Standing},
};

/// Which rooms a list is to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those the user is in.
    Mine,
    /// Public ones that he may join.
    Public,
    Both,
}

impl Chat {
    /// Makes a room; its maker is the owner, and all of `members` are in it from the start.
    pub async fn create_room(&self, who: &Identity, body: CreateRoomBody) -> Result<Room, Refusal> {
        self.changes.charge(who.user.id)?;
        let mut checks = Checks::default();
        checks.unknown(body.unknown);
        let name = checks.required("name", body.name);
        let kind = checks.required("kind", body.kind);
        let topic = checks.optional("topic", body.topic).unwrap_or_default();
        let mut ids = checks.optional("members", body.members).unwrap_or_default();
        if let Some(name) = &name {
            checks.line("name", name, 1, ROOM_NAME_CHARS_MAX);
        }
        checks.line("topic", &topic, 0, TOPIC_CHARS_MAX);
        if kind == Some(RoomKind::Direct) {
            checks.fail("kind", "type", "public or private");
        }
        if ids.len() > IDS_PER_REQUEST_MAX {
            checks.fail(
                "members",
                "length",
                format!("at most {IDS_PER_REQUEST_MAX} ids"),
            );
        }
        checks.done()?;
        let (Some(name), Some(kind)) = (name, kind) else {
            return Err(Refusal::internal());
        };
        ids.sort_unstable();
        ids.dedup();
        ids.retain(|id| *id != who.user.id);
        let members = self.store.active_users(&ids).await.map_err(refuse)?;
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
        let room_id = self.store.create_room(room).await.map_err(refuse)?;
        let room_id = room_id.map_err(judged)?;
        self.room(who, room_id).await
    }

    /// The direct room with somebody, or with oneself; true: it was made. With whom is no more only one that is there.
    pub async fn direct(&self, who: &Identity, body: DirectBody) -> Result<(Room, bool), Refusal> {
        self.changes.charge(who.user.id)?;
        let mut checks = Checks::default();
        checks.unknown(body.unknown);
        let id = checks.required("user_id", body.user_id);
        checks.done()?;
        let id = id.ok_or_else(Refusal::internal)?;
        let row = self.store.user(id).await.map_err(refuse)?;
        let user = row.map(|row| row.user).filter(|user| user.is_active);
        let Some(user) = user else {
            let found = self.store.direct_between(who.user.id, id).await;
            let room_id = found.map_err(refuse)?;
            let room_id = room_id.ok_or_else(|| no_such_users("user_id", &[id]))?;
            return Ok((self.room(who, room_id).await?, false));
        };
        let made = self
            .store
            .direct_room(who.user.summary(), user.summary())
            .await;
        let direct = made.map_err(refuse)?.map_err(judged)?;
        Ok((self.room(who, direct.room_id).await?, direct.new))
    }

    /// Changes the room's settings; what isn't given stays.
    pub async fn patch_room(
        &self,
        who: &Identity,
        room_id: RoomId,
        body: PatchRoomBody,
    ) -> Result<Room, Refusal> {
        self.changes.charge(who.user.id)?;
        let mut checks = Checks::default();
        checks.unknown(body.unknown);
        let name = checks.optional("name", body.name);
        let topic = checks.optional("topic", body.topic);
        let archived = checks.optional("archived", body.archived);
        if let Some(name) = &name {
            checks.line("name", name, 1, ROOM_NAME_CHARS_MAX);
        }
        if let Some(topic) = &topic {
            checks.line("topic", topic, 0, TOPIC_CHARS_MAX);
        }
        checks.done()?;
        let by = who.user.id;
        let change = Change::Settings {
            room_id,
            by,
            name,
            topic,
            archived,
        };
        match self.store.append(change).await.map_err(refuse)? {
            Outcome::Set => self.room(who, room_id).await,
            Outcome::Refused(refused) => Err(judged(refused)),
            outcome => Err(mismatch(outcome)),
        }
    }

    /// Deletes the room: nobody is in it or finds it any more. Its rows stay in the database.
    pub async fn delete_room(&self, who: &Identity, room_id: RoomId) -> Result<(), Refusal> {
        self.changes.charge(who.user.id)?;
        let by = who.user.id;
        let change = Change::DeleteRoom { room_id, by };
        match self.store.append(change).await.map_err(refuse)? {
            Outcome::RoomDeleted => Ok(()),
            Outcome::Refused(refused) => Err(judged(refused)),
            outcome => Err(mismatch(outcome)),
        }
    }

    /// Keeps what the user wants to be told of in this room.
    pub async fn patch_mine(
        &self,
        who: &Identity,
        room_id: RoomId,
        body: PatchMineBody,
    ) -> Result<Room, Refusal> {
        self.changes.charge(who.user.id)?;
        let mut checks = Checks::default();
        checks.unknown(body.unknown);
        let notify = checks.optional("notify", body.notify);
        checks.done()?;
        self.member(who, room_id).await?;
        if let Some(notify) = notify {
            let kept = self.store.set_notify(room_id, who.user.id, notify).await;
            if !kept.map_err(refuse)? {
                return Err(Refusal::not_found());
            }
        }
        self.room(who, room_id).await
    }

    /// Gives a member another role.
    pub async fn patch_member(
        &self,
        who: &Identity,
        room_id: RoomId,
        user_id: UserId,
        body: PatchMemberBody,
    ) -> Result<Member, Refusal> {
        self.changes.charge(who.user.id)?;
        let mut checks = Checks::default();
        checks.unknown(body.unknown);
        let role = checks.required("role", body.role);
        checks.done()?;
        let role = role.ok_or_else(Refusal::internal)?;
        self.member(who, room_id).await?;
        let user = self.summary(user_id).await?;
        let change = Change::SetRole {
            room_id,
            by: who.user.summary(),
            user: user.clone(),
            role,
        };
        let (member, _) = self.joined(who, user, change).await?;
        Ok(member)
    }

    /// One room as the user sees it; private rooms of others don't exist.
    pub async fn room(&self, who: &Identity, room_id: RoomId) -> Result<Room, Refusal> {
        let room = self.store.room(room_id, who.user.id).await;
        room.map_err(refuse)?
            .filter(|room| room.kind == RoomKind::Public || room.mine.is_some())
            .ok_or_else(Refusal::not_found)
    }

    /// Rooms whose name contains `query`, in any case.
    pub async fn rooms(
        &self,
        who: &Identity,
        scope: Scope,
        query: String,
        at: PageOf,
    ) -> Result<List<Room>, Refusal> {
        let filter = RoomFilter {
            user_id: who.user.id,
            mine: scope != Scope::Public,
            public: scope != Scope::Mine,
            query,
        };
        let rooms = self
            .store
            .rooms(filter, RoomId(at.after), at.limit + 1)
            .await
            .map_err(refuse)?;
        Ok(page(rooms, at.limit, |room| room.id.0))
    }

    /// All of the user's rooms, as in `ready`.
    pub async fn my_rooms(&self, who: &Identity) -> Result<Vec<Room>, Refusal> {
        self.rooms_of(who.user.id).await
    }

    /// All rooms that a user is in.
    pub(super) async fn rooms_of(&self, user_id: UserId) -> Result<Vec<Room>, Refusal> {
        let filter = RoomFilter {
            user_id,
            mine: true,
            public: false,
            query: String::new(),
        };
        let rooms = self
            .store
            .rooms(filter, RoomId(0), ROOMS_PER_USER_MAX)
            .await;
        rooms.map_err(refuse)
    }

    /// Those of the user's rooms in which it is shown who is online.
    pub async fn small_rooms(&self, who: &Identity) -> Result<Vec<RoomId>, Refusal> {
        let rooms = self.store.rooms_upto(who.user.id, PRESENCE_ROOM_MAX).await;
        rooms.map_err(refuse)
    }

    /// Where the user stands in those of these rooms that he is in.
    pub async fn standings(
        &self,
        who: &Identity,
        rooms: &[RoomId],
    ) -> Result<Vec<Standing>, Refusal> {
        let standings = self.store.standings(who.user.id, Some(rooms)).await;
        standings.map_err(refuse)
    }

    pub(super) async fn is_member(&self, who: &Identity, room_id: RoomId) -> Result<bool, Refusal> {
        let mine = self.store.rooms_of(who.user.id, &[room_id]).await;
        Ok(!mine.map_err(refuse)?.is_empty())
    }

    /// Who isn't in the room is refused: `forbidden` in a public room, `not_found` else.
    pub(super) async fn member(&self, who: &Identity, room_id: RoomId) -> Result<(), Refusal> {
        match self.is_member(who, room_id).await? {
            true => Ok(()),
            false => Err(self.no_member(who, room_id).await),
        }
    }

    /// Where a member stands in the room; others are refused as [`Chat::member`] does.
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

    /// Takes the user into a public room.
    pub async fn join(&self, who: &Identity, room_id: RoomId) -> Result<Room, Refusal> {
        self.changes.charge(who.user.id)?;
        let user = who.user.summary();
        let change = Change::Join { room_id, user };
        match self.store.append(change).await.map_err(refuse)? {
            Outcome::Joined { .. } => self.room(who, room_id).await,
            Outcome::Refused(refused) => Err(judged(refused)),
            outcome => Err(mismatch(outcome)),
        }
    }

    /// Ends the user's membership; the owner's place goes to an admin, without one he stays.
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

    /// The room's members, by rising id; for members only.
    pub async fn members(
        &self,
        who: &Identity,
        room_id: RoomId,
        query: &str,
        at: PageOf,
    ) -> Result<List<Member>, Refusal> {
        self.member(who, room_id).await?;
        let prefix = sought_name(query);
        let members = self
            .store
            .members(room_id, &prefix, UserId(at.after), at.limit + 1)
            .await
            .map_err(refuse)?;
        let (rev, members) = members.ok_or_else(Refusal::not_found)?;
        self.member(who, room_id).await?;
        let mut list = page(members, at.limit, |member| member.user.id.0);
        list.rev = Some(rev);
        Ok(list)
    }

    /// Takes somebody else into the room; any member may. The flag: whether he wasn't in it before.
    pub async fn add_member(
        &self,
        who: &Identity,
        room_id: RoomId,
        body: AddMemberBody,
    ) -> Result<(Member, bool), Refusal> {
        self.changes.charge(who.user.id)?;
        let mut checks = Checks::default();
        checks.unknown(body.unknown);
        let id = checks.optional("user_id", body.user_id);
        let name = checks.optional("username", body.username);
        checks.done()?;
        self.member(who, room_id).await?;
        let (field, row) = match (id, name) {
            (Some(id), None) => ("user_id", self.store.user(id).await.map_err(refuse)?),
            (None, Some(name)) => ("username", self.user_named(&name).await?),
            (None, None) => {
                let rule = "user_id or username is required";
                return Err(Refusal::invalid_field("user_id", "missing", rule));
            }
            (Some(_), Some(_)) => {
                let rule = "user_id or username, not both";
                return Err(Refusal::invalid_field("username", "conflict", rule));
            }
        };
        let user = row.map(|row| row.user).filter(|user| user.is_active);
        let user = user.ok_or_else(|| {
            Refusal::invalid_field(field, "unknown", "there is no such user, or he is disabled")
        })?;
        let user = user.summary();
        let change = Change::Add {
            room_id,
            by: who.user.id,
            user: user.clone(),
            back: true,
        };
        self.joined(who, user, change).await
    }

    /// Makes or changes a membership, and answers it; the flag: whether there was something to do.
    async fn joined(
        &self,
        who: &Identity,
        user: UserSummary,
        change: Change,
    ) -> Result<(Member, bool), Refusal> {
        let room_id = change.room_id();
        match self.store.append(change).await.map_err(refuse)? {
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
            Outcome::Refused(refused) => Err(judged(refused)),
            outcome => Err(mismatch(outcome)),
        }
    }

    async fn summary(&self, user_id: UserId) -> Result<UserSummary, Refusal> {
        let users = self.store.users_by_ids(&[user_id]).await.map_err(refuse)?;
        users.into_iter().next().ok_or_else(Refusal::not_found)
    }

    /// Ends a membership: somebody else's, or one's own as [`Chat::leave`] does.
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

    async fn end_membership(&self, change: Change) -> Result<(), Refusal> {
        match self.store.append(change).await.map_err(refuse)? {
            Outcome::Left { .. } => Ok(()),
            Outcome::Refused(refused) => Err(judged(refused)),
            outcome => Err(mismatch(outcome)),
        }
    }
}

/// The refusal of these ids, each of which it names.
fn no_such_users(field: &'static str, ids: &[UserId]) -> Refusal {
    let named: Vec<String> = ids.iter().map(UserId::to_string).collect();
    let message = format!("no active user has this id: {}", named.join(", "));
    Refusal::invalid_field(field, "unknown", message)
}
