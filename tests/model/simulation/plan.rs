//! The plan: what people do by REST, and what a device does by itself.

use rand::{Rng, rngs::SmallRng, seq::IndexedRandom};
use uuid::Uuid;

use super::{Simulation, USERS};
use crate::{
    model::log::{Act, Role, RoomLog, Seq},
    support::Change,
};

const EMOJI: [&str; 3] = ["👍", "🎉", "❤️"];
/// Rooms that exist at the same time.
const ROOMS: usize = 4;

impl Simulation {
    /// Now and then it mentions a user, or all.
    fn text(&mut self) -> String {
        self.next_text += 1;
        let text = format!("text {}", self.next_text);
        match self.rng.random_range(0..10) {
            0..4 => format!("{text} @user{}", self.rng.random_range(1..=USERS)),
            4 => format!("{text} @all"),
            _ => text,
        }
    }

    pub(super) fn uuid(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes(self.rng.random()).into_uuid()
    }

    /// For a message.
    fn message_id(&mut self) -> Uuid {
        let id = self.uuid();
        self.given.insert(id);
        id
    }

    /// A user changes something by REST.
    pub(super) fn change(&mut self) {
        let user = self.rng.random_range(1..=USERS);
        let other = self.rng.random_range(1..=USERS);
        let rooms = self.server.log.present();
        let few = rooms.len() < ROOMS && self.rng.random_bool(0.03);
        let Some(room_id) = rooms.choose(&mut self.rng).copied().filter(|_| !few) else {
            let (_, events) = self.server.log.create(user, &[other]);
            return self.server.publish(events);
        };
        let (text, id) = (self.text(), self.message_id());
        let rng = &mut self.rng;
        let room = &self.server.log.rooms[&room_id];
        let owner = owner(room);
        if room.archived_at.is_some() && rng.random_bool(0.3) {
            return self.apply(room_id, owner, Act::Archive(false));
        }
        let lately = lately(room, rng);
        let author = lately.map_or(user, |seq| room.messages[seq as usize - 1].sender);
        let mod_or_author = if rng.random_bool(0.5) { owner } else { author };
        match (rng.random_range(0..46), lately) {
            (0..10, _) => {
                let act = Act::Send {
                    id,
                    content: text,
                    reply_to: lately.filter(|_| rng.random_bool(0.2)),
                };
                self.apply(room_id, user, act);
            }
            (10..15, Some(seq)) => self.apply(room_id, author, Act::Edit { seq, content: text }),
            (15..18, Some(seq)) => self.apply(room_id, mod_or_author, Act::Delete { seq }),
            (18..28, Some(seq)) => self.react_and_pin(room_id, seq, owner),
            (28, _) => self.apply(room_id, owner, Act::Rename(text)),
            (29, _) => self.apply(room_id, owner, Act::Topic(text)),
            (30, _) => self.apply(room_id, owner, Act::Archive(true)),
            (31..35, _) => {
                // Now and then it was a mistake.
                let again = rng.random_bool(0.4);
                self.apply(room_id, owner, Act::Remove(other));
                if again {
                    self.apply(room_id, owner, Act::Add(other));
                }
            }
            (35..38, _) => self.apply(room_id, owner, Act::Add(other)),
            (38, _) => self.apply(room_id, user, Act::Leave),
            (39, _) => self.apply(room_id, user, Act::Join),
            (40..42, _) => {
                let roles = [Role::Admin, Role::Admin, Role::Member, Role::Owner];
                let role = *roles.choose(rng).unwrap();
                self.apply(room_id, owner, Act::Give(other, role));
            }
            (42 | 43, _) => {
                let seq = rng.random_range(0..=room.last_seq() + 1);
                let room = self.server.log.rooms.get_mut(&room_id).unwrap();
                if let Some(seq) = room.read(user, seq) {
                    self.server.tell_marker(user, room_id, seq);
                }
            }
            (44, _) if rng.random_bool(0.4) => self.apply(room_id, owner, Act::DeleteRoom),
            _ => {}
        }
    }

    /// A message that many like at the same time.
    fn react_and_pin(&mut self, room_id: u64, seq: Seq, owner: u64) {
        for _ in 0..self.rng.random_range(1..8) {
            let on = self.rng.random_bool(0.6);
            if self.rng.random_bool(0.2) {
                self.apply(room_id, owner, Act::Pin { seq, on });
            } else {
                let user = self.rng.random_range(1..=USERS);
                let emoji = (*EMOJI.choose(&mut self.rng).unwrap()).to_owned();
                self.apply(room_id, user, Act::React { seq, emoji, on });
            }
        }
    }

