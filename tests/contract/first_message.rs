//! The shortest way through the whole server: an account, a room, a message from socket to socket, and the same message
//! from history.

use serde_json::json;

use crate::support::{Db, Server, each_database};

async fn a_message_goes_from_socket_to_socket_and_stays(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;

    let mut a = ada.connect().await;
    let mut listeners = [ada.connect().await, bob.connect().await];
    for socket in &mut listeners {
        socket
            .send(json!({"type": "join", "room_id": room, "ref": 1}))
            .await;
        socket.expect("synced").await;
    }
    let ack = a.say(room, "hello").await;
    assert_eq!(
        (ack["seq"].as_u64(), ack["rev"].as_u64()),
        (Some(1), Some(4))
    );
    for socket in &mut listeners {
        let message = socket.expect("message").await;
        assert_eq!(message["content"], "hello");
        assert_eq!(message["sender"]["username"], "ada");
        assert_eq!(
            (message["seq"].as_u64(), message["rev"].as_u64()),
            (Some(1), Some(4))
        );
    }
    let (status, page) = bob.get(&format!("/api/chat/rooms/{room}/messages")).await;
    assert_eq!(status, 200, "{page}");
    assert_eq!(page["items"][0]["content"], "hello");
    assert_eq!(page["rev"], 4);
}

each_database!(a_message_goes_from_socket_to_socket_and_stays);
