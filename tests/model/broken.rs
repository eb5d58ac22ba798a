//! Ways to break the protocol on purpose, between the wire and a correct client: the model must notice each of them.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use serde_json::{Value, json};
use uuid::Uuid;

use super::{link::is_durable, log::Seq, server::Defect};
use crate::support::{Client, Room, mentions, number};

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
    /// Counts unread mentions up and down instead of keeping their set.
    CountsMentions,
    /// A deletion leaves the mention unread.
    KeepsMentionOfDeleted,
    /// An edit that mentions nobody any more leaves the mentions as they were.
    KeepsMentionOfEdited,
    /// A raised marker leaves the mentions below it unread.
    KeepsMentionsRead,
    /// Takes the mentions of a room that was read again, whatever was said meanwhile.
    TakesOldMentions,
    /// Counts what is unread up and down instead of keeping the set of what is deleted.
    CountsUnread,
    /// A deletion leaves the message unread.
    KeepsDeletedUnread,
    /// A raised marker leaves the deletions below it in the set.
    KeepsDeletionsRead,
    /// Passes over what `ready`, `added`, `synced` and REST say of deletions.
    IgnoresDeletionsTold,
    /// Applies a patch though a page has brought a newer row.
    PatchesNewerRows,
    /// Keeps the count of an emoji that it holds.
    KeepsCounts,
    /// Takes who is a member already for one whose role can't change.
    KeepsRoles,
    Server(Defect),
}

/// One client's habit, with what it must remember for it.
#[derive(Default)]
pub struct Habit {
    broken: Option<Broken>,
    /// Messages sent before, and the ids that stand in for theirs.
    sent: BTreeSet<String>,
    disguised: BTreeMap<String, String>,
    /// Of [`Broken::CountsMentions`] and [`Broken::CountsUnread`], by room.
    counts: BTreeMap<u64, u64>,
    /// The unread mentions of the frame's room before it was taken, and its deletions above the marker.
    before: BTreeSet<Seq>,
    deleted_before: BTreeSet<Seq>,
}

impl Habit {
    pub fn new(broken: Option<Broken>) -> Self {
        Self {
            broken,
            ..Self::default()
        }
    }

