//! Direct rooms: between two users, and of one user alone.

use serde_json::{Value, json};

use super::{patch, set_role, told};
use crate::support::{Account, Db, Server, each_database};

async fn direct(by: &Account, with: &Account) -> (u16, Value) {
    by.post("/api/chat/direct", json!({"user_id": with.id}))
        .await
}

async fn a_direct_room_is_one_for_both(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let eve = server.register("eve").await;
    let mut sockets = [ada.connect().await, bob.connect().await];
    let (status, room) = direct(&ada, &bob).await;
    assert_eq!(
        (status, &room["kind"], &room["name"]),
        (201, &json!("direct"), &json!("")),
        "{room}"
    );
    assert_eq!(
        (&room["role"], &room["member_count"], &room["rev"]),
        (&json!("member"), &json!(2), &json!(3))
    );
    assert_eq!(room["peer"], json!({"id": bob.id, "username": "bob"}));
    let id = room["id"].as_u64().unwrap();
    let peers = [&bob, &ada];
    for (socket, peer) in sockets.iter_mut().zip(peers) {
        let added = told(socket, "added", id).await;
        assert_eq!(added["room"]["peer"]["id"], peer.id, "{added}");
    }
    assert_eq!(direct(&ada, &bob).await, (200, room.clone()));
    let (status, his) = direct(&bob, &ada).await;
    assert_eq!(
        (status, &his["id"], &his["peer"]["id"]),
        (200, &room["id"], &json!(ada.id))
    );
    let (_, page) = bob.get("/api/chat/rooms?scope=mine").await;
    assert_eq!(page["items"], json!([his]));
    // Others can't see it.
    assert_eq!(eve.get(&format!("/api/chat/rooms/{id}")).await.0, 404);
    assert_eq!(eve.get("/api/chat/rooms").await.1["items"], json!([]));
    // They talk, and each may pin.
    sockets[0].join(id).await;
    sockets[1].join(id).await;
    sockets[0].say(id, "hello @all").await;
    assert_eq!(
        told(&mut sockets[1], "message", id).await["mention_all"],
        true
    );
    for account in [&ada, &bob] {
        for method in ["PUT", "DELETE"] {
            let path = format!("/api/chat/rooms/{id}/messages/1/pin");
            assert_eq!(account.request(method, &path, None).await.0, 200);
        }
    }
    let (_, ready) = (0, ada.connect().await.ready);
    assert_eq!(ready["rooms"][0]["peer"]["username"], "bob");
}

async fn both_at_the_same_moment_make_one_room(db: Db) {
    let server = Server::start(db).await;
    let mut people = Vec::new();
    for number in 0..6 {
        people.push(server.register(&format!("person{number}")).await);
    }
    for (a, b) in [
        (0, 1),
        (0, 2),
        (1, 2),
        (3, 4),
        (3, 5),
        (4, 5),
        (0, 0),
        (5, 5),
    ] {
        let (a, b) = (&people[a], &people[b]);
        let asked = futures_util::future::join_all((0..8).map(|turn| {
            let (by, with) = if turn % 2 == 0 { (a, b) } else { (b, a) };
            direct(by, with)
        }))
        .await;
        let made = asked.iter().filter(|(status, _)| *status == 201).count();
        let found = asked.iter().filter(|(status, _)| *status == 200).count();
        assert_eq!((made, found), (1, 7), "{asked:?}");
        assert!(asked.iter().all(|(_, room)| room["id"] == asked[0].1["id"]));
    }
}

async fn one_may_talk_to_oneself(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let mut socket = ada.connect().await;
    let (status, room) = direct(&ada, &ada).await;
    assert_eq!(
        (status, &room["member_count"], &room["rev"]),
        (201, &json!(1), &json!(2))
    );
    assert_eq!(room["peer"]["id"], ada.id);
    let id = room["id"].as_u64().unwrap();
    assert_eq!(
        told(&mut socket, "added", id).await["room"]["peer"]["id"],
        ada.id
    );
    assert_eq!(direct(&ada, &ada).await.0, 200);
    assert_eq!(socket.say(id, "a note to @ada").await["seq"], 1);
    let (_, now) = ada.get(&format!("/api/chat/rooms/{id}")).await;
    assert_eq!(
        (&now["unread_mentions"], &now["last_read_seq"]),
        (&json!(0), &json!(1))
    );
}

