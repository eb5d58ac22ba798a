//! Ways to break the protocol on purpose, between the wire and a client that keeps to it: the model
//! must notice each of them.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use serde_json::{Value, json};
use uuid::Uuid;

use super::server::Defect;
use crate::support::Client;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Broken {
    /// Applies a frame though something before it is missing.
    AdvancesOverGaps,
    /// Takes whatever comes while a join is unanswered for catch-up.
    TakesLateForCatchUp,
    /// Takes `synced` for the truth though something of the catch-up was lost.
    TrustsSynced,
    /// Keeps rooms when the epoch has changed, and syncs from where it stands.
    IgnoresEpoch,
    /// Leaves a room whatever the `rev` of `removed`.
    RemovesWithoutComparing,
    /// Takes a page from before the reset.
    TakesStalePages,
    /// Lets a page win over what came live since.
    PagesOverwrite,
    /// Doesn't join again after `lagged`.
    IgnoresLagged,
    /// Gives a message a new id when it sends it again.
    NewIdOnResend,
    Server(Defect),
}

/// One client's habit, with what it must remember for it.
#[derive(Default)]
pub struct Habit {
    broken: Option<Broken>,
    /// Messages sent before, and the ids that stand in for theirs.
    sent: BTreeSet<String>,
    disguised: BTreeMap<String, String>,
}

impl Habit {
    pub fn new(broken: Option<Broken>) -> Self {
        Self {
            broken,
            ..Self::default()
        }
    }

    /// A frame comes, as the client sees it; `None`: not at all.
    pub fn incoming<'a>(&self, client: &Client, frame: &'a Value) -> Option<Cow<'a, Value>> {
        let Some(broken) = self.broken else {
            return Some(Cow::Borrowed(frame));
        };
        let mut frame = frame.clone();
        let room_id = frame["room_id"]
            .as_u64()
            .or(frame["id"].as_u64())
            .unwrap_or(0);
        let durable = ["message", "member", "room"].contains(&frame["type"].as_str().unwrap());
        match broken {
            Broken::AdvancesOverGaps if durable => frame["prev"] = json!(0),
            Broken::TakesLateForCatchUp if durable && client.awaits(room_id) => {
                frame["prev"] = json!(0);
            }
            Broken::TrustsSynced if frame["type"] == "synced" => frame["prev"] = json!(0),
            Broken::IgnoresEpoch if frame["type"] == "ready" => {
                if let Some(epoch) = &client.epoch {
                    frame["epoch"] = json!(epoch);
                }
            }
            Broken::RemovesWithoutComparing if frame["type"] == "removed" => {
                frame.as_object_mut().unwrap().remove("rev");
            }
            Broken::IgnoresLagged if frame["type"] == "lagged" => return None,
            Broken::NewIdOnResend if frame["type"] == "ack" => {
                if let Some(id) = self.disguised.get(frame["id"].as_str().unwrap_or_default()) {
                    frame["id"] = json!(id);
                }
            }
            _ => {}
        }
        Some(Cow::Owned(frame))
    }

    /// A frame goes out.
    pub fn outgoing(
        &mut self,
        mut frame: Value,
        epoch: &str,
        fresh: impl FnOnce() -> Uuid,
    ) -> Value {
        match self.broken {
            Some(Broken::IgnoresEpoch) if !frame["epoch"].is_null() => {
                frame["epoch"] = json!(epoch);
            }
            Some(Broken::NewIdOnResend) if frame["type"] == "message" => {
                let id = frame["id"].as_str().unwrap().to_owned();
                if !self.sent.insert(id.clone()) {
                    let stand_in = fresh().to_string();
                    self.disguised.insert(stand_in.clone(), id);
                    frame["id"] = json!(stand_in);
                }
            }
            _ => {}
        }
        frame
    }

    /// A page comes.
    pub fn page(&self, client: &mut Client, room_id: u64, page: &mut Value) {
        match self.broken {
            Some(Broken::TakesStalePages) => page["rev"] = json!(u64::MAX),
            Some(Broken::PagesOverwrite) => {
                if let Some(room) = client.rooms.get_mut(&room_id) {
                    for item in page["items"].as_array().into_iter().flatten() {
                        room.messages.remove(&item["seq"].as_u64().unwrap_or(0));
                    }
                }
            }
            _ => {}
        }
    }
}
