//! What may be changed, and what is left of it: deleted messages, texts and their limits, numbers of messages that don't
//! exist, mentions.

use serde_json::{Value, json};

use super::{next_of, reaction};
use crate::support::{Account, Db, Server, each_database, uuid};

async fn a_deleted_message_takes_nothing_more(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let path = format!("/api/chat/rooms/{room}");
    let mut socket = ada.connect().await;
    let id = uuid();
    let message = json!({"type": "message", "room_id": room, "id": id, "content": "secret @bob"});
    socket.ask(message.clone()).await;
    reaction(&bob, true, room, 1, "👍").await;
    ada.request("PUT", &format!("{path}/messages/1/pin"), None)
        .await;
    let (status, left) = ada.delete(&format!("{path}/messages/1")).await;
    assert_eq!(status, 200, "{left}");
    for name in ["content", "mentions", "reactions", "pinned_at"] {
        assert!(left.get(name).is_none(), "{left}");
    }
    for (frame, code) in [
        (json!({"type": "edit", "content": "x"}), "not_found"),
        (
            json!({"type": "react", "emoji": "👍", "on": true}),
            "not_found",
        ),
    ] {
        let mut frame = frame;
        frame["room_id"] = room.into();
        frame["seq"] = 1.into();
        assert_eq!(socket.ask(frame.clone()).await["code"], code, "{frame}");
    }
    let edit = json!({"content": "x"});
    assert_eq!(
        ada.request("PATCH", &format!("{path}/messages/1"), Some(&edit))
            .await
            .0,
        404
    );
    assert_eq!(reaction(&ada, true, room, 1, "👍").await.0, 404);
    assert_eq!(
        ada.request("PUT", &format!("{path}/messages/1/pin"), None)
            .await
            .0,
        404
    );
    // Its number stays, replies to it stand, and its id isn't given again.
    let reply = json!({"content": "to what is gone", "reply_to": 1});
    assert_eq!(ada.post(&format!("{path}/messages"), reply).await.0, 201);
    let again = socket.ask(message).await;
    assert_eq!(
        (&again["duplicate"], &again["seq"]),
        (&json!(true), &json!(1)),
        "{again}"
    );
    let (status, repeated) = ada
        .post(
            &format!("{path}/messages"),
            json!({"id": id, "content": "x"}),
        )
        .await;
    assert_eq!((status, repeated.get("content")), (200, None), "{repeated}");
    let (_, pins) = ada.get(&format!("{path}/pins")).await;
    assert_eq!(pins["items"], json!([]));
    let (_, reactions) = ada.get(&format!("{path}/messages/1/reactions")).await;
    assert_eq!(reactions["items"], json!([]));
    let (_, seen) = bob.get(&path).await;
    assert_eq!(
        (&seen["unread_mentions"], &seen["mentioned"]),
        (&json!(0), &json!([]))
    );
    assert!(!seen.to_string().contains("secret"), "{seen}");
}

async fn texts_have_their_limits_when_edited_too(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    let path = format!("/api/chat/rooms/{room}/messages/1");
    let mut socket = ada.connect().await;
    socket.say(room, "text").await;
    for (content, code) in [
        ("", "length"),
        (" \n\u{3000}", "blank"),
        ("a\0b", "format"),
        (&*"x".repeat(8_001), "length"),
    ] {
        let (status, problem) = ada
            .request("PATCH", &path, Some(&json!({"content": content})))
            .await;
        let fault = &problem["errors"][0];
        assert_eq!(
            (status, &fault["field"], &fault["code"]),
            (400, &json!("content"), &json!(code)),
            "{problem}"
        );
        let edit = json!({"type": "edit", "room_id": room, "seq": 1, "content": content});
        assert_eq!(socket.ask(edit).await["errors"], problem["errors"]);
    }
    let longest = "𝄞".repeat(8_000);
    let (status, message) = ada
        .request("PATCH", &path, Some(&json!({"content": longest})))
        .await;
    assert_eq!((status, &message["content"]), (200, &json!(longest)));
}

