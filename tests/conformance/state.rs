//! A room's state as its events tell it, compared with every table and every page.

use std::collections::{BTreeMap, BTreeSet};

use hearth::{
    limits::LAST_MESSAGE_REACH,
    protocol::{
        Rev, RoomId, Seq, Time, UserId,
        rest::{Mentions, Message, Role},
    },
    store::{Event, EventBody, What},
};
use uuid::Uuid;

use crate::node::{Node, Place};

#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub rev: Rev,
    id: Uuid,
    sender: UserId,
    pub content: Option<String>,
    edited_at: Option<Time>,
    pub deleted_at: Option<Time>,
    pub pinned_at: Option<Time>,
    pub mentions: Mentions,
    pub reactions: BTreeMap<String, BTreeSet<UserId>>,
}

impl Row {
    pub fn of(message: &Message) -> Self {
        let reactions = message.reactions.iter().map(|reaction| {
            let users: BTreeSet<UserId> = reaction.user_ids.iter().copied().collect();
            assert_eq!(users.len() as u64, reaction.count);
            (reaction.emoji.clone(), users)
        });
        Self {
            rev: message.rev,
            id: message.id,
            sender: message.sender.id,
            content: message.content.clone(),
            edited_at: message.edited_at,
            deleted_at: message.deleted_at,
            pinned_at: message.pinned_at,
            mentions: message.mentions.clone(),
            reactions: reactions.collect(),
        }
    }

