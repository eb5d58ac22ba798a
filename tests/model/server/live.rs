//! Live delivery: events from the log, in the order that the real `hub::order` gives, to the sockets on which the room is
//! live. What is missing is read from the log; reactions and pins may be joined.

use std::{collections::BTreeSet, sync::Arc};

use hearth::{
    hub::{encode::Encoded, order::Order},
    protocol::UserId,
};
use rand::{Rng, rngs::SmallRng};
use serde_json::{Value, json};

use super::{ConnectionId, Defect, Outgoing, Server};
use crate::model::log::{Event, Page, Rev, Standing};

/// Frames that may wait for a socket before live delivery to it stops.
const MAILBOX: usize = 8;

#[derive(Default)]
pub(super) struct LiveRoom {
    order: Order,
    subscribers: Vec<Subscriber>,
    leases: BTreeSet<ConnectionId>,
    /// A page of the log that was read and isn't there yet.
    filling: Option<Page>,
}

#[derive(Clone)]
struct Subscriber {
    connection: ConnectionId,
    user: u64,
    at: Rev,
    verified: Rev,
}

pub(super) enum Attached {
    Live,
    /// The room's ring doesn't reach back so far.
    Behind,
    Removed,
}

impl LiveRoom {
    pub(super) fn forget(&mut self, id: ConnectionId) {
        self.leases.remove(&id);
        self.subscribers
            .retain(|subscriber| subscriber.connection != id);
    }
}

impl Server {
    /// Rooms end that nobody listens to or is about to.
    pub(super) fn retire(&mut self) {
        self.live
            .retain(|_, room| !room.leases.is_empty() || !room.subscribers.is_empty());
    }

    pub(super) fn release(&mut self, id: ConnectionId, room_id: u64) {
        if let Some(room) = self.live.get_mut(&room_id) {
            room.forget(id);
        }
        self.retire();
    }

    pub(super) fn lease(&mut self, id: ConnectionId, room_id: u64) {
        self.live.entry(room_id).or_default().leases.insert(id);
    }

    pub(super) fn lagged(&mut self, id: ConnectionId, room_id: u64, rev: Rev) {
        let connection = self.connections.get_mut(&id).unwrap();
        connection.live.remove(&room_id);
        connection.say(json!({"type": "lagged", "room_id": room_id, "rev": rev}));
        self.release(id, room_id);
    }

    /// One event reaches its live room, which may look at it later.
    pub fn step_bus(&mut self) -> bool {
        if self.bus.is_empty() {
            return false;
        }
        // Mostly in order.
        let index = if self.faulty && self.rng.random_bool(0.3) {
            self.rng.random_range(0..self.bus.len())
        } else {
            0
        };
        let event = self.bus.remove(index);
        if let Some(room) = self.live.get_mut(&event.room_id) {
            room.order.arrive(encode(&event, false));
            if self.rng.random_bool(0.5) {
                self.deliver(event.room_id);
            }
        }
        true
    }

    /// Compares the heads with the table, and reads what is missing.
    pub fn step_heads(&mut self) -> bool {
        let mut progress = false;
        for room_id in Vec::from_iter(self.live.keys().copied()) {
            progress |= self.deliver(room_id);
            let log = &self.log.rooms[&room_id];
            let room = self.live.get_mut(&room_id).unwrap();
            room.order.raise_head(log.rev);
            if let Some(page) = room.filling.take() {
                progress = true;
                let encoded = page.events.iter().map(|event| encode(event, true));
                let read = match self.defect {
                    Some(Defect::SmallChangesAfterACut) => page.upto,
                    _ => page.head,
                };
                room.order.fill(encoded.collect(), read);
                for event in &page.events {
                    self.tell_stay(event);
                }
                self.deliver(room_id);
            } else if let Some(after) = room.order.gap() {
                progress = true;
                room.filling = Some(log.changes(after));
            }
        }
        progress
    }

    /// False when nothing was in order.
    fn deliver(&mut self, room_id: u64) -> bool {
        let Some(room) = self.live.get_mut(&room_id) else {
            return false;
        };
        let events = Vec::from_iter(std::iter::from_fn(|| room.order.advance()));
        let progress = !events.is_empty();
        for parcel in parcels(events.iter(), &mut self.rng, self.defect) {
            if let Some(left) = parcel.left {
                room.subscribers.retain(|subscriber| {
                    UserId(subscriber.user) != left || subscriber.verified >= parcel.rev
                });
            }
            room.subscribers.retain(|subscriber| {
                let Some(connection) = self.connections.get_mut(&subscriber.connection) else {
                    return false;
                };
                if subscriber.at >= parcel.rev {
                    return true;
                }
                if connection.outbox.len() >= MAILBOX && self.faulty {
                    connection
                        .lags
                        .push((room_id, parcel.prev.max(subscriber.at)));
                    return false;
                }
                connection.outbox.push_back(parcel.frame.clone());
                true
            });
        }
        progress
    }