/// A seq that isn't the room's, and one that is another room's.
async fn what_is_not_there_is_not_found(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let (room, other) = (
        ada.create_room("hall", &[]).await,
        ada.create_room("other", &[]).await,
    );
    let mut socket = ada.connect().await;
    socket.say(room, "text").await;
    socket.say(other, "text").await;
    socket.say(other, "second").await;
    for seq in [2, 3, 9_007_199_254_740_991_u64] {
        let path = format!("/api/chat/rooms/{room}/messages/{seq}");
        let edit = json!({"content": "x"});
        for (method, path, body) in [
            ("PATCH", path.clone(), Some(&edit)),
            ("DELETE", path.clone(), None),
            ("PUT", format!("{path}/reactions/x"), None),
            ("DELETE", format!("{path}/reactions/x"), None),
            ("GET", format!("{path}/reactions"), None),
            ("PUT", format!("{path}/pin"), None),
            ("DELETE", format!("{path}/pin"), None),
        ] {
            let (status, problem) = ada.request(method, &path, body).await;
            let answered = (status, &problem["code"]);
            assert_eq!(answered, (404, &json!("not_found")), "{method} {path}");
        }
        for mut frame in [
            json!({"type": "edit", "content": "x"}),
            json!({"type": "delete"}),
            json!({"type": "react", "emoji": "x", "on": true}),
            json!({"type": "react", "emoji": "x", "on": false}),
        ] {
            frame["room_id"] = room.into();
            frame["seq"] = seq.into();
            let error = socket.ask(frame.clone()).await;
            assert_eq!(error["code"], "not_found", "{frame}: {error}");
        }
    }
    let edit = json!({"type": "edit", "room_id": room, "seq": 0, "content": "x"});
    assert_eq!(socket.ask(edit).await["code"], "not_found");
    let (_, page) = ada.get(&format!("/api/chat/rooms/{other}/messages")).await;
    assert_eq!(
        page["items"][1]["content"], "second",
        "the other room's is as it was"
    );
    let (_, now) = ada.get(&format!("/api/chat/rooms/{room}")).await;
    assert_eq!(now["rev"], 3);
}

async fn add_all(owner: &Account, room: u64, people: &[Account]) {
    for person in people {
        let body = json!({"user_id": person.id});
        let (status, _) = owner
            .post(&format!("/api/chat/rooms/{room}/members"), body)
            .await;
        assert_eq!(status, 201);
    }
}

