//! `auth` again on a live socket (PROTOCOL.md section 2.4). `deadlines` shows that the socket outlives its first token.

use serde_json::json;

use crate::support::{Account, Db, Server, each_database};

async fn renewed(server: &Server, account: &Account) -> Account {
    let body = json!({"refresh_token": account.refresh_token});
    let (status, tokens) = account.post("/api/refresh", body).await;
    assert_eq!(status, 200, "{tokens}");
    server.account(&tokens)
}

async fn a_newer_token_is_taken(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let other = server.log_in("ada").await;
    let bob = server.register("bob").await;
    let mut socket = ada.connect().await;
    let newer = renewed(&server, &ada).await;
    let ack = socket
        .ask(json!({"type": "auth", "token": newer.token}))
        .await;
    assert_eq!(ack["type"], "ack", "{ack}");
    let expires_at: jiff::Timestamp = ack["expires_at"].as_str().unwrap().parse().unwrap();
    let before: jiff::Timestamp = socket.ready["expires_at"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(expires_at >= before);
    for token in [&*other.token, &*bob.token, "x", ""] {
        let error = socket.ask(json!({"type": "auth", "token": token})).await;
        assert_eq!(
            (&error["type"], &error["code"], &error["retryable"]),
            (&json!("error"), &json!("unauthorized"), &json!(false)),
            "{token}"
        );
    }
    assert!(socket.fence().await.is_empty(), "the socket lives on");
}

each_database!(a_newer_token_is_taken);
