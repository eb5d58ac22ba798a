//! Catch-up of many rooms (PROTOCOL.md section 3.2): `sync` starts live delivery of all of them, and each is answered
//! exactly once.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use crate::support::{Account, Chain, Db, Server, Socket, each_database, of_room, uuid};

/// Sends `sync` and reads until each of these rooms has answered; all frames by room, the answer last.
async fn sync(socket: &mut Socket, rooms: Value, expected: &[u64]) -> HashMap<u64, Vec<Value>> {
    let reference = uuid();
    socket
        .send(json!({"type": "sync", "ref": reference, "rooms": rooms}))
        .await;
    let mut open: HashSet<u64> = expected.iter().copied().collect();
    let mut seen: HashMap<u64, Vec<Value>> = HashMap::new();
    while !open.is_empty() {
        let frame = socket.frame().await;
        let room = frame["room_id"].as_u64().expect("a frame of a room");
        if frame["ref"] == reference {
            assert!(
                open.remove(&room),
                "room {room} answers once, and only if asked: {frame}"
            );
        } else {
            assert!(
                open.contains(&room),
                "catch-up comes before the answer: {frame}"
            );
        }
        seen.entry(room).or_default().push(frame);
    }
    // No answer comes late or twice.
    let more = socket.fence().await;
    assert!(
        more.iter().all(|frame| frame["ref"] != reference),
        "{more:?}"
    );
    seen
}

fn answer(seen: &HashMap<u64, Vec<Value>>, room: u64) -> &Value {
    seen[&room].last().unwrap()
}

async fn rooms(owner: &Account, members: &[&Account], count: usize) -> Vec<u64> {
    let mut rooms = Vec::new();
    for number in 0..count {
        rooms.push(owner.create_room(&format!("room {number}"), members).await);
    }
    rooms
}

async fn sync_brings_every_room_from_where_the_client_stands(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let rooms = rooms(&ada, &[&bob], 7).await;
    let (named, from_zero, unnamed) = (rooms[0], rooms[1], rooms[2]);
    let foreign = ada.create_room("foreign", &[]).await;
    let (_, private) = ada
        .post(
            "/api/chat/rooms",
            json!({"name": "private", "kind": "private"}),
        )
        .await;
    let private = private["id"].as_u64().unwrap();
    let unknown = 123_456;

    let mut writer = ada.connect().await;
    let mut socket = bob.connect().await;
    // After `ready`: only this brings the unnamed room's message.
    for room in &rooms {
        writer.say(*room, "hello").await;
    }
    assert_eq!(
        socket.fence().await,
        [] as [Value; 0],
        "`ready` subscribes to nothing"
    );

    let request = json!({
        named.to_string(): 3, from_zero.to_string(): 0,
        foreign.to_string(): 1, private.to_string(): 1, unknown.to_string(): 1,
    });
    let mut expected = rooms.clone();
    expected.extend([foreign, private, unknown]);
    let seen = sync(&mut socket, request, &expected).await;
    for (room, from) in rooms
        .iter()
        .map(|room| (*room, if *room == from_zero { 0 } else { 3 }))
    {
        let (synced, frames) = seen[&room].split_last().unwrap();
        assert_eq!(synced["type"], "synced", "{synced}");
        let mut chain = Chain(from);
        chain.take_caught_up(frames);
        chain.take(synced);
        assert_eq!((chain.0, &synced["last_seq"]), (4, &json!(1)));
        assert_eq!(frames.last().unwrap()["content"], "hello");
    }
    assert_eq!(seen[&unnamed].len(), 2, "from the rev of `ready`");
    for room in [foreign, private, unknown] {
        let removed = answer(&seen, room);
        assert_eq!(removed["type"], "removed", "{removed}");
        assert!(removed.get("rev").is_none(), "{removed}");
    }
    for room in &rooms {
        writer.say(*room, "live").await;
    }
    for _ in &rooms {
        let message = socket.frame().await;
        assert_eq!(
            (&message["content"], &message["rev"]),
            (&json!("live"), &json!(5)),
            "{message}"
        );
    }
    assert_eq!(socket.fence().await, [] as [Value; 0]);
}

