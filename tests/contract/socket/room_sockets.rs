//! Sockets for one room, `/ws/{id}` and `/ws/rooms/{id}`: its last messages, then its live events, and nothing of any other
//! room.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Error;

use crate::support::{Account, Chain, Db, Incoming, Server, Socket, each_database, uuid};

/// A room socket's `ready`, what is played back, and `synced`.
async fn open(account: &Account, path: &str) -> (Socket, Vec<Value>, Value) {
    let mut socket = account.open(path).await;
    socket.ready = socket.frame().await;
    assert_eq!(socket.ready["type"], "ready", "{}", socket.ready);
    let mut replay = Vec::new();
    loop {
        let frame = socket.frame().await;
        match frame["type"].as_str().unwrap() {
            "synced" => return (socket, replay, frame),
            "message" => replay.push(frame),
            _ => panic!("only messages are played back: {frame}"),
        }
    }
}

async fn the_last_messages_are_played_back(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    bob.create_room("another", &[]).await;
    for path in [format!("/ws/{room}"), format!("/ws/rooms/{room}")] {
        let (socket, replay, synced) = open(&bob, &path).await;
        assert_eq!(replay, [] as [Value; 0]);
        assert_eq!(
            (&synced["rev"], &synced["last_seq"]),
            (&json!(3), &json!(0))
        );
        let rooms = socket.ready["rooms"].as_array().unwrap();
        assert_eq!(rooms.len(), 1, "that room only: {rooms:?}");
        assert_eq!(
            (&rooms[0]["id"], &rooms[0]["role"]),
            (&json!(room), &json!("member"))
        );
    }
    ada.post_many(room, 203).await;
    for (query, count) in [
        ("", 50),
        ("?history=0", 0),
        ("?history=1", 1),
        ("?history=50", 50),
        ("?history=200", 200),
    ] {
        for path in ["/ws", "/ws/rooms"] {
            let (mut socket, replay, synced) = open(&bob, &format!("{path}/{room}{query}")).await;
            let seqs: Vec<u64> = replay
                .iter()
                .map(|frame| frame["seq"].as_u64().unwrap())
                .collect();
            assert_eq!(
                seqs,
                (204 - count..204).collect::<Vec<_>>(),
                "{path} {query}"
            );
            assert!(
                replay.iter().all(|frame| frame["replay"] == true),
                "{replay:?}"
            );
            assert_eq!(
                (&synced["rev"], &synced["last_seq"]),
                (&json!(206), &json!(203))
            );
            assert!(synced["prev"].is_u64(), "{synced}");
            assert_eq!(socket.fence().await, [] as [Value; 0]);
        }
    }
    for query in [
        "history=201",
        "history=-1",
        "history=",
        "history=x",
        "colour=red",
    ] {
        let url = format!(
            "ws://{}/ws/{room}?{query}&token={}",
            server.address(),
            bob.token
        );
        match Socket::try_open(&url).await {
            Err(Error::Http(response)) => assert_eq!(response.status(), 400, "{query}"),
            _ => panic!("{query} is refused before the upgrade"),
        }
    }
}

async fn only_its_room_is_spoken_of(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let other = ada.create_room("other", &[&bob]).await;
    let mut witness = bob.connect().await;
    witness.join(other).await;
    let mut writer = ada.connect().await;
    let (mut socket, _, synced) = open(&bob, &format!("/ws/rooms/{room}")).await;
    let mut chain = Chain(0);
    chain.0 = synced["rev"].as_u64().unwrap();

    writer.say(other, "elsewhere").await;
    writer.say(other, "elsewhere").await;
    witness.read_to(other, 5).await;
    ada.create_room("third", &[&bob]).await;
    witness.expect("added").await;
    let path = format!("/api/chat/rooms/{other}/members/{}", bob.id);
    assert_eq!(ada.delete(&path).await.0, 204);
    witness.expect("removed").await;
    writer.say(room, "here").await;
    let message = socket.frame().await;
    assert_eq!(
        message["content"], "here",
        "nothing of other rooms: {message}"
    );
    assert!(message.get("replay").is_none(), "{message}");
    chain.take(&message);

    for request in [
        json!({"type": "join", "room_id": other}),
        json!({"type": "join", "room_id": other, "rev": 0}),
        json!({"type": "join", "room_id": 987_654}),
        json!({"type": "leave", "room_id": other}),
        json!({"type": "message", "room_id": other, "id": uuid(), "content": "x"}),
        json!({"type": "read", "room_id": other, "seq": 1}),
    ] {
        let (passed, error) = socket.ask_through(request.clone()).await;
        assert_eq!(
            (&error["type"], &error["code"]),
            (&json!("error"), &json!("not_found")),
            "{request}"
        );
        assert_eq!(passed, [] as [Value; 0], "{request}");
    }
    // Its own room answers as on any socket.
    let (frames, _) = socket.join_from(room, 0).await;
    assert_eq!(frames.len(), 4, "{frames:?}");
    Chain(0).take_caught_up(&frames);
    let ack = socket.say(room, "from here").await;
    assert_eq!(ack["seq"], 2);
    let read = socket
        .ask(json!({"type": "read", "room_id": room, "seq": 2}))
        .await;
    assert_eq!(
        (&read["type"], &read["last_read_seq"]),
        (&json!("ack"), &json!(2))
    );
}

async fn strangers_hear_the_same_of_absent_rooms_and_of_private_ones(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let eve = server.register("eve").await;
    let public = ada.create_room("public", &[]).await;
    let body = json!({"name": "private", "kind": "private"});
    let (_, private) = ada.post("/api/chat/rooms", body).await;
    for room in [private["id"].as_u64().unwrap(), 987_654, public] {
        for path in [format!("/ws/{room}"), format!("/ws/rooms/{room}?history=0")] {
            let mut socket = eve.open(&path).await;
            match socket.next().await {
                Incoming::Closed(4505, reason) => assert_eq!(reason, "not a member"),
                other => panic!("{path}: {other:?}"),
            }
        }
    }
    for path in ["/ws/0", "/ws/rooms/x", "/ws/rooms", "/ws/-1"] {
        let url = format!("ws://{}{path}?token={}", server.address(), eve.token);
        match Socket::try_open(&url).await {
            Err(Error::Http(response)) => assert_eq!(response.status(), 404, "{path}"),
            _ => panic!("{path} doesn't exist"),
        }
    }
}

async fn a_removal_closes_it(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let path = format!("/ws/rooms/{room}");
    let mut writer = ada.connect().await;
    for by_himself in [false, true] {
        let (mut socket, ..) = open(&bob, &path).await;
        writer.say(room, "before").await;
        let (status, _) = if by_himself {
            bob.act(&format!("/api/chat/rooms/{room}/leave")).await
        } else {
            ada.delete(&format!("/api/chat/rooms/{room}/members/{}", bob.id))
                .await
        };
        assert_eq!(status, 204);
        writer.say(room, "after").await;
        assert_eq!(socket.frame().await["content"], "before");
        let removed = socket.frame().await;
        assert_eq!(
            (&removed["type"], &removed["room_id"]),
            (&json!("removed"), &json!(room))
        );
        assert!(removed["rev"].is_u64());
        match socket.next().await {
            Incoming::Closed(4505, _) => {}
            other => panic!("{other:?}"),
        }
        let (status, _) = bob.act(&format!("/api/chat/rooms/{room}/join")).await;
        assert_eq!(status, 200);
    }
}

each_database!(
    the_last_messages_are_played_back,
    only_its_room_is_spoken_of,
    strangers_hear_the_same_of_absent_rooms_and_of_private_ones,
    a_removal_closes_it,
);
