//! Those of a [`super::Crowd`] who make rooms and change memberships, roles, settings and pins over REST, each retrying until
//! they know the outcome.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    super::{Account, tables::number},
    Shared,
    record::{Outcome, Thing},
};

/// Acknowledgements between two changes of one membership, between two of a room's roles and settings, between two
/// of its pins, and between two new rooms.
const BETWEEN_CHANGES: u64 = 50;
const BETWEEN_ORDERS: u64 = 100;
const BETWEEN_PINS: u64 = 30;
const BETWEEN_ROOMS: u64 = 400;
/// Before something is tried again.
const PAUSE: Duration = Duration::from_millis(20);

/// One membership that is begun and ended in turn.
pub struct Toggle {
    pub by: Account,
    pub user_id: u64,
    pub by_himself: bool,
    pub room_id: u64,
}

impl Toggle {
    pub async fn run(self, shared: Arc<Shared>) {
        let mut present = false;
        let between = rand::random_range(BETWEEN_CHANGES..4 * BETWEEN_CHANGES);
        while shared.goes_on(between).await {
            self.change(!present).await;
            present = !present;
            shared.changed(self.room_id);
        }
    }

    /// Tries until the answer says that it is so; a repetition may find it done already.
    async fn change(&self, present: bool) {
        let members = format!("/api/chat/rooms/{}/members", self.room_id);
        let member = format!("{members}/{}", self.user_id);
        let user = json!({"user_id": self.user_id});
        let (method, path, body) = match (self.by_himself, present) {
            (true, true) => (
                "POST",
                format!("/api/chat/rooms/{}/join", self.room_id),
                None,
            ),
            (true, false) => (
                "POST",
                format!("/api/chat/rooms/{}/leave", self.room_id),
                None,
            ),
            (false, true) => ("POST", members, Some(&user)),
            (false, false) => ("DELETE", member, None),
        };
        let mut tried = false;
        loop {
            let answer = self.by.try_request(method, &path, body).await;
            match answer {
                Ok((200 | 201 | 204, _)) if !tried => return,
                Ok((200 | 201 | 204 | 403 | 404, _)) if tried => return,
                Ok((503, _)) | Err(_) => tried = true,
                Ok((status, problem)) => panic!("{method} {path}: {status} {problem}"),
            }
            sleep(PAUSE).await;
        }
    }
}

/// Makes rooms now and then. A making that is not answered is not repeated: the room may be there.
pub async fn make_rooms(owner: Account, members: Vec<Account>, shared: Arc<Shared>) {
    let ids: Vec<u64> = members.iter().map(|member| member.id).collect();
    let mut rooms = 0;
    while shared.goes_on(BETWEEN_ROOMS).await {
        rooms += 1;
        let kind = ["public", "private"][rooms % 2];
        let body = json!({"name": format!("made {rooms}"), "kind": kind, "members": ids});
        match owner
            .try_request("POST", "/api/chat/rooms", Some(&body))
            .await
        {
            Ok((201, room)) => {
                let made = ids.len() as u64 + 2;
                shared
                    .made
                    .lock()
                    .unwrap()
                    .insert(number(&room, "id"), made);
                shared.changes.send_modify(|changes| *changes += 1);
            }
            Ok((503, _)) | Err(_) => {}
            Ok((status, problem)) => panic!("a room can't be made: {status} {problem}"),
        }
    }
}

/// Something to be asked for by REST.
struct Order {
    thing: Thing,
    first: Value,
    value: Value,
    method: &'static str,
    path: String,
    body: Option<Value>,
}

