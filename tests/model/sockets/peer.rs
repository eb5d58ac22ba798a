//! What a device runs: the reference client, or the web client's state machine in a process beside the test.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::{Change, Client, Effect, LoadId};

/// A request to the driver.
pub(super) enum Deed {
    /// Write this frame to the socket.
    Send(Value),
    /// Read this by REST; answered by [`Peer::loaded`]. `is_list`: in pages.
    Get {
        load: LoadId,
        path: String,
        is_list: bool,
    },
    /// Leave this socket for another one.
    Reconnect,
}

/// What a device holds of a room.
pub(super) struct Held {
    pub messages: BTreeMap<u64, Value>,
    /// Role, rev and user of each, by user id.
    pub members: Vec<Value>,
    pub settings: Value,
    pub position: u64,
    pub last_seq: u64,
    /// Messages of mine that are shown without a row.
    pub pending: u64,
    pub member_count: u64,
    pub last_read_seq: u64,
    pub unread: u64,
    pub unread_mentions: u64,
    /// The messages that mention me, where the client tells them apart.
    pub mentioned: Option<BTreeSet<u64>>,
}

/// A room's position and the last seq that is known of it.
pub(super) struct Place {
    pub position: u64,
    pub last_seq: u64,
}

pub(super) trait Peer {
    fn connected(&mut self);
    fn disconnected(&mut self);
    fn receive(&mut self, frame: &Value);
    /// `None`: the request failed.
    fn loaded(&mut self, load: LoadId, body: Option<&Value>);
    /// Does again what waits for its time.
    fn retry(&mut self);
    fn take_deeds(&mut self) -> Vec<Deed>;

    fn epoch(&self) -> Option<String>;
    /// What is still awaited, in words.
    fn awaits(&self) -> Option<String>;
    fn rooms(&self) -> BTreeMap<u64, Place>;
    fn held(&self, room_id: u64) -> Held;
    /// Of messages, each once.
    fn acks(&self) -> &[Value];
    /// The message with this id was refused for good.
    fn is_refused(&self, id: &str) -> bool;
    /// Frames that the server should never have sent.
    fn complaints(&self) -> &[String];

    fn say(&mut self, room_id: u64, id: String, content: String);
    fn put(&mut self, room_id: u64, change: Change);
    fn read(&mut self, room_id: u64, seq: u64);
    fn type_in(&mut self, room_id: u64);
    fn ping(&mut self);
    /// Reads on in a room's history; false when there is no more.
    fn load_older(&mut self, room_id: u64) -> bool;

    // What the protocol allows, and what a client may leave alone.
    fn sync(&mut self, _named: &[u64]) {}
    fn join(&mut self, _room_id: u64) {}
    fn join_fresh(&mut self, _room_id: u64) {}
    fn leave(&mut self, _room_id: u64) {}
}

impl Peer for Client {
    fn connected(&mut self) {
        Client::connected(self);
    }

    fn disconnected(&mut self) {
        Client::disconnected(self);
    }

    fn receive(&mut self, frame: &Value) {
        Client::receive(self, frame);
    }

    fn loaded(&mut self, load: LoadId, body: Option<&Value>) {
        match body {
            Some(body) => Client::loaded(self, load, body),
            None => self.load_failed(load),
        }
    }

    fn retry(&mut self) {
        Client::retry(self);
    }

    fn take_deeds(&mut self) -> Vec<Deed> {
        let effects = self.take_effects().into_iter();
        let deeds = effects.map(|effect| match (effect.path(), effect) {
            (Some((load, path)), Effect::LoadRoom { .. }) => Deed::Get {
                load,
                path,
                is_list: false,
            },
            (Some((load, path)), _) => Deed::Get {
                load,
                path,
                is_list: true,
            },
            (None, Effect::Send(frame)) => Deed::Send(frame),
            (None, effect) => panic!("{effect:?} has no path"),
        });
        deeds.collect()
    }

    fn epoch(&self) -> Option<String> {
        self.epoch.clone()
    }

    fn awaits(&self) -> Option<String> {
        (!self.is_settled()).then(|| "something".to_owned())
    }

    fn rooms(&self) -> BTreeMap<u64, Place> {
        let rooms = self.rooms.iter().map(|(id, room)| {
            let place = Place {
                position: room.position,
                last_seq: room.last_seq,
            };
            (*id, place)
        });
        rooms.collect()
    }

    fn held(&self, room_id: u64) -> Held {
        let room = &self.rooms[&room_id];
        Held {
            messages: room.messages.clone(),
            members: room
                .present()
                .map(|(_, member)| json!([member.role, member.rev, member.user]))
                .collect(),
            settings: room.settings.clone(),
            position: room.position,
            last_seq: room.last_seq,
            pending: 0,
            member_count: room.member_count,
            last_read_seq: room.last_read_seq,
            unread: room.unread(),
            unread_mentions: room.mentioned.len() as u64,
            mentioned: Some(room.mentioned.clone()),
        }
    }

    fn acks(&self) -> &[Value] {
        &self.acks
    }

    fn is_refused(&self, id: &str) -> bool {
        let mut refused = self.refused.iter();
        refused.any(|(pending, _)| pending.id() == Some(id))
    }

    fn complaints(&self) -> &[String] {
        &self.complaints
    }

    fn say(&mut self, room_id: u64, id: String, content: String) {
        Client::say(self, room_id, id, content, None);
    }

    fn put(&mut self, room_id: u64, change: Change) {
        Client::put(self, room_id, change);
    }

    fn read(&mut self, room_id: u64, seq: u64) {
        Client::read(self, room_id, seq);
    }

    fn type_in(&mut self, room_id: u64) {
        Client::type_in(self, room_id);
    }

    fn ping(&mut self) {
        Client::ping(self);
    }

    fn load_older(&mut self, room_id: u64) -> bool {
        Client::load_older(self, room_id)
    }

    fn sync(&mut self, named: &[u64]) {
        Client::sync(self, named);
    }

    fn join(&mut self, room_id: u64) {
        Client::join(self, room_id);
    }

    fn join_fresh(&mut self, room_id: u64) {
        Client::join_fresh(self, room_id);
    }

    fn leave(&mut self, room_id: u64) {
        Client::leave(self, room_id);
    }
}
