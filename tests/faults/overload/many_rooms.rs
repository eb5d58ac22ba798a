//! A user of 500 rooms comes back: how many statements that costs.

use std::{collections::BTreeMap, time::Duration};

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use crate::support::{Account, MariaDb, PATIENCE, Server, Socket, statements, timeout};

const ROOMS: usize = 500;
/// Rooms in which something happened meanwhile.
const CHANGED: usize = 10;
/// Beside it the heads of live rooms are looked at now and then, and a connection of the pool may be new.
const BESIDE: u64 = 2;
/// How often each is tried.
const TIMES: usize = 5;

/// Waits until the search index, which reads the log at the start, has nothing more to read.
async fn indexed(account: &Account) {
    let waiting = async {
        while account.get("/api/chat/search?q=any").await.1["complete"] != true {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("all is indexed");
}

/// Catches up with all rooms from these positions: the frames of changes, and `synced` of each room.
async fn sync(socket: &mut Socket, rooms: &BTreeMap<String, u64>) -> (usize, usize) {
    socket
        .send(json!({"type": "sync", "ref": 1, "rooms": rooms}))
        .await;
    let (mut changes, mut synced) = (0, 0);
    while synced < rooms.len() {
        let frame = socket.frame().await;
        match frame["type"].as_str().unwrap() {
            "synced" => synced += 1,
            "message" => changes += 1,
            _ => panic!("{frame}"),
        }
    }
    (changes, synced)
}

fn positions(socket: &Socket) -> BTreeMap<String, u64> {
    let rooms = socket.ready["rooms"].as_array().unwrap().iter();
    let position = |room: &Value| (room["id"].to_string(), room["rev"].as_u64().unwrap());
    rooms.map(position).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unchanged_rooms_cost_one_statement_together() {
    let database = MariaDb::start().await;
    let server = Server::start_on_url(&database.url(), &[]).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let members: [&Account; 1] = [&bob];
    let making = stream::iter(0..ROOMS).map(|number| {
        let (ada, members) = (&ada, &members);
        async move { ada.create_room(&format!("room {number}"), members).await }
    });
    let rooms: Vec<u64> = making.buffer_unordered(16).collect().await;

    let mut counter = mysql_async::Conn::from_url(database.url()).await.unwrap();
    indexed(&ada).await;
    let before = statements(&mut counter).await;
    let mut socket = bob.connect().await;
    let coming = statements(&mut counter).await - before;
    let held = positions(&socket);
    assert_eq!(held.len(), ROOMS);
    // The least of several: a busy machine takes longer, and the server has other work in that time.
    let mut unchanged = u64::MAX;
    for _ in 0..TIMES {
        let before = statements(&mut counter).await;
        assert_eq!(sync(&mut socket, &held).await, (0, ROOMS));
        unchanged = unchanged.min(statements(&mut counter).await - before);
    }

    for room in &rooms[..CHANGED] {
        let path = format!("/api/chat/rooms/{room}/messages");
        assert_eq!(ada.post(&path, json!({"content": "new"})).await.0, 201);
    }
    let mut changed = u64::MAX;
    for _ in 0..TIMES {
        let mut socket = bob.connect().await;
        let before = statements(&mut counter).await;
        assert_eq!(sync(&mut socket, &held).await, (CHANGED, ROOMS));
        changed = changed.min(statements(&mut counter).await - before);
    }
    println!(
        "{ROOMS} rooms: {coming} statements to come, {unchanged} to sync; {changed} to sync with {CHANGED} changed"
    );
    assert!(unchanged <= 1 + BESIDE, "{unchanged}");
    // A page: the room, its messages, its members; and the membership after it was read.
    assert!(changed <= 1 + 4 * CHANGED as u64 + BESIDE, "{changed}");
}
