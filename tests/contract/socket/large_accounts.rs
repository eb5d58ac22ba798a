//! No frame from the server is larger than `frame_bytes_max`, whatever the account: common client libraries accept them
//! all.

use std::{collections::BTreeSet, path::Path};

use hearth::limits::FRAME_BYTES_MAX;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio_tungstenite::{connect_async_with_config, tungstenite::protocol::WebSocketConfig};

use crate::support::{Account, Db, PATIENCE, Server, Socket, each_database, timeout};

const ROOMS: u64 = 1_000;
const MENTIONS: usize = 100;

/// What a client of Python's `websockets`, with its default settings, is told of: how many rooms, in how many frames.
const PYTHON: &str = r#"
import asyncio, json, sys, websockets

async def main(url):
    async with websockets.connect(url) as socket:
        ready = json.loads(await socket.recv())
        rooms = ready["rooms"] + [json.loads(await socket.recv())["room"] for _ in range(ready["more_rooms"])]
        await socket.send(json.dumps({"type": "ping"}))
        assert json.loads(await socket.recv())["type"] == "pong"
        print(len({room["id"] for room in rooms}))

asyncio.run(main(sys.argv[1]))
"#;

fn url(server: &Server, account: &Account) -> String {
    format!("ws://{}/ws?token={}", server.address(), account.token)
}

/// A socket of a client that takes no larger frames.
async fn bounded(server: &Server, account: &Account) -> Socket {
    let config = WebSocketConfig::default()
        .max_frame_size(Some(FRAME_BYTES_MAX))
        .max_message_size(Some(FRAME_BYTES_MAX));
    let opened = connect_async_with_config(url(server, account), Some(config), false).await;
    let mut socket = Socket::new(opened.expect("the server upgrades").0);
    socket.ephemeral = true;
    socket
}

/// A user in as many rooms as allowed, with the longest names and topics, each with a hundred messages that
/// mention them and that nobody has read.
async fn in_many_rooms(db: Db) -> (Server, Account, Account) {
    let mut server = Server::start(db).await;
    let ada = server.register(&"a".repeat(32)).await;
    let full_name = json!({"full_name": "𠀀".repeat(80)});
    assert_eq!(
        ada.request("PATCH", "/api/me", Some(&full_name)).await.0,
        200
    );
    let bob = server.register("bob").await;
    let body = json!({
        "name": "𠀀".repeat(80), "topic": "\\".repeat(50) + &"𠀀".repeat(200), "kind": "private", "members": [bob.id],
    });
    let (status, room) = ada.post("/api/chat/rooms", body).await;
    assert_eq!(status, 201, "{room}");
    let room = room["id"].as_u64().unwrap();
    let mut writer = ada.connect().await;
    let text = format!("@bob {}", "\u{1}".repeat(95));
    for _ in 0..MENTIONS {
        writer.say(room, &text).await;
    }
    server.multiply(room, ROOMS - 1).await;
    (server, ada, bob)
}

/// The rooms of a socket's first frames, and how many of them `ready` held.
async fn greeted(socket: &mut Socket) -> (Vec<Value>, usize) {
    let ready = socket.frame().await;
    assert_eq!(ready["type"], "ready");
    assert_eq!(ready["limits"]["frame_bytes_max"], FRAME_BYTES_MAX);
    let mut rooms = ready["rooms"].as_array().unwrap().clone();
    let held = rooms.len();
    for _ in 0..ready["more_rooms"].as_u64().unwrap() {
        let added = socket.frame().await;
        assert_eq!(added["type"], "added", "nothing comes between: {added}");
        assert_eq!(added["room_id"], added["room"]["id"]);
        rooms.push(added["room"].clone());
    }
    (rooms, held)
}

