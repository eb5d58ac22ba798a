//! What ends a session: logging out here and everywhere, ending one from another, a new password, a disabled account. The
//! session is revoked at once on REST and on live sockets, and within a second on another node.

use serde_json::{Value, json};

use hearth::limits::SESSIONS_PER_USER_MAX;

use crate::support::{Account, Db, Incoming, Schema, Server, each_database, token::SECRET};

async fn assert_dead(account: &Account) {
    let (status, problem) = account.get("/api/me").await;
    assert_eq!((status, &problem["code"]), (401, &json!("token_revoked")));
    let mut socket = account.open("/ws").await;
    assert_eq!(socket.closed().await, 4501);
    let body = json!({"refresh_token": account.refresh_token});
    let (status, problem) = account.post("/api/refresh", body).await;
    assert_eq!((status, &problem["code"]), (401, &json!("token_revoked")));
}

async fn assert_alive(account: &Account) {
    assert_eq!(account.get("/api/me").await.0, 200);
}

async fn logging_out_ends_one_log_in(db: Db) {
    let server = Server::start(db).await;
    let phone = server.register("ada").await;
    let laptop = server.log_in("ada").await;
    let bob = server.register("bob").await;
    let room = bob.create_room("hall", &[&phone]).await;
    let mut sockets = [
        phone.connect().await,
        phone.open(&format!("/ws/{room}")).await,
    ];
    let mut other = laptop.connect().await;
    assert_eq!(phone.act("/api/logout").await.0, 204);
    for socket in &mut sockets {
        assert_eq!(socket.closed().await, 4501);
    }
    assert_dead(&phone).await;
    assert_alive(&laptop).await;
    assert!(other.fence().await.is_empty());

    let tablet = server.log_in("ada").await;
    let mut more = tablet.connect().await;
    assert_eq!(tablet.act("/api/logout/all").await.0, 204);
    assert_eq!((other.closed().await, more.closed().await), (4501, 4501));
    assert_dead(&laptop).await;
    assert_dead(&tablet).await;
    assert_alive(&bob).await;
    assert_alive(&server.log_in("ada").await).await;
}

async fn one_log_in_too_many_ends_the_least_used(db: Db) {
    let server = Server::start(db).await;
    let first = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = bob.create_room("hall", &[&first]).await;
    let mut socket = first.connect().await;
    socket.join(room).await;
    for _ in 1..SESSIONS_PER_USER_MAX {
        server.log_in("ada").await;
    }
    assert_alive(&first).await;
    assert!(socket.fence().await.is_empty());
    let last = server.log_in("ada").await;
    // The first one gets nothing that is sent from now on.
    bob.post_many(room, 1).await;
    let end = socket.next().await;
    assert!(matches!(end, Incoming::Closed(4501, _)), "{end:?}");
    let (status, problem) = first.get("/api/me").await;
    assert_eq!((status, &problem["code"]), (401, &json!("token_revoked")));
    assert_alive(&last).await;
}

async fn log_ins_are_listed_and_ended(db: Db) {
    let server = Server::start(db).await;
    let phone = server.register("ada").await;
    let laptop = server.log_in("ada").await;
    let bob = server.register("bob").await;
    let list = async |account: &Account| {
        let (status, list) = account.get("/api/me/sessions").await;
        assert_eq!(status, 200, "{list}");
        list["items"].as_array().unwrap().clone()
    };
    let mine = list(&phone).await;
    assert_eq!(mine.len(), 2);
    let current: Vec<&Value> = mine.iter().filter(|of| of["current"] == true).collect();
    assert_eq!(current.len(), 1, "{mine:?}");
    let keys: Vec<&String> = current[0].as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        ["created_at", "current", "id", "last_used_at", "user_agent"]
    );
    let theirs = mine.iter().find(|of| of["current"] == false).unwrap()["id"].clone();
    let path = format!("/api/me/sessions/{theirs}");
    assert_eq!(bob.delete(&path).await.0, 404, "it isn't bob's");
    assert_alive(&laptop).await;
    let mut socket = laptop.connect().await;
    assert_eq!(phone.delete(&path).await.0, 204);
    assert_eq!(socket.closed().await, 4501);
    assert_dead(&laptop).await;
    assert_eq!(phone.delete(&path).await.0, 404);
    assert_eq!(list(&phone).await.len(), 1);
}

