//! Several connections of one user: each is complete, and their number has a limit.

use serde_json::json;

use crate::support::{Db, Server, each_database};

async fn every_connection_of_a_user_gets_everything_once(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let mut sockets = Vec::new();
    for _ in 0..5 {
        for account in [&ada, &bob] {
            let mut socket = account.connect().await;
            socket.join(room).await;
            sockets.push(socket);
        }
    }
    for number in 0..sockets.len() {
        // The sender's own socket gets the event, too, before or after its ack.
        let content = format!("from {number}");
        let frame = json!({"type": "message", "room_id": room, "id": crate::support::uuid(), "content": content});
        let (mut own, ack) = sockets[number].ask_through(frame).await;
        assert_eq!(
            (&ack["type"], &ack["seq"]),
            (&json!("ack"), &json!(number + 1)),
            "{ack}"
        );
        for (index, socket) in sockets.iter_mut().enumerate() {
            let message = if index == number && !own.is_empty() {
                own.remove(0)
            } else {
                socket.frame().await
            };
            assert_eq!(
                (&message["type"], &message["content"]),
                (&json!("message"), &json!(content))
            );
            assert_eq!(message["rev"], ack["rev"]);
            assert!(socket.fence().await.is_empty(), "once");
        }
        assert!(own.is_empty(), "{own:?}");
    }
}

each_database!(every_connection_of_a_user_gets_everything_once);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_has_at_most_twenty_sockets() {
    let server = Server::start_with(Db::Sqlite, &[("HEARTH_RATE_LIMITS", "on")]).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[]).await;
    let mut sockets = Vec::new();
    for _ in 0..20 {
        sockets.push(ada.connect().await);
    }
    assert_eq!(ada.open("/ws").await.closed().await, 4503);
    assert_eq!(ada.open(&format!("/ws/{room}")).await.closed().await, 4503);
    // Others have places of their own, and those who are in are not disturbed.
    bob.connect().await;
    for socket in &mut sockets {
        assert!(socket.fence().await.is_empty());
    }
    // A place that is given up is free again.
    sockets.pop().unwrap().wire.close(None).await.unwrap();
    loop {
        let mut socket = ada.open("/ws").await;
        match socket.next().await {
            crate::support::Incoming::Frame(ready) => break assert_eq!(ready["type"], "ready"),
            // The server has not seen the end of the other one yet. That takes 18 tries at most: then
            // the limit of sockets a minute says 4008.
            crate::support::Incoming::Closed(code, _) => assert_eq!(code, 4503),
            broken => panic!("{broken:?}"),
        }
    }
}
