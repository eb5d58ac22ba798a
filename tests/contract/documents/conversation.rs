//! One recorded conversation holds both halves of the protocol to the same frames. The server's half is here, the
//! client's in `frontend/src/realtime/conversation.test.ts`.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::support::{Account, Db, Server, Socket};

/// Values that differ from run to run.
const TIME: &str = "2026-11-21T09:30:00.000Z";

/// A person's socket, and all that went over it.
struct Recorder {
    socket: Socket,
    frames: Vec<Value>,
}

impl Recorder {
    fn note(&mut self, from: &str, mut frame: Value) {
        normalise(&mut frame);
        self.frames.push(json!({"from": from, "frame": frame}));
    }

    async fn say(&mut self, frame: Value) {
        self.note("client", frame.clone());
        self.socket.send(frame).await;
    }

    /// The next frames of these types. Acks and one's own events come in any order: they are noted in this one.
    async fn hear(&mut self, kinds: &[&str]) {
        let mut heard = Vec::new();
        for _ in kinds {
            heard.push(self.socket.frame().await);
        }
        for kind in kinds {
            let at = heard.iter().position(|frame| frame["type"] == *kind);
            let at = at.unwrap_or_else(|| panic!("{kinds:?} are expected: {heard:#?}"));
            let frame = heard.remove(at);
            self.note("server", frame);
        }
    }
}

/// Replaces times, the token, the log's name and the session's number.
fn normalise(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                match (&**name, &*value) {
                    (name, Value::String(_)) if name.ends_with("_at") || name == "at" => {
                        *value = TIME.into();
                    }
                    ("token" | "epoch", Value::String(_)) => *value = name.as_str().into(),
                    ("session_id", _) => *value = 1.into(),
                    _ => normalise(value),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(normalise),
        _ => {}
    }
}

fn id(number: u8) -> String {
    format!("01a21000-0000-7000-8000-0000000000{number:02}")
}

async fn record() -> Value {
    let server = Server::start(Db::Sqlite).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let page = |account: &Account| {
        let account = account.clone();
        async move {
            let path = format!("/api/chat/rooms/{room}/messages");
            let (_, mut page) = account.get(&path).await;
            normalise(&mut page);
            page
        }
    };
    let before = page(&ada).await;
    let url = server.url("/ws").replace("http://", "ws://");
    let socket = Socket::open(&url).await;
    let mut hers = Recorder {
        socket,
        frames: Vec::new(),
    };

    hers.say(json!({"type": "auth", "token": ada.token})).await;
    hers.hear(&["ready"]).await;
    let rev = hers.frames[1]["frame"]["rooms"][0]["rev"].clone();
    hers.say(json!({"type": "sync", "ref": 1, "rooms": {room.to_string(): rev}}))
        .await;
    hers.hear(&["synced"]).await;

    // What Ada sends and does, and what Bob sends.
    hers.say(json!({"type": "message", "ref": 2, "room_id": room, "id": id(1), "content": "hello, @bob"}))
        .await;
    hers.hear(&["message", "ack"]).await;
    let mut his = bob.connect().await;
    his.send(json!({"type": "message", "room_id": room, "id": id(2), "content": "good morning", "reply_to": 1}))
        .await;
    hers.hear(&["message"]).await;
    hers.say(
        json!({"type": "react", "ref": 3, "room_id": room, "seq": 2, "emoji": "👍", "on": true}),
    )
    .await;
    hers.hear(&["message_updated", "ack"]).await;
    hers.say(json!({"type": "edit", "ref": 4, "room_id": room, "seq": 1, "content": "hello, Bob"}))
        .await;
    hers.hear(&["message_updated", "ack"]).await;
    let pin = format!("/api/chat/rooms/{room}/messages/2/pin");
    assert_eq!(ada.request("PUT", &pin, None).await.0, 200);
    hers.hear(&["message_updated"]).await;
    hers.say(
        json!({"type": "message", "ref": 5, "room_id": room, "id": id(3), "content": "a slip"}),
    )
    .await;
    hers.hear(&["message", "ack"]).await;
    hers.say(json!({"type": "delete", "ref": 6, "room_id": room, "seq": 3}))
        .await;
    hers.hear(&["message_updated", "ack"]).await;
    hers.say(json!({"type": "message", "ref": 7, "room_id": room, "id": id(1), "content": "hello, @bob"}))
        .await;
    hers.hear(&["ack"]).await;

    // What Ada may not do, and what isn't a frame.
    hers.say(json!({"type": "join", "ref": 8, "room_id": 99}))
        .await;
    hers.hear(&["removed"]).await;
    hers.say(
        json!({"type": "edit", "ref": 12, "room_id": room, "seq": 2, "content": "bad morning"}),
    )
    .await;
    hers.hear(&["error"]).await;
    hers.socket
        .send(json!({"type": "dance", "ref": 9, "room_id": room}))
        .await;
    hers.hear(&["error"]).await;
    hers.say(json!({"type": "ping", "ref": 10})).await;
    hers.hear(&["pong"]).await;

    // Rooms that come and go, and who is in them.
    let renamed = json!({"name": "great hall"});
    let path = format!("/api/chat/rooms/{room}");
    assert_eq!(ada.request("PATCH", &path, Some(&renamed)).await.0, 200);
    hers.hear(&["room"]).await;
    assert_eq!(bob.act(&format!("{path}/leave")).await.0, 204);
    hers.hear(&["member"]).await;
    let other = bob.create_room("cellar", &[&ada]).await;
    hers.hear(&["added"]).await;
    let (status, _) = bob.delete(&format!("/api/chat/rooms/{other}")).await;
    assert_eq!(status, 204);
    hers.hear(&["removed"]).await;

    // All of it once more, from the beginning: as it is now.
    hers.say(json!({"type": "join", "ref": 11, "room_id": room, "rev": 0}))
        .await;
    loop {
        let frame = hers.socket.frame().await;
        let ended = frame["type"] == "synced" || frame["type"] == "reset";
        hers.note("server", frame);
        if ended {
            break;
        }
    }
    json!({"room_id": room, "before": before, "frames": hers.frames, "after": page(&ada).await})
}

/// Of each frame: what its schema says against it. Unknown fields count, though clients pass them over.
fn faults(recording: &Value) -> Vec<String> {
    let mut schema = hearth::protocol::frames::schema();
    for frame in schema["$defs"]["ServerFrame"]["oneOf"]
        .as_array_mut()
        .unwrap()
    {
        frame["unevaluatedProperties"] = false.into();
    }
    let of = |name: &str| {
        let mut schema = schema.clone();
        schema["anyOf"] = json!([{"$ref": format!("#/$defs/{name}")}]);
        jsonschema::validator_for(&schema).unwrap()
    };
    let (client, server) = (of("ClientFrame"), of("ServerFrame"));
    let mut faults = Vec::new();
    for recorded in recording["frames"].as_array().unwrap() {
        let validator = if recorded["from"] == "client" {
            &client
        } else {
            &server
        };
        let frame = &recorded["frame"];
        faults.extend(
            validator
                .iter_errors(frame)
                .map(|error| format!("{frame}: {error}")),
        );
    }
    faults
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_is_as_recorded() {
    let recording = record().await;
    let faults = faults(&recording);
    assert!(faults.is_empty(), "{faults:#?}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/conversation.json");
    let text = serde_json::to_string_pretty(&recording).unwrap() + "\n";
    if std::env::var_os("HEARTH_TEST_UPDATE").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let known = fs::read_to_string(&path).unwrap();
    assert_eq!(known, text, "`make types` records it anew");
}
