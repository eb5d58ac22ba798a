//! What a client keeps and does by rules 1, 2, 3 and 5 of PROTOCOL.md section 3: a pure state machine.
//! Frames go in, frames to be sent come out.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};
use uuid::Uuid;

/// A message as the log holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub rev: u64,
    pub id: Uuid,
    pub sender: u64,
    /// Milliseconds since 1970.
    pub created_at: i64,
    pub content: String,
}

impl Row {
    /// From a message of the socket or of a page.
    pub fn read(message: &Value) -> Self {
        Self {
            rev: number(message, "rev"),
            id: message["id"].as_str().unwrap().parse().unwrap(),
            sender: number(&message["sender"], "id"),
            created_at: millis(&message["created_at"]),
            content: message["content"].as_str().unwrap().to_owned(),
        }
    }
}

/// A room as a client holds it.
#[derive(Debug, Default)]
pub struct Room {
    /// All that happened up to here, since `floor`, is applied.
    pub position: u64,
    /// Messages up to this `seq` were there before; the client never asked for them.
    pub floor: u64,
    /// The position began at 0: the members are complete too.
    pub whole: bool,
    pub messages: BTreeMap<u64, Row>,
    /// Present members and their roles.
    pub members: BTreeMap<u64, String>,
    /// As the last frame that tells it said.
    pub member_count: Option<u64>,
    pub name: Option<String>,
    /// The `rev` of `added` or `ready`.
    since: u64,
    /// A `join` or `sync` is unanswered.
    asked: bool,
    /// `added` came after it was asked.
    added: bool,
}

/// A client's state and what it has seen.
#[derive(Debug, Default)]
pub struct Follower {
    pub me: u64,
    /// Loads every room from its beginning.
    pub whole: bool,
    pub epoch: Option<String>,
    pub rooms: BTreeMap<u64, Room>,
    /// The `rev` of the last `removed` of a room.
    removed: HashMap<u64, u64>,
    pub seen: Seen,
}

/// How often what happened.
#[derive(Debug, Default)]
pub struct Seen {
    pub resets: Vec<Value>,
    pub lagged: u64,
    pub gaps: u64,
    pub removed: u64,
    pub added: u64,
    pub repeated: u64,
}

impl Follower {
    pub fn new(me: u64, whole: bool) -> Self {
        Self {
            me,
            whole,
            ..Self::default()
        }
    }

    /// Takes a frame; what is to be sent because of it.
    pub fn take(&mut self, frame: &Value) -> Option<Value> {
        match frame["type"].as_str().unwrap() {
            "ready" => return Some(self.ready(frame)),
            "message" | "member" | "room" => return self.change(frame),
            "synced" => {
                let room = self.rooms.get_mut(&number(frame, "room_id"))?;
                room.asked = false;
                return self.change(frame);
            }
            "reset" => {
                self.seen.resets.push(frame.clone());
                let room = self.rooms.get_mut(&number(frame, "room_id"))?;
                *room = Room {
                    position: number(frame, "rev"),
                    floor: u64::MAX,
                    since: room.since,
                    ..Room::default()
                };
            }
            "lagged" => {
                self.seen.lagged += 1;
                return self.join(number(frame, "room_id"));
            }
            "added" => return self.added(&frame["room"]),
            "removed" => self.gone(frame),
            _ => {}
        }
        None
    }

    /// What was asked and not answered, to be asked again.
    pub fn ask_again(&mut self) -> Value {
        for room in self.rooms.values_mut() {
            room.asked = true;
            room.added = false;
        }
        let rooms: BTreeMap<String, u64> = self
            .rooms
            .iter()
            .map(|(id, room)| (id.to_string(), room.position))
            .collect();
        json!({"type": "sync", "ref": "sync", "epoch": self.epoch, "rooms": rooms})
    }

