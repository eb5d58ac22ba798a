//! Ids that point elsewhere: messages and members of another room, hidden rooms that a query or a body names. And fields
//! of frames that claim an identity.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::routes::{Site, answer, frames, later};
use crate::support::{Account, Db, Server, each_database, uuid};

/// How many messages are in the room that must not be touched; in the other there is one.
const THERE: u64 = 5;

/// Two rooms of ada's, so that nothing but the mix-up stands between her and them; bob is in the first one only.
struct Rooms {
    ada: Account,
    bob: Account,
    there: u64,
    here: u64,
    /// The `id`s of the messages there; the first is hers.
    ids: Vec<Value>,
}

impl Rooms {
    async fn build(server: &Server) -> Self {
        let ada = server.register("ada").await;
        let bob = server.register("bob").await;
        let there = ada.create_room("there", &[&bob]).await;
        let here = ada.create_room("here", &[]).await;
        let mut socket = ada.connect().await;
        let mut ids = vec![socket.say(there, "hers").await["id"].clone()];
        socket.say(here, "text").await;
        let mut socket = bob.connect().await;
        for _ in 1..THERE {
            ids.push(socket.say(there, "his").await["id"].clone());
        }
        for seq in [1, THERE] {
            let message = format!("/api/chat/rooms/{there}/messages/{seq}");
            for (who, what) in [
                (&ada, "reactions/%F0%9F%8E%89"),
                (&bob, "reactions/%F0%9F%8E%89"),
                (&ada, "pin"),
            ] {
                let (status, answer) = who.request("PUT", &format!("{message}/{what}"), None).await;
                assert_eq!(status, 200, "{answer}");
            }
        }
        Self {
            ada,
            bob,
            there,
            here,
            ids,
        }
    }

    /// All that a member may read of the room that must not be touched, markers included.
    async fn untouched(&self) -> Vec<Value> {
        let path = format!("/api/chat/rooms/{}", self.there);
        let mut all = Vec::new();
        for what in ["", "/messages?limit=200", "/pins", "/members"] {
            all.push(self.bob.get(&format!("{path}{what}")).await);
        }
        for seq in 1..=THERE {
            let reactions = format!("{path}/messages/{seq}/reactions");
            all.push(self.bob.get(&reactions).await);
        }
        all.into_iter()
            .map(|(status, answer)| {
                assert_eq!(status, 200, "{answer}");
                answer
            })
            .collect()
    }
}

/// What may be done to a message: method, what follows its path, body.
fn changes() -> [(&'static str, &'static str, Option<Value>); 6] {
    [
        ("PATCH", "", Some(json!({"content": "mine"}))),
        ("PUT", "/reactions/%F0%9F%91%8D", None),
        ("DELETE", "/reactions/%F0%9F%8E%89", None),
        ("PUT", "/pin", None),
        ("DELETE", "/pin", None),
        // The last: it leaves nothing.
        ("DELETE", "", None),
    ]
}

