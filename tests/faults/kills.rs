//! The server is killed under load, again and again (SIGKILL: nothing is flushed, nobody is told). What was acknowledged is
//! stored once, as it was acknowledged; `seq` and `rev` have no gap; each writer's messages are stored once and in their
//! order; and all clients that sync hold the same history.

use std::time::Duration;

use crate::support::{
    Crowd, Db, Progress, Server, Tables, each_database, kills, soak_each_database,
};

/// Acknowledgements between two kills.
const ACKS: u64 = 500;

async fn nothing_acknowledged_is_lost_by_kills(db: Db) {
    under_kills(db, kills(14)).await;
}

async fn under_kills(db: Db, kills: u64) {
    let mut server = Server::start(db).await;
    let tables = Tables::of(&server);
    let mut crowd = Crowd::start(&server).await;
    let mut progress = Progress::default();
    for _ in 0..kills {
        crowd.acknowledged(ACKS).await;
        // At any point of a commit.
        let moment = rand::random_range(0..20_000);
        tokio::time::sleep(Duration::from_micros(moment)).await;
        server.kill().await;
        server.restart().await;
        progress.check(&crowd, &tables).await;
    }
    crowd.drain().await;
    crowd.report(&format!("{db:?}, {kills} kills"));
    crowd.check(&server).await;
}

each_database!(nothing_acknowledged_is_lost_by_kills);

/// In rounds, each with a fresh database.
async fn nothing_acknowledged_is_lost_by_many_kills(db: Db) {
    let mut left = kills(1_000);
    while left > 0 {
        let round = left.min(50);
        under_kills(db, round).await;
        left -= round;
        println!("{db:?}: {left} kills are left");
    }
}

soak_each_database!(nothing_acknowledged_is_lost_by_many_kills);
