//! Messages by REST: posting, pages of history and their edges, the marker.

use serde_json::{Value, json};

use crate::support::{Account, Db, Server, each_database, uuid};

async fn page(account: &Account, room: u64, query: &str) -> Value {
    let (status, page) = account
        .get(&format!("/api/chat/rooms/{room}/messages{query}"))
        .await;
    assert_eq!(status, 200, "{query}: {page}");
    page
}

fn seqs(page: &Value) -> Vec<u64> {
    let items = page["items"].as_array().unwrap();
    items
        .iter()
        .map(|message| message["seq"].as_u64().unwrap())
        .collect()
}

async fn a_message_is_posted_and_answered_whole(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let path = format!("/api/chat/rooms/{room}/messages");
    let mut listener = bob.connect().await;
    listener.join(room).await;
    let (status, first) = ada.post(&path, json!({"content": "without an id"})).await;
    assert_eq!(status, 201, "{first}");
    assert!(
        first["id"].as_str().is_some_and(|id| id.len() == 36),
        "the server makes one: {first}"
    );
    let id = uuid();
    let body = json!({"id": id, "content": "𝄞 \u{202e} \r\n\t<b>", "reply_to": 1});
    let (status, second) = ada.post(&path, body.clone()).await;
    assert_eq!(status, 201, "{second}");
    assert_eq!(
        (&second["id"], &second["content"], &second["reply_to"]),
        (&json!(id), &body["content"], &json!(1))
    );
    assert_eq!(
        (&second["seq"], &second["rev"], &second["room_id"]),
        (&json!(2), &json!(5), &json!(room))
    );
    assert_eq!(second["sender"], json!({"id": ada.id, "username": "ada"}));
    let (status, again) = ada.post(&path, body).await;
    assert_eq!((status, &again), (200, &second));
    for message in [&first, &second] {
        let mut event = listener.frame().await;
        assert_eq!(
            event.as_object_mut().unwrap().remove("type"),
            Some(json!("message"))
        );
        assert_eq!(&event, message, "the socket shows the same");
    }
    let page = page(&bob, room, "").await;
    assert_eq!(
        (&page["items"], &page["rev"], &page["next"]),
        (&json!([first, second]), &json!(5), &Value::Null)
    );

    for (body, field) in [
        (json!({}), "content"),
        (json!({"content": ""}), "content"),
        (json!({"content": " \n\u{2003}"}), "content"),
        (json!({"content": "x".repeat(8_001)}), "content"),
        (json!({"content": "a\0b"}), "content"),
        (json!({"content": ["x"]}), "content"),
        (json!({"content": "x", "id": "x"}), "id"),
        (json!({"content": "x", "reply_to": 3}), "reply_to"),
        (json!({"content": "x", "reply_to": -1}), "reply_to"),
        (json!({"content": "x", "seq": 1}), "seq"),
        (json!({"content": "x", "created_at": 0}), "created_at"),
        (json!({"content": "x", "sender": {"id": 2}}), "sender"),
    ] {
        let (status, problem) = ada.post(&path, body.clone()).await;
        assert_eq!(
            (status, &problem["errors"][0]["field"]),
            (400, &json!(field)),
            "{body:.80}: {problem}"
        );
    }
    let (status, last) = ada.post(&path, json!({"content": "𝄞".repeat(8_000)})).await;
    assert_eq!(
        (status, &last["seq"]),
        (201, &json!(3)),
        "what was refused left no hole"
    );
}

