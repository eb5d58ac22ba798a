//! What the server's frames do to the client's state.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    Asked, Client, Link, Rev, Room, RoomId,
    pages::Load,
    room::settings,
    row::{number, prev},
};

impl Client {
    pub fn receive(&mut self, frame: &Value) {
        if self.link != Link::Up {
            if let Some(ready) = self.greeted(frame) {
                self.ready(&ready);
            }
            return;
        }
        match frame["type"].as_str().unwrap_or_default() {
            "ready" => self.ready(frame),
            "added" => self.added(&frame["room"]),
            "removed" => self.removed(frame),
            "synced" => self.synced(frame),
            "reset" => self.reset(frame),
            "lagged" => self.join_from_position(number(frame, "room_id")),
            "pong" => {
                if let Some(reference) = frame["ref"].as_u64() {
                    self.asked.remove(&reference);
                }
            }
            "ack" => self.ack(frame),
            "error" => self.error(frame),
            "read" => self.read_elsewhere(frame),
            "presence" => {
                self.online.extend(user_ids(&frame["online"]));
                let offline = BTreeSet::from_iter(user_ids(&frame["offline"]));
                self.online.retain(|user| !offline.contains(user));
            }
            "typing" => {
                let who = (number(frame, "room_id"), number(frame, "user_id"));
                self.typing.insert(who);
            }
            _ => self.durable(frame),
        }
    }

    /// A marker that was raised on another device of mine, or by another.
    fn read_elsewhere(&mut self, frame: &Value) {
        let (user, seq) = (number(frame, "user_id"), number(frame, "seq"));
        let me = self.user_id;
        if let Some(room) = self.rooms.get_mut(&number(frame, "room_id")) {
            if user == me {
                room.mark(seq);
            } else {
                room.mark_other(user, seq);
            }
        }
    }

    /// PROTOCOL.md section 3.1. Also for frames of a type that I don't know.
    fn durable(&mut self, frame: &Value) {
        let kind = frame["type"].as_str().unwrap_or_default();
        let (Some(room_id), Some(rev)) = (frame["room_id"].as_u64(), frame["rev"].as_u64()) else {
            return;
        };
        let (me, awaited) = (self.user_id, self.awaits(room_id));
        let Some(room) = self.rooms.get_mut(&room_id) else {
            return;
        };
        if frame["replay"] == true {
            room.take_message(frame, me);
            return;
        }
        if rev <= room.position {
            return;
        }
        if kind == "message_updated" && awaited {
            // Of the row's older changes it says nothing; catch-up brings the row whole.
            return;
        }
        if prev(frame) > room.position {
            self.join_from_position(room_id);
            return;
        }
        room.position = rev;
        match kind {
            "message" => {
                room.take_message(frame, me);
                room.judge(frame, me);
                self.typing
                    .remove(&(room_id, number(&frame["sender"], "id")));
            }
            "message_updated" => {
                room.take_patch(frame, me);
                room.judge(frame, me);
            }
            "member" => {
                room.take_member(frame);
                if rev > room.member_count_rev {
                    room.member_count = number(frame, "member_count");
                    room.member_count_rev = rev;
                }
            }
            "room" if rev > room.settings_rev => {
                room.settings = settings(&frame["room"]);
                room.settings_rev = rev;
            }
            _ => {}
        }
    }

    /// `ready` with all of its rooms: those that didn't fit into it follow at once.
    fn greeted(&mut self, frame: &Value) -> Option<Value> {
        let (ready, left) = match (frame["type"].as_str(), self.greeting.take()) {
            (Some("ready"), _) => (frame.clone(), number(frame, "more_rooms")),
            (_, Some((mut ready, left))) => {
                let rooms = ready["rooms"].as_array_mut()?;
                rooms.push(frame["room"].clone());
                (ready, left - 1)
            }
            _ => return None,
        };
        if left > 0 {
            self.greeting = Some((ready, left));
            return None;
        }
        Some(ready)
    }