async fn mentions_are_those_who_are_there(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("Bob").await;
    let eve = server.register("eve").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let path = format!("/api/chat/rooms/{room}");
    let said = async |content: &str| {
        let (status, message) = ada
            .post(&format!("{path}/messages"), json!({"content": content}))
            .await;
        assert_eq!(status, 201, "{message}");
        (
            message.get("mentions").cloned(),
            message.get("mention_all").cloned(),
        )
    };
    let ids = |ids: &[u64]| Some(json!(ids));
    assert_eq!(
        said("@bob and @eve").await,
        (ids(&[bob.id]), None),
        "eve isn't there"
    );
    assert_eq!(said("@BOB. @ada-").await, (ids(&[ada.id, bob.id]), None));
    assert_eq!(said("@bob_ x@bob @bobby").await, (None, None));
    assert_eq!(said("@all @bob").await, (ids(&[bob.id]), Some(json!(true))));
    let (_, seen) = bob.get(&path).await;
    assert_eq!(
        (&seen["unread_mentions"], &seen["mentioned"]),
        (&json!(3), &json!([1, 2, 4])),
        "a message counts once"
    );
    // A later member isn't mentioned by older messages, but by an edit that is made now.
    add_all(&ada, room, std::slice::from_ref(&eve)).await;
    let (_, seen) = eve.get(&path).await;
    assert_eq!(seen["mentioned"], json!([]));
    let edit = json!({"content": "@eve and @bob"});
    let (_, message) = ada
        .request("PATCH", &format!("{path}/messages/1"), Some(&edit))
        .await;
    assert_eq!(message["mentions"], json!([bob.id, eve.id]));
    let (_, seen) = eve.get(&path).await;
    assert_eq!(seen["mentioned"], json!([]), "it lies below her marker");
    // Fifty are the most.
    let mut people = Vec::new();
    for number in 0..51 {
        people.push(server.register(&format!("person{number}")).await);
    }
    let text = |count: usize| {
        let names: Vec<_> = people[..count]
            .iter()
            .map(|person| format!("@{}", person.name))
            .collect();
        names.join(" ")
    };
    add_all(&ada, room, &people).await;
    let (status, problem) = ada
        .post(&format!("{path}/messages"), json!({"content": text(51)}))
        .await;
    assert_eq!(
        (status, &problem["errors"][0]["field"]),
        (400, &json!("content")),
        "{problem}"
    );
    let (status, message) = ada
        .post(&format!("{path}/messages"), json!({"content": text(50)}))
        .await;
    assert_eq!(
        (status, message["mentions"].as_array().map(Vec::len)),
        (201, Some(50))
    );
    let edit = json!({"type": "edit", "room_id": room, "seq": 1, "content": text(51)});
    assert_eq!(ada.connect().await.ask(edit).await["code"], "invalid");
    // Above a hundred members `@all` is the owner's and the admins'.
    let mut crowd = Vec::new();
    for number in 0..46 {
        crowd.push(server.register(&format!("extra{number}")).await);
    }
    add_all(&ada, room, &crowd).await;
    let all_by = async |account: &Account| {
        let body = json!({"content": "@all"});
        let (_, message) = account.post(&format!("{path}/messages"), body).await;
        message.get("mention_all").cloned()
    };
    assert_eq!(all_by(&bob).await, Some(json!(true)), "a hundred are few");
    add_all(&ada, room, &[server.register("last").await]).await;
    assert_eq!(all_by(&bob).await, None);
    assert_eq!(all_by(&ada).await, Some(json!(true)));
    let body = json!({"role": "admin"});
    ada.request("PATCH", &format!("{path}/members/{}", bob.id), Some(&body))
        .await;
    assert_eq!(all_by(&bob).await, Some(json!(true)));
}

/// More than a hundred: the newest hundred are told by seq, all are counted.
async fn many_mentions_are_told_by_the_newest(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let mut writer = ada.connect().await;
    for _ in 0..103 {
        writer.say(room, "@bob").await;
    }
    let newest: Vec<u64> = (4..=103).collect();
    let mut socket = bob.connect().await;
    let synced = socket.join(room).await;
    let (_, shown) = bob.get(&format!("/api/chat/rooms/{room}")).await;
    for told in [&socket.ready["rooms"][0], &synced, &shown] {
        assert_eq!(
            (&told["unread_mentions"], &told["mentioned"]),
            (&json!(103), &json!(newest))
        );
    }
    let read = json!({"type": "read", "room_id": room, "seq": 3});
    let (mut passed, ack) = socket.ask_through(read).await;
    assert_eq!(
        (&ack["last_read_seq"], &ack["unread_mentions"]),
        (&json!(3), &json!(100))
    );
    if passed.is_empty() {
        passed.push(next_of(&mut socket, room).await);
    }
    let expected = json!({"type": "read", "room_id": room, "user_id": bob.id, "seq": 3,
        "last_seq": 103, "unread": 100, "unread_mentions": 100});
    assert_eq!(passed, [expected] as [Value; 1]);
}

each_database!(
    a_deleted_message_takes_nothing_more,
    texts_have_their_limits_when_edited_too,
    what_is_not_there_is_not_found,
    mentions_are_those_who_are_there,
    many_mentions_are_told_by_the_newest,
);