async fn pages_have_no_gap_and_no_overlap(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    let empty = page(&ada, room, "").await;
    assert_eq!(empty, json!({"items": [], "next": null, "rev": 2}));
    ada.post_many(room, 205).await;
    let range = |from: u64, to: u64| (from..=to).collect::<Vec<u64>>();
    for (query, expected, next) in [
        ("", range(156, 205), json!("156")),
        ("?limit=1", range(205, 205), json!("205")),
        ("?limit=200", range(6, 205), json!("6")),
        ("?before=206", range(156, 205), json!("156")),
        ("?before=999", range(156, 205), json!("156")),
        ("?before=51", range(1, 50), Value::Null),
        ("?before=52", range(2, 51), json!("2")),
        ("?before=3", range(1, 2), Value::Null),
        ("?before=1", vec![], Value::Null),
        ("?before=0", vec![], Value::Null),
        ("?after=0", range(1, 50), json!("50")),
        ("?after=154", range(155, 204), json!("204")),
        ("?after=155", range(156, 205), Value::Null),
        ("?after=204", range(205, 205), Value::Null),
        ("?after=205", vec![], Value::Null),
        ("?after=999", vec![], Value::Null),
        ("?after=0&limit=200", range(1, 200), json!("200")),
    ] {
        let page = page(&ada, room, query).await;
        assert_eq!(
            (seqs(&page), &page["next"], &page["rev"]),
            (expected, &next, &json!(207)),
            "{query}"
        );
    }
    // Around: the message itself is in it, and neighbours on both sides.
    for (seq, limit) in [
        (100, 10),
        (1, 10),
        (205, 10),
        (3, 50),
        (203, 50),
        (100, 1),
        (100, 2),
    ] {
        let page = page(&ada, room, &format!("?around={seq}&limit={limit}")).await;
        let seqs = seqs(&page);
        assert!(
            seqs.contains(&seq) && seqs.len() <= limit,
            "around {seq}: {seqs:?}"
        );
        assert!(
            seqs.windows(2).all(|pair| pair[0] + 1 == pair[1]),
            "dense: {seqs:?}"
        );
    }
    let page_around = seqs(&page(&ada, room, "?around=100&limit=11").await);
    assert_eq!(page_around.len(), 11);
    assert!(
        page_around[0] < 98 && page_around[10] > 102,
        "{page_around:?}"
    );
    // Walking back by the cursor meets every message once.
    let mut all = Vec::new();
    let mut query = "?limit=60".to_owned();
    loop {
        let page = page(&ada, room, &query).await;
        all.splice(0..0, seqs(&page));
        match page["next"].as_str() {
            Some(next) => query = format!("?limit=60&before={next}"),
            None => break,
        }
    }
    assert_eq!(all, range(1, 205));
    for query in [
        "?before=1&after=1",
        "?before=x",
        "?after=-1",
        "?around=1.5",
        "?limit=0",
        "?limit=201",
        "?limit=1e2",
        "?before=1&before=1",
        "?offset=7",
    ] {
        let (status, problem) = ada
            .get(&format!("/api/chat/rooms/{room}/messages{query}"))
            .await;
        assert_eq!(
            (status, &problem["code"]),
            (400, &json!("invalid")),
            "{query}: {problem}"
        );
    }
}

async fn the_marker_is_moved_by_rest_too(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    ada.post_many(room, 3).await;
    let path = format!("/api/chat/rooms/{room}");
    for (seq, marker) in [(2, 2), (1, 2), (99, 3)] {
        let answer = bob.post(&format!("{path}/read"), json!({"seq": seq})).await;
        assert_eq!(
            answer,
            (
                200,
                json!({"last_read_seq": marker, "last_seq": 3, "unread": 3 - marker, "unread_mentions": 0})
            )
        );
        assert_eq!(bob.get(&path).await.1["last_read_seq"], marker);
    }
    for body in [
        json!({}),
        json!({"seq": "1"}),
        json!({"seq": -1}),
        json!({"seq": 1.5}),
        json!({"seq": 1, "x": 1}),
    ] {
        assert_eq!(
            bob.post(&format!("{path}/read"), body.clone()).await.0,
            400,
            "{body}"
        );
    }
    assert_eq!(bob.get(&path).await.1["rev"], 6, "a marker takes no rev");
}

each_database!(
    a_message_is_posted_and_answered_whole,
    pages_have_no_gap_and_no_overlap,
    the_marker_is_moved_by_rest_too,
);