/// A number that both rooms have means the one in the path, and one that only the other room has means nothing.
async fn what_is_another_rooms_is_never_touched(db: Db) {
    let server = Server::start(db).await;
    let rooms = Rooms::build(&server).await;
    let Rooms {
        ada,
        there,
        here,
        ids,
        ..
    } = &rooms;
    let before = rooms.untouched().await;
    let path = format!("/api/chat/rooms/{here}");

    // Members of the other room.
    let his = format!("{path}/members/{}", rooms.bob.id);
    for (method, body) in [("PATCH", Some(json!({"role": "admin"}))), ("DELETE", None)] {
        let (status, problem) = ada.request(method, &his, body.as_ref()).await;
        assert_eq!(status, 404, "{method} {his}: {problem}");
    }

    // A number that only the other room has.
    for (method, what, body) in changes() {
        let path = format!("{path}/messages/{THERE}{what}");
        let (status, problem) = ada.request(method, &path, body.as_ref()).await;
        assert_eq!(status, 404, "{method} {path}: {problem}");
    }
    let mut sockets = [
        ada.connect().await,
        ada.open(&format!("/ws/{here}?history=0")).await,
    ];
    let reply = || json!({"id": uuid(), "content": "x", "reply_to": THERE});
    let (status, problem) = ada.post(&format!("{path}/messages"), reply()).await;
    assert_eq!(status / 100, 4, "{problem}");
    for socket in &mut sockets {
        let mut frame = reply();
        frame["type"] = json!("message");
        frame["room_id"] = json!(here);
        let error = socket.ask(frame).await;
        assert_eq!(error["type"], "error", "{error}");
        let read = json!({"type": "read", "room_id": here, "seq": THERE});
        let marker = socket.ask(read).await;
        assert_eq!(marker["last_read_seq"], 1, "{marker}");
    }
    let (status, marker) = ada
        .post(&format!("{path}/read"), json!({"seq": THERE}))
        .await;
    assert_eq!(
        (status, &marker["last_read_seq"]),
        (200, &json!(1)),
        "reading ends where this room ends: {marker}"
    );

    // An `id` that is taken there, by her or by another.
    for id in ids {
        let body = json!({"id": id, "content": "again"});
        let (status, message) = ada.post(&format!("{path}/messages"), body).await;
        let made = (status, &message["room_id"]);
        assert_eq!(made, (201, &json!(here)), "{message}");
    }
    assert_eq!(rooms.untouched().await, before);

    // What both have, here.
    for (method, what, body) in changes() {
        let path = format!("{path}/messages/1{what}");
        let (status, message) = ada.request(method, &path, body.as_ref()).await;
        assert_eq!(
            (status, &message["room_id"]),
            (200, &json!(here)),
            "{method} {path}: {message}"
        );
        assert_eq!(rooms.untouched().await, before, "{method} {path}");
    }
    let (_, page) = ada.get(&format!("{path}/messages?limit=1&after=0")).await;
    assert_ne!(page["items"][0]["deleted_at"], Value::Null, "{page}");

    // A room's own socket reaches no other room, though she is in it.
    let [_, socket] = &mut sockets;
    for (kind, frame) in frames(*there) {
        if let Some(frame) = frame {
            let answer = socket.ask(frame).await;
            let refused = answer["code"] == "not_found" || answer["type"] == "removed";
            assert!(refused, "{kind}: {answer}");
        }
    }
    assert_eq!(rooms.untouched().await, before);
}

/// Where a room is named beside the path, a private one, a deleted one and one that never was are answered alike, too.
async fn hidden_rooms_are_as_absent_in_queries_and_bodies(db: Db) {
    let site = Site::build(db).await;
    for who in [&site.stranger, &site.ex_member, &site.site_admin] {
        let mut answers = [BTreeSet::new(), BTreeSet::new()];
        for room in site.hidden {
            let search = format!("/api/chat/search?q=hello&room_id={room}");
            let invite = json!({"room_id": room, "max_uses": 1, "expires_at": later()});
            for (at, method, path, body) in [
                (0, "GET", &*search, Value::Null),
                (1, "POST", "/api/invites", invite),
            ] {
                let (status, found) = answer(&site.server, Some(who), method, path, &body).await;
                assert!(
                    status / 100 == 4 || found["items"] == json!([]),
                    "{method} {path} {}: {status} {found}",
                    who.name
                );
                answers[at].insert((status, found.to_string()));
            }
        }
        for answers in answers {
            assert_eq!(answers.len(), 1, "{}: {answers:#?}", who.name);
        }
    }
}

/// As `routes.rs` for bodies: a frame with a field that it doesn't have is refused whole.
async fn frames_bind_nothing_that_is_not_asked_for(db: Db) {
    let server = Server::start(db).await;
    let rooms = Rooms::build(&server).await;
    let before = rooms.untouched().await;
    for (kind, frame) in frames(rooms.there) {
        let frame = frame.unwrap_or_else(|| match kind {
            "auth" => json!({"type": "auth", "token": rooms.ada.token}),
            "ping" => json!({"type": "ping"}),
            _ => json!({"type": kind, "room_id": rooms.there}),
        });
        for (name, value) in [
            ("sender", json!(rooms.bob.id)),
            ("user_id", json!(rooms.bob.id)),
            ("author", json!(rooms.bob.id)),
            ("role", json!("owner")),
            ("is_admin", json!(true)),
            ("created_at", json!("2020-01-01T00:00:00Z")),
            ("seq", json!(1)),
            ("rev", json!(1)),
        ] {
            let mut frame = frame.clone();
            if frame.as_object_mut().unwrap().contains_key(name) {
                continue;
            }
            frame[name] = value;
            // Each on its own socket: the third bad frame would end it.
            let answer = rooms.ada.connect().await.ask(frame).await;
            assert_eq!(
                (&answer["code"], &answer["errors"][0]["field"]),
                (&json!("invalid"), &json!(name)),
                "{kind} {name}: {answer}"
            );
        }
    }
    assert_eq!(rooms.untouched().await, before);
}

each_database!(
    what_is_another_rooms_is_never_touched,
    hidden_rooms_are_as_absent_in_queries_and_bodies,
    frames_bind_nothing_that_is_not_asked_for,
);