async fn sync_may_be_repeated(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let rooms = rooms(&ada, &[&bob], 3).await;
    let mut writer = ada.connect().await;
    for room in &rooms {
        writer.say(*room, "hello").await;
    }
    let mut socket = bob.connect().await;
    // To have the open room first: join it, then sync.
    socket.join_from(rooms[0], 0).await;
    let seen = sync(&mut socket, json!({}), &rooms[1..]).await;
    assert_eq!(
        seen.len(),
        2,
        "the live room that isn't named is left alone: {seen:?}"
    );
    // All are live: with no room to answer it is acknowledged.
    let (passed, ack) = socket
        .ask_through(json!({"type": "sync", "rooms": {}}))
        .await;
    assert_eq!((&ack["type"], passed.len()), (&json!("ack"), 0), "{ack}");
    assert_eq!(socket.ask(json!({"type": "sync"})).await["type"], "ack");
    // A live room that is named is caught up with again, and stays live once.
    let seen = sync(&mut socket, json!({ rooms[0].to_string(): 0 }), &rooms[..1]).await;
    assert_eq!(
        seen[&rooms[0]].len(),
        5,
        "room, two members, a message, synced: {seen:?}"
    );
    writer.say(rooms[0], "once").await;
    writer.say(rooms[1], "once").await;
    socket.expect("message").await;
    socket.expect("message").await;
    assert_eq!(socket.fence().await, [] as [Value; 0]);
}

async fn without_any_room_sync_is_acknowledged(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let mut socket = ada.connect().await;
    assert_eq!(socket.ready["rooms"], json!([]));
    let ack = socket
        .ask(json!({"type": "sync", "epoch": socket.ready["epoch"]}))
        .await;
    assert_eq!(ack["type"], "ack");
    assert!(ack.get("room_id").is_none(), "{ack}");
}

async fn a_foreign_epoch_resets_named_rooms(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let rooms = rooms(&ada, &[], 2).await;
    let mut socket = ada.connect().await;
    let sync =
        json!({"type": "sync", "ref": 7, "epoch": "another", "rooms": {rooms[0].to_string(): 1}});
    socket.send(sync).await;
    let mut answers = HashMap::new();
    while answers.len() < 2 {
        let frame = socket.frame().await;
        assert_eq!(frame["ref"], 7, "{frame}");
        answers.insert(frame["room_id"].as_u64().unwrap(), frame);
    }
    assert_eq!(answers[&rooms[0]]["type"], "reset");
    assert_eq!(answers[&rooms[0]]["reason"], "epoch");
    assert_eq!(answers[&rooms[0]]["rev"], 2);
    assert_eq!(
        answers[&rooms[1]]["type"], "synced",
        "`ready` gave its rev from this log"
    );
}

/// A socket that takes its time: all that was missed comes all the same, each room in order.
async fn many_rooms_with_much_to_tell_come_whole(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let rooms = rooms(&ada, &[], 12).await;
    for room in &rooms {
        ada.post_many(*room, 130).await;
    }
    let mut socket = ada.connect().await;
    let from: Value = rooms
        .iter()
        .map(|room| (room.to_string(), json!(0)))
        .collect();
    let seen = sync(&mut socket, from, &rooms).await;
    for room in &rooms {
        let (synced, frames) = seen[room].split_last().unwrap();
        let mut chain = Chain(0);
        chain.take_caught_up(frames);
        chain.take(synced);
        assert_eq!((chain.0, frames.len()), (132, 132));
        assert_eq!(of_room(frames, *room).len(), 132);
    }
}

each_database!(
    sync_brings_every_room_from_where_the_client_stands,
    sync_may_be_repeated,
    without_any_room_sync_is_acknowledged,
    a_foreign_epoch_resets_named_rooms,
    many_rooms_with_much_to_tell_come_whole,
);
