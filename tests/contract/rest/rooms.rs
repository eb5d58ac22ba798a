//! Rooms and members. For those outside it a private room is indistinguishable from one that doesn't exist.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Account, Db, Server, each_database, token::SECRET};

async fn create(owner: &Account, body: Value) -> u64 {
    let (status, room) = owner.post("/api/chat/rooms", body).await;
    assert_eq!(status, 201, "{room}");
    room["id"].as_u64().unwrap()
}

async fn a_room_is_made_whole(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let body = json!({"name": " the Häll ", "kind": "private", "topic": "👍 = 👎", "members": [bob.id, ada.id, bob.id]});
    let (status, room) = ada.post("/api/chat/rooms", body).await;
    assert_eq!(status, 201, "{room}");
    assert_eq!(
        (&room["name"], &room["topic"]),
        (&json!(" the Häll "), &json!("👍 = 👎"))
    );
    assert_eq!(
        (&room["kind"], &room["created_by"]),
        (&json!("private"), &json!(ada.id))
    );
    // Settings, owner, one member: a rev each, and members once.
    assert_eq!(
        (&room["rev"], &room["last_seq"], &room["member_count"]),
        (&json!(3), &json!(0), &json!(2))
    );
    assert_eq!(
        (&room["role"], &room["notify"]),
        (&json!("owner"), &json!("all"))
    );
    assert_eq!(
        (&room["last_read_seq"], &room["unread_mentions"]),
        (&json!(0), &json!(0))
    );
    assert!(
        room.get("last_message").is_none() && room.get("archived_at").is_none(),
        "{room}"
    );
    let path = format!("/api/chat/rooms/{}", room["id"]);
    assert_eq!(ada.get(&path).await, (200, room.clone()));
    let (_, seen) = bob.get(&path).await;
    assert_eq!(seen["role"], "member");

    let (status, page) = bob.get(&format!("{path}/members")).await;
    assert_eq!(
        (status, &page["rev"], &page["next"]),
        (200, &json!(3), &Value::Null)
    );
    let members = page["items"].as_array().unwrap();
    let rows: Vec<_> = members
        .iter()
        .map(|m| {
            (
                &m["user"]["username"],
                &m["role"],
                &m["rev"],
                &m["last_read_seq"],
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            (&json!("ada"), &json!("owner"), &json!(2), &json!(0)),
            (&json!("bob"), &json!("member"), &json!(3), &json!(0)),
        ]
    );
}

async fn rooms_are_checked(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let many: Vec<u64> = (1..=101).collect();
    for (body, expected) in [
        (json!({}), vec!["kind missing", "name missing"]),
        (
            json!({"name": "", "kind": "open", "topic": "x".repeat(251), "members": 7}),
            vec!["kind type", "members type", "name length", "topic length"],
        ),
        (
            json!({"name": "x".repeat(81), "kind": "public"}),
            vec!["name length"],
        ),
        (
            json!({"name": " \u{3000}", "kind": "public"}),
            vec!["name blank"],
        ),
        (
            json!({"name": "a\nb", "kind": "public"}),
            vec!["name format"],
        ),
        (
            json!({"name": "a\0b", "kind": "public", "topic": "a\0b"}),
            vec!["name format", "topic format"],
        ),
        (json!({"name": "x", "kind": "direct"}), vec!["kind type"]),
        (
            json!({"name": "x", "kind": "public", "members": [999]}),
            vec!["members unknown"],
        ),
        (
            json!({"name": "x", "kind": "public", "members": ["1"]}),
            vec!["members type"],
        ),
        (
            json!({"name": "x", "kind": "public", "members": many}),
            vec!["members length"],
        ),
        (
            json!({"name": "x", "kind": "public", "rev": 7}),
            vec!["rev unknown"],
        ),
    ] {
        let (status, problem) = ada.post("/api/chat/rooms", body.clone()).await;
        assert_eq!(status, 400, "{body:.80}: {problem}");
        let mut faults: Vec<_> = problem["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| {
                format!(
                    "{} {}",
                    error["field"].as_str().unwrap(),
                    error["code"].as_str().unwrap()
                )
            })
            .collect();
        faults.sort();
        assert_eq!(faults, expected, "{body:.80}: {problem}");
    }
    let (_, page) = ada.get("/api/chat/rooms").await;
    assert_eq!(page["items"], json!([]), "nothing of it was made");
}

