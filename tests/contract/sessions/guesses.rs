//! Guessing passwords: limits by account, by network and in all, counted exactly under concurrency; nothing can be learned
//! from the answers; and a flood of log-ins beside a chat.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use reqwest::header::RETRY_AFTER;
use serde_json::{Value, json};

use crate::support::{Db, Server, each_database};

const LIMITED: (&str, &str) = ("HEARTH_RATE_LIMITS", "on");

/// A log-in from an address that a proxy names.
async fn guess(
    http: &reqwest::Client,
    server: &Server,
    name: &str,
    password: &str,
    from: &str,
) -> (u16, bool) {
    let request = http
        .post(server.url("/api/login"))
        .header("X-Forwarded-For", from)
        .json(&json!({"username": name, "password": password}));
    let answer = request.send().await.unwrap();
    let wait = answer
        .headers()
        .get(RETRY_AFTER)
        .map(|wait| wait.to_str().unwrap().parse::<u64>());
    let waits = wait.is_some_and(|wait| wait.is_ok_and(|seconds| seconds >= 1));
    (answer.status().as_u16(), waits)
}

async fn guesses_side_by_side_are_counted_each(db: Db) {
    let settings = [LIMITED, ("HEARTH_TRUSTED_PROXIES", "127.0.0.0/8")];
    let server = Server::start_with(db, &settings).await;
    server.register("ada").await;
    let http = reqwest::Client::new();
    for name in ["ada", "nobody"] {
        // 500 at the same moment, as many from each of 25 networks: what an account allows is tried, and no more.
        let all = join_all((0..500).map(|at| {
            let from = format!("198.51.{}.{}", at % 25, at / 25);
            let (http, server) = (&http, &server);
            async move { guess(http, server, name, "wrong horse", &from).await }
        }))
        .await;
        let mut counts: BTreeMap<u16, usize> = BTreeMap::new();
        for (status, waits) in &all {
            *counts.entry(*status).or_default() += 1;
            assert_eq!(*waits, *status != 401, "{status}");
        }
        let tried = counts.get(&401).copied().unwrap_or(0) + counts.get(&503).copied().unwrap_or(0);
        assert!(tried <= 101, "{name}: {counts:?}");
        assert!(counts[&429] >= 399, "{name}: {counts:?}");
    }
    // Where she has never been she waits; nobody else does.
    let (status, _) = guess(&http, &server, "ada", "correct horse ada", "203.0.113.9").await;
    assert_eq!(status, 429);
    let bob = json!({"username": "bob", "email": "b@example.org", "password": "correct horse bob"});
    assert_eq!(
        server
            .request("POST", "/api/register", None, Some(&bob))
            .await
            .0,
        201
    );
    assert_eq!(
        guess(&http, &server, "bob", "correct horse bob", "203.0.113.9")
            .await
            .0,
        200
    );
}

async fn an_owner_comes_home(db: Db) {
    let settings = [LIMITED, ("HEARTH_TRUSTED_PROXIES", "127.0.0.0/8")];
    let mut server = Server::start_with(db, &settings).await;
    let ada = server.register("ada").await;
    let http = reqwest::Client::new();
    let home = "192.0.2.1";
    assert_eq!(
        guess(&http, &server, "ada", "correct horse ada", home)
            .await
            .0,
        200
    );
    for at in 0..110 {
        let from = format!("198.51.{at}.1");
        guess(&http, &server, "ada", "wrong horse", &from).await;
    }
    assert_eq!(
        guess(&http, &server, "ada", "correct horse ada", "198.51.200.1")
            .await
            .0,
        429
    );
    assert_eq!(
        guess(&http, &server, "ADA", "correct horse ada", home)
            .await
            .0,
        200
    );
    // Where the account was made, too.
    assert_eq!(
        guess(&http, &server, "ada", "correct horse ada", "")
            .await
            .0,
        200
    );
    // A restart forgets where she was, until a session is refreshed there.
    assert!(server.stop().await.success());
    server.restart().await;
    for at in 0..110 {
        let from = format!("198.51.{at}.1");
        guess(&http, &server, "ada", "wrong horse", &from).await;
    }
    let again = || guess(&http, &server, "ada", "correct horse ada", "");
    assert_eq!(again().await.0, 429);
    let refresh = json!({"refresh_token": ada.refresh_token});
    let (status, _) = server
        .request("POST", "/api/refresh", None, Some(&refresh))
        .await;
    assert_eq!((status, again().await.0), (200, 200));
}

