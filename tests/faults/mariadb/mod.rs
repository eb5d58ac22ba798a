//! MariaDB is killed or stops for ten seconds, is far away, refuses, or ends connections, and a machine vanishes within a
//! transaction. Clients get answers or retryable errors, never a wrong ack; the server recovers by itself; and what was
//! acknowledged is stored once.

mod batches;
mod connections;
mod limits;

use std::time::Duration;

use crate::support::{Crowd, MariaDb, Progress, Server, Tables, kills};
/// Acknowledgements between two kills.
const ACKS: u64 = 500;
const FROZEN: Duration = Duration::from_secs(10);

async fn under_kills_of_mariadb(kills: u64) {
    let mut database = MariaDb::start().await;
    let server = Server::start_on_url(&database.url(), &[]).await;
    let tables = Tables::of(&server);
    let mut crowd = Crowd::start(&server).await;
    let mut progress = Progress::default();
    for _ in 0..kills {
        crowd.acknowledged(ACKS).await;
        let moment = rand::random_range(0..20_000);
        tokio::time::sleep(Duration::from_micros(moment)).await;
        database.kill().await;
        database.restart().await;
        progress.check(&crowd, &tables).await;
    }
    crowd.acknowledged(ACKS).await;
    crowd.drain().await;
    crowd.report(&format!("MariaDB, {kills} kills of it"));
    crowd.check(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_mariadb_is_killed() {
    under_kills_of_mariadb(kills(10)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make soak"]
async fn soak_mariadb_killed() {
    let mut left = kills(1_000);
    while left > 0 {
        let round = left.min(50);
        under_kills_of_mariadb(round).await;
        left -= round;
        println!("{left} kills of MariaDB are left");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_when_mariadb_stops_for_ten_seconds() {
    let database = MariaDb::start().await;
    let server = Server::start_on_url(&database.url(), &[]).await;
    let tables = Tables::of(&server);
    let mut crowd = Crowd::start(&server).await;
    let mut progress = Progress::default();
    crowd.acknowledged(ACKS).await;
    database.freeze().await;
    let before = crowd.acks();
    tokio::time::sleep(FROZEN).await;
    let after = crowd.acks();
    database.thaw();
    // Changes that were in flight when it stopped may have been answered, no later ones.
    assert!(
        after - before < ACKS,
        "{} acks without a database",
        after - before
    );
    crowd.acknowledged(2 * ACKS).await;
    progress.check(&crowd, &tables).await;
    crowd.drain().await;
    crowd.report("MariaDB, stopped for 10 s");
    crowd.check(&server).await;
}
