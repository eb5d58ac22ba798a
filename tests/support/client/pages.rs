//! What is read by REST: history and members page by page, and the room after a reset.

use serde_json::Value;

use super::{Client, Effect, LoadId, RoomId, Seq, row::number};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Load {
    Room,
    Page { before: Option<Seq> },
    Members { cursor: Option<String> },
}

impl Client {
    /// Reads the page before what is held of a room's history; false when there is none.
    pub fn load_older(&mut self, room_id: RoomId) -> bool {
        match self.rooms.get(&room_id).and_then(|room| room.complete_from) {
            None | Some(0) => false,
            before => {
                self.load(room_id, Load::Page { before });
                true
            }
        }
    }

    /// Asks for a page, unless the same one is on its way.
    pub(super) fn load(&mut self, room_id: RoomId, what: Load) {
        if self
            .loads
            .values()
            .any(|(other, load)| *other == room_id && *load == what)
        {
            return;
        }
        let load = self.next_load;
        self.next_load += 1;
        self.effects.push(match what.clone() {
            Load::Room => Effect::LoadRoom { load, room_id },
            Load::Page { before } => Effect::LoadPage {
                load,
                room_id,
                before,
            },
            Load::Members { cursor } => Effect::LoadMembers {
                load,
                room_id,
                cursor,
            },
        });
        self.loads.insert(load, (room_id, what));
    }

    /// The body of a 200.
    pub fn loaded(&mut self, load: LoadId, body: &Value) {
        self.failed.remove(&load);
        let Some((room_id, what)) = self.loads.remove(&load) else {
            return;
        };
        let me = self.user_id;
        let Some(room) = self.rooms.get_mut(&room_id) else {
            return;
        };
        if number(body, "rev") < room.floor {
            // Older than where I began: what changed in between is in no frame to come.
            self.load(room_id, what);
            return;
        }
        let items = body["items"].as_array().map_or(&[][..], Vec::as_slice);
        match what {
            Load::Room => room.take_reread(body),
            Load::Page { before } => {
                items.iter().for_each(|item| room.take_message(item, me));
                if before.is_none() || before == room.complete_from {
                    let whole = body["next"].is_null();
                    let first = items.first().map_or(0, |first| number(first, "seq"));
                    room.complete_from = Some(if whole { 0 } else { first });
                }
            }
            Load::Members { .. } => {
                items.iter().for_each(|item| room.take_member(item));
                match body["next"].as_str() {
                    Some(cursor) => {
                        let cursor = Some(cursor.to_owned());
                        self.load(room_id, Load::Members { cursor });
                    }
                    None => room.members_complete = true,
                }
            }
        }
    }

    /// Any other answer, or none. [`Client::retry`] asks again, while I hold the room.
    pub fn load_failed(&mut self, load: LoadId) {
        if self.loads.contains_key(&load) {
            self.failed.insert(load);
        }
    }
}
