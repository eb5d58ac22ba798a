//! Messages: sending them, and changing those that were sent.

use std::{collections::BTreeSet, sync::Arc};

use uuid::Uuid;

use super::{Judge, MessageKey, MessageRow, RoomRow, RowChange, SentRow};
use crate::{
    limits,
    protocol::{
        RoomId, Seq, UserId,
        rest::{Mentions, Message, MessageKind, Role, RoomKind, UserSummary},
    },
    store::{
        change::{EVERYONE, Named, Outcome, Refused},
        event::{EventBody, Update, What},
    },
};

impl Judge<'_> {
    pub(super) fn send(
        &mut self,
        room_id: RoomId,
        sender: &UserSummary,
        id: Uuid,
        content: &str,
        reply_to: Option<Seq>,
        named: &Named,
    ) -> Result<Outcome, Refused> {
        if let Some(sent) = self.state.sent.get(&(room_id, sender.id, id)) {
            // The batch may have changed the message since it was looked up.
            let row = self.state.messages.get(&(room_id, sent.seq));
            return Ok(Outcome::Sent {
                seq: sent.seq,
                rev: row.map_or(sent.rev, |row| row.rev),
                created_at: sent.created_at,
                duplicate: true,
            });
        }
        let role = self.member(room_id, sender.id)?.role;
        let room = self.open_room(room_id)?;
        if reply_to.is_some_and(|seq| seq < room.first_seq.max(1) || seq > room.last_seq) {
            return Err(Refused::NoSuchMessage);
        }
        let mentions = self.mentioned(room_id, room, role, named);
        let created_at = self.now;
        let (rev, room) = self.advance(room_id, |room| {
            room.last_seq += 1;
            room.shown_seq = room.last_seq;
        });
        let seq = room.last_seq;
        self.plan_mentions((room_id, seq), &mentions, RowChange::Insert);
        self.mark((room_id, sender.id), seq);
        let sent = SentRow {
            seq,
            rev,
            created_at,
        };
        self.state.sent.insert((room_id, sender.id, id), sent);
        let message = Arc::new(Message {
            room_id,
            seq,
            rev,
            id,
            kind: MessageKind::Text,
            sender: sender.clone(),
            content: Some(content.to_owned()),
            created_at,
            edited_at: None,
            deleted_at: None,
            reply_to,
            pinned_at: None,
            mentions,
            reactions: Vec::new(),
        });
        if self.keys.has_message((room_id, seq)) {
            let row = MessageRow::of_new(&message);
            self.state.messages.insert((room_id, seq), row);
        }
        self.plan.messages.push(message.clone());
        self.tell(room_id, rev, EventBody::Message(message));
        Ok(Outcome::Sent {
            seq,
            rev,
            created_at,
            duplicate: false,
        })
    }

    /// Whom a text mentions: of each list of candidates the first one who is a member, and all if its author may.
    fn mentioned(&self, room_id: RoomId, room: &RoomRow, role: Role, named: &Named) -> Mentions {
        let present = |user_id: &UserId| self.present((room_id, *user_id)).is_some();
        let first = |users: &Vec<UserId>| {
            let mut users = users.iter().copied();
            users.find(|user_id| *user_id == EVERYONE || present(user_id))
        };
        let mut users: BTreeSet<UserId> = named.iter().filter_map(first).collect();
        let all = users.remove(&EVERYONE);
        let small = room.member_count <= limits::MENTION_ALL_ROOM_MAX;
        Mentions {
            users: users.into_iter().collect(),
            all: all && (small || role != Role::Member),
        }
    }

    /// Where all members are mentioned there is one row, and none for each user beside it.
    fn plan_mentions(&mut self, (room_id, seq): MessageKey, mentions: &Mentions, rows: RowChange) {
        let users = if mentions.all {
            &[EVERYONE][..]
        } else {
            &mentions.users
        };
        let keys = users.iter().map(|user_id| ((room_id, *user_id, seq), rows));
        self.plan.mentions.extend(keys);
    }

    /// The message to change, and the role of its room's member who changes it. The room isn't archived.
    fn message(&self, key: MessageKey, user_id: UserId) -> Result<(Role, &MessageRow), Refused> {
        let role = self.member(key.0, user_id)?.role;
        self.open_room(key.0)?;
        let row = self.state.messages.get(&key).ok_or(Refused::NoMessage)?;
        Ok((role, row))
    }

    pub(super) fn edit(
        &mut self,
        key: MessageKey,
        user_id: UserId,
        content: &str,
        named: &Named,
    ) -> Result<Outcome, Refused> {
        let (role, row) = self.message(key, user_id)?;
        if row.sender_id != user_id {
            return Err(Refused::NotAuthor);
        }
        if row.deleted_at.is_some() {
            return Err(Refused::NoMessage);
        }
        if row.content.as_deref() == Some(content) {
            return Ok(unchanged(key, row));
        }
        let before = row.mentions.clone();
        let mentions = self.mentioned(key.0, &self.state.rooms[&key.0], role, named);
        self.plan_mentions(key, &before, RowChange::Delete);
        self.plan_mentions(key, &mentions, RowChange::Insert);
        let at = self.now;
        let what = What::Edited {
            content: content.to_owned(),
            at,
            mentions: mentions.clone(),
        };
        Ok(self.update(key, user_id, what, |row| {
            row.content = Some(content.to_owned());
            row.mentions = mentions;
            row.edited_at = Some(at);
        }))
    }

    pub(super) fn delete(&mut self, key: MessageKey, user_id: UserId) -> Result<Outcome, Refused> {
        let (role, row) = self.message(key, user_id)?;
        if row.sender_id != user_id && role == Role::Member {
            return Err(Refused::NotAuthor);
        }
        if row.deleted_at.is_some() {
            return Ok(unchanged(key, row));
        }
        self.state.counts.remove(&key);
        self.plan.pins.insert(key, RowChange::Delete);
        self.plan.erased.insert(key);
        if let Some(room) = self.state.rooms.get_mut(&key.0) {
            room.deleted_seq = room.deleted_seq.max(key.1);
            if room.shown_seq == key.1 {
                self.plan.uncovered.insert(key.0);
            }
        }
        let at = self.now;
        Ok(self.update(key, user_id, What::Deleted { at }, |row| {
            row.content = None;
            row.deleted_at = Some(at);
            row.pinned_at = None;
            row.mentions = Mentions::default();
            row.reactions = 0;
        }))
    }

    pub(super) fn react(
        &mut self,
        key: MessageKey,
        user_id: UserId,
        emoji: &str,
        on: bool,
    ) -> Result<Outcome, Refused> {
        let (_, row) = self.message(key, user_id)?;
        let reaction = (key.0, key.1, emoji.to_owned(), user_id);
        let deleted = row.deleted_at.is_some();
        let is_on = self.state.reactions.contains(&reaction) && !deleted;
        if on && deleted {
            return Err(Refused::NoMessage);
        }
        if is_on == on {
            return Ok(unchanged(key, row));
        }
        let counts = self.state.counts.entry(key).or_default();
        let count = counts.get(emoji).copied().unwrap_or_default();
        if count == 0 && counts.len() >= limits::REACTION_KINDS_MAX {
            return Err(Refused::TooManyReactions);
        }
        let count = if on {
            self.state.reactions.insert(reaction.clone());
            count + 1
        } else {
            self.state.reactions.remove(&reaction);
            count.saturating_sub(1)
        };
        match count {
            0 => counts.remove(emoji),
            count => counts.insert(emoji.to_owned(), count),
        };
        let what = What::Reacted {
            emoji: emoji.to_owned(),
            on,
            count,
        };
        let outcome = self.update(key, user_id, what, |row| {
            row.reactions = if on {
                row.reactions + 1
            } else {
                row.reactions.saturating_sub(1)
            };
        });
        let rev = on.then(|| self.state.messages[&key].rev);
        self.plan.reactions.insert(reaction, rev);
        Ok(outcome)
    }

    pub(super) fn pin(
        &mut self,
        key: MessageKey,
        user_id: UserId,
        on: bool,
    ) -> Result<Outcome, Refused> {
        let (role, row) = self.message(key, user_id)?;
        if role == Role::Member && self.state.rooms[&key.0].kind != RoomKind::Direct {
            return Err(Refused::NotAdmin);
        }
        if on && row.deleted_at.is_some() {
            return Err(Refused::NoMessage);
        }
        if row.pinned_at.is_some() == on {
            return Ok(unchanged(key, row));
        }
        let at = on.then_some(self.now);
        let pin = if on {
            RowChange::Insert
        } else {
            RowChange::Delete
        };
        self.plan.pins.insert(key, pin);
        Ok(self.update(key, user_id, What::Pinned { at }, |row| row.pinned_at = at))
    }

    /// Changes a message's row, which was looked up before, gives it its new `rev`, and adds the event.
    fn update(
        &mut self,
        key: MessageKey,
        by: UserId,
        what: What,
        change: impl FnOnce(&mut MessageRow),
    ) -> Outcome {
        let (room_id, seq) = key;
        let (rev, _) = self.advance(room_id, |_| {});
        let row = self.state.messages.get_mut(&key);
        let row = row.expect("a message that was found");
        change(row);
        row.rev = rev;
        let text = matches!(what, What::Edited { .. } | What::Deleted { .. });
        *self.updated.entry(key).or_default() |= text;
        let update = Update { seq, by, what };
        self.tell(room_id, rev, EventBody::Updated(Arc::new(update)));
        Outcome::Updated {
            seq,
            rev,
            changed: true,
        }
    }
}

impl MessageRow {
    /// The row of a message that was just sent.
    fn of_new(message: &Message) -> Self {
        Self {
            rev: message.rev,
            sender_id: message.sender.id,
            content: message.content.clone(),
            edited_at: None,
            deleted_at: None,
            pinned_at: None,
            mentions: message.mentions.clone(),
            reactions: 0,
        }
    }
}

fn unchanged((_, seq): MessageKey, row: &MessageRow) -> Outcome {
    Outcome::Updated {
        seq,
        rev: row.rev,
        changed: false,
    }
}