async fn nobody_comes_in_or_goes(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let eve = server.register("eve").await;
    let id = direct(&ada, &bob).await.1["id"].as_u64().unwrap();
    let path = format!("/api/chat/rooms/{id}");
    let forbidden = |(status, problem): (u16, Value)| {
        assert_eq!(
            (status, &problem["code"]),
            (403, &json!("forbidden")),
            "{problem}"
        );
    };
    for account in [&ada, &bob] {
        forbidden(account.act(&format!("{path}/leave")).await);
        forbidden(
            account
                .post(&format!("{path}/members"), json!({"user_id": eve.id}))
                .await,
        );
        for other in [&ada, &bob, &eve] {
            forbidden(
                account
                    .delete(&format!("{path}/members/{}", other.id))
                    .await,
            );
            forbidden(set_role(account, id, other, "admin").await);
        }
        for body in [
            json!({"name": "x"}),
            json!({"topic": "x"}),
            json!({"archived": true}),
            json!({"archived": false}),
        ] {
            forbidden(patch(account, &path, body).await);
        }
        forbidden(account.delete(&path).await);
    }
    assert_eq!(eve.act(&format!("{path}/join")).await.0, 404);
    let (_, now) = ada.get(&path).await;
    assert_eq!((&now["rev"], &now["member_count"]), (&json!(3), &json!(2)));
    assert_eq!((&now["name"], &now["topic"]), (&json!(""), &json!("")));
}

async fn the_other_one_must_be_there(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let gone = server.register("gone").await;
    server
        .sql(&format!(
            "UPDATE users SET is_active = 0 WHERE id = {}",
            gone.id
        ))
        .await;
    for (body, code) in [
        (json!({"user_id": gone.id}), "unknown"),
        (json!({"user_id": 987_654}), "unknown"),
        (json!({"user_id": 0}), "unknown"),
        (json!({"user_id": "1"}), "type"),
        (json!({}), "missing"),
        (json!({"user_id": null}), "missing"),
        (json!({"user_id": 1, "name": "x"}), "unknown"),
    ] {
        let (status, problem) = ada.post("/api/chat/direct", body.clone()).await;
        let answered = (status, &problem["errors"][0]["code"]);
        assert_eq!(answered, (400, &json!(code)), "{body}: {problem}");
    }
    assert_eq!(ada.get("/api/chat/rooms").await.1["items"], json!([]));
}

/// The messages between the two stay, and are found as before.
async fn the_room_with_who_has_gone_is_there(db: Db) {
    let server = Server::start(db).await;
    let ada = server.admin("ada").await;
    let bob = server.register("bob").await;
    let eve = server.register("eve").await;
    let id = direct(&ada, &bob).await.1["id"].as_u64().unwrap();
    let found = async || {
        let (status, room) = direct(&ada, &bob).await;
        assert_eq!((status, &room["id"]), (200, &json!(id)), "{room}");
        room["peer"]["username"].clone()
    };
    let path = format!("/api/users/{}", bob.id);
    let disable = |active| json!({"is_active": active});
    assert_eq!(patch(&ada, &path, disable(false)).await.0, 200);
    assert_eq!(found().await, "bob");
    assert_eq!(direct(&eve, &bob).await.0, 400, "a new one isn't made");
    assert_eq!(patch(&ada, &path, disable(true)).await.0, 200);
    let bob = server.log_in("bob").await;
    let body = json!({"current_password": "correct horse bob"});
    let deleted = bob.request("DELETE", "/api/me", Some(&body)).await;
    assert_eq!(deleted.0, 204, "{deleted:?}");
    assert_eq!(found().await, format!("deleted-{}", bob.id));
    assert_eq!(direct(&eve, &bob).await.0, 400, "a new one isn't made");
}

each_database!(
    the_room_with_who_has_gone_is_there,
    a_direct_room_is_one_for_both,
    both_at_the_same_moment_make_one_room,
    one_may_talk_to_oneself,
    nobody_comes_in_or_goes,
    the_other_one_must_be_there,
);