    fn means(&self, user: UserId) -> bool {
        self.mentions.all || self.mentions.users.contains(&user)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Stay {
    /// `None`: has left.
    pub role: Option<Role>,
    joined_rev: Rev,
    pub rev: Rev,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    pub rev: Rev,
    pub settings: (Rev, String, String, Option<Time>),
    pub members: BTreeMap<UserId, Stay>,
    pub messages: BTreeMap<Seq, Row>,
    pub ended: bool,
    /// Told by commits only.
    pub markers: BTreeMap<UserId, Seq>,
}

impl State {
    /// All that the node's listener was told of a room.
    pub fn told(node: &Node, room_id: RoomId) -> Self {
        let mut state = State::default();
        for event in node.told_of(room_id) {
            state.apply(&event);
        }
        state
    }

    pub fn apply(&mut self, event: &Event) {
        assert!(!self.ended, "nothing comes after the end: {event:?}");
        assert_eq!(event.prev, self.rev, "{event:?}");
        self.rev = event.rev;
        match &event.body {
            EventBody::Message(message) => self.message(message),
            EventBody::Updated(update) => {
                let row = self.messages.get_mut(&update.seq).unwrap();
                row.rev = event.rev;
                match &update.what {
                    What::Edited {
                        content,
                        at,
                        mentions,
                    } => {
                        row.content = Some(content.clone());
                        (row.edited_at, row.mentions) = (Some(*at), mentions.clone());
                    }
                    What::Deleted { at } => {
                        row.deleted_at = Some(*at);
                        (row.content, row.pinned_at) = (None, None);
                        row.mentions = Mentions::default();
                        row.reactions.clear();
                    }
                    What::Reacted { emoji, on, count } => {
                        let of = row.reactions.entry(emoji.clone()).or_default();
                        let changed = if *on {
                            of.insert(update.by)
                        } else {
                            of.remove(&update.by)
                        };
                        assert!(changed && of.len() as u64 == *count, "{event:?}");
                        if of.is_empty() {
                            row.reactions.remove(emoji);
                        }
                    }
                    What::Pinned { at } => row.pinned_at = *at,
                }
            }
            EventBody::Member(member) => {
                let stay = Stay {
                    role: member.role,
                    joined_rev: member.joined_rev,
                    rev: event.rev,
                };
                if member.joined_rev == event.rev {
                    self.markers.insert(member.user.id, self.last_seq());
                }
                self.members.insert(member.user.id, stay);
                // A page counts the members as of its head.
                if member.at.is_some() {
                    assert_eq!(member.member_count, self.member_count(), "{event:?}");
                }
            }
            EventBody::Room(room) => {
                assert_eq!(room.rev, event.rev);
                let (name, topic) = (room.name.clone(), room.topic.clone());
                self.settings = (room.rev, name, topic, room.archived_at);
            }
            EventBody::Deleted { .. } => self.ended = true,
            EventBody::Read {
                user_id,
                seq,
                member_count,
            } => {
                let before = self.markers.insert(*user_id, *seq);
                assert!(before <= Some(*seq), "a marker only rises: {event:?}");
                assert_eq!(*member_count, self.member_count());
            }
        }
    }

    /// A new message, or a whole row that was read back.
    fn message(&mut self, message: &Message) {
        let row = Row::of(message);
        if self.messages.insert(message.seq, row).is_none() {
            self.markers.insert(message.sender.id, message.seq);
        }
    }

    pub fn last_seq(&self) -> Seq {
        self.messages.last_key_value().map_or(0, |(seq, _)| *seq)
    }

    /// The messages above the user's marker that mention them.
    pub fn unread_mentions(&self, user: UserId) -> Vec<Seq> {
        let marker = self.markers[&user];
        let above = self.messages.range(marker + 1..);
        let meant = above.filter(|(_, row)| row.means(user));
        meant.map(|(seq, _)| *seq).collect()
    }

    /// The deleted messages above the user's marker.
    pub fn unread_deletions(&self, user: UserId) -> Vec<Seq> {
        let above = self.messages.range(self.markers[&user] + 1..);
        let deleted = above.filter(|(_, row)| row.deleted_at.is_some());
        deleted.map(|(seq, _)| *seq).collect()
    }

    /// The newest message that isn't deleted, as far as one looks.
    pub fn shown(&self) -> Option<(Seq, &Row)> {
        let above = self.last_seq().saturating_sub(LAST_MESSAGE_REACH);
        let mut newest = self.messages.range(above + 1..).rev();
        let (seq, row) = newest.find(|(_, row)| row.deleted_at.is_none())?;
        Some((*seq, row))
    }

    pub fn member_count(&self) -> u64 {
        let present = self.members.values().filter(|stay| stay.role.is_some());
        present.count() as u64
    }

    /// Every table of the conversation holds exactly this.
    pub async fn check_tables(&self, place: &Place, room_id: RoomId) {
        let rows = place
            .select(&format!(
                "SELECT rev, last_seq, shown_seq, deleted_seq, member_count, settings_rev, name, topic, archived_at, deleted_at IS NOT NULL
                 FROM rooms WHERE id = {room_id}"
            ))
            .await;
        let (settings_rev, name, topic, archived) = &self.settings;
        let members = if self.ended { 0 } else { self.member_count() };
        let text = |value: &dyn ToString| Some(value.to_string());
        let mut newest = self.messages.iter().rev();
        let deleted = newest.find(|(_, row)| row.deleted_at.is_some());
        let room = [
            text(&self.rev),
            text(&self.last_seq()),
            text(&self.shown().map_or(0, |(seq, _)| seq)),
            text(&deleted.map_or(0, |(seq, _)| *seq)),
            text(&members),
            text(settings_rev),
            text(name),
            text(topic),
            archived.map(|at| at.0.to_string()),
            text(&u64::from(self.ended)),
        ];
        assert_eq!(rows, [room]);

        let rows = place
            .select(&format!(
                "SELECT user_id, role, left_at IS NULL, joined_rev, rev, last_read_seq FROM room_members
                 WHERE room_id = {room_id} ORDER BY user_id"
            ))
            .await;
        let expected = self.members.iter().map(|(user_id, stay)| {
            let role = match stay.role {
                Some(Role::Owner) => "owner",
                Some(Role::Admin) => "admin",
                Some(Role::Member) | None => "member",
            };
            let present = stay.role.is_some() && !self.ended;
            vec![
                text(user_id),
                text(&role),
                text(&u64::from(present)),
                text(&stay.joined_rev),
                text(&stay.rev),
                text(&self.markers[user_id]),
            ]
        });
        assert_eq!(rows, expected.collect::<Vec<_>>());

        let rows = place
            .select(&format!(
                "SELECT seq, rev, LOWER(HEX(id)), sender_id, content, edited_at, deleted_at, pinned_at, extra
                 FROM messages WHERE room_id = {room_id} ORDER BY seq"
            ))
            .await;
        assert_eq!(rows.len(), self.messages.len());
        let (mut reactions, mut mentions) = (vec![], BTreeSet::new());
        let (mut pins, mut deletions) = (vec![], vec![]);
        for (row, (seq, message)) in rows.iter().zip(&self.messages) {
            let time = |at: Option<Time>| at.map(|at| at.0.to_string());
            let expected = [
                text(seq),
                text(&message.rev),
                text(&message.id.simple()),
                text(&message.sender),
                message.content.clone(),
                time(message.edited_at),
                time(message.deleted_at),
                time(message.pinned_at),
            ];
            assert_eq!(row[..8], expected);
            let mut extra = serde_json::to_value(&message.mentions).unwrap();
            let count: usize = message.reactions.values().map(BTreeSet::len).sum();
            if count > 0 {
                extra["reactions"] = count.into();
            }
            let stored = row[8]
                .as_deref()
                .map(|json| serde_json::from_str(json).unwrap());
            let none = extra == serde_json::json!({});
            assert_eq!(stored, (!none).then_some(extra), "seq {seq}");

            for (emoji, users) in &message.reactions {
                let hex: String = emoji.bytes().map(|byte| format!("{byte:02x}")).collect();
                reactions.extend(
                    users
                        .iter()
                        .map(|user| [text(seq), Some(hex.clone()), text(user)].to_vec()),
                );
            }
            if message.mentions.all {
                mentions.extend([(*seq, 0)])
            } else {
                mentions.extend(message.mentions.users.iter().map(|user| (*seq, user.0)))
            }
            pins.extend(message.pinned_at.map(|_| vec![*seq]));
            deletions.extend(message.deleted_at.map(|_| vec![*seq]));
        }
        let of = |what: &str| format!("{what} WHERE room_id = {room_id}");
        let mut rows = place
            .select(&of("SELECT seq, LOWER(HEX(emoji)), user_id FROM reactions"))
            .await;
        rows.sort();
        reactions.sort();
        assert_eq!(rows, reactions);
        let rows = place
            .numbers(&of("SELECT seq, user_id FROM mentions"))
            .await;
        let rows: BTreeSet<_> = rows.iter().map(|row| (row[0], row[1])).collect();
        assert_eq!(rows, mentions);
        let rows = place
            .numbers(&(of("SELECT seq FROM pins") + " ORDER BY seq"))
            .await;
        assert_eq!(rows, pins);
        let rows = place
            .numbers(&(of("SELECT seq FROM deletions") + " ORDER BY seq"))
            .await;
        assert_eq!(rows, deletions);
    }

    /// Reading on from any position in the log ends in this state.
    pub async fn check_pages(&self, node: &Node, room_id: RoomId) {
        let told = node.told_of(room_id);
        let step = (self.rev / 8).max(1) as usize;
        for start in (0..=self.rev).step_by(step) {
            let mut state = State::default();
            let numbered = told.iter().filter(|event| event.prev < event.rev);
            for event in numbered.take_while(|event| event.rev <= start) {
                state.apply(event);
            }
            let (events, page) = node.catch_up(room_id, start).await;
            for event in &events {
                state.apply(event);
            }
            assert_eq!(page.last_seq, self.last_seq());
            state.markers.clone_from(&self.markers);
            assert_eq!(&state, self, "read on from {start}");
        }
    }
}