    /// A frame comes, as the client sees it; `None`: not at all.
    pub fn incoming<'a>(
        &mut self,
        client: &mut Client,
        frame: &'a Value,
    ) -> Option<Cow<'a, Value>> {
        let Some(broken) = self.broken else {
            return Some(Cow::Borrowed(frame));
        };
        let mut frame = frame.clone();
        let kind = frame["type"].as_str().unwrap().to_owned();
        let room_id = room_of(&frame);
        let durable = is_durable(&frame);
        let held = client.rooms.get(&room_id);
        self.before = held.map_or(BTreeSet::new(), |room| room.mentioned.clone());
        self.deleted_before = held.map_or(BTreeSet::new(), |room| room.deleted.clone());
        let row = held.and_then(|room| room.messages.get(&number(&frame, "seq")));
        match broken {
            Broken::AdvancesOverGaps if durable => frame["prev"] = json!(0),
            Broken::TakesLateForCatchUp if durable && client.awaits(room_id) => {
                frame["prev"] = json!(0);
            }
            Broken::TrustsSynced if kind == "synced" => frame["prev"] = json!(0),
            Broken::IgnoresEpoch if kind == "ready" => {
                if let Some(epoch) = &client.epoch {
                    frame["epoch"] = json!(epoch);
                }
            }
            Broken::RemovesWithoutComparing if kind == "removed" => {
                frame.as_object_mut().unwrap().remove("rev");
            }
            Broken::IgnoresLagged if kind == "lagged" => return None,
            Broken::NewIdOnResend if kind == "ack" => {
                if let Some(id) = self.disguised.get(frame["id"].as_str().unwrap_or_default()) {
                    frame["id"] = json!(id);
                }
            }
            Broken::CountsMentions => self.count(client, &frame),
            Broken::CountsUnread => self.count_unread(client, &frame),
            Broken::IgnoresDeletionsTold => forget_deletions(&mut frame),
            Broken::KeepsMentionOfEdited if kind == "message_updated" => {
                if let (Some(row), true) = (row, frame["content"].is_string()) {
                    let mentions = frame.get("mentions").or(row.get("mentions")).cloned();
                    frame["mentions"] = mentions.unwrap_or_default();
                }
            }
            Broken::PatchesNewerRows if kind == "message_updated" => {
                overwrite(client, room_id, &frame);
            }
            Broken::KeepsCounts if kind == "message_updated" => {
                let held = row.and_then(|row| row["reactions"].as_array().cloned());
                let touched = frame["reactions"].as_array_mut();
                for touch in touched.into_iter().flatten() {
                    let mut held = held.iter().flatten();
                    if let Some(held) = held.find(|held| held["emoji"] == touch["emoji"]) {
                        touch["count"] = held["count"].clone();
                    }
                }
            }
            Broken::KeepsRoles if kind == "member" && !frame["role"].is_null() => {
                let user = number(&frame["user"], "id");
                let member = held.and_then(|room| room.members.get(&user));
                if let Some(role) = member.and_then(|member| member.role.clone()) {
                    frame["role"] = json!(role);
                }
            }
            _ => {}
        }
        Some(Cow::Owned(frame))
    }

    /// A frame was taken.
    pub fn received(&self, client: &mut Client, frame: &Value) {
        let Some(room) = client.rooms.get_mut(&room_of(frame)) else {
            return;
        };
        match self.broken {
            Some(Broken::KeepsMentionOfDeleted) if !frame["deleted_at"].is_null() => {
                let seq = number(frame, "seq");
                room.mentioned.extend(self.before.get(&seq));
            }
            Some(Broken::KeepsMentionsRead) if frame["type"] == "read" => {
                room.mentioned.extend(&self.before);
            }
            Some(Broken::KeepsDeletedUnread) if !frame["deleted_at"].is_null() => {
                room.deleted.clone_from(&self.deleted_before);
            }
            Some(Broken::KeepsDeletionsRead) if frame["type"] == "read" => {
                room.deleted.extend(&self.deleted_before);
            }
            _ => {}
        }
    }

    /// What a client would do that counts: up for each message or edit that mentions me, down for each
    /// deletion and for what it holds below a raised marker; and what the server counts, when it says so.
    fn count(&mut self, client: &Client, frame: &Value) {
        self.counts_told(frame, "unread_mentions");
        let me = client.user_id;
        let Some(held) = client.rooms.get(&room_of(frame)) else {
            return;
        };
        let count = self.counts.entry(room_of(frame)).or_default();
        if let Some(unread) = frame["unread_mentions"].as_u64() {
            *count = unread;
        } else if frame["type"] == "read" && frame["user_id"] == me {
            let read = held.messages.range(held.last_read_seq + 1..);
            let read = read.take_while(|(seq, _)| **seq <= number(frame, "seq"));
            let read = read
                .filter(|(_, row)| mentions(row, me) == Some(true))
                .count();
            *count = count.saturating_sub(read as u64);
        } else if frame["sender"]["id"] == me {
            *count = 0;
        } else if is_durable(frame) && number(frame, "rev") > held.position {
            let row = held.messages.get(&number(frame, "seq"));
            let before = row.and_then(|row| mentions(row, me)).unwrap_or(false);
            match (before, mentions(frame, me)) {
                (false, Some(true)) => *count += 1,
                (true, Some(false)) => *count = count.saturating_sub(1),
                _ => {}
            }
        }
    }

    /// The numbers of `ready` and `added` are taken over.
    fn counts_told(&mut self, frame: &Value, count: &str) {
        let rooms = match frame["type"].as_str().unwrap() {
            "ready" => frame["rooms"].as_array().cloned().unwrap_or_default(),
            "added" => vec![frame["room"].clone()],
            _ => Vec::new(),
        };
        for room in rooms {
            self.counts
                .insert(number(&room, "id"), number(&room, count));
        }
    }

    /// The same for all that is unread: up for each new message, down for each deletion above the marker.
    fn count_unread(&mut self, client: &Client, frame: &Value) {
        self.counts_told(frame, "unread");
        let Some(held) = client.rooms.get(&room_of(frame)) else {
            return;
        };
        let count = self.counts.entry(room_of(frame)).or_default();
        let seq = frame["seq"].as_u64().unwrap_or(0);
        let is_next = is_durable(frame) && number(frame, "rev") > held.position;
        if let Some(unread) = frame["unread"].as_u64() {
            *count = unread;
        } else if frame["sender"]["id"] == client.user_id {
            *count = 0;
        } else if is_next && frame["type"] == "message" && seq > held.last_seq {
            *count += 1;
        } else if is_next && !frame["deleted_at"].is_null() && seq > held.last_read_seq {
            *count = count.saturating_sub(1);
        }
    }

    /// What the device shows as the number of unread messages.
    pub fn unread(&self, room_id: u64, held: &Room) -> u64 {
        match self.broken {
            Some(Broken::CountsUnread) => self.counts.get(&room_id).copied().unwrap_or(0),
            _ => held.unread(),
        }
    }

    /// What the device shows as the number of unread mentions.
    pub fn unread_mentions(&self, room_id: u64, held: &Room) -> u64 {
        match self.broken {
            Some(Broken::CountsMentions) => self.counts.get(&room_id).copied().unwrap_or(0),
            _ => held.mentioned.len() as u64,
        }
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
            Some(Broken::IgnoresDeletionsTold) => forget_deletions(page),
            _ => {}
        }
    }

    /// A page was taken.
    pub fn loaded(&self, client: &mut Client, room_id: u64, page: &Value) {
        let said = page["mentioned"].as_array();
        if let (Some(Broken::TakesOldMentions), Some(said)) = (self.broken, said)
            && let Some(room) = client.rooms.get_mut(&room_id)
            && number(page, "rev") >= room.floor
        {
            room.mentioned = said.iter().filter_map(Value::as_u64).collect();
        }
    }
}

fn room_of(frame: &Value) -> u64 {
    let id = frame["room_id"].as_u64().or(frame["id"].as_u64());
    id.unwrap_or(0)
}

/// Takes out what a frame or a page says of the deletions above the marker.
fn forget_deletions(told: &mut Value) {
    let mut rooms = vec![told];
    while let Some(room) = rooms.pop().and_then(Value::as_object_mut) {
        room.remove("deleted");
        for (key, inner) in room.iter_mut() {
            match key.as_str() {
                "room" => rooms.push(inner),
                "rooms" => rooms.extend(inner.as_array_mut().into_iter().flatten()),
                _ => {}
            }
        }
    }
}

/// Applies a patch that is next by its position (PROTOCOL.md section 3.1) to a newer row, which keeps its `rev`.
fn overwrite(client: &mut Client, room_id: u64, patch: &Value) {
    let Some(room) = client.rooms.get_mut(&room_id) else {
        return;
    };
    let is_next = number(patch, "rev") == room.position + 1;
    let row = room.messages.get_mut(&number(patch, "seq"));
    if let Some(row) = row.filter(|row| is_next && number(row, "rev") > room.position + 1) {
        for key in [
            "content",
            "edited_at",
            "pinned_at",
            "reactions",
            "deleted_at",
        ] {
            if let Some(value) = patch.get(key) {
                row[key] = value.clone();
            }
        }
    }
}
