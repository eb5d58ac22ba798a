//! Settings and states of MariaDB in which it accepts nothing or not everything. Clients are served or answered 503, never
//! 500; the log names the variable once, and so does `hearth check`; and the server recovers by itself once it is set
//! right.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Account, MariaDb, PATIENCE, Server, timeout, uuid};

/// Of a user who has a database of their own, and no right beside it.
async fn private(database: &MariaDb) -> String {
    database
        .run("CREATE USER chat@'%' IDENTIFIED BY 'chat'")
        .await;
    database.run("GRANT ALL ON hearth.* TO chat@'%'").await;
    database.url().replace("hearth:hearth@", "chat:chat@")
}

/// Something of everything: through the log, through the pool, and reads.
async fn statuses(server: &Server, ada: &Account, room: u64) -> Vec<u16> {
    let at = format!("/api/chat/rooms/{room}");
    let messages = format!("{at}/messages");
    let name = uuid()[24..].to_owned();
    let account = json!({"username": name, "email": format!("{name}@example.org"), "password": "correct horse"});
    let message = || json!({"id": uuid(), "content": "hello"});
    let requests: Vec<(&str, &str, Option<Value>)> = vec![
        ("POST", &messages, Some(message())),
        ("POST", &messages, Some(message())),
        ("PATCH", &at, Some(json!({"topic": uuid()}))),
        (
            "POST",
            "/api/chat/rooms",
            Some(json!({"name": "another", "kind": "private"})),
        ),
        ("POST", "/api/register", Some(account)),
        ("GET", &messages, None),
        ("GET", "/api/chat/rooms", None),
        ("GET", "/api/chat/search?q=hello", None),
        ("GET", "/api/me", None),
    ];
    let answers = requests
        .iter()
        .map(|(method, path, body)| server.request(method, path, Some(&ada.token), body.as_ref()));
    let answers = join_all(answers).await;
    for ((method, path, _), (status, answer)) in requests.iter().zip(&answers) {
        assert!(
            [200, 201, 503].contains(status),
            "{method} {path}: {status} {answer}"
        );
    }
    answers.into_iter().map(|(status, _)| status).collect()
}

