//! Modes of registration, and invites: who makes them, what they allow, and what they don't.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Account, Db, Server, each_database};

/// In an hour, by RFC 3339.
fn soon() -> String {
    hearth::protocol::Time(hearth::protocol::Time::now().0 + 3_600_000).to_string()
}

fn newcomer(name: &str, invite: Option<&str>) -> Value {
    json!({
        "username": name, "email": format!("{name}@example.org"), "password": "correct horse",
        "invite": invite,
    })
}

async fn register(server: &Server, name: &str, invite: Option<&str>) -> (u16, Value) {
    let body = newcomer(name, invite);
    server
        .request("POST", "/api/register", None, Some(&body))
        .await
}

async fn invite(by: &Account, room: Option<u64>, uses: u64) -> Value {
    let body = json!({"room_id": room, "max_uses": uses, "expires_at": soon()});
    let (status, invite) = by.post("/api/invites", body).await;
    assert_eq!(status, 201, "{invite}");
    invite
}

fn code(invite: &Value) -> &str {
    invite["code"].as_str().unwrap()
}

/// The one answer to every invite that can't be used.
fn assert_no_invite((status, problem): (u16, Value)) {
    assert_eq!(
        (status, &problem["code"]),
        (400, &json!("invalid")),
        "{problem}"
    );
    let expected = json!([{"field": "invite", "code": "unknown",
        "message": "this invite is unknown, used up, expired or revoked"}]);
    assert_eq!(problem["errors"], expected);
}

async fn the_mode_decides_who_registers(db: Db) {
    let mut server = Server::start(db).await;
    let mode = async |server: &Server| {
        server.request("GET", "/api/info", None, None).await.1["registration"].clone()
    };
    assert_eq!(mode(&server).await, "open");
    let ada = server.admin("ada").await;
    let open = invite(&ada, None, 2).await;
    assert_eq!(register(&server, "bob", Some(code(&open))).await.0, 201);
    assert_no_invite(register(&server, "carol", Some("no such code")).await);

    assert!(server.stop().await.success());
    server.set("HEARTH_REGISTRATION", "invite");
    server.restart().await;
    assert_eq!(mode(&server).await, "invite");
    let (status, problem) = register(&server, "carol", None).await;
    assert_eq!(
        (status, &problem["errors"][0]["field"]),
        (400, &json!("invite")),
        "{problem}"
    );
    // Without an invite the answer doesn't tell whether a name is taken.
    assert_no_invite(register(&server, "ada", Some("no such code")).await);
    let (status, problem) = register(&server, "bob", Some(code(&open))).await;
    assert_eq!(
        (status, &problem["code"]),
        (409, &json!("taken")),
        "{problem}"
    );
    assert_eq!(
        register(&server, "carol", Some(code(&open))).await.0,
        201,
        "a taken name gave the use back"
    );
    assert_no_invite(register(&server, "dave", Some(code(&open))).await);
    let more = invite(&ada, None, 2).await;
    let hall = ada.create_room("hall", &[]).await;

    assert!(server.stop().await.success());
    server.set("HEARTH_REGISTRATION", "closed");
    server.restart().await;
    assert_eq!(mode(&server).await, "closed");
    for room in [None, Some(hall)] {
        let body = json!({"room_id": room, "max_uses": 1, "expires_at": soon()});
        let (status, problem) = ada.post("/api/invites", body).await;
        assert_eq!(
            (status, &problem["code"]),
            (403, &json!("forbidden")),
            "not even an admin: {problem}"
        );
        let why = problem["detail"].as_str().unwrap();
        assert!(why.contains("HEARTH_REGISTRATION"), "{problem}");
    }
    for code in [None, Some(code(&more)), Some("no such code")] {
        let (status, problem) = register(&server, "dave", code).await;
        assert_eq!(
            (status, &problem["code"]),
            (403, &json!("forbidden")),
            "{problem}"
        );
    }

    // An older invite counts again when others may come.
    assert!(server.stop().await.success());
    server.set("HEARTH_REGISTRATION", "invite");
    server.restart().await;
    assert_eq!(register(&server, "dave", Some(code(&more))).await.0, 201);
}

