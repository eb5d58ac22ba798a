//! How much one user may read: a user who floods the server is slowed and refused, their sockets stay open, and nobody
//! else's requests fail. `benches/flood.rs` measures what others notice in time.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use futures_util::{StreamExt, future::join_all, stream};
use mysql_async::prelude::Queryable;
use serde_json::{Value, json};

use crate::support::{Account, Db, PATIENCE, Raw, Server, Socket, each_database, timeout};

const ROOMS: usize = 1_000;
const SOCKETS: usize = 20;
const ROWS: &str = "reads_rows_total";

/// Names 1,000 rooms, whoever is in them.
fn sync_of_a_thousand(rev: u64) -> Value {
    let rooms: BTreeMap<String, u64> = (1..=ROOMS).map(|room| (room.to_string(), rev)).collect();
    json!({"type": "sync", "rooms": rooms})
}

async fn limited(server: &mut Server) {
    server.set("HEARTH_RATE_LIMITS", "on");
    server.kill().await;
    server.restart().await;
}

async fn sockets(account: &Account) -> Vec<Socket> {
    join_all((0..SOCKETS).map(|_| account.connect())).await
}

/// One socket that asks again and again, as fast as it is answered: its end tells that it lives.
async fn ask_on(mut socket: Socket, stop: &AtomicBool, frames: &[Value]) {
    for frame in frames.iter().cycle() {
        if stop.load(Relaxed) {
            break;
        }
        socket.send(frame.clone()).await;
        let mut open = frame["rooms"].as_object().map_or(1, |rooms| rooms.len());
        while open > 0 {
            let answer = socket.frame().await;
            match answer["type"].as_str().unwrap() {
                "synced" | "removed" | "reset" => open -= 1,
                "error" => {
                    assert_eq!(answer["retryable"], true, "{answer}");
                    open = 0;
                }
                _ => {}
            }
        }
    }
    socket.fence().await;
}

/// One connection that reads again and again. On a busy machine who floods may wait in vain.
async fn read_on(account: &Account, stop: &AtomicBool, path: &str) {
    while !stop.load(Relaxed) {
        let (status, answer) = account.get(path).await;
        assert!([200, 429, 503].contains(&status), "{status} {answer}");
    }
}

async fn what_one_floods_fails_nobody_else_s_requests(db: Db) {
    let mut server = Server::start(db).await;
    let mallory = server.register("mallory").await;
    let bob = server.register("bob").await;
    let makes = (0..ROOMS).map(|number| {
        let mallory = &mallory;
        async move { mallory.create_room(&format!("room {number}"), &[]).await }
    });
    let rooms: Vec<u64> = stream::iter(makes).buffer_unordered(16).collect().await;
    mallory.post_many(rooms[0], 600).await;
    let room = bob.create_room("hall", &[]).await;
    limited(&mut server).await;

    let stop = AtomicBool::new(false);
    let join = json!({"type": "join", "room_id": rooms[0], "rev": 0});
    let frames = [sync_of_a_thousand(2), join];
    let sockets = sockets(&mallory).await.into_iter();
    let sockets = sockets.map(|socket| ask_on(socket, &stop, &frames));
    let paths = ["/api/chat/rooms?q=room&limit=200", "/api/chat/rooms?q="];
    let connections = (0..SOCKETS).map(|number| read_on(&mallory, &stop, paths[number % 2]));
    let others = async {
        let mut socket = bob.connect().await;
        for number in 1..=40 {
            let ack = socket.say(room, &format!("text {number}")).await;
            assert_eq!(ack["seq"], number, "{ack}");
            for path in ["messages", "members", "pins"] {
                let (status, page) = bob.get(&format!("/api/chat/rooms/{room}/{path}")).await;
                assert_eq!(status, 200, "{page}");
            }
            let (_, synced) = socket.join_from(room, 0).await;
            assert_eq!(synced["last_seq"], number, "{synced}");
        }
        stop.store(true, Relaxed);
    };
    tokio::join!(join_all(sockets), join_all(connections), others);
}