    fn ready(&mut self, frame: &Value) -> Value {
        let epoch = frame["epoch"].as_str().map(str::to_owned);
        if self.epoch != epoch {
            self.rooms.clear();
            self.removed.clear();
            self.epoch = epoch;
        }
        let mine = frame["rooms"].as_array().unwrap();
        let ids: Vec<u64> = mine.iter().map(|room| number(room, "id")).collect();
        self.rooms.retain(|id, _| ids.contains(id));
        for room in mine {
            let whole = self.whole;
            let held = self.rooms.entry(number(room, "id"));
            let held = held.or_insert_with(|| Room::begin(room, whole));
            held.since = number(room, "rev");
        }
        self.ask_again()
    }

    /// Rule 1.
    fn change(&mut self, frame: &Value) -> Option<Value> {
        let id = number(
            frame,
            if frame["type"] == "room" {
                "id"
            } else {
                "room_id"
            },
        );
        let room = self.rooms.get_mut(&id)?;
        let rev = number(frame, "rev");
        let prev = frame["prev"].as_u64().unwrap_or(rev - 1);
        if prev > room.position {
            self.seen.gaps += 1;
            return self.join(id);
        }
        if rev <= room.position {
            if frame["type"] != "synced" {
                self.seen.repeated += 1;
            }
            return None;
        }
        room.position = rev;
        match frame["type"].as_str().unwrap() {
            "message" => {
                room.messages.insert(number(frame, "seq"), Row::read(frame));
            }
            "member" => {
                let user = number(&frame["user"], "id");
                match frame["role"].as_str() {
                    Some(role) => room.members.insert(user, role.to_owned()),
                    None => room.members.remove(&user),
                };
                room.member_count = frame["member_count"].as_u64();
            }
            "room" => room.name = frame["name"].as_str().map(str::to_owned),
            _ => {}
        }
        None
    }

    fn join(&mut self, id: u64) -> Option<Value> {
        let room = self.rooms.get_mut(&id)?;
        if std::mem::replace(&mut room.asked, true) {
            return None;
        }
        room.added = false;
        Some(
            json!({"type": "join", "ref": "join", "room_id": id, "rev": room.position, "epoch": self.epoch}),
        )
    }

    /// Rule 5: of `added` and `removed` the higher `rev` wins.
    fn added(&mut self, room: &Value) -> Option<Value> {
        let (id, rev) = (number(room, "id"), number(room, "rev"));
        if self.removed.get(&id).is_some_and(|removed| *removed > rev) {
            return None;
        }
        self.seen.added += 1;
        let whole = self.whole;
        let held = self.rooms.entry(id);
        let held = held.or_insert_with(|| Room::begin(room, whole));
        held.since = held.since.max(rev);
        held.added = true;
        // Live events follow from there on; what is missing before them is asked for.
        if held.position < rev {
            self.join(id)
        } else {
            None
        }
    }

    fn gone(&mut self, frame: &Value) {
        let id = number(frame, "room_id");
        let Some(room) = self.rooms.get(&id) else {
            return;
        };
        let stays = match frame["rev"].as_u64() {
            Some(rev) => room.since > rev,
            None => room.added,
        };
        if let Some(rev) = frame["rev"].as_u64() {
            let last = self.removed.entry(id).or_default();
            *last = rev.max(*last);
        }
        if !stays {
            self.seen.removed += 1;
            self.rooms.remove(&id);
        }
    }
}

impl Room {
    fn begin(room: &Value, whole: bool) -> Self {
        Self {
            position: if whole { 0 } else { number(room, "rev") },
            floor: if whole { 0 } else { number(room, "last_seq") },
            whole,
            since: number(room, "rev"),
            ..Self::default()
        }
    }
}

pub fn number(value: &Value, field: &str) -> u64 {
    value[field]
        .as_u64()
        .unwrap_or_else(|| panic!("`{field}` is a number: {value}"))
}

/// RFC 3339, as milliseconds since 1970.
pub fn millis(time: &Value) -> i64 {
    let time: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
    time.as_millisecond()
}