async fn an_invite_leads_into_its_room(db: Db) {
    let server = Server::start_with(db, &[("HEARTH_REGISTRATION", "invite")]).await;
    let ran = server
        .command(
            &[
                "user",
                "add",
                "ada",
                "--email",
                "ada@example.org",
                "--admin",
            ],
            "correct horse ada\n",
        )
        .await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ada = server.log_in("ada").await;
    let body = json!({"name": "den", "kind": "private"});
    let room = ada.post("/api/chat/rooms", body).await.1["id"]
        .as_u64()
        .unwrap();
    let mut socket = ada.connect().await;
    socket.join(room).await;
    let made = invite(&ada, Some(room), 5).await;
    assert_eq!(
        (&made["room_id"], &made["uses"], &made["max_uses"]),
        (&json!(room), &json!(0), &json!(5))
    );
    let (status, tokens) = register(&server, "bob", Some(code(&made))).await;
    assert_eq!(status, 201, "{tokens}");
    let member = socket.expect("member").await;
    assert_eq!(
        (&member["user"]["username"], &member["role"], &member["by"]),
        (&json!("bob"), &json!("member"), &json!(ada.id)),
        "as a member whom she added"
    );
    assert_eq!(tokens["user"]["role"], "user");
    let bob = server.log_in("bob").await;
    assert_eq!(bob.get(&format!("/api/chat/rooms/{room}")).await.0, 200);

    // Any member invites into their rooms; only an admin invites without a room.
    let his = invite(&bob, Some(room), 5).await;
    let other = ada
        .post(
            "/api/chat/rooms",
            json!({"name": "attic", "kind": "private"}),
        )
        .await
        .1["id"]
        .as_u64()
        .unwrap();
    let public = ada.create_room("hall", &[]).await;
    let archive = ada.create_room("archive", &[]).await;
    let path = format!("/api/chat/rooms/{archive}");
    assert_eq!(
        ada.request("PATCH", &path, Some(&json!({"archived": true})))
            .await
            .0,
        200
    );
    let direct = ada
        .post("/api/chat/direct", json!({"user_id": bob.id}))
        .await
        .1["id"]
        .clone();
    for (by, room, status) in [
        (&bob, json!(null), 403),
        (&bob, json!(other), 404),
        (&bob, json!(public), 403),
        (&bob, json!(999_999), 404),
        (&bob, direct, 403),
        (&ada, json!(archive), 403),
    ] {
        let body = json!({"room_id": room, "max_uses": 1, "expires_at": soon()});
        let (got, answer) = by.post("/api/invites", body).await;
        assert_eq!(got, status, "{room}: {answer}");
    }

    // The inviter has left: the account is made, and it is in no room.
    assert_eq!(
        ada.delete(&format!("/api/chat/rooms/{room}/members/{}", bob.id))
            .await
            .0,
        204
    );
    assert_eq!(register(&server, "carol", Some(code(&his))).await.0, 201);
    let carol = server.log_in("carol").await;
    assert_eq!(
        carol.get("/api/chat/rooms?scope=mine").await.1["items"],
        json!([])
    );
    // So when the room is archived, or deleted.
    let path = format!("/api/chat/rooms/{room}");
    assert_eq!(
        ada.request("PATCH", &path, Some(&json!({"archived": true})))
            .await
            .0,
        200
    );
    assert_eq!(register(&server, "dave", Some(code(&made))).await.0, 201);
    let living = json!({"archived": false});
    assert_eq!(ada.request("PATCH", &path, Some(&living)).await.0, 200);
    assert_eq!(ada.delete(&path).await.0, 204);
    assert_eq!(register(&server, "erin", Some(code(&made))).await.0, 201);
    for name in ["dave", "erin"] {
        let account = server.log_in(name).await;
        assert_eq!(
            account.get("/api/chat/rooms?scope=mine").await.1["items"],
            json!([])
        );
    }

    // An invite is worth what its maker is: disabled, nothing; no admin, nothing without a room.
    let general = invite(&ada, None, 5).await;
    server.done(&["user", "disable", "bob"]).await;
    assert_no_invite(register(&server, "frank", Some(code(&his))).await);
    server.done(&["user", "demote", "ada"]).await;
    assert_no_invite(register(&server, "frank", Some(code(&general))).await);
    assert_eq!(register(&server, "frank", Some(code(&made))).await.0, 201);
}

async fn an_invite_is_used_as_often_as_it_says(db: Db) {
    const USES: usize = 7;
    let server = Server::start(db).await;
    let ada = server.admin("ada").await;
    let made = invite(&ada, None, USES as u64).await;
    let all = join_all((0..100).map(async |n| {
        loop {
            // The threads that hash passwords may have no place left.
            match register(&server, &format!("guest{n}"), Some(code(&made))).await {
                (503, _) => continue,
                answer => return answer,
            }
        }
    }))
    .await;
    let (welcome, refused): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|(status, _)| *status == 201);
    assert_eq!(welcome.len(), USES);
    refused.into_iter().for_each(assert_no_invite);
    let accounts = server
        .select("SELECT CAST(COUNT(*) AS CHAR) FROM users")
        .await;
    assert_eq!(accounts, (USES + 1).to_string());
}