impl Order {
    /// Tries until the answer says what became of it.
    async fn give(self, by: &Account, shared: &Shared) {
        let Order {
            thing,
            method,
            path,
            ..
        } = self;
        // A room that was handed over can't be handed over again, and an archived one can't be archived.
        let once = match thing {
            Thing::Owner(_) => true,
            Thing::Archived(_) => self.value == true,
            _ => false,
        };
        shared
            .record()
            .request(thing.clone(), self.first, self.value);
        let mut tried = false;
        let outcome = loop {
            match by.try_request(method, &path, self.body.as_ref()).await {
                Ok((200, answer)) => {
                    // A room's and a member's `rev` is another number.
                    let rev = thing.seq().map_or(0, |_| number(&answer, "rev"));
                    let heard = shared.moment();
                    break Outcome::Done { rev, heard };
                }
                Ok((403, _)) if once && tried => {
                    let heard = shared.moment();
                    break Outcome::Done { rev: 0, heard };
                }
                Ok((403, problem)) => {
                    let archived = thing.room_id() == shared.archivable;
                    assert!(archived, "{method} {path}: {problem}");
                    break Outcome::Refused("forbidden".to_owned());
                }
                // Only a message that was deleted: looked at in the end.
                Ok((404, _)) if thing.seq().is_some() => {
                    break Outcome::Refused("not_found".to_owned());
                }
                Ok((503, _)) | Err(_) => {
                    shared.record().unanswered(&thing);
                    tried = true;
                }
                Ok((status, problem)) => panic!("{method} {path}: {status} {problem}"),
            }
            sleep(PAUSE).await;
        };
        shared.record().answered(&thing, outcome);
        shared.changes.send_modify(|changes| *changes += 1);
    }
}

/// Pins a room's messages, and takes the pins away.
pub async fn pin(by: Account, room_id: u64, shared: Arc<Shared>) {
    let path = format!("/api/chat/rooms/{room_id}");
    while shared.goes_on(BETWEEN_PINS).await {
        let Ok((200, room)) = by.try_request("GET", &path, None).await else {
            continue;
        };
        // Few of them, so that they come and go, and some have been deleted.
        let last = number(&room, "last_seq");
        let seq = last - last % 10;
        let thing = Thing::Pin(room_id, seq);
        let known = shared.record().known(&thing, json!(false));
        let Some(pinned) = known.filter(|_| seq > 0) else {
            continue;
        };
        let order = Order {
            thing,
            first: json!(false),
            value: json!(pinned == false),
            method: if pinned == false { "PUT" } else { "DELETE" },
            path: format!("{path}/messages/{seq}/pin"),
            body: None,
        };
        order.give(&by, &shared).await;
    }
}

/// Administers a room: renames it, makes a user an admin and a member again, hands the room over and takes it back.
pub async fn rule(
    [owner, heir, subject]: [Account; 3],
    (room_id, name): (u64, Value),
    shared: Arc<Shared>,
) {
    let path = format!("/api/chat/rooms/{room_id}");
    let known = |thing: &Thing, first: Value| {
        let known = shared.record().known(thing, first);
        known.expect("nobody refuses it")
    };
    while shared.goes_on(BETWEEN_ORDERS).await {
        let handed = Thing::Owner(room_id);
        let reigns = known(&handed, json!(owner.id)) == owner.id;
        let (ruler, other) = if reigns {
            (&owner, &heir)
        } else {
            (&heir, &owner)
        };
        let order = match rand::random_range(0..3) {
            0 => {
                let thing = Thing::Name(room_id);
                let first = name.clone();
                let value = json!(format!("name {}", shared.moment()));
                let body = Some(json!({"name": value}));
                Order {
                    thing,
                    first,
                    value,
                    method: "PATCH",
                    path: path.clone(),
                    body,
                }
            }
            1 => {
                let thing = Thing::Role(room_id, subject.id);
                let first = json!("member");
                let is_member = known(&thing, first.clone()) == "member";
                let value = json!(if is_member { "admin" } else { "member" });
                let body = Some(json!({"role": value}));
                let path = format!("{path}/members/{}", subject.id);
                Order {
                    thing,
                    first,
                    value,
                    method: "PATCH",
                    path,
                    body,
                }
            }
            _ => {
                let (first, value) = (json!(owner.id), json!(other.id));
                let body = Some(json!({"role": "owner"}));
                let path = format!("{path}/members/{}", other.id);
                Order {
                    thing: handed,
                    first,
                    value,
                    method: "PATCH",
                    path,
                    body,
                }
            }
        };
        order.give(ruler, &shared).await;
    }
}

/// Archives the archivable, and opens it again.
pub async fn archive(by: Account, shared: Arc<Shared>) {
    let thing = Thing::Archived(shared.archivable);
    while shared.goes_on(BETWEEN_ORDERS).await {
        let known = shared.record().known(&thing, json!(false));
        let value = json!(known.expect("nobody refuses it") == false);
        let order = Order {
            thing: thing.clone(),
            first: json!(false),
            method: "PATCH",
            path: format!("/api/chat/rooms/{}", shared.archivable),
            body: Some(json!({"archived": value})),
            value,
        };
        order.give(&by, &shared).await;
    }
}