/// Pages of this room wait for its row, which is locked: they take no more than a few of the connections that read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_user_s_reads_that_wait_leave_the_pool_to_others() {
    let mut server = Server::start(Db::MariaDb).await;
    let mallory = server.register("mallory").await;
    let bob = server.register("bob").await;
    let slow = mallory.create_room("slow", &[]).await;
    mallory.post_many(slow, SOCKETS as u64).await;
    let room = bob.create_room("hall", &[]).await;
    limited(&mut server).await;

    let sockets = sockets(&mallory).await.into_iter();

    let url = server.database_url().unwrap();
    let mut holder = mysql_async::Conn::from_url(url).await.unwrap();
    holder.query_drop("START TRANSACTION").await.unwrap();
    let hold = format!("SELECT id FROM rooms WHERE id = {slow} FOR UPDATE");
    holder.query_drop(hold).await.unwrap();

    let stop = AtomicBool::new(false);
    // Each from elsewhere: who asks for one page shares it.
    let joins: Vec<Value> = (0..SOCKETS)
        .map(|rev| json!({"type": "join", "room_id": slow, "rev": rev}))
        .collect();
    let sockets = sockets.zip(joins.chunks(1));
    let sockets = sockets.map(|(socket, join)| ask_on(socket, &stop, join));
    let path = format!("/api/chat/rooms/{slow}/messages");
    let connections = (0..SOCKETS).map(async |_| {
        while !stop.load(Relaxed) {
            let (status, answer) = mallory.get(&path).await;
            assert!([200, 429, 503].contains(&status), "{status} {answer}");
        }
    });
    let others = async {
        let mut socket = bob.connect().await;
        for _ in 0..20 {
            for path in ["messages", "members", "pins"] {
                let (status, page) = bob.get(&format!("/api/chat/rooms/{room}/{path}")).await;
                assert_eq!(status, 200, "{page}");
            }
            socket.join_from(room, 0).await;
        }
        stop.store(true, Relaxed);
        holder.query_drop("ROLLBACK").await.unwrap();
    };
    tokio::join!(join_all(sockets), join_all(connections), others);
}

/// A client that hangs up while the database works for it gets its turns no sooner: the database goes on all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_hangs_up_has_no_more_turns() {
    const POOL: &str = "8";
    let mut server = Server::start_with(Db::MariaDb, &[("HEARTH_DATABASE_POOL", POOL)]).await;
    let mallory = server.register("mallory").await;
    let slow = mallory.create_room("slow", &[]).await;
    limited(&mut server).await;
    let url = server.database_url().unwrap();
    let mut holder = mysql_async::Conn::from_url(url).await.unwrap();
    holder.query_drop("START TRANSACTION").await.unwrap();
    let hold = format!("SELECT id FROM rooms WHERE id = {slow} FOR UPDATE");
    holder.query_drop(hold).await.unwrap();

    let request = format!(
        "GET /api/chat/rooms/{slow}/messages HTTP/1.1\r\nHost: hearth\r\nAuthorization: Bearer {}\r\n\r\n",
        mallory.token
    );
    let mut most = 0;
    for _ in 0..40 {
        let mut raw = Raw::connect(server.address()).await;
        raw.write(request.as_bytes()).await;
        // It has begun by then.
        tokio::time::sleep(Duration::from_millis(20)).await;
        drop(raw);
        let waiting = "SELECT COUNT(*) FROM information_schema.processlist
            WHERE db = DATABASE() AND info LIKE '%LOCK IN SHARE MODE%' AND id <> CONNECTION_ID()";
        let waiting: Option<usize> = holder.query_first(waiting).await.unwrap();
        most = most.max(waiting.unwrap());
    }
    holder.query_drop("ROLLBACK").await.unwrap();
    assert!((1..=2).contains(&most), "{most} at once");
}