/// Without a trusted proxy nobody's word is taken: all of these are one network.
async fn addresses_are_not_made_up(db: Db) {
    let server = Server::start_with(db, &[LIMITED]).await;
    server.register("ada").await;
    let http = reqwest::Client::new();
    let mut tried = 0;
    for at in 0..30 {
        let (status, _) = guess(
            &http,
            &server,
            "ada",
            "wrong horse",
            &format!("198.51.{at}.1"),
        )
        .await;
        tried += usize::from(status == 401);
    }
    assert!((10..=12).contains(&tried), "{tried}");
    told_of_a_proxy(server, 1).await;
}

/// The log tells so often of a proxy that is named nowhere.
async fn told_of_a_proxy(mut server: Server, times: usize) {
    assert!(server.stop().await.success());
    let ended = async {
        while !server.log().contains("\"stopped\"") {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let ended = crate::support::timeout(crate::support::PATIENCE, ended);
    ended.await.expect("the log's last line");
    let log = server.log();
    let told = log.matches("HEARTH_TRUSTED_PROXIES").count();
    assert_eq!(told, times, "{log}");
}

async fn a_forgotten_proxy_is_told_of_once(db: Db) {
    for (settings, header, times) in [
        (&[][..], Some("X-Forwarded-For"), 1),
        (&[], Some("Forwarded"), 1),
        (&[], None, 0),
        (
            &[("HEARTH_TRUSTED_PROXIES", "127.0.0.1")],
            Some("X-Forwarded-For"),
            0,
        ),
    ] {
        let server = Server::start_with(db, settings).await;
        for _ in 0..2 {
            let mut request = reqwest::Client::new().get(server.url("/api/info"));
            if let Some(header) = header {
                request = request.header(header, "for=198.51.100.7");
            }
            assert_eq!(request.send().await.unwrap().status(), 200);
        }
        told_of_a_proxy(server, times).await;
    }
}

/// Status, body and headers of a refused log-in, but for what differs by request.
async fn refusal(server: &Server, name: &str, password: &str) -> (u16, Value, Vec<String>) {
    let request = reqwest::Client::new()
        .post(server.url("/api/login"))
        .json(&json!({"username": name, "password": password}));
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let mut headers: Vec<String> = answer
        .headers()
        .iter()
        .filter(|(name, _)| !["date", "x-request-id"].contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {value:?}"))
        .collect();
    headers.sort();
    let mut body: Value = answer.json().await.unwrap();
    body.as_object_mut().unwrap().remove("request_id");
    (status, body, headers)
}

async fn nobody_learns_who_has_an_account(db: Db) {
    let server = Server::start(db).await;
    server.register("ada").await;
    server.register("gone").await;
    server
        .sql("UPDATE users SET is_active = 0 WHERE username = 'gone'")
        .await;
    let wrong = refusal(&server, "ada", "wrong horse").await;
    assert_eq!(wrong.0, 401);
    for (name, password) in [
        ("nobody", "wrong horse"),
        ("gone", "wrong horse"),
        ("gone", "correct horse gone"),
        (&"x".repeat(500), "wrong horse"),
    ] {
        assert_eq!(refusal(&server, name, password).await, wrong, "{name}");
    }
}

each_database!(
    guesses_side_by_side_are_counted_each,
    an_owner_comes_home,
    addresses_are_not_made_up,
    a_forgotten_proxy_is_told_of_once,
    nobody_learns_who_has_an_account,
);

/// Real hashes, many more than the machine computes: some are told to come back, and a chat goes on beside them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_log_ins_starves_nobody() {
    let settings = [("HEARTH_ARGON2", "m=19456,t=2,p=1")];
    let server = Server::start_with(Db::Sqlite, &settings).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    let mut socket = ada.connect().await;
    let http = reqwest::Client::new();
    let flood = join_all((0..300).map(|_| guess(&http, &server, "ada", "wrong horse", "")));
    let chat = async {
        for at in 0..50 {
            socket.say(room, &at.to_string()).await;
        }
    };
    let (answers, ()) = tokio::join!(flood, chat);
    let refused = answers.iter().filter(|(status, _)| *status == 503).count();
    assert!(refused > 0, "more than a queue holds");
    for (status, waits) in answers {
        assert!(matches!(status, 401 | 503), "{status}");
        assert_eq!(waits, status == 503);
    }
}
