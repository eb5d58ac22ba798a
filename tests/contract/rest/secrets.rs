//! What must never be shown: tokens, passwords and texts in the log, SQL and paths in answers.

use serde_json::json;

use crate::support::{Db, Server, Socket, each_database, uuid};

async fn the_log_holds_no_token_no_password_and_no_text(db: Db) {
    let mut server = Server::start_with(db, &[("HEARTH_LOG", "debug,hearth=trace")]).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let path = format!("/api/chat/rooms/{room}/messages");
    let mut listener = bob.connect().await;
    listener.join(room).await;
    let mut socket = ada.open(&format!("/ws/rooms/{room}?history=1")).await;
    socket.expect("synced").await;
    let text = "the very-private-text of a message";
    socket.say(room, text).await;
    listener.expect("message").await;
    listener.join_from(room, 0).await;
    assert_eq!(ada.post(&path, json!({"content": text})).await.0, 201);
    assert_eq!(bob.get(&path).await.0, 200);
    // Refused ones, too, in all that is refused for other reasons.
    for body in [
        json!({"content": text, "seq": 7}),
        json!({"content": [text]}),
        json!({"content": text, "reply_to": 999}),
    ] {
        assert_eq!(ada.post(&path, body).await.0, 400);
    }
    socket.send(json!({"type": "message", "room_id": room, "id": uuid(), "content": text, "very-private-text": 1})).await;
    socket.expect("error").await;
    for password in ["correct horse ada", "wrong-password-guess"] {
        let body = json!({"username": "ada", "password": password});
        server
            .request("POST", "/api/login", None, Some(&body))
            .await;
        let form = [("username", "ada"), ("password", password)];
        reqwest::Client::new()
            .post(server.url("/api/login"))
            .form(&form)
            .send()
            .await
            .unwrap();
    }
    ada.get(&format!("/api/me?token={}", ada.token)).await;
    Socket::open(&format!(
        "ws://{}/ws?token={}x",
        server.address(),
        ada.token
    ))
    .await
    .closed()
    .await;
    server
        .request("GET", "/api/me", Some(&format!("{}x", ada.token)), None)
        .await;
    assert!(server.stop().await.success());

    let log = server.log();
    assert!(
        log.lines().count() > 20 && log.contains("DEBUG"),
        "the log is at debug: {log}"
    );
    for secret in [
        "eyJ",
        "very-private-text",
        "correct horse",
        "correct+horse",
        "wrong-password-guess",
        "Bearer ",
    ] {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
}

/// Faults of the database are told without a word of it.
async fn answers_hold_no_sql_and_no_path(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    ada.create_room("hall", &[]).await;
    server.sql("DROP TABLE messages").await;
    for (method, path, body) in [
        ("GET", "/api/chat/rooms/1/messages", None),
        (
            "POST",
            "/api/chat/rooms/1/messages",
            Some(json!({"content": "x"})),
        ),
        ("GET", "/api/chat/rooms", None),
        ("GET", "/api/chat/rooms/1", None),
    ] {
        let (status, answer) = ada.request(method, path, body.as_ref()).await;
        let text = answer.to_string();
        assert!(
            status == 200 || status >= 500,
            "{method} {path}: {status} {text}"
        );
        for word in [
            "SELECT",
            "INSERT",
            "messages.",
            "no such table",
            "doesn't exist",
            "hearth.db",
            "src/",
            "/root",
            "panicked",
            "sqlite",
            "mysql",
        ] {
            assert!(!text.contains(word), "{method} {path}: {text}");
        }
    }
    assert!(
        server.log().contains("messages"),
        "the log tells what happened"
    );
}

each_database!(
    the_log_holds_no_token_no_password_and_no_text,
    answers_hold_no_sql_and_no_path,
);
