//! Graceful shutdown: clients are told when to come back, and what was acknowledged is stored.

use std::collections::HashMap;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Account, Db, Incoming, Server, Socket, each_database, uuid};

/// Reads to the end: the last frame is `going_away`, the close code 4000.
async fn expect_going_away(socket: &mut Socket) -> Vec<Value> {
    let mut frames = Vec::new();
    loop {
        match socket.next().await {
            Incoming::Frame(frame) => frames.push(frame),
            Incoming::Closed(4000, _) => break,
            end => panic!("{end:?} after {frames:?}"),
        }
    }
    let last = frames
        .pop()
        .expect("`going_away` comes before the close frame");
    assert_eq!(last["type"], "going_away", "{last}");
    let after = last["reconnect_after_ms"]
        .as_u64()
        .expect("it says when to come back");
    assert!(after <= 5_000, "{last}");
    frames
}

async fn every_socket_is_told_and_the_process_ends_well(db: Db) {
    let mut server = Server::start(db).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    let mut idle = ada.connect().await;
    let mut live = ada.connect().await;
    live.join(room).await;
    let mut room_socket = ada.open(&format!("/ws/{room}")).await;
    room_socket.expect("synced").await;
    let mut nameless = Socket::open(&format!("ws://{}/ws", server.address())).await;

    let (status, ()) = tokio::join!(server.stop(), async {
        for socket in [&mut idle, &mut live, &mut room_socket, &mut nameless] {
            assert_eq!(expect_going_away(socket).await, [] as [Value; 0]);
        }
    });
    assert_eq!(status.code(), Some(0), "{status}\n{}", server.log());
    assert!(
        ada.try_request("GET", "/healthz", None).await.is_err(),
        "nobody listens any more"
    );
    assert!(!server.log().contains("ERROR"), "{}", server.log());

    server.restart().await;
    ada.connect().await.say(room, "back again").await;
}

/// Sends one message after another until the socket ends; what was sent, and what was acknowledged.
async fn send_to_the_end(account: &Account, room: u64) -> (Vec<String>, HashMap<String, Value>) {
    let mut socket = account.connect().await;
    let (mut sent, mut acks) = (Vec::new(), HashMap::new());
    loop {
        // Two on their way at any time.
        while sent.len() < acks.len() + 2 {
            let id = uuid();
            let frame = json!({"type": "message", "room_id": room, "id": id, "content": id});
            if socket.try_send(frame).await.is_ok() {
                sent.push(id);
            } else {
                break;
            }
        }
        match socket.next().await {
            Incoming::Frame(frame) if frame["type"] == "ack" => {
                acks.insert(frame["id"].as_str().unwrap().to_owned(), frame);
            }
            Incoming::Frame(frame) => assert_eq!(frame["type"], "going_away", "{frame}"),
            Incoming::Closed(code, _) => {
                assert_eq!(code, 4000);
                return (sent, acks);
            }
            Incoming::Broken => panic!("a close frame comes first"),
        }
    }
}

async fn what_was_acknowledged_is_there_after_the_end(db: Db) {
    let mut server = Server::start(db).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    let mut witness = ada.connect().await;
    witness.join(room).await;
    let senders: Vec<_> = (0..20)
        .map(|_| {
            let ada = ada.clone();
            tokio::spawn(async move { send_to_the_end(&ada, room).await })
        })
        .collect();
    witness.read_to(room, 300).await;
    let status = server.stop().await;
    assert_eq!(status.code(), Some(0), "{status}\n{}", server.log());
    let results: Vec<_> = join_all(senders)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();

    server.restart().await;
    let mut socket = ada.connect().await;
    let (frames, _) = socket.join_from(room, 2).await;
    let stored: HashMap<&str, &Value> = frames
        .iter()
        .map(|frame| (frame["id"].as_str().unwrap(), frame))
        .collect();
    assert_eq!(stored.len(), frames.len(), "each is stored once");
    let seqs: Vec<u64> = frames
        .iter()
        .map(|frame| frame["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(
        seqs,
        (1..=frames.len() as u64).collect::<Vec<_>>(),
        "without a hole"
    );
    let mut acknowledged = 0;
    for (sent, acks) in &results {
        for (id, ack) in acks {
            let message = stored
                .get(&**id)
                .unwrap_or_else(|| panic!("lost after its ack: {ack}"));
            assert_eq!(
                (&message["seq"], &message["rev"]),
                (&ack["seq"], &ack["rev"])
            );
        }
        acknowledged += acks.len();
        // Whatever was on its way can be sent again.
        for id in sent.iter().filter(|id| !acks.contains_key(*id)) {
            let frame = json!({"type": "message", "room_id": room, "id": id, "content": id});
            let ack = socket.ask(frame).await;
            assert_eq!(ack["type"], "ack", "{ack}");
            assert_eq!(
                ack.get("duplicate").is_some(),
                stored.contains_key(&**id),
                "{ack}"
            );
        }
    }
    assert!(acknowledged >= 290, "{acknowledged}");
}

each_database!(
    every_socket_is_told_and_the_process_ends_well,
    what_was_acknowledged_is_there_after_the_end,
);
