//! Typing, told to the other subscribers of the room.

use serde_json::{Value, json};

use super::presence::connect;
use crate::support::{Db, Server, Socket, each_database};

fn typing(room: u64) -> Value {
    json!({"type": "typing", "room_id": room})
}

/// What came but for presence, up to a message that another user sends now.
async fn up_to_a_message(socket: &mut Socket, writer: &mut Socket, room: u64) -> Vec<Value> {
    let ack = writer.say(room, "a word").await;
    let mut frames = socket.read_to(room, ack["rev"].as_u64().unwrap()).await;
    frames.pop();
    frames.retain(|frame| frame["type"] != "presence");
    frames
}

async fn typing_reaches_the_others_to_whom_the_room_is_live(db: Db) {
    let server = Server::start(db).await;
    let [ada, bob] = [server.register("ada").await, server.register("bob").await];
    let eve = server.register("eve").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let mut writer = ada.connect().await;
    let mut typist = connect(&ada).await;
    let mut twin = connect(&ada).await;
    let mut other = connect(&bob).await;
    let mut idle = connect(&bob).await;
    let mut stranger = connect(&eve).await;
    for socket in [&mut writer, &mut twin, &mut other] {
        socket.join(room).await;
    }
    // Not live on this socket, and no answer in any case.
    typist.send(typing(room)).await;
    stranger.send(typing(room)).await;
    stranger.send(typing(999_999)).await;
    assert_eq!(stranger.fence().await, [] as [Value; 0]);
    typist.fence().await;
    let nothing: [Value; 0] = [];
    assert_eq!(
        up_to_a_message(&mut other, &mut writer, room).await,
        nothing
    );
    up_to_a_message(&mut twin, &mut writer, room).await;
    other.read_to(room, 5).await;

    typist.join(room).await;
    for _ in 0..20 {
        typist.send(typing(room)).await;
    }
    typist.fence().await;
    // Nor by one's other socket.
    twin.send(typing(room)).await;
    twin.fence().await;
    let told = json!({"type": "typing", "room_id": room, "user_id": ada.id});
    let frames = up_to_a_message(&mut other, &mut writer, room).await;
    assert_eq!(frames, std::slice::from_ref(&told), "once in two seconds");
    for socket in [&mut typist, &mut twin] {
        let frames = socket.read_to(room, 6).await;
        assert!(
            frames.iter().all(|frame| frame["type"] != "typing"),
            "{frames:?}"
        );
    }
    // Each counts alone.
    other.send(typing(room)).await;
    let frame = typist.expect("typing").await;
    assert_eq!(frame["user_id"], bob.id);
    twin.expect("typing").await;
    // Until it is told again the first one has to wait: it comes, and by then two seconds are over.
    loop {
        typist.send(typing(room)).await;
        typist.fence().await;
        let frames = up_to_a_message(&mut other, &mut writer, room).await;
        if !frames.is_empty() {
            assert_eq!(frames, [told]);
            break;
        }
    }
    let left = typist.ask(json!({"type": "leave", "room_id": room})).await;
    assert_eq!(left["type"], "ack");
    let types = |frames: Vec<Value>| frames.iter().any(|frame| frame["type"] == "typing");
    twin.fence().await;
    typist.fence().await;
    loop {
        other.send(typing(room)).await;
        other.fence().await;
        if types(twin.fence().await) {
            break;
        }
    }
    assert!(!types(typist.fence().await), "not live any more");
    assert!(!types(idle.fence().await), "never live");
}

each_database!(typing_reaches_the_others_to_whom_the_room_is_live);
