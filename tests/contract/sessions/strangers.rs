//! What requests without a session cost the database.

use futures_util::{StreamExt, future::join_all, stream};
use hearth::limits::NETWORK_REFRESHES;
use serde_json::json;

use crate::support::{Db, MariaDb, Server, each_database, statements};

/// Requests with the token of a revoked session, and those for `/readyz`, share the database's answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_cost_the_database_little() {
    let database = MariaDb::start().await;
    let server = Server::start_on_url(&database.url(), &[]).await;
    let ada = server.register("ada").await;
    assert_eq!(ada.post("/api/logout", json!({})).await.0, 204);
    let mut counter = mysql_async::Conn::from_url(database.url()).await.unwrap();
    for (path, expected) in [("/api/me", 401), ("/readyz", 200)] {
        let mut least = u64::MAX;
        for _ in 0..5 {
            let before = statements(&mut counter).await;
            let answers = join_all((0..200).map(|_| ada.get(path))).await;
            assert!(answers.iter().all(|(status, _)| *status == expected));
            least = least.min(statements(&mut counter).await - before);
        }
        assert!(least < 100, "{path}: {least} statements for 200 requests");
    }
}

/// Refresh tokens are looked up so often by network, and no more.
async fn unknown_tokens_are_looked_up_so_often(db: Db) {
    let server = Server::start_with(db, &[("HEARTH_RATE_LIMITS", "on")]).await;
    let http = reqwest::Client::new();
    let guess = |number: usize| {
        let body = json!({"refresh_token": format!("unknown {number}")});
        let request = http.post(server.url("/api/refresh")).json(&body);
        async { request.send().await.unwrap().status().as_u16() }
    };
    let guesses = stream::iter(0..10 * NETWORK_REFRESHES as usize).map(guess);
    let mut guesses = std::pin::pin!(guesses.buffer_unordered(64));
    let mut unknown = 0;
    loop {
        match guesses.next().await.expect("there is a limit") {
            401 => unknown += 1,
            status => break assert_eq!(status, 429),
        }
    }
    assert!(unknown >= NETWORK_REFRESHES - 64, "{unknown}");
}

each_database!(unknown_tokens_are_looked_up_so_often);
