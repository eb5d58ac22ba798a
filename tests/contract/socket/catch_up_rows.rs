//! Catch-up (PROTOCOL.md section 3.2) after changes to messages: whole rows in their final state, each once, chained by
//! `prev`, in the order of `rev`, and the same as REST shows, except for `me`.

use serde_json::{Value, json};

use crate::support::{Account, Chain, Db, Server, each_database};

async fn done(account: &Account, method: &str, path: &str, body: Option<Value>) {
    let (status, answer) = account.request(method, path, body.as_ref()).await;
    assert!(
        matches!(status, 200 | 201 | 204),
        "{method} {path}: {answer}"
    );
}

/// A catch-up frame as REST would show the message.
fn as_row(frame: &Value) -> Value {
    let mut row = frame.clone();
    let row_fields = row.as_object_mut().unwrap();
    row_fields.remove("type");
    row_fields.remove("prev");
    row
}

async fn catch_up_brings_whole_rows(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let eve = server.register("eve").await;
    let room = ada.create_room("hall", &[&bob, &eve]).await;
    let path = format!("/api/chat/rooms/{room}");
    let message = |seq: u64| format!("{path}/messages/{seq}");
    let mut writer = ada.connect().await;
    for text in ["one @bob", "two", "three @all", "four", "five"] {
        writer.say(room, text).await;
    }
    // Rev 9. From here on everything happens to what is there.
    let text = |content: &str| Some(json!({"content": content}));
    done(&ada, "PATCH", &message(1), text("one, for nobody")).await;
    done(&bob, "PUT", &format!("{}/reactions/x", message(2)), None).await;
    done(&ada, "PUT", &format!("{}/pin", message(3)), None).await;
    done(&ada, "DELETE", &message(4), None).await;
    done(&eve, "PUT", &format!("{}/reactions/x", message(2)), None).await;
    done(&eve, "POST", &format!("{path}/leave"), None).await;
    done(
        &ada,
        "PATCH",
        &format!("{path}/members/{}", bob.id),
        Some(json!({"role": "admin"})),
    )
    .await;
    done(&ada, "PATCH", &path, Some(json!({"topic": "new"}))).await;
    done(&ada, "PATCH", &message(2), text("two @bob")).await;

    let (_, page) = bob.get(&format!("{path}/messages")).await;
    let mut rows: Vec<Value> = page["items"].as_array().unwrap().clone();
    for row in &mut rows {
        for reaction in row["reactions"].as_array_mut().into_iter().flatten() {
            reaction.as_object_mut().unwrap().remove("me");
        }
    }
    for row in rows.iter_mut().filter(|row| row["reactions"].is_null()) {
        row.as_object_mut().unwrap().remove("reactions");
    }
    // From every point there is: what changed after it, each row once.
    for from in 0..=18 {
        let mut socket = bob.connect().await;
        let (frames, synced) = socket.join_from(room, from).await;
        let mut chain = Chain(from);
        chain.take_caught_up(&frames);
        chain.take(&synced);
        assert_eq!(chain.0, 18);
        let messages: Vec<Value> = frames
            .iter()
            .filter(|frame| frame["type"] == "message")
            .map(as_row)
            .collect();
        let mut expected: Vec<Value> = rows
            .iter()
            .filter(|row| row["rev"].as_u64().unwrap() > from)
            .cloned()
            .collect();
        expected.sort_by_key(|row| row["rev"].as_u64());
        assert_eq!(messages, expected, "from {from}");
        let others: Vec<_> = frames
            .iter()
            .filter(|frame| frame["type"] != "message")
            .map(|frame| {
                (
                    frame["type"].as_str().unwrap(),
                    frame["rev"].as_u64().unwrap(),
                )
            })
            .collect();
        let all = [("member", 2), ("member", 15), ("member", 16), ("room", 17)];
        let expected: Vec<_> = all.into_iter().filter(|(_, rev)| *rev > from).collect();
        assert_eq!(others, expected, "from {from}");
        let told = (&synced["unread_mentions"], &synced["mentioned"]);
        assert_eq!(told, (&json!(2), &json!([2, 3])));
    }
}

/// A deleted message is a tombstone in catch-up, and nothing of it is left anywhere.
async fn tombstones_hold_nothing(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let path = format!("/api/chat/rooms/{room}/messages");
    let mut writer = ada.connect().await;
    for _ in 0..3 {
        writer.say(room, "a secret for @bob").await;
    }
    for seq in 1..=3 {
        done(&bob, "PUT", &format!("{path}/{seq}/reactions/x"), None).await;
        done(&ada, "PUT", &format!("{path}/{seq}/pin"), None).await;
        done(&ada, "DELETE", &format!("{path}/{seq}"), None).await;
    }
    let (frames, synced) = bob.connect().await.join_from(room, 0).await;
    for frame in frames.iter().filter(|frame| frame["type"] == "message") {
        let fields: Vec<_> = frame
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let left = [
            "created_at",
            "deleted_at",
            "id",
            "kind",
            "prev",
            "rev",
            "room_id",
            "sender",
            "seq",
            "type",
        ];
        assert_eq!(fields, left);
    }
    assert_eq!(
        (&synced["unread_mentions"], &synced["last_seq"]),
        (&json!(0), &json!(3))
    );
    let mut of_room = bob.open(&format!("/ws/{room}")).await;
    let mut replayed = 0;
    loop {
        let frame = of_room.frame().await;
        assert!(!frame.to_string().contains("secret"), "{frame}");
        replayed += u64::from(frame["replay"] == true);
        if frame["type"] == "synced" {
            break;
        }
    }
    assert_eq!(replayed, 3, "they keep their numbers");
    assert!(!server.log().contains("secret"));
}

each_database!(catch_up_brings_whole_rows, tombstones_hold_nothing);
