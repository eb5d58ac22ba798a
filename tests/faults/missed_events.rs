//! Events of another node, of which this node was told nothing: it finds them in the log.

use serde_json::json;

use crate::support::{Db, Server, each_database};

/// A member was removed and added again, and the log shows only that they are in. They are told so, and
/// what is said from then on reaches them.
async fn a_stay_that_was_renewed_unseen_is_told_and_goes_on(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let mut socket = bob.connect().await;
    socket
        .send(json!({"type": "sync", "rooms": {room.to_string(): 3}}))
        .await;
    socket.expect("synced").await;

    // Their row first: the server looks at it once it sees a new head of the room.
    let (room_id, user_id) = (room, bob.id);
    server
        .sql(&format!(
            "UPDATE room_members SET rev = 5, joined_rev = 5 WHERE room_id = {room_id} AND user_id = {user_id}"
        ))
        .await;
    server
        .sql(&format!("UPDATE rooms SET rev = 5 WHERE id = {room_id}"))
        .await;
    let added = socket.expect("added").await;
    assert_eq!(added["room"]["rev"], 5, "{added}");

    let mut ada = ada.connect().await;
    for seq in 1..=3 {
        ada.say(room, "hello").await;
        let message = socket.expect("message").await;
        assert_eq!(message["seq"], seq, "{message}");
    }
}

each_database!(a_stay_that_was_renewed_unseen_is_told_and_goes_on);
