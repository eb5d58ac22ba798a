//! Sending is idempotent for ever: the same `id` is one message with one seq and changes nothing, however and whenever it
//! comes again.

use std::collections::HashSet;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Account, Db, Server, each_database, uuid};

fn message(room: u64, id: &str, content: &str) -> Value {
    json!({"type": "message", "room_id": room, "id": id, "content": content})
}

fn path(room: u64) -> String {
    format!("/api/chat/rooms/{room}/messages")
}

async fn history(account: &Account, room: u64) -> Vec<Value> {
    let (status, page) = account.get(&path(room)).await;
    assert_eq!(status, 200, "{page}");
    page["items"].as_array().unwrap().clone()
}

async fn remove(by: &Account, room: u64, who: &Account) {
    let path = format!("/api/chat/rooms/{room}/members/{}", who.id);
    assert_eq!(by.delete(&path).await.0, 204);
}

/// The fields of a message that both an ack and a REST answer have.
fn numbers(answer: &Value) -> Vec<Value> {
    ["id", "seq", "rev", "created_at"]
        .map(|name| answer[name].clone())
        .to_vec()
}

/// 100 at once, on 50 sockets and by 50 requests, each with a text of its own: one is stored, and all hear
/// of that one.
async fn the_same_id_at_once_is_one_message(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let mut witness = bob.connect().await;
    witness.join(room).await;
    let mut sockets = Vec::new();
    for _ in 0..50 {
        sockets.push(ada.connect().await);
    }
    for round in 1..=5 {
        let id = uuid();
        let by_socket = join_all(sockets.iter_mut().enumerate().map(|(number, socket)| {
            let frame = message(room, &id, &format!("socket {number}"));
            async move {
                let ack = socket.ask(frame).await;
                assert_eq!(ack["type"], "ack", "{ack}");
                (ack.get("duplicate").is_none(), numbers(&ack))
            }
        }));
        let by_rest = join_all((0..50).map(|number| {
            let body = json!({"id": id, "content": format!("request {number}")});
            let ada = &ada;
            async move {
                let (status, message) = ada.post(&path(room), body).await;
                assert!(status == 201 || status == 200, "{status} {message}");
                (status == 201, numbers(&message))
            }
        }));
        let (mut answers, more) = tokio::join!(by_socket, by_rest);
        answers.extend(more);
        assert_eq!(
            answers.iter().filter(|(new, _)| *new).count(),
            1,
            "one was the first"
        );
        let different: HashSet<String> = answers
            .iter()
            .map(|(_, numbers)| format!("{numbers:?}"))
            .collect();
        assert_eq!(
            different.len(),
            1,
            "one seq, one rev, one time for all: {different:?}"
        );
        assert_eq!(answers[0].1[1], round, "no number was used up");

        let seen = witness.frame().await;
        assert_eq!(
            (&seen["id"], &seen["seq"], &seen["rev"]),
            (&json!(id), &json!(round), &json!(round + 3))
        );
        assert!(witness.fence().await.is_empty(), "shown once");
        let stored = history(&bob, room).await;
        assert_eq!(stored.len() as u64, round);
        assert_eq!(stored.last().unwrap()["content"], seen["content"]);
    }
}

async fn a_repeated_id_changes_nothing_whatever_comes_with_it(db: Db) {
    let mut server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let mut witness = bob.connect().await;
    witness.join(room).await;
    let id = uuid();
    let mut socket = ada.connect().await;
    let first = socket.ask(message(room, &id, "the first text")).await;
    let before = history(&ada, room).await;
    witness.expect("message").await;
    // The id is looked up before anything else is checked.
    for body in [
        json!({"id": id, "content": "another text"}),
        json!({"id": id, "content": ""}),
        json!({"id": id, "content": " \n"}),
        json!({"id": id, "content": "x".repeat(8_001)}),
        json!({"id": id, "content": "a\0b"}),
        json!({"id": id, "content": "x", "reply_to": 999}),
    ] {
        let mut frame = body.clone();
        (frame["type"], frame["room_id"]) = (json!("message"), json!(room));
        let ack = socket.ask(frame).await;
        assert_eq!(
            (&ack["type"], &ack["duplicate"]),
            (&json!("ack"), &json!(true)),
            "{body:.80}: {ack}"
        );
        assert_eq!(numbers(&ack), numbers(&first));
        let (status, message) = ada.post(&path(room), body.clone()).await;
        assert_eq!(status, 200, "{body:.80}: {message}");
        assert_eq!(message["content"], "the first text");
        assert_eq!(numbers(&message), numbers(&first));
    }
    assert!(witness.fence().await.is_empty(), "nobody is shown anything");
    assert_eq!(history(&ada, room).await, before);
    // Nor after the server has forgotten all but its tables.
    server.kill().await;
    server.restart().await;
    let mut socket = ada.connect().await;
    let ack = socket.ask(message(room, &id, "days later")).await;
    assert_eq!(
        (&ack["duplicate"], numbers(&ack)),
        (&json!(true), numbers(&first))
    );
    let ack = socket.say(room, "the next").await;
    assert_eq!(
        (&ack["seq"], &ack["rev"]),
        (&json!(2), &json!(5)),
        "no number was used up"
    );
}