    /// Without the right to it the change is refused, and nothing happens.
    fn apply(&mut self, room_id: u64, by: u64, act: Act) {
        let deletes = matches!(act, Act::DeleteRoom);
        let corner = corner(&act);
        self.note(|| format!("user {by}: {act:?} in {room_id}"));
        let room = self.server.log.rooms.get_mut(&room_id).unwrap();
        let Ok(events) = room.act(by, act) else {
            return self.count("not allowed");
        };
        if events.len() == 2 {
            self.count("rooms handed over");
        }
        self.server.publish(events);
        if deletes {
            self.server.room_deleted(room_id);
        }
        self.count(corner);
    }

    /// A device's own idea.
    pub(super) fn intend(&mut self, index: usize) {
        let (text, id) = (self.text(), self.message_id());
        let rng = &mut self.rng;
        let device = &mut self.devices[index];
        let user = device.user;
        let rooms = Vec::from_iter(device.client.rooms.keys().copied());
        let Some(room_id) = rooms.choose(rng).copied() else {
            return;
        };
        let up = device.link.is_some();
        let client = &mut device.client;
        let held = &client.rooms[&room_id];
        let last_seq = held.last_seq;
        let seqs = held.messages.iter();
        let (all, own): (Vec<Seq>, Vec<Seq>) = (
            seqs.clone().map(|(seq, _)| *seq).collect(),
            seqs.filter(|(_, row)| row["sender"]["id"] == user)
                .map(|(seq, _)| *seq)
                .collect(),
        );
        let (any, own) = (all.choose(rng).copied(), own.choose(rng).copied());
        let idea = rng.random_range(0..26);
        if let (17..22, Some(link)) = (idea, &mut device.link) {
            // By hand live delivery may begin where it leaves a gap.
            link.clean = false;
        }
        match idea {
            0..6 => {
                client.say(room_id, id.to_string(), text, None);
                device.said.push((room_id, id));
            }
            6..10 => client.read(room_id, rng.random_range(0..=last_seq)),
            10..12 => {
                if let Some(seq) = own.or(any) {
                    client.put(room_id, Change::Edit { seq, content: text });
                }
            }
            12 => {
                if let Some(seq) = own.or(any) {
                    client.put(room_id, Change::Delete { seq });
                }
            }
            13..16 => {
                if let Some(seq) = any {
                    let emoji = (*EMOJI.choose(rng).unwrap()).to_owned();
                    let on = rng.random_bool(0.7);
                    client.put(room_id, Change::React { seq, emoji, on });
                }
            }
            16 => client.type_in(room_id),
            17..19 if up => client.join(room_id),
            19 if up => client.join_fresh(room_id),
            20 if up => {
                let rooms = rooms.into_iter();
                let named: Vec<u64> = rooms.filter(|_| rng.random_bool(0.6)).collect();
                client.sync(&named);
            }
            21 if up => {
                client.leave(room_id);
                device.left.insert(room_id);
            }
            _ => {
                client.load_older(room_id);
            }
        }
    }
}

fn owner(room: &RoomLog) -> u64 {
    let mut members = room.members.iter();
    let owner = members.find(|(_, row)| row.role == Some(Role::Owner));
    *owner.expect("a room has an owner").0
}

/// A message, mostly of lately: rows that change again and again.
fn lately(room: &RoomLog, rng: &mut SmallRng) -> Option<Seq> {
    let last = room.last_seq();
    (last > 0).then(|| rng.random_range(last.saturating_sub(3).max(1)..=last))
}

fn corner(act: &Act) -> &'static str {
    match act {
        Act::Send { .. } => "messages",
        Act::Edit { .. } => "edits",
        Act::Delete { .. } => "deletions",
        Act::React { .. } => "reactions",
        Act::Pin { .. } => "pins",
        Act::Rename(_) | Act::Topic(_) => "renames and topics",
        Act::Archive(_) => "archives",
        Act::Join | Act::Add(_) => "joinings",
        Act::Remove(_) | Act::Leave => "leavings",
        Act::Give(..) => "roles",
        Act::DeleteRoom => "rooms deleted",
    }
}
