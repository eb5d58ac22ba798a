//! Power losses on SQLite: the server is killed and started again on a disk that holds only what was synced. SIGKILL alone
//! can't show this, for what a process has written survives it in the system's cache. And a disk that refuses a sync: that
//! commit's outcome is unknown, and nothing else suffers.

use std::time::Duration;

use serde_json::json;

use crate::support::{Crowd, Disk, Progress, Tables, kills, uuid};

/// Acknowledgements between two power losses.
const ACKS: u64 = 500;

async fn under_power_losses(losses: u64) {
    // As slow as many are: most power losses hit a sync.
    let (mut disk, mut server) = Disk::start(&[("DISK_SLOW", "5")]).await;
    let mut crowd = Crowd::start(&server).await;
    let mut progress = Progress::default();
    for _ in 0..losses {
        crowd.acknowledged(ACKS).await;
        tokio::time::sleep(Duration::from_micros(rand::random_range(0..20_000))).await;
        disk.lose_power(&mut server).await;
        progress.check(&crowd, &Tables::of(&server)).await;
    }
    crowd.drain().await;
    crowd.report(&format!("SQLite, {losses} power losses"));
    crowd.check(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_with_the_power() {
    under_power_losses(kills(10)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make soak"]
async fn soak_power() {
    let mut left = kills(1_000);
    while left > 0 {
        let round = left.min(50);
        under_power_losses(round).await;
        left -= round;
        println!("{left} power losses are left");
    }
}

/// The simulation notices faults: with a disk that answers syncs of the write-ahead log without doing them, what was
/// acknowledged last is gone, although a kill alone leaves it in the system's cache.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_lies_loses_what_was_acknowledged() {
    let (disk, mut server) = Disk::start(&[("DISK_LIES", "-wal")]).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    let mut socket = ada.connect().await;
    for number in 1..=100 {
        let ack = socket.say(room, &format!("message {number}")).await;
        assert_eq!(ack["seq"], number, "{ack}");
    }
    server.kill().await;
    let cached = Tables::of(&server).read().await;
    assert_eq!(cached[&room].last_seq, 100, "a kill alone loses nothing");
    let kept = Tables::try_read_sqlite(&disk.kept_database());
    let kept = kept.and_then(|rooms| Some(rooms.get(&room)?.last_seq));
    assert!(
        kept.unwrap_or(0) < 100,
        "the disk kept what was never synced"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_that_fails_leaves_the_outcome_open_and_nothing_else() {
    let trigger = tempfile::NamedTempFile::new().unwrap();
    let trigger = trigger.into_temp_path();
    let path = trigger.to_str().unwrap().to_owned();
    trigger.close().unwrap();
    let (mut disk, mut server) = Disk::start(&[("DISK_FAILS", &path)]).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let mut a = ada.connect().await;
    let mut b = bob.connect().await;
    b.send(json!({"type": "join", "room_id": room})).await;
    b.expect("synced").await;
    for round in 0..5u64 {
        let id = uuid();
        let frame = json!({"type": "message", "room_id": room, "id": id, "content": "once"});
        std::fs::write(&path, "").unwrap();
        a.send(frame.clone()).await;
        let error = a.expect("error").await;
        assert_eq!(error["retryable"], true, "{error}");
        assert!(!std::fs::exists(&path).unwrap(), "the sync failed");
        let ack = loop {
            a.send(frame.clone()).await;
            let answer = a.frame().await;
            if answer["type"] == "ack" {
                break answer;
            }
            assert_eq!(answer["retryable"], true, "{answer}");
        };
        assert_eq!(ack["seq"], 2 * round + 1, "{ack}");
        let told = b.expect("message").await;
        assert_eq!((&told["id"], &told["rev"]), (&json!(id), &ack["rev"]));
        let ack = a.say(room, "next").await;
        assert_eq!(ack["seq"], 2 * round + 2, "{ack}");
        assert_eq!(b.expect("message").await["seq"], ack["seq"]);
    }
    disk.lose_power(&mut server).await;
    let rooms = Tables::of(&server).read().await;
    rooms[&room].check(room);
    assert_eq!(rooms[&room].last_seq, 10);
}
