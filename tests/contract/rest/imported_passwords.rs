//! Password hashes that were imported from elsewhere, when their owners log in.

use serde_json::json;

use crate::support::{Db, Server, each_database};

/// bcrypt of "correct horse", by libxcrypt, at cost 5.
const BCRYPT: &str = "$2b$05$CCCCCCCCCCCCCCCCCCCCC.WrAwgFxicHZ3kL7zMvXYXHKosDn8ot2";
/// Argon2id of "password", by the reference implementation: of another cost than the server's.
const ARGON2: &str =
    "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

async fn a_hash_from_elsewhere_is_replaced_at_the_next_log_in(db: Db) {
    let server = Server::start(db).await;
    server.register("ada").await;
    let log_in = async |password: &str| {
        let body = json!({"username": "ada", "password": password});
        server
            .request("POST", "/api/login", None, Some(&body))
            .await
            .0
    };
    let stored = async || {
        let sql = "SELECT password_hash FROM users WHERE username_key = 'ada'";
        server.select(sql).await
    };
    for (hash, password) in [(BCRYPT, "correct horse"), (ARGON2, "password")] {
        server
            .sql(&format!("UPDATE users SET password_hash = '{hash}'"))
            .await;
        assert_eq!(log_in("wrong horse").await, 401);
        assert_eq!(stored().await, hash, "a wrong password replaces nothing");
        assert_eq!(log_in(password).await, 200);
        let new = stored().await;
        assert!(new.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{new}");
        assert_eq!(log_in(password).await, 200);
        assert_eq!(stored().await, new, "once");
        assert_eq!(log_in("wrong horse").await, 401);
    }
}

each_database!(a_hash_from_elsewhere_is_replaced_at_the_next_log_in);