/// `done` and `undone` are statements. After `done` the server's database sessions are ended, so that its next ones begin under
/// the limit.
async fn a_refusal_is_told(done: &[&str], undone: &[&str], variable: &str) {
    let database = MariaDb::start().await;
    let server = Server::start_on_url(&private(&database).await, &[]).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    for sql in done.iter().chain(&["KILL USER chat"]) {
        database.run(sql).await;
    }
    for _ in 0..2 {
        let found = statuses(&server, &ada, room).await;
        assert!(found.contains(&503), "all was served: {found:?}");
    }
    let log = server.log();
    let told = log.lines().filter(|line| {
        let line: Value = serde_json::from_str(line).unwrap_or_default();
        line["fields"]["variable"]
            .as_str()
            .is_some_and(|told| told.contains(variable))
    });
    assert_eq!(told.count(), 1, "of {variable}: {log}");
    let lines = log
        .lines()
        .filter(|line| !line.contains(r#""level":"INFO""#));
    assert!(
        lines.clone().count() < 40,
        "a flood: {:?}",
        lines.collect::<Vec<_>>()
    );
    let check = server.command(&["check"], "").await;
    assert_eq!(check.code, Some(1), "{check:?}");
    let fault = check.out.lines().find(|line| line.starts_with("  FAULT"));
    assert!(
        fault.is_some_and(|line| line.contains(variable)),
        "{}",
        check.out
    );

    for sql in undone {
        database.run(sql).await;
    }
    let served = async {
        while statuses(&server, &ada, room).await.contains(&503) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(PATIENCE, served)
        .await
        .expect("all is served again in time");
    let check = server.command(&["check"], "").await;
    assert_eq!(check.code, Some(0), "{check:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_prepared_statement_is_left() {
    let (none, usual) = (
        "SET GLOBAL max_prepared_stmt_count = 0",
        "SET GLOBAL max_prepared_stmt_count = 16382",
    );
    a_refusal_is_told(&[none], &[usual], "max_prepared_stmt_count").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_read_only() {
    a_refusal_is_told(
        &["SET GLOBAL read_only = 1"],
        &["SET GLOBAL read_only = 0"],
        "read_only",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_are_read_only() {
    let (on, off) = ("SET GLOBAL tx_read_only = 1", "SET GLOBAL tx_read_only = 0");
    a_refusal_is_told(&[on], &[off], "transaction_read_only").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_user_may_not_write() {
    let revoke = "REVOKE INSERT, UPDATE, DELETE ON hearth.* FROM chat@'%'";
    let grant = "GRANT ALL ON hearth.* TO chat@'%'";
    a_refusal_is_told(&[revoke], &[grant, "KILL USER chat"], "privileges").await;
}

/// Each right by itself is missed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_that_lacks_is_found_by_check() {
    let database = MariaDb::start().await;
    let server = Server::start_on_url(&private(&database).await, &[]).await;
    for right in ["INSERT", "UPDATE", "DELETE"] {
        let revoke = format!("REVOKE {right} ON hearth.* FROM chat@'%'");
        database.run(&revoke).await;
        let check = server.command(&["check"], "").await;
        assert_eq!(check.code, Some(1), "{right}: {check:?}");
        let found = check.out.contains("nothing can be written");
        assert!(found && check.out.contains(right), "{right}: {check:?}");
        database.run("GRANT ALL ON hearth.* TO chat@'%'").await;
    }
    assert_eq!(server.command(&["check"], "").await.code, Some(0));
}

/// Its words are more than itself. They are found once the limit is lifted, and others' all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_that_no_packet_holds_are_found_later() {
    let database = MariaDb::start().await;
    let server = Server::start_on_url(&private(&database).await, &[]).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    let other = ada.create_room("another", &[]).await;
    let say = async |room: u64, content: &str| {
        let path = format!("/api/chat/rooms/{room}/messages");
        let body = json!({"id": uuid(), "content": content});
        let (status, answer) = ada.post(&path, body).await;
        assert_eq!(status, 201, "{answer}");
    };
    let found = async |word: &str| {
        let path = format!("/api/chat/search?q={word}");
        let asked = async {
            while ada.get(&path).await.1["items"] == json!([]) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let asked = timeout(PATIENCE, asked).await;
        asked.unwrap_or_else(|_| panic!("{word}: {}", server.log()));
    };
    database.run("SET GLOBAL max_allowed_packet = 65536").await;
    database.run("KILL USER chat").await;
    // No two letters twice beside each other.
    let letters = (0..7_000).map(|at| char::from_u32(0x4E00 + at * 37 % 20_000).unwrap());
    say(room, &format!("kettle {}", letters.collect::<String>())).await;
    say(other, "teapot").await;
    found("teapot").await;
    database
        .run("SET GLOBAL max_allowed_packet = 16777216")
        .await;
    database.run("KILL USER chat").await;
    say(room, "saucer").await;
    found("kettle").await;
    found("saucer").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_user_has_asked_enough_for_an_hour() {
    let (few, all) = (
        "ALTER USER chat@'%' WITH MAX_QUERIES_PER_HOUR 6",
        "ALTER USER chat@'%' WITH MAX_QUERIES_PER_HOUR 0",
    );
    a_refusal_is_told(&[few], &[all, "KILL USER chat"], "resource limits").await;
}

/// A text that no packet holds fails to its sender; what was sent beside it is stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_is_larger_than_a_packet() {
    let database = MariaDb::start().await;
    database.run("SET GLOBAL max_allowed_packet = 16384").await;
    let server = Server::start_on_url(&private(&database).await, &[]).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    let path = format!("/api/chat/rooms/{room}/messages");
    let long = "𠀀".repeat(8_000);
    let sends = (0..60).map(|number| {
        let content = if number % 20 == 7 { &long } else { "short" };
        let expected = if number % 20 == 7 { 503 } else { 201 };
        let body = json!({"id": uuid(), "content": content});
        let (ada, path) = (&ada, &path);
        async move {
            let (status, answer) = ada.post(path, body).await;
            assert_eq!(status, expected, "{number}: {}", answer["message"]);
        }
    });
    join_all(sends).await;
    assert!(
        server.log().contains("max_allowed_packet"),
        "{}",
        server.log()
    );
    let check = server.command(&["check"], "").await;
    assert_eq!(check.code, Some(1), "{check:?}");
    assert!(
        check
            .out
            .contains("FAULT  database: max_allowed_packet is 16384"),
        "{}",
        check.out
    );
    // Its words are as large, and the index goes on without them.
    let body = json!({"content": "kettle"});
    assert_eq!(ada.post(&path, body).await.0, 201);
    let found = async {
        loop {
            let (status, page) = ada.get("/api/chat/search?q=kettle").await;
            assert_eq!(status, 200, "{page}");
            if page["items"]
                .as_array()
                .is_some_and(|items| items.len() == 1)
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(PATIENCE, found).await.expect("it is found in time");
}
