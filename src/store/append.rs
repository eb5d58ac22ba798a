//! How the log judges and numbers changes: no I/O, no clock.
//!
//! [`keys`] names the rows that a batch depends on; a database locks and reads them into a [`State`];
//! [`plan`] judges the changes one after another against it, each seeing what those before it did, so
//! that a batch gives what its changes would give one by one; the database then executes the [`Plan`].
//!
//! Invariants: a repeated id is looked up before anything else is judged; one row changed takes one
//! `rev`; `seq` and `rev` of a room go up by one; a refused change leaves no trace.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use uuid::Uuid;

use super::{Change, Event, EventBody, MemberEvent, Outcome, Refused};
use crate::{
    limits,
    protocol::{
        Rev, RoomId, Seq, Time, UserId,
        rest::{Message, MessageKind, Role, RoomKind, UserSummary},
    },
};

/// What of a room's row an append reads and writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomRow {
    pub kind: RoomKind,
    pub last_seq: Seq,
    pub rev: Rev,
    pub member_count: u64,
    pub first_seq: Seq,
}

/// What of a membership's row an append reads and writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRow {
    pub role: Role,
    pub joined_at: Time,
    pub joined_seq: Seq,
    pub joined_rev: Rev,
    pub left_at: Option<Time>,
    pub last_read_seq: Seq,
    pub rev: Rev,
}

/// What of a stored message its repetition is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentRow {
    pub seq: Seq,
    pub rev: Rev,
    pub created_at: Time,
}

/// The rows that a batch depends on, each list sorted and without repeats: locked in this order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Keys {
    pub rooms: Vec<RoomId>,
    pub members: Vec<(RoomId, UserId)>,
    pub sent: Vec<(RoomId, UserId, Uuid)>,
    /// Users whose number of rooms is counted.
    pub joiners: Vec<UserId>,
}

/// The rows of [`Keys`] that exist, read under the rooms' locks.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub rooms: HashMap<RoomId, RoomRow>,
    pub members: HashMap<(RoomId, UserId), MemberRow>,
    pub sent: HashMap<(RoomId, UserId, Uuid), SentRow>,
    /// In how many rooms the user is; absent: 0.
    pub room_counts: HashMap<UserId, u64>,
}

/// A membership to be written: whole, and whether the row is there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberWrite {
    pub row: MemberRow,
    pub exists: bool,
}

/// What a batch amounts to: the outcomes in its order, and the final state of each row it changes.
#[derive(Debug, Default)]
pub struct Plan {
    pub outcomes: Vec<Outcome>,
    pub messages: Vec<Arc<Message>>,
    pub members: BTreeMap<(RoomId, UserId), MemberWrite>,
    /// Markers of memberships that change in nothing else.
    pub markers: BTreeMap<(RoomId, UserId), Seq>,
    /// Rooms whose `rev` moved, and the `rev` that they had before.
    pub rooms: BTreeMap<RoomId, (Rev, RoomRow)>,
    /// In `rev` order for each room.
    pub events: Vec<Event>,
}

/// Which rows a batch depends on.
pub fn keys<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Keys {
    let mut keys = Keys::default();
    for change in changes {
        let room_id = change.room_id();
        keys.rooms.push(room_id);
        match change {
            Change::Send { sender, id, .. } => {
                keys.members.push((room_id, sender.id));
                keys.sent.push((room_id, sender.id, *id));
            }
            Change::Join { user, .. } => {
                keys.members.push((room_id, user.id));
                keys.joiners.push(user.id);
            }
            Change::Leave { user, .. } => keys.members.push((room_id, user.id)),
            Change::Add { by, user, .. } => {
                keys.members.extend([(room_id, *by), (room_id, user.id)]);
                keys.joiners.push(user.id);
            }
            Change::Remove { by, user, .. } => {
                keys.members.extend([(room_id, *by), (room_id, user.id)]);
            }
            Change::Read { user_id, .. } => keys.members.push((room_id, *user_id)),
        }
    }
    fn tidy<T: Ord>(list: &mut Vec<T>) {
        list.sort_unstable();
        list.dedup();
    }
    tidy(&mut keys.rooms);
    tidy(&mut keys.members);
    tidy(&mut keys.sent);
    tidy(&mut keys.joiners);
    keys
}

