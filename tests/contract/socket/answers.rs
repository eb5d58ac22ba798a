//! Every frame has exactly one answer, with its `ref` (PROTOCOL.md section 4.2); the fields of the answers to messages and
//! markers; and a socket's frames take effect in order.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::support::{Db, Server, each_database, uuid};

async fn every_frame_has_exactly_one_answer(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let eve = server.register("eve").await;
    let room = ada.create_room("hall", &[]).await;
    let foreign = eve.create_room("eve's", &[]).await;
    let mut socket = ada.connect().await;
    let id = uuid();
    let (ack, error) = (json!("ack"), json!("error"));
    let message = |room: u64, id: &str, content: &str| json!({"type": "message", "room_id": room, "id": id, "content": content});
    // Well-formed, all of them: refused ones don't count as bad frames.
    let table = [
        (json!({"type": "sync"}), json!("synced"), Value::Null),
        (
            json!({"type": "join", "room_id": room}),
            json!("synced"),
            Value::Null,
        ),
        (
            json!({"type": "join", "room_id": room, "rev": 99}),
            json!("reset"),
            Value::Null,
        ),
        (
            json!({"type": "join", "room_id": foreign}),
            json!("removed"),
            Value::Null,
        ),
        (
            json!({"type": "join", "room_id": 0}),
            json!("removed"),
            Value::Null,
        ),
        (
            json!({"type": "leave", "room_id": room}),
            ack.clone(),
            Value::Null,
        ),
        (message(room, &id, "hello"), ack.clone(), Value::Null),
        (message(room, &id, "hello"), ack.clone(), Value::Null),
        (message(room, &uuid(), ""), error.clone(), json!("invalid")),
        (
            message(room, &uuid(), " \n\t "),
            error.clone(),
            json!("invalid"),
        ),
        (
            message(room, &uuid(), "a\0b"),
            error.clone(),
            json!("invalid"),
        ),
        (
            message(room, &uuid(), &"x".repeat(8_001)),
            error.clone(),
            json!("invalid"),
        ),
        (
            message(room, &uuid(), &"𝄞".repeat(8_000)),
            ack.clone(),
            Value::Null,
        ),
        (
            message(foreign, &uuid(), "hello"),
            error.clone(),
            json!("forbidden"),
        ),
        (
            message(123_456, &uuid(), "hello"),
            error.clone(),
            json!("not_found"),
        ),
        (
            json!({"type": "read", "room_id": room, "seq": 1}),
            ack.clone(),
            Value::Null,
        ),
        (
            json!({"type": "read", "room_id": foreign, "seq": 1}),
            error.clone(),
            json!("forbidden"),
        ),
        (
            json!({"type": "read", "room_id": 123_456, "seq": 1}),
            error.clone(),
            json!("not_found"),
        ),
        (
            json!({"type": "auth", "token": "x"}),
            error.clone(),
            Value::Null,
        ),
        (json!({"type": "ping"}), json!("pong"), Value::Null),
    ];
    // All at once: the answers come in the frames' order.
    for (reference, (frame, ..)) in table.iter().enumerate() {
        let mut frame = frame.clone();
        frame["ref"] = json!(reference);
        socket.send(frame).await;
    }
    let mut next = 0;
    while next < table.len() {
        let answer = socket.frame().await;
        let Some(reference) = answer["ref"].as_u64() else {
            assert_ne!(
                answer["type"], "error",
                "an error repeats the `ref`: {answer}"
            );
            continue;
        };
        let (frame, kind, code) = &table[next];
        assert_eq!(reference, next as u64, "{answer}");
        assert_eq!(&answer["type"], kind, "{frame}: {answer}");
        if !code.is_null() {
            assert_eq!(&answer["code"], code, "{frame}: {answer}");
            assert_eq!(answer["retryable"], false, "{answer}");
            assert!(
                answer["message"]
                    .as_str()
                    .is_some_and(|text| !text.is_empty())
            );
        }
        next += 1;
    }
    let late = socket.fence().await;
    assert!(
        late.iter().all(|frame| frame.get("ref").is_none()),
        "{late:?}"
    );
}

async fn an_ack_holds_what_was_stored(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    let mut socket = ada.connect().await;
    socket.join(room).await;
    let id = uuid();
    let frame =
        json!({"type": "message", "room_id": room, "id": id, "content": " as it is \u{202e}👍 "});
    let (mut frames, ack) = socket.ask_through(frame.clone()).await;
    assert_eq!((&ack["room_id"], &ack["id"]), (&json!(room), &json!(id)));
    assert_eq!((&ack["seq"], &ack["rev"]), (&json!(1), &json!(3)));
    assert!(
        ack.get("duplicate").is_none() && ack.get("last_read_seq").is_none(),
        "{ack}"
    );
    let created: jiff::Timestamp = ack["created_at"].as_str().unwrap().parse().unwrap();
    assert!(ack["created_at"].as_str().unwrap().ends_with('Z'));
    assert!(
        created
            .duration_until(jiff::Timestamp::now())
            .as_secs()
            .abs()
            < 60
    );
    if frames.is_empty() {
        frames.push(socket.frame().await);
    }
    let event = &frames[0];
    assert_eq!(
        event["content"], " as it is \u{202e}👍 ",
        "nothing is trimmed"
    );
    for name in ["room_id", "id", "seq", "rev", "created_at"] {
        assert_eq!(event[name], ack[name], "{name}");
    }
    let again = socket.ask(frame).await;
    assert_eq!(again["duplicate"], true);
    for name in ["room_id", "id", "seq", "rev", "created_at"] {
        assert_eq!(again[name], ack[name], "{name}");
    }
    let (_, page) = ada.get(&format!("/api/chat/rooms/{room}/messages")).await;
    let mut event = event.clone();
    event.as_object_mut().unwrap().remove("type");
    assert_eq!(page["items"], json!([event]), "REST shows the same message");
}

