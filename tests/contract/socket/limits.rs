//! Limits by user, at their defaults: a refused message was not stored, and succeeds later.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Account, Db, Server, Socket, api::operations, each_database, number, uuid};

/// All of it, page by page.
async fn whole_history(account: &Account, room: u64) -> Vec<Value> {
    let mut history: Vec<Value> = Vec::new();
    loop {
        let after = history.last().map_or(0, |last| number(last, "seq"));
        let path = format!("/api/chat/rooms/{room}/messages?after={after}&limit=200");
        let (status, page) = account.get(&path).await;
        assert_eq!(status, 200, "{page}");
        match page["items"].as_array().unwrap() {
            items if items.is_empty() => return history,
            items => history.extend_from_slice(items),
        }
    }
}

fn message(room: u64, id: &str, content: &str) -> Value {
    json!({"type": "message", "room_id": room, "id": id, "content": content})
}

/// Sends until one is refused, on several sockets at once: a busy machine may take longer over a message than the limit
/// takes to allow another one. How many were taken, and of the one that was refused its socket, its id and the refusal.
async fn exhaust(account: &Account, room: u64) -> (usize, Socket, String, Value) {
    const SOCKETS: usize = 10;
    let over = AtomicBool::new(false);
    let flood = async |number: usize| {
        let mut socket = account.connect().await;
        let mut taken = 0;
        while !over.load(Ordering::SeqCst) {
            assert!(taken < 1_000, "no limit is met");
            let id = uuid();
            let text = format!("text {taken} of {number}");
            let answer = socket.ask(message(room, &id, &text)).await;
            if answer["type"] == "error" {
                over.store(true, Ordering::SeqCst);
                return (taken, Some((socket, id, answer)));
            }
            taken += 1;
        }
        (taken, None)
    };
    let floods = join_all((0..SOCKETS).map(flood)).await;
    let taken = floods.iter().map(|(taken, _)| taken).sum();
    let mut refused = floods.into_iter().filter_map(|(_, refused)| refused);
    let (socket, id, error) = refused.next().expect("one ended it");
    (taken, socket, id, error)
}

async fn who_sends_too_fast_is_told_when_to_go_on(db: Db) {
    let server = Server::start_with(db, &[("HEARTH_RATE_LIMITS", "on")]).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let other = ada.create_room("other", &[]).await;
    let (taken, mut socket, id, error) = exhaust(&ada, room).await;
    assert!(taken >= 100, "a burst of 100 is allowed: {taken}");
    assert_eq!(
        (&error["code"], &error["retryable"]),
        (&json!("rate_limited"), &json!(true)),
        "{error}"
    );
    let wait = error["retry_after_ms"].as_u64().expect("it says when");
    assert!((1..=1_000).contains(&wait), "{error}");

    // Others are not held back, and neither are other rooms by this message.
    assert_eq!(
        bob.connect().await.say(room, "bob's").await["seq"],
        taken + 1
    );
    // Order: until that id comes again, no other message of this socket overtakes it.
    tokio::time::sleep(Duration::from_millis(wait + 100)).await;
    let overtaking = socket.ask(message(room, &uuid(), "overtaking")).await;
    assert_eq!(
        (&overtaking["type"], &overtaking["retryable"]),
        (&json!("error"), &json!(true)),
        "{overtaking}"
    );
    let elsewhere = socket.ask(message(other, &uuid(), "elsewhere")).await;
    assert_eq!(elsewhere["type"], "ack", "{elsewhere}");

    assert!(
        whole_history(&bob, room)
            .await
            .iter()
            .all(|message| message["id"] != id),
        "not stored"
    );
    let mut again = socket.ask(message(room, &id, "at last")).await;
    while again["type"] == "error" {
        let wait = again["retry_after_ms"].as_u64().unwrap();
        tokio::time::sleep(Duration::from_millis(wait)).await;
        again = socket.ask(message(room, &id, "at last")).await;
    }
    assert_eq!(
        (&again["type"], &again["seq"]),
        (&json!("ack"), &json!(taken + 2)),
        "{again}"
    );
    assert!(
        again.get("duplicate").is_none(),
        "it was not stored before: {again}"
    );
    let history = whole_history(&bob, room).await;
    assert_eq!(history.len(), taken + 2);
    assert_eq!(history.last().unwrap()["content"], "at last");
}

each_database!(who_sends_too_fast_is_told_when_to_go_on);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rest_and_the_socket_share_the_limit() {
    let server = Server::start_with(Db::Sqlite, &[("HEARTH_RATE_LIMITS", "on")]).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    exhaust(&ada, room).await;
    let url = server.url(&format!("/api/chat/rooms/{room}/messages"));
    let http = reqwest::Client::new();
    // The bucket fills by one in 50 ms: some of these may be lucky, not all.
    let posts = (0..100).map(async |_| {
        let body = json!({"content": "by REST"});
        let answer = http
            .post(&url)
            .bearer_auth(&ada.token)
            .json(&body)
            .send()
            .await
            .unwrap();
        if answer.status() == 201 {
            return false;
        }
        assert_eq!(answer.status(), 429);
        assert_eq!(
            answer.headers()["retry-after"],
            "1",
            "whole seconds, rounded up"
        );
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["code"], "rate_limited");
        true
    });
    let limited = join_all(posts).await;
    assert!(limited.contains(&true), "REST is not limited");
}

/// Each route that changes something and takes a body is sent nothing but broken ones, until its limit is met.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_with_broken_fields_are_charged_as_well() {
    const AT_ONCE: usize = 50;
    let server = Server::start_with(Db::Sqlite, &[("HEARTH_RATE_LIMITS", "on")]).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    let broken = json!({"colour": "red"});
    let mut routes = operations();
    // A new password costs a guess at the old one, and nothing of these limits.
    routes
        .retain(|route| route.body.is_some() && !route.open && route.pattern != "/api/me/password");
    assert!(routes.len() >= 13, "{routes:?}");
    for route in routes {
        let path = route.path(&[("room", room.to_string())]);
        let mut refused = 0;
        // Those of the earlier routes have used up most of it already.
        let limited = loop {
            let asked = (0..AT_ONCE).map(|_| ada.request(&route.method, &path, Some(&broken)));
            let statuses = join_all(asked).await.into_iter().map(|(status, _)| status);
            let statuses: Vec<u16> = statuses.collect();
            refused += statuses.iter().filter(|status| **status == 400).count();
            let known = statuses.iter().all(|status| [400, 429].contains(status));
            assert!(known, "{} {path}: {statuses:?}", route.method);
            if statuses.contains(&429) {
                break true;
            }
            if refused > 2_000 {
                break false;
            }
        };
        assert!(limited, "{} {path} is not limited", route.method);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_opens_sockets_too_fast_is_closed_with_4008() {
    let server = Server::start_with(Db::Sqlite, &[("HEARTH_RATE_LIMITS", "on")]).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let mut limited = false;
    for number in 0..200 {
        let mut socket = ada.open("/ws").await;
        match socket.next().await {
            crate::support::Incoming::Frame(_) => socket.wire.close(None).await.unwrap(),
            crate::support::Incoming::Closed(4008, _) => {
                assert!(number >= 40, "a burst of 40 is allowed: {number}");
                limited = true;
                break;
            }
            // Twenty of those that were closed have not ended yet on the server's side.
            crate::support::Incoming::Closed(4503, _) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(limited);
    bob.connect().await;
}