/// Judges and numbers a batch against the rows that are locked.
pub fn plan<'a>(
    changes: impl IntoIterator<Item = &'a Change>,
    mut state: State,
    now: Time,
) -> Plan {
    let mut plan = Plan::default();
    for change in changes {
        let outcome = match judge(change, &mut state, &mut plan, now) {
            Ok(outcome) => outcome,
            Err(refused) => Outcome::Refused(refused),
        };
        plan.outcomes.push(outcome);
    }
    plan
}

fn judge(
    change: &Change,
    state: &mut State,
    plan: &mut Plan,
    now: Time,
) -> Result<Outcome, Refused> {
    match change {
        Change::Send {
            room_id,
            sender,
            id,
            content,
            reply_to,
        } => send(state, plan, now, *room_id, sender, *id, content, *reply_to),
        Change::Join { room_id, user } => {
            let room = state.rooms.get(room_id).ok_or(Refused::NoRoom)?;
            let (public, key) = (room.kind == RoomKind::Public, (*room_id, user.id));
            if !public && present(state, key).is_none() {
                return Err(Refused::NoRoom);
            }
            enter(state, plan, now, *room_id, user, user.id)
        }
        Change::Add { room_id, by, user } => {
            membership(state, *room_id, *by)?;
            enter(state, plan, now, *room_id, user, *by)
        }
        Change::Leave { room_id, user } => {
            membership(state, *room_id, user.id)?;
            part(state, plan, now, *room_id, user, user.id)
        }
        Change::Remove { room_id, by, user } => {
            if membership(state, *room_id, *by)?.role != Role::Owner {
                return Err(Refused::NotOwner);
            }
            present(state, (*room_id, user.id)).ok_or(Refused::NoSuchMember)?;
            part(state, plan, now, *room_id, user, *by)
        }
        Change::Read {
            room_id,
            user_id,
            seq,
        } => {
            let old = membership(state, *room_id, *user_id)?.last_read_seq;
            let last_seq = state.rooms[room_id].last_seq;
            let last_read_seq = old.max((*seq).min(last_seq));
            if last_read_seq > old {
                mark(state, plan, (*room_id, *user_id), last_read_seq);
            }
            Ok(Outcome::Read {
                last_read_seq,
                unread_mentions: 0,
            })
        }
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "the fields of one change, taken apart"
)]
fn send(
    state: &mut State,
    plan: &mut Plan,
    now: Time,
    room_id: RoomId,
    sender: &UserSummary,
    id: Uuid,
    content: &str,
    reply_to: Option<Seq>,
) -> Result<Outcome, Refused> {
    if let Some(sent) = state.sent.get(&(room_id, sender.id, id)) {
        return Ok(Outcome::Sent {
            seq: sent.seq,
            rev: sent.rev,
            created_at: sent.created_at,
            duplicate: true,
        });
    }
    membership(state, room_id, sender.id)?;
    let room = &state.rooms[&room_id];
    if reply_to.is_some_and(|seq| seq < room.first_seq.max(1) || seq > room.last_seq) {
        return Err(Refused::NoSuchMessage);
    }
    let (rev, room) = advance(state, plan, room_id, |room| room.last_seq += 1);
    let seq = room.last_seq;
    let message = Arc::new(Message {
        room_id,
        seq,
        rev,
        id,
        kind: MessageKind::Text,
        sender: sender.clone(),
        content: content.to_owned(),
        created_at: now,
        reply_to,
    });
    plan.messages.push(message.clone());
    plan.tell(room_id, rev, EventBody::Message(message));
    mark(state, plan, (room_id, sender.id), seq);
    let sent = SentRow {
        seq,
        rev,
        created_at: now,
    };
    state.sent.insert((room_id, sender.id, id), sent);
    Ok(Outcome::Sent {
        seq,
        rev,
        created_at: now,
        duplicate: false,
    })
}

/// Makes the user a member, unless he is one.
fn enter(
    state: &mut State,
    plan: &mut Plan,
    now: Time,
    room_id: RoomId,
    user: &UserSummary,
    by: UserId,
) -> Result<Outcome, Refused> {
    let key = (room_id, user.id);
    if let Some(row) = present(state, key) {
        return Ok(joined(row, false));
    }
    let count = state.room_counts.entry(user.id).or_default();
    if *count >= limits::ROOMS_PER_USER_MAX as u64 {
        return Err(Refused::TooManyRooms);
    }
    *count += 1;
    let (rev, room) = advance(state, plan, room_id, |room| room.member_count += 1);
    let row = MemberRow {
        role: Role::Member,
        joined_at: now,
        joined_seq: room.last_seq,
        joined_rev: rev,
        left_at: None,
        last_read_seq: room.last_seq,
        rev,
    };
    let outcome = joined(&row, true);
    write(state, plan, key, row);
    let event = MemberEvent {
        user: user.clone(),
        role: Some(Role::Member),
        by: Some(by),
        at: Some(now),
        member_count: room.member_count,
    };
    plan.tell(room_id, rev, EventBody::Member(event));
    Ok(outcome)
}

