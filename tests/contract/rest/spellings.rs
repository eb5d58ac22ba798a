//! One value in several spellings: whole numbers as JSON writes them, and ids of messages, in bodies and frames alike.

use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Account, Db, Server, Socket, each_database};

/// The answer to a body of exactly this text.
async fn post(server: &Server, account: &Account, path: &str, body: &str) -> (u16, Value) {
    let answer = reqwest::Client::new()
        .post(server.url(path))
        .bearer_auth(&account.token)
        .header("content-type", "application/json")
        .body(body.to_owned())
        .send()
        .await
        .unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// The answer to a frame of exactly this text.
async fn ask(socket: &mut Socket, text: &str) -> Value {
    socket.wire.send(Message::text(text)).await.unwrap();
    socket.frame().await
}

async fn whole_numbers_are_taken_in_every_spelling(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[]).await;
    let at = format!("/api/chat/rooms/{room}");
    for number in 0..20 {
        let body = format!(r#"{{"content":"{number}"}}"#);
        assert_eq!(
            post(&server, &ada, &format!("{at}/messages"), &body)
                .await
                .0,
            201
        );
    }
    let body = format!(r#"{{"user_id":{}.0}}"#, bob.id);
    let (status, member) = post(&server, &ada, &format!("{at}/members"), &body).await;
    assert_eq!((status, &member["user"]["id"]), (201, &json!(bob.id)));
    let (_, more) = post(
        &server,
        &ada,
        &format!("{at}/messages"),
        r#"{"content":"@bob"}"#,
    )
    .await;
    assert_eq!(more["seq"], 21);
    // Joining set the marker to the 20th: it only rises.
    for (seq, read) in [
        ("-0", 20),
        ("1.0", 20),
        ("210E-1", 21),
        ("2.1e1", 21),
        ("1e3", 21),
    ] {
        let body = format!(r#"{{"seq":{seq}}}"#);
        let (status, answer) = post(&server, &bob, &format!("{at}/read"), &body).await;
        assert_eq!(
            (status, &answer["last_read_seq"]),
            (200, &json!(read)),
            "{seq}"
        );
    }
    let body = format!(
        r#"{{"name":"x","kind":"private","members":[{}e0]}}"#,
        bob.id
    );
    let (status, made) = post(&server, &ada, "/api/chat/rooms", &body).await;
    assert_eq!((status, &made["member_count"]), (201, &json!(2)));
    let (status, message) = post(
        &server,
        &ada,
        &format!("{at}/messages"),
        r#"{"content":"x","reply_to":10E-1}"#,
    )
    .await;
    assert_eq!((status, &message["reply_to"]), (201, &json!(1)));

    let mut socket = ada.connect().await;
    let text = format!(r#"{{"type":"join","ref":-0,"room_id":{room}.0,"rev":1.0e0}}"#);
    socket.wire.send(Message::text(text)).await.unwrap();
    let synced = socket.expect("synced").await;
    assert_eq!(
        (&synced["ref"], &synced["room_id"]),
        (&json!(0), &json!(room))
    );
    let text =
        format!(r#"{{"type":"edit","ref":7.0,"room_id":{room}e0,"seq":100e-2,"content":"y"}}"#);
    socket.wire.send(Message::text(text)).await.unwrap();
    let ack = socket.expect("ack").await;
    assert_eq!((&ack["ref"], &ack["seq"]), (&json!(7), &json!(1)));
    let text = format!(
        r#"{{"type":"sync","ref":1e1,"rooms":{{"{room}":{}.0}}}}"#,
        ack["rev"]
    );
    socket.wire.send(Message::text(text)).await.unwrap();
    while socket.expect("synced").await["room_id"] != json!(room) {}

    // No whole numbers, or larger than every JSON reader can hold.
    for number in [
        "1.5",
        "1e-1",
        "-1",
        "9007199254740992",
        "1e16",
        "9007199254740993.0",
        "\"1\"",
        "true",
    ] {
        let body = format!(r#"{{"seq":{number}}}"#);
        let (status, problem) = post(&server, &ada, &format!("{at}/read"), &body).await;
        let fault = (
            &problem["errors"][0]["field"],
            &problem["errors"][0]["code"],
        );
        assert_eq!(
            (status, fault),
            (400, (&json!("seq"), &json!("type"))),
            "{number}"
        );
        let mut socket = ada.connect().await;
        let text = format!(r#"{{"type":"read","ref":"r","room_id":{room},"seq":{number}}}"#);
        let error = ask(&mut socket, &text).await;
        let fault = &error["errors"][0];
        assert_eq!(
            (&error["ref"], &fault["field"], &fault["code"]),
            (&json!("r"), &json!("seq"), &json!("type")),
            "{number}: {error}"
        );
        let rule = fault["message"].as_str().unwrap();
        assert!(
            rule.contains("a whole number from 0 to 9007199254740991"),
            "{rule}"
        );
    }
    // Names of fields, paths and queries are text: there a number has one form.
    for name in ["1.0", "1e0", "-0", "01", "x"] {
        let mut socket = ada.connect().await;
        let text = format!(r#"{{"type":"sync","ref":"r","rooms":{{"{name}":0}}}}"#);
        let error = ask(&mut socket, &text).await;
        assert_eq!(
            (&error["code"], &error["ref"]),
            (&json!("invalid"), &json!("r")),
            "{name}"
        );
    }
    for path in [
        format!("{at}.0"),
        format!("{at}/messages/1.0/reactions"),
        "/api/users/1e0".into(),
    ] {
        assert_eq!(ada.get(&path).await.0, 404, "{path}");
    }
    assert_eq!(ada.get(&format!("{at}/messages?limit=1e1")).await.0, 400);
}

async fn an_upper_case_uuid_is_the_same_id(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    let path = format!("/api/chat/rooms/{room}/messages");
    let mut socket = ada.connect().await;
    // Whichever spelling comes first.
    for (number, first) in ["abcd", "ABCD", "aBcD"].iter().enumerate() {
        let spelt = |last: &str| format!("0{number}A21000-0000-7000-8000-00000000{last}");
        let lower = spelt(first).to_lowercase();
        let (status, sent) = ada
            .post(&path, json!({"id": spelt(first), "content": "x"}))
            .await;
        assert_eq!((status, &sent["id"]), (201, &json!(lower)));
        for id in [lower.clone(), lower.to_uppercase(), spelt("AbCd")] {
            let again = ada
                .post(&path, json!({"id": id, "content": "another text"}))
                .await;
            assert_eq!(again, (200, sent.clone()));
            let frame = json!({"type": "message", "room_id": room, "id": id, "content": "y"});
            let ack = socket.ask(frame).await;
            assert_eq!(
                (&ack["id"], &ack["seq"], &ack["duplicate"]),
                (&json!(lower), &sent["seq"], &json!(true)),
                "{ack}"
            );
        }
    }
    for id in [
        "01a2100000007000800000000000abcd",
        "{01a21000-0000-7000-8000-00000000abcd}",
        "urn:uuid:01a21000-0000-7000-8000-00000000abcd",
        "01a21000-0000-7000-8000-00000000abcg",
        " 01a21000-0000-7000-8000-00000000abcd",
    ] {
        let (status, problem) = ada.post(&path, json!({"id": id, "content": "x"})).await;
        assert_eq!(
            (status, &problem["errors"][0]["field"]),
            (400, &json!("id")),
            "{id}"
        );
        let mut socket = ada.connect().await;
        let frame = json!({"type": "message", "room_id": room, "id": id, "content": "x"});
        let error = socket.ask(frame).await;
        assert_eq!(error["errors"][0]["field"], "id", "{id}: {error}");
    }
}

each_database!(
    whole_numbers_are_taken_in_every_spelling,
    an_upper_case_uuid_is_the_same_id,
);
