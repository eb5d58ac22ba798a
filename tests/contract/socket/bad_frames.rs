//! A bad frame is answered with what is wrong, and the third one closes the connection (PROTOCOL.md section 6.3).

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Account, Db, Server, Socket};

async fn send(socket: &mut Socket, text: &str) {
    use futures_util::SinkExt;
    socket.wire.send(Message::text(text)).await.unwrap();
}

async fn started() -> (Server, Account) {
    let server = Server::start(Db::Sqlite).await;
    let ada = server.register("ada").await;
    (server, ada)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_error_names_the_field_and_repeats_the_ref() {
    let (_server, ada) = started().await;
    let deep = format!(r#"{{"type":"ping","ref":{}"#, "[".repeat(10_000));
    let long_ref = format!(r#"{{"type":"ping","ref":"{}"}}"#, "x".repeat(65));
    let id = r#""id":"0199f5b5-0000-7000-8000-000000000000""#;
    let table: &[(&str, &str, &str, bool)] = &[
        // text, field, code, whether the `ref`, always "r", can be read
        ("", "", "type", false),
        ("   ", "", "type", false),
        ("null", "", "type", false),
        ("7", "", "type", false),
        ("\"text\"", "", "type", false),
        ("[]", "", "type", false),
        (r#"[{"type":"ping"}]"#, "", "type", false),
        ("{", "", "json", false),
        ("{}{}", "type", "missing", false),
        (r#"{"type":"ping"} x"#, "", "json", false),
        (r#"{"type":"ping",}"#, "", "json", false),
        (r#"{'type':'ping'}"#, "", "json", false),
        (r#"{"type":"ping","ref":"\ud800"}"#, "", "json", false),
        (&deep, "ref", "type", false),
        (&long_ref, "ref", "length", false),
        (r#"{"type":"ping","ref":1.5}"#, "ref", "type", false),
        (r#"{"type":"ping","ref":true}"#, "ref", "type", false),
        (
            r#"{"type":"ping","ref":9007199254740992}"#,
            "ref",
            "type",
            false,
        ),
        (
            r#"{"type":"ping","ref":-9007199254740992}"#,
            "ref",
            "type",
            false,
        ),
        (r#"{"type":"ping","ref":1e300}"#, "ref", "type", false),
        (r#"{"ref":"r"}"#, "type", "missing", true),
        (r#"{"type":null,"ref":"r"}"#, "type", "type", true),
        (r#"{"type":{"ping":1},"ref":"r"}"#, "type", "type", true),
        (r#"{"type":"dance","ref":"r"}"#, "type", "unknown", true),
        (r#"{"type":"Ping","ref":"r"}"#, "type", "unknown", true),
        (r#"{"type":"ready","ref":"r"}"#, "type", "unknown", true),
        (
            r#"{"type":"ping","ref":"r","__proto__":{}}"#,
            "__proto__",
            "unknown",
            true,
        ),
        (
            r#"{"type":"ping","ref":"r","room_id":1}"#,
            "room_id",
            "unknown",
            true,
        ),
        (
            r#"{"type":"ping","type":"ping"}"#,
            "type",
            "duplicate",
            false,
        ),
        (r#"{"type":"join","ref":"r"}"#, "room_id", "missing", true),
        (
            r#"{"type":"join","ref":"r","room_id":null}"#,
            "room_id",
            "missing",
            true,
        ),
        (
            r#"{"type":"join","ref":"r","room_id":"1"}"#,
            "room_id",
            "type",
            true,
        ),
        (
            r#"{"type":"join","ref":"r","room_id":-1}"#,
            "room_id",
            "type",
            true,
        ),
        (
            r#"{"type":"join","ref":"r","room_id":1.5}"#,
            "room_id",
            "type",
            true,
        ),
        (
            r#"{"type":"join","ref":"r","room_id":[1]}"#,
            "room_id",
            "type",
            true,
        ),
        (
            r#"{"type":"join","ref":"r","room_id":1,"rev":-1}"#,
            "rev",
            "type",
            true,
        ),
        (
            r#"{"type":"join","ref":"r","room_id":1,"epoch":7}"#,
            "epoch",
            "type",
            true,
        ),
        (
            r#"{"type":"join","room_id":1,"room_id":2}"#,
            "room_id",
            "duplicate",
            false,
        ),
        (
            r#"{"type":"sync","ref":"r","rooms":[1]}"#,
            "rooms",
            "type",
            true,
        ),
        (
            r#"{"type":"sync","ref":"r","rooms":{"1":"2"}}"#,
            "rooms.1",
            "type",
            true,
        ),
        (
            r#"{"type":"message","ref":"r","room_id":1,"content":"x"}"#,
            "id",
            "missing",
            true,
        ),
        (
            r#"{"type":"message","ref":"r","room_id":1,"id":"x","content":"x"}"#,
            "id",
            "type",
            true,
        ),
        (
            r#"{"type":"message","ref":"r","room_id":1,"id":7,"content":"x"}"#,
            "id",
            "type",
            true,
        ),
        (
            &format!(r#"{{"type":"message","ref":"r","room_id":1,{id}}}"#),
            "content",
            "missing",
            true,
        ),
        (
            &format!(r#"{{"type":"message","ref":"r","room_id":1,{id},"content":["x"]}}"#),
            "content",
            "type",
            true,
        ),
        (
            &format!(r#"{{"type":"message","ref":"r","room_id":1,{id},"content":"x","seq":1}}"#),
            "seq",
            "unknown",
            true,
        ),
        (
            &format!(
                r#"{{"type":"message","ref":"r","room_id":1,{id},"content":"x","sender_id":2}}"#
            ),
            "sender_id",
            "unknown",
            true,
        ),
        (
            &format!(
                r#"{{"type":"message","ref":"r","room_id":1,{id},"content":"x","created_at":0}}"#
            ),
            "created_at",
            "unknown",
            true,
        ),
        (
            r#"{"type":"read","ref":"r","room_id":1}"#,
            "seq",
            "missing",
            true,
        ),
        (
            r#"{"type":"read","ref":"r","room_id":1,"seq":true}"#,
            "seq",
            "type",
            true,
        ),
        (r#"{"type":"auth","ref":"r"}"#, "token", "missing", true),
    ];
    for two in table.chunks(2) {
        let mut socket = ada.connect().await;
        for (text, field, code, readable) in two {
            send(&mut socket, text).await;
            let error = socket.frame().await;
            assert_eq!(
                (&error["type"], &error["code"]),
                (&json!("error"), &json!("invalid")),
                "{text:.80}: {error}"
            );
            assert_eq!(error["retryable"], false);
            let fault = &error["errors"][0];
            assert_eq!(
                (&fault["field"], &fault["code"]),
                (&json!(field), &json!(code)),
                "{text:.80}: {error}"
            );
            assert!(
                fault["message"]
                    .as_str()
                    .is_some_and(|rule| !rule.is_empty()),
                "{error}"
            );
            let reference = error.get("ref");
            assert_eq!(reference.is_some(), *readable, "{text:.80}: {error}");
            assert!(
                reference.is_none_or(|reference| reference == "r"),
                "{error}"
            );
        }
        assert!(
            socket.fence().await.is_empty(),
            "the connection lives, each has one answer"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_third_bad_frame_closes() {
    let (_server, ada) = started().await;
    let mut socket = ada.connect().await;
    for _ in 0..2 {
        send(&mut socket, "{}").await;
        assert_eq!(socket.frame().await["code"], "invalid");
        assert!(socket.fence().await.is_empty());
    }
    send(&mut socket, "{}").await;
    send(&mut socket, r#"{"type":"ping","ref":"too late"}"#).await;
    assert_eq!(
        socket.frame().await["code"],
        "invalid",
        "the third is answered, too"
    );
    match socket.next().await {
        crate::support::Incoming::Closed(4504, _) => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_frame_is_no_bad_frame() {
    let (_server, ada) = started().await;
    let mut socket = ada.connect().await;
    for number in 0..10 {
        let error = socket
            .ask(json!({"type": "read", "room_id": 1_000 + number, "seq": 1}))
            .await;
        assert_eq!(error["code"], "not_found");
    }
    let mut rooms = serde_json::Map::new();
    for room in 0..1_001 {
        rooms.insert(room.to_string(), json!(0));
    }
    let error = socket.ask(json!({"type": "sync", "rooms": rooms})).await;
    assert_eq!(
        (&error["code"], &error["errors"][0]["field"]),
        (&json!("invalid"), &json!("rooms")),
        "{error}"
    );
    assert!(socket.fence().await.is_empty());
}

/// Numbers and texts of all sizes that a `ref` may have are repeated as they were, numbers in their plain form.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ref_is_repeated_as_it_was() {
    let (_server, ada) = started().await;
    let mut socket = ada.connect().await;
    for reference in [
        json!(0),
        json!(-1),
        json!((1_i64 << 53) - 1),
        json!(1 - (1_i64 << 53)),
        json!(""),
        json!("x".repeat(64)),
        json!("𝄞\"\\\u{7f}"),
    ] {
        socket.send(json!({"type": "ping", "ref": reference})).await;
        assert_eq!(
            socket.frame().await,
            json!({"type": "pong", "ref": reference})
        );
    }
    for (spelt, reference) in [("7.0", 7), ("1e3", 1_000), ("-0", 0), ("-70E-1", -7)] {
        send(&mut socket, &format!(r#"{{"type":"ping","ref":{spelt}}}"#)).await;
        assert_eq!(
            socket.frame().await,
            json!({"type": "pong", "ref": reference})
        );
    }
    socket.send(json!({"type": "ping"})).await;
    assert_eq!(socket.frame().await, json!({"type": "pong"}));
}