async fn invites_are_listed_and_revoked_by_their_makers_and_by_admins(db: Db) {
    let server =
        Server::start_with(db, &[("HEARTH_PUBLIC_URL", "https://chat.example.org/")]).await;
    let ada = server.admin("ada").await;
    let bob = server.register("bob").await;
    let room = bob.create_room("hall", &[&ada]).await;
    let hers = invite(&ada, None, 1).await;
    let his = invite(&bob, Some(room), 3).await;
    assert_eq!(
        his["link"],
        format!("https://chat.example.org/#invite={}", code(&his)),
        "whatever the request's Host"
    );
    let ids = async |by: &Account, query: &str| {
        let (status, list) = by.get(&format!("/api/invites{query}")).await;
        assert_eq!(status, 200, "{list}");
        for item in list["items"].as_array().unwrap() {
            assert!(
                item["code"].is_null() && item["link"].is_null(),
                "shown once: {item}"
            );
        }
        let ids: Vec<Value> = list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|i| i["id"].clone())
            .collect();
        (ids, list["next"].clone())
    };
    let (one, two) = (hers["id"].clone(), his["id"].clone());
    assert_eq!(ids(&bob, "").await.0, std::slice::from_ref(&two));
    assert_eq!(ids(&ada, "").await.0, [one.clone(), two.clone()]);
    let (first, next) = ids(&ada, "?limit=1").await;
    let query = format!("?cursor={}", next.as_str().unwrap());
    assert_eq!(
        (first, ids(&ada, &query).await.0),
        (vec![one.clone()], vec![two.clone()])
    );
    assert_eq!(
        bob.delete(&format!("/api/invites/{one}")).await.0,
        404,
        "not his"
    );
    assert_eq!(register(&server, "carol", Some(code(&hers))).await.0, 201);
    assert_eq!(
        ids(&ada, "").await.0,
        std::slice::from_ref(&two),
        "what is used up is gone"
    );
    assert_eq!(ada.delete(&format!("/api/invites/{two}")).await.0, 204);
    assert_eq!(ada.delete(&format!("/api/invites/{two}")).await.0, 404);
    assert_no_invite(register(&server, "dave", Some(code(&his))).await);

    // An expired invite is answered like one that never existed.
    let late = invite(&bob, Some(room), 3).await;
    server.sql("UPDATE invites SET expires_at = 1").await;
    assert_no_invite(register(&server, "dave", Some(code(&late))).await);
    assert_eq!(ids(&bob, "").await.0, [] as [Value; 0]);

    let kept = server
        .select("SELECT CAST(COUNT(*) AS CHAR) FROM invites")
        .await;
    assert_eq!(kept, "2", "until their makers make another one");
    let dead = json!({"max_uses": 1, "expires_at": "2020-01-01T00:00:00Z"});
    let far = json!({"max_uses": 1, "expires_at": "2099-01-01T00:00:00Z"});
    for (body, fault) in [
        (json!({}), "max_uses missing, expires_at missing"),
        (
            json!({"max_uses": 0, "expires_at": soon()}),
            "max_uses range",
        ),
        (
            json!({"max_uses": 1_001, "expires_at": soon()}),
            "max_uses range",
        ),
        (
            json!({"max_uses": "1", "expires_at": soon()}),
            "max_uses type",
        ),
        (dead, "expires_at range"),
        (far, "expires_at range"),
        (
            json!({"max_uses": 1, "expires_at": "soon"}),
            "expires_at type",
        ),
        (
            json!({"max_uses": 1, "expires_at": soon(), "role": "admin"}),
            "role unknown",
        ),
    ] {
        let (status, problem) = ada.post("/api/invites", body).await;
        let errors = problem["errors"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let faults: Vec<_> = errors
            .map(|e| format!("{} {}", text(&e["field"]), text(&e["code"])))
            .collect();
        assert_eq!((status, faults.join(", ").as_str()), (400, fault));
    }
}

async fn a_user_has_so_many_invites(db: Db) {
    let server = Server::start(db).await;
    let ada = server.admin("ada").await;
    for _ in 0..98 {
        invite(&ada, None, 1).await;
    }
    let body = json!({"max_uses": 1, "expires_at": soon()});
    let race = join_all((0..10).map(|_| ada.post("/api/invites", body.clone()))).await;
    let made = race.iter().filter(|(status, _)| *status == 201).count();
    assert_eq!(made, 2, "{race:?}");
    let (status, problem) = ada.post("/api/invites", body.clone()).await;
    assert_eq!((status, &problem["code"]), (403, &json!("forbidden")));
    server
        .sql("UPDATE invites SET expires_at = 1 WHERE id = 5")
        .await;
    assert_eq!(
        ada.post("/api/invites", body).await.0,
        201,
        "living ones count"
    );
}

each_database!(
    the_mode_decides_who_registers,
    an_invite_leads_into_its_room,
    an_invite_is_used_as_often_as_it_says,
    invites_are_listed_and_revoked_by_their_makers_and_by_admins,
    a_user_has_so_many_invites,
);
