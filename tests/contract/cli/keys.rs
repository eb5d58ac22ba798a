//! The key that signs access tokens: how it is made, kept and replaced.

use std::fs;

use crate::support::{Db, Server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_that_was_made_can_be_replaced() {
    let mut server = Server::start(Db::Sqlite).await;
    let ada = server.register("ada").await;
    let made = fs::read_to_string(server.dir().join("data/jwt-secret")).unwrap();
    assert!(server.stop().await.success());
    server.set(
        "HEARTH_JWT_SECRET",
        "a new key of at least 32 bytes, and more",
    );
    server.set("HEARTH_JWT_SECRET_PREVIOUS", &made);
    server.restart().await;
    assert_eq!(ada.get("/api/me").await.0, 200, "older tokens live on");
    let later = server.log_in("ada").await;
    assert!(server.stop().await.success());
    server.set("HEARTH_JWT_SECRET_PREVIOUS", "");
    server.restart().await;
    assert_eq!(ada.get("/api/me").await.0, 401, "its key is gone");
    assert_eq!(later.get("/api/me").await.0, 200);
}
