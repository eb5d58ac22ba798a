//! The memory of a connection has a limit whatever the client does: floods of frames, and answers that are never read.

use std::time::Duration;

use futures_util::future::join_all;
use hearth::limits::{CONTENT_CHARS_MAX, ROOM_QUEUE_BYTES_MAX};
use serde_json::json;

use crate::support::{
    Account, Chain, Db, PATIENCE, Raw, Server, each_database, masked, resident_kib, timeout,
};

/// What the server may grow by under a flood on one connection: allocators and buffers, not the flood.
const ROOM_KIB: u64 = 8 * 1024;
/// A writer that gets rid of nothing for this long is stalled.
const STALLED: Duration = Duration::from_secs(1);

async fn started() -> (Server, Account, Raw) {
    let server = Server::start(Db::Sqlite).await;
    let ada = server.register("ada").await;
    let mut raw = Raw::socket(&server, &ada).await;
    assert_eq!(raw.json().await["type"], "ready");
    (server, ada, raw)
}

fn grown(server: &Server, before: u64) -> u64 {
    resident_kib(server.pid()).saturating_sub(before)
}

/// The server stops reading from a client that doesn't read its answers; once it reads, every request that came
/// through is answered, once and in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_requests_whose_answers_nobody_reads() {
    let (server, ada, mut raw) = started().await;
    let before = resident_kib(server.pid());
    let padding = "x".repeat(55);
    let requests: Vec<u8> = (0..100_000)
        .flat_map(|number| {
            let text = format!(r#"{{"type":"ping","ref":"{number:06} {padding}"}}"#);
            masked(0x81, text.as_bytes())
        })
        .collect();
    let each = requests.len() / 100_000;
    let written = raw.write_until_stalled(&requests, STALLED).await;
    assert!(
        written < requests.len(),
        "the server stops reading at some point"
    );
    let grown_by = grown(&server, before);
    assert!(
        grown_by < ROOM_KIB,
        "{grown_by} KiB more for {written} bytes of requests"
    );
    // Others are served meanwhile.
    assert!(ada.connect().await.fence().await.is_empty());

    raw.write_beside(&requests[written..]).await.unwrap();
    for number in 0..requests.len() / each {
        let pong = raw.json().await;
        assert_eq!(pong["ref"], format!("{number:06} {padding}"), "{pong}");
    }
    let grown_by = grown(&server, before);
    assert!(grown_by < ROOM_KIB, "{grown_by} KiB more after all");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_pings_whose_pongs_nobody_reads() {
    let (server, ada, mut raw) = started().await;
    let before = resident_kib(server.pid());
    let ping = masked(0x89, &[b'x'; 125]);
    let pings = ping.repeat(100_000);
    let written = raw.write_until_stalled(&pings, STALLED).await;
    let grown_by = grown(&server, before);
    assert!(
        grown_by < ROOM_KIB,
        "{grown_by} KiB more for {written} bytes of pings"
    );
    assert!(ada.connect().await.fence().await.is_empty());

    // A whole number of frames, then something else: the connection works once it is read again.
    let rest = ping.len() - written % ping.len();
    if rest < ping.len() {
        raw.write_beside(&ping[ping.len() - rest..]).await.unwrap();
    }
    raw.write_beside(&masked(0x81, br#"{"type":"ping","ref":"r"}"#))
        .await
        .unwrap();
    assert_eq!(raw.json().await, json!({"type": "pong", "ref": "r"}));
    let grown_by = grown(&server, before);
    assert!(grown_by < ROOM_KIB, "{grown_by} KiB more after all");
}

/// A message that never ends, in fragments that hold nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_empty_fragments() {
    let (server, ada, mut raw) = started().await;
    let before = resident_kib(server.pid());
    raw.frame(0x01, b"{").await;
    raw.write(&masked(0x00, b"").repeat(500_000)).await;
    assert!(
        ada.connect().await.fence().await.is_empty(),
        "others are served"
    );
    raw.frame(0x00, &vec![b' '; 100_000]).await;
    raw.frame(0x00, &vec![b' '; 100_000]).await;
    assert_eq!(raw.closed().await, 1009, "the whole of it counts");
    let grown_by = grown(&server, before);
    assert!(grown_by < ROOM_KIB, "{grown_by} KiB more");
}

/// Each of many sockets claims the largest frame and sends half of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_frames_cost_what_was_sent() {
    let (server, ada, raw) = started().await;
    let before = resident_kib(server.pid());
    let mut sockets = vec![raw];
    for _ in 0..99 {
        let mut raw = Raw::socket(&server, &ada).await;
        assert_eq!(raw.json().await["type"], "ready");
        sockets.push(raw);
    }
    let frame = masked(0x81, &[b' '; 128 * 1024]);
    for raw in &mut sockets {
        raw.write(&frame[..1024]).await;
    }
    assert!(ada.connect().await.fence().await.is_empty());
    let grown_by = grown(&server, before);
    assert!(
        grown_by < 100 * 160,
        "{grown_by} KiB for 100 sockets: no more than a frame each"
    );
    for raw in &mut sockets {
        raw.write(&frame[1024..]).await;
        assert_eq!(
            raw.json().await["code"],
            "invalid",
            "white space is no object"
        );
    }
    drop(sockets);
    let ended = async {
        while grown(&server, before) > ROOM_KIB {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, ended)
        .await
        .expect("the memory comes back");
}

/// Longer messages at once than a room's queue holds: what finds no place in it is read from the log and comes in its
/// turn, to whoever listens.
async fn more_at_once_than_a_rooms_queue_holds(db: Db) {
    let server = Server::start(db).await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let room = ada.create_room("hall", &[&bob]).await;
    let path = format!("/api/chat/rooms/{room}/messages");
    let text = "𠀀".repeat(CONTENT_CHARS_MAX);
    let burst = 2 * ROOM_QUEUE_BYTES_MAX / text.len();
    let mut socket = bob.connect().await;
    socket.join(room).await;
    let mut chain = Chain(3);
    let mut seqs = Vec::new();
    for _ in 0..3 {
        let saying = join_all((0..burst).map(async |_| {
            let (status, said) = ada.post(&path, json!({"content": text})).await;
            assert_eq!(status, 201, "{said}");
        }));
        let head = chain.0 + burst as u64;
        let reading = async {
            while chain.0 < head {
                let frame = socket.frame().await;
                if frame["type"] == "lagged" {
                    let join = json!({"type": "join", "room_id": room, "rev": frame["rev"]});
                    socket.send(join).await;
                } else {
                    chain.take(&frame);
                    seqs.extend(frame["seq"].as_u64());
                }
            }
        };
        tokio::join!(saying, reading);
    }
    assert_eq!(seqs, Vec::from_iter(1..=chain.0 - 3));
}

each_database!(more_at_once_than_a_rooms_queue_holds);
