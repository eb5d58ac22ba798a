//! Search by REST: messages are found soon after they are sent, by members only, also after a kill; pages, snippets,
//! refusals, the limit.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Account, Db, Moment, PATIENCE, Server, each_database};

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

async fn search(account: &Account, query: &str) -> (u16, Value) {
    account.get(&format!("/api/chat/search?{query}")).await
}

async fn found(account: &Account, text: &str) -> Vec<Value> {
    let (status, list) = search(account, &format!("q={}", encoded(text))).await;
    assert_eq!(status, 200, "{list}");
    list["items"].as_array().unwrap().clone()
}

/// Asks until so many are found; how long it took, on a quiet machine.
async fn until_found(account: &Account, text: &str, count: usize) -> (Vec<Value>, Duration) {
    let began = Moment::now();
    loop {
        let items = found(account, text).await;
        if items.len() == count {
            return (items, began.quiet_elapsed());
        }
        assert!(began.quiet_elapsed() < PATIENCE, "{text}: {items:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn post(account: &Account, room: u64, content: &str) -> Value {
    let path = format!("/api/chat/rooms/{room}/messages");
    let (status, message) = account.post(&path, json!({"content": content})).await;
    assert_eq!(status, 201, "{message}");
    message
}

async fn what_is_sent_is_found_soon(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    post(&ada, room, "an older text").await;
    let message = post(&ada, room, "Grüße aus Łódź, 東京 and <b>elsewhere</b>").await;
    let (items, took) = until_found(&ada, "grusse lodz 京", 1).await;
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(
        items[0],
        json!({
            "message": message,
            "room": {"id": room, "kind": "public", "name": "hall"},
            "snippet": [
                {"text": "Grüße", "hit": true}, {"text": " aus "}, {"text": "Łódź", "hit": true}, {"text": ", 東"},
                {"text": "京", "hit": true}, {"text": " and <b>elsewhere</b>"},
            ],
        })
    );
}

/// In two rooms: which of the reactions are one's own is asked of each.
async fn what_is_found_has_its_reactions(db: Db) {
    let server = Server::start(db).await;
    let (ada, bob) = (server.register("ada").await, server.register("bob").await);
    let mut expected = Vec::new();
    for (name, by) in [("hall", &ada), ("den", &bob)] {
        let room = ada.create_room(name, &[&bob]).await;
        let seq = post(&ada, room, "a word").await["seq"].clone();
        post(&ada, room, "a word, and no reaction").await;
        let path = format!("/api/chat/rooms/{room}/messages/{seq}/reactions/👍");
        assert_eq!(by.request("PUT", &path, None).await.0, 200);
        expected.push((room, by.id == ada.id));
    }
    let (items, _) = until_found(&ada, "word", 4).await;
    let mut seen: Vec<(u64, bool)> = Vec::new();
    for item in &items {
        for reaction in item["message"]["reactions"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let room = item["room"]["id"].as_u64().unwrap();
            seen.push((room, reaction["me"] == true));
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, expected);
}

async fn strangers_find_nothing_and_leaving_hides(db: Db) {
    let server = Server::start(db).await;
    let (ada, bob) = (server.register("ada").await, server.register("bob").await);
    let eve = server.register("eve").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let other = ada.create_room("other", &[]).await;
    post(&ada, room, "the secret").await;
    post(&bob, room, "bob's secret").await;
    post(&ada, other, "another secret").await;
    until_found(&ada, "secret", 3).await;
    assert_eq!(found(&bob, "secret").await.len(), 2);
    assert!(found(&eve, "secret").await.is_empty());
    for (who, room, status) in [
        (&eve, room, 404),
        (&bob, other, 404),
        (&bob, 999, 404),
        (&bob, room, 200),
    ] {
        let answer = search(who, &format!("q=secret&room_id={room}")).await;
        assert_eq!(answer.0, status, "{answer:?}");
    }
    let (_, of_bob) = search(&ada, &format!("q=secret&from={}", bob.id)).await;
    assert_eq!(of_bob["items"].as_array().unwrap().len(), 1);
    assert_eq!(of_bob["items"][0]["message"]["sender"]["username"], "bob");
    let (_, of_nobody) = search(&ada, "q=secret&from=999").await;
    assert_eq!(of_nobody["items"], json!([]));
    assert_eq!(of_nobody["next"], json!(null));
    let path = format!("/api/chat/rooms/{room}/leave");
    let (status, _) = bob.request("POST", &path, None).await;
    assert_eq!(status, 204);
    assert!(found(&bob, "secret").await.is_empty());
    assert_eq!(
        search(&bob, &format!("q=secret&room_id={room}")).await.0,
        404
    );
    let (status, _) = server
        .request("GET", "/api/chat/search?q=secret", None, None)
        .await;
    assert_eq!(status, 401);
}

async fn pages_lead_from_new_to_old(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    for n in 1..=25 {
        post(&ada, room, &format!("common {n}")).await;
    }
    until_found(&ada, "common", 25).await;
    let (mut seqs, mut query) = (Vec::new(), "q=common&limit=10".to_owned());
    loop {
        let (status, page) = search(&ada, &query).await;
        assert_eq!(status, 200, "{page}");
        let items = page["items"].as_array().unwrap();
        seqs.extend(
            items
                .iter()
                .map(|item| item["message"]["seq"].as_u64().unwrap()),
        );
        let Some(next) = page["next"].as_str() else {
            break;
        };
        query = format!("q=common&limit=10&cursor={next}");
    }
    assert_eq!(seqs, (1..=25).rev().collect::<Vec<u64>>());
}

async fn what_cannot_be_searched_for_is_refused(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    let table = [
        (String::new(), "q missing"),
        ("q=".into(), "q length"),
        (format!("q={}", "x".repeat(201)), "q length"),
        (format!("q={}", encoded("👍")), "q blank"),
        ("q=***".into(), "q blank"),
        ("q=%22%22".into(), "q blank"),
        ("q=a%00b".into(), "q format"),
        (format!("q={}", encoded(&"w ".repeat(21))), "q length"),
        ("q=a&room_id=0".into(), "room_id range"),
        ("q=a&room_id=x".into(), "room_id type"),
        ("q=a&from=-1".into(), "from type"),
        ("q=a&cursor=1.2.3".into(), "cursor format"),
        ("q=a&cursor=e0123456789abcdef.1.2".into(), "cursor format"),
        (
            "q=a&cursor=e0123456789abcdef.1.2.9007199254740992".into(),
            "cursor format",
        ),
        (
            "q=a&cursor=e0123456789abcdef.1.2.03".into(),
            "cursor format",
        ),
        (
            "q=a&cursor=e0123456789abcdef.1.2.3".into(),
            "cursor unknown",
        ),
        ("q=a&since=yesterday".into(), "since format"),
        ("q=a&until=2026-02-30T00:00:00Z".into(), "until format"),
        ("q=a&near=maybe".into(), "near unknown"),
        (format!("q={}", encoded("a*")), "q length"),
        ("q=a&limit=201".into(), "limit range"),
        ("q=a&query=b".into(), "query unknown"),
        ("q=a&q=b".into(), "q duplicate"),
    ];
    for (query, expected) in table {
        let (status, problem) = search(&ada, &query).await;
        let error = &problem["errors"][0];
        let named = format!(
            "{} {}",
            error["field"].as_str().unwrap(),
            error["code"].as_str().unwrap()
        );
        assert_eq!((status, &*named), (400, expected), "{query}: {problem}");
    }
    // The longest queries are answered, whatever their characters.
    for text in [
        "漢".repeat(200),
        "w ".repeat(20),
        "\"".repeat(199) + "a",
        "ab* ".repeat(20),
        "ﷺ".repeat(2),
        "-\"+(~<>@*)\\'%;a".into(),
    ] {
        let (status, list) = search(&ada, &format!("q={}&room_id={room}", encoded(&text))).await;
        assert_eq!(status, 200, "{text}: {list}");
    }
}

/// A cursor belongs to its query and its filter.
async fn cursors_of_other_searches_are_refused(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    for n in 1..=3 {
        post(&ada, room, &format!("common {n}")).await;
    }
    until_found(&ada, "common", 3).await;
    let (_, page) = search(&ada, "q=common&limit=1").await;
    let cursor = page["next"].as_str().unwrap();
    for (query, status) in [
        ("q=common&limit=1".to_owned(), 200),
        ("q=common&limit=2".into(), 200),
        ("q=commons&limit=1".into(), 400),
        (format!("q=common&limit=1&room_id={room}"), 400),
        (format!("q=common&limit=1&from={}", ada.id), 400),
        ("q=common&limit=1&near=no".into(), 400),
        ("q=common&limit=1&since=2026-01-01T00:00:00Z".into(), 400),
    ] {
        let (answer, page) = search(&ada, &format!("{query}&cursor={cursor}")).await;
        assert_eq!(answer, status, "{query}: {page}");
    }
}

/// Misspelt words are found after the others, and marked.
async fn misspelt_words_are_found(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    post(&ada, room, "the kettle boils").await;
    post(&ada, room, "the kettel boils").await;
    until_found(&ada, "kettle", 2).await;
    let (_, page) = search(&ada, "q=kettle").await;
    let items = page["items"].as_array().unwrap();
    let near: Vec<_> = items
        .iter()
        .map(|item| (item["message"]["seq"].as_u64(), item["near"] == true))
        .collect();
    assert_eq!(near, [(Some(1), false), (Some(2), true)]);
    let (_, page) = search(&ada, "q=kettle&near=no").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&page["complete"], &page["next"]),
        (&json!(true), &json!(null))
    );
}

async fn what_a_kill_left_undone_is_found_after_it(db: Db) {
    let mut server = Server::start(db).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    for round in 0..3 {
        for n in 0..20 {
            post(&ada, room, &format!("round{round} text{n}")).await;
        }
        // Sooner than the index follows.
        server.kill().await;
        server.restart().await;
        let (_, took) = until_found(&ada, &format!("round{round}"), 20).await;
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
    assert_eq!(found(&ada, "text7").await.len(), 3);
}

async fn who_searches_too_fast_is_told_when_to_go_on(db: Db) {
    let server = Server::start_with(db, &[("HEARTH_RATE_LIMITS", "on")]).await;
    let (ada, bob) = (server.register("ada").await, server.register("bob").await);
    let mut taken = 0;
    let refusal = loop {
        match search(&ada, "q=word").await {
            (200, _) => taken += 1,
            refusal => break refusal,
        }
        assert!(taken < 1_000, "no limit was met");
    };
    assert!((20..60).contains(&taken), "{taken}");
    assert_eq!(
        (refusal.0, &refusal.1["code"]),
        (429, &json!("rate_limited"))
    );
    assert_eq!(
        search(&bob, "q=word").await.0,
        200,
        "others are not held back"
    );
}

each_database!(
    what_is_sent_is_found_soon,
    what_is_found_has_its_reactions,
    strangers_find_nothing_and_leaving_hides,
    pages_lead_from_new_to_old,
    what_cannot_be_searched_for_is_refused,
    cursors_of_other_searches_are_refused,
    misspelt_words_are_found,
    what_a_kill_left_undone_is_found_after_it,
    who_searches_too_fast_is_told_when_to_go_on,
);
