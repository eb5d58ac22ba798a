//! A client that asks for an account, or for its deletion, may hang up at any moment: the room changes that follow are made
//! all the same.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{Account, Db, Server, Socket, each_database};

const PEOPLE: u32 = 24;

/// Asks, and hangs up after so long.
async fn cut(
    server: &Server,
    method: &str,
    path: &str,
    token: &str,
    body: &Value,
    after: Duration,
) {
    let request = reqwest::Client::new()
        .request(method.parse().unwrap(), server.url(path))
        .bearer_auth(token)
        .json(body);
    let _ = tokio::time::timeout(after, request.send()).await;
}

/// Reads on until each of these has come into the room, or left it.
async fn see(socket: &mut Socket, mut people: BTreeSet<u64>, come: bool) {
    while !people.is_empty() {
        let change = socket.expect("member").await;
        if change["role"].is_string() == come {
            people.remove(&change["user"]["id"].as_u64().unwrap());
        }
    }
}

async fn an_invited_user_comes_into_the_room(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("den", &[]).await;
    let in_an_hour = hearth::protocol::Time(hearth::protocol::Time::now().0 + 3_600_000);
    let invite = json!({"room_id": room, "max_uses": 100, "expires_at": in_an_hour.to_string()});
    let (status, invite) = ada.post("/api/invites", invite).await;
    assert_eq!(status, 201, "{invite}");
    let body = |name: &str, invite: &Value| {
        json!({
            "username": name, "email": format!("{name}@example.org"), "password": "correct horse",
            "invite": invite,
        })
    };
    let register = async |name: &str, invite: &Value| {
        let body = body(name, invite);
        server
            .request("POST", "/api/register", None, Some(&body))
            .await
    };
    let mut socket = ada.connect().await;
    socket.join(room).await;
    let began = Instant::now();
    let (status, first) = register("whole", &invite["code"]).await;
    let whole = began.elapsed();
    assert_eq!(status, 201, "{first}");
    let mut expected = BTreeSet::from([first["user"]["id"].as_u64().unwrap()]);
    for at in 0..PEOPLE {
        let (name, after) = (format!("guest{at}"), whole * at / PEOPLE);
        let body = body(&name, &invite["code"]);
        cut(&server, "POST", "/api/register", "", &body, after).await;
        // Whose name is taken now has an account by the invite.
        if register(&name, &Value::Null).await.0 == 409 {
            let (_, found) = ada.get(&format!("/api/users?q={name}&limit=1")).await;
            expected.insert(found["items"][0]["id"].as_u64().unwrap());
        }
    }
    assert!(expected.len() > 1, "some were fast enough");
    see(&mut socket, expected, true).await;
}

async fn a_deleted_user_leaves_all_rooms(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let mut people: Vec<Account> = Vec::new();
    for at in 0..PEOPLE {
        people.push(server.register(&format!("guest{at}")).await);
    }
    let mut owned = Vec::new();
    for of in &people {
        owned.push(of.create_room("his own", &[&ada]).await);
    }
    // The newest room is left last.
    let all: Vec<&Account> = people.iter().collect();
    let room = ada.create_room("hall", &all).await;
    let mut socket = ada.connect().await;
    socket.join(room).await;
    let body = |of: &Account| json!({"current_password": format!("correct horse {}", of.name)});
    let began = Instant::now();
    let (status, _) = people[0]
        .request("DELETE", "/api/me", Some(&body(&people[0])))
        .await;
    let whole = began.elapsed();
    assert_eq!(status, 204);
    for (at, of) in people.iter().enumerate().skip(1) {
        let after = whole * at as u32 / PEOPLE;
        cut(&server, "DELETE", "/api/me", &of.token, &body(of), after).await;
        // If it came to nothing, it is asked for again.
        of.request("DELETE", "/api/me", Some(&body(of))).await;
        let name = json!({"username": of.name, "password": format!("correct horse {}", of.name)});
        let (status, _) = server
            .request("POST", "/api/login", None, Some(&name))
            .await;
        assert_eq!(status, 401, "{} is gone", of.name);
    }
    let gone = people.iter().map(|of| of.id).collect();
    see(&mut socket, gone, false).await;
    // A room of one who is deleted has another owner: it's changed by her.
    for room in owned {
        let path = format!("/api/chat/rooms/{room}");
        let (status, answer) = ada
            .request("PATCH", &path, Some(&json!({"topic": "mine"})))
            .await;
        assert_eq!(status, 200, "{answer}");
    }
}

/// A user is added to a room by one who still saw their account, after they have left all of their rooms.
async fn a_user_who_is_added_while_leaving_leaves_again(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let mut socket = ada.connect().await;
    socket.join(room).await;
    let body = json!({"current_password": "correct horse bob"});
    assert_eq!(bob.request("DELETE", "/api/me", Some(&body)).await.0, 204);
    see(&mut socket, BTreeSet::from([bob.id]), false).await;
    server
        .sql("UPDATE users SET is_active = 1 WHERE username LIKE 'deleted-%'")
        .await;
    let path = format!("/api/chat/rooms/{room}/members");
    let (status, answer) = ada.post(&path, json!({"user_id": bob.id})).await;
    assert_eq!(status, 201, "{answer}");
    see(&mut socket, BTreeSet::from([bob.id]), true).await;
    see(&mut socket, BTreeSet::from([bob.id]), false).await;
}

/// Pending jobs that were done but not removed: a user who left meanwhile isn't added again.
async fn a_pending_job_that_is_done_again_brings_nobody_back(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let cleo = server.register("cleo").await;
    let dave = server.register("dave").await;
    let room = ada.create_room("den", &[&bob]).await;
    let bobs_place = format!("/api/chat/rooms/{room}/members/{}", bob.id);
    assert_eq!(ada.request("DELETE", &bobs_place, None).await.0, 204);
    let body = json!({"current_password": "correct horse dave"});
    assert_eq!(dave.request("DELETE", "/api/me", Some(&body)).await.0, 204);
    let mut socket = ada.connect().await;
    socket.join(room).await;
    let jobs = [&bob, &dave, &cleo].map(|of| format!("({}, {room}, {}, 1)", of.id, ada.id));
    server
        .sql(&format!(
            "INSERT INTO pending_jobs (user_id, room_id, added_by, created_at) VALUES {}",
            jobs.join(", ")
        ))
        .await;
    // They are done in order.
    let change = socket.expect("member").await;
    assert_eq!(change["user"]["id"], cleo.id, "{change}");
}

each_database!(
    a_pending_job_that_is_done_again_brings_nobody_back,
    an_invited_user_comes_into_the_room,
    a_deleted_user_leaves_all_rooms,
    a_user_who_is_added_while_leaving_leaves_again
);
