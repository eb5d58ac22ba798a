//! A device that keeps its marker, its unread mentions and its deletions by PROTOCOL.md sections 3.1, 3.4, 5.3 and 5.4, and
//! nothing else.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Account, Socket, uuid};

pub struct Device {
    account: Account,
    room: u64,
    socket: Option<Socket>,
    /// Live delivery was asked for on this socket.
    live: bool,
    /// `None`: not a member, as far as it was told.
    position: Option<u64>,
    marker: u64,
    mentioned: BTreeSet<u64>,
    deleted: BTreeSet<u64>,
    last_seq: u64,
}

/// Where a member stands.
pub struct Expected {
    pub marker: u64,
    /// The marker that was last raised by reading: what devices without live delivery are told.
    pub told: u64,
    pub mentioned: Vec<u64>,
    pub unread: u64,
}

impl Device {
    pub fn new(account: Account, room: u64) -> Self {
        Self {
            account,
            room,
            socket: None,
            live: false,
            position: None,
            marker: 0,
            mentioned: BTreeSet::new(),
            deleted: BTreeSet::new(),
            last_seq: 0,
        }
    }

    pub fn is_open(&self) -> bool {
        self.socket.is_some()
    }

    pub fn close(&mut self) {
        self.socket = None;
    }

    /// A new socket in the place of the old one; with live delivery it catches up from where it stood.
    pub async fn connect(&mut self, live: bool) {
        let socket = self.account.connect().await;
        let rooms = socket.ready["rooms"].as_array().unwrap().clone();
        self.socket = Some(socket);
        self.live = live;
        let held = self.position.take();
        if let Some(room) = rooms.iter().find(|room| room["id"] == self.room) {
            self.enter(room);
            self.position = held.or(self.position);
        }
        if live {
            let named = match self.position {
                Some(position) => json!({self.room.to_string(): position}),
                None => json!({}),
            };
            let socket = self.socket.as_mut().expect("it was just opened");
            socket.send(json!({"type": "sync", "rooms": named})).await;
            // Answered after the sync was.
            self.ask(json!({"type": "ping"})).await;
        }
    }

    pub async fn ask(&mut self, mut frame: Value) -> Value {
        let reference = uuid();
        frame["ref"] = reference.as_str().into();
        let mut socket = self.socket.take().expect("an open device");
        socket.send(frame).await;
        loop {
            let frame = socket.frame().await;
            self.take(&frame);
            if frame["ref"] == reference.as_str() {
                self.socket = Some(socket);
                return frame;
            }
        }
    }

    /// Reads until it stands where it must, or isn't a member.
    pub async fn settle(&mut self, expected: Option<Expected>, rev: u64) {
        let Some(mut socket) = self.socket.take() else {
            return;
        };
        loop {
            let there = match (&expected, self.position) {
                (None, None) => true,
                (Some(expected), Some(position)) if self.live => {
                    self.marker == expected.marker && position == rev
                }
                (Some(expected), Some(_)) => self.marker >= expected.told,
                _ => false,
            };
            if there {
                break;
            }
            let frame = socket.frame().await;
            self.take(&frame);
        }
        for frame in socket.fence().await {
            self.take(&frame);
        }
        self.socket = Some(socket);
        let Some(expected) = expected else {
            return;
        };
        let marker = expected.marker;
        if self.live {
            assert_eq!(self.marker, marker);
            let mentioned = Vec::from_iter(self.mentioned.iter().copied());
            assert_eq!(mentioned, expected.mentioned);
            let above = self.last_seq - self.marker;
            assert_eq!(above - self.deleted.len() as u64, expected.unread);
        }
        assert!(self.marker <= marker, "{} of {marker}", self.marker);
    }

    fn enter(&mut self, room: &Value) {
        self.position = room["rev"].as_u64();
        self.marker = room["last_read_seq"].as_u64().unwrap();
        self.tell(room);
    }

    fn tell(&mut self, told: &Value) {
        self.last_seq = told["last_seq"].as_u64().unwrap();
        self.mentioned = serde_json::from_value(told["mentioned"].clone()).unwrap();
        self.deleted = serde_json::from_value(told["deleted"].clone()).unwrap();
    }

    fn raise(&mut self, seq: u64) {
        self.marker = self.marker.max(seq);
        self.mentioned.retain(|seq| *seq > self.marker);
        self.deleted.retain(|seq| *seq > self.marker);
    }

    fn take(&mut self, frame: &Value) {
        let kind = frame["type"].as_str().unwrap();
        if kind == "added" && frame["room"]["id"] == self.room {
            return self.enter(&frame["room"]);
        }
        if frame["room_id"] != self.room {
            return;
        }
        match (kind, self.position) {
            ("removed", _) => self.position = None,
            (_, None) => {}
            ("read", _) => {
                assert_eq!(
                    frame["user_id"], self.account.id,
                    "another's marker: {frame}"
                );
                self.raise(frame["seq"].as_u64().unwrap());
            }
            ("synced", _) => {
                self.position = frame["rev"].as_u64();
                self.raise(frame["last_read_seq"].as_u64().unwrap());
                self.tell(frame);
            }
            ("message" | "message_updated" | "member", Some(position)) => {
                let rev = frame["rev"].as_u64().unwrap();
                let prev = frame["prev"].as_u64().unwrap_or(rev - 1);
                assert!(prev <= position, "a gap at {position}: {frame}");
                if rev > position {
                    self.position = Some(rev);
                    self.change(frame);
                }
            }
            _ => {}
        }
    }

    fn change(&mut self, frame: &Value) {
        let Some(seq) = frame["seq"].as_u64() else {
            return;
        };
        self.last_seq = self.last_seq.max(seq);
        if frame["sender"]["id"] == self.account.id {
            self.raise(seq);
        }
        if !frame["deleted_at"].is_null() && seq > self.marker {
            self.deleted.insert(seq);
        }
        let whole = frame["type"] == "message";
        if !whole && frame["content"].is_null() && frame["deleted_at"].is_null() {
            return;
        }
        let named = frame["mentions"]
            .as_array()
            .is_some_and(|ids| ids.contains(&json!(self.account.id)));
        if (named || frame["mention_all"] == true) && seq > self.marker {
            self.mentioned.insert(seq);
        } else {
            self.mentioned.remove(&seq);
        }
    }
}
