//! What the client has asked the server for on this connection, and its live rooms.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Client, Effect, Link, Rev, RoomId, Seq, outbox::Ticket};

/// What I asked for on this connection.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    /// `fresh`: without a `rev`.
    Join {
        room_id: RoomId,
        fresh: bool,
    },
    /// The rooms that I named and that didn't answer yet.
    Sync {
        rooms: BTreeSet<RoomId>,
    },
    Leave,
    Ping,
    /// Something of the outbox.
    Change {
        ticket: Ticket,
    },
    Read {
        room_id: RoomId,
        seq: Seq,
    },
}

impl Client {
    /// Raises my marker.
    pub fn read(&mut self, room_id: RoomId, seq: Seq) {
        if let Some(room) = self.rooms.get_mut(&room_id) {
            room.marking = Some(seq).max(room.marking);
            if self.link == Link::Up {
                self.ask_read(room_id);
            }
        }
    }

    /// Starts live delivery of one room from where I stand.
    pub fn join(&mut self, room_id: RoomId) {
        if let Some(room) = self.rooms.get(&room_id) {
            let mut frame = json!({"type": "join", "room_id": room_id, "rev": room.position});
            if let Some(epoch) = &self.epoch {
                frame["epoch"] = json!(epoch);
            }
            self.ask(
                frame,
                Asked::Join {
                    room_id,
                    fresh: false,
                },
            );
        }
    }

    /// Starts live delivery of one room from now; what I hold of it is forgotten when it answers.
    pub fn join_fresh(&mut self, room_id: RoomId) {
        let frame = json!({"type": "join", "room_id": room_id});
        self.ask(
            frame,
            Asked::Join {
                room_id,
                fresh: true,
            },
        );
    }

    /// Starts live delivery of all rooms, naming these with where I stand. Allowed before `ready`.
    pub fn sync(&mut self, named: &[RoomId]) {
        let positions: BTreeMap<String, Rev> = named
            .iter()
            .filter_map(|room_id| Some((room_id.to_string(), self.rooms.get(room_id)?.position)))
            .collect();
        let rooms = named
            .iter()
            .copied()
            .filter(|room_id| self.rooms.contains_key(room_id))
            .collect();
        let mut frame = json!({"type": "sync", "rooms": positions});
        if let Some(epoch) = &self.epoch {
            frame["epoch"] = json!(epoch);
        }
        self.ask(frame, Asked::Sync { rooms });
    }

    pub fn sync_all(&mut self) {
        let all: Vec<RoomId> = self.rooms.keys().copied().collect();
        self.sync(&all);
    }

    /// Ends live delivery of one room.
    pub fn leave(&mut self, room_id: RoomId) {
        let frame = json!({"type": "leave", "room_id": room_id});
        self.ask(frame, Asked::Leave);
    }

    /// That of PROTOCOL.md section 2.5; whatever had happened before it came to the server was said before its answer.
    pub fn ping(&mut self) {
        self.ask(json!({"type": "ping"}), Asked::Ping);
    }

    /// Tells the others that I'm typing; it has no answer.
    pub fn type_in(&mut self, room_id: RoomId) {
        if self.link == Link::Up {
            let frame = json!({"type": "typing", "room_id": room_id});
            self.effects.push(Effect::Send(frame));
        }
    }

    pub(super) fn ask(&mut self, mut frame: Value, asked: Asked) {
        if self.link == Link::Down {
            return;
        }
        frame["ref"] = json!(self.next_ref);
        self.asked.insert(self.next_ref, asked);
        self.next_ref += 1;
        self.effects.push(Effect::Send(frame));
    }

    pub(super) fn ask_read(&mut self, room_id: RoomId) {
        if let Some(seq) = self.rooms.get(&room_id).and_then(|room| room.marking) {
            let frame = json!({"type": "read", "room_id": room_id, "seq": seq});
            self.ask(frame, Asked::Read { room_id, seq });
        }
    }

    /// A `join` of the room is unanswered, or a `sync` that named it.
    pub fn awaits(&self, room_id: RoomId) -> bool {
        self.asked.values().any(|asked| match asked {
            Asked::Join { room_id: asked, .. } => *asked == room_id,
            Asked::Sync { rooms } => rooms.contains(&room_id),
            _ => false,
        })
    }

    /// The remedy for a gap (PROTOCOL.md section 3.1).
    pub(super) fn join_from_position(&mut self, room_id: RoomId) {
        let put_off = self.to_join.contains(&room_id)
            || self
                .to_sync
                .as_ref()
                .is_some_and(|rooms| rooms.contains(&room_id));
        if !put_off && !self.awaits(room_id) {
            self.join(room_id);
        }
    }
}