async fn rooms_are_listed_by_scope_and_name(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    create(&ada, json!({"name": "Öffentlich 1", "kind": "public"})).await;
    create(
        &ada,
        json!({"name": "öffentlich_2", "kind": "public", "members": [bob.id]}),
    )
    .await;
    create(&ada, json!({"name": "private 3", "kind": "private"})).await;
    create(
        &ada,
        json!({"name": "private 4", "kind": "private", "members": [bob.id]}),
    )
    .await;
    create(&bob, json!({"name": "bob's 5%", "kind": "public"})).await;
    for (query, expected) in [
        ("", vec![1, 2, 4, 5]),
        ("?scope=mine", vec![2, 4, 5]),
        ("?scope=public", vec![1]),
        ("?q=%C3%96FFENT", vec![1, 2]),
        ("?q=_", vec![2]),
        ("?q=%25", vec![5]),
        ("?q=private", vec![4]),
        ("?limit=2", vec![1, 2]),
        ("?limit=2&cursor=2", vec![4, 5]),
        ("?cursor=5", vec![]),
    ] {
        let (status, page) = bob.get(&format!("/api/chat/rooms{query}")).await;
        let ids: Vec<u64> = page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|room| room["id"].as_u64().unwrap())
            .collect();
        assert_eq!((status, ids), (200, expected), "{query}: {page}");
        assert_eq!(
            page["next"],
            if query == "?limit=2" {
                json!("2")
            } else {
                Value::Null
            },
            "{query}"
        );
    }
    assert_eq!(bob.get("/api/chat/rooms?scope=all").await.0, 400);
}

async fn members_come_and_go_by_the_rules(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let carol = server.register("carol").await;
    let room = create(&ada, json!({"name": "hall", "kind": "public"})).await;
    let path = format!("/api/chat/rooms/{room}");
    let (members, member) = (format!("{path}/members"), |who: &Account| {
        format!("{path}/members/{}", who.id)
    });

    // Users outside a public room see it, and may only join.
    assert_eq!(bob.get(&path).await.0, 200);
    assert!(bob.get(&path).await.1.get("role").is_none());
    assert_eq!(bob.get(&members).await.0, 403);
    assert_eq!(
        bob.post(&members, json!({"user_id": carol.id})).await.0,
        403
    );
    assert_eq!(bob.delete(&member(&ada)).await.0, 403);
    let (status, joined) = bob.act(&format!("{path}/join")).await;
    assert_eq!(
        (status, &joined["rev"], &joined["role"]),
        (200, &json!(3), &json!("member"))
    );
    let (status, again) = bob.act(&format!("{path}/join")).await;
    assert_eq!(
        (status, &again["rev"]),
        (200, &json!(3)),
        "joined already: nothing changes"
    );

    // Any member adds, by id or by name; added already: 200, and nothing changes.
    let (status, added) = bob.post(&members, json!({"username": "CAROL"})).await;
    assert_eq!(
        (status, &added["rev"], &added["user"]["id"]),
        (201, &json!(4), &json!(carol.id)),
        "{added}"
    );
    assert!(
        added["joined_at"].is_string() && added["role"] == "member",
        "{added}"
    );
    let (status, again) = ada.post(&members, json!({"user_id": carol.id})).await;
    assert_eq!((status, &again), (200, &added));
    for body in [
        json!({}),
        json!({"user_id": 1, "username": "ada"}),
        json!({"user_id": 999}),
        json!({"username": "nobody"}),
        json!({"user_id": "1"}),
    ] {
        assert_eq!(ada.post(&members, body.clone()).await.0, 400, "{body}");
    }

    // The owner and admins remove; the owner isn't removed, and leaves only when there is an admin.
    assert_eq!(bob.delete(&member(&carol)).await.0, 403);
    assert_eq!(carol.delete(&member(&ada)).await.0, 403);
    assert_eq!(ada.delete(&member(&ada)).await.0, 403);
    assert_eq!(ada.act(&format!("{path}/leave")).await.0, 403);
    assert_eq!(ada.delete(&member(&carol)).await, (204, Value::Null));
    assert_eq!(
        ada.delete(&member(&carol)).await.0,
        404,
        "no member any more"
    );
    assert_eq!(ada.delete(&format!("{members}/999")).await.0, 404);
    assert_eq!(bob.act(&format!("{path}/leave")).await, (204, Value::Null));
    assert_eq!(bob.act(&format!("{path}/leave")).await.0, 403);
    let (_, now) = ada.get(&path).await;
    assert_eq!(
        (&now["rev"], &now["member_count"]),
        (&json!(6), &json!(1)),
        "what was refused took no rev"
    );
}