/// A whole second's waiting comes before each refusal, so several ask at once.
async fn who_reads_too_much_is_told_when_to_go_on(db: Db) {
    let server = Server::start_with(db, &[("HEARTH_RATE_LIMITS", "on")]).await;
    let mallory = server.register("mallory").await;
    let bob = server.register("bob").await;
    let room = mallory.create_room("hall", &[&bob]).await;
    let mut socket = mallory.connect().await;
    socket.join(room).await;

    let stop = AtomicBool::new(false);
    let url = server.url("/api/users?q=nobody&limit=200");
    let http = reqwest::Client::new();
    let readers = (0..16).map(async |_| {
        while !stop.load(Relaxed) {
            let answer = http
                .get(&url)
                .bearer_auth(&mallory.token)
                .send()
                .await
                .unwrap();
            if answer.status() == 429 {
                let after = &answer.headers()["retry-after"];
                assert!(after.to_str().unwrap().parse::<u64>().unwrap() >= 1);
                let problem: Value = answer.json().await.unwrap();
                assert_eq!(problem["code"], "rate_limited", "{problem}");
                return true;
            }
            assert_eq!(answer.status(), 200);
        }
        false
    });
    let refused = async {
        // The readers use up the same budget. Until it is empty a sync may still be answered: then it is sent again.
        loop {
            socket.send(sync_of_a_thousand(0)).await;
            let mut open = ROOMS;
            while open > 0 {
                let answer = socket.frame().await;
                match answer["type"].as_str().unwrap() {
                    "error" => {
                        stop.store(true, Relaxed);
                        return answer;
                    }
                    "synced" | "removed" => open -= 1,
                    _ => {}
                }
            }
        }
    };
    let refused = timeout(4 * PATIENCE, refused);
    let (met, error) = tokio::join!(join_all(readers), refused);
    let error = error.expect("a sync is refused");
    assert!(met.contains(&true) || error["code"] == "rate_limited");
    assert_eq!(error["code"], "rate_limited", "{error}");
    assert_eq!(error["retryable"], true, "{error}");
    assert!(error["retry_after_ms"].as_u64().unwrap() > 0, "{error}");

    // The socket lives on, live delivery too; others are not held back.
    let mut other = bob.connect().await;
    other.join_from(room, 0).await;
    assert_eq!(
        bob.get(&format!("/api/chat/rooms/{room}/messages")).await.0,
        200
    );
    other.say(room, "still there").await;
    assert_eq!(socket.expect("message").await["content"], "still there");
    // After a while the budget has been refilled far enough.
    loop {
        let answer = socket
            .ask(json!({"type": "join", "room_id": room, "rev": 0}))
            .await;
        if answer["type"] == "synced" {
            break;
        }
        assert_eq!(answer["code"], "rate_limited", "{answer}");
    }
}

each_database!(
    what_one_floods_fails_nobody_else_s_requests,
    who_reads_too_much_is_told_when_to_go_on,
);

/// Every route that reads for a user, and every frame that has the log read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_reads_has_a_price() {
    let server = Server::start(Db::Sqlite).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    ada.post_many(room, 10).await;
    let (_, api) = ada.get("/api/openapi.json").await;
    let mut routes = 0;
    for (path, methods) in api["paths"].as_object().unwrap() {
        let get = &methods["get"];
        // Those that need no token say so.
        if get.is_null() || get["security"] == json!([]) {
            continue;
        }
        let mut parts: Vec<&str> = path.split('/').collect();
        for part in &mut parts {
            if part.starts_with('{') {
                *part = "1";
            }
        }
        let path = parts.join("/");
        if !path.starts_with("/api/") {
            continue;
        }
        let before = server.metric(ROWS).await;
        ada.get(&path).await;
        let counted = server.metric(ROWS).await - before;
        assert!(counted >= 100, "GET {path} counts {counted} rows");
        routes += 1;
    }
    assert!(routes >= 12, "{routes}");

    let mut socket = ada.connect().await;
    for (frame, rows) in [
        (json!({"type": "join", "room_id": room}), 110),
        // A page of its ten messages, its settings and its maker.
        (
            json!({"type": "join", "room_id": room, "rev": 0}),
            110 + 100 + 12,
        ),
        (
            json!({"type": "sync", "rooms": {(room.to_string()): 2}}),
            110 + 100 + 10,
        ),
        (sync_of_a_thousand(12), 100 + 10_000),
    ] {
        let before = server.metric(ROWS).await;
        socket.ask(frame.clone()).await;
        socket.fence().await;
        assert_eq!(
            server.metric(ROWS).await - before,
            rows,
            "{}",
            frame["type"]
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_wants_to_be_told_of_is_a_change() {
    let server = Server::start_with(Db::Sqlite, &[("HEARTH_RATE_LIMITS", "on")]).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    let path = format!("/api/chat/rooms/{room}/me");
    let body = json!({"notify": "none"});
    let asks = stream::iter(0..20_000).map(|_| ada.request("PATCH", &path, Some(&body)));
    let mut statuses = asks.buffered(16).map(|(status, _)| status);
    let mut taken = 0;
    while let Some(status) = statuses.next().await {
        if status == 429 {
            break;
        }
        assert_eq!(status, 200);
        taken += 1;
    }
    assert!(
        (999..20_000).contains(&taken),
        "a burst of 1,000 is allowed: {taken}"
    );
}
