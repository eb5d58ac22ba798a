//! What should be answered: one change after another, judged by what happened before.

use super::{
    model::{Entry, Happened, Happened::*, ModelRoom, Seen},
    *,
};

pub struct Model {
    pub rooms: BTreeMap<RoomId, ModelRoom>,
}

impl Model {
    fn rooms_of(&self, user: UserId) -> u64 {
        let seen = self.rooms.values().map(ModelRoom::seen);
        let of = seen.filter(|seen| seen.member(user).is_some());
        of.count() as u64 + elsewhere(user)
    }

    pub fn judge(&mut self, change: &Change, now: Time) -> Outcome {
        let room_id = change.room_id();
        let in_rooms = match change {
            Change::Join { user, .. } | Change::Add { user, .. } => self.rooms_of(user.id),
            _ => 0,
        };
        let Some(room) = self.rooms.get_mut(&room_id) else {
            return Outcome::Refused(Refused::NoRoom);
        };
        let seen = room.seen();
        match judge(room.kind, &seen, change, now, in_rooms) {
            Err(refused) => Outcome::Refused(refused),
            Ok((answer, entries)) => {
                room.happened
                    .extend(
                        entries
                            .into_iter()
                            .map(|(by, what)| Entry { at: now, by, what }),
                    );
                answer.outcome(&room.seen())
            }
        }
    }
}

/// What is answered, once what follows has happened.
enum Answer {
    Sent(UserId, Uuid, bool),
    Joined(UserId, bool),
    /// The rev comes before that of an heir.
    Left(Rev),
    Handed(UserId, Rev),
    Updated(Seq, bool),
    Set,
    RoomDeleted,
    Read(UserId),
}

impl Answer {
    fn outcome(self, seen: &Seen) -> Outcome {
        let joined = |user: UserId, changed: bool| {
            let row = &seen.members[&user];
            Outcome::Joined {
                rev: row.rev,
                role: row.role,
                joined_at: row.joined_at,
                last_read_seq: row.last_read_seq,
                changed,
            }
        };
        match self {
            Answer::Sent(user, id, duplicate) => {
                let (seq, rev, created_at) = seen.sent(user, id).unwrap();
                Outcome::Sent {
                    seq,
                    rev,
                    created_at,
                    duplicate,
                }
            }
            Answer::Joined(user, changed) => joined(user, changed),
            Answer::Handed(user, rev) => {
                assert_eq!((seen.members[&user].rev, seen.rev), (rev, rev + 1));
                joined(user, true)
            }
            Answer::Left(rev) => Outcome::Left { rev },
            Answer::Updated(seq, changed) => Outcome::Updated {
                seq,
                rev: seen.message(seq).unwrap().rev,
                changed,
            },
            Answer::Set => Outcome::Set,
            Answer::RoomDeleted => Outcome::RoomDeleted,
            Answer::Read(user) => Outcome::Read {
                last_read_seq: seen.members[&user].last_read_seq,
            },
        }
    }
}

type Verdict = Result<(Answer, Vec<(UserId, Happened)>), Refused>;