/// Ends a membership that is there; the owner's stays.
fn part(
    state: &mut State,
    plan: &mut Plan,
    now: Time,
    room_id: RoomId,
    user: &UserSummary,
    by: UserId,
) -> Result<Outcome, Refused> {
    let key = (room_id, user.id);
    let mut row = membership(state, room_id, user.id)?.clone();
    if row.role == Role::Owner {
        return Err(Refused::OwnerStays);
    }
    let (rev, room) = advance(state, plan, room_id, |room| {
        room.member_count = room.member_count.saturating_sub(1);
    });
    row.left_at = Some(now);
    row.rev = rev;
    write(state, plan, key, row);
    if let Some(count) = state.room_counts.get_mut(&user.id) {
        *count = count.saturating_sub(1);
    }
    let event = MemberEvent {
        user: user.clone(),
        role: None,
        by: Some(by),
        at: Some(now),
        member_count: room.member_count,
    };
    plan.tell(room_id, rev, EventBody::Member(event));
    Ok(Outcome::Left { rev })
}

fn joined(row: &MemberRow, changed: bool) -> Outcome {
    Outcome::Joined {
        rev: row.rev,
        role: row.role,
        joined_at: row.joined_at,
        last_read_seq: row.last_read_seq,
        changed,
    }
}

fn present(state: &State, key: (RoomId, UserId)) -> Option<&MemberRow> {
    let row = state.members.get(&key)?;
    row.left_at.is_none().then_some(row)
}

/// The present membership; its absence is told so that a private room stays hidden.
fn membership(state: &State, room_id: RoomId, user_id: UserId) -> Result<&MemberRow, Refused> {
    let room = state.rooms.get(&room_id).ok_or(Refused::NoRoom)?;
    present(state, (room_id, user_id)).ok_or(match room.kind {
        RoomKind::Public => Refused::NotMember,
        RoomKind::Private => Refused::NoRoom,
    })
}

/// Takes the room's next `rev`. The room is there: its members were looked at before.
fn advance(
    state: &mut State,
    plan: &mut Plan,
    room_id: RoomId,
    change: impl FnOnce(&mut RoomRow),
) -> (Rev, RoomRow) {
    let room = state
        .rooms
        .get_mut(&room_id)
        .expect("a room that was found");
    let before = room.rev;
    room.rev += 1;
    change(room);
    let entry = plan.rooms.entry(room_id).or_insert((before, room.clone()));
    entry.1 = room.clone();
    (room.rev, room.clone())
}

/// Moves the marker of a present membership.
fn mark(state: &mut State, plan: &mut Plan, key: (RoomId, UserId), seq: Seq) {
    if let Some(row) = state.members.get_mut(&key) {
        row.last_read_seq = seq;
    }
    match plan.members.get_mut(&key) {
        Some(write) => write.row.last_read_seq = seq,
        None => {
            plan.markers.insert(key, seq);
        }
    }
}

/// Writes a whole membership, its marker too.
fn write(state: &mut State, plan: &mut Plan, key: (RoomId, UserId), row: MemberRow) {
    let known = state.members.insert(key, row.clone()).is_some();
    plan.markers.remove(&key);
    match plan.members.get_mut(&key) {
        Some(write) => write.row = row,
        None => {
            let exists = known;
            plan.members.insert(key, MemberWrite { row, exists });
        }
    }
}

impl Plan {
    fn tell(&mut self, room_id: RoomId, rev: Rev, body: EventBody) {
        self.events.push(Event {
            room_id,
            prev: rev - 1,
            rev,
            body,
        });
    }
}

impl Change {
    pub fn room_id(&self) -> RoomId {
        match self {
            Change::Send { room_id, .. }
            | Change::Join { room_id, .. }
            | Change::Leave { room_id, .. }
            | Change::Add { room_id, .. }
            | Change::Remove { room_id, .. }
            | Change::Read { room_id, .. } => *room_id,
        }
    }
}

#[cfg(test)]
mod tests;
