//! Database connections that end unnoticed: idle ones, killed ones, those of a machine that has vanished, and those to a
//! MariaDB that was restarted.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use mysql_async::prelude::Queryable;
use serde_json::{Value, json};

use crate::support::{
    Account, Db, MariaDb, Moment, PATIENCE, Proxy, Raw, Schema, Server, Silence, timeout, uuid,
};

/// Repeats a request until it is answered with anything but 503.
async fn insist(account: &Account, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let answered = async {
        loop {
            match account.request(method, path, Some(body)).await {
                (503, _) => {}
                answer => return answer,
            }
        }
    };
    timeout(PATIENCE, answered)
        .await
        .expect("it is answered in time")
}

/// A node falls silent in the middle of what `asked` does, for ever: it holds locks, and its connection stays open. The other
/// node does `wanted`, which needs them.
async fn a_node_vanishes(at: &'static str, asked: (&str, &str, Value), wanted: (&str, Value)) {
    let schema = Schema::create().await;
    let proxy = Proxy::start(&schema.url).await;
    let key = [(
        "HEARTH_JWT_SECRET",
        "a key that both nodes have, of 32 bytes",
    )];
    let mut vanishing = Server::start_on_url(&proxy.url(&schema.url), &key).await;
    let staying = Server::start_on_url(&schema.url, &key).await;
    let ada = staying.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    ada.post(
        &format!("/api/chat/rooms/{room}/messages"),
        json!({"content": "first"}),
    )
    .await;
    let path = |path: &str| path.replace("ROOM", &room.to_string());

    proxy.fall_silent(Some(Silence { at, above: 0 }));
    let (method, asked_path, body) = asked;
    let body = (!body.is_null()).then_some(body);
    let there = vanishing.here(&ada);
    let asked_path = path(asked_path);
    let asking = there.try_request(method, &asked_path, body.as_ref());
    tokio::select! {
        answer = asking => panic!("answered in silence: {answer:?}"),
        () = proxy.silent(1) => {}
    }
    vanishing.kill().await;
    let (wanted_path, body) = wanted;
    let (status, answer) = insist(&ada, "POST", &path(wanted_path), &body).await;
    assert_eq!(status, 201, "after silence at {at}: {answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_vanishes_in_a_transaction_holds_nobody_up() {
    let send = || ("/api/chat/rooms/ROOM/messages", json!({"content": "hello"}));
    let room = || json!({"name": "another", "kind": "private"});
    tokio::join!(
        a_node_vanishes("INSERT INTO messages", ("POST", send().0, send().1), send()),
        // A page of history holds its room's row.
        a_node_vanishes(
            "FROM messages m JOIN users",
            ("GET", send().0, Value::Null),
            send()
        ),
        // A new room holds its members' rows.
        a_node_vanishes(
            "INSERT INTO rooms",
            ("POST", "/api/chat/rooms", room()),
            ("/api/chat/rooms", room())
        ),
    );
}

/// A cable falls silent in the middle of an append, and the database keeps the database session, with its locks, for a day, as
/// MySQL would for hours: the server ends it, and appends what it had lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_ends_the_session_that_it_has_lost() {
    let schema = Schema::create().await;
    let proxy = Proxy::start(&schema.url).await;
    proxy.let_sessions_last();
    let server = Server::start_on_url(&proxy.url(&schema.url), &[]).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    let path = format!("/api/chat/rooms/{room}/messages");
    proxy.fall_silent(Some(Silence {
        at: "INSERT INTO messages",
        above: 0,
    }));
    let body = json!({"id": uuid(), "content": "hello"});
    let sending = insist(&ada, "POST", &path, &body);
    let healing = async {
        proxy.silent(1).await;
        proxy.fall_silent(None);
    };
    let ((status, answer), ()) = tokio::join!(sending, healing);
    assert!([200, 201].contains(&status), "{status}: {answer}");
    let (_, page) = ada.get(&path).await;
    assert_eq!(page["items"].as_array().map(Vec::len), Some(1), "{page}");
}

/// A session is ended, and then the database doesn't say which ones still live: once the log-out is answered, no socket of
/// the user's hears anything more. A client with a live session comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_out_closes_the_sockets_though_the_database_falls_silent() {
    let schema = Schema::create().await;
    let proxy = Proxy::start(&schema.url).await;
    let server = Server::start_on_url(&proxy.url(&schema.url), &[]).await;
    let here = server.register("ada").await;
    let there = server.log_in("ada").await;
    let mut sockets = [here.connect().await, there.connect().await];
    proxy.fall_silent(Some(Silence {
        at: "SELECT id FROM auth_sessions WHERE id IN",
        above: 0,
    }));
    assert_eq!(there.post("/api/logout", json!({})).await.0, 204);
    for socket in &mut sockets {
        assert_eq!(socket.closed().await, 4000);
    }
    proxy.fall_silent(None);
    here.connect().await;
    let (status, problem) = there.get("/api/me").await;
    assert_eq!((status, &problem["code"]), (401, &json!("token_revoked")));
}