    fn ready(&mut self, frame: &Value) {
        self.link = Link::Up;
        let epoch = frame["epoch"].as_str().map(str::to_owned);
        if epoch != self.epoch {
            // The log may have gone back in time: no number that I hold means anything now.
            self.epoch = epoch;
            self.rooms.clear();
            self.loads.clear();
            self.failed.clear();
        }
        self.gone.clear();
        self.online = user_ids(&frame["online"]).collect();
        let listed = frame["rooms"].as_array().cloned().unwrap_or_default();
        let ids: BTreeSet<RoomId> = listed.iter().map(|room| number(room, "id")).collect();
        self.rooms.retain(|room_id, _| ids.contains(room_id));
        self.loads.retain(|_, (room_id, _)| ids.contains(room_id));
        for listed in &listed {
            let (room_id, rev) = (number(listed, "id"), number(listed, "rev"));
            match self.rooms.get_mut(&room_id) {
                Some(room) => {
                    room.take_room(listed);
                    room.membership = rev;
                    room.added_at = 0;
                }
                None => {
                    let mut room = Room {
                        membership: rev,
                        ..Room::default()
                    };
                    room.take_room(listed);
                    self.begin(room_id, room, rev);
                }
            }
        }
        if self.syncs_itself {
            self.sync_all();
        }
        for room_id in ids {
            self.ask_read(room_id);
        }
        self.flush();
    }

    /// A room's content begins at `rev`: what came before is in the pages to be read.
    fn begin(&mut self, room_id: RoomId, room: Room, rev: Rev) {
        let room = Room {
            position: rev,
            floor: rev,
            ..room
        };
        self.rooms.insert(room_id, room);
        // A chain of pages of members begins anew; a single page that comes too early shows by its rev.
        self.loads
            .retain(|_, (other, load)| *other != room_id || !matches!(load, Load::Members { .. }));
        self.load(room_id, Load::Page { before: None });
        self.load(room_id, Load::Members { cursor: None });
    }

    /// Of `added` and `removed` the higher `rev` wins.
    fn added(&mut self, room: &Value) {
        let (room_id, rev) = (number(room, "id"), number(room, "rev"));
        let known = match self.rooms.get(&room_id) {
            Some(held) => Some(held.membership),
            None => self.gone.get(&room_id).copied(),
        };
        if known.is_some_and(|known| known >= rev) {
            return;
        }
        self.gone.remove(&room_id);
        let mut held = Room {
            membership: rev,
            added_at: self.next_ref,
            ..Room::default()
        };
        held.take_room(room);
        self.begin(room_id, held, rev);
    }

    fn removed(&mut self, frame: &Value) {
        let room_id = number(frame, "room_id");
        self.answered(frame, room_id);
        let rev = frame["rev"].as_u64();
        let holds = match (self.rooms.get(&room_id), rev) {
            (None, _) => false,
            (Some(room), Some(rev)) => rev > room.membership,
            // Of a request: true unless I was added after I had asked.
            (Some(room), None) => frame["ref"]
                .as_u64()
                .is_none_or(|asked| room.added_at <= asked),
        };
        if holds && let Some(room) = self.rooms.remove(&room_id) {
            self.gone.insert(room_id, rev.unwrap_or(room.membership));
            self.to_join.remove(&room_id);
            self.loads.retain(|_, (other, _)| *other != room_id);
        } else if let (None, Some(rev)) = (self.rooms.get(&room_id), rev) {
            let gone = self.gone.entry(room_id).or_default();
            *gone = rev.max(*gone);
        }
    }

    /// Notes that a room has answered a `join` or `sync`; what was asked, if I still waited for it.
    fn answered(&mut self, frame: &Value, room_id: RoomId) -> Option<Asked> {
        let reference = frame["ref"].as_u64()?;
        let asked = self.asked.get_mut(&reference)?;
        let copy = asked.clone();
        match asked {
            Asked::Join { .. } => {
                self.asked.remove(&reference);
            }
            Asked::Sync { rooms } => {
                rooms.remove(&room_id);
                if rooms.is_empty() {
                    self.asked.remove(&reference);
                    self.synced.insert(reference);
                }
            }
            _ => return None,
        }
        Some(copy)
    }

