//! Deleting one's own account: the messages stay, the name goes, and every room keeps an owner.

use serde_json::{Value, json};

use crate::support::{Account, Db, Server, each_database};

async fn delete_me(account: &Account, password: &str) -> (u16, Value) {
    let body = json!({"current_password": password});
    account.request("DELETE", "/api/me", Some(&body)).await
}

async fn roles(account: &Account, room: u64) -> Vec<(String, String)> {
    let (status, list) = account
        .get(&format!("/api/chat/rooms/{room}/members"))
        .await;
    assert_eq!(status, 200, "{list}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let members = list["items"].as_array().unwrap().iter();
    members
        .map(|member| (text(&member["user"]["username"]), text(&member["role"])))
        .collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
    pairs.iter().map(owned).collect()
}

async fn a_deleted_account_leaves_what_it_wrote(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let carol = server.register("carol").await;
    let led = ada.create_room("with an admin", &[&bob, &carol]).await;
    let path = format!("/api/chat/rooms/{led}/members/{}", carol.id);
    let admin = json!({"role": "admin"});
    assert_eq!(ada.request("PATCH", &path, Some(&admin)).await.0, 200);
    let owned = ada.create_room("without an admin", &[&bob]).await;
    let archived = ada.create_room("archived", &[&bob]).await;
    let archive = json!({"archived": true});
    let path = format!("/api/chat/rooms/{archived}");
    assert_eq!(ada.request("PATCH", &path, Some(&archive)).await.0, 200);
    let alone = ada.create_room("alone", &[]).await;
    let buried = ada.create_room("alone and archived", &[]).await;
    let path = format!("/api/chat/rooms/{buried}");
    assert_eq!(ada.request("PATCH", &path, Some(&archive)).await.0, 200);
    let gone = server.register("gone").await;
    let living = server.register("living").await;
    let sleepy = ada
        .create_room("with one who sleeps", &[&gone, &living])
        .await;
    server
        .sql("UPDATE users SET is_active = 0 WHERE username = 'gone'")
        .await;
    let guest = bob.create_room("as a guest", &[&ada]).await;
    let (_, direct) = bob
        .post("/api/chat/direct", json!({"user_id": ada.id}))
        .await;
    let direct = direct["id"].as_u64().unwrap();
    let mut socket = ada.connect().await;
    socket.say(led, "I was here").await;
    socket.say(direct, "between us").await;
    let mut watch = bob.connect().await;
    watch.join(led).await;

    let (status, problem) = delete_me(&ada, "wrong").await;
    assert_eq!(
        (status, &problem["errors"][0]["code"]),
        (400, &json!("wrong"))
    );
    let (status, answer) = delete_me(&ada, "correct horse ada").await;
    assert_eq!(status, 204, "{answer}");
    assert_eq!(socket.closed().await, 4502);
    let (status, problem) = ada.get("/api/me").await;
    assert_eq!((status, &problem["code"]), (403, &json!("forbidden")));
    let left = watch.expect("member").await;
    assert_eq!(
        (&left["user"]["id"], &left["role"]),
        (&json!(ada.id), &Value::Null)
    );

    assert_eq!(
        roles(&bob, led).await,
        pairs(&[("bob", "member"), ("carol", "owner")])
    );
    assert_eq!(roles(&bob, owned).await, pairs(&[("bob", "owner")]));
    assert_eq!(roles(&bob, archived).await, pairs(&[("bob", "owner")]));
    let (_, room) = bob.get(&format!("/api/chat/rooms/{archived}")).await;
    assert!(room["archived_at"].is_string(), "{room}");
    assert_eq!(roles(&bob, guest).await, pairs(&[("bob", "owner")]));
    assert_eq!(bob.get(&format!("/api/chat/rooms/{alone}")).await.0, 404);
    assert_eq!(bob.get(&format!("/api/chat/rooms/{buried}")).await.0, 404);
    let (_, members) = living
        .get(&format!("/api/chat/rooms/{sleepy}/members"))
        .await;
    let owner = members["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|member| member["role"] == "owner");
    assert_eq!(owner.unwrap()["user"]["username"], "living");
    for (room, content) in [(led, "I was here"), (direct, "between us")] {
        let (_, page) = bob.get(&format!("/api/chat/rooms/{room}/messages")).await;
        let message = &page["items"][0];
        assert_eq!(message["content"], content);
        assert_eq!(
            message["sender"],
            json!({"id": ada.id, "username": format!("deleted-{}", ada.id), "full_name": "Deleted user"})
        );
    }
    let (_, found) = bob.get("/api/users?q=ada").await;
    assert_eq!(found["items"], json!([]));
    let body = json!({"username": "ada", "password": "correct horse ada"});
    let (status, _) = server
        .request("POST", "/api/login", None, Some(&body))
        .await;
    assert_eq!(status, 401);

    // It can't be brought back.
    server
        .sql("UPDATE users SET role = 'admin' WHERE username = 'bob'")
        .await;
    let path = format!("/api/users/{}", ada.id);
    let (status, _) = bob
        .request("PATCH", &path, Some(&json!({"is_active": true})))
        .await;
    assert_eq!(status, 404);

    // The name and the address are free; whoever takes them is another user.
    let another = server.register("ada").await;
    assert_ne!(another.id, ada.id);
    assert_eq!(
        another.get(&format!("/api/chat/rooms/{direct}")).await.0,
        404
    );
}

async fn the_last_admin_stays(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    server.sql("UPDATE users SET role = 'admin'").await;
    // Both at the same moment: one of them stays.
    let [ada, bob] = [&ada, &bob].map(|of| (of.name.clone(), server.log_in(&of.name)));
    let (ada, bob) = (ada.1.await, bob.1.await);
    let both = tokio::join!(
        delete_me(&ada, "correct horse ada"),
        delete_me(&bob, "correct horse bob")
    );
    let mut statuses = [both.0.0, both.1.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 403], "{both:?}");
}

each_database!(a_deleted_account_leaves_what_it_wrote, the_last_admin_stays);
