//! The time that a refused log-in takes tells nothing about the name.

use std::time::{Duration, Instant};

use rand::seq::SliceRandom;
use reqwest::{Client, StatusCode};
use serde_json::json;

use crate::support::{Db, Server};

const SAMPLES: usize = 2_000;
/// The median of one kind of name may differ from another's by this much.
const TOLERANCE: Duration = Duration::from_millis(1);

/// How long one log-in takes, which must be refused so.
async fn sample(
    http: &Client,
    server: &Server,
    name: &str,
    password: &str,
    status: StatusCode,
) -> Duration {
    let request = http
        .post(server.url("/api/login"))
        .json(&json!({"username": name, "password": password}));
    let started = Instant::now();
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), status, "{name}");
    // To its end, so that the next one takes the same connection.
    answer.bytes().await.unwrap();
    started.elapsed()
}

/// The 10th, 50th and 90th percentile.
fn percentiles(times: &mut [Duration]) -> [Duration; 3] {
    times.sort_unstable();
    [10, 50, 90].map(|percent| times[times.len() * percent / 100])
}

/// Names take turns, so that whatever else the machine does slows all of them alike. A hash costs several
/// times the tolerance here, and the test makes sure of it: one that was left out would show.
async fn a_name_is_not_told_by_time(db: Db) {
    let server = Server::start_with(db, &[("HEARTH_ARGON2", "m=8192,t=1,p=1")]).await;
    server.register("ada").await;
    server.register("gone").await;
    server
        .sql("UPDATE users SET is_active = 0 WHERE username = 'gone'")
        .await;
    let http = Client::new();
    let unhashed = "x".repeat(1_000);
    let refused = StatusCode::UNAUTHORIZED;
    let kinds = [
        ("known", "ada", "wrong horse", refused),
        ("unknown", "eve", "wrong horse", refused),
        ("disabled", "gone", "correct horse gone", refused),
        ("not hashed", "ada", &unhashed, StatusCode::BAD_REQUEST),
    ];
    let mut times = kinds.map(|_| Vec::with_capacity(SAMPLES));
    let mut turns = [0, 1, 2, 3];
    for _ in 0..SAMPLES {
        // In any order: what comes after a log-in that wasn't hashed finds a rested machine.
        turns.shuffle(&mut rand::rng());
        for at in turns {
            let (_, name, password, status) = kinds[at];
            times[at].push(sample(&http, &server, name, password, status).await);
        }
    }
    let medians = times.each_mut().map(|times| percentiles(times)[1]);
    for ((kind, ..), times) in kinds.iter().zip(&mut times) {
        let [p10, p50, p90] = percentiles(times);
        println!("{db:?} {kind}: p10 {p10:.2?}, p50 {p50:.2?}, p90 {p90:.2?}");
    }
    let [known, unknown, disabled, not_hashed] = medians;
    assert!(known > not_hashed + 3 * TOLERANCE, "a hash is seen");
    for (kind, other) in [("unknown", unknown), ("disabled", disabled)] {
        let difference = known.abs_diff(other);
        println!("{db:?} known and {kind}: medians differ by {difference:.2?}");
        assert!(difference < TOLERANCE, "{kind}: {difference:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make soak"]
async fn soak_a_name_is_not_told_by_time_on_sqlite() {
    a_name_is_not_told_by_time(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make soak"]
async fn soak_a_name_is_not_told_by_time_on_mariadb() {
    a_name_is_not_told_by_time(Db::MariaDb).await;
}
