//! What a connection does about a client's frames, each answered once.

use std::collections::BTreeMap;

use rand::Rng;
use serde_json::{Value, json};

use super::{ConnectionId, Server, UNAVAILABLE, catch_up::Start};
use crate::model::log::{Act, Refused};

/// A client's frames and their fields; `?`: may be left out.
const FRAMES: [(&str, &[&str]); 10] = [
    ("ping", &["ref?"]),
    ("sync", &["ref", "epoch?", "rooms"]),
    ("join", &["ref", "room_id", "rev?", "epoch?"]),
    ("leave", &["ref", "room_id"]),
    ("message", &["ref", "room_id", "id", "content", "reply_to?"]),
    ("edit", &["ref", "room_id", "seq", "content"]),
    ("delete", &["ref", "room_id", "seq"]),
    ("react", &["ref", "room_id", "seq", "emoji", "on"]),
    ("read", &["ref", "room_id", "seq"]),
    ("typing", &["room_id"]),
];

/// Before anything is done, or after: the client can't tell.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    Before,
    After,
}

/// Whether it is one of the protocol's frames, with its fields and no others.
fn is_well_formed(frame: &Value) -> bool {
    let Some((_, fields)) = FRAMES.iter().find(|(kind, _)| frame["type"] == *kind) else {
        return false;
    };
    let given = frame.as_object().unwrap().keys();
    let mut given = given.filter(|key| *key != "type");
    let known = |key: &String| {
        fields
            .iter()
            .any(|field| field.trim_end_matches('?') == key)
    };
    given.all(known)
        && fields
            .iter()
            .all(|field| field.ends_with('?') || !frame[*field].is_null())
}

fn act(frame: &Value) -> Option<Act> {
    let seq = frame["seq"].as_u64().unwrap_or(0);
    let text = |key: &str| frame[key].as_str().unwrap_or_default().to_owned();
    Some(match frame["type"].as_str()? {
        "message" => Act::Send {
            id: text("id").parse().ok()?,
            content: text("content"),
            reply_to: frame["reply_to"].as_u64(),
        },
        "edit" => Act::Edit {
            seq,
            content: text("content"),
        },
        "delete" => Act::Delete { seq },
        "react" => Act::React {
            seq,
            emoji: text("emoji"),
            on: frame["on"] == true,
        },
        _ => return None,
    })
}

impl Server {
    pub(super) fn request(&mut self, id: ConnectionId, frame: &Value) {
        if !is_well_formed(frame) {
            self.complaints.push(format!("{frame} isn't a frame"));
            return;
        }
        let reference = frame.get("ref").cloned();
        let room_id = frame["room_id"].as_u64().unwrap_or(0);
        let epoch = frame["epoch"].as_str();
        let same_epoch = epoch.is_none_or(|epoch| epoch == self.epoch());
        let connection = self.connections.get_mut(&id).unwrap();
        match frame["type"].as_str().unwrap() {
            "ping" => connection.answer(reference.as_ref(), json!({"type": "pong"})),
            "sync" => self.sync(id, &frame["rooms"], same_epoch, reference),
            "join" => {
                let start = frame["rev"].as_u64();
                let start = start.map_or(Start::Now, |rev| Start::After { rev, same_epoch });
                self.begin(id, vec![(room_id, start)], reference);
            }
            "leave" => {
                connection.live.remove(&room_id);
                connection.lags.retain(|(lagged, _)| *lagged != room_id);
                let ack = json!({"type": "ack", "room_id": room_id});
                connection.answer(reference.as_ref(), ack);
                self.release(id, room_id);
            }
            "typing" => {
                let user = connection.user;
                if connection.live.contains(&room_id) {
                    let frame = json!({"type": "typing", "room_id": room_id, "user_id": user});
                    self.tell_ephemeral(frame, |connection| {
                        connection.user != user && connection.live.contains(&room_id)
                    });
                }
            }
            "read" => {
                let answer = self.read(id, room_id, frame["seq"].as_u64().unwrap_or(0));
                self.conclude(id, reference, answer);
            }
            _ => match act(frame) {
                Some(act) => {
                    let answer = self.change(id, room_id, act);
                    self.conclude(id, reference, answer);
                }
                None => self.complaints.push(format!("{frame} can't be read")),
            },
        }
    }

    fn conclude(
        &mut self,
        id: ConnectionId,
        reference: Option<Value>,
        answer: Result<Value, Refused>,
    ) {
        let connection = self.connections.get_mut(&id).unwrap();
        match answer {
            Ok(ack) => connection.answer(reference.as_ref(), ack),
            Err(code) => connection.refuse(reference.as_ref(), code),
        }
    }