async fn replies_name_a_message_of_the_room(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    let mut socket = ada.connect().await;
    socket.join(room).await;
    socket.say(room, "first").await;
    for reply_to in [0, 2, 999] {
        let id = uuid();
        let frame = json!({"type": "message", "room_id": room, "id": id, "content": "x", "reply_to": reply_to});
        let error = socket.ask(frame).await;
        assert_eq!(
            (&error["code"], &error["errors"][0]["field"]),
            (&json!("invalid"), &json!("reply_to")),
            "{error}"
        );
    }
    let frame = json!({"type": "message", "room_id": room, "id": uuid(), "content": "reply", "reply_to": 1});
    let ack = socket.ask(frame).await;
    assert_eq!(
        (&ack["seq"], &ack["rev"]),
        (&json!(2), &json!(4)),
        "what was refused left no hole: {ack}"
    );
    let (frames, _) = socket.join_from(room, 3).await;
    assert_eq!(frames.last().unwrap()["reply_to"], 1);
}

/// A socket's frames take effect in order, however many are on their way.
async fn messages_keep_the_order_in_which_a_socket_sent_them(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let send_all = |account: &crate::support::Account| {
        let account = account.clone();
        async move {
            let mut socket = account.connect().await;
            let mut ids = HashMap::new();
            for number in 0..100 {
                let id = uuid();
                let content = format!("{} {number}", account.name);
                socket
                    .send(json!({"type": "message", "room_id": room, "id": id, "content": content}))
                    .await;
                ids.insert(id, number);
            }
            let mut seqs = Vec::new();
            for number in 0..100 {
                let ack = socket.expect("ack").await;
                assert_eq!(
                    ids[ack["id"].as_str().unwrap()],
                    number,
                    "acks come in order, too"
                );
                seqs.push(ack["seq"].as_u64().unwrap());
            }
            assert!(seqs.is_sorted(), "{seqs:?}");
            seqs
        }
    };
    let (a, b) = tokio::join!(send_all(&ada), send_all(&bob));
    let mut all = [a, b].concat();
    all.sort_unstable();
    assert_eq!(
        all,
        (1..=200).collect::<Vec<_>>(),
        "no number is missing or given twice"
    );
}

async fn the_marker_only_rises_and_never_beyond_the_last_message(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let mut writer = ada.connect().await;
    for number in 0..5 {
        writer.say(room, &format!("text {number}")).await;
    }
    let mut socket = bob.connect().await;
    for (seq, marker) in [
        (0, 0),
        (2, 2),
        (1, 2),
        (4, 4),
        (3, 4),
        (999, 5),
        (9_007_199_254_740_991u64, 5),
    ] {
        let ack = socket
            .ask(json!({"type": "read", "room_id": room, "seq": seq}))
            .await;
        assert_eq!(
            (&ack["type"], &ack["room_id"]),
            (&json!("ack"), &json!(room)),
            "{ack}"
        );
        assert_eq!(ack["last_read_seq"], marker, "after {seq}");
    }
    assert_eq!(socket.join(room).await["last_read_seq"], 5);
    // It takes no rev; and sending sets it to the message's seq.
    let ack = socket.say(room, "mine").await;
    assert_eq!((&ack["seq"], &ack["rev"]), (&json!(6), &json!(9)));
    assert_eq!(socket.join(room).await["last_read_seq"], 6);
    assert_eq!(writer.join(room).await["last_read_seq"], 5);
    writer.say(room, "after").await;
    let room_now = bob.connect().await.ready["rooms"][0].clone();
    assert_eq!(
        (&room_now["last_read_seq"], &room_now["last_seq"]),
        (&json!(6), &json!(7))
    );
    // Coming back sets it to the last message.
    let path = format!("/api/chat/rooms/{room}");
    assert_eq!(bob.act(&format!("{path}/leave")).await.0, 204);
    let (status, room_now) = bob.act(&format!("{path}/join")).await;
    assert_eq!((status, &room_now["last_read_seq"]), (200, &json!(7)));
}

each_database!(
    every_frame_has_exactly_one_answer,
    an_ack_holds_what_was_stored,
    replies_name_a_message_of_the_room,
    messages_keep_the_order_in_which_a_socket_sent_them,
    the_marker_only_rises_and_never_beyond_the_last_message,
);
