//! Memberships: joining, leaving, roles, read markers. Settings and the deletion of rooms.

use std::{collections::BTreeSet, sync::Arc};

use super::{Judge, MemberRow, MemberWrite};
use crate::{
    limits,
    protocol::{
        RoomId, Seq, UserId,
        rest::{Role, Room, RoomKind, UserSummary},
    },
    store::{
        change::{Outcome, Refused},
        event::{Event, EventBody, MemberEvent},
    },
};

impl Judge<'_> {
    pub(super) fn join(&mut self, room_id: RoomId, user: &UserSummary) -> Result<Outcome, Refused> {
        let room = self.state.rooms.get(&room_id).ok_or(Refused::NoRoom)?;
        let public = room.kind == RoomKind::Public;
        match self.present((room_id, user.id)) {
            Some(row) => Ok(joined(row, false)),
            None if public => self.enter(room_id, user, user.id),
            None => Err(Refused::NoRoom),
        }
    }

    pub(super) fn add(
        &mut self,
        room_id: RoomId,
        by: UserId,
        user: &UserSummary,
        back: bool,
    ) -> Result<Outcome, Refused> {
        self.member(room_id, by)?;
        match self.state.members.get(&(room_id, user.id)) {
            Some(row) if row.left_at.is_none() => Ok(joined(row, false)),
            Some(row) if !back => Ok(Outcome::Left { rev: row.rev }),
            _ => self.enter(room_id, user, by),
        }
    }

    /// Makes a user a member who isn't one.
    fn enter(
        &mut self,
        room_id: RoomId,
        user: &UserSummary,
        by: UserId,
    ) -> Result<Outcome, Refused> {
        self.open_group(room_id)?;
        let count = self.state.room_counts.entry(user.id).or_default();
        if *count >= limits::ROOMS_PER_USER_MAX as u64 {
            return Err(Refused::TooManyRooms);
        }
        *count += 1;
        let (rev, room) = self.advance(room_id, |room| room.member_count += 1);
        let row = MemberRow {
            role: Role::Member,
            joined_at: self.now,
            joined_seq: room.last_seq,
            joined_rev: rev,
            left_at: None,
            last_read_seq: room.last_seq,
            rev,
        };
        let outcome = joined(&row, true);
        self.write(room_id, user, row, by);
        Ok(outcome)
    }

    pub(super) fn leave(
        &mut self,
        room_id: RoomId,
        user: &UserSummary,
        heir: Option<&UserSummary>,
    ) -> Result<Outcome, Refused> {
        let owner = self.member(room_id, user.id)?.role == Role::Owner;
        if self.state.rooms[&room_id].kind == RoomKind::Direct {
            return Err(Refused::Direct);
        }
        let heir = if owner {
            let present = |heir: &&UserSummary| {
                heir.id != user.id && self.present((room_id, heir.id)).is_some()
            };
            let other = || heir.filter(present).cloned();
            Some(self.heir(room_id).or_else(other).ok_or(Refused::NoHeir)?)
        } else {
            None
        };
        let outcome = self.part(room_id, user, user.id)?;
        if let Some(heir) = heir {
            self.promote(room_id, &heir, Role::Owner, user.id)?;
        }
        Ok(outcome)
    }

    /// The admin who has been in the room the longest.
    fn heir(&self, room_id: RoomId) -> Option<UserSummary> {
        let members = self.state.members.iter();
        let admins = members.filter(|((room, _), row)| {
            *room == room_id && row.left_at.is_none() && row.role == Role::Admin
        });
        let named = admins.filter_map(|((_, user_id), row)| {
            let name = self.state.names.get(user_id)?;
            Some((row.joined_rev, name))
        });
        named
            .min_by_key(|(joined_rev, _)| *joined_rev)
            .map(|(_, name)| name.clone())
    }

    pub(super) fn remove(
        &mut self,
        room_id: RoomId,
        by: UserId,
        user: &UserSummary,
    ) -> Result<Outcome, Refused> {
        let own = self.member(room_id, by)?.role;
        self.open_group(room_id)?;
        if own == Role::Member {
            return Err(Refused::NotAdmin);
        }
        let role = self.present((room_id, user.id)).map(|row| row.role);
        match (own, role.ok_or(Refused::NoSuchMember)?) {
            (_, Role::Owner) => Err(Refused::OwnerStays),
            (Role::Admin, Role::Admin) => Err(Refused::NotOwner),
            _ => self.part(room_id, user, by),
        }
    }

    /// Ends a membership.
    fn part(
        &mut self,
        room_id: RoomId,
        user: &UserSummary,
        by: UserId,
    ) -> Result<Outcome, Refused> {
        let mut row = self.member(room_id, user.id)?.clone();
        let (rev, _) = self.advance(room_id, |room| {
            room.member_count = room.member_count.saturating_sub(1);
        });
        row.left_at = Some(self.now);
        row.role = Role::Member;
        row.rev = rev;
        self.write(room_id, user, row, by);
        if let Some(count) = self.state.room_counts.get_mut(&user.id) {
            *count = count.saturating_sub(1);
        }
        Ok(Outcome::Left { rev })
    }

    pub(super) fn set_role(
        &mut self,
        room_id: RoomId,
        by: &UserSummary,
        user: &UserSummary,
        role: Role,
    ) -> Result<Outcome, Refused> {
        let own = self.member(room_id, by.id)?.role;
        self.open_group(room_id)?;
        if own != Role::Owner {
            return Err(Refused::NotOwner);
        }
        let row = self.present((room_id, user.id));
        let row = row.ok_or(Refused::NoSuchMember)?;
        if row.role == role {
            return Ok(joined(row, false));
        }
        if user.id == by.id {
            return Err(Refused::OwnerStays);
        }
        let outcome = self.promote(room_id, user, role, by.id)?;
        if role == Role::Owner {
            self.promote(room_id, by, Role::Admin, by.id)?;
        }
        Ok(outcome)
    }

    /// Gives a member another role.
    fn promote(
        &mut self,
        room_id: RoomId,
        user: &UserSummary,
        role: Role,
        by: UserId,
    ) -> Result<Outcome, Refused> {
        let mut row = self.member(room_id, user.id)?.clone();
        let (rev, _) = self.advance(room_id, |_| {});
        row.role = role;
        row.rev = rev;
        let outcome = joined(&row, true);
        self.write(room_id, user, row, by);
        // They may become the owner before the batch ends.
        self.state.names.insert(user.id, user.clone());
        Ok(outcome)
    }

    /// Plans a whole membership, with its read marker, and adds its event.
    fn write(&mut self, room_id: RoomId, user: &UserSummary, row: MemberRow, by: UserId) {
        let key = (room_id, user.id);
        let event = MemberEvent {
            user: user.clone(),
            role: row.left_at.is_none().then_some(row.role),
            joined_rev: row.joined_rev,
            by: Some(by),
            at: Some(self.now),
            member_count: self.state.rooms[&room_id].member_count,
        };
        self.tell(room_id, row.rev, EventBody::Member(event));
        let exists = self.state.members.insert(key, row.clone()).is_some();
        self.plan.markers.remove(&key);
        match self.plan.members.get_mut(&key) {
            Some(write) => write.row = row,
            None => {
                self.plan.members.insert(key, MemberWrite { row, exists });
            }
        }
    }

    pub(super) fn set(
        &mut self,
        room_id: RoomId,
        by: UserId,
        name: Option<&str>,
        topic: Option<&str>,
        archived: Option<bool>,
    ) -> Result<Outcome, Refused> {
        let own = self.member(room_id, by)?.role;
        if self.state.rooms[&room_id].kind == RoomKind::Direct {
            return Err(Refused::Direct);
        }
        if own == Role::Member {
            return Err(Refused::NotAdmin);
        }
        let now = self.now;
        let old = self.state.settings.get(&room_id).ok_or(Refused::NoRoom)?;
        let mut new = old.clone();
        new.name = name.unwrap_or(&old.name).to_owned();
        new.topic = topic.unwrap_or(&old.topic).to_owned();
        let was_archived = self.state.rooms[&room_id].archived_at;
        let archived_at = match archived {
            Some(true) => was_archived.or(Some(now)),
            Some(false) => None,
            None => was_archived,
        };
        if new == *old && archived_at == was_archived {
            return Ok(Outcome::Set);
        }
        if archived != Some(false) {
            self.open_room(room_id)?;
        }
        let (rev, room) = self.advance(room_id, |room| room.archived_at = archived_at);
        let event = Room {
            id: room_id,
            kind: room.kind,
            name: new.name.clone(),
            topic: new.topic.clone(),
            created_by: new.created_by,
            created_at: new.created_at,
            archived_at,
            rev,
            last_seq: room.last_seq,
            member_count: room.member_count,
            mine: None,
        };
        self.tell(room_id, rev, EventBody::Room(Arc::new(event)));
        self.state.settings.insert(room_id, new.clone());
        self.plan.settings.insert(room_id, (rev, new));
        Ok(Outcome::Set)
    }

    pub(super) fn delete_room(&mut self, room_id: RoomId, by: UserId) -> Result<Outcome, Refused> {
        let own = self.member(room_id, by)?.role;
        self.open_group(room_id)?;
        if own != Role::Owner {
            return Err(Refused::NotOwner);
        }
        let (rev, _) = self.advance(room_id, |room| room.member_count = 0);
        // The members that were read, and those that the batch has added.
        let found = self.state.present.get(&room_id).into_iter().flatten();
        let rows = self.state.members.iter();
        let added = rows.filter(|((of, _), row)| *of == room_id && row.left_at.is_none());
        let added = added.map(|((_, user_id), _)| user_id);
        let members: BTreeSet<UserId> = found.chain(added).copied().collect();
        let members = members.into_iter().collect();
        self.tell(room_id, rev, EventBody::Deleted { members });
        // For the rest of the batch the room doesn't exist.
        self.state.rooms.remove(&room_id);
        for ((of, user_id), row) in &self.state.members {
            if *of == room_id
                && row.left_at.is_none()
                && let Some(count) = self.state.room_counts.get_mut(user_id)
            {
                *count = count.saturating_sub(1);
            }
        }
        self.plan.deleted.insert(room_id, self.now);
        Ok(Outcome::RoomDeleted)
    }

    pub(super) fn read(
        &mut self,
        room_id: RoomId,
        user_id: UserId,
        seq: Seq,
    ) -> Result<Outcome, Refused> {
        let old = self.member(room_id, user_id)?.last_read_seq;
        let room = &self.state.rooms[&room_id];
        let (rev, seq) = (room.rev, seq.min(room.last_seq));
        let member_count = room.member_count;
        if seq > old {
            self.mark((room_id, user_id), seq);
        }
        // Told even if the marker stands there already. A request may be repeated because its answer was lost, and a marker
        // has no rev with which the log would show it.
        if seq >= old.max(1) {
            self.plan.events.push(Event {
                room_id,
                prev: rev,
                rev,
                body: EventBody::Read {
                    user_id,
                    seq,
                    member_count,
                },
            });
        }
        let last_read_seq = old.max(seq);
        Ok(Outcome::Read { last_read_seq })
    }

    /// Moves the read marker of a membership.
    pub(super) fn mark(&mut self, key: (RoomId, UserId), seq: Seq) {
        if let Some(row) = self.state.members.get_mut(&key) {
            row.last_read_seq = seq;
        }
        match self.plan.members.get_mut(&key) {
            Some(write) => write.row.last_read_seq = seq,
            None => {
                self.plan.markers.insert(key, seq);
            }
        }
    }
}

/// The outcome for a user who is a member now.
fn joined(row: &MemberRow, changed: bool) -> Outcome {
    Outcome::Joined {
        rev: row.rev,
        role: row.role,
        joined_at: row.joined_at,
        last_read_seq: row.last_read_seq,
        changed,
    }
}