async fn each_room_of_the_largest_account_arrives(db: Db) {
    let (server, ada, bob) = in_many_rooms(db).await;
    let mut socket = bounded(&server, &bob).await;
    // It asks before it knows them all, and is answered after them.
    socket.send(json!({"type": "ping"})).await;
    let (rooms, held) = greeted(&mut socket).await;
    assert_eq!(socket.expect("pong").await["ref"], Value::Null);
    assert!(held > 100 && held < rooms.len(), "{held} fit");
    let ids: BTreeSet<u64> = rooms
        .iter()
        .map(|room| room["id"].as_u64().unwrap())
        .collect();
    assert_eq!((ids.len() as u64, rooms.len() as u64), (ROOMS, ROOMS));
    for room in &rooms {
        assert_eq!(room["unread_mentions"], MENTIONS, "{room}");
        assert_eq!(room["mentioned"].as_array().unwrap().len(), MENTIONS);
        assert_eq!(room["name"], "𠀀".repeat(80));
        assert_eq!(room["last_message"]["seq"], MENTIONS);
    }
    // Each of them is known to the socket from where it was told of: those in `ready`, and those that followed.
    let last = *ids.last().unwrap();
    let path = format!("/api/chat/rooms/{last}/messages");
    let (status, said) = ada.post(&path, json!({"content": "and @bob again"})).await;
    assert_eq!(status, 201, "{said}");
    socket.send(json!({"type": "sync", "ref": 1})).await;
    let (mut synced, mut news) = (BTreeSet::new(), Vec::new());
    let mut reference = 1;
    while (synced.len() as u64) < ROOMS {
        let frame = socket.frame().await;
        match frame["type"].as_str().unwrap() {
            "synced" => assert!(synced.insert(frame["room_id"].as_u64().unwrap())),
            "message" => news.push(frame["id"].clone()),
            "presence" => {}
            // A machine that has too much to do answers a part of them, and is asked again.
            "error" if frame["retryable"] == true => {
                synced.clear();
                reference += 1;
                socket.send(json!({"type": "sync", "ref": reference})).await;
            }
            _ => panic!("{frame}"),
        }
    }
    assert_eq!((synced, news), (ids, vec![said["id"].clone()]));

    // Few rooms fit into one frame; so does the one room of a room's socket.
    let mut one = ada.open(&format!("/ws/{last}?history=0")).await;
    assert_eq!(greeted(&mut one).await.1, 1);

    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python/bin/python3");
    let script = Command::new(python)
        .args(["-c", PYTHON, &url(&server, &bob)])
        .output();
    let ran = timeout(PATIENCE, script).await.expect("it ends").unwrap();
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(
        String::from_utf8_lossy(&ran.stdout).trim(),
        ROOMS.to_string(),
        "{errors}"
    );
}

/// The longest of what else there is.
async fn the_longest_frames_are_within_the_bound(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let mut writer = ada.connect().await;
    writer
        .say(room, &format!("x{}", "\u{1}".repeat(7_999)))
        .await;
    // Families with skin tones, as long as an emoji may be.
    let tones = ["🏻", "🏼", "🏽", "🏾", "🏿"];
    for number in 0..20 {
        let (one, other) = (tones[number % 5], tones[number / 5]);
        let emoji = format!("👩{one}\u{200d}❤\u{fe0f}\u{200d}💋\u{200d}👨{other}");
        let react = json!({"type": "react", "room_id": room, "seq": 1, "emoji": emoji, "on": true});
        let answer = writer.ask(react).await;
        assert_eq!(answer["type"], "ack", "{answer}");
    }
    let mut socket = bounded(&server, &bob).await;
    assert_eq!(greeted(&mut socket).await.1, 1);
    let (frames, _) = socket.join_from(room, 0).await;
    let message = frames
        .iter()
        .find(|frame| frame["type"] == "message")
        .unwrap();
    assert_eq!(message["content"].as_str().unwrap().len(), 8_000);
    assert_eq!(message["reactions"].as_array().unwrap().len(), 20);
    assert!(message.to_string().len() > 48_000 && message.to_string().len() < FRAME_BYTES_MAX / 4);

    // A long `ref` isn't repeated.
    let long = "x".repeat(120 * 1024);
    for bad in [
        json!({"type": "ping", long.clone(): 1}),
        json!({"type": long}),
        json!({"type": "auth", "token": long}),
    ] {
        socket.send(bad).await;
        assert_eq!(socket.expect("error").await["retryable"], false);
    }
}

each_database!(
    each_room_of_the_largest_account_arrives,
    the_longest_frames_are_within_the_bound
);