    pub(super) fn attach(
        &mut self,
        id: ConnectionId,
        room_id: u64,
        at: Rev,
        standing: &Standing,
    ) -> Attached {
        self.deliver(room_id);
        let user = self.connections[&id].user;
        // It was deleted.
        let Some(room) = self.live.get_mut(&room_id) else {
            return Attached::Removed;
        };
        room.order.start_at(at);
        if room.subscribers.is_empty() {
            while room.order.advance().is_some() {}
        }
        let Some(since) = room.order.since(at) else {
            return Attached::Behind;
        };
        let since: Vec<&Encoded> = since.collect();
        if since
            .iter()
            .any(|event| event.left == Some(UserId(user)) && event.rev > standing.rev)
        {
            return Attached::Removed;
        }
        let replay = parcels(since.into_iter(), &mut self.rng, self.defect);
        let connection = self.connections.get_mut(&id).unwrap();
        connection.lags.retain(|(lagged, _)| *lagged != room_id);
        let replay = replay.into_iter().map(|parcel| parcel.frame);
        connection.outbox.extend(replay);
        room.subscribers.retain(|other| other.connection != id);
        room.subscribers.push(Subscriber {
            connection: id,
            user,
            at,
            verified: standing.rev,
        });
        Attached::Live
    }
}

/// `chained`: `prev` is written even when it is `rev` - 1, as catch-up does.
pub(super) fn encode(event: &Event, chained: bool) -> Encoded {
    let mut frame = event.frame.clone();
    if chained || event.prev + 1 != event.rev {
        frame["prev"] = json!(event.prev);
    }
    let left = event.stay.filter(|stay| !stay.is_in);
    Encoded {
        prev: event.prev,
        rev: event.rev,
        bytes: serde_json::to_vec(&frame).unwrap().into(),
        left: left.map(|stay| UserId(stay.user)),
        // Which frames are joined, and how a room ends, is the model's own choice.
        ends: false,
        joinable: None,
    }
}

pub(super) fn outgoing(event: &Encoded) -> Outgoing {
    Outgoing::new(serde_json::from_slice(&event.bytes).unwrap())
}

/// One frame's worth of a room's events.
struct Parcel {
    prev: Rev,
    rev: Rev,
    left: Option<UserId>,
    frame: Outgoing,
}

/// Of a run of reactions and pins of one message some may be joined.
fn parcels<'a>(
    events: impl Iterator<Item = &'a Encoded>,
    rng: &mut SmallRng,
    defect: Option<Defect>,
) -> Vec<Parcel> {
    let mut parcels: Vec<Parcel> = Vec::new();
    for event in events {
        let next = Parcel {
            prev: event.prev,
            rev: event.rev,
            left: event.left,
            frame: outgoing(event),
        };
        match parcels.last_mut() {
            Some(last)
                if is_joinable(&last.frame.0)
                    && is_joinable(&next.frame.0)
                    && last.frame.0["seq"] == next.frame.0["seq"]
                    && rng.random_bool(0.6) =>
            {
                last.join(&next, defect);
            }
            _ => parcels.push(next),
        }
    }
    parcels
}

fn is_joinable(frame: &Value) -> bool {
    let action = frame["by"]["action"].as_str();
    let small = action.is_none_or(|action| ["react", "unreact", "pin", "unpin"].contains(&action));
    frame["type"] == "message_updated" && small
}

impl Parcel {
    fn join(&mut self, next: &Parcel, defect: Option<Defect>) {
        self.rev = next.rev;
        let frame = Arc::make_mut(&mut self.frame.0);
        let touched = frame["reactions"].take();
        let touched = touched.as_array().cloned().unwrap_or_default();
        let newer = next.frame.0["reactions"].as_array().cloned();
        let newer = newer.unwrap_or_default();
        let older = touched.into_iter().filter(|old| {
            let again = newer.iter().any(|new| new["emoji"] == old["emoji"]);
            !again
        });
        let reactions = Vec::from_iter(older.chain(newer.iter().cloned()));
        frame["reactions"] = json!(reactions);
        if let Some(pinned_at) = next.frame.0.get("pinned_at") {
            frame["pinned_at"] = pinned_at.clone();
        }
        frame["rev"] = json!(self.rev);
        frame["prev"] = json!(self.prev);
        let frame = frame.as_object_mut().unwrap();
        frame.remove("by");
        if reactions.is_empty() {
            frame.remove("reactions");
        }
        if defect == Some(Defect::JoinedWithoutPrev) {
            frame.remove("prev");
        }
    }
}