/// Everything that is served on a connection that may have ended.
async fn all_is_served(ada: &Account, room: u64) {
    let messages = format!("/api/chat/rooms/{room}/messages");
    let reads = (0..16).map(|_| ada.get("/api/chat/rooms"));
    let sends = (0..4).map(|_| ada.post(&messages, json!({"content": "hello"})));
    let made = ada.post(
        "/api/chat/rooms",
        json!({"name": "another", "kind": "private"}),
    );
    let (reads, sends, made) = tokio::join!(join_all(reads), join_all(sends), made);
    for (status, answer) in reads.into_iter().chain(sends).chain([made]) {
        assert!([200, 201].contains(&status), "{status}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_of_dead_connections_is_noticed_by_nobody() {
    let database = MariaDb::start().await;
    database
        .run("CREATE USER chat@'%' IDENTIFIED BY 'chat'")
        .await;
    database.run("GRANT ALL ON hearth.* TO chat@'%'").await;
    let url = database.url().replace("hearth:hearth@", "chat:chat@");
    let server = Server::start_on_url(&url, &[]).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    for _ in 0..10 {
        all_is_served(&ada, room).await;
        database.run("KILL USER chat").await;
    }
    all_is_served(&ada, room).await;
    assert!(!server.log().contains("internal"), "{}", server.log());
}

/// MariaDB ends a database session that rests for 30 s; nobody meets one that it is ending.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resting_connections_are_not_used_again() {
    let server = Server::start(Db::MariaDb).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    all_is_served(&ada, room).await;
    let rested = Moment::now();
    while rested.elapsed() < Duration::from_secs(35) {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    all_is_served(&ada, room).await;
    let log = server.log();
    let mut noticed = log
        .lines()
        .filter(|line| !line.contains(r#""level":"INFO""#));
    let noticed = noticed.find(|line| !line.contains("no active admin"));
    assert_eq!(noticed, None);
}

/// MariaDB counts its connections anew when it is started: the number of a lost one is another's then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_elses_connection_is_killed_for_a_lost_one() {
    let mut database = MariaDb::start().await;
    // The server's numbers are so high that its own reconnecting doesn't reach them.
    for _ in 0..50 {
        database.run("DO 0").await;
    }
    let server = Server::start_on_url(&database.url(), &[]).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    let path = format!("/api/chat/rooms/{room}/messages");
    let (status, answer) = ada.post(&path, json!({"content": "first"})).await;
    assert_eq!(status, 201, "{answer}");
    let mut conn = mysql_async::Conn::from_url(database.url()).await.unwrap();
    let highest = conn.id();
    drop(conn);
    database.kill().await;
    database.restart().await;
    // All of the old numbers belong to others now, but for those that the server has itself.
    let mut others = Vec::new();
    loop {
        conn = mysql_async::Conn::from_url(database.url()).await.unwrap();
        let id = conn.id();
        others.push(conn);
        if id > highest {
            break;
        }
    }
    // The loss is only noticed now, and the locks that the lost connection may hold are waited for at once.
    let mut locking = others.pop().unwrap();
    locking.query_drop("BEGIN").await.unwrap();
    let lock = format!("SELECT id FROM rooms WHERE id = {room} FOR UPDATE");
    locking.query_drop(lock).await.unwrap();
    let body = json!({"id": uuid(), "content": "second"});
    let waiting = insist(&ada, "POST", &path, &body);
    let unlocking = async {
        let told = async {
            while !server.log().contains("Lock wait timeout") {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, told)
            .await
            .expect("the lock is waited for");
        locking.query_drop("ROLLBACK").await.unwrap();
    };
    let ((status, answer), ()) = tokio::join!(waiting, unlocking);
    assert!([200, 201].contains(&status), "{answer}");
    for other in &mut others {
        let id = other.id();
        let alive = other.query_drop("DO 0").await;
        assert!(alive.is_ok(), "connection {id} was killed: {alive:?}");
    }
}

/// A client that hangs up while a connection is got for it leaves the connection to others, and the next one that waits is woken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_hangs_up_takes_no_connection_along() {
    const STAYING: usize = 8;
    const LEAVING: usize = 16;
    const TIMES: usize = 250;
    let settings = [("HEARTH_DATABASE_POOL", "2")];
    let server = Server::start_with(Db::MariaDb, &settings).await;
    let ada = server.register("ada").await;
    let left = AtomicUsize::new(0);
    let leaving = (0..LEAVING).map(async |_| {
        for _ in 0..TIMES {
            let mut raw = Raw::connect(server.address()).await;
            let request = format!(
                "GET /api/chat/rooms HTTP/1.1\r\nHost: hearth\r\nAuthorization: Bearer {}\r\n\r\n",
                ada.token
            );
            raw.write(request.as_bytes()).await;
            let pause = rand::random_range(0..5_000);
            tokio::time::sleep(Duration::from_micros(pause)).await;
            drop(raw);
            left.fetch_add(1, Ordering::Relaxed);
        }
    });
    // There is always a request that waits. On a busy machine the server may refuse for a while, never for ever.
    let staying = (0..STAYING).map(async |_| {
        while left.load(Ordering::Relaxed) < LEAVING * TIMES {
            let (status, answer) = ada.served("GET", "/api/chat/rooms", None).await;
            assert_eq!(status, 200, "{answer}");
        }
    });
    tokio::join!(join_all(leaving), join_all(staying));
}