    fn synced(&mut self, frame: &Value) {
        let (room_id, rev) = (number(frame, "room_id"), number(frame, "rev"));
        let asked = self.answered(frame, room_id);
        let Some(room) = self.rooms.get_mut(&room_id) else {
            return;
        };
        room.take_standing(frame);
        if matches!(asked, Some(Asked::Join { fresh: true, .. })) {
            self.restart(room_id, rev);
        } else if prev(frame) > room.position {
            // Something of the catch-up was lost.
            self.join_from_position(room_id);
        } else {
            room.position = room.position.max(rev);
        }
    }

    /// Forgets a room's content and goes on from `rev`. Membership and markers stay.
    fn restart(&mut self, room_id: RoomId, rev: Rev) {
        if let Some(room) = self.rooms.remove(&room_id) {
            let room = Room {
                settings: room.settings,
                last_seq: room.last_seq,
                last_read_seq: room.last_read_seq,
                mentioned: room.mentioned,
                deleted: room.deleted,
                judged: Some(BTreeMap::new()),
                membership: room.membership,
                added_at: room.added_at,
                marking: room.marking,
                ..Room::default()
            };
            self.begin(room_id, room, rev);
            // No frame tells what changed in the settings before, nor, after a reset, where I stand.
            self.load(room_id, Load::Room);
        }
    }

    fn reset(&mut self, frame: &Value) {
        let (room_id, rev) = (number(frame, "room_id"), number(frame, "rev"));
        self.answered(frame, room_id);
        if frame["reason"] == "epoch" {
            // The numbers that I hold are another log's, and so are the pages on their way.
            self.loads.retain(|_, (other, _)| *other != room_id);
            if let Some(room) = self.rooms.get_mut(&room_id) {
                room.last_seq = 0;
                room.last_read_seq = 0;
                room.mentioned.clear();
                room.deleted.clear();
                room.membership = room.membership.min(rev);
            }
        }
        self.restart(room_id, rev);
    }

    fn ack(&mut self, frame: &Value) {
        let Some(asked) = frame["ref"]
            .as_u64()
            .and_then(|reference| self.asked.remove(&reference))
        else {
            return;
        };
        match asked {
            Asked::Change { ticket } => self.change_acked(ticket, frame),
            Asked::Read { room_id, seq } => {
                if let Some(room) = self.rooms.get_mut(&room_id) {
                    room.mark(number(frame, "last_read_seq"));
                    room.marking = room.marking.filter(|wanted| *wanted > seq);
                }
            }
            Asked::Sync { rooms } if !rooms.is_empty() => {
                self.complaints
                    .push(format!("an ack instead of each room's answer: {frame}"));
            }
            Asked::Join { .. } | Asked::Ping => {
                self.complaints
                    .push(format!("{asked:?} got an ack: {frame}"));
            }
            Asked::Sync { .. } | Asked::Leave => {}
        }
    }

    fn error(&mut self, frame: &Value) {
        let Some(reference) = frame["ref"].as_u64() else {
            self.complaints
                .push(format!("an error without a ref: {frame}"));
            return;
        };
        let retryable = frame["retryable"] == true;
        let Some(asked) = self.asked.remove(&reference) else {
            if retryable && self.synced.contains(&reference) {
                self.to_sync.get_or_insert_default();
            }
            return;
        };
        match asked {
            Asked::Change { ticket } => self.change_failed(ticket, frame),
            Asked::Join { room_id, .. } if retryable => {
                self.to_join.insert(room_id);
            }
            // Those that have answered are live, and stay so.
            Asked::Sync { rooms } if retryable => {
                self.to_sync.get_or_insert_default().extend(rooms);
            }
            Asked::Read { room_id, .. } if retryable => {
                self.to_read.insert(room_id);
            }
            Asked::Read { room_id, .. } => {
                if let Some(room) = self.rooms.get_mut(&room_id) {
                    room.marking = None;
                }
            }
            Asked::Join { .. } | Asked::Sync { .. } | Asked::Leave | Asked::Ping => {
                self.complaints.push(format!("{asked:?} got {frame}"));
            }
        }
    }
}

fn user_ids(list: &Value) -> impl Iterator<Item = u64> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_u64)
}