    fn fault(&mut self) -> Fault {
        match self.rng.random_range(0..12) {
            0 if self.faulty => Fault::Before,
            1 if self.faulty => Fault::After,
            _ => Fault::None,
        }
    }

    fn sync(
        &mut self,
        id: ConnectionId,
        rooms: &Value,
        same_epoch: bool,
        reference: Option<Value>,
    ) {
        let rooms = rooms.as_object().into_iter().flatten();
        let named: BTreeMap<u64, u64> = rooms
            .map(|(room_id, rev)| (room_id.parse().unwrap(), rev.as_u64().unwrap()))
            .collect();
        let connection = self.connections.get_mut(&id).unwrap();
        let after = |(room_id, rev): (&u64, &u64), same_epoch| {
            let rev = *rev;
            (*room_id, Start::After { rev, same_epoch })
        };
        let mut starts: Vec<(u64, Start)> =
            named.iter().map(|one| after(one, same_epoch)).collect();
        let others = connection.known.iter().filter(|(room_id, _)| {
            !named.contains_key(room_id) && !connection.live.contains(room_id)
        });
        starts.extend(others.map(|one| after(one, true)));
        connection.synced = true;
        if starts.is_empty() {
            connection.answer(reference.as_ref(), json!({"type": "ack"}));
        } else {
            self.begin(id, starts, reference);
        }
    }

    fn read(&mut self, id: ConnectionId, room_id: u64, seq: u64) -> Result<Value, Refused> {
        let fault = self.fault();
        if fault == Fault::Before {
            return Err(UNAVAILABLE);
        }
        let user = self.connections[&id].user;
        let room = self.log.rooms.get_mut(&room_id).ok_or("not_found")?;
        let seq = room.read(user, seq).ok_or("not_found")?;
        let standing = room.standing(user).ok_or("not_found")?;
        self.tell_marker(user, room_id, seq);
        match fault {
            Fault::After => Err(UNAVAILABLE),
            _ => {
                let mut ack = json!({"type": "ack", "room_id": room_id, "last_read_seq": seq});
                standing.count(&mut ack);
                Ok(ack)
            }
        }
    }

    /// Messages keep their order: after one whose outcome is open none other of the room is taken.
    fn change(&mut self, id: ConnectionId, room_id: u64, act: Act) -> Result<Value, Refused> {
        let Act::Send { id: message_id, .. } = act else {
            return self.commit(id, room_id, act);
        };
        let held = &self.connections[&id].held;
        if held.get(&room_id).is_some_and(|held| *held != message_id) {
            let complaint = format!("{message_id} overtakes one whose outcome is open");
            self.complaints.push(complaint);
        }
        let answer = self.commit(id, room_id, act);
        let held = &mut self.connections.get_mut(&id).unwrap().held;
        match answer {
            Err(UNAVAILABLE) => {
                held.entry(room_id).or_insert(message_id);
            }
            _ => {
                held.remove(&room_id);
            }
        }
        answer
    }

    fn commit(&mut self, id: ConnectionId, room_id: u64, act: Act) -> Result<Value, Refused> {
        let fault = self.fault();
        let user = self.connections[&id].user;
        let room = self.log.rooms.get_mut(&room_id);
        let room = room.filter(|room| !room.deleted);
        if fault == Fault::Before {
            return Err(UNAVAILABLE);
        }
        let room = room.ok_or("not_found")?;
        let known = match &act {
            Act::Send { id, .. } if self.defect != Some(super::Defect::StoresTwice) => {
                room.find(user, *id).map(|message| message.seq)
            }
            _ => None,
        };
        let sends = matches!(act, Act::Send { .. });
        let (seq, events) = match (known, &act) {
            (Some(seq), _) => (seq, Vec::new()),
            (None, Act::Edit { seq, .. } | Act::Delete { seq } | Act::React { seq, .. }) => {
                (*seq, room.act(user, act)?)
            }
            (None, _) => {
                let events = room.act(user, act)?;
                (room.last_seq(), events)
            }
        };
        let message = &room.messages[seq as usize - 1];
        let mut ack = json!({"type": "ack", "room_id": room_id, "seq": seq, "rev": message.rev});
        if sends {
            ack["id"] = json!(message.id);
            ack["created_at"] = message.whole(None)["created_at"].clone();
        }
        if known.is_some() {
            ack["duplicate"] = json!(true);
        }
        self.publish(events);
        match fault {
            Fault::After if known.is_none() => Err(UNAVAILABLE),
            _ => Ok(ack),
        }
    }
}