async fn a_new_password_ends_the_others(db: Db) {
    let server = Server::start(db).await;
    let phone = server.register("ada").await;
    let laptop = server.log_in("ada").await;
    let mut kept = phone.connect().await;
    let mut ended = laptop.connect().await;
    let change = async |current: &str, new: &str| {
        let body = json!({"current_password": current, "new_password": new});
        phone.post("/api/me/password", body).await
    };
    for (current, new, field, code) in [
        (
            "wrong horse",
            "battery staple 1",
            "current_password",
            "wrong",
        ),
        ("correct horse ada", "short", "new_password", "length"),
        ("correct horse ada", "password123", "new_password", "common"),
    ] {
        let (status, problem) = change(current, new).await;
        assert_eq!(status, 400, "{problem}");
        let error = &problem["errors"][0];
        assert_eq!(
            (&error["field"], &error["code"]),
            (&json!(field), &json!(code))
        );
    }
    assert_alive(&laptop).await;
    assert_eq!(change("correct horse ada", "battery staple 1").await.0, 204);
    assert_eq!(ended.closed().await, 4501);
    assert_dead(&laptop).await;
    assert_alive(&phone).await;
    assert!(kept.fence().await.is_empty());
    for (password, status) in [("correct horse ada", 401), ("battery staple 1", 200)] {
        let body = json!({"username": "ada", "password": password});
        let (found, answer) = server
            .request("POST", "/api/login", None, Some(&body))
            .await;
        assert_eq!(found, status, "{answer}");
    }
}

async fn a_profile_changes(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    server.register("bob").await;
    let patch = async |body: Value| ada.request("PATCH", "/api/me", Some(&body)).await;
    let (status, me) = patch(json!({"full_name": "Ada Lovelace"})).await;
    assert_eq!((status, &me["full_name"]), (200, &json!("Ada Lovelace")));
    let (status, me) = patch(json!({"email": "Ada@Example.net"})).await;
    assert_eq!((status, &me["email"]), (200, &json!("Ada@Example.net")));
    assert_eq!(me["full_name"], "Ada Lovelace", "what isn't named stays");
    assert_eq!(ada.get("/api/me").await.1, me);
    let (status, problem) = patch(json!({"email": "BOB@example.org"})).await;
    assert_eq!(
        (status, &problem["errors"][0]["field"]),
        (409, &json!("email"))
    );
    for body in [
        json!({"role": "admin"}),
        json!({"is_active": true}),
        json!({"username": "eve"}),
        json!({"id": 1}),
        json!({"email": "x"}),
        json!({"full_name": "x".repeat(81)}),
    ] {
        assert_eq!(patch(body.clone()).await.0, 400, "{body}");
    }
    let (_, me) = patch(json!({"full_name": ""})).await;
    assert_eq!(me.get("full_name"), None, "{me}");
}

each_database!(
    logging_out_ends_one_log_in,
    log_ins_are_listed_and_ended,
    one_log_in_too_many_ends_the_least_used,
    a_new_password_ends_the_others,
    a_profile_changes,
);

/// A session that ends on one node ends on the other: only the database connects them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_is_seen_by_the_other_node() {
    let schema = Schema::create().await;
    let secret = [("HEARTH_JWT_SECRET", SECRET)];
    let here = Server::start_on_url(&schema.url, &secret).await;
    let there = Server::start_on_url(&schema.url, &secret).await;
    let phone = here.register("ada").await;
    let laptop = here.log_in("ada").await;
    let (away, kept) = (there.here(&phone), there.here(&laptop));
    let mut socket = away.connect().await;
    let mut other = kept.connect().await;
    assert_eq!(phone.act("/api/logout").await.0, 204);
    assert_eq!(socket.closed().await, 4501);
    assert_dead(&away).await;
    assert!(other.fence().await.is_empty());
    assert_alive(&kept).await;

    // A deleted account, too.
    let bob = here.register("bob").await;
    let mut of_bob = there.here(&bob).connect().await;
    let body = json!({"current_password": "correct horse bob"});
    assert_eq!(bob.request("DELETE", "/api/me", Some(&body)).await.0, 204);
    assert_eq!(of_bob.closed().await, 4502);

    // Disabled by whoever may write to the database, as `hearth user disable` does.
    here.sql("UPDATE users SET is_active = 0").await;
    here.sql("INSERT INTO revocations (user_id, revoked_at) SELECT id, 1 FROM users")
        .await;
    assert_eq!(other.closed().await, 4502);
    for account in [&laptop, &kept] {
        let (status, problem) = account.get("/api/me").await;
        assert_eq!((status, &problem["code"]), (403, &json!("forbidden")));
        let body = json!({"refresh_token": account.refresh_token});
        let (status, problem) = account.post("/api/refresh", body).await;
        assert_eq!((status, &problem["code"]), (403, &json!("forbidden")));
    }
}