async fn an_id_is_its_authors_and_its_rooms(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let rooms = [
        ada.create_room("hall", &[&bob]).await,
        ada.create_room("attic", &[&bob]).await,
    ];
    let id = uuid();
    for room in rooms {
        for (seq, author) in [(1, &ada), (2, &bob)] {
            let mut socket = author.connect().await;
            let ack = socket.ask(message(room, &id, &author.name)).await;
            assert_eq!(
                (&ack["seq"], ack.get("duplicate")),
                (&json!(seq), None),
                "{ack}"
            );
            let (status, again) = author
                .post(&path(room), json!({"id": id, "content": "x"}))
                .await;
            assert_eq!((status, &again["seq"]), (200, &json!(seq)));
            assert_eq!(again["content"], author.name.as_str());
        }
        let texts: Vec<_> = history(&bob, room)
            .await
            .iter()
            .map(|m| m["content"].clone())
            .collect();
        assert_eq!(texts, ["ada", "bob"]);
    }
    // The same UUID in another spelling is the same id.
    let ack = ada
        .connect()
        .await
        .ask(message(rooms[0], &id.to_uppercase(), "x"))
        .await;
    assert_eq!(
        (&ack["seq"], &ack["duplicate"]),
        (&json!(1), &json!(true)),
        "{ack}"
    );
}

/// Answered to an ex-member, too, who gets the numbers of their own message and nothing else.
async fn an_ex_member_may_repeat_a_message(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    for kind in ["public", "private"] {
        let body = json!({"name": kind, "kind": kind, "members": [bob.id]});
        let (_, room) = ada.post("/api/chat/rooms", body).await;
        let room = room["id"].as_u64().unwrap();
        let (old, new) = (uuid(), uuid());
        let mut socket = bob.connect().await;
        let first = socket.ask(message(room, &old, "sent in time")).await;
        remove(&ada, room, &bob).await;
        socket.expect("removed").await;

        let ack = socket.ask(message(room, &old, "sent in time")).await;
        assert_eq!(
            (&ack["type"], &ack["duplicate"]),
            (&json!("ack"), &json!(true)),
            "{kind}: {ack}"
        );
        assert_eq!(numbers(&ack), numbers(&first));
        let (status, again) = bob
            .post(&path(room), json!({"id": old, "content": "x"}))
            .await;
        assert_eq!(
            (status, numbers(&again)),
            (200, numbers(&first)),
            "{kind}: {again}"
        );
        assert!(
            again.get("content").is_none() && again.get("reactions").is_none(),
            "{again}"
        );

        // A message that was not sent in time is refused, by REST and by the socket, and leaves no trace.
        let code = if kind == "public" {
            "forbidden"
        } else {
            "not_found"
        };
        let error = socket.ask(message(room, &new, "too late")).await;
        assert_eq!(
            (&error["type"], &error["code"]),
            (&json!("error"), &json!(code)),
            "{error}"
        );
        let (status, problem) = bob
            .post(&path(room), json!({"id": new, "content": "too late"}))
            .await;
        assert_eq!(
            (status, &problem["code"]),
            (if kind == "public" { 403 } else { 404 }, &json!(code))
        );
        assert_eq!(history(&ada, room).await.len(), 1);

        // The refused message was never stored: back in the room it succeeds.
        let path = format!("/api/chat/rooms/{room}/members");
        assert_eq!(ada.post(&path, json!({"username": "bob"})).await.0, 201);
        let ack = socket.ask(message(room, &new, "in time now")).await;
        assert_eq!(
            (&ack["seq"], ack.get("duplicate")),
            (&json!(2), None),
            "{ack}"
        );
    }
}

/// Removed while the same id is on its way by many connections: each hears that it is stored, with the
/// same numbers, or that it is not, and what they hear fits what is stored.
async fn a_removal_amid_repeats_leaves_one_truth(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[]).await;
    let members = format!("/api/chat/rooms/{room}/members");
    let mut sockets = Vec::new();
    for _ in 0..8 {
        sockets.push(bob.connect().await);
    }
    let mut stored = 0;
    for _ in 0..25 {
        assert_eq!(ada.post(&members, json!({"user_id": bob.id})).await.0, 201);
        let id = uuid();
        let sending = join_all(sockets.iter_mut().map(|socket| {
            let frame = message(room, &id, "x");
            async move { socket.ask(frame).await }
        }));
        let (answers, ()) = tokio::join!(sending, remove(&ada, room, &bob));
        let mine = history(&ada, room)
            .await
            .into_iter()
            .find(|message| message["id"] == id);
        for answer in &answers {
            match &mine {
                Some(message) if answer["type"] == "ack" => {
                    assert_eq!(numbers(answer), numbers(message))
                }
                // Decided after the removal and before the one that was stored? Then it came too late for
                // all: the removal is before, and nobody stores after it.
                Some(message) => panic!("{answer}, and yet {message}"),
                None => assert_eq!(answer["code"], "forbidden", "{answer}"),
            }
        }
        stored += usize::from(mine.is_some());
    }
    assert_eq!(history(&ada, room).await.len(), stored);
}

each_database!(
    the_same_id_at_once_is_one_message,
    a_repeated_id_changes_nothing_whatever_comes_with_it,
    an_id_is_its_authors_and_its_rooms,
    an_ex_member_may_repeat_a_message,
    a_removal_amid_repeats_leaves_one_truth,
);