/// As the table of PROTOCOL.md section 7.8 says.
fn judge(kind: RoomKind, seen: &Seen, change: &Change, now: Time, in_rooms: u64) -> Verdict {
    let stands = |user: UserId| match seen.member(user) {
        _ if seen.ended.is_some() => Err(Refused::NoRoom),
        Some(row) => Ok(row),
        None if kind == RoomKind::Public => Err(Refused::NotMember),
        None => Err(Refused::NoRoom),
    };
    let open = || match seen.archived {
        Some(_) => Err(Refused::Archived),
        None => Ok(()),
    };
    let group = || match kind {
        RoomKind::Direct => Err(Refused::Direct),
        _ => Ok(()),
    };
    let comes = |user: UserId, by: UserId| {
        open()?;
        group()?;
        if in_rooms >= limits::ROOMS_PER_USER_MAX as u64 {
            return Err(Refused::TooManyRooms);
        }
        Ok((Answer::Joined(user, true), vec![(by, Came(user))]))
    };
    let message = |user: UserId, seq: Seq| {
        let role = stands(user)?.role;
        open()?;
        Ok((role, seen.message(seq).ok_or(Refused::NoMessage)?))
    };
    let only = |answer, by, what| Ok((answer, vec![(by, what)]));
    match change {
        Change::Send {
            sender,
            id,
            content,
            reply_to,
            named,
            ..
        } => {
            let by = sender.id;
            if seen.sent(by, *id).is_some() {
                return Ok((Answer::Sent(by, *id, true), vec![]));
            }
            stands(by)?;
            open()?;
            if reply_to.is_some_and(|seq| seen.message(seq).is_none()) {
                return Err(Refused::NoSuchMessage);
            }
            let (id, text) = (*id, content.clone());
            let mentions = seen.mentions(by, named);
            let sent = Sent {
                by,
                id,
                text,
                mentions,
            };
            only(Answer::Sent(by, id, false), by, sent)
        }
        Change::Edit {
            user_id,
            seq,
            content,
            named,
            ..
        } => {
            let (_, row) = message(*user_id, *seq)?;
            if row.sender_id != *user_id {
                return Err(Refused::NotAuthor);
            }
            if row.deleted_at.is_some() {
                return Err(Refused::NoMessage);
            }
            if row.content.as_ref() == Some(content) {
                return Ok((Answer::Updated(*seq, false), vec![]));
            }
            let mentions = seen.mentions(*user_id, named);
            let edited = Edited(*seq, content.clone(), mentions);
            only(Answer::Updated(*seq, true), *user_id, edited)
        }
        Change::Delete { user_id, seq, .. } => {
            let (role, row) = message(*user_id, *seq)?;
            if row.sender_id != *user_id && role == Role::Member {
                return Err(Refused::NotAuthor);
            }
            match row.deleted_at {
                Some(_) => Ok((Answer::Updated(*seq, false), vec![])),
                None => only(Answer::Updated(*seq, true), *user_id, Deleted(*seq)),
            }
        }
        Change::React {
            user_id,
            seq,
            emoji,
            on,
            ..
        } => {
            let (_, row) = message(*user_id, *seq)?;
            if *on && row.deleted_at.is_some() {
                return Err(Refused::NoMessage);
            }
            let key = (*seq, emoji.clone(), *user_id);
            if seen.reactions.contains_key(&key) == *on {
                return Ok((Answer::Updated(*seq, false), vec![]));
            }
            let kinds = seen.kinds(*seq);
            if *on && !kinds.contains(emoji.as_str()) && kinds.len() >= limits::REACTION_KINDS_MAX {
                return Err(Refused::TooManyReactions);
            }
            let reacted = Reacted(*seq, emoji.clone(), *on);
            only(Answer::Updated(*seq, true), *user_id, reacted)
        }
        Change::Pin {
            user_id, seq, on, ..
        } => {
            let (role, row) = message(*user_id, *seq)?;
            if role == Role::Member && kind != RoomKind::Direct {
                return Err(Refused::NotAdmin);
            }
            if *on && row.deleted_at.is_some() {
                return Err(Refused::NoMessage);
            }
            if row.pinned_at.is_some() == *on {
                return Ok((Answer::Updated(*seq, false), vec![]));
            }
            only(Answer::Updated(*seq, true), *user_id, Pinned(*seq, *on))
        }
        Change::Join { user, .. } => {
            if seen.member(user.id).is_some() {
                return Ok((Answer::Joined(user.id, false), vec![]));
            }
            if kind != RoomKind::Public || seen.ended.is_some() {
                return Err(Refused::NoRoom);
            }
            comes(user.id, user.id)
        }
        Change::Add { by, user, back, .. } => {
            stands(*by)?;
            match seen.member(user.id) {
                Some(_) => Ok((Answer::Joined(user.id, false), vec![])),
                None if !back && seen.members.contains_key(&user.id) => {
                    Ok((Answer::Left(seen.members[&user.id].rev), vec![]))
                }
                None => comes(user.id, *by),
            }
        }
        Change::Leave {
            user, heir: other, ..
        } => {
            let role = stands(user.id)?.role;
            group()?;
            let mut entries = vec![(user.id, Went(user.id))];
            if role == Role::Owner {
                let admins = seen.present().filter(|(_, row)| row.role == Role::Admin);
                let heir = admins.min_by_key(|(_, row)| row.joined_rev);
                let other = other.as_ref().map(|other| other.id);
                let other = other.filter(|id| *id != user.id && seen.member(*id).is_some());
                let heir = heir.map(|(id, _)| *id).or(other).ok_or(Refused::NoHeir)?;
                entries.push((user.id, Became(heir, Role::Owner)));
            }
            Ok((Answer::Left(seen.rev + 1), entries))
        }
        Change::Remove { by, user, .. } => {
            let judge = stands(*by)?.role;
            open()?;
            group()?;
            if judge == Role::Member {
                return Err(Refused::NotAdmin);
            }
            let target = seen.member(user.id).ok_or(Refused::NoSuchMember)?.role;
            match (judge, target) {
                (_, Role::Owner) => Err(Refused::OwnerStays),
                (Role::Admin, Role::Admin) => Err(Refused::NotOwner),
                _ => only(Answer::Left(seen.rev + 1), *by, Went(user.id)),
            }
        }
        Change::SetRole { by, user, role, .. } => {
            let judge = stands(by.id)?.role;
            open()?;
            group()?;
            if judge != Role::Owner {
                return Err(Refused::NotOwner);
            }
            let now = seen.member(user.id).ok_or(Refused::NoSuchMember)?.role;
            if now == *role {
                return Ok((Answer::Joined(user.id, false), vec![]));
            }
            if user.id == by.id {
                return Err(Refused::OwnerStays);
            }
            let mut entries = vec![(by.id, Became(user.id, *role))];
            if *role != Role::Owner {
                return Ok((Answer::Joined(user.id, true), entries));
            }
            entries.push((by.id, Became(by.id, Role::Admin)));
            Ok((Answer::Handed(user.id, seen.rev + 1), entries))
        }
        Change::Settings {
            by,
            name,
            topic,
            archived,
            ..
        } => {
            let role = stands(*by)?.role;
            group()?;
            if role == Role::Member {
                return Err(Refused::NotAdmin);
            }
            let name = name.as_ref().unwrap_or(&seen.name).clone();
            let topic = topic.as_ref().unwrap_or(&seen.topic).clone();
            let unarchives = *archived == Some(false);
            let archived = match archived {
                Some(true) => seen.archived.or(Some(now)),
                Some(false) => None,
                None => seen.archived,
            };
            if (&name, &topic, archived) == (&seen.name, &seen.topic, seen.archived) {
                return Ok((Answer::Set, vec![]));
            }
            if !unarchives {
                open()?;
            }
            let set = Set {
                name,
                topic,
                archived,
            };
            only(Answer::Set, *by, set)
        }
        Change::DeleteRoom { by, .. } => {
            let role = stands(*by)?.role;
            open()?;
            group()?;
            if role != Role::Owner {
                return Err(Refused::NotOwner);
            }
            only(Answer::RoomDeleted, *by, Ended)
        }
        Change::Read { user_id, seq, .. } => {
            let marker = stands(*user_id)?.last_read_seq;
            let seq = (*seq).min(seen.last_seq());
            let entries = if seq >= marker.max(1) {
                vec![(*user_id, Read(*user_id, seq))]
            } else {
                vec![]
            };
            Ok((Answer::Read(*user_id), entries))
        }
    }
}
