//! A user's own `read` (PROTOCOL.md section 5.3) reaches all of their sockets, and from here nobody else's.

use serde_json::{Value, json};

use crate::support::{Db, Server, each_database};

async fn a_read_reaches_all_devices(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let other = ada.create_room("other", &[&bob]).await;
    let mut writer = ada.connect().await;
    writer.join(room).await;
    for text in ["one", "two @bob", "three @bob"] {
        writer.say(room, text).await;
    }
    let mut plain = bob.connect().await;
    let mut live = bob.connect().await;
    live.join(room).await;
    let mut of_room = bob.open(&format!("/ws/{room}?history=0")).await;
    let mut elsewhere = bob.open(&format!("/ws/{other}?history=0")).await;
    for socket in [&mut of_room, &mut elsewhere] {
        socket.expect("synced").await;
    }
    let read = |seq: u64, mentions: u64| {
        json!({"type": "read", "room_id": room, "user_id": bob.id, "seq": seq,
        "last_seq": 3, "unread": 3 - seq, "unread_mentions": mentions})
    };
    let mut maker = bob.connect().await;
    let asked = json!({"type": "read", "room_id": room, "seq": 2});
    let (mut seen, ack) = maker.ask_through(asked.clone()).await;
    assert_eq!(
        (&ack["last_read_seq"], &ack["unread_mentions"]),
        (&json!(2), &json!(1))
    );
    if seen.is_empty() {
        seen.push(maker.frame().await);
    }
    assert_eq!(seen, [read(2, 1)] as [Value; 1], "the maker's socket too");
    for socket in [&mut plain, &mut live, &mut of_room] {
        assert_eq!(socket.frame().await, read(2, 1));
    }
    // A repeated request, perhaps after a lost answer, is answered and told again.
    let (mut seen, _) = maker.ask_through(asked).await;
    if seen.is_empty() {
        seen.push(maker.frame().await);
    }
    assert_eq!(seen, [read(2, 1)] as [Value; 1]);
    for socket in [&mut plain, &mut live, &mut of_room] {
        assert_eq!(socket.frame().await, read(2, 1));
    }
    // A request below the marker is told to nobody; REST behaves as the socket does.
    let path = format!("/api/chat/rooms/{room}/read");
    let (status, answer) = bob.post(&path, json!({"seq": 1})).await;
    assert_eq!(
        (status, answer),
        (
            200,
            json!({"last_read_seq": 2, "last_seq": 3, "unread": 1, "unread_mentions": 1})
        )
    );
    let (status, answer) = bob.post(&path, json!({"seq": 99})).await;
    assert_eq!(
        (status, answer),
        (
            200,
            json!({"last_read_seq": 3, "last_seq": 3, "unread": 0, "unread_mentions": 0})
        )
    );
    for socket in [&mut plain, &mut live, &mut of_room, &mut maker] {
        assert_eq!(socket.frame().await, read(3, 0));
    }
    // Sending raises the marker without a `read`.
    maker.say(room, "four").await;
    live.expect("message").await;
    for socket in [&mut plain, &mut live, &mut of_room, &mut maker] {
        let frames = socket.fence().await;
        assert!(
            frames.iter().all(|frame| frame["type"] != "read"),
            "{frames:?}"
        );
    }
    assert_eq!(elsewhere.fence().await, [] as [Value; 0]);
    let frames = writer.fence().await;
    assert!(
        frames.iter().all(|frame| frame["user_id"] != bob.id),
        "{frames:?}"
    );
}

/// Many reads in a row: some are joined, the last one comes for certain.
async fn reads_are_joined_and_the_last_one_comes(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    ada.post_many(room, 200).await;
    let mut plain = bob.connect().await;
    let mut maker = bob.connect().await;
    for seq in 1..=200 {
        maker
            .send(json!({"type": "read", "room_id": room, "seq": seq}))
            .await;
    }
    let (mut told, mut last) = (0, 0);
    while last < 200 {
        let frame = plain.expect("read").await;
        let seq = frame["seq"].as_u64().unwrap();
        assert!(seq >= last, "they only rise: {seq} after {last}");
        (told, last) = (told + 1, seq);
    }
    println!("200 reads, told by {told} frames");
    let more = plain.fence().await;
    assert!(more.iter().all(|frame| frame["seq"] == 200), "{more:?}");
}

each_database!(
    a_read_reaches_all_devices,
    reads_are_joined_and_the_last_one_comes
);
