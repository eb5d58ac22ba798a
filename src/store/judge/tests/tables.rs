//! The tables, as a database would keep them between batches.

use super::{model::ModelRoom, *};

/// A message's row; who sent it and under which id stands in `sent`.
#[derive(Clone, Debug, PartialEq)]
struct Stored {
    row: MessageRow,
    id: Uuid,
    created_at: Time,
}

#[derive(Default)]
pub struct Tables {
    pub rooms: BTreeMap<RoomId, RoomRow>,
    pub settings: BTreeMap<RoomId, (Rev, SettingsRow)>,
    pub members: BTreeMap<(RoomId, UserId), MemberRow>,
    messages: BTreeMap<MessageKey, Stored>,
    sent: BTreeMap<(RoomId, UserId, Uuid), Seq>,
    reactions: BTreeMap<ReactionKey, Rev>,
    mentions: BTreeSet<(RoomId, UserId, Seq)>,
    pins: BTreeSet<MessageKey>,
    deleted: BTreeMap<RoomId, Time>,
    /// The head that was told of each room.
    pub told: BTreeMap<RoomId, Rev>,
}

impl Tables {
    /// Only the rows that were asked for: a plan must not need others.
    pub fn load(&self, keys: &Keys) -> State {
        let mut state = State::default();
        let rooms = keys
            .rooms
            .iter()
            .filter_map(|id| self.rooms.get_key_value(id));
        let alive = rooms.filter(|(id, _)| !self.deleted.contains_key(id));
        state.rooms = alive.map(|(id, row)| (*id, row.clone())).collect();
        let settings = keys
            .settings
            .iter()
            .filter_map(|id| self.settings.get_key_value(id));
        state.settings = settings.map(|(id, (_, row))| (*id, row.clone())).collect();
        let members = keys
            .members
            .iter()
            .filter_map(|key| self.members.get_key_value(key));
        state.members = members.map(|(key, row)| (*key, row.clone())).collect();
        for id in &keys.ending {
            let rows = self.members.iter();
            let present = rows.filter(|((of, _), row)| of == id && row.left_at.is_none());
            let present = present.map(|((_, user_id), _)| *user_id).collect();
            state.present.insert(*id, present);
        }
        for key in &keys.leavers {
            if state
                .members
                .get(key)
                .is_some_and(|row| row.role == Role::Owner)
            {
                let of = self.members.iter().filter(|((room, _), _)| *room == key.0);
                for (key, row) in of {
                    if row.role == Role::Admin && row.left_at.is_none() {
                        state.members.insert(*key, row.clone());
                        state.names.insert(key.1, person(key.1.0));
                    }
                }
            }
        }
        for key in &keys.sent {
            if let Some(seq) = self.sent.get(key) {
                let stored = &self.messages[&(key.0, *seq)];
                let row = SentRow {
                    seq: *seq,
                    rev: stored.row.rev,
                    created_at: stored.created_at,
                };
                state.sent.insert(*key, row);
            }
        }
        for key in &keys.messages {
            if let Some(stored) = self.messages.get(key) {
                state.messages.insert(*key, stored.row.clone());
            }
        }
        for key in &keys.reactions {
            if self.reactions.contains_key(key) {
                state.reactions.insert(key.clone());
            }
            let mut counts = BTreeMap::new();
            for (room, seq, emoji, _) in self.reactions.keys() {
                if (*room, *seq) == (key.0, key.1) {
                    *counts.entry(emoji.clone()).or_default() += 1;
                }
            }
            state.counts.insert((key.0, key.1), counts);
        }
        for user in &keys.joiners {
            let of = self
                .members
                .iter()
                .filter(|((_, of), row)| of == user && row.left_at.is_none());
            state
                .room_counts
                .insert(*user, of.count() as u64 + elsewhere(*user));
        }
        state
    }