/// Every way to ask for a room, of a private one and of none: the same status and the same body.
async fn a_private_room_answers_strangers_as_one_that_does_not_exist(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let eve = server.register("eve").await;
    let gone = server.register("gone").await;
    let private = create(
        &ada,
        json!({"name": "private", "kind": "private", "members": [gone.id]}),
    )
    .await;
    ada.connect().await.say(private, "secret").await;
    assert_eq!(
        ada.delete(&format!("/api/chat/rooms/{private}/members/{}", gone.id))
            .await
            .0,
        204
    );
    let absent = 987_654;
    for stranger in [&eve, &gone] {
        for (method, path, body) in [
            ("GET", "".to_owned(), None),
            ("POST", "/join".into(), None),
            ("POST", "/leave".into(), None),
            ("GET", "/members".into(), None),
            ("GET", "/members?q=a&limit=1".into(), None),
            ("POST", "/members".into(), Some(json!({"user_id": eve.id}))),
            ("POST", "/members".into(), Some(json!({"username": "ada"}))),
            (
                "POST",
                "/members".into(),
                Some(json!({"username": "nobody"})),
            ),
            ("POST", "/members".into(), Some(json!({}))),
            ("DELETE", format!("/members/{}", ada.id), None),
            ("DELETE", format!("/members/{}", eve.id), None),
            ("DELETE", "/members/999".into(), None),
            ("GET", "/messages".into(), None),
            ("GET", "/messages?before=2".into(), None),
            ("GET", "/messages?around=1".into(), None),
            ("GET", "/messages?limit=0".into(), None),
            ("POST", "/messages".into(), Some(json!({"content": "x"}))),
            ("POST", "/messages".into(), Some(json!({"content": ""}))),
            (
                "POST",
                "/messages".into(),
                Some(json!({"content": "x", "reply_to": 1})),
            ),
            ("POST", "/read".into(), Some(json!({"seq": 1}))),
            ("PATCH", "".into(), Some(json!({"name": "x"}))),
            ("DELETE", "".into(), None),
        ] {
            let mut answers = Vec::new();
            for room in [private, absent] {
                let path = format!("/api/chat/rooms/{room}{path}");
                let (status, mut problem) = stranger.request(method, &path, body.as_ref()).await;
                assert!(
                    problem
                        .as_object_mut()
                        .unwrap()
                        .remove("request_id")
                        .is_some(),
                    "{problem}"
                );
                answers.push((status, problem));
            }
            assert_eq!(answers[0], answers[1], "{method} {path} {body:?}");
            assert!(
                matches!(answers[0].0, 400 | 404 | 405),
                "{method} {path}: {:?}",
                answers[0]
            );
        }
    }
    let (_, page) = eve.get("/api/chat/rooms").await;
    assert_eq!(page["items"], json!([]));
}

each_database!(
    a_room_is_made_whole,
    rooms_are_checked,
    rooms_are_listed_by_scope_and_name,
    members_come_and_go_by_the_rules,
    a_private_room_answers_strangers_as_one_that_does_not_exist,
);

/// The members that are named by this question, page by page: each once, by rising id.
async fn paged(by: &Account, room: u64, question: &str) -> (Vec<u64>, usize) {
    let (mut found, mut pages, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let path = format!("/api/chat/rooms/{room}/members?limit=200{question}{cursor}");
        let (status, page) = by.get(&path).await;
        assert_eq!(status, 200, "{path}: {page}");
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 200);
        found.extend(
            items
                .iter()
                .map(|member| member["user"]["id"].as_u64().unwrap()),
        );
        pages += 1;
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return (found, pages),
        }
    }
}

#[tokio::test]
async fn ten_thousand_members_are_paged_and_searched() {
    let mut server = Server::start_with(Db::Sqlite, &[("HEARTH_JWT_SECRET", SECRET)]).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    server.populate(room, &ada, 9_999, 0).await;
    let (all, pages) = paged(&ada, room, "").await;
    assert!(all.is_sorted());
    assert_eq!(
        (all.iter().collect::<BTreeSet<_>>().len(), all.len(), pages),
        (10_000, 10_000, 50)
    );
    let guest = |number: usize| all[1 + number];
    for (question, expected) in [
        ("ada", vec![ada.id]),
        ("GUEST00042", vec![guest(42)]),
        ("guest0099", (990..1000).map(guest).collect()),
        ("guest09", (9000..9999).map(guest).collect()),
        ("guest", all[1..].to_vec()),
        ("uest", Vec::new()),
        ("guest_", Vec::new()),
    ] {
        let (found, _) = paged(&ada, room, &format!("&q={question}")).await;
        assert_eq!(found, expected, "{question}");
    }
}