    /// In the order in which the databases do it, each statement with no other effect than theirs.
    pub fn execute(&mut self, plan: &Plan) {
        for message in &plan.messages {
            let key = (message.room_id, message.seq);
            let sent = (message.room_id, message.sender.id, message.id);
            let before = self.sent.insert(sent, message.seq);
            assert!(before.is_none(), "unique (room, sender, id)");
            let row = MessageRow {
                rev: message.rev,
                sender_id: message.sender.id,
                content: message.content.clone(),
                edited_at: None,
                deleted_at: None,
                pinned_at: None,
                mentions: message.mentions.clone(),
                reactions: 0,
            };
            let stored = Stored {
                row,
                id: message.id,
                created_at: message.created_at,
            };
            assert!(
                self.messages.insert(key, stored).is_none(),
                "unique (room, seq)"
            );
        }
        for (key, write) in &plan.updates {
            let row = &mut self.messages.get_mut(key).unwrap().row;
            let new = &write.row;
            (row.rev, row.pinned_at) = (new.rev, new.pinned_at);
            (row.mentions, row.reactions) = (new.mentions.clone(), new.reactions);
            if write.text {
                row.content.clone_from(&new.content);
                (row.edited_at, row.deleted_at) = (new.edited_at, new.deleted_at);
            }
        }
        for (key, change) in &plan.pins {
            match change {
                RowChange::Insert => self.pins.insert(*key),
                RowChange::Delete => self.pins.remove(key),
            };
        }
        for (key, rev) in &plan.reactions {
            match rev {
                Some(rev) => self.reactions.insert(key.clone(), *rev),
                None => self.reactions.remove(key),
            };
        }
        for (key, change) in &plan.mentions {
            match change {
                RowChange::Insert => self.mentions.insert(*key),
                RowChange::Delete => self.mentions.remove(key),
            };
        }
        for key in &plan.erased {
            self.reactions
                .retain(|(room, seq, ..), _| (*room, *seq) != *key);
            self.mentions.retain(|(room, _, seq)| (*room, *seq) != *key);
        }
        for (key, write) in &plan.members {
            let before = self.members.insert(*key, write.row.clone());
            assert_eq!(before.is_some(), write.exists);
        }
        for (key, seq) in &plan.markers {
            let row = self.members.get_mut(key).unwrap();
            assert!(row.last_read_seq < *seq, "a marker only rises");
            row.last_read_seq = *seq;
        }
        for (id, (before, new)) in &plan.rooms {
            let row = self.rooms.get_mut(id).unwrap();
            assert_eq!(row.rev, *before);
            assert!(new.rev > *before);
            (row.rev, row.last_seq, row.member_count) = (new.rev, new.last_seq, new.member_count);
        }
        for (id, new) in &plan.settings {
            let planned = plan.rooms.get(id).and_then(|(_, room)| room.archived_at);
            self.rooms.get_mut(id).unwrap().archived_at = planned;
            self.settings.insert(*id, new.clone());
        }
        for (id, now) in &plan.deleted {
            self.deleted.insert(*id, *now);
            for ((_, _), row) in self.members.iter_mut().filter(|((of, _), _)| of == id) {
                row.left_at.get_or_insert(*now);
            }
        }
        for event in &plan.events {
            let told = self.told.get_mut(&event.room_id).unwrap();
            if matches!(event.body, EventBody::Read { .. }) {
                assert_eq!((event.prev, event.rev), (*told, *told), "takes no rev");
                continue;
            }
            assert_eq!((event.prev, event.rev), (*told, *told + 1), "dense");
            *told = event.rev;
        }
        for (id, room) in &self.rooms {
            assert_eq!(self.told[id], room.rev, "all is told");
            self.check_revs(*id, room.rev);
        }
    }

    /// One row, one rev; the newest row has the head.
    fn check_revs(&self, room_id: RoomId, head: Rev) {
        let members = self.members.iter().filter(|((of, _), _)| *of == room_id);
        let messages = self.messages.iter().filter(|((of, _), _)| *of == room_id);
        let revs = members.map(|(_, row)| row.rev);
        let revs = revs.chain(messages.map(|(_, stored)| stored.row.rev));
        let mut revs: Vec<Rev> = revs.chain([self.settings[&room_id].0]).collect();
        revs.sort_unstable();
        assert!(revs.windows(2).all(|pair| pair[0] < pair[1]), "{revs:?}");
        let newest = head - u64::from(self.deleted.contains_key(&room_id));
        assert_eq!(revs.last(), Some(&newest));
    }

    /// Every table holds what happened in the room, and nothing else.
    pub fn check(&self, room_id: RoomId, room: &ModelRoom) {
        let seen = room.seen();
        let row = &self.rooms[&room_id];
        assert_eq!(self.deleted.get(&room_id), seen.ended.as_ref());
        let heads = (row.rev, row.last_seq, row.member_count, row.archived_at);
        let count = seen.present().count() as u64;
        assert_eq!(heads, (seen.rev, seen.last_seq(), count, seen.archived));
        let (rev, settings) = &self.settings[&room_id];
        assert_eq!(
            (*rev, &settings.name, &settings.topic),
            (seen.settings_rev, &seen.name, &seen.topic)
        );
        let of = self.members.iter().filter(|((of, _), _)| *of == room_id);
        assert!(of.map(|((_, user), row)| (user, row)).eq(&seen.members));
        let of = self.messages.iter().filter(|((of, _), _)| *of == room_id);
        let expected = (1..).zip(&seen.messages).map(|(seq, (row, id, at))| {
            let stored = Stored {
                row: row.clone(),
                id: *id,
                created_at: *at,
            };
            (seq, stored)
        });
        let messages: Vec<_> = of
            .map(|((_, seq), stored)| (*seq, stored.clone()))
            .collect();
        assert_eq!(messages, expected.collect::<Vec<_>>());
        let of = self.reactions.iter().filter(|((of, ..), _)| *of == room_id);
        let of = of.map(|((_, seq, emoji, user), rev)| ((*seq, emoji.clone(), *user), *rev));
        assert!(of.eq(seen.reactions.clone()));
        // What hangs on messages says what their rows say.
        let of = self.pins.iter().filter(|(of, _)| *of == room_id);
        let pinned = messages
            .iter()
            .filter(|(_, stored)| stored.row.pinned_at.is_some());
        assert!(of.map(|(_, seq)| *seq).eq(pinned.map(|(seq, _)| *seq)));
        let of = self.mentions.iter().filter(|(of, ..)| *of == room_id);
        let of: BTreeSet<_> = of.map(|(_, user, seq)| (*user, *seq)).collect();
        let meant = messages.iter().flat_map(|(seq, stored)| {
            let mentions = &stored.row.mentions;
            let users = if mentions.all {
                vec![EVERYONE]
            } else {
                mentions.users.clone()
            };
            users.into_iter().map(|user| (user, *seq))
        });
        assert_eq!(of, meant.collect::<BTreeSet<_>>());
    }
}
